import { once } from 'node:events';
import { promisify } from 'node:util';
import zlib from 'node:zlib';
import { CaretakerError } from '../errors.ts';

/**
 * Zstandard as `.zst` files hold it: frames one after the other (RFC 8878), readable by any `zstd`.
 *
 * Written in frames of 2 MiB, because a frame is what one thread of Node's pool can work on alone (frames of 4 MiB take 40 MiB more memory and save no time):
 * `ZSTD_c_nbWorkers` crashes Node 24's stream, and one stream uses one core.
 */
const BLOCK_BYTES = 2 * 1024 * 1024;
const FRAMES_AT_ONCE = 4;

/** Above this a frame is decoded as a stream: frames of other programs may be as large as the file. */
const WHOLE_FRAME_BYTES = 16 * 1024 * 1024;
const MAX_BLOCK_BYTES = 128 * 1024;

const FRAME_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;

const zstdCompress = promisify<Buffer, zlib.ZstdOptions, Buffer>(zlib.zstdCompress);
const zstdDecompress = promisify<Buffer, zlib.ZstdOptions, Buffer>(zlib.zstdDecompress);

export interface CompressOptions {
  /** Zstandard's level, 1 (default) to 19. */
  readonly level?: number;
  /** Raw bytes in a frame. */
  readonly blockBytes?: number;
  /** Frames compressed at the same time. */
  readonly concurrency?: number;
}

/**
 * Compresses a stream into frames with content size and checksum, in order. Memory: `concurrency + 1` blocks and their
 * results, however long the stream is; `source` is read only as fast as the consumer takes. An empty stream is one empty frame.
 */
export async function* compress(
  source: AsyncIterable<Uint8Array>,
  options: CompressOptions = {},
): AsyncGenerator<Buffer> {
  const blockBytes = options.blockBytes ?? BLOCK_BYTES;
  const concurrency = options.concurrency ?? FRAMES_AT_ONCE;
  const settings: zlib.ZstdOptions = {
    // One call to the pool a block: with the default of 16 KiB every piece of output is a round trip of its own.
    chunkSize: Math.max(64 * 1024, blockBytes + (blockBytes >> 8) + 1024),
    params: {
      [zlib.constants.ZSTD_c_compressionLevel]: options.level ?? 1,
      [zlib.constants.ZSTD_c_checksumFlag]: 1,
      [zlib.constants.ZSTD_c_contentSizeFlag]: 1,
    },
  };
  // Blocks are used again: a new buffer for each leaves the garbage of seconds in memory.
  const free: Buffer<ArrayBuffer>[] = [];
  const pending: { readonly frame: Promise<Buffer>; readonly block: Buffer<ArrayBuffer> }[] = [];
  let block = Buffer.allocUnsafeSlow(blockBytes);
  let filled = 0;
  let frames = 0;

  const start = (raw: Buffer<ArrayBuffer>): void => {
    // Without it Node's asynchronous call writes frames that don't say how much they hold, and those are decoded by one thread, at a third of the speed.
    const frame = zstdCompress(raw.subarray(0, filled), { ...settings, pledgedSrcSize: filled });
    frame.catch(() => undefined); // Reported when its turn comes; until then it must not count as unhandled.
    pending.push({ frame, block: raw });
    frames += 1;
  };
  const next = async (): Promise<Buffer> => {
    const first = pending.shift()!;
    const frame = await first.frame;
    free.push(first.block);
    return frame;
  };

  for await (const chunk of source) {
    let at = 0;
    while (at < chunk.length) {
      const take = Math.min(chunk.length - at, blockBytes - filled);
      block.set(chunk.subarray(at, at + take), filled);
      at += take;
      filled += take;
      if (filled < blockBytes) continue;
      start(block);
      if (pending.length >= concurrency) yield await next();
      block = free.pop() ?? Buffer.allocUnsafeSlow(blockBytes);
      filled = 0;
    }
  }
  if (filled > 0 || frames === 0) start(block);
  while (pending.length > 0) yield await next();
}

