import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Part, PartFile } from '../../../src/archive/manifest.ts';
import { readPart, verifyPart, writePart } from '../../../src/archive/parts.ts';
import { TAR_END, tarHeader } from '../../../src/archive/tar.ts';
import type { SourceSpec } from '../../../src/project/project.ts';
import { carried } from '../../../src/sources/files.ts';
import type { Source } from '../../../src/sources/source.ts';
import { createSource, sourceForPart } from '../../../src/sources/sources.ts';
import { archive, member, rawHeader } from '../fuzz/tar-bytes.ts';
import { localFiles } from './local-files.ts';
import { stage, type Stage } from './stand-ins.ts';

let root: string;
let here: Stage;
const files = localFiles();
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'caretaker-sources-'));
  mkdirSync(join(root, '.caretaker'));
  mkdirSync(join(root, 'backups'));
  here = stage({ directory: root, files });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function put(path: string, content: string): void {
  mkdirSync(join(root, path, '..'), { recursive: true });
  writeFileSync(join(root, path), content);
}
const get = (path: string): string => readFileSync(join(root, path), 'utf8');

/** Takes a part as the backup mode does. */
async function take(source: Source): Promise<Part> {
  const capture = await source.capture('serving');
  const taken: PartFile[] = [];
  try {
    for (const one of capture.streams) {
      taken.push(
        await writePart({
          directory: join(root, 'backups'),
          file: `b.${source.name}.${one.suffix}.zst`,
          stream: one.open(),
        }),
      );
    }
  } finally {
    await capture.finish();
  }
  for (const file of taken) await verifyPart(join(root, 'backups', file.file), file);
  const { name, kind, method, origin } = source;
  return { name, kind, method, origin, files: taken, consistency: capture.consistency, seconds: 1, ...capture.facts };
}
const read = (file: PartFile): AsyncIterable<Uint8Array> => readPart(join(root, 'backups', file.file), file);

async function restore(source: Source, part: Part): Promise<void> {
  const swaps = await source.stage(part, read, 'r2');
  for (const one of swaps) await files.swap(one);
  await files.remove(swaps.map(({ aside }) => aside));
  await source.unstage('r2');
}

const leftovers = (): string[] =>
  readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((path) => path.includes('.caretaker-'));

