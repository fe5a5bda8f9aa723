import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { Snapshot } from '../code/git.ts';
import { CaretakerError } from '../errors.ts';
import type { Project } from '../project/project.ts';
import { readStateFile } from '../safety/state-directory.ts';
import { writeAtomic } from '../system/files.ts';
import type { ImageName } from './images.ts';

/** What the last update changed: all that a rollback needs to go back before it. Plain data, in `.caretaker/last-update.json`. */
export interface LastUpdate {
  readonly run: string;
  /** Missing in those of older versions. */
  readonly project?: string;
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly from: string | null;
  readonly to: string | null;
  /** What was checked out before; null where the update changed images only. */
  readonly code: Snapshot | null;
  /** What is checked out since; null where there is no clone. */
  readonly commit: string | null;
  /** The names that stood for other images before. */
  readonly images: readonly ImageName[];
  /** The safety backup taken at the stop. */
  readonly backup: string;
}

const fileIn = (stateDirectory: string): string => path.join(stateDirectory, 'last-update.json');

export async function rememberUpdate(stateDirectory: string, update: LastUpdate): Promise<void> {
  await writeAtomic(fileIn(stateDirectory), `${JSON.stringify(update, null, 2)}\n`);
}

export async function forgetUpdate(stateDirectory: string): Promise<void> {
  await rm(fileIn(stateDirectory), { force: true });
}

/** Null where no update has been made, or the last one has been rolled back. Throws `state-damaged`. */
export function lastUpdateOrNull(stateDirectory: string): Promise<LastUpdate | null> {
  return readStateFile<LastUpdate>(
    fileIn(stateDirectory),
    ({ run, backup, images, code }) =>
      typeof run === 'string' && typeof backup === 'string' && Array.isArray(images) && typeof code === 'object',
    'Without it the last update can’t be rolled back by mode rollback: its safety backup can still be restored, with with-code: true.',
  );
}

/** Likewise, but throws `nothing-to-roll-back` there, and where the last update was another project's: several may share a directory. */
export async function lastUpdate({
  stateDirectory,
  name,
}: Pick<Project, 'stateDirectory' | 'name'>): Promise<LastUpdate> {
  const update = await lastUpdateOrNull(stateDirectory);
  if (update !== null && (update.project ?? name) !== name) {
    throw new CaretakerError(
      'nothing-to-roll-back',
      `the last update of this directory was one of the project ${update.project}, not of ${name}`,
      { input: 'project-name', hint: `Set project-name to ${update.project} to go back from that one.` },
    );
  }
  if (update !== null) return update;
  throw new CaretakerError(
    'nothing-to-roll-back',
    `there is no update to go back from: ${fileIn(stateDirectory)} is missing`,
    {
      hint: 'A rollback goes back before the last update that this program made on this host, once. To go further back, update to an older ref with allow: downgrade, and restore a backup.',
    },
  );
}
