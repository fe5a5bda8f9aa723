import { PassThrough, pipeline, Readable, type Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { checkTar } from '../archive/tar.ts';
import { CaretakerError } from '../errors.ts';
import type { HostFiles } from '../runtimes/host-files.ts';
import { diskFull, isNoSpace } from '../system/disk.ts';
import type { ProcessStream } from '../system/processes.ts';

/** The same program with its output passed through a check, whose failure is the stream's. */
export function checked(
  stream: ProcessStream,
  check: (source: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>,
): ProcessStream {
  // Read from now on: when a child process exits, Node drops the output that nobody has begun to read.
  const held = pipeline(stream.stdout, new PassThrough(), () => undefined) as AsyncIterable<Uint8Array>;
  const stdout = Readable.from(check(held), { objectMode: false });
  return { stdin: stream.stdin, stdout, done: stream.done, kill: () => stream.kill() };
}

/** Bytes made here, in the shape of a program's output. */
export function streamOf(bytes: AsyncIterable<Uint8Array>): ProcessStream {
  const stdout = Readable.from(bytes, { objectMode: false });
  const done = finished(stdout, { cleanup: true });
  done.catch(() => undefined); // Whoever reads the output sees the same error there.
  return { stdin: new PassThrough().resume(), stdout, done, kill: () => stdout.destroy() };
}

/**
 * Gives bytes to a program's standard input, and waits until it has ended well; its output is dropped. Bytes that turn
 * out to be bad kill the program, and their error is the one that counts; else the program's own words are. `enough`: no more of them are wanted.
 */
export async function feed(
  stream: ProcessStream,
  bytes: AsyncIterable<Uint8Array>,
  enough: () => boolean = () => false,
): Promise<void> {
  const { stdin, stdout, done } = stream;
  stdout.resume();
  stdin.on('error', () => undefined); // The exit code tells whether it was right to close it.
  let failed = false;
  done.catch(() => {
    failed = true;
  });
  try {
    for await (const chunk of bytes) {
      if (failed || enough()) break;
      // tar ends at the end-of-archive mark and closes its input; what follows still has to be read, for the digest comes last.
      if (stdin.destroyed || !stdin.writable) continue;
      if (!stdin.write(chunk)) await drained(stdin);
    }
  } catch (error) {
    // The program would take the end of its input for the end of the data.
    stream.kill();
    await done.catch(() => undefined);
    throw error;
  }
  stdin.end();
  await done;
}

function drained(stdin: Writable): Promise<void> {
  if (stdin.destroyed || !stdin.writableNeedDrain) return Promise.resolve();
  return new Promise((resolve) => {
    const over = (): void => {
      stdin.off('drain', over).off('close', over);
      resolve();
    };
    stdin.on('drain', over).on('close', over);
  });
}

/**
 * Unpacks a part's tar into the new directory `root` (with `over`, over what is in it). No header reaches the unpacking program before it was found
 * harmless: `part-hostile`, `part-damaged`. `disk-full` when it does not fit; `rawBytes`: as much as it may take.
 */
export async function unpack(
  files: HostFiles,
  root: string,
  bytes: AsyncIterable<Uint8Array>,
  { rawBytes, ...options }: Parameters<HostFiles['untar']>[1] & { readonly rawBytes: number },
  handlers?: Parameters<typeof checkTar>[1],
): Promise<void> {
  try {
    await feed(files.untar(root, options), checkTar(bytes, handlers));
  } catch (error) {
    throw isNoSpace(error) ? diskFull(`unpack into ${root}`, { place: root, bytes: rawBytes }, error) : error;
  }
}

/** The first bytes of a file that only the containers' root may read. */
export async function readHead(files: HostFiles, path: string, length: number): Promise<Buffer> {
  const stream = files.tar(path, { live: true });
  stream.stdin.end();
  const pieces: Buffer[] = [];
  let size = 0;
  const head = checkTar(stream.stdout as AsyncIterable<Uint8Array>, {
    onContent: (bytes) => {
      pieces.push(Buffer.from(bytes));
      size += bytes.length;
    },
  });
  let whole = true;
  for await (const chunk of head) {
    void chunk;
    if (size >= length) {
      whole = false;
      break;
    }
  }
  if (whole) await stream.done;
  else {
    stream.kill();
    await stream.done.catch(() => undefined); // Killed on purpose: the rest of a large file is not wanted.
  }
  if (size === 0) {
    throw new CaretakerError('file-empty', `failed to read ${path}: it is empty`, {
      hint: 'Look whether this is the file that the application uses.',
    });
  }
  return Buffer.concat(pieces).subarray(0, length);
}