describe('two passes', () => {
  const put3 = (): void => {
    put('media/a.txt', 'one');
    put('media/logs/access.log', 'left out');
    put('media/shop.db', 'another part');
  };
  const media = (): Promise<Source> =>
    createSource(
      {
        type: 'directory',
        name: 'media',
        path: join(root, 'media'),
        exclude: ['logs/**', 'shop.db', 'shop.db-wal'],
        writers: [],
      },
      here.deps,
    );
  const database = (): Promise<Source> =>
    createSource({ type: 'sqlite', name: 'db', path: join(root, 'shop.db'), writers: [] }, here.deps);

  /** What the second pass says after `between`. */
  async function secondPass(source: Source, between: () => void): Promise<unknown> {
    const capture = (await source.warm!())!;
    try {
      expect(capture.streams).toHaveLength(1);
      expect(await capture.more('serving')).toEqual([]);
      between();
      return await capture.more('quiesced');
    } finally {
      await capture.finish();
    }
  }

  test.each<[string, () => void]>([
    ['nothing', () => undefined],
    ['what is left out', () => put('media/logs/access.log', 'more')],
    ['another part in the tree', () => put('media/shop.db-wal', 'more')],
    ['what is ours', () => put('media/.caretaker-fresh-r9-x/a', 'more')],
    ['what was only read', () => void get('media/a.txt')],
  ])('%s moved: the first pass was all', async (_what, between) => {
    put3();
    expect(await secondPass(await media(), between)).toEqual([]);
  });

  /** Takes a part in passes as an update does: `while serving` between the first and a second, `then` before the last. */
  async function takeInPasses(source: Source, whileServing: () => void, then: () => void): Promise<Part> {
    const capture = (await source.warm!())!;
    const taken: PartFile[] = [];
    const write = async (streams: Awaited<ReturnType<typeof capture.more>>): Promise<void> => {
      if (streams === 'anew') throw new Error('all of it anew');
      for (const one of streams) {
        const file = `b.${source.name}.${one.suffix}.zst`;
        taken.push(await writePart({ directory: join(root, 'backups'), file, stream: one.open() }));
      }
    };
    try {
      await write(capture.streams);
      whileServing();
      await write(await capture.more('serving'));
      then();
      await write(await capture.more('quiesced'));
    } finally {
      await capture.finish();
    }
    for (const file of taken) await verifyPart(join(root, 'backups', file.file), file);
    const { name, kind, method, origin } = source;
    return { name, kind, method, origin, files: taken, consistency: 'quiesced', seconds: 1, ...capture.facts };
  }
  const suffixes = (part: Part): string[] => part.files.map(({ file }) => file.replace(/^b\.media\.|\.zst$/g, ''));

  /** All that a restore must bring back but the times of directories, which move with what comes and goes unseen. */
  const treeOf = (directory: string, below = ''): string[] =>
    readdirSync(join(directory, below))
      .sort()
      .flatMap((entry) => {
        const name = join(below, entry);
        const file = join(directory, name);
        const { mode, mtimeNs, nlink } = lstatSync(file, { bigint: true });
        const is = lstatSync(file);
        if (is.isDirectory()) return [`${name}|${mode}`, ...treeOf(directory, name)];
        const content = is.isSymbolicLink() ? readlinkSync(file) : readFileSync(file, 'utf8').slice(0, 40);
        return [[name, mode, mtimeNs, nlink, is.size, content].join('|')];
      });

  test.each<[string, () => void, string[]]>([
    ['a file has another content of the same length', () => put('media/a.txt', 'two'), ['changed1.tar']],
    ['a file came', () => put('media/sub/b.txt', ''), ['changed1.tar']],
    ['a file went', () => rmSync(join(root, 'media/a.txt')), ['removed1', 'changed1.tar']],
    ['a directory came', () => void mkdirSync(join(root, 'media/empty')), ['changed1.tar']],
    ['a mode changed', () => chmodSync(join(root, 'media/a.txt'), 0o640), ['changed1.tar']],
    [
      'a file became a directory',
      () => {
        rmSync(join(root, 'media/a.txt'));
        put('media/a.txt/inside', 'it');
      },
      ['removed1', 'changed1.tar'],
    ],
    [
      'a link became a directory, and what was a directory a link',
      () => {
        rmSync(join(root, 'media/link'));
        put('media/link/inside', 'it');
        rmSync(join(root, 'media/dir'), { recursive: true });
        symlinkSync('link', join(root, 'media/dir'));
      },
      ['removed1', 'changed1.tar'],
    ],
    [
      'a file was renamed over another, and a directory renamed',
      () => {
        put('media/new', 'renamed');
        renameSync(join(root, 'media/new'), join(root, 'media/a.txt'));
        renameSync(join(root, 'media/dir'), join(root, 'media/dir2'));
      },
      ['removed1', 'changed1.tar'],
    ],
    [
      'a file got another name, and lost one',
      () => {
        linkSync(join(root, 'media/dir/x'), join(root, 'media/second'));
        rmSync(join(root, 'media/twin'));
      },
      ['removed1', 'changed1.tar'],
    ],
    ['names are odd', () => put('media/-rf *\n"ü', 'odd'), ['changed1.tar']],
  ])('%s: only that is taken, and comes back', async (_what, change, taken) => {
    put3();
    put('media/dir/x', 'x');
    put('media/big', 'b'.repeat(100_000));
    linkSync(join(root, 'media/big'), join(root, 'media/twin'));
    symlinkSync('dir', join(root, 'media/link'));
    const source = await media();
    const part = await takeInPasses(source, () => undefined, change);
    expect(suffixes(part)).toEqual(['tar', ...taken]);
    expect(part.files.at(-1)!.rawBytes).toBeLessThan(_what.includes('lost one') ? 200_000 : 20_000);
    const before = treeOf(join(root, 'media'));
    rmSync(join(root, 'media/big'));
    put('media/later', 'later');
    await restore(source, part);
    expect(treeOf(join(root, 'media'))).toEqual(before);
    expect(leftovers()).toEqual([]);
    expect(readdirSync(join(root, '.caretaker/staging'))).toEqual([]);
  });

  test('whatever happens to a tree, while it is copied and then, the passes together are the tree', async () => {
    // A generator of our own: a failure can be repeated.
    let seed = 20261124;
    const random = (below: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return Math.floor((seed / 2 ** 31) * below);
    };
    const place = (): string => ['a', 'b', 'a/c', 'a/d', 'a.b', 'b/c', 'b/c/d', 'e', 'f f', 'a/é'][random(10)]!;
    const at = (name: string): string => join(root, 'media', name);
    const acts: (() => void)[] = [
      () => put(`media/${place()}`, 'x'.repeat(random(2000))),
      () => put(`media/${place()}/${place()}`, 'y'.repeat(random(200))),
      () => rmSync(at(place()), { recursive: true, force: true }),
      () => rmSync(at(place()), { recursive: true, force: true }),
      () => void mkdirSync(at(place()), { recursive: true }),
      () => symlinkSync(place(), at(place())),
      () => linkSync(at(place()), at(place())),
      () => renameSync(at(place()), at(place())),
      () => chmodSync(at(place()), 0o700 + random(8)),
    ];
    const live = (): void => {
      for (let step = 0; step < 12; step++) {
        try {
          acts[random(acts.length)]!();
        } catch {
          // Nothing there, or in the way: such is life.
        }
      }
    };
    let passes = 0;
    for (let round = 0; round < 30; round++) {
      rmSync(join(root, 'media'), { recursive: true, force: true });
      rmSync(join(root, 'backups'), { recursive: true });
      mkdirSync(join(root, 'backups'));
      mkdirSync(join(root, 'media'));
      live();
      const source = await createSource(
        { type: 'directory', name: 'media', path: join(root, 'media'), exclude: [], writers: [] },
        here.deps,
      );
      const part = await takeInPasses(source, live, live);
      passes += part.files.length;
      const before = treeOf(join(root, 'media'));
      live();
      await restore(source, part);
      expect({ round, tree: treeOf(join(root, 'media')) }).toEqual({ round, tree: before });
    }
    expect(passes).toBeGreaterThan(75);
  }, 60_000);

  test('the directory is another one: all is taken anew', async () => {
    put3();
    expect(
      await secondPass(await media(), () => {
        renameSync(join(root, 'media'), join(root, 'old'));
        put3();
      }),
    ).toBe('anew');
    expect(await secondPass(await media(), () => rmSync(join(root, 'media'), { recursive: true }))).toBe('anew');
  });

  test('too much of it changed for a list: all is taken anew', async () => {
    put3();
    const many = (): void => {
      for (let count = 0; count < 3000; count++) writeFileSync(join(root, 'media', `${'n'.repeat(200)}${count}`), '');
    };
    expect(await secondPass(await media(), many)).toBe('anew');
    // While it serves, too: the last pass must not take what is left for all there was.
    rmSync(join(root, 'media'), { recursive: true });
    put3();
    const capture = (await (await media()).warm!())!;
    many();
    expect(await capture.more('serving')).toBe('anew');
    put('media/a.txt', 'last');
    expect(await capture.more('quiesced')).toBe('anew');
    await capture.finish();
  });

  test.each<[string, string]>([
    ['climbs out', './../outside'],
    ['is absolute', '/etc/passwd'],
    ['is the root', './'],
    ['goes through a link', './link/a'],
    ['has no end', './a'],
  ])('a list of what went whose name %s is refused, and nothing is unpacked', async (what, name) => {
    put('media/a.txt', 'one');
    put('outside/a', 'precious');
    symlinkSync('../outside', join(root, 'media/link'));
    const source = await media();
    const part = await takeInPasses(
      source,
      () => undefined,
      () => rmSync(join(root, 'media/a.txt')),
    );
    const evil = async function* (file: PartFile): AsyncGenerator<Uint8Array> {
      if (file.file.includes('.removed')) yield Buffer.from(what === 'has no end' ? name : `${name}\0`);
      else yield* read(file);
    };
    await expect(source.stage(part, evil, 'r2')).rejects.toMatchObject({
      code: expect.stringMatching(/^part-(?:hostile|damaged)$/) as unknown,
    });
    expect(get('outside/a')).toBe('precious');
    expect(leftovers()).toEqual([]);
  });

  test('no later pass goes through a link of an earlier one', async () => {
    put('media/a.txt', 'one');
    put('outside/a', 'precious');
    symlinkSync('../outside', join(root, 'media/link'));
    const source = await media();
    const part = await takeInPasses(
      source,
      () => undefined,
      () => put('media/b.txt', 'two'),
    );
    const member = {
      name: './link/a',
      path: '',
      type: 'file',
      size: 0,
      mode: 0o644,
      uid: 0,
      gid: 0,
      mtime: 0,
    } as const;
    const evil = async function* (file: PartFile): AsyncGenerator<Uint8Array> {
      if (file.file.includes('.changed')) yield Buffer.concat([tarHeader(member), TAR_END]);
      else yield* read(file);
    };
    await expect(source.stage(part, evil, 'r2')).rejects.toMatchObject({ code: 'part-hostile' });
    expect(get('outside/a')).toBe('precious');
    expect(leftovers()).toEqual([]);
  });

  const raw = (name: string): Buffer => Buffer.from(name, 'latin1');
  test.each<[string, Record<string, Buffer>]>([
    [
      'whose name is no UTF-8, by a file whose name looks the same as text',
      {
        tar: archive(
          rawHeader({ name: raw('./\xff'), flag: '2', link: '../outside' }),
          rawHeader({ name: raw('./\xfe') }),
        ),
        'changed1.tar': archive(member({ name: raw('./\xff/a') }, 'evil')),
      },
    ],
    [
      'by a list of what went that names another file with the bytes of Latin-1',
      {
        tar: archive(rawHeader({ name: './é', flag: '2', link: '../outside' })),
        removed1: raw('./\xe9\0'),
        'changed1.tar': archive(member({ name: './é/a' }, 'evil')),
      },
    ],
  ])('no link of an earlier pass is forgotten %s', async (_what, passes) => {
    put('media/a.txt', 'one');
    put('outside/a', 'precious');
    const source = await media();
    const part = await take(source);
    const evil = {
      ...part,
      files: Object.keys(passes).map((suffix) => ({ ...part.files[0]!, file: `b.media.${suffix}.zst` })),
    };
    const passed = async function* (file: PartFile): AsyncGenerator<Uint8Array> {
      yield await Promise.resolve(passes[file.file.slice('b.media.'.length, -'.zst'.length)]!);
    };
    await expect(source.stage(evil, passed, 'r2')).rejects.toMatchObject({ code: 'part-hostile' });
    expect(get('outside/a')).toBe('precious');
    expect(leftovers()).toEqual([]);
  });

  test('a SQLite database is taken anew when it or its write-ahead log moved, and only then', async () => {
    const connection = new DatabaseSync(join(root, 'shop.db'));
    connection.exec('PRAGMA journal_mode=wal; CREATE TABLE t (a)');
    expect(await secondPass(await database(), () => undefined)).toEqual([]);
    expect(await secondPass(await database(), () => connection.exec('INSERT INTO t VALUES (1)'))).toBe('anew');
    connection.close();
    // At rest: no write-ahead log, and ours comes and goes.
    expect(await secondPass(await database(), () => undefined)).toEqual([]);
    expect(leftovers()).toEqual([]);
    expect(existsSync(join(root, '.caretaker/staging/r1-sqlite-db'))).toBe(false);
  });
});

