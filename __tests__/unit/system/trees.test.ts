import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { DatabaseSync } from 'node:sqlite';
import {
  emptyTree,
  likeness,
  makeDirectoryLike,
  oursAt,
  removeTrees,
  scanTree,
  treeChanges,
} from '../../../src/system/trees.ts';
import { temporaryDirectories } from './temporary.ts';

const temporary = temporaryDirectories();

function file(...parts: string[]): string {
  const name = path.join(...parts);
  mkdirSync(path.dirname(name), { recursive: true });
  writeFileSync(name, 'x'.repeat(5000));
  return name;
}

function database(...parts: string[]): void {
  const name = file(...parts);
  truncateSync(name, 0);
  const connection = new DatabaseSync(name);
  connection.exec('CREATE TABLE t (a)');
  connection.close();
}

describe('scanTree', () => {
  test('finds databases and clusters, and passes by what is ours and where links lead', async () => {
    const root = temporary();
    const outside = temporary();
    database(outside, 'outside.db');
    database(root, 'site', 'db.sqlite3');
    file(root, 'media', 'photo.jpg');
    file(root, 'empty.sqlite3');
    truncateSync(path.join(root, 'empty.sqlite3'), 0);
    file(root, 'pg', 'PG_VERSION');
    file(root, 'pg', 'global', 'pg_control');
    database(root, 'pg', 'base', 'not-looked-at.db');
    file(root, 'no-pg', 'PG_VERSION');
    database(root, '.caretaker', 'staging', 'copy.db');
    symlinkSync(outside, path.join(root, 'link'));
    file(root, 'cache', 'CACHEDIR.TAG');
    file(root, '__pycache__', 'a.pyc');
    file(root, 'site', 'cache', 'CACHEDIR.TAG');
    const scan = await scanTree(root);
    expect(scan).toMatchObject({
      root,
      kind: 'directory',
      files: 10,
      sqliteFiles: ['site/db.sqlite3'],
      postgresDirectories: ['pg'],
      caches: ['__pycache__', 'cache'],
    });
    expect(scan.mode).toBe(statSync(root).mode & 0o7777);
    expect((await scanTree(path.join(root, 'pg'))).postgresDirectories).toEqual(['.']);
  });

  test('counts what is on the disk: holes are nothing, hard links one', async () => {
    const root = temporary();
    const one = file(root, 'one');
    const before = (await scanTree(root)).bytes;
    linkSync(one, path.join(root, 'two'));
    writeFileSync(path.join(root, 'sparse'), '');
    truncateSync(path.join(root, 'sparse'), 1_000_000_000);
    const after = await scanTree(root);
    expect(after.files).toBe(3);
    expect(after.bytes).toBe(before);
  });

  test('tells files, sockets and nothing, and says where a link leads', async () => {
    const root = temporary();
    database(root, 'one.db');
    expect(await scanTree(path.join(root, 'one.db'))).toMatchObject({ kind: 'file', files: 1, sqliteFiles: ['.'] });
    expect(await scanTree(path.join(root, 'none', 'none'))).toMatchObject({ kind: 'missing', files: 0, bytes: 0 });
    symlinkSync(root, path.join(root, 'link'));
    expect((await scanTree(path.join(root, 'link'))).root).toBe(root);
    const server = createServer().listen(path.join(root, 'socket'));
    await new Promise((resolve) => server.once('listening', resolve));
    expect((await scanTree(path.join(root, 'socket'))).kind).toBe('socket');
    expect(await scanTree(root)).toMatchObject({ files: 1 });
    await new Promise((resolve) => server.close(resolve));
  });
});

