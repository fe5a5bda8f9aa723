import { describe, expect, jest, test } from '@jest/globals';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import zlib from 'node:zlib';
import { compress, decompress } from '../../../src/archive/zstd.ts';

// Thousands of small decompressions: a busy machine takes its time.
jest.setTimeout(60_000);

async function* chunksOf(bytes: Uint8Array, size: (at: number) => number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length;) {
    const length = Math.max(1, size(at));
    yield bytes.subarray(at, at + length);
    at += length;
    await Promise.resolve();
  }
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of source) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

/** A generator of its own, so that a failure can be repeated by its seed. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return state % below;
  };
}

/** Half noise, half repetition, as data are. */
function sample(bytes: number, next: (below: number) => number): Buffer {
  const data = Buffer.alloc(bytes, 'row of a table; ');
  for (let at = 0; at < bytes; at += 4096) if (next(2) === 0) randomBytes(Math.min(4096, bytes - at)).copy(data, at);
  return data;
}

const zstd = (bytes: Uint8Array, params: Record<number, number> = {}): Buffer =>
  zlib.zstdCompressSync(bytes, { params: { [zlib.constants.ZSTD_c_checksumFlag]: 1, ...params } });

/** A frame without its content's size, as a program writes that compresses a pipe. */
async function streamed(bytes: Uint8Array, params: Record<number, number> = {}): Promise<Buffer> {
  const stream = zlib.createZstdCompress({ params });
  const result = collect(stream);
  for await (const chunk of chunksOf(bytes, () => 10_000)) if (!stream.write(chunk)) await once(stream, 'drain');
  stream.end();
  return result;
}

describe('compress and decompress', () => {
  test.each(Array.from({ length: 25 }, (_, seed) => seed + 1))(
    'give back what went in, however it is cut (seed %i)',
    async (seed) => {
      const next = random(seed);
      const raw = sample(next(400_000), next);
      const options = { blockBytes: 2000 + next(60_000), concurrency: 1 + next(5) };
      const stored = await collect(
        compress(
          chunksOf(raw, () => 1 + next(30_000)),
          options,
        ),
      );
      const again = await collect(decompress(chunksOf(stored, () => 1 + next(9_000))));
      expect(again.equals(raw)).toBe(true);
    },
  );

  test('a stream larger than a block keeps its order at the default block size', async () => {
    const raw = sample(9_000_000, random(7));
    const stored = await collect(compress(chunksOf(raw, () => 65_536)));
    expect((await collect(decompress(chunksOf(stored, () => 1_000_000)))).equals(raw)).toBe(true);
  });

  test('each frame says how much it holds: only such ones are decoded several at a time', async () => {
    const raw = sample(250_000, random(5));
    const frames: Buffer[] = [];
    for await (const frame of compress(
      chunksOf(raw, () => 30_000),
      { blockBytes: 100_000 },
    ))
      frames.push(frame);
    const blocks = [0, 100_000, 200_000].map((at) => raw.subarray(at, at + 100_000));
    // RFC 8878, 3.1.1.1: the flag of the content's size, or a single segment.
    expect(frames.map((frame) => (frame[4]! & 0xe0) !== 0)).toEqual([true, true, true]);
    expect(frames.map((frame) => zlib.zstdDecompressSync(frame).equals(blocks.shift()!))).toEqual([true, true, true]);
  });

  test('an empty stream is a file that every zstd reads', async () => {
    const stored = await collect(compress(chunksOf(Buffer.alloc(0), () => 1)));
    expect(stored.length).toBeGreaterThan(0);
    expect(zlib.zstdDecompressSync(stored)).toHaveLength(0);
    expect(await collect(decompress(chunksOf(stored, () => 1)))).toHaveLength(0);
  });

  test('the source is read no faster than the consumer takes', async () => {
    let given = 0;
    const source = async function* (): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < 1000; i += 1) {
        given += 1;
        yield randomBytes(1000);
        await Promise.resolve();
      }
    };
    const frames = compress(source(), { blockBytes: 1000, concurrency: 4 });
    await frames.next();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(given).toBeLessThan(10);
    await frames.return(undefined);
  });

  test('a failing source fails the compression, also behind frames that are under way', async () => {
    const source = async function* (): AsyncGenerator<Uint8Array> {
      yield randomBytes(5000);
      await Promise.resolve();
      throw new Error('the disk is gone');
    };
    await expect(collect(compress(source(), { blockBytes: 1000 }))).rejects.toThrow('the disk is gone');
  });
});