describe('a directory', () => {
  const spec = (exclude: string[] = []): SourceSpec => ({
    type: 'directory',
    name: 'media',
    path: join(root, 'media'),
    exclude,
    writers: ['web'],
  });

  test('comes back as it was, and what came later is gone', async () => {
    put('media/a.txt', 'one');
    put('media/sub dir/ü "b".txt', 'two');
    const source = await createSource(spec(), here.deps);
    const part = await take(source);
    expect(part.origin).toEqual({ path: join(root, 'media'), relativePath: 'media' });
    put('media/a.txt', 'changed');
    put('media/later.txt', 'x');
    await restore(source, part);
    expect(get('media/a.txt')).toBe('one');
    expect(get('media/sub dir/ü "b".txt')).toBe('two');
    expect(existsSync(join(root, 'media/later.txt'))).toBe(false);
    expect(leftovers()).toEqual([]);
  });

  test('nothing live is touched before the swap', async () => {
    put('media/a.txt', 'one');
    const source = await createSource(spec(), here.deps);
    const part = await take(source);
    put('media/a.txt', 'two');
    await source.stage(part, read, 'r2');
    expect(get('media/a.txt')).toBe('two');
    expect(readdirSync(join(root, 'media'))).toEqual(['a.txt']);
    await source.unstage('r2');
    await source.unstage('r2');
    expect(leftovers()).toEqual([]);
  });

  test('what is excluded survives the restore with what is in it now', async () => {
    put('media/a.txt', 'one');
    put('media/logs/old.log', 'old');
    put('media/db.sqlite3', 'a database');
    const source = await createSource(spec(['logs/**', 'db.sqlite3', 'db.sqlite3-wal']), here.deps);
    const part = await take(source);
    put('media/a.txt', 'two');
    put('media/logs/new.log', 'new');
    const swaps = await source.stage(part, read, 'r2');
    // It comes up between unpacking and exchange, as a write-ahead log does.
    put('media/db.sqlite3-wal', 'wal');
    for (const one of swaps) await files.swap(one);
    expect(get('media/a.txt')).toBe('one');
    expect(get('media/logs/new.log')).toBe('new');
    expect(get('media/db.sqlite3')).toBe('a database');
    expect(get('media/db.sqlite3-wal')).toBe('wal');
    for (const one of [...swaps].reverse()) await files.unswap(one);
    expect(get('media/a.txt')).toBe('two');
    expect(get('media/logs/new.log')).toBe('new');
  });

  test.each([true, false])(
    'what is excluded is never removed through a link of the archive (all of it: %s)',
    async (all) => {
      put('.caretaker/backups/a', 'precious');
      put('media/sub/b', 'one');
      const source = await createSource(spec(), here.deps);
      const part = await take(source);
      const origin = { ...part.origin, exclude: ['l/backups', 'sub/l/backups'] };
      const state = join(root, '.caretaker');
      const bytes = archive(
        ...[rawHeader({ name: './l', flag: '2', link: state }), rawHeader({ name: './sub', flag: '5', mode: 0o755 })],
        rawHeader({ name: './sub/l', flag: '2', link: state }),
      );
      const evil = async function* (): AsyncGenerator<Uint8Array> {
        yield await Promise.resolve(bytes);
      };
      const staged = all
        ? source.stage({ ...part, origin }, evil, 'r2')
        : source.stagePaths!({ ...part, origin }, evil, 'r2', {
            ...{ paths: [{ path: 'sub', type: 'directory' }], extras: [], keep: () => true, bytes: 1 },
          });
      await expect(staged).rejects.toMatchObject({ code: 'part-hostile' });
      expect(get('.caretaker/backups/a')).toBe('precious');
      expect(leftovers()).toEqual([]);
    },
  );

  test('is discarded but for what is excluded, and comes back into the room that this makes', async () => {
    put('media/a.txt', 'one');
    put('media/logs/1.log', 'kept');
    const source = await createSource(spec(['logs/**']), here.deps);
    const part = await take(source);
    put('media/flood/all', 'of the disk');
    await source.discard?.();
    expect(readdirSync(join(root, 'media'))).toEqual(['logs']);
    await restore(source, part);
    expect([get('media/a.txt'), get('media/logs/1.log'), existsSync(join(root, 'media/flood'))]).toEqual(['one', 'kept', false]); // prettier-ignore
    expect(leftovers()).toEqual([]);
  });

  test('a pattern that can’t be carried over is told', async () => {
    put('media/a.txt', 'one');
    const source = await createSource(spec(['*.log']), here.deps);
    await source.stage(await take(source), read, 'r2');
    expect(here.warnings.join()).toContain('*.log');
  });

  test('a damaged archive leaves nothing beside the live data', async () => {
    put('media/a.txt', 'one');
    const source = await createSource(spec(), here.deps);
    const part = await take(source);
    const bad = { ...part, files: part.files.map((file) => ({ ...file, sha256: '0'.repeat(64) })) };
    await expect(source.stage(bad, read, 'r2')).rejects.toMatchObject({ code: 'part-damaged' });
    expect(leftovers()).toEqual([]);
    expect(get('media/a.txt')).toBe('one');
  });

  test('a hostile archive is refused before tar sees its member', async () => {
    put('media/a.txt', 'one');
    const source = await createSource(spec(), here.deps);
    const part = await take(source);
    const member = { name: '../evil', path: '', type: 'file', size: 0, mode: 0o644, uid: 0, gid: 0, mtime: 0 } as const;
    const evil = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.concat([tarHeader(member), TAR_END]);
      await Promise.resolve();
    };
    await expect(source.stage(part, evil, 'r2')).rejects.toMatchObject({ code: 'part-hostile' });
    expect(existsSync(join(root, 'evil'))).toBe(false);
    expect(leftovers()).toEqual([]);
  });

  test('the project directory itself: this program’s own files are neither taken nor exchanged', async () => {
    put('app.txt', 'one');
    put('.caretaker/journal.jsonl', 'the journal of this run');
    const whole: SourceSpec = { type: 'directory', name: 'all', path: root, exclude: ['backups'], writers: [] };
    const source = await createSource(whole, here.deps);
    const part = await take(source);
    const members = readdirSync(root);
    put('app.txt', 'two');
    const swaps = await source.stage(part, read, 'r2');
    try {
      for (const one of swaps) await files.swap(one);
      expect(get('app.txt')).toBe('one');
      expect(get('.caretaker/journal.jsonl')).toBe('the journal of this run');
      expect(readdirSync(root).sort()).toEqual(members.sort());
    } finally {
      await files.remove(swaps.map(({ aside }) => aside));
    }
  });
});

