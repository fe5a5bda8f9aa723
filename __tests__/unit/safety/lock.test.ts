import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, jest, test } from '@jest/globals';
import { silentLog } from '../../../src/report/silent.ts';
import { acquireLock, lockHolder, type Lock, type LockWait } from '../../../src/safety/lock.ts';
import { cancelled } from '../../../src/system/cancelled.ts';
import type { Clock } from '../../../src/system/clock.ts';
import { ownIdentity, type ProcessIdentity } from '../../../src/system/identity.ts';
import { systemClock } from '../../../src/system/system-clock.ts';
import { FakeLog } from '../compose/fakes.ts';
import { inMemory, temporaryDirectories } from '../system/temporary.ts';

jest.setTimeout(120_000);
const temporary = temporaryDirectories(inMemory);
const info = { mode: 'update', runUrl: 'https://example.org/runs/7' };

/** Time passes only where somebody sleeps. */
class FakeClock implements Clock {
  ms = 0;
  sleeps = 0;
  wall = '2026-11-24T10:00:00.000Z';
  /** What happens while somebody sleeps. */
  meanwhile: () => Promise<unknown> = () => Promise.resolve();
  now(): Date {
    return new Date(this.wall);
  }
  monotonic(): number {
    return this.ms;
  }
  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) throw cancelled(signal);
    if (ms <= 0) throw new Error('a wait of no time never ends');
    this.ms += ms;
    this.sleeps += 1;
    await this.meanwhile();
  }
}

function acquire(directory: string, wait: Partial<LockWait> = {}): Promise<Lock> {
  return acquireLock(directory, info, { timeoutMs: 0, clock: new FakeClock(), log: silentLog(), ...wait });
}

/** The lock of a process that is this one but for the changes. */
function held(
  directory: string,
  changes: Partial<ProcessIdentity>,
  { token = 'other', own = true, name = 'lock' } = {},
): void {
  const holder = { ...ownIdentity(), ...changes };
  const lock = { mode: 'backup', since: '2026-11-23T22:00:00.000Z', token, holder, own };
  writeFileSync(path.join(directory, name), `${JSON.stringify(lock)}\n`);
}

/** Another process has this number now. */
const dead = { startTime: '1' };

interface Contender {
  readonly child: ChildProcess;
  /** What it said first. */
  readonly word: Promise<string>;
  readonly ended: Promise<unknown>;
}

