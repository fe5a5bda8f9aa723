import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs/promises';
import * as os from 'node:os';
import * as path from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

import { openManifest } from '../../../src/archive/manifest.ts';
import type { ProofDocument } from '../../../src/archive/proof.ts';
import type { Store } from '../../../src/stores/store.ts';
import { createFolderStore } from '../../../src/stores/folder.ts';
import { localFile, makeBackup, type MadeBackup } from '../../contract/stores/backup-files.ts';
import { silentLog } from '../../contract/stores/silent-log.ts';
import { failure, putAll } from '../../contract/stores/store-contract.ts';

let folder: string;
let directory: string;
let store: Store;
let lines: readonly string[];

beforeEach(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), 'folder-store-'));
  directory = path.join(folder, 'backups');
  const silent = silentLog();
  ({ lines } = silent);
  store = createFolderStore({ directory, log: silent.log });
});
afterEach(async () => {
  await fs.rm(folder, { recursive: true, force: true });
});

function made(project = 'shop'): Promise<MadeBackup> {
  const parts = { database: Buffer.from('rows'), media: Buffer.from('pictures') };
  return makeBackup(folder, project, new Date('2026-11-24T02:00:00Z'), parts);
}
/** As from another filesystem: a symbolic link can't be linked, so the bytes are copied. */
async function unlinkable(content: string, name = 'shop-20261124T020000Z.database.tar.zst') {
  const real = path.join(folder, 'real');
  await fs.writeFile(real, content);
  const at = path.join(folder, name);
  await fs.symlink(real, at);
  return localFile(at, content);
}

describe('check', () => {
  test('leaves no trace, whether the directory is there or not', async () => {
    await store.check('write');
    await store.check('read');
    expect(await fs.readdir(folder)).toEqual([]);
    await fs.mkdir(directory);
    await store.check('write');
    await store.check('read');
    expect(await fs.readdir(directory)).toEqual([]);
  });

  test('of a missing directory to read from finds no backups, and says why', async () => {
    await store.check('read');
    expect(await store.list()).toEqual([]);
    expect(lines).toEqual([`info: ${directory} does not exist: there are no backups in it`]);
  });

  test('refuses a path below something that is missing, as of a disk that is not mounted', async () => {
    const log = silentLog().log;
    const lost = createFolderStore({ directory: path.join(directory, 'shop'), log });
    for (const call of [() => lost.check('write'), async () => lost.put((await made()).files[0]!)]) {
      const error = await failure(call());
      expect(error).toMatchObject({ code: 'store-unreachable' });
      expect(error.message).toContain(`${directory} does not exist`);
      expect(error.hint).toContain('mounted');
    }
    await expect(fs.access(directory)).rejects.toThrow('ENOENT');
  });

  test('refuses a file in the place of the directory', async () => {
    await fs.writeFile(directory, '');
    expect(await failure(store.check('write'))).toMatchObject({ code: 'store-unreachable' });
    expect(await failure(store.check('read'))).toMatchObject({ code: 'store-unreachable' });
    expect(await failure(store.put((await made()).files[0]!))).toMatchObject({ code: 'store-unreachable' });
  });

  test('refuses a directory that nobody can write to', async () => {
    const sealed = createFolderStore({ directory: '/sys/kernel', log: silentLog().log });
    expect(await failure(sealed.check('write'))).toMatchObject({ code: 'store-denied', input: 'store' });
    expect(await failure(sealed.put((await made()).files[0]!))).toMatchObject({ code: 'store-denied' });
  });
});

