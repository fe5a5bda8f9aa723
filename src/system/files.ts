import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { CaretakerError, messageOf } from '../errors.ts';

/**
 * A coded error for an operation on files that the system refused: `host-files-denied` (permissions), `disk-full`, or
 * `file-operation-failed`. `what` completes "failed to …". An error that is coded already stays as it is.
 */
export function fileError(what: string, cause: unknown): CaretakerError {
  if (cause instanceof CaretakerError) return cause;
  const { code } = cause as NodeJS.ErrnoException;
  if (code === 'EACCES' || code === 'EPERM') {
    return new CaretakerError('host-files-denied', `failed to ${what}: permission denied`, {
      hint: 'Run as a user who may read and write these files.',
      cause,
    });
  }
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new CaretakerError('disk-full', `failed to ${what}: no space left`, {
      hint: 'Free some space on that filesystem and run it again.',
      cause,
    });
  }
  return new CaretakerError('file-operation-failed', `failed to ${what}: ${messageOf(cause)}`, { cause });
}

/** The file has either its old or its new content, also after a power cut. Mode 0600 unless told. */
export async function writeAtomic(file: string, content: string | Uint8Array, mode = 0o600): Promise<void> {
  const beside = path.join(path.dirname(file), `.${path.basename(file)}.${randomUUID()}.tmp`);
  try {
    await writeDurable(beside, content, mode);
    await rename(beside, file);
    await syncDirectory(path.dirname(file));
  } catch (error) {
    // What went wrong first is what is told.
    await rm(beside, { force: true }).catch(() => undefined);
    throw fileError(`write ${file}`, error);
  }
}

/** Removes what a killed `writeAtomic` left in a directory of ours, or only that of the file `of` in it. Nobody may be writing there. */
export async function removeTemporaries(directory: string, of?: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const [, file] = TEMPORARY.exec(name) ?? [];
    if (file !== undefined && (of === undefined || file === of)) await rm(path.join(directory, name), { force: true });
  }
}

const TEMPORARY = /^\.(.+)\.[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.tmp$/;

/** Writes a new file (an existing one is an error) and forces it to disk, but not its directory entry. */
export async function writeDurable(file: string, content: string | Uint8Array, mode = 0o600): Promise<void> {
  const handle = await open(file, 'wx', mode);
  try {
    await handle.chmod(mode); // The umask took its share.
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Appends one line; it is on disk when this is fulfilled. Creates the file (mode 0600), durably too. Where it fails (a full disk) the file is as
 * before: the next line must not continue half of this one.
 */
export async function appendDurable(file: string, line: string): Promise<void> {
  try {
    const handle = await open(file, 'a', 0o600);
    let isNew: boolean;
    try {
      const { size } = await handle.stat();
      isNew = size === 0;
      try {
        await handle.writeFile(`${line}\n`);
        await handle.sync();
      } catch (error) {
        await handle.truncate(size).catch(() => undefined); // What went wrong first is what is told.
        throw error;
      }
    } finally {
      await handle.close();
    }
    if (isNew) await syncDirectory(path.dirname(file));
  } catch (error) {
    throw fileError(`append to ${file}`, error);
  }
}

/** Forces the entries of a directory to disk: new, renamed and removed names. */
export async function syncDirectory(directory: string | Buffer): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Null when there is no such file, or the process whose file below /proc it is has ended. */
export async function readText(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw fileError(`read ${file}`, error);
  }
}

/** Makes the directory and its missing parents. */
export async function ensureDirectory(directory: string, mode = 0o700): Promise<void> {
  try {
    await mkdir(directory, { recursive: true, mode });
  } catch (error) {
    throw fileError(`make the directory ${directory}`, error);
  }
}
