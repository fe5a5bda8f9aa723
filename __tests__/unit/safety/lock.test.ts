import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, linkSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, jest, test } from '@jest/globals';
import { acquireLock, lockHolder, type Lock } from '../../../src/safety/lock.ts';
import { inMemory, temporaryDirectories } from '../system/temporary.ts';

jest.setTimeout(120_000);
const temporary = temporaryDirectories(inMemory);
const info = { mode: 'update', since: '2026-11-24T10:00:00.000Z' };

function contender(directory: string, startAt = 0): { child: ChildProcess; word: Promise<string> } {
  const child = spawn(
    process.execPath,
    [path.resolve('__tests__/unit/safety/lock-child.ts'), directory, String(startAt)],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  const word = once(child.stdout, 'data').then(([chunk]) => String(chunk).trim());
  return { child, word };
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

test('a living holder is named; a release lets others in, and only removes the own lock', async () => {
  const directory = temporary();
  const lock = await acquireLock(directory, { ...info, runUrl: 'https://example.org/runs/7' });
  await expect(acquireLock(directory, info)).rejects.toMatchObject({
    code: 'locked',
    message: expect.stringMatching(
      new RegExp(`update, process ${process.pid} on .*2026-11-24T10.*https://example.org/runs/7`),
    ),
  });
  await lock.release();
  const next = await acquireLock(directory, info);
  await lock.release();
  expect(existsSync(path.join(directory, 'lock'))).toBe(true);
  await next.release();
  expect(readdirSync(directory)).toEqual([]);
});

test('the lock of a killed process is taken over at once, that of a living one never', async () => {
  const directory = temporary();
  const { child, word } = contender(directory);
  expect(await word).toBe('held');
  await expect(acquireLock(directory, info)).rejects.toMatchObject({ code: 'locked' });
  await killed(child);
  const lock = await acquireLock(directory, info);
  expect(readdirSync(directory)).toEqual(['lock']);
  await lock.release();
});

test('who has it can be looked up without taking it', async () => {
  const directory = temporary();
  expect(await lockHolder(directory)).toBeNull();
  const lock = await acquireLock(directory, { ...info, runUrl: 'https://example.org/runs/7' });
  expect(await lockHolder(directory)).toMatchObject({
    ...{ ...info, runUrl: 'https://example.org/runs/7' },
    ...{ pid: process.pid, state: 'alive' },
  });
  expect(readdirSync(directory)).toEqual(['lock']);
  await lock.release();
  const { child, word } = contender(directory);
  expect(await word).toBe('held');
  await killed(child);
  expect(await lockHolder(directory)).toMatchObject({ pid: child.pid, state: 'dead' });
  writeFileSync(path.join(directory, 'lock'), 'rubbish');
  await expect(lockHolder(directory)).rejects.toMatchObject({ code: 'lock-unreadable' });
});

test('of many contenders exactly one wins, over a dead holder and where there is none', async () => {
  for (let round = 0; round < 4; round++) {
    const directory = temporary();
    if (round % 2 === 0) {
      const dead = contender(directory);
      expect(await dead.word).toBe('held');
      await killed(dead.child);
    }
    const startAt = Date.now() + 1500;
    const many = Array.from({ length: 8 }, () => contender(directory, startAt));
    const words = await Promise.all(many.map(({ word }) => word));
    expect(words.toSorted()).toEqual(['held', ...Array.from({ length: 7 }, () => 'locked')]);
    await Promise.all(many.map(({ child }) => killed(child)));
  }
});

test('a contender that comes when the succession is over does not succeed once more', async () => {
  const directory = temporary();
  const file = path.join(directory, 'lock');
  const own = await acquireLock(directory, info);
  const holder = JSON.parse(readFileSync(file, 'utf8')) as { holder: object };
  await own.release();
  writeFileSync(file, JSON.stringify({ ...holder, token: 'dead', holder: { ...holder.holder, startTime: '1' } }));
  let winner: Lock | undefined;
  const late = acquireLock(directory, info, async (name) => {
    if (name === 'lock.after-dead') winner ??= await acquireLock(directory, info);
  });
  await expect(late).rejects.toMatchObject({ code: 'locked' });
  expect(readdirSync(directory)).toEqual(['lock']);
  await winner?.release();
  expect(readdirSync(directory)).toEqual([]);
});

test('a successor that was killed in the middle is succeeded in turn', async () => {
  const directory = temporary();
  const at = (name: string): string => path.join(directory, name);
  const own = await acquireLock(directory, info);
  const holder = JSON.parse(readFileSync(at('lock'), 'utf8')) as { token: string; holder: object };
  await own.release();
  // Both dead: another start time than the process of that number has.
  const dead = (token: string): string =>
    JSON.stringify({ ...holder, token, holder: { ...holder.holder, startTime: '1' } });
  writeFileSync(at('lock'), dead('t0'));
  writeFileSync(at('lock.prepared-t1'), dead('t1'));
  linkSync(at('lock.prepared-t1'), at('lock.after-t0'));
  const lock = await acquireLock(directory, info);
  expect(readdirSync(directory)).toEqual(['lock']);
  await lock.release();

  // And one that lives is not.
  writeFileSync(at('lock'), dead('t0'));
  writeFileSync(at('lock.after-t0'), JSON.stringify({ ...holder, token: 't2' }));
  await expect(acquireLock(directory, info)).rejects.toMatchObject({ code: 'locked' });
});

test('a holder in another container can’t be seen, and is not robbed', async () => {
  const directory = temporary();
  const own = await acquireLock(directory, info);
  const holder = JSON.parse(readFileSync(path.join(directory, 'lock'), 'utf8')) as { holder: object };
  await own.release();
  writeFileSync(
    path.join(directory, 'lock'),
    JSON.stringify({ ...holder, token: 'x', holder: { ...holder.holder, pid: 4_194_305, pidNamespace: 'pid:[1]' } }),
  );
  await expect(acquireLock(directory, info)).rejects.toMatchObject({
    code: 'locked',
    hint: expect.stringContaining('another container'),
  });
});

test('a file that is not a lock is an error that names it', async () => {
  const directory = temporary();
  writeFileSync(path.join(directory, 'lock'), 'what?');
  await expect(acquireLock(directory, info)).rejects.toMatchObject({
    code: 'lock-unreadable',
    message: expect.stringContaining(path.join(directory, 'lock')),
  });
  expect(readdirSync(directory)).toEqual(['lock']);
});