describe('put', () => {
  test('links: no second copy of the bytes, and the file outlives the one that it came from', async () => {
    const { files } = await made();
    await store.put(files[0]!);
    const stored = path.join(directory, files[0]!.name);
    expect((await fs.stat(stored)).ino).toBe((await fs.stat(files[0]!.path)).ino);
    await fs.rm(files[0]!.path);
    expect(await fs.readFile(stored, 'utf8')).toBe('rows');
    expect((await fs.stat(directory)).mode & 0o777).toBe(0o700);
  });

  test('copies what can’t be linked, closed to others, and leaves nothing beside it', async () => {
    const file = await unlinkable('rows');
    await store.put(file);
    await store.put(file);
    expect(await fs.readdir(directory)).toEqual([file.name]);
    const stored = await fs.lstat(path.join(directory, file.name));
    expect(stored.isFile()).toBe(true);
    expect(stored.mode & 0o777).toBe(0o600);
    expect(await fs.readFile(path.join(directory, file.name), 'utf8')).toBe('rows');
    await fs.writeFile(path.join(directory, file.name), 'ROWS');
    expect(await failure(store.put(file))).toMatchObject({ code: 'store-exists' });
    expect(await fs.readFile(path.join(directory, file.name), 'utf8')).toBe('ROWS');
    expect(await fs.readdir(directory)).toEqual([file.name]);
  });

  test('notices a copy that is not what was verified, and keeps nothing of it', async () => {
    const file = await unlinkable('rows');
    await fs.writeFile(path.join(folder, 'real'), 'r0ws');
    expect(await failure(store.put(file))).toMatchObject({ code: 'store-damaged' });
    expect(await fs.readdir(directory)).toEqual([]);
  });

  test('cleans up after a crashed copy, and leaves one that is under way', async () => {
    const { files } = await made();
    await fs.mkdir(directory);
    const [old, young] = ['.a.old.caretaker-tmp', '.a.young.caretaker-tmp'].map((name) => path.join(directory, name));
    for (const torn of [old!, young!]) await fs.writeFile(torn, 'torn');
    const before = new Date(Date.now() - 2 * 60 * 60 * 1000);
    await fs.utimes(old!, before, before);
    await putAll(store, files);
    expect((await fs.readdir(directory)).sort()).toEqual([
      path.basename(young!),
      ...files.map(({ name }) => name).sort(),
    ]);
    expect(lines).toContainEqual(expect.stringContaining(old!));
    expect(await store.list()).toHaveLength(1);
  });

  test('takes plain names only', async () => {
    const { files } = await made();
    const error = await failure(store.put({ ...files[0]!, name: '../outside' }));
    expect(error).toMatchObject({ code: 'store-unsupported' });
    await expect(fs.access(path.join(folder, 'outside'))).rejects.toThrow('ENOENT');
  });
});

describe('list', () => {
  test('leaves out a backup of which one part of several is missing', async () => {
    const { files } = await made();
    await putAll(store, files);
    await fs.rm(path.join(directory, files[1]!.name));
    expect(await store.list()).toEqual([]);
    await store.put(files[1]!);
    expect(await store.list()).toHaveLength(1);
  });

  test('shows a backup whose manifest can’t be read, so that reading it tells', async () => {
    const { files, name } = await made();
    await putAll(store, files);
    const manifest = path.join(directory, files.at(-1)!.name);
    await fs.rm(manifest);
    await fs.writeFile(manifest, '{"schema":');
    const [found] = await store.list('shop');
    expect(found).toMatchObject({ name });
    expect(await failure(store.readManifest(found!))).toMatchObject({ code: 'store-damaged' });
  });

  test('passes over what is not a backup’s', async () => {
    await putAll(store, (await made()).files);
    for (const name of ['notes.txt', 'x.manifest.json', 'shop-20261399T000000Z.manifest.json']) {
      await fs.writeFile(path.join(directory, name), '{}');
    }
    await fs.mkdir(path.join(directory, 'lost+found'));
    expect(await store.list()).toHaveLength(1);
  });
});