test('what is carried over: literal paths with what waits beside them, directories for their contents, never a way out', () => {
  expect(carried(['logs/**', 'a/b.sqlite3', 'a/b.sqlite3-wal', '*.tmp', 'logs/x', '../x', '/etc', './c/'], 'r2')).toEqual({
    carry: [
      '.caretaker-fresh-r2-c', '.caretaker-fresh-r2-logs', 'a/.caretaker-fresh-r2-b.sqlite3', 'a/.caretaker-fresh-r2-b.sqlite3-wal',
      'a/b.sqlite3', 'a/b.sqlite3-wal', 'c', 'logs',
    ],
    patterns: ['*.tmp'],
  }); // prettier-ignore
});

test('a single file', async () => {
  put('settings.ini', 'one');
  const source = await createSource(
    { type: 'file', name: 'settings', path: join(root, 'settings.ini'), exclude: [], writers: [] },
    here.deps,
  );
  const part = await take(source);
  put('settings.ini', 'two');
  await restore(source, part);
  expect(get('settings.ini')).toBe('one');
  expect(leftovers()).toEqual([]);
  await source.discard?.();
  expect(existsSync(join(root, 'settings.ini'))).toBe(false);
  await restore(source, part);
  expect(get('settings.ini')).toBe('one');
});

