import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import zlib from 'node:zlib';
import type { PartFile } from '../../../src/archive/manifest.ts';
import { readPart, verifyPart, writePart, writeText } from '../../../src/archive/parts.ts';
import { TAR_END, tarHeader } from '../../../src/archive/tar.ts';
import type { ProcessStream } from '../../../src/system/processes.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'caretaker-parts-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

/** A program that prints these, and then ends well or badly. */
function program(output: Iterable<Buffer> | AsyncIterable<Buffer>, end?: Error): ProcessStream & { killed: boolean } {
  const stdout = Readable.from(output, { objectMode: false });
  const done = new Promise<void>((resolve, reject) => {
    stdout.once('close', () => (end === undefined ? resolve() : reject(end)));
  });
  done.catch(() => undefined);
  const stream = { stdin: new PassThrough(), stdout, done, killed: false, kill: () => void stdout.destroy() };
  stream.kill = () => {
    stream.killed = true;
    stdout.destroy();
  };
  return stream;
}

const write = (stream: ProcessStream, file = 'b.p.dump.zst'): Promise<PartFile> =>
  writePart({ directory, file, stream });

async function readAll(file: PartFile): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of readPart(join(directory, file.file), file)) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

describe('writePart', () => {
  test('stores what the program printed, with its digest and sizes, for the owner only', async () => {
    const seen: number[] = [];
    const file = await writePart({
      directory,
      file: 'b.p.dump.zst',
      stream: program([Buffer.from('hello '), Buffer.from('world')]),
      onProgress: (bytes) => seen.push(bytes),
    });
    const stored = await readFile(join(directory, 'b.p.dump.zst'));
    expect(file).toEqual({
      file: 'b.p.dump.zst',
      bytes: stored.length,
      rawBytes: 11,
      sha256: createHash('sha256').update(stored).digest('hex'),
    });
    expect(zlib.zstdDecompressSync(stored).toString()).toBe('hello world');
    expect((await stat(join(directory, 'b.p.dump.zst'))).mode & 0o777).toBe(0o600);
    expect(seen.at(-1)).toBe(11);
    expect(await readAll(file)).toBe('hello world');
  });

  test('a program that fails after a complete output leaves no file', async () => {
    const words = new Error('pg_basebackup ended with code 1: requested WAL segment has already been removed');
    await expect(write(program([Buffer.from('half')], words))).rejects.toMatchObject({
      code: 'part-failed',
      message: expect.stringContaining('already been removed') as unknown as string,
      cause: words,
    });
    expect(await readdir(directory)).toEqual([]);
  });

  test('an output that breaks leaves no file, and the program is killed', async () => {
    const output = async function* (): AsyncGenerator<Buffer> {
      yield Buffer.alloc(5_000_000);
      await Promise.resolve();
      throw new Error('read failed');
    };
    const stream = program(output());
    await expect(write(stream)).rejects.toMatchObject({
      code: 'part-failed',
      message: expect.stringContaining('read failed') as unknown as string,
    });
    expect(stream.killed).toBe(true);
    expect(await readdir(directory)).toEqual([]);
  });

  test('a full disk is called that, leaves no file, and ends the program', async () => {
    // A real full disk is in the integration tests; here its error comes up once the program is under way.
    const endless = async function* (): AsyncGenerator<Buffer> {
      for (;;) {
        yield Buffer.alloc(100_000, Math.random().toString());
        await Promise.resolve();
      }
    };
    const stream = program(endless());
    const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    stream.stdin.on('finish', () => stream.stdout.destroy(full));
    await expect(write(stream)).rejects.toMatchObject({
      code: 'disk-full',
      message: expect.stringContaining(directory) as unknown as string,
    });
    expect(stream.killed).toBe(true);
    expect(await readdir(directory)).toEqual([]);
  });

  test('never writes over a file that is there', async () => {
    await writeFile(join(directory, 'b.p.dump.zst'), 'an older backup');
    const stream = program([Buffer.from('x')]);
    await expect(write(stream)).rejects.toMatchObject({ code: 'part-exists' });
    expect(stream.killed).toBe(true);
    expect(await readFile(join(directory, 'b.p.dump.zst'), 'utf8')).toBe('an older backup');
  });

  test('a cancelled run throws its reason, and leaves neither file nor program', async () => {
    const controller = new AbortController();
    const endless = async function* (): AsyncGenerator<Buffer> {
      for (;;) {
        yield Buffer.alloc(100_000);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    };
    const stream = program(endless());
    const writing = writePart({
      directory,
      file: 'b.p.tar.zst',
      stream,
      signal: controller.signal,
      onProgress: () => controller.abort(new Error('cancelled')),
    });
    await expect(writing).rejects.toThrow('cancelled');
    expect(stream.killed).toBe(true);
    expect(await readdir(directory)).toEqual([]);
  });

  test('a directory that is not there is an error with the program ended', async () => {
    const stream = program([Buffer.from('x')]);
    await expect(writePart({ directory: join(directory, 'none'), file: 'f.zst', stream })).rejects.toMatchObject({
      code: 'part-failed',
    });
    expect(stream.killed).toBe(true);
  });
});

describe('readPart', () => {
  test('refuses a file that was cut, grew, was changed, or is another good one', async () => {
    const file = await write(program([Buffer.from('the data of the part')]));
    const path = join(directory, file.file);
    const stored = await readFile(path);
    const other = zlib.zstdCompressSync(Buffer.from('the data of the PART'));
    const flipped = Buffer.from(stored);
    flipped[stored.length - 6]! ^= 4;
    for (const bytes of [
      stored.subarray(0, -1),
      Buffer.alloc(0),
      Buffer.concat([stored, stored]),
      Buffer.concat([stored, Buffer.of(0)]),
      flipped,
      other,
    ]) {
      await writeFile(path, bytes);
      await expect(readAll(file)).rejects.toMatchObject({
        code: 'part-damaged',
        message: expect.stringContaining(path) as unknown as string,
      });
    }
  });

  test('refuses sizes and digests that differ from the manifest', async () => {
    const file = await write(program([Buffer.from('data')]));
    for (const wrong of [{ bytes: file.bytes + 1 }, { rawBytes: 5 }, { rawBytes: 3 }, { sha256: '0'.repeat(64) }]) {
      await expect(readAll({ ...file, ...wrong })).rejects.toMatchObject({ code: 'part-damaged' });
    }
  });

  test('says which file is missing', async () => {
    const file = { file: 'b.none.tar.zst', bytes: 1, rawBytes: 1, sha256: '0'.repeat(64) };
    await expect(readAll(file)).rejects.toMatchObject({
      code: 'part-missing',
      message: expect.stringContaining('b.none.tar.zst') as unknown as string,
    });
  });
});

describe('verifyPart', () => {
  test('passes a real tar, and refuses one that is no tar or a hostile one', async () => {
    await mkdir(join(directory, 'tree/sub'), { recursive: true });
    await writeFile(join(directory, 'tree/sub/file'), 'x'.repeat(3000));
    const tar = execFileSync('tar', ['-C', join(directory, 'tree'), '-cf', '-', '.']);
    const good = await write(program([tar]), 'b.good.tar.zst');
    await verifyPart(join(directory, good.file), good);

    const cut = await write(program([tar.subarray(0, 2048)]), 'b.cut.tar.zst');
    await expect(verifyPart(join(directory, cut.file), cut)).rejects.toMatchObject({
      code: 'part-damaged',
      message: expect.stringContaining('b.cut.tar.zst') as unknown as string,
    });

    const member = {
      name: '../../etc/cron.d/x',
      path: '',
      type: 'file',
      size: 0,
      mode: 0o644,
      uid: 0,
      gid: 0,
      mtime: 0,
    } as const;
    const hostile = await write(program([tarHeader(member), TAR_END]), 'b.hostile.tar.zst');
    await expect(verifyPart(join(directory, hostile.file), hostile)).rejects.toMatchObject({ code: 'part-hostile' });

    const dump = await write(program([Buffer.from('PGDMP')]), 'b.db.app.dump.zst');
    await verifyPart(join(directory, dump.file), dump);
  });
});

test('writeText stores a text durably with its digest, and never over another', async () => {
  const written = await writeText(directory, 'b.RESTORE.md', '# Grüße\n');
  expect(written).toMatchObject({ path: join(directory, 'b.RESTORE.md'), name: 'b.RESTORE.md', bytes: 10 });
  expect(written.sha256).toBe(createHash('sha256').update('# Grüße\n').digest('hex'));
  await expect(writeText(directory, 'b.RESTORE.md', 'other')).rejects.toMatchObject({ code: 'part-exists' });
  expect(await readFile(written.path, 'utf8')).toBe('# Grüße\n');
});