test('keeps of the proofs of a backup those that no newer one has outdone, closed to others', async () => {
  const { files, name, manifest } = await made();
  await putAll(store, files);
  const [found] = await store.list();
  const keep = async (at: string, level: ProofDocument['level'], ok: boolean): Promise<string[]> => {
    await store.keepProof(found!, {
      ...{ at, level, ok, backup: name, manifest: manifest.digest },
      ...{ lines: ['7 rows'], caretaker: '1.0.0' },
    });
    const all = await fs.readdir(directory);
    expect(all).toHaveLength(files.length + all.filter((one) => one.includes('.drill-')).length);
    return all.filter((one) => one.includes('.drill-')).sort();
  };
  const first = `${name}.drill-20261125t030000z.databases.failed.json`;
  const second = `${name}.drill-20261126t030000z.read.ok.json`;
  const third = `${name}.drill-20261127t030000z.application.ok.json`;
  expect(await keep('2026-11-25T03:00:00Z', 'databases', false)).toEqual([first]);
  expect(await keep('2026-11-26T03:00:00Z', 'read', true)).toEqual([first, second]);
  expect(await keep('2026-11-27T03:00:00Z', 'application', true)).toEqual([third]);
  const at = path.join(directory, third);
  expect((await fs.stat(at)).mode & 0o777).toBe(0o600);
  expect(JSON.parse(await fs.readFile(at, 'utf8'))).toEqual({
    ...{ schema: 1, backup: name, manifest: manifest.digest, at: '2026-11-27T03:00:00Z', level: 'application' },
    ...{ ok: true, lines: ['7 rows'], caretaker: '1.0.0' },
  });
});

test('what waits in it for its stores is not stored in it, by whatever way', async () => {
  const { files } = await made();
  const home = path.dirname(files[0]!.path);
  const link = path.join(folder, 'link');
  await fs.symlink(home, link);
  for (const place of [home, link]) {
    const same = createFolderStore({ directory: place, log: silentLog().log });
    expect(await failure(same.put(files[0]!))).toMatchObject({ code: 'store-inside-state' });
  }
});

test('a manifest under the name of another backup is told when it is read', async () => {
  const { files, name } = await made();
  await putAll(store, files);
  const other = 'shop-20991121T000000Z';
  for (const end of ['manifest.json', 'RESTORE.md'])
    await fs.copyFile(path.join(directory, `${name}.${end}`), path.join(directory, `${other}.${end}`));
  const [first] = await store.list('shop');
  expect(first?.name).toBe(other);
  const manifest = await store.readManifest(first!);
  expect(() => openManifest(manifest, other)).toThrow(`it is the one of ${name}`);
  expect(openManifest(manifest, name).name).toBe(name);
});

test('fetch never leaves its directory', async () => {
  const { manifest, files } = await made();
  await putAll(store, files);
  await fs.writeFile(path.join(folder, 'secret'), 'rows');
  const [found] = await store.list();
  const file = { ...manifest.parts[0]!.files[0]!, file: '../secret' };
  expect(await failure(store.fetch(found!, file, path.join(folder, 'to')))).toMatchObject({ code: 'store-missing' });
});

test('a pipe in the place of a file is refused at once, and not waited for', async () => {
  const { manifest, files, name } = await made();
  await putAll(store, files);
  const [found] = await store.list();
  const file = manifest.parts[0]!.files[0]!;
  for (const at of [file.file, `${name}.manifest.json`]) {
    await fs.rm(path.join(directory, at));
    execFileSync('mkfifo', [path.join(directory, at)]);
  }
  expect(await failure(store.fetch(found!, file, path.join(folder, 'to')))).toMatchObject({ code: 'store-damaged' });
  expect(await failure(store.readManifest(found!))).toMatchObject({ code: 'store-damaged' });
  expect(await store.list()).toHaveLength(1);
});

test('a manifest that is larger than any is not read', async () => {
  const { files, name } = await made();
  await putAll(store, files);
  const at = path.join(directory, `${name}.manifest.json`);
  await fs.chmod(at, 0o600);
  await fs.truncate(at, 5 * 1024 * 1024);
  const [found] = await store.list();
  expect(await failure(store.readManifest(found!))).toMatchObject({ code: 'store-damaged' });
});

