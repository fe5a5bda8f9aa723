import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { constants, createReadStream, createWriteStream } from 'node:fs';
import {
  chmod,
  lchown,
  lstat,
  mkdir,
  open,
  opendir,
  readdir,
  realpath,
  rename,
  rm,
  rmdir,
  unlink,
} from 'node:fs/promises';
import type { BigIntStats, Stats } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { finished } from 'node:stream/promises';
import { promisify } from 'node:util';
import { CaretakerError } from '../errors.ts';
import { fileError, syncDirectory } from './files.ts';

/** What a walk over a directory tree on the host found. */
export interface TreeScan {
  /** The real path: where the given one is, or goes through, a symbolic link, what it leads to. */
  readonly root: string;
  readonly kind: 'directory' | 'file' | 'socket' | 'missing' | 'other';
  readonly files: number;
  /** Bytes as allocated on disk, so that sparse files count as what they hold. */
  readonly bytes: number;
  /** Paths relative to the root (`.` for the root itself) of files that begin with `SQLite format 3\0` and are not empty. */
  readonly sqliteFiles: readonly string[];
  /** Relative paths (`.` for the root itself) of directories that hold a PostgreSQL cluster (PG_VERSION beside global/pg_control). */
  readonly postgresDirectories: readonly string[];
  /** Names of directories directly below the root that say of themselves that they are caches: CACHEDIR.TAG in them, or `__pycache__`. */
  readonly caches: readonly string[];
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/** What this product puts beside data carries this in its name; it is never data. */
export const OURS = '.caretaker';

const SQLITE_MAGIC = Buffer.from('SQLite format 3\0', 'latin1');

/**
 * Walks a tree without following links and without what is ours. What vanishes meanwhile does not count. Throws `host-files-denied`
 * where something may not be read.
 */
export async function scanTree(root: string): Promise<TreeScan> {
  const real = await realpathOrNull(root);
  const stat = real === null ? null : await lstatOrNull(real);
  if (real === null || stat === null) {
    return {
      ...{ root, kind: 'missing', files: 0, bytes: 0, sqliteFiles: [], postgresDirectories: [], caches: [] },
      ...{ uid: 0, gid: 0, mode: 0 },
    };
  }
  const found = {
    ...{ files: 0, bytes: 0 },
    ...{ sqliteFiles: [] as string[], postgresDirectories: [] as string[], caches: [] as string[] },
  };
  const linked = new Set<string>();

  const visitFile = async (file: string, fileStat: Stats, inPostgres: boolean): Promise<void> => {
    found.files++;
    // A file with several names holds its bytes once.
    const inode = `${fileStat.dev}:${fileStat.ino}`;
    if (fileStat.nlink === 1 || !linked.has(inode)) found.bytes += fileStat.blocks * 512;
    if (fileStat.nlink > 1) linked.add(inode);
    // 512 is SQLite's smallest page. No file of a PostgreSQL cluster is a SQLite database, and there are many.
    if (!inPostgres && fileStat.size >= 512 && (await isSqlite(file))) {
      found.sqliteFiles.push(path.relative(real, file) || '.');
    }
  };
  const visitDirectory = async (directory: string, directoryStat: Stats, within: boolean): Promise<void> => {
    found.bytes += directoryStat.blocks * 512;
    const names = await listOrEmpty(directory);
    const isCluster =
      !within &&
      names.includes('PG_VERSION') &&
      (await lstatOrNull(path.join(directory, 'global/pg_control'))) !== null;
    if (isCluster) found.postgresDirectories.push(path.relative(real, directory) || '.');
    const name = path.relative(real, directory);
    const isCache = names.includes('CACHEDIR.TAG') || name === '__pycache__';
    if (isCache && path.dirname(directory) === real) found.caches.push(name);
    for (const entry of names) {
      if (entry.includes(OURS)) continue;
      const member = path.join(directory, entry);
      const memberStat = await lstatOrNull(member);
      if (memberStat?.isDirectory()) await visitDirectory(member, memberStat, within || isCluster);
      else if (memberStat?.isFile()) await visitFile(member, memberStat, within || isCluster);
    }
  };

  if (stat.isDirectory()) await visitDirectory(real, stat, false);
  else if (stat.isFile()) await visitFile(real, stat, false);
  found.sqliteFiles.sort();
  found.postgresDirectories.sort();
  found.caches.sort();
  const kind = stat.isDirectory() ? 'directory' : stat.isFile() ? 'file' : stat.isSocket() ? 'socket' : 'other';
  return { root: real, kind, ...found, uid: stat.uid, gid: stat.gid, mode: stat.mode & 0o7777 };
}

export interface FingerprintOptions {
  /** Plain paths relative to each root, left out with all below them. */
  readonly exclude: readonly string[];
  /** First has what mapped memory holds written back (`sync --file-system`), or later writes to the same pages would move no time. */
  readonly settle: boolean;
  /** Only what contents move: SQLite's readers give its files their owner anew, which moves times of change. */
  readonly contents: boolean;
}

/**
 * A digest over what lies in these trees (or single files, or nothing): for files and links name, inode, size, owner, mode, links, times of
 * modification and change in nanoseconds; for directories no times, which move with what is left out. What is ours does not count. Throws `host-files-denied` where something may not be read.
 */
export async function fingerprintTrees(
  roots: readonly string[],
  { exclude, settle, contents }: FingerprintOptions,
): Promise<string> {
  const hash = createHash('sha256');
  for (const [index, root] of roots.entries()) {
    if (settle) await writeBack(root);
    let missing = true;
    for await (const { name, state } of entriesOf(root, exclude, contents)) {
      missing = false;
      hash.update(`${JSON.stringify([index, name, state])}\n`);
    }
    if (missing) hash.update(`${JSON.stringify([index, 'missing'])}\n`);
  }
  return hash.digest('hex');
}

/** What a walk sees of one thing in a tree. */
interface TreeEntry {
  /** Relative to the root, '' for itself; each byte of the name as one character, since it need not be UTF-8. */
  readonly name: string;
  readonly type: 'directory' | 'file' | 'link' | 'other';
  /** Two that are equal: it was not written to in between. */
  readonly state: string;
}

/** The root and all below it, without what is ours: parents before children, siblings by the bytes of their names. Nothing where there is nothing. */
async function* entriesOf(root: string, exclude: readonly string[], contents: boolean): AsyncGenerator<TreeEntry> {
  const left = new Set(exclude);
  const entry = (name: string, stat: BigIntStats): TreeEntry => {
    const { ino, mode, uid, gid, size, nlink, mtimeNs, ctimeNs } = stat;
    const isDirectory = stat.isDirectory();
    const written = isDirectory ? [] : [size, mtimeNs];
    const changed = contents ? [] : [mode, uid, gid, ...(isDirectory ? [] : [nlink, ctimeNs])];
    const type = isDirectory ? 'directory' : stat.isFile() ? 'file' : stat.isSymbolicLink() ? 'link' : 'other';
    return { name, type, state: [ino, ...written, ...changed].map(String).join(' ') };
  };
  async function* below(directory: Buffer, name: string, plain: string): AsyncGenerator<TreeEntry> {
    for (const member of (await rawNames(directory)).sort((one, other) => one.compare(other))) {
      const memberPlain = plain === '' ? member.toString() : `${plain}/${member.toString()}`;
      if (member.includes(OURS) || left.has(memberPlain)) continue;
      const place = inside(directory, member);
      const stat = await bigStatOrNull(place);
      if (stat === null) continue;
      const memberName = name === '' ? member.toString('latin1') : `${name}/${member.toString('latin1')}`;
      yield entry(memberName, stat);
      if (stat.isDirectory()) yield* below(place, memberName, memberPlain);
    }
  }
  const real = await realpathOrNull(root);
  const stat = real === null ? null : await bigStatOrNull(real);
  if (real === null || stat === null) return;
  yield entry('', stat);
  if (stat.isDirectory()) yield* below(Buffer.from(real), '', '');
}

/** Writes back what mapped memory holds, which moves times. Of the filesystem: a journal that is there now may be gone at once. */
async function writeBack(root: string): Promise<void> {
  const real = await realpathOrNull(root);
  const stat = real === null ? null : await lstatOrNull(real);
  if (real === null || stat === null) return;
  await promisify(execFile)('sync', ['--file-system', '--', stat.isDirectory() ? real : path.dirname(real)]);
}

export interface TreeChanges {
  /** What came or was written to, with the directories that hold it or held what went: parents first. Names as in `TreeEntry`; '' for the root. */
  readonly changed: readonly string[];
  /** What went, or became something of another type: the topmost only. */
  readonly removed: readonly string[];
}

/** Names in an answer: more is no small change, and an answer that is passed through a pipe must end. */
const MAX_CHANGE_BYTES = 512 * 1024;

/**
 * What changed in a directory since `note` was written by the last call, and writes it anew. Null where that can't be told: the first time, where the root is another one, where there is
 * too much of it. `settle` as for a fingerprint. Throws `host-files-denied`, `disk-full`.
 */
export async function treeChanges(
  root: string,
  { exclude, note, settle }: { readonly exclude: readonly string[]; readonly note: string; readonly settle: boolean },
): Promise<TreeChanges | null> {
  if (settle) await writeBack(root);
  const next = `${note}.next`;
  const before = await notedEntries(note);
  let changes: Changes | null = before === null || (await realpathOrNull(root)) === null ? null : new Changes();
  const out = createWriteStream(next, { mode: 0o600, flags: 'w' });
  const written = finished(out);
  written.catch(() => undefined);
  try {
    let then = await before?.next();
    for await (const entry of entriesOf(root, exclude, false)) {
      // What has failed never drains.
      if (!out.write(`${JSON.stringify([entry.name, entry.type, entry.state])}\n`))
        await Promise.race([once(out, 'drain'), written]);
      if (changes === null) continue;
      while (then?.done === false && byPlace(then.value.name, entry.name) < 0) {
        changes.went(then.value);
        then = await before?.next();
      }
      const same: TreeEntry | null = then?.done === false && then.value.name === entry.name ? then.value : null;
      if (same !== null) then = await before?.next();
      if (same === null) changes.came(entry);
      else if (same.type !== entry.type) changes.became(entry);
      else if (same.state !== entry.state) changes.wrote(entry);
      // Another root, or more than a small change.
      if ((entry.name === '' && same?.state.split(' ')[0] !== entry.state.split(' ')[0]) || changes.tooMany)
        changes = null;
    }
    while (changes !== null && then?.done === false) {
      changes.went(then.value);
      then = await before?.next();
      if (changes.tooMany) changes = null;
    }
    out.end();
    await written;
    await rename(next, note);
  } catch (error) {
    out.destroy();
    const bytes = (await lstatOrNull(note))?.size;
    throw fileError(`note what is in ${root}`, error, { place: note, bytes });
  } finally {
    await before?.return(undefined);
  }
  return changes?.result() ?? null;
}

class Changes {
  readonly #changed = new Set<string>();
  readonly #removed: string[] = [];
  #bytes = 0;