describe('a SQLite database', () => {
  const path = (): string => join(root, 'data/db.sqlite3');
  const count = (): unknown => {
    const database = new DatabaseSync(path(), { readOnly: true });
    try {
      return database.prepare('select count(*) as n from t').get()?.['n'];
    } finally {
      database.close();
    }
  };
  const open = (): DatabaseSync => {
    mkdirSync(join(root, 'data'), { recursive: true });
    const database = new DatabaseSync(path());
    database.exec('pragma journal_mode = wal; create table if not exists t (x)');
    return database;
  };
  const spec = (): SourceSpec => ({ type: 'sqlite', name: 'db', path: path(), writers: ['web'] });

  test('is copied with what its write-ahead log holds, while a writer is at it', async () => {
    const writer = open();
    writer.exec('insert into t values (1), (2)');
    const source = await createSource(spec(), here.deps);
    const part = await take(source);
    expect(part.sqlite?.pageSize).toBe(4096);
    expect(part.sqlite?.pages).toBeGreaterThan(0);
    writer.exec('insert into t values (3)');
    writer.close();
    await restore(source, part);
    expect(count()).toBe(2);
    expect(leftovers()).toEqual([]);
    const again = open();
    again.exec('insert into t values (4)');
    await source.discard?.();
    again.close();
    expect(readdirSync(join(root, 'data'))).toEqual([]);
    await restore(source, part);
    expect(count()).toBe(2);
    expect(readdirSync(join(root, '.caretaker/staging'))).toEqual([]);
  });

  test('in a tree that is restored as well, both come back, whichever is unpacked first', async () => {
    for (const order of [0, 1]) {
      rmSync(join(root, 'data'), { recursive: true, force: true });
      const writer = open();
      writer.exec('insert into t values (1)');
      put('data/picture', 'one');
      const exclude = ['db.sqlite3', 'db.sqlite3-wal', 'db.sqlite3-shm', 'db.sqlite3-journal'];
      const tree = await createSource(
        { type: 'directory', name: 'data', path: join(root, 'data'), exclude, writers: [] },
        here.deps,
      );
      const database = await createSource(spec(), here.deps);
      rmSync(join(root, 'backups'), { recursive: true });
      mkdirSync(join(root, 'backups'));
      const parts = [await take(database), await take(tree)];
      writer.exec('insert into t values (2)');
      writer.close();
      put('data/picture', 'two');

      const sources = [database, tree];
      const staged = [];
      for (const index of order === 0 ? [0, 1] : [1, 0])
        staged.push(...(await sources[index]!.stage(parts[index]!, read, 'r2')));
      const swaps = [
        ...staged.filter(({ kind }) => kind === 'directory'),
        ...staged.filter(({ kind }) => kind !== 'directory'),
      ];
      for (const one of swaps) await files.swap(one);
      expect([count(), get('data/picture')]).toEqual([1, 'one']);
      for (const one of [...swaps].reverse()) await files.unswap(one);
      expect([count(), get('data/picture')]).toEqual([2, 'two']);
      for (const source of sources) await source.unstage('r2');
      expect(leftovers()).toEqual([]);
    }
  });

  test('an archive with anything else in it is refused', async () => {
    open().close();
    const source = await createSource(spec(), here.deps);
    const part = await take(source);
    put('other/a', 'x');
    const tree = await take(
      await createSource(
        { type: 'directory', name: 'other', path: join(root, 'other'), exclude: [], writers: [] },
        here.deps,
      ),
    );
    await expect(source.stage({ ...part, files: tree.files }, read, 'r2')).rejects.toMatchObject({
      code: 'part-damaged',
    });
    expect(leftovers()).toEqual([]);
  });
});

