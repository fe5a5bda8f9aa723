import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative } from 'node:path';
import type { Part } from '../archive/manifest.ts';
import type { Project, SourceSpec } from '../project/project.ts';
import type { HostFiles } from '../runtimes/host-files.ts';

/**
 * What a restore makes for live data: on the same filesystem, so that renames exchange them, and named after the run and the live
 * name alone, so that another process finds what a killed one left, and a tree's exchange knows what waits in it for the
 * database files that it carries along.
 */
export interface Places {
  readonly fresh: string;
  readonly aside: string;
}

/** Beside the live data: for files always, for directories where their parent lets us. */
export function beside(live: string, run: string): Places {
  return placesIn(dirname(live), live, run);
}

/**
 * For a directory: beside it, or inside it where it can't be renamed, because something is mounted on it or its parent may not be
 * written; its contents are exchanged then.
 */
export async function placesFor(files: HostFiles, live: string, run: string): Promise<Places> {
  if (!(await files.exists(live))) return beside(live, run);
  if (await isMountPoint(live)) return placesIn(live, live, run);
  const probe = `${beside(live, run).fresh}-probe`;
  try {
    await files.makeDirectory(probe, dirname(live));
  } catch {
    // Why it can't be does not matter as long as there is another place; if that fails too, its error is thrown.
    return placesIn(live, live, run);
  }
  await files.remove([probe]);
  return beside(live, run);
}

/** Removes what `placesFor` may have led to; what lies aside stays. */
export async function removeFresh(files: HostFiles, live: string, run: string): Promise<void> {
  const outside = beside(live, run).fresh;
  await files.remove([outside, `${outside}-probe`, placesIn(live, live, run).fresh]);
}

function placesIn(directory: string, live: string, run: string): Places {
  const short = shortName(live);
  return {
    fresh: join(directory, `.caretaker-fresh-${run}-${short}`),
    aside: join(directory, `.caretaker-aside-${run}-${short}`),
  };
}

/** Names end at 255 bytes. */
function shortName(live: string): string {
  const name = basename(live);
  return Buffer.byteLength(name) <= 100 ? name : createHash('sha256').update(name).digest('hex').slice(0, 16);
}

/** What a name beside or in `live` stands for, of those that runs make for it; null for all others. */
export function placeNamed(
  name: string,
  live: string,
): { readonly kind: 'fresh' | 'aside' | 'stray'; readonly run: string } | null {
  const match = /^\.caretaker-(fresh|aside)-(\d{8}t\d{6}z-[0-9a-f]{4}(?:-back\d+)?)-(.+)$/.exec(name);
  if (match === null) return null;
  const [, kind, run = '', rest = ''] = match;
  const own = shortName(live);
  const more = rest.slice(own.length);
  if (!rest.startsWith(own) || !/^(-probe|(-\d+)?(\.caretaker-stray-\d+)?)?$/.test(more)) return null;
  return { kind: more.startsWith('.') ? 'stray' : kind === 'fresh' ? 'fresh' : 'aside', run };
}

export async function isMountPoint(path: string): Promise<boolean> {
  const table = await readFile('/proc/self/mountinfo', 'utf8').catch(() => ''); // Not Linux: the exchange itself will tell.
  const octal = (text: string): string =>
    text.replaceAll(/\\([0-7]{3})/g, (_, code: string) => String.fromCharCode(parseInt(code, 8)));
  return table.split('\n').some((line) => octal(line.split(' ')[4] ?? '') === path);
}

/** A new empty directory for a source's own working files, out of the way of the data; one of that name that was left over goes. */
export async function stagingFor({ files, stateDirectory }: Project, name: string): Promise<string> {
  const staging = join(stateDirectory, 'staging');
  if (!(await files.exists(staging))) await files.makeDirectory(staging, stateDirectory);
  const directory = join(staging, name);
  await files.remove([directory]);
  await files.makeDirectory(directory, stateDirectory);
  return directory;
}

/** `path` relative to `root` where it lies in it ('' for the root itself), else undefined. */
export function within(root: string, path: string): string | undefined {
  const rest = relative(root, path);
  return rest === '..' || rest.startsWith('../') || isAbsolute(rest) ? undefined : rest;
}

/** A source's origin as the manifest keeps it. */
export function originOf(spec: SourceSpec, project: Project): Part['origin'] {
  const relativePath = within(project.directory, spec.path);
  const exclude = 'exclude' in spec ? spec.exclude : [];
  return {
    ...(spec.service === undefined ? {} : { service: spec.service }),
    ...(spec.volume === undefined ? {} : { volume: spec.volume }),
    path: spec.path,
    ...(relativePath === undefined ? {} : { relativePath: relativePath === '' ? '.' : relativePath }),
    ...(spec.containerPath === undefined || spec.containerPath === '' ? {} : { containerPath: spec.containerPath }),
    ...(exclude.length === 0 ? {} : { exclude }),
  };
}