  came({ name }: TreeEntry): void {
    this.#add(name);
    this.#addParent(name);
  }

  wrote({ name }: TreeEntry): void {
    this.#add(name);
    // Unpacking a file moves the times of its directory.
    this.#addParent(name);
  }

  became(entry: TreeEntry): void {
    this.#remove(entry.name);
    this.came(entry);
  }

  went({ name }: TreeEntry): void {
    // Below what has gone nothing is left whose times had to be given back.
    if (this.#remove(name)) this.#addParent(name);
  }

  get tooMany(): boolean {
    return this.#bytes > MAX_CHANGE_BYTES;
  }

  result(): TreeChanges {
    return { changed: [...this.#changed].sort(byPlace), removed: this.#removed };
  }

  #add(name: string): void {
    if (this.#changed.has(name)) return;
    this.#changed.add(name);
    this.#bytes += name.length;
  }

  #remove(name: string): boolean {
    const last = this.#removed.at(-1);
    // They come in the order of the walk: what lies below something comes right after it.
    if (last !== undefined && name.startsWith(`${last}/`)) return false;
    this.#removed.push(name);
    this.#bytes += name.length;
    return true;
  }

  #addParent(name: string): void {
    if (name === '') return;
    const slash = name.lastIndexOf('/');
    this.#add(slash === -1 ? '' : name.slice(0, slash));
  }
}

/** The order of the walk: of their components, since `a.b` comes before `a/b` by its bytes and after it by its place. */
function byPlace(one: string, other: string): number {
  const [ones, others] = [one, other].map((name) => (name === '' ? [] : name.split('/')));
  for (let at = 0; at < Math.max(ones!.length, others!.length); at++) {
    const [a, b] = [ones![at], others![at]];
    if (a === b) continue;
    if (a === undefined) return -1;
    if (b === undefined) return 1;
    return a < b ? -1 : 1;
  }
  return 0;
}

/** What `treeChanges` wrote down; null where it has not. */
async function notedEntries(note: string): Promise<AsyncGenerator<TreeEntry, void> | null> {
  if ((await lstatOrNull(note)) === null) return null;
  return (async function* () {
    const input = createReadStream(note);
    try {
      for await (const line of createInterface({ input })) {
        const [name, type, state] = JSON.parse(line) as [string, TreeEntry['type'], string];
        yield { name, type, state };
      }
    } finally {
      input.destroy();
    }
  })();
}

/**
 * Removes what lies at these names (as in `TreeChanges`) in a directory, whole trees too, never through a link. What is not there is no error. Throws `part-hostile`, before it removes
 * any, where a name leads elsewhere.
 */
export async function removeMembers(root: string, names: readonly string[]): Promise<void> {
  const hostile = (name: string, why: string): CaretakerError =>
    new CaretakerError('part-hostile', `refused to remove "${name}" in ${root}: it ${why}`, {
      hint: 'Nobody wrote this by accident: find out where the backup comes from.',
    });
  for (const name of names) {
    const parts = name.split('/');
    if (parts.some((part) => ['', '.', '..'].includes(part)) || name.includes('\0'))
      throw hostile(name, 'is no path below it');
    let directory: Buffer = Buffer.from(root);
    for (const part of parts.slice(0, -1)) {
      directory = inside(directory, Buffer.from(part, 'latin1'));
      const stat = await bigStatOrNull(directory);
      if (stat !== null && !stat.isDirectory()) throw hostile(name, 'goes through something that is no directory');
    }
  }
  for (const name of names) {
    const place = inside(Buffer.from(root), Buffer.from(name, 'latin1'));
    try {
      const stat = await bigStatOrNull(place);
      if (stat === null) continue;
      if (stat.isDirectory()) {
        await emptyBelow(place, [], stat.dev);
        await rmdir(place);
      } else await unlink(place);
    } catch (error) {
      throw fileError(`remove ${place.toString()}`, error);
    }
  }
}

/** As they are on disk: a name need not be UTF-8, and one that was decoded wrong leads nowhere. */
async function rawNames(directory: Buffer): Promise<Buffer[]> {
  try {
    return await readdir(directory, { encoding: 'buffer' });
  } catch (error) {
    if (isAbsent(error)) return [];
    throw fileError(`list ${directory.toString()}`, error);
  }
}

function inside(directory: Buffer, name: Buffer): Buffer {
  return Buffer.concat([directory, Buffer.from(path.sep), name]);
}

async function bigStatOrNull(file: string | Buffer): Promise<BigIntStats | null> {
  try {
    return await lstat(file, { bigint: true });
  } catch (error) {
    if (isAbsent(error)) return null;
    throw fileError(`look at ${file.toString()}`, error);
  }
}

async function isSqlite(file: string): Promise<boolean> {
  try {
    // NOFOLLOW, NONBLOCK: it may have become a link or a pipe since it was looked at.
    const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const head = Buffer.alloc(SQLITE_MAGIC.length);
      await handle.read(head, 0, head.length, 0);
      return head.equals(SQLITE_MAGIC);
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (['ENOENT', 'ELOOP', 'ENXIO'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw fileError(`read ${file}`, error);
  }
}

async function listOrEmpty(directory: string): Promise<string[]> {
  try {
    const names: string[] = [];
    for await (const entry of await opendir(directory)) names.push(entry.name);
    return names;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw fileError(`list ${directory}`, error);
  }
}

/** What is ours beside these trees and files, and directly in them, as far as this process may look. */
export async function oursAt(roots: readonly string[]): Promise<string[]> {
  const places = new Set(roots.flatMap((root) => [path.dirname(root), root]));
  const found: string[] = [];
  for (const place of places) {
    const names = await readdir(place).catch((error: NodeJS.ErrnoException) => {
      if (['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM'].includes(error.code ?? '')) return [];
      throw fileError(`list ${place}`, error);
    });
    found.push(...names.filter((name) => name.includes(`${OURS}-`)).map((name) => path.join(place, name)));
  }
  return found.sort();
}

/** Null where nothing has that name; a link is what it is. */
export async function lstatOrNull(file: string): Promise<Stats | null> {
  try {
    return await lstat(file);
  } catch (error) {
    if (isAbsent(error)) return null;
    throw fileError(`look at ${file}`, error);
  }
}

/** What lies at paths below `root` ('' for itself), links not followed; null for nothing, and for what would be behind a link that is listed before it. */
export async function kindsIn(
  root: string,
  paths: readonly string[],
): Promise<('directory' | 'file' | 'link' | 'other' | null)[]> {
  const kinds: Awaited<ReturnType<typeof kindsIn>> = [];
  for (const one of paths) {
    const isBehindLink = paths.some((up, index) => kinds[index] === 'link' && one.startsWith(`${up}/`));
    const stat = isBehindLink ? null : await lstatOrNull(path.join(root, one));
    const known = stat?.isDirectory()
      ? 'directory'
      : stat?.isFile()
        ? 'file'
        : stat?.isSymbolicLink()
          ? 'link'
          : 'other';
    kinds.push(stat === null ? null : known);
  }
  return kinds;
}

async function realpathOrNull(file: string): Promise<string | null> {
  try {
    return await realpath(file);
  } catch (error) {
    if (isAbsent(error)) return null;
    throw fileError(`look at ${file}`, error);
  }
}

function isAbsent(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
}

/**
 * Removes whole trees, never following links. Nothing there is no error. Refuses all, before it removes any, when one has no
 * `.caretaker` in its real path: `not-ours`.
 */
export async function removeTrees(paths: readonly string[]): Promise<void> {
  const targets: string[] = [];
  for (const given of paths) {
    const normal = path.resolve(given);
    // A link on the way may lead anywhere: what counts is where the last component really is.
    const parent = await realpathOrNull(path.dirname(normal));
    const target = path.join(parent ?? path.dirname(normal), path.basename(normal));
    if (
      !path.isAbsolute(given) ||
      !normal.includes(OURS) ||
      !target.split(path.sep).some((part) => part.includes(OURS))
    ) {
      throw new CaretakerError('not-ours', `refused to remove ${given}: it is not one of the caretaker's own files`);
    }
    if (parent !== null) targets.push(target);
  }
  for (const target of targets) {
    try {
      await rm(target, { recursive: true, force: true });
      await syncDirectory(path.dirname(target));
    } catch (error) {
      throw fileError(`remove ${target}`, error);
    }
  }
}

/** Removes what this user has unpacked, directories included that he may not write in as they were stored. */
export async function removeOwnTree(root: string): Promise<void> {
  const open = async (directory: string): Promise<void> => {
    await chmod(directory, 0o700);
    for (const entry of await readdir(directory, { withFileTypes: true }))
      if (entry.isDirectory()) await open(path.join(directory, entry.name));
  };
  if ((await lstatOrNull(root))?.isDirectory()) await open(root);
  await rm(root, { recursive: true, force: true });
}

/** Removes what is in a directory, but for `keep` (relative paths, with all below), the caretaker's own files and other filesystems. */
export async function emptyTree(root: string, keep: readonly string[]): Promise<void> {
  try {
    const top = await lstatOrNull(root);
    if (top?.isDirectory() === true) await emptyBelow(Buffer.from(root), keep, BigInt(top.dev));
  } catch (error) {
    throw fileError(`empty ${root}`, error);
  }
}

async function emptyBelow(directory: Buffer, keep: readonly string[], device: bigint): Promise<void> {
  for (const entry of await rawNames(directory)) {
    const name = entry.toString();
    if (entry.includes(OURS) || keep.includes(name)) continue;
    const place = inside(directory, entry);
    const stats = await bigStatOrNull(place);
    if (stats === null || stats.dev !== device) continue;
    if (stats.isDirectory()) {
      const inside = keep.flatMap((one) => (one.startsWith(`${name}/`) ? [one.slice(name.length + 1)] : []));
      await emptyBelow(place, inside, device);
      // Something that stays may be in it.
      if ((await rawNames(place)).length === 0) await rmdir(place);
    } else {
      await unlink(place);
    }
  }
  await syncDirectory(directory);
}

/** A new directory with owner, group and mode of `like`. Its parent must be there, itself not. */
export async function makeDirectoryLike(directory: string, like: string): Promise<void> {
  try {
    await mkdir(directory, { mode: 0o700 });
    await likeness(directory, like);
    await syncDirectory(path.dirname(directory));
  } catch (error) {
    throw fileError(`make the directory ${directory}`, error);
  }
}

/** Owner, group and mode of `like` for `target` itself. */
export async function likeness(target: string, like: string): Promise<void> {
  try {
    const model = await lstat(like);
    const now = await lstat(target);
    // Only when needed: who is not root may not even give a file to himself everywhere.
    const isAnothers = now.uid !== model.uid || now.gid !== model.gid;
    if (isAnothers) await lchown(target, model.uid, model.gid);
    // After the owner: a change of owner takes setuid and setgid bits away. A mount point may be root's, and writable for us.
    if (!now.isSymbolicLink() && (isAnothers || now.mode !== model.mode)) await chmod(target, model.mode & 0o7777);
  } catch (error) {
    throw fileError(`give ${target} the owner and mode of ${like}`, error);
  }
}
