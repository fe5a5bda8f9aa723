import { stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { CaretakerError, messageOf } from '../errors.ts';

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
