import { statfsSync, statSync } from 'node:fs';
import { realpath, stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { CaretakerError, messageOf } from '../errors.ts';
import { formatBytes } from './bytes.ts';

/** Bytes that this user may still write where `target` is or would be. Throws `disk-unreadable`. */
export async function freeBytes(target: string): Promise<number> {
  const place = await nearestExisting(target);
  try {
    const { bavail, bsize } = await statfs(place);
    return bavail * bsize;
  } catch (error) {
    throw unreadable(place, error);
  }
}

/**
 * Whether both are, or would be, on one filesystem. Necessary for a rename between them, but not enough: a bind mount of the same
 * filesystem refuses it (EXDEV) all the same. Throws `disk-unreadable`.
 */
export async function sameFilesystem(one: string, other: string): Promise<boolean> {
  const [first, second] = await Promise.all(
    [one, other].map(async (target) => (await stat(await nearestExisting(target))).dev),
  );
  return first === second;
}

/**
 * Whether only one kernel at a time can have the filesystem of this directory, which must be there. False for what other hosts may have too, such as NFS, and
 * for what is not known. Throws `disk-unreadable`.
 */
export async function isOwnFilesystem(directory: string): Promise<boolean> {
  try {
    return OWN_FILESYSTEMS.has((await statfs(directory)).type);
  } catch (error) {
    throw unreadable(directory, error);
  }
}

/** statfs(2): ext2 to ext4, XFS, Btrfs, ZFS, F2FS, bcachefs, tmpfs, and overlayfs, which writes to none but such. */
const OWN_FILESYSTEMS: ReadonlySet<number> = new Set([
  0xef53, 0x58465342, 0x9123683e, 0x2fc12fc1, 0xf2f52010, 0xca451a4e, 0x01021994, 0x794c7630,
]);

/** Where the filesystem is mounted that `target` is or would be on. A bind mount of the filesystem around it is none. Throws `disk-unreadable`. */
export async function mountPoint(target: string): Promise<string> {
  let place = await nearestExisting(target);
  try {
    place = await realpath(place);
    for (const { dev } = await stat(place); place !== '/'; place = path.dirname(place)) {
      if ((await stat(path.dirname(place))).dev !== dev) break;
    }
    return place;
  } catch (error) {
    throw unreadable(place, error);
  }
}

/** The third is SQLite’s, in which newer Podmans keep their state; the last is tar’s, of a file that found no room in its middle. */
const SAYS_NO_SPACE =
  /no space left on device|disk quota exceeded|database or disk is full|wrote only \d+ of \d+ bytes/i;

/** Whether what a program printed tells of a disk without space. */
export function saysNoSpace(text: string): boolean {
  return SAYS_NO_SPACE.test(text);
}

/** Whether something failed for want of space: the system's own word, or that of a program in whatever its error says. */
export function isNoSpace(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    const { code } = at as NodeJS.ErrnoException;
    if (code === 'ENOSPC' || code === 'EDQUOT') return true;
    const hint = at instanceof CaretakerError ? at.hint : undefined;
    if (saysNoSpace(`${at.message}\n${hint ?? ''}`)) return true;
  }
  return false;
}

/** What of it was to be written, and where. */
export interface Wanted {
  /** A file or directory, which need not be there. */
  readonly place: string;
  /** As much as it may take at most, where that is known. */
  readonly bytes?: number | undefined;
}

/** `disk-full`: `what` completes "failed to …"; with the numbers of the filesystem as they are now. */
export function diskFull(what: string, wanted: Wanted | undefined, cause: unknown): CaretakerError {
  const why = wanted === undefined ? 'no space left' : noSpaceLeft(wanted);
  return new CaretakerError('disk-full', `failed to ${what}: ${why}`, {
    hint: 'Free some space on that filesystem and run it again.',
    cause,
  });
}

/** `no space left: it takes up to 64.0 MB, and 1.2 MB of 268 MB are free on /srv`. */
export function noSpaceLeft({ place, bytes }: Wanted): string {
  const takes = bytes === undefined ? '' : `it takes up to ${formatBytes(bytes)}, and `;
  return `no space left: ${takes}${freeOn(place)}`;
}

/** Whether not even a few blocks, or no inode, are left: for what fails without a word of why. */
export function isFull(place: string): boolean {
  try {
    const { bavail, bsize, ffree, files } = statfsSync(existingOf(place));
    return bavail * bsize < 64 * 1024 || (files > 0 && ffree === 0);
  } catch {
    return false; // What has failed has words of its own.
  }
}

/** Without a promise: what is said of a failure must not come after what is done about it. */
function freeOn(place: string): string {
  try {
    let mount = existingOf(place);
    const { bavail, blocks, bsize, ffree, files } = statfsSync(mount);
    const { dev } = statSync(mount);
    while (mount !== '/' && statSync(path.dirname(mount)).dev === dev) mount = path.dirname(mount);
    const inodes = files > 0 && ffree === 0 ? `, with none of ${files} inodes,` : '';
    return `${formatBytes(bavail * bsize)} of ${formatBytes(blocks * bsize)} are free${inodes} on ${mount}`;
  } catch (error) {
    return `the filesystem of ${place} can't be looked at (${messageOf(error)})`;
  }
}

function existingOf(place: string): string {
  let existing = path.resolve(place);
  while (statSync(existing, { throwIfNoEntry: false }) === undefined) existing = path.dirname(existing);
  return existing;
}

async function nearestExisting(target: string): Promise<string> {
  for (let place = path.resolve(target); ; place = path.dirname(place)) {
    try {
      await stat(place);
      return place;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if ((code !== 'ENOENT' && code !== 'ENOTDIR') || place === '/') throw unreadable(place, error);
    }
  }
}

function unreadable(place: string, cause: unknown): CaretakerError {
  return new CaretakerError('disk-unreadable', `failed to look at the filesystem of ${place}: ${messageOf(cause)}`, {
    cause,
  });
}
