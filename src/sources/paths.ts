import { posix } from 'node:path';
import type { Part, PartFile } from '../archive/manifest.ts';
import { checkTar, type TarMember } from '../archive/tar.ts';
import { CaretakerError } from '../errors.ts';
import { isRemovals, removalsIn } from './passes.ts';
import { within } from './places.ts';

export interface FoundPath {
  /** Relative to the part's root. */
  readonly path: string;
  readonly type: 'directory' | 'file';
}

/** Paths inside a part's archives, and what has to be unpacked to have them whole. */
export interface FoundPaths {
  readonly paths: readonly FoundPath[];
  /** True for what is wanted, the directories above it, and the first names of its hard links, wherever they are. */
  readonly keep: (member: TarMember) => boolean;
  /** What is unpacked for the sake of hard links alone, to be removed again. */
  readonly extras: readonly string[];
  /** Roughly what they take when they are unpacked. */
  readonly bytes: number;
}

/**
 * Looks for paths in the archives of a part of files, in the state that the last pass leaves. Throws `path-unknown`, with what comes near,
 * and `path-unfit` for a link or a pipe.
 */
export async function findPaths(
  part: Part,
  read: (file: PartFile) => AsyncIterable<Uint8Array>,
  paths: readonly string[],
): Promise<FoundPaths> {
  const wanted = (path: string): boolean => paths.some((one) => within(`/${one}`, `/${path}`) !== undefined);
  const types = new Map<string, TarMember['type']>();
  /** Where each hard link's content is, of the whole archive: a link may lead to a link. */
  const targets = new Map<string, string>();
  const near = new Candidates(paths);
  let bytes = 0;

  const onMember = (member: TarMember): void => {
    near.see(member.path);
    if (member.target !== undefined) targets.set(member.path, member.target);
    if (paths.includes(member.path)) types.set(member.path, member.type);
    if (wanted(member.path)) bytes += member.size;
  };
  for (const file of part.files) {
    if (isRemovals(file)) {
      const removed = (await removalsIn(read(file), part)).map((name) => Buffer.from(name, 'latin1').toString());
      for (const path of paths)
        if (removed.some((name) => within(`/${name}`, `/${path}`) !== undefined)) types.delete(path);
    } else {
      for await (const chunk of checkTar(read(file), { onMember })) void chunk;
    }
  }

  const unknown = paths.filter((path) => !types.has(path));
  if (unknown.length > 0) throw pathUnknown(part, unknown, near);
  const found = paths.map((path): FoundPath => {
    const type = types.get(path);
    if (type === 'directory') return { path, type };
    if (type === 'file' || type === 'hardlink') return { path, type: 'file' };
    throw pathUnfit(
      part,
      path,
      type === 'symlink' ? 'is a symbolic link there' : 'is neither a file nor a directory there',
    );
  });

  const links = new Set<string>();
  for (const start of [...targets.keys()].filter(wanted)) {
    for (let at = targets.get(start); at !== undefined && !wanted(at) && !links.has(at); at = targets.get(at))
      links.add(at);
  }
  const above = (path: string): boolean => path === '' || paths.some((one) => one.startsWith(`${path}/`));
  return {
    paths: found,
    keep: ({ path }) => wanted(path) || above(path) || links.has(path),
    extras: [...new Set([...links].map((link) => topWithout(link, above)))],
    bytes,
  };
}

export function pathUnfit(part: Part, path: string, why: string): CaretakerError {
  return new CaretakerError('path-unfit', `failed to restore ${part.name}/${path} alone: it ${why}`, {
    input: 'only',
    hint: 'Nothing was touched. Restore a directory above it, or the whole part, or put it elsewhere by "to" and copy it by hand.',
  });
}

/** The uppermost directory of a path that is not one of those to be kept. */
function topWithout(path: string, kept: (path: string) => boolean): string {
  const parent = posix.dirname(path);
  return parent === '.' || kept(parent) ? path : topWithout(parent, kept);
}

function pathUnknown(part: Part, unknown: readonly string[], near: Candidates): CaretakerError {
  const left = (part.origin.exclude ?? []).filter((exclude) =>
    unknown.some((path) => within(`/${exclude.replace(/(?:\/\*\*?)+$/, '')}`, `/${path}`) !== undefined),
  );
  const hints = unknown.map((path) => near.hint(path));
  if (left.length > 0)
    hints.push(`${left.join(', ')} is left out of this part: a database in it is a part of its own.`);
  return new CaretakerError('path-unknown', `${part.name} does not hold ${unknown.join(', ')}`, {
    input: 'only',
    hint: `Paths are relative to ${part.origin.path} and taken literally. ${hints.join(' ')}`,
  });
}

const MAX_NAMES = 200;
const SHOWN = 8;

/** What an archive holds near the paths that somebody asked for. */
class Candidates {
  readonly #paths: readonly string[];
  readonly #children = new Map<string, Set<string>>();
  readonly #same = new Map<string, Set<string>>();

  constructor(paths: readonly string[]) {
    this.#paths = paths;
    for (const path of paths) {
      this.#same.set(path, new Set());
      for (let up = posix.dirname(path); ; up = posix.dirname(up)) {
        this.#children.set(up, new Set());
        if (up === '.') break;
      }
    }
  }

  see(member: string): void {
    if (member === '') return;
    const children = this.#children.get(posix.dirname(member));
    if (children !== undefined && children.size < MAX_NAMES) children.add(member);
    const name = posix.basename(member).toLowerCase();
    for (const path of this.#paths) {
      if (posix.basename(path).toLowerCase() === name && this.#same.get(path)!.size < SHOWN)
        this.#same.get(path)!.add(member);
    }
  }

  /** The same name elsewhere, and what lies in the nearest directory above that is there. */
  hint(path: string): string {
    let up = posix.dirname(path);
    while (up !== '.' && this.#children.get(up)!.size === 0) up = posix.dirname(up);
    const rest = path.slice(up === '.' ? 0 : up.length + 1).toLowerCase();
    const beginning = (member: string): number => common(posix.basename(member).toLowerCase(), rest);
    const children = [...this.#children.get(up)!].sort(
      (one, other) => beginning(other) - beginning(one) || (one < other ? -1 : 1),
    );
    const shown = [...new Set([...this.#same.get(path)!, ...children])].slice(0, SHOWN);
    return shown.length === 0 ? '' : `Near ${path} are: ${shown.join(', ')}.`;
  }
}

function common(one: string, other: string): number {
  let length = 0;
  while (length < one.length && one[length] === other[length]) length++;
  return length;
}