test('what is fetched is not copied where one filesystem has both; a link is followed', async () => {
  const { manifest, files } = await made();
  await putAll(store, files);
  const [found] = await store.list();
  const file = manifest.parts[0]!.files[0]!;
  const [stored, to] = [path.join(directory, file.file), path.join(folder, 'to')];
  await store.fetch(found!, file, to);
  expect((await fs.stat(to)).ino).toBe((await fs.stat(stored)).ino);
  // Gone here, it is there still.
  await fs.rm(to);
  await fs.rename(stored, path.join(folder, 'elsewhere'));
  await fs.symlink('../elsewhere', stored);
  await store.fetch(found!, file, to);
  expect([(await fs.lstat(to)).isFile(), await fs.readFile(to)]).toEqual([true, await fs.readFile(stored)]);
  expect((await fs.stat(to)).ino).not.toBe((await fs.stat(stored)).ino);
});

test.each(['linked', 'copied'])('a damaged file that was %s is not left where it was fetched to', async (how) => {
  const { manifest, files } = await made();
  await putAll(store, files);
  const [found] = await store.list();
  const file = manifest.parts[0]!.files[0]!;
  const [stored, to] = [path.join(directory, file.file), path.join(folder, 'to')];
  const content = await fs.readFile(stored);
  content[3]! ^= 1;
  await fs.writeFile(stored, content);
  if (how === 'copied') {
    await fs.rename(stored, path.join(folder, 'elsewhere'));
    await fs.symlink('../elsewhere', stored);
  }
  expect(await failure(store.fetch(found!, file, to))).toMatchObject({ code: 'store-damaged' });
  await expect(fs.access(to)).rejects.toThrow('ENOENT');
  expect(await fs.readFile(stored)).toEqual(content);
});

test('a fetch that can’t be written tells where', async () => {
  const { manifest, files } = await made();
  await putAll(store, files);
  const [found] = await store.list();
  const error = await failure(store.fetch(found!, manifest.parts[0]!.files[0]!, path.join(folder, 'none', 'to')));
  expect(error.message).toContain(path.join(folder, 'none', 'to'));
});

test('a delete that fails in the middle has taken the manifest', async () => {
  const { files, name } = await made();
  await putAll(store, files);
  const [found] = await store.list();
  // What can't be removed like a file.
  await fs.mkdir(path.join(directory, `${name}.a.tar.zst`));
  await fs.mkdir(path.join(directory, `${name}.z.tar.zst`));
  expect(await failure(store.delete(found!, undefined))).toMatchObject({ code: 'store-unreachable' });
  expect(await fs.readdir(directory)).not.toContain(files.at(-1)!.name);
});

describe('of a folder on a filesystem of its own', () => {
  const shm = '/dev/shm';
  let mounts: string;
  let mounted: string;

  beforeEach(async () => {
    mounts = path.join(folder, 'mounts.json');
    mounted = await fs.mkdtemp(path.join(shm, 'folder-store-'));
    store = createFolderStore({ directory: path.join(mounted, 'backups'), mounts, log: silentLog().log });
  });
  afterEach(async () => {
    await fs.rm(mounted, { recursive: true });
  });

  test('is noted where that is mounted, once something is stored there', async () => {
    await store.check('write');
    await expect(fs.access(mounts)).rejects.toThrow('ENOENT');
    await putAll(store, (await made()).files);
    expect(JSON.parse(await fs.readFile(mounts, 'utf8'))).toEqual({ [path.join(mounted, 'backups')]: shm });
    await store.check('write');
  });

  test('nothing is stored in its empty mount point', async () => {
    // As if a directory that is an ordinary one now had been the mount point.
    const gone = path.join(folder, 'disk');
    directory = path.join(gone, 'backups');
    await fs.mkdir(gone);
    await fs.writeFile(mounts, JSON.stringify({ [directory]: gone }));
    store = createFolderStore({ directory, mounts, log: silentLog().log });
    const { files } = await made();
    for (const call of [() => store.check('write'), () => store.check('read'), () => store.put(files[0]!)]) {
      const error = await failure(call());
      expect(error).toMatchObject({ code: 'store-unreachable', input: undefined });
      expect(error.message).toContain(`mounted at ${gone}, and nothing is mounted there now`);
      expect(error.hint).toContain(mounts);
    }
    expect(await fs.readdir(gone)).toEqual([]);
    await fs.rm(mounts);
    await putAll(store, files);
    expect(await store.list()).toHaveLength(1);
  });
});