describe('a single file', () => {
  test.each(['a link', 'a link beside it'])('%s in its archive is refused, and comes nowhere', async (title) => {
    put('key', 'one');
    const source = await createSource(
      { type: 'file', name: 'key', path: join(root, 'key'), exclude: [], writers: [] },
      here.deps,
    );
    const part = await take(source);
    put('bad/key', 'two');
    if (title === 'a link') rmSync(join(root, 'bad/key'));
    symlinkSync('/etc/shadow', join(root, 'bad', title === 'a link' ? 'key' : 'other'));
    const bytes = execFileSync('tar', ['-C', join(root, 'bad'), '-cf', '-', ...readdirSync(join(root, 'bad'))]);
    const bad = async function* (): AsyncGenerator<Uint8Array> {
      yield await Promise.resolve(bytes);
    };
    await expect(source.stage(part, bad, 'r2')).rejects.toMatchObject({ code: 'part-damaged' });
    expect(get('key')).toBe('one');
    expect(leftovers()).toEqual([]);
  });
});

describe('the project’s own files', () => {
  const source = (): Promise<Source> => {
    const members = ['.env', 'envs/prod.env', 'compose.yml'].map((path) => join(root, path));
    const spec: SourceSpec = {
      type: 'project-files',
      name: 'project-files',
      path: root,
      members: [...members, '/etc/hostname'],
      exclude: [],
      writers: [],
    };
    return createSource(spec, here.deps);
  };
  beforeEach(() => {
    put('.env', 'SECRET=1');
    put('envs/prod.env', 'A=1');
    put('compose.yml', 'services: {}');
  });

  test('the missing are written and those that are there are not', async () => {
    const part = await take(await source());
    rmSync(join(root, 'envs'), { recursive: true });
    put('.env', 'SECRET=2');
    await restore(await source(), part);
    expect(get('envs/prod.env')).toBe('A=1');
    expect(get('.env')).toBe('SECRET=2');
    expect(here.warnings.join()).toContain('/etc/hostname');
    expect(leftovers()).toEqual([]);
  });

  test('a file of them that a link replaces is none, and one that would run as its owner is refused', async () => {
    const part = await take(await source());
    const member = { path: '', size: 0, uid: 0, gid: 0, mtime: 0 } as const;
    const read = (...headers: Buffer[]) =>
      async function* (): AsyncGenerator<Uint8Array> {
        yield await Promise.resolve(Buffer.concat([...headers, TAR_END]));
      };
    rmSync(join(root, 'envs'), { recursive: true });
    const file = tarHeader({ ...member, name: './prod.env', type: 'file', mode: 0o644 });
    const link = Buffer.from(file);
    link.write('2/etc/shadow', 156, 'latin1');
    link.write('        ', 148, 'latin1');
    link.write(
      `${link
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, '0')}\0 `,
      148,
      'latin1',
    );
    expect(await (await source()).stage(part, read(file, link), 'r2')).toEqual([]);
    const setuid = tarHeader({ ...member, name: './run', type: 'file', mode: 0o4755 });
    await expect((await source()).stage(part, read(setuid), 'r3')).rejects.toMatchObject({ code: 'part-hostile' });
    expect(leftovers()).toEqual([]);
  });

  test('go where a link of the project leads, never out of it, nor into git’s own or this program’s', async () => {
    const part = await take(await source());
    for (const directory of ['deploy', '.git/hooks', 'elsewhere'])
      mkdirSync(join(root, directory), { recursive: true });
    const elsewhere = mkdtempSync(join(tmpdir(), 'caretaker-elsewhere-'));
    try {
      for (const target of [elsewhere, '.git/hooks', '.caretaker']) {
        rmSync(join(root, 'envs'), { recursive: true });
        symlinkSync(target, join(root, 'envs'));
        const refused = (await source()).stage(part, read, 'r2');
        await expect(refused).rejects.toMatchObject({ code: 'file-operation-failed' });
        expect(readdirSync(join(root, 'envs'))).toEqual([]);
      }
      expect(leftovers()).toEqual([]);
      rmSync(join(root, 'envs'));
      symlinkSync('deploy', join(root, 'envs'));
      const anew = await sourceForPart({ ...part, origin: { path: root, relativePath: '.' } }, here.deps);
      await restore(anew, part);
      expect(get('deploy/prod.env')).toBe('A=1');
    } finally {
      rmSync(elsewhere, { recursive: true });
    }
  });
});