describe('removeTrees', () => {
  test('removes trees of ours, not what links in them lead to', async () => {
    const root = temporary();
    const kept = file(root, 'data', 'kept');
    const ours = path.join(root, '.caretaker', 'staging');
    file(ours, 'a', 'b');
    symlinkSync(path.join(root, 'data'), path.join(ours, 'link'));
    await removeTrees([ours, path.join(root, '.caretaker', 'none'), path.join(root, 'none', '.caretaker-x')]);
    expect(existsSync(ours)).toBe(false);
    expect(existsSync(kept)).toBe(true);
  });

  test('refuses everything when one path is not ours, however it is written', async () => {
    const root = temporary();
    const kept = file(root, 'data', 'kept');
    const ours = file(root, '.caretaker', 'file');
    symlinkSync(path.join(root, 'data'), path.join(root, '.caretaker', 'link'));
    for (const bad of [
      kept,
      path.join(root, '.caretaker', 'link', 'kept'),
      `${root}/.caretaker/../data/kept`,
      '.caretaker/x',
    ]) {
      await expect(removeTrees([ours, bad])).rejects.toMatchObject({ code: 'not-ours' });
    }
    expect(existsSync(kept)).toBe(true);
    expect(existsSync(ours)).toBe(true);
  });
});

describe('emptyTree', () => {
  test('removes all but what is to stay and what is ours, and never follows links', async () => {
    const root = temporary();
    const elsewhere = file(temporary(), 'elsewhere');
    const kept = ['data/db/app.sqlite3', 'data/logs/today/1.log', 'data/.caretaker-fresh-1/a'].map((name) =>
      file(root, ...name.split('/')),
    );
    const gone = ['data/a', 'data/db/other', 'data/deep/er/b', 'data/logs2'].map((name) =>
      file(root, ...name.split('/')),
    );
    symlinkSync(path.dirname(elsewhere), path.join(root, 'data/link'));
    await emptyTree(path.join(root, 'data'), ['db/app.sqlite3', 'logs', 'none']);
    expect(kept.map(existsSync)).toEqual([true, true, true]);
    expect(gone.map(existsSync)).toEqual([false, false, false, false]);
    expect(readdirSync(path.join(root, 'data')).sort()).toEqual(['.caretaker-fresh-1', 'db', 'logs']);
    expect(existsSync(elsewhere)).toBe(true);
  });

  test('what is not there or is no directory is left', async () => {
    const root = temporary();
    const kept = file(root, 'kept');
    symlinkSync(root, path.join(root, 'link'));
    for (const name of ['none', 'kept', 'link']) await emptyTree(path.join(root, name), []);
    expect(existsSync(kept)).toBe(true);
  });
});

test('makeDirectoryLike and likeness copy the mode, and the directory must be new', async () => {
  const root = temporary();
  mkdirSync(path.join(root, 'model'));
  chmodSync(path.join(root, 'model'), 0o2750);
  await makeDirectoryLike(path.join(root, 'made'), path.join(root, 'model'));
  expect(lstatSync(path.join(root, 'made')).mode & 0o7777).toBe(0o2750);
  await expect(makeDirectoryLike(path.join(root, 'made'), path.join(root, 'model'))).rejects.toMatchObject({
    code: 'file-operation-failed',
  });
  const target = file(root, 'file');
  await likeness(target, path.join(root, 'model'));
  expect(lstatSync(target).mode & 0o7777).toBe(0o2750);
});

test('what is ours beside and in trees is found by its name', async () => {
  const root = temporary();
  file(root, 'live/data');
  file(root, 'live/deep/.caretaker-aside-1-deep');
  const inside = file(root, 'live/.caretaker-fresh-1-live');
  const beside = file(root, '.caretaker-aside-1-live.caretaker-stray-1');
  file(root, '.caretaker/lock');
  const db = file(root, 'db.sqlite3');
  expect(await oursAt([path.join(root, 'live'), db, path.join(root, 'none/at/all')])).toEqual([beside, inside]);
});

test('what changed can’t be noted on a full disk, which is an error and no end without a word', async () => {
  const [root, work] = [temporary(), temporary()];
  // More than a stream takes without being asked to wait.
  for (let number = 0; number < 1000; number++) writeFileSync(path.join(root, `file-with-a-long-name-${number}`), '');
  const note = path.join(work, 'entries');
  symlinkSync('/dev/full', `${note}.next`);
  await expect(treeChanges(root, { exclude: [], note, settle: false })).rejects.toMatchObject({
    code: 'disk-full',
    message: expect.stringContaining('are free on '),
  });
});
