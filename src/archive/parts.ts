import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rm, type FileHandle } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { PassThrough, pipeline } from 'node:stream';
import { CaretakerError, messageOf } from '../errors.ts';
import type { ByteTransform } from '../encryption/encryption.ts';
import { diskFull } from '../system/disk.ts';
import type { ProcessStream } from '../system/processes.ts';
import type { PartFile } from './manifest.ts';
import { storedName } from './names.ts';
import { checkTar } from './tar.ts';
import { compress, decompress } from './zstd.ts';

export interface PartToWrite {
  /** There already. */
  readonly directory: string;
  /** The name of the part's file; the new file has it, and `.age` behind it where it is encrypted. */
  readonly file: string;
  /** The running program whose standard output is the part. It is killed when anything else fails. */
  readonly stream: ProcessStream;
  /** Raw bytes, as far as they can be known before. */
  readonly estimate?: number;
  /** Zstandard's level, 1 by default. */
  readonly level?: number;
  /** Encrypts what is compressed. */
  readonly encrypt?: ByteTransform | undefined;
  /** Called with the raw bytes so far. */
  readonly onProgress?: (rawBytes: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Compresses, and perhaps encrypts, what the program prints into a new file (mode 600), durably: when this is fulfilled, the program has ended well and
 * both the file and its directory entry are on disk.
 *
 * Throws `disk-full`, `part-exists`, the signal's reason, and `part-failed` for everything else that went wrong, the program's
 * own failure included; the file is gone then and the program has ended.
 */
export async function writePart(part: PartToWrite): Promise<PartFile> {
  const { stream, signal } = part;
  // Before anything is awaited: when a child process exits, Node drops the output that nobody has begun to read.
  const stdout = pipeline(
    stream.stdout,
    new PassThrough({ highWaterMark: 1024 * 1024 }),
    () => undefined,
  ) as AsyncIterable<Uint8Array>;
  const path = join(part.directory, storedName(part.file, { encryption: part.encrypt ?? null }));
  const stop = (): void => stream.kill();
  signal?.addEventListener('abort', stop);
  let file: FileHandle | undefined;
  try {
    signal?.throwIfAborted();
    // `x`: a file of that name is somebody's backup.
    file = await open(path, 'wx', 0o600);
    stream.stdin.on('error', () => undefined); // A program that does not read it may close it first.
    stream.stdin.end();
    const hash = createHash('sha256');
    let bytes = 0;
    let rawBytes = 0;
    const counted = async function* (): AsyncGenerator<Uint8Array> {
      for await (const chunk of stdout) {
        rawBytes += chunk.length;
        part.onProgress?.(rawBytes);
        yield chunk;
      }
    };
    const frames = compress(counted(), part.level === undefined ? {} : { level: part.level });
    for await (const frame of part.encrypt === undefined ? frames : part.encrypt(frames)) {
      hash.update(frame);
      let at = 0;
      while (at < frame.length) at += (await file.write(frame, at)).bytesWritten;
      bytes += frame.length;
    }
    // A program that failed has printed less than the data, however well its output ended.
    await stream.done;
    await file.sync();
    await file.close();
    await syncDirectory(part.directory);
    return { file: part.file, bytes, rawBytes, sha256: hash.digest('hex') };
  } catch (error) {
    stream.kill();
    await stream.done.catch(() => undefined);
    if (file !== undefined) {
      await file.close().catch(() => undefined);
      await rm(path, { force: true });
    }
    if (signal?.aborted === true) throw signal.reason;
    throw failure(path, error, part.estimate);
  } finally {
    signal?.removeEventListener('abort', stop);
  }
}

/** A small text beside the parts (RESTORE.md, the manifest), as durably. Throws `disk-full`, `part-exists`, `part-failed`. */
export async function writeText(
  directory: string,
  name: string,
  text: string,
): Promise<{ readonly path: string; readonly name: string; readonly bytes: number; readonly sha256: string }> {
  const path = join(directory, name);
  const content = Buffer.from(text);
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'wx', 0o600);
    await file.writeFile(content);
    await file.sync();
    await file.close();
    await syncDirectory(directory);
  } catch (error) {
    if (file !== undefined) {
      await file.close().catch(() => undefined);
      await rm(path, { force: true });
    }
    throw failure(path, error, content.length);
  }
  return { path, name, bytes: content.length, sha256: createHash('sha256').update(content).digest('hex') };
}

