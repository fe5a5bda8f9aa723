import { stat } from 'node:fs/promises';
import type { Manifest } from '../archive/manifest.ts';
import type { Project } from '../project/project.ts';
import { hostName } from '../system/identity.ts';

/** Of this host and this project, as a backup's manifest has them. */
export function here({ directory }: Pick<Project, 'directory'>): string {
  return `on ${hostName()}, in ${directory}`;
}

/**
 * Where a backup was made, for a reader (`on server2, in /srv/uso`); null where that is this project directory on this host, however it is reached, or one of this host that is gone. A host that
 * was renamed is another one: nothing tells.
 */
export async function madeElsewhere(
  { directory }: Pick<Project, 'directory'>,
  { host, projectDirectory }: Pick<Manifest, 'host' | 'projectDirectory'>,
): Promise<string | null> {
  const isHere = host === hostName() && !(await areTwo(projectDirectory, directory));
  return isHere ? null : `on ${host}, in ${projectDirectory}`;
}

async function areTwo(one: string, other: string): Promise<boolean> {
  if (one === other) return false;
  try {
    const [a, b] = [await stat(one), await stat(other)];
    return a.dev !== b.dev || a.ino !== b.ino;
  } catch (error) {
    return !['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
  }
}
