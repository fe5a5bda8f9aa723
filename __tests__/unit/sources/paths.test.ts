import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Part, PartFile } from '../../../src/archive/manifest.ts';
import { readPart, writePart } from '../../../src/archive/parts.ts';
import type { Swap } from '../../../src/runtimes/host-files.ts';
import { findPaths } from '../../../src/sources/paths.ts';
import type { RawStream, Source } from '../../../src/sources/source.ts';
import { createSource } from '../../../src/sources/sources.ts';
import { localFiles } from './local-files.ts';
import { stage } from './stand-ins.ts';

const files = localFiles();
let root: string;
let source: Source;

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'caretaker-paths-'));
  for (const below of ['.caretaker', 'backups', 'media']) mkdirSync(join(root, below));
  const { deps } = stage({ directory: root, files });
  const spec = {
    type: 'directory',
    name: 'media',
    path: join(root, 'media'),
    exclude: ['db/app.sqlite3'],
    writers: [],
  } as const;
  source = await createSource(spec, deps);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function put(path: string, content: string): void {
  mkdirSync(join(root, 'media', path, '..'), { recursive: true });
  writeFileSync(join(root, 'media', path), content);
}
const get = (path: string): string => readFileSync(join(root, 'media', path), 'utf8');
const tree = (): string[] =>
  readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.startsWith('media/') || path.includes('.caretaker-'))
    .sort();
const read = (file: PartFile): AsyncIterable<Uint8Array> => readPart(join(root, 'backups', file.file), file);

async function write(streams: readonly RawStream[]): Promise<PartFile[]> {
  const taken: PartFile[] = [];
  for (const one of streams)
    taken.push(
      await writePart({ directory: join(root, 'backups'), file: `b.media.${one.suffix}.zst`, stream: one.open() }),
    );
  return taken;
}

/** In passes: `changes` are made between the first and the second. */
async function take(...changes: (() => void)[]): Promise<Part> {
  const capture = (await source.warm?.())!;
  const taken = await write(capture.streams);
  for (const change of changes) {
    change();
    taken.push(...(await write((await capture.more('quiesced')) as readonly RawStream[])));
  }
  await capture.finish();
  const { name, kind, method, origin } = source;
  return { name, kind, method, origin, files: taken, consistency: 'quiesced', seconds: 1 };
}

async function swapIn(part: Part, ...paths: string[]): Promise<readonly Swap[]> {
  const found = await findPaths(part, read, paths);
  const swaps = (await source.stagePaths?.(part, read, 'r2', found)) ?? [];
  for (const one of swaps) await files.swap(one);
  return swaps;
}
async function end(swaps: readonly Swap[]): Promise<void> {
  await files.remove(swaps.map(({ aside }) => aside));
  await source.unstage('r2');
}

