import { createHash, randomUUID } from 'node:crypto';
import { closeSync, constants, createReadStream, fstatSync, openSync, readSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { CaretakerError, messageOf } from '../errors.ts';
import { diskFull, type Wanted } from './disk.ts';
import { NotAFile } from './strangers.ts';

/**
 * A coded error for an operation on files that the system refused: `host-files-denied` (permissions), `disk-full`, or
 * `file-operation-failed`. `what` completes "failed to …". `wanted`: what was to be written, where the cause itself names no file. An error that
 * is coded already stays as it is.
 */
export function fileError(what: string, cause: unknown, wanted?: Wanted): CaretakerError {
  if (cause instanceof CaretakerError) return cause;
  const { code, path: from, dest } = cause as NodeJS.ErrnoException & { readonly dest?: string };
  if (code === 'EACCES' || code === 'EPERM') {
    return new CaretakerError('host-files-denied', `failed to ${what}: permission denied`, {
      hint: 'Run as a user who may read and write these files.',
      cause,
    });
  }
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    const place = dest ?? from;
    return diskFull(what, wanted ?? (place === undefined ? undefined : { place }), cause);
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
    throw fileError(`write ${file}`, error, { place: file, bytes: Buffer.byteLength(content) });
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
    throw fileError(`append to ${file}`, error, { place: file, bytes: Buffer.byteLength(line) });
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

/**
 * The bytes of a small file that came with somebody's code: `NotAFile` for what is none or has more than `limit` bytes, at once for a pipe or a device that never ends; also by a link.
 * Throws besides what the system says.
 */
export function readSmall(file: string, limit: number): Buffer {
  const descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (!fstatSync(descriptor).isFile()) throw new NotAFile('it is no regular file');
    const bytes = Buffer.alloc(limit + 1);
    let length = 0;
    for (let more = -1; more !== 0; length += more)
      more = readSync(descriptor, bytes, length, bytes.length - length, null);
    if (length > limit) throw new NotAFile(`it is larger than ${limit / 1024 / 1024} MiB`);
    return bytes.subarray(0, length);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * As `readSmall`, but takes a pipe, too (a password manager may serve secrets by one), and a device that ends (/dev/null). `NotAFile` for more than `limit` bytes, and for a pipe that
 * nobody has written to its end within `timeoutMs`.
 */
export async function readSmallOrPipe(file: string, limit: number, timeoutMs: number): Promise<Buffer> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const isPipe = (await handle.stat()).isFIFO();
    const until = performance.now() + timeoutMs;
    const bytes = Buffer.alloc(limit + 1);
    for (let length = 0; ;) {
      const more = await readNow(handle, bytes.subarray(length));
      const waits = more === null || (isPipe && more + length === 0); // No writer yet looks like the end.
      if (more === 0 && !waits) return bytes.subarray(0, length);
      length += more ?? 0;
      if (length > limit) throw new NotAFile(`it is larger than ${limit / 1024 / 1024} MiB`);
      if (waits && performance.now() > until) throw new NotAFile('it is a pipe, and nobody has written to its end');
      if (waits) await setTimeout(PIPE_PAUSE_MS);
    }
  } finally {
    await handle.close();
  }
}

const PIPE_PAUSE_MS = 20;

/** How many bytes there are now, 0 at the end; null where they are still to come. */
async function readNow(handle: FileHandle, into: Buffer): Promise<number | null> {
  try {
    return (await handle.read(into, 0, into.length, null)).bytesRead;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return null;
    throw error;
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

/** SHA-256 of a file's bytes, hex. Throws what reading it throws. */
export async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(file, { highWaterMark: 1024 * 1024 })) hash.update(piece as Buffer);
  return hash.digest('hex');
}
