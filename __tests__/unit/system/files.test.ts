import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync, statSync, writeFileSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { freeBytes, isOwnFilesystem, sameFilesystem } from '../../../src/system/disk.ts';
import {
  appendDurable,
  ensureDirectory,
  readSmallOrPipe,
  readText,
  removeTemporaries,
  writeAtomic,
} from '../../../src/system/files.ts';
import { NotAFile } from '../../../src/system/strangers.ts';
import { systemClock } from '../../../src/system/system-clock.ts';
import { temporaryDirectories } from './temporary.ts';

const temporary = temporaryDirectories();

test('writeAtomic replaces the content, sets the mode, and leaves nothing beside it', async () => {
  const file = path.join(temporary(), 'state.json');
  await writeAtomic(file, 'one');
  await writeAtomic(file, 'two', 0o640);
  expect(readFileSync(file, 'utf8')).toBe('two');
  expect(statSync(file).mode & 0o777).toBe(0o640);
  expect(readdirSync(path.dirname(file))).toEqual(['state.json']);
});

test('a write that fails keeps what was there, leaves nothing, and names the file', async () => {
  const directory = temporary();
  const target = path.join(directory, 'target');
  mkdirSync(path.join(target, 'in the way'), { recursive: true });
  await expect(writeAtomic(target, 'x')).rejects.toMatchObject({
    code: 'file-operation-failed',
    message: expect.stringContaining(target),
  });
  expect(readdirSync(directory)).toEqual(['target']);
  await expect(writeAtomic('/dev/full/x', 'x')).rejects.toMatchObject({ code: 'file-operation-failed' });
});

test('what a killed write left is removed, and nothing else', async () => {
  const directory = temporary();
  const left = '.state.json.95d0836a-b796-4471-8bf6-d45528801623.tmp';
  const others = ['.other.95d0836a-b796-4471-8bf6-d45528801623.tmp', '.state.json.tmp', 'state.json'];
  for (const name of [left, ...others]) writeFileSync(path.join(directory, name), '');
  await removeTemporaries(directory, 'state.json');
  expect(readdirSync(directory).sort()).toEqual(others);
  await removeTemporaries(directory);
  expect(readdirSync(directory).sort()).toEqual(others.slice(1));
});

test('a full disk is a full disk', async () => {
  await expect(appendDurable('/dev/full', 'line')).rejects.toMatchObject({ code: 'disk-full' });
});

test('appendDurable appends whole lines', async () => {
  const file = path.join(temporary(), 'log');
  await appendDurable(file, 'one');
  await appendDurable(file, 'two');
  expect(await readText(file)).toBe('one\ntwo\n');
  expect(await readText(`${file}.none`)).toBeNull();
});

test('ensureDirectory makes parents, and is content with what is there', async () => {
  const directory = path.join(temporary(), 'a', 'b');
  await ensureDirectory(directory);
  await ensureDirectory(directory);
  expect(statSync(directory).mode & 0o777).toBe(0o700);
  writeFileSync(path.join(directory, 'file'), '');
  await expect(ensureDirectory(path.join(directory, 'file'))).rejects.toMatchObject({ code: 'file-operation-failed' });
});

test('free space is asked of the nearest parent that exists', async () => {
  const directory = temporary();
  expect(await freeBytes(path.join(directory, 'not', 'yet'))).toBeGreaterThan(0);
  expect(await freeBytes('/proc/self')).toBe(0);
});

test('sameFilesystem tells /proc from a directory of the disk', async () => {
  const directory = temporary();
  expect(await sameFilesystem(directory, path.join(directory, 'not', 'yet'))).toBe(true);
  expect(await sameFilesystem(directory, '/proc')).toBe(false);
});

test('only a known filesystem counts as one that no other host can have', async () => {
  expect(await isOwnFilesystem(temporary())).toBe(true);
  expect(await isOwnFilesystem('/proc')).toBe(false);
  await expect(isOwnFilesystem('/nowhere')).rejects.toMatchObject({ code: 'disk-unreadable' });
});

test('a sleep ends with an abort, also one that came before', async () => {
  const controller = new AbortController();
  const sleeping = systemClock.sleep(60_000, controller.signal);
  controller.abort();
  await expect(sleeping).rejects.toMatchObject({ code: 'cancelled' });
  await expect(systemClock.sleep(60_000, controller.signal)).rejects.toMatchObject({ code: 'cancelled' });
  await systemClock.sleep(1);
});

test('a pipe is read to its end, from whoever writes into it, however late', async () => {
  const pipe = path.join(temporary(), 'pipe');
  execFileSync('mkfifo', [pipe]);
  const writer = spawn('sh', ['-c', 'sleep 0.1; exec >"$0"; printf one; sleep 0.1; printf two', pipe]);
  const written = once(writer, 'exit');
  expect((await readSmallOrPipe(pipe, 100, 60_000)).toString()).toBe('onetwo');
  expect(await written).toEqual([0, null]);
});

test('a pipe that nobody writes into, and a device without an end, are given up; one that ends is empty', async () => {
  const pipe = path.join(temporary(), 'pipe');
  execFileSync('mkfifo', [pipe]);
  await expect(readSmallOrPipe(pipe, 100, 0)).rejects.toThrow(NotAFile);
  await expect(readSmallOrPipe('/dev/zero', 100, 60_000)).rejects.toThrow(NotAFile);
  expect((await readSmallOrPipe('/dev/null', 100, 60_000)).length).toBe(0);
});