describe('a path of a part', () => {
  test('goes back alone, a file and a directory, and the rest stays as it is', async () => {
    put('2026/a.png', 'old a');
    put('2026/b.png', 'old b');
    put('2027/c.png', 'old c');
    put('d', 'old d');
    const part = await take();
    put('2026/a.png', 'new a');
    put('2026/e.png', 'new e');
    put('2027/c.png', 'new c');
    put('d', 'new d');

    const swaps = await swapIn(part, '2026/a.png', '2027');
    expect(['2026/a.png', '2026/e.png', '2027/c.png', 'd'].map(get)).toEqual(['old a', 'new e', 'old c', 'new d']);
    for (const one of [...swaps].reverse()) await files.unswap(one);
    expect(['2026/a.png', '2026/e.png', '2027/c.png', 'd'].map(get)).toEqual(['new a', 'new e', 'new c', 'new d']);
    await end(swaps);
    expect(tree()).toEqual(['2026', '2026/a.png', '2026/b.png', '2026/e.png', '2027', '2027/c.png', 'd'].map((path) => `media/${path}`)); // prettier-ignore
  });

  test('whose parents are gone gets them back with their modes, and undone they are gone again', async () => {
    put('2026/11/a.png', 'a');
    put('2026/11/b.png', 'b');
    chmodSync(join(root, 'media/2026'), 0o710);
    const part = await take();
    rmSync(join(root, 'media/2026'), { recursive: true });

    const swaps = await swapIn(part, '2026/11/a.png');
    expect(tree().filter((path) => !path.includes('.caretaker'))).toEqual([
      'media/2026',
      'media/2026/11',
      'media/2026/11/a.png',
    ]);
    expect(statSync(join(root, 'media/2026')).mode & 0o777).toBe(0o710);
    for (const one of swaps) await files.unswap(one);
    await end(swaps);
    expect(tree()).toEqual([]);
  });

  test('has the state that the last pass left', async () => {
    put('keep/a', '1');
    put('keep/gone', '1');
    put('gone/a', '1');
    put('other', '1');
    const part = await take(
      () => {
        put('keep/a', '2, and longer');
        rmSync(join(root, 'media/keep/gone'));
        rmSync(join(root, 'media/gone'), { recursive: true });
      },
      () => put('keep/late/b', '3'),
    );
    expect(part.files.length).toBeGreaterThan(2);
    await expect(findPaths(part, read, ['gone'])).rejects.toMatchObject({ code: 'path-unknown' });
    await expect(findPaths(part, read, ['gone/a'])).rejects.toMatchObject({ code: 'path-unknown' });
    rmSync(join(root, 'media/keep'), { recursive: true });
    await end(await swapIn(part, 'keep'));
    expect(tree()).toEqual(['keep', 'keep/a', 'keep/late', 'keep/late/b', 'other'].map((path) => `media/${path}`));
    expect(get('keep/a')).toBe('2, and longer');
  });

  test('whose file is another name of one elsewhere has its content, and nothing else comes along', async () => {
    put('a/first', 'content');
    mkdirSync(join(root, 'media/z/deep'), { recursive: true });
    linkSync(join(root, 'media/a/first'), join(root, 'media/z/deep/second'));
    const part = await take();
    rmSync(join(root, 'media/z'), { recursive: true });
    rmSync(join(root, 'media/a'), { recursive: true });
    await end(await swapIn(part, 'z/deep'));
    expect(get('z/deep/second')).toBe('content');
    expect(tree()).toEqual(['media/z', 'media/z/deep', 'media/z/deep/second']);
  });

  test('that is not there names what comes near; one that is left out says so', async () => {
    put('2026/november/report.pdf', '1');
    put('2026/november/image.png', '1');
    put('old/Report.pdf', '1');
    put('db/x', '1');
    const part = await take();
    await expect(findPaths(part, read, ['2026/november/report.pd'])).rejects.toMatchObject({
      code: 'path-unknown',
      hint: expect.stringContaining('2026/november/report.pdf, 2026/november/image.png') as unknown,
    });
    await expect(findPaths(part, read, ['2025/report.pdf'])).rejects.toMatchObject({
      hint: expect.stringContaining('2026/november/report.pdf, old/Report.pdf, 2026') as unknown,
    });
    await expect(findPaths(part, read, ['db/app.sqlite3'])).rejects.toMatchObject({
      hint: expect.stringContaining('left out') as unknown,
    });
    await expect(findPaths(part, read, ['2026/*'])).rejects.toMatchObject({ code: 'path-unknown' });
  });

  test('carries over what the part leaves out below it', async () => {
    put('db/notes', 'old');
    put('db/app.sqlite3', 'left out');
    const part = await take();
    put('db/notes', 'new');
    put('db/app.sqlite3', 'of now');
    await end(await swapIn(part, 'db'));
    expect([get('db/notes'), get('db/app.sqlite3')]).toEqual(['old', 'of now']);
  });

  test('is refused behind a link of now, and where the link comes later the exchange refuses', async () => {
    put('2026/a', 'old');
    symlinkSync('2026', join(root, 'media/link'));
    const part = await take();
    await expect(findPaths(part, read, ['link'])).rejects.toMatchObject({ code: 'path-unfit' });
    const found = await findPaths(part, read, ['2026/a']);
    const [swap] = (await source.stagePaths?.(part, read, 'r2', found)) ?? [];
    mkdirSync(join(root, 'outside'));
    writeFileSync(join(root, 'outside/a'), 'not yours');
    rmSync(join(root, 'media/2026'), { recursive: true });
    symlinkSync('../outside', join(root, 'media/2026'));
    await expect(files.swap(swap!)).rejects.toMatchObject({ code: 'swap-impossible' });
    await source.unstage('r2');
    await expect(source.stagePaths?.(part, read, 'r2', found)).rejects.toMatchObject({ code: 'path-unfit' });
    expect(readFileSync(join(root, 'outside/a'), 'utf8')).toBe('not yours');
    expect(existsSync(join(root, 'media/2026/a'))).toBe(true);
    expect(tree().filter((path) => path.includes('.caretaker'))).toEqual([]);
  });
});
