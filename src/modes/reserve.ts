import { randomBytes } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import path from 'node:path';
import { ensureDirectory, fileError } from '../system/files.ts';

const MIB = 1024 * 1024;
const RESERVED = 16 * MIB;

const fileIn = (stateDirectory: string): string => path.join(stateDirectory, 'staging', 'reserve');

/**
 * Keeps some room before anything is changed, in case others fill the disk afterwards: the way back would fail for a few blocks, git's, or those in which an engine writes down that it
 * starts a container. Once for a run. `disk-full` where there is none: better now than then.
 */
export async function takeReserve(stateDirectory: string): Promise<void> {
  const file = fileIn(stateDirectory);
  await ensureDirectory(path.dirname(file));
  try {
    const handle = await open(file, 'a', 0o600);
    try {
      // A filesystem that compresses would keep next to nothing for zeros.
      const piece = randomBytes(MIB);
      for (let { size } = await handle.stat(); size < RESERVED; size += MIB) await handle.writeFile(piece);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw fileError(`keep room for the way back, ${file}`, error, { place: file, bytes: RESERVED });
  }
}

/** Before the way back, and when there is none any more. */
export async function giveReserve(stateDirectory: string): Promise<void> {
  await rm(fileIn(stateDirectory), { force: true });
}