function contender(directory: string, startAt = 0, timeoutMs = 0): Contender {
  const child = spawn(
    process.execPath,
    [path.resolve('__tests__/unit/safety/lock-child.ts'), directory, String(startAt), String(timeoutMs)],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const word = once(child.stdout, 'data').then(([chunk]) => String(chunk).trim());
  return { child, word, ended: once(child, 'exit') };
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

test('a living holder is named; a release lets others in, and only removes the own lock', async () => {
  const directory = temporary();
  const lock = await acquire(directory);
  await expect(acquire(directory)).rejects.toMatchObject({
    code: 'locked',
    message: expect.stringMatching(
      new RegExp(`update, process ${process.pid} on .*2026-11-24T10.*https://example.org/runs/7`),
    ),
  });
  await lock.release();
  const next = await acquire(directory);
  await lock.release();
  expect(existsSync(path.join(directory, 'lock'))).toBe(true);
  await next.release();
  expect(readdirSync(directory)).toEqual([]);
});

test('the lock of a killed process is taken over at once, that of a living one never', async () => {
  const directory = temporary();
  const { child, word } = contender(directory);
  expect(await word).toBe('held');
  await expect(acquire(directory)).rejects.toMatchObject({ code: 'locked' });
  await killed(child);
  const lock = await acquire(directory);
  expect(readdirSync(directory)).toEqual(['lock']);
  await lock.release();
});

test('who has it can be looked up without taking it', async () => {
  const directory = temporary();
  expect(await lockHolder(directory)).toBeNull();
  const lock = await acquire(directory);
  expect(await lockHolder(directory)).toMatchObject({
    ...{ ...info, since: '2026-11-24T10:00:00.000Z', pid: process.pid, state: 'alive' },
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
  held(directory, dead, { token: 'dead' });
  let winner: Lock | undefined;
  const before = async (name: string): Promise<void> => {
    if (name === 'lock.after-dead') winner ??= await acquire(directory);
  };
  await expect(acquire(directory, { before })).rejects.toMatchObject({ code: 'locked' });
  expect(readdirSync(directory)).toEqual(['lock']);
  await winner?.release();
  expect(readdirSync(directory)).toEqual([]);
});

test('a successor that was killed in the middle is succeeded in turn', async () => {
  const directory = temporary();
  const at = (name: string): string => path.join(directory, name);
  held(directory, dead, { token: 't0' });
  held(directory, dead, { token: 't1', name: 'lock.prepared-t1' });
  linkSync(at('lock.prepared-t1'), at('lock.after-t0'));
  const lock = await acquire(directory);
  expect(readdirSync(directory)).toEqual(['lock']);
  await lock.release();

  // And one that lives is not.
  held(directory, dead, { token: 't0' });
  held(directory, {}, { token: 't2', name: 'lock.after-t0' });
  await expect(acquire(directory)).rejects.toMatchObject({ code: 'locked' });
});

test('what a contender had half written when it was killed goes with the next run, and one that lives writes it anew', async () => {
  const directory = temporary();
  const files = (): string[] => readdirSync(directory).map((name) => path.join(directory, name));
  writeFileSync(path.join(directory, 'lock.prepared-torn'), '{"mode":');
  await (await acquire(directory)).release();
  expect(files()).toEqual([]);

  let times = 0;
  const before = (): Promise<void> => {
    times += 1;
    if (times === 1) for (const prepared of files()) rmSync(prepared);
    return Promise.resolve();
  };
  const lock = await acquire(directory, { before });
  expect([times, readdirSync(directory)]).toEqual([2, ['lock']]);
  await lock.release();
});

describe('whether a holder lives', () => {
  const boot = { bootId: 'another' };
  const host = { ...boot, host: 'elsewhere' };
  // Without a machine id nobody can tell that it is the same host.
  const here = ownIdentity().machine === null ? 'elsewhere' : 'dead';
  test.each([
    ['he runs', {}, true, 'alive'],
    ['no process has his number', { pid: 4_194_305 }, true, 'dead'],
    ['another process has his number now', { startTime: '1' }, true, 'dead'],
    ['in another container', { pidNamespace: 'pid:[1]' }, true, 'elsewhere'],
    ['before a reboot', boot, true, 'dead'],
    ['before a reboot, in a container or under another name', { ...host, machine: null }, true, 'dead'],
    ['before a reboot, on a filesystem that other hosts may have', boot, false, here],
    ['on another host that has this filesystem too', host, false, 'elsewhere'],
    ['on another host of the same name', { ...boot, machine: 'another' }, false, 'elsewhere'],
    ['on another host of the same name, both without a machine id', { ...boot, machine: null }, false, 'elsewhere'],
  ] as const)('%s', async (_, changes, own, state) => {
    const directory = temporary();
    held(directory, changes, { own });
    expect(await lockHolder(directory)).toMatchObject({ mode: 'backup', state });
    const file = path.join(directory, 'lock');
    if (state === 'dead') return (await acquire(directory)).release();
    const hint = {
      alive: /^Wait until it is done/,
      elsewhere: 'bootId' in changes ? /on another host, .* remove .*lock\.$/ : /in another container, .*lock\.$/,
    };
    const before = readFileSync(file, 'utf8');
    await expect(acquire(directory)).rejects.toMatchObject({
      code: 'locked',
      hint: expect.stringMatching(hint[state]),
    });
    expect(readdirSync(directory)).toEqual(['lock']);
    expect(readFileSync(file, 'utf8')).toBe(before);
  });
});

describe('waiting', () => {
  test('ends with the lock when the holder has let go, and tells since when it has it', async () => {
    const directory = temporary();
    const [clock, log] = [new FakeClock(), new FakeLog()];
    const first = await acquire(directory, { clock });
    expect(first.waited).toBe(false);
    clock.meanwhile = async () => {
      clock.wall = '2026-11-24T10:00:03.000Z';
      if (clock.ms === 3000) await first.release();
    };
    const next = await acquire(directory, { timeoutMs: 600_000, clock, log });
    expect(next.waited).toBe(true);
    expect(await lockHolder(directory)).toMatchObject({ since: '2026-11-24T10:00:03.000Z' });
    expect(log.lines).toEqual([
      expect.stringMatching(
        /^Waiting for the lock, 0\.0 s so far: update, process \d+ on .*, since 2026-11-24T10:00:00\.000Z \(https:.*7\)$/,
      ),
      'Got the lock after 3.0 s',
    ]);
    await next.release();
    expect(readdirSync(directory)).toEqual([]);
  });

  test('ends with a refusal when the time is over, whatever the clock on the wall says', async () => {
    const directory = temporary();
    const [clock, log] = [new FakeClock(), new FakeLog()];
    const first = await acquire(directory, { clock });
    clock.meanwhile = () => Promise.resolve((clock.wall = clock.sleeps % 2 === 0 ? '2020-01-01' : '2036-01-01'));
    await expect(acquire(directory, { timeoutMs: 150_500, clock, log })).rejects.toMatchObject({
      code: 'locked',
      message: expect.stringMatching(/^another run holds the lock: update, .*; waited 2 min 31 s for it$/),
    });
    expect([clock.ms, clock.sleeps]).toEqual([150_500, 151]);
    expect(log.lines.map((line) => line.split(':')[0])).toEqual([
      'Waiting for the lock, 0.0 s so far',
      'Waiting for the lock, 1 min so far',
      'Waiting for the lock, 2 min so far',
    ]);
    expect(readdirSync(directory)).toEqual(['lock']);
    await first.release();
  });

  test('ends at once when the run is cancelled', async () => {
    const directory = temporary();
    const first = await acquire(directory);
    const cancel = new AbortController();
    const log = { ...silentLog(), info: () => setImmediate(() => cancel.abort()) };
    const wait = { timeoutMs: 3_600_000, clock: systemClock, log, signal: cancel.signal };
    await expect(acquire(directory, wait)).rejects.toMatchObject({ code: 'cancelled' });
    expect(readdirSync(directory)).toEqual(['lock']);
    await first.release();
    expect(readdirSync(directory)).toEqual([]);
  });

  test('ends with the lock when the holder has died, or was the first run and took the directory away', async () => {
    const directory = temporary();
    const { child, word } = contender(directory);
    expect(await word).toBe('held');
    const clock = new FakeClock();
    clock.meanwhile = () => killed(child);
    await (await acquire(directory, { timeoutMs: 5000, clock })).release();

    await acquire(directory);
    clock.meanwhile = () => Promise.resolve(rmSync(directory, { recursive: true, force: true }));
    await acquire(directory, { timeoutMs: 5000, clock });
    expect(readdirSync(directory)).toEqual(['lock']);
  });

  test('begins anew to say who it is where another one was faster', async () => {
    const directory = temporary();
    const [clock, log] = [new FakeClock(), new FakeLog()];
    held(directory, {}, { token: 'first' });
    clock.meanwhile = () => Promise.resolve(held(directory, { host: `host-${clock.sleeps}` }, { token: 'second' }));
    await expect(acquire(directory, { timeoutMs: 5000, clock, log })).rejects.toMatchObject({ code: 'locked' });
    expect(log.lines).toEqual([expect.any(String), expect.stringContaining('on host-1,')]);
  });

  test('of real processes, each of which is alone then', async () => {
    const directory = temporary();
    const startAt = Date.now() + 1000;
    const many = Array.from({ length: 4 }, () => contender(directory, startAt, 60_000));
    expect(await Promise.all(many.map(({ word }) => word))).toEqual(['done', 'done', 'done', 'done']);
    await Promise.all(many.map(({ ended }) => ended));
    expect(readdirSync(directory)).toEqual([]);
  });
});

test('a link that was made is ours, also where its answer got lost on the way and the server says, asked again, that the name is taken', async () => {
  const directory = temporary();
  const at = (name: string): string => path.join(directory, name);
  const before = (name: string): Promise<void> => {
    const prepared = readdirSync(directory).find((one) => one.startsWith('lock.prepared-'));
    if (name !== 'lock' || !existsSync(at('lock'))) linkSync(at(prepared ?? ''), at(name));
    return Promise.resolve();
  };
  await (await acquire(directory, { before })).release();
  held(directory, dead);
  const lock = await acquire(directory, { before });
  expect(readdirSync(directory)).toEqual(['lock']);
  await lock.release();
});

test('a filesystem without hard links is a refusal that says so', async () => {
  const directory = temporary();
  // link(2) says the same of a directory as such a filesystem does of everything.
  const before = (): Promise<void> => {
    const prepared = path.join(directory, readdirSync(directory)[0] ?? '');
    rmSync(prepared);
    mkdirSync(prepared);
    return Promise.resolve();
  };
  await expect(acquire(directory, { before })).rejects.toMatchObject({
    code: 'lock-unsupported',
    message: expect.stringContaining('no hard links'),
  });
});

test('a file that is not a lock is an error that names it', async () => {
  const directory = temporary();
  writeFileSync(path.join(directory, 'lock'), 'what?');
  await expect(acquire(directory)).rejects.toMatchObject({
    code: 'lock-unreadable',
    message: expect.stringContaining(path.join(directory, 'lock')),
  });
  expect(readdirSync(directory)).toEqual(['lock']);
});