describe('a link that an application makes on the way to its data while a backup is unpacked', () => {
  test.each(['directory', 'sqlite'] as const)('stops their exchange: %s', async (type) => {
    const name = type === 'sqlite' ? 'shop.db' : 'keys';
    const live = join(root, 'local/media', name);
    put('local/media/keys/a', 'old');
    new DatabaseSync(join(root, 'local/media/shop.db')).exec('CREATE TABLE t (a); INSERT INTO t VALUES (1)');
    const here2 = { ...here.deps, fromStore: true } as const;
    const files2 = type === 'sqlite' ? {} : { exclude: [] };
    const part = await take(
      await createSource({ type, name: 'x', path: live, writers: [], ...files2 } as SourceSpec, here.deps),
    );
    const swaps = await (await sourceForPart(part, here2)).stage(part, read, 'r2');
    expect(swaps).toMatchObject([{ live, root }]);
    renameSync(join(root, 'local/media'), join(root, 'away'));
    const elsewhere = mkdtempSync(join(tmpdir(), 'caretaker-elsewhere-'));
    try {
      symlinkSync(elsewhere, join(root, 'local/media'));
      for (const one of swaps) await expect(files.swap(one)).rejects.toMatchObject({ code: 'swap-impossible' });
      expect(readdirSync(elsewhere)).toEqual([]);
    } finally {
      rmSync(elsewhere, { recursive: true });
    }
  });
});