describe('decompress', () => {
  test('reads several frames that arrive in one chunk: none is lost', async () => {
    const parts = [Buffer.from('one '), Buffer.from('two '), Buffer.from('three')];
    const stored = Buffer.concat(parts.map((part) => zstd(part)));
    expect((await collect(decompress(chunksOf(stored, () => stored.length)))).toString()).toBe('one two three');
  });

  test('reads skippable frames, frames without size, without checksum, and long ones', async () => {
    const raw = sample(3_000_000, random(3));
    const skippable = Buffer.alloc(8 + 5);
    skippable.writeUInt32LE(0x184d2a53, 0);
    skippable.writeUInt32LE(5, 4);
    const stored = Buffer.concat([
      skippable,
      await streamed(raw),
      zstd(raw, { [zlib.constants.ZSTD_c_checksumFlag]: 0 }),
      skippable,
      await streamed(Buffer.alloc(0)),
      zstd(Buffer.alloc(300_000)),
    ]);
    const again = await collect(decompress(chunksOf(stored, () => 50_000)));
    expect(again.equals(Buffer.concat([raw, raw, Buffer.alloc(300_000)]))).toBe(true);
  });

  test('a frame above 16 MiB of content comes out as a stream, whole', async () => {
    const raw = Buffer.concat([Buffer.alloc(17 * 1024 * 1024, 'x'), sample(100_000, random(9))]);
    const stored = Buffer.concat([zstd(Buffer.from('before ')), zstd(raw), zstd(Buffer.from(' behind'))]);
    const hash = createHash('sha256');
    let largest = 0;
    for await (const piece of decompress(chunksOf(stored, () => 7000))) {
      hash.update(piece);
      largest = Math.max(largest, piece.length);
    }
    expect(hash.digest('hex')).toBe(createHash('sha256').update('before ').update(raw).update(' behind').digest('hex'));
    expect(largest).toBeLessThan(1024 * 1024);
  });

  test('truncated at whatever byte it is an error, never a shorter file', async () => {
    const frames = [
      zstd(Buffer.from('alpha')),
      await streamed(Buffer.from('beta beta beta')),
      zstd(Buffer.alloc(700, 'gamma')),
    ] as const;
    const whole = Buffer.concat(frames);
    const ends = new Set([frames[0].length, frames[0].length + frames[1].length, whole.length]);
    for (let length = 0; length < whole.length; length += 1) {
      const reading = collect(decompress(chunksOf(whole.subarray(0, length), () => 11)));
      // Between frames the format has no way to tell: the digest and the length in the manifest do.
      if (ends.has(length)) await reading;
      else await expect(reading).rejects.toMatchObject({ code: 'part-damaged' });
    }
  });

  test('a flipped bit anywhere is an error', async () => {
    const whole = Buffer.concat([zstd(sample(300, random(5))), zstd(Buffer.from('the second frame'))]);
    const good = await collect(decompress(chunksOf(whole, () => 100)));
    for (let bit = 0; bit < whole.length * 8; bit += 1) {
      const bad = Buffer.from(whole);
      bad[bit >> 3]! ^= 1 << (bit & 7);
      const outcome = await collect(decompress(chunksOf(bad, () => 100))).catch((error: unknown) => error);
      // A few bits of a header mean nothing for what is decoded; what must not happen is other data.
      if (Buffer.isBuffer(outcome)) expect(outcome.equals(good)).toBe(true);
      else expect(outcome).toMatchObject({ code: 'part-damaged' });
    }
  });

  test.each([
    ['text', Buffer.from('this is no archive')],
    ['zeros', Buffer.alloc(64)],
    ['another frame magic', Buffer.from([0x04, 0x22, 0x4d, 0x18, 0, 0, 0, 0])],
  ])('garbage behind the last frame (%s) is an error', async (_name, garbage) => {
    const stored = Buffer.concat([zstd(Buffer.from('data')), garbage]);
    await expect(collect(decompress(chunksOf(stored, () => 5)))).rejects.toMatchObject({ code: 'part-damaged' });
  });

  test('a frame that holds more than it says is stopped, not unpacked into memory', async () => {
    const bomb = zstd(Buffer.alloc(5_000_000));
    // The content's size lies behind magic and descriptor (single segment, 4 bytes).
    bomb.writeUInt32LE(1000, bomb.readUInt32LE(5) === 5_000_000 ? 5 : 6);
    await expect(collect(decompress(chunksOf(bomb, () => 100)))).rejects.toMatchObject({ code: 'part-damaged' });
  });

  test('an error of the source is passed on as it is', async () => {
    const source = async function* (): AsyncGenerator<Uint8Array> {
      yield zstd(Buffer.from('x')).subarray(0, 6);
      await Promise.resolve();
      throw new Error('connection lost');
    };
    await expect(collect(decompress(source()))).rejects.toThrow('connection lost');
  });

  test('a consumer that stops early lets the source go', async () => {
    let closed = false;
    const source = async function* (): AsyncGenerator<Uint8Array> {
      try {
        for (;;) {
          yield zstd(randomBytes(100));
          await Promise.resolve();
        }
      } finally {
        closed = true;
      }
    };
    for await (const piece of decompress(source())) {
      expect(piece).toHaveLength(100);
      break;
    }
    expect(closed).toBe(true);
  });
});