/**
 * The raw bytes of a part's file, of an encrypted one by `decrypt`. The digest of what is stored, its length and that of the raw bytes are checked on the way:
 * the last chunk is followed by `part-damaged` where anything differs, so what was read is good only once the loop has ended.
 */
export async function* readPart(path: string, file: PartFile, decrypt?: ByteTransform): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  let bytes = 0;
  let rawBytes = 0;
  const stored = async function* (): AsyncGenerator<Buffer> {
    for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 }) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      bytes += chunk.length;
      yield chunk;
    }
  };
  try {
    for await (const chunk of decompress(decrypt === undefined ? stored() : decrypt(stored()))) {
      rawBytes += chunk.length;
      // What decodes to more than it should is stopped at once, not when the disk is full.
      if (rawBytes > file.rawBytes) throw damaged(path, 'it holds more than the manifest says');
      yield chunk;
    }
  } catch (error) {
    if (error instanceof CaretakerError && !['part-damaged', 'decryption-failed'].includes(error.code)) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new CaretakerError('part-missing', `failed to find ${path}`, {
        hint: 'The backup is incomplete: fetch it again, or take another.',
        cause: error,
      });
    }
    throw damaged(path, messageOf(error), error);
  }
  if (bytes !== file.bytes) throw damaged(path, `it has ${bytes} bytes, the manifest says ${file.bytes}`);
  if (hash.digest('hex') !== file.sha256) throw damaged(path, 'its SHA-256 is not the one in the manifest');
  if (rawBytes !== file.rawBytes) throw damaged(path, `it holds ${rawBytes} bytes, the manifest says ${file.rawBytes}`);
}

/** The raw bytes of a file of a part, from wherever its backup lies. */
export type PartReader = (file: PartFile) => AsyncIterable<Uint8Array>;

/** For the files of a backup in this directory, of an encrypted one by `decrypt`. */
export function partReader(directory: string, decrypt?: ByteTransform): PartReader {
  return (file) => readPart(partPath(directory, file, decrypt), file, decrypt);
}

/** Where a part's file lies in a directory. */
export function partPath(directory: string, { file }: PartFile, decrypt: ByteTransform | undefined): string {
  return join(directory, storedName(file, { encryption: decrypt ?? null }));
}

/**
 * Everything that can be known of a part's file without unpacking it: the digest, that all of it decompresses, and for
 * a tar archive that its members are whole and harmless. Throws `part-missing`, `part-damaged`, `part-hostile`.
 */
export async function verifyPart(
  path: string,
  file: PartFile,
  options: { readonly onProgress?: (rawBytes: number) => void; readonly decrypt?: ByteTransform | undefined } = {},
): Promise<void> {
  const raw = readPart(path, file, options.decrypt);
  let rawBytes = 0;
  try {
    for await (const chunk of file.file.endsWith('.tar.zst') ? checkTar(raw) : raw) {
      rawBytes += chunk.length;
      options.onProgress?.(rawBytes);
    }
  } catch (error) {
    if (!(error instanceof CaretakerError)) throw damaged(path, messageOf(error), error);
    if (error.message.includes(path)) throw error;
    throw new CaretakerError(error.code, `failed to verify ${path}: ${error.message}`, {
      ...(error.hint === undefined ? {} : { hint: error.hint }),
      cause: error,
    });
  }
}

function failure(path: string, error: unknown, bytes: number | undefined): CaretakerError {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOSPC' || code === 'EDQUOT') return diskFull(`write ${path}`, { place: path, bytes }, error);
  if (code === 'EEXIST') {
    return new CaretakerError('part-exists', `failed to write ${path}: it is there already`, {
      hint: 'Two backups of one project began in the same second. Run again.',
      cause: error,
    });
  }
  return new CaretakerError('part-failed', `failed to write ${basename(path)}: ${messageOf(error)}`, {
    hint:
      (error instanceof CaretakerError ? error.hint : undefined) ??
      'Nothing of the unfinished file was kept. Mend what the message names, and run again.',
    cause: error,
  });
}

function damaged(path: string, why: string, cause?: unknown): CaretakerError {
  return new CaretakerError('part-damaged', `failed to read ${path}: ${why}`, {
    hint: 'The file is not what was written. Fetch it again, or take another backup.',
    cause,
  });
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
