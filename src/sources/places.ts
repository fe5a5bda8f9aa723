import { createHash } from 'node:crypto';
import { readFile, readlink } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path';
import type { Part } from '../archive/manifest.ts';
import { CaretakerError } from '../errors.ts';
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
  } catch (error) {
    // Where there is no room beside it, there is none inside.
    if (error instanceof CaretakerError && error.code === 'disk-full') throw error;
    // Why else it can't be does not matter as long as there is another place; if that fails too, its error is thrown.
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
  try {
    await files.makeDirectory(directory, stateDirectory);
  } catch (error) {
    // One that was cancelled may be there.
    await files.remove([directory]);
    throw error;
  }
  return directory;
}

/** `path` relative to `root` where it lies in it ('' for the root itself), else undefined. */
export function within(root: string, path: string): string | undefined {
  const rest = relative(root, path);
  return rest === '..' || rest.startsWith('../') || isAbsolute(rest) ? undefined : rest;
}

/** Git's own files and this program's are no data, wherever in the project (`path` relative to it) they lie: whoever writes them decides what runs next. */
export function isReserved(path: string): boolean {
  return path.split('/').some((name) => name === '.git' || name.startsWith('.caretaker'));
}

/** More links on one way than any system follows: they lead in a circle. */
const MAX_LINKS = 40;

/**
 * Where a path really lies, as far as it is there. Links are followed below `roots` (absolute, real) only: a path that leads out of all of them is answered as it is there. Undefined where
 * this user may not read a link on the way.
 */
export async function realPlace(
  files: Pick<HostFiles, 'kinds'>,
  path: string,
  roots: readonly string[],
): Promise<string | undefined> {
  let at = path;
  for (let followed = 0; followed < MAX_LINKS; followed++) {
    const root = outermost(at, roots);
    if (root === undefined) return at;
    const names = (within(root, at) ?? '').split('/').filter((name) => name !== '');
    const tops = names.map((_, index) => names.slice(0, index + 1).join('/'));
    const kinds = tops.length === 0 ? [] : await files.kinds(root, tops);
    const first = kinds.findIndex((kind) => kind === null || kind === 'link');
    const top = kinds[first] === 'link' ? tops[first] : undefined;
    if (top === undefined) return at;
    const target = await readlink(join(root, top)).catch(() => undefined);
    if (target === undefined) return undefined;
    at = resolve(root, dirname(top), target, ...names.slice(first + 1));
  }
  return undefined;
}

/** The outermost of these directories in which a path lies. */
export function outermost(path: string, roots: readonly string[]): string | undefined {
  return roots.filter((root) => within(root, path) !== undefined).sort((one, other) => one.length - other.length)[0];
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