/**
 * Decodes a `.zst` stream: any number of frames, skippable frames, frames of unknown size. Checksums are checked.
 * Throws `part-damaged` for a truncated stream (at whatever byte), for an empty one, and for bytes that are no frame.
 *
 * The frames' boundaries are found here, since Node's `createZstdDecompress` stops without any error at the end of the
 * first frame when a chunk holds more than one: data would be lost in silence.
 */
export async function* decompress(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  const input = new ByteReader(source);
  const ahead: Promise<Buffer>[] = [];
  try {
    if (await input.atEnd()) throw damaged('it is empty');
    while (!(await input.atEnd())) {
      const magic = (await input.exactly(4)).readUInt32LE();
      if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) {
        await input.skip((await input.exactly(4)).readUInt32LE());
        continue;
      }
      if (magic !== FRAME_MAGIC)
        throw damaged(`there is something that is no zstd frame at byte ${input.position - 4}`);
      const header = await readHeader(input);
      const blocks = readBlocks(input, header);
      const whole = header.contentSize !== undefined && header.contentSize <= WHOLE_FRAME_BYTES;
      const head: Buffer[] = [header.bytes];
      let complete = false;
      if (whole) {
        let size = 0;
        for (;;) {
          const piece = await blocks.next();
          if (piece.done === true) {
            complete = true;
            break;
          }
          head.push(piece.value);
          size += piece.value.length;
          if (size > 2 * WHOLE_FRAME_BYTES) break;
        }
      }
      if (complete) {
        const frame = decodeFrame(Buffer.concat(head), header.contentSize!);
        frame.catch(() => undefined); // As in compress().
        ahead.push(frame);
        if (ahead.length >= FRAMES_AT_ONCE) yield await ahead.shift()!;
      } else {
        while (ahead.length > 0) yield await ahead.shift()!;
        yield* decodeLongFrame(head, blocks, header.contentSize);
      }
    }
    while (ahead.length > 0) yield await ahead.shift()!;
  } finally {
    await input.close();
  }
}

interface FrameHeader {
  readonly bytes: Buffer;
  readonly checksum: boolean;
  readonly contentSize: number | undefined;
}

/** RFC 8878, 3.1.1.1, behind the magic number. */
async function readHeader(input: ByteReader): Promise<FrameHeader> {
  const descriptor = (await input.exactly(1))[0]!;
  const single = (descriptor & 0x20) !== 0;
  if ((descriptor & 0x08) !== 0) throw damaged('a frame uses a reserved bit');
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
  const sizeBytes = [single ? 1 : 0, 2, 4, 8][descriptor >> 6]!;
  const rest = await input.exactly((single ? 0 : 1) + dictionaryBytes + sizeBytes);
  const size = rest.subarray(rest.length - sizeBytes);
  const contentSize =
    sizeBytes === 0
      ? undefined
      : sizeBytes === 2
        ? size.readUInt16LE() + 256
        : sizeBytes === 8
          ? Number(size.readBigUInt64LE())
          : size.readUIntLE(0, sizeBytes);
  const magic = Buffer.alloc(4);
  magic.writeUInt32LE(FRAME_MAGIC);
  return {
    bytes: Buffer.concat([magic, Buffer.of(descriptor), rest]),
    checksum: (descriptor & 0x04) !== 0,
    contentSize,
  };
}

/** The blocks of a frame with their headers, and its checksum, as stored. */
async function* readBlocks(input: ByteReader, header: FrameHeader): AsyncGenerator<Buffer, void> {
  for (;;) {
    const head = await input.exactly(3);
    const bits = head.readUIntLE(0, 3);
    const type = (bits >> 1) & 3;
    const size = bits >> 3;
    if (type === 3) throw damaged('a block has a reserved type');
    if (type === 2 && size > MAX_BLOCK_BYTES) throw damaged('a block is larger than any may be');
    yield head;
    yield await input.exactly(type === 1 ? 1 : size);
    if ((bits & 1) === 1) break;
  }
  if (header.checksum) yield await input.exactly(4);
}

async function decodeFrame(frame: Buffer, contentSize: number): Promise<Buffer> {
  let raw: Buffer;
  try {
    raw = await zstdDecompress(frame, {
      chunkSize: Math.max(64, contentSize + 64),
      maxOutputLength: Math.max(1, contentSize),
    });
  } catch (error) {
    throw damaged('a frame does not decode', error);
  }
  if (raw.length !== contentSize) throw damaged('a frame holds less than it says');
  return raw;
}

async function* decodeLongFrame(
  head: readonly Buffer[],
  blocks: AsyncIterable<Buffer>,
  contentSize: number | undefined,
): AsyncGenerator<Buffer> {
  const decoder = zlib.createZstdDecompress({ chunkSize: 256 * 1024 });
  const feed = async (): Promise<void> => {
    const write = async (piece: Buffer): Promise<void> => {
      if (!decoder.write(piece)) await once(decoder, 'drain');
    };
    try {
      for (const piece of head) await write(piece);
      for await (const piece of blocks) await write(piece);
      decoder.end();
    } catch (error) {
      decoder.destroy(error as Error);
    }
  };
  const fed = feed();
  let size = 0;
  try {
    for await (const piece of decoder as AsyncIterable<Buffer>) {
      size += piece.length;
      yield piece;
    }
    await fed;
  } catch (error) {
    throw error instanceof CaretakerError ? error : damaged('a frame does not decode', error);
  } finally {
    decoder.destroy();
    await fed;
  }
  if (contentSize !== undefined && size !== contentSize) throw damaged('a frame holds less than it says');
}

function damaged(why: string, cause?: unknown): CaretakerError {
  return new CaretakerError('part-damaged', `failed to decompress the data: ${why}`, {
    hint: 'The file is not what was written. Fetch it again, or take another backup.',
    cause,
  });
}

/** Exact numbers of bytes out of a stream of chunks of any size. */
class ByteReader {
  private readonly chunks: AsyncIterator<Uint8Array>;
  private current: Buffer = Buffer.alloc(0);
  private ended = false;
  position = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.chunks = source[Symbol.asyncIterator]();
  }

  private async more(): Promise<boolean> {
    while (this.current.length === 0 && !this.ended) {
      const next = await this.chunks.next();
      if (next.done === true) this.ended = true;
      else this.current = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength);
    }
    return this.current.length > 0;
  }

  async atEnd(): Promise<boolean> {
    return !(await this.more());
  }

  /** A view where one chunk holds it all, a copy otherwise. */
  async exactly(bytes: number): Promise<Buffer> {
    this.position += bytes;
    if (this.current.length >= bytes) return this.take(bytes);
    const pieces: Buffer[] = [];
    let missing = bytes;
    while (missing > 0) {
      if (!(await this.more())) throw damaged('it ends in the middle of a frame');
      const piece = this.take(Math.min(missing, this.current.length));
      pieces.push(piece);
      missing -= piece.length;
    }
    return Buffer.concat(pieces);
  }

  async skip(bytes: number): Promise<void> {
    this.position += bytes;
    let missing = bytes;
    while (missing > 0) {
      if (!(await this.more())) throw damaged('it ends in the middle of a frame');
      missing -= this.take(Math.min(missing, this.current.length)).length;
    }
  }

  /** Lets the source go, also where the consumer stopped early. */
  async close(): Promise<void> {
    this.ended = true;
    await this.chunks.return?.();
  }

  private take(bytes: number): Buffer {
    const taken = this.current.subarray(0, bytes);
    this.current = this.current.subarray(bytes);
    return taken;
  }
}
