import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Shop } from '../../../demo/shop.ts';
import { installRecovery } from '../../../src/install-recovery.ts';

/*
 * The whole program, in processes of its own, on a machine with nothing but Node: killed without warning when it has begun a step,
 * and put right by the next run, whatever that was asked for.
 */

// Each case runs the program two or three times, each of which starts some dozen processes.
jest.setTimeout(300_000);

let shop: Shop;

beforeEach(async () => {
  shop = await Shop.open();
  for (const item of ['tea', 'bread', 'honey']) await shop.order(item);
});

afterEach(() => {
  shop.close();
});

interface Ended {
  readonly code: number | null;
  readonly report: {
    readonly outcome: string;
    readonly warnings: readonly string[];
    readonly error?: { readonly code: string; readonly message: string };
    readonly recovery?: { readonly outcome: string };
  };
}

/** Runs to the end. */
async function run(mode: string, ...flags: string[]): Promise<Ended> {
  const child = shop.caretaker(mode, ['--json', ...flags], 'pipe');
  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, report: JSON.parse(output) as Ended['report'] };
}

/** Starts a run and kills it, as a power cut would, as soon as the journal holds a line of which this is true. */
async function killAt(line: RegExp, mode: string, ...flags: string[]): Promise<void> {
  const journal = path.join(shop.directory, '.caretaker', 'journal.jsonl');
  const child = shop.caretaker(mode, flags, 'pipe');
  const ended = new Promise<void>((resolve) => child.on('exit', () => resolve()));
  let running = true;
  void ended.then(() => (running = false));
  while (running && !(existsSync(journal) && line.test(readFileSync(journal, 'utf8')))) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  child.kill('SIGKILL');
  await ended;
  expect(existsSync(journal)).toBe(true);
}

function leftovers(): string[] {
  const data = path.join(shop.directory, 'data');
  return [...readdirSync(data), ...readdirSync(path.join(data, 'receipts'))].filter((name) =>
    name.includes('caretaker'),
  );
}

describe('an update that is killed', () => {
  test.each(['check out', 'stop writers'])(
    'when it has begun to "%s" leaves the old version and all data',
    async (step) => {
      shop.publish('v1.1.0');
      await killAt(new RegExp(`"name":"${step}"`), 'update', '--track', 'releases');

      const { code, report } = await run('backup');

      expect(code).toBe(0);
      expect(report.warnings.join('\n')).toContain('had been cut off: everything is as it was before it');
      expect(await shop.look()).toEqual({ version: 'v1.0.0', orders: 3, receipts: 3 });
      expect(leftovers()).toEqual([]);
      expect(readdirSync(path.join(shop.directory, '.caretaker', 'staging'))).toEqual([]);
      // And the clone is where it was: the same update is possible again.
      expect((await run('update', '--track', 'releases')).code).toBe(0);
      expect(await shop.look()).toEqual({ version: 'v1.1.0', orders: 3, receipts: 3 });
    },
  );

  test('is left to its own project where another one shares the directory', async () => {
    shop.publish('v1.1.0');
    await killAt(/"name":"check out"/, 'update', '--track', 'releases');
    const other = await run('backup', '--project-name', 'depot');
    expect([other.code, other.report.error?.code]).toEqual([1, 'recovery-first']);
    const { report } = await run('recover');
    expect(report.recovery?.outcome).toBe('rolled-back');
    expect((await run('backup', '--project-name', 'depot')).code).toBe(0);
    expect((await run('update', '--track', 'releases')).code).toBe(0);
    const back = await run('rollback', '--project-name', 'depot', '--with-data', 'true', '--confirm', 'depot');
    expect(back.report.error).toMatchObject({
      code: 'nothing-to-roll-back',
      message: 'the last update of this directory was one of the project shop, not of depot',
    });
  });

  test('when the new version was coming up is finished where that is well: users may have written to it', async () => {
    shop.publish('v1.1.0');
    await killAt(/"type":"prepared"/, 'update', '--track', 'releases');

    const { code, report } = await run('backup');

    expect(code).toBe(0);
    expect(report).toMatchObject({ recovery: { mode: 'update', outcome: 'completed' } });
    expect(await shop.look()).toEqual({ version: 'v1.1.0', orders: 3, receipts: 3 });
    expect(leftovers()).toEqual([]);
    const stored = readdirSync(path.join(shop.directory, '.caretaker', 'backups'));
    expect(stored.filter((name) => name.endsWith('.manifest.json'))).toHaveLength(2);
    const back = await run('rollback', '--with-data', 'true', '--confirm', 'shop');
    expect(back.report.error).toBeUndefined();
    expect((await shop.look()).version).toBe('v1.0.0');
  });

  test('when the new version was coming up is undone where that is not well', async () => {
    shop.publish('v1.2.0');
    await killAt(/"type":"prepared"/, 'update', '--track', 'releases', '--health-timeout', '5s');

    const { code, report } = await run('backup');

    expect(code).toBe(0);
    expect(report).toMatchObject({ recovery: { mode: 'update', outcome: 'rolled-back' } });
    expect(await shop.look()).toEqual({ version: 'v1.0.0', orders: 3, receipts: 3 });
    expect(leftovers()).toEqual([]);
  });

  test('after its commit is finished by the next run', async () => {
    shop.publish('v1.1.0');
    await killAt(/"type":"commit"/, 'update', '--track', 'releases');

    const { code, report } = await run('backup');

    expect(code).toBe(0);
    expect(report.warnings.join('\n')).toContain('it is finished now');
    expect(await shop.look()).toEqual({ version: 'v1.1.0', orders: 3, receipts: 3 });
    const stored = readdirSync(path.join(shop.directory, '.caretaker', 'backups'));
    // The one of the update, which the killed run had not stored yet, and the one of this run.
    expect(stored.filter((name) => name.endsWith('.manifest.json'))).toHaveLength(2);
  });
});

describe('an update that was killed under another version', () => {
  const journal = (): string => path.join(shop.directory, '.caretaker', 'journal.jsonl');
  const rewrite = (change: (line: Record<string, unknown>) => unknown): void => {
    const lines = readFileSync(journal(), 'utf8').trimEnd().split('\n');
    writeFileSync(journal(), lines.map((line) => `${JSON.stringify(change(JSON.parse(line) as Record<string, unknown>))}\n`).join('')); // prettier-ignore
  };
  /** All that lies in the project directory, but for the lock that each run takes, and the notes of commands and the room kept for the way back, which go before anything is looked at. */
  const everything = (): string =>
    execFileSync(
      'sh',
      [
        '-c',
        'find . \\( -path ./.caretaker/lock -o -path ./.caretaker/staging/reserve -o -path ./.caretaker/commands.jsonl \\) -prune -o -type f -exec sha256sum {} + | sort',
      ],
      {
        cwd: shop.directory,
        encoding: 'utf8',
      },
    );

  beforeEach(async () => {
    shop.publish('v1.1.0');
    await killAt(/"name":"stop writers"/, 'update', '--track', 'releases');
  });

  test('an older one, whose journal has less in its lines, is undone', async () => {
    rewrite((line) => {
      const {
        caretaker: _version,
        undo,
        ...rest
      } = line as { caretaker?: string; undo?: { action: string; data: object } };
      if (undo?.data === undefined) return { ...rest, ...(undo === undefined ? {} : { undo }) };
      const {
        running: _running,
        keepLocal: _count,
        keepLocalDays: _days,
        ...data
      } = undo.data as Record<string, unknown>;
      return { ...rest, undo: { ...undo, data } };
    });
    expect(await run('recover')).toMatchObject({ code: 0, report: { recovery: { outcome: 'rolled-back' } } });
    expect(await shop.look()).toEqual({ version: 'v1.0.0', orders: 3, receipts: 3 });
    expect(leftovers()).toEqual([]);
  });

  test.each<[string, (line: Record<string, unknown>) => unknown]>([
    ['a line', (line) => (line['name'] === 'stop writers' ? { type: 'checkpoint', at: line['at'] } : line)],
    [
      'an action',
      (line) => (line['name'] === 'check out' ? { ...line, undo: { action: 'code-back-2', data: null } } : line),
    ],
  ])('a newer one, whose journal has %s that is not known, is left to that one', async (_, change) => {
    const text = readFileSync(journal(), 'utf8');
    rewrite((line) => change(line['type'] === 'begin' ? { ...line, caretaker: '9.1.0' } : line));
    const before = everything();
    for (const mode of ['backup', 'recover']) {
      const { code, report } = await run(mode);
      expect([code, report.outcome, report.error?.code]).toEqual([1, 'refused', 'journal-newer']);
      expect(JSON.stringify(report.error)).toContain('9.1.0');
      expect(everything()).toBe(before);
    }
    writeFileSync(journal(), text);
    expect(await run('recover')).toMatchObject({ code: 0, report: { recovery: { outcome: 'rolled-back' } } });
    expect(await shop.look()).toEqual({ version: 'v1.0.0', orders: 3, receipts: 3 });
  });
});

describe('mode recover', () => {
  test('does nothing but put right what was cut off', async () => {
    shop.publish('v1.1.0');
    await killAt(/"name":"stop writers"/, 'update', '--track', 'releases');

    expect(await run('recover')).toMatchObject({ code: 0, report: { outcome: 'done', recovery: { mode: 'update', outcome: 'rolled-back' } } }); // prettier-ignore
    expect(await shop.look()).toEqual({ version: 'v1.0.0', orders: 3, receipts: 3 });
    expect(leftovers()).toEqual([]);
    expect(existsSync(path.join(shop.directory, '.caretaker', 'journal.jsonl'))).toBe(false);
    const again = await run('recover');
    expect([again.code, again.report.outcome, again.report.recovery]).toEqual([0, 'no-op', undefined]);
  });

  test('finishes all but the storing, which waits for a run with that store', async () => {
    shop.publish('v1.1.0');
    await killAt(/"type":"commit"/, 'update', '--track', 'releases');
    const stores = ['--store', `type=folder,path=${path.join(shop.directory, 'elsewhere')}`];

    const { code, report } = await run('recover', ...stores);
    expect({ code, report }).toMatchObject({
      code: 0,
      report: { outcome: 'done', recovery: { outcome: 'completed' } },
    });
    expect(report.warnings.join('\n')).toMatch(/shop-\S+ waits on this host for folder \S+\/\.caretaker\/backups/);
    const backups = path.join(shop.directory, '.caretaker', 'backups');
    expect(readdirSync(backups)).toEqual([]);
    expect((await run('recover', ...stores)).report).toMatchObject({
      outcome: 'no-op',
      warnings: report.warnings.slice(-1),
    });
    // The one of the update, and its own.
    expect((await run('backup')).code).toBe(0);
    expect(readdirSync(backups).filter((name) => name.endsWith('.manifest.json'))).toHaveLength(2);
    expect(await shop.look()).toEqual({ version: 'v1.1.0', orders: 3, receipts: 3 });
  });

  test('is refused while another run is at work', async () => {
    shop.publish('v1.2.0');
    const journal = path.join(shop.directory, '.caretaker', 'journal.jsonl');
    const first = shop.caretaker('update', ['--track', 'releases'], 'pipe');
    const firstEnded = new Promise<void>((resolve) => first.on('exit', () => resolve()));
    while (!existsSync(journal)) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await run('recover')).toMatchObject({ code: 1, report: { outcome: 'refused', error: { code: 'locked' } } });
    await firstEnded;
  });

  test('is what the unit for after a reboot runs, with no more than a manager gives it', async () => {
    shop.publish('v1.1.0');
    await killAt(/"name":"stop writers"/, 'update', '--track', 'releases');
    const home = mkdtempSync(path.join(tmpdir(), 'caretaker-home-'));
    try {
      const program = [process.execPath, path.resolve(import.meta.dirname, '../../../src/cli.ts')] as const;
      const env = { PATH: process.env['PATH'], XDG_CONFIG_HOME: home };
      const world = { env, cwd: path.dirname(shop.directory), uid: 1000, userName: 'somebody', home, program };
      await installRecovery(['--project-directory', path.basename(shop.directory)], world);
      const units = path.join(home, 'systemd/user');
      const name = readdirSync(units).find((one) => one.endsWith('.service')) ?? '';
      const unit = readFileSync(path.join(units, name), 'utf8');
      // As systemd reads them: https://www.freedesktop.org/software/systemd/man/latest/systemd.syntax.html
      const words = (setting: string): string[] =>
        [...(new RegExp(`^${setting}=(.*)$`, 'm').exec(unit)?.[1] ?? '').matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(
          ([, word = '']) => word.replaceAll(/\\(.)/g, '$1').replaceAll('%%', '%').replaceAll('$$', '$'),
        );
      const [node = '', ...argv] = words('ExecStart');
      const [PATH] = words('Environment').map((one) => one.replace(/^PATH=/, ''));
      execFileSync(node, ['--disable-warning=ExperimentalWarning', ...argv], {
        cwd: '/',
        env: { PATH },
        stdio: 'ignore',
      });
      expect(await shop.look()).toEqual({ version: 'v1.0.0', orders: 3, receipts: 3 });
      expect(leftovers()).toEqual([]);
    } finally {
      rmSync(home, { recursive: true });
    }
  });

  test('without anything to put right makes nothing', async () => {
    rmSync(path.join(shop.directory, '.caretaker'), { recursive: true, force: true });
    expect((await run('recover')).report.outcome).toBe('no-op');
    expect(existsSync(path.join(shop.directory, '.caretaker'))).toBe(false);
  });
});

describe('a restore that is killed', () => {
  test('when the application was coming up is finished, and what was there before is kept', async () => {
    expect((await run('backup')).code).toBe(0);
    await shop.order('cheese');
    await killAt(/"type":"prepared"/, 'restore', '--backup', 'latest', '--confirm', 'shop');

    const { code, report } = await run('recover');

    expect([code, report.recovery]).toMatchObject([0, { mode: 'restore', outcome: 'completed' }]);
    expect(await shop.look()).toEqual({ version: 'v1.0.0', orders: 3, receipts: 3 });
    expect(leftovers()).toEqual([]);
    const safety = readdirSync(path.join(shop.directory, '.caretaker', 'safety'));
    expect(safety.filter((name) => name.endsWith('.manifest.json'))).toHaveLength(1);
  });

  test.each(['stage orders', 'stop', 'swap [^"]*'])(
    'when it has begun to "%s" leaves the data from before',
    async (step) => {
      expect((await run('backup')).code).toBe(0);
      await shop.order('cheese');
      await killAt(new RegExp(`"name":"${step}"`), 'restore', '--backup', 'latest', '--confirm', 'shop');

      const { code, report } = await run('backup');

      expect(code).toBe(0);
      expect(report.warnings.join('\n')).toContain('had been cut off');
      expect(await shop.look()).toEqual({ version: 'v1.0.0', orders: 4, receipts: 4 });
      expect(leftovers()).toEqual([]);
    },
  );
});

test.each(['check out', 'stage orders', 'swap [^"]*'])(
  'a restore onto nothing that is killed when it has begun to "%s" leaves nothing, and can be done again',
  async (step) => {
    expect((await run('backup')).code).toBe(0);
    shop.publish('v1.1.0');
    execFileSync('git', ['-C', shop.directory, 'pull', '--quiet']);
    shop.control('stop');
    rmSync(path.join(shop.directory, 'data'), { recursive: true });
    await killAt(new RegExp(`"name":"${step}"`), 'restore');

    // Its data are not there: this one recovers, and fails.
    const next = await run('backup');
    expect([next.code, next.report.warnings.join()]).toEqual([1, expect.stringContaining('had been cut off')]);
    expect(existsSync(path.join(shop.directory, 'data'))).toBe(false);
    expect((await run('restore')).code).toBe(0);
    expect(await shop.look()).toEqual({ version: 'v1.0.0', orders: 3, receipts: 3 });
    expect(leftovers()).toEqual([]);
  },
);

test('a cancelled update goes back by itself, before it ends', async () => {
  shop.publish('v1.2.0');
  const journal = path.join(shop.directory, '.caretaker', 'journal.jsonl');
  const child = shop.caretaker('update', ['--json', '--track', 'releases', '--health-timeout', '2m'], 'pipe');
  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const code = new Promise<number | null>((resolve) => child.on('close', resolve));
  while (!(existsSync(journal) && readFileSync(journal, 'utf8').includes('"name":"switch"'))) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  child.kill('SIGINT');

  expect(await code).toBe(1);
  expect(JSON.parse(output)).toMatchObject({ outcome: 'rolled-back', error: { code: 'cancelled' } });
  expect(await shop.look()).toEqual({ version: 'v1.0.0', orders: 3, receipts: 3 });
});

/** One that has been killed, and that nobody has asked after yet, does not. */
function lives(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

test.each(['--build', '--migrate-command'])(
  'so does one that is cancelled while its %s refuses SIGTERM, with a child in a session of its own',
  async (input) => {
    shop.publish('v1.1.0');
    const pids = ['one', 'two'].map((name) => path.join(shop.directory, 'data', name));
    const stubborn = (file: string): string => `trap "" TERM; echo $BASHPID > ${file}; while :; do sleep 1; done`;
    const command = `setsid bash -c '${stubborn(pids[0]!)}' & ${stubborn(pids[1]!)}`;
    const child = shop.caretaker('update', ['--json', '--track', 'releases', input, command], 'pipe');
    let output = '';
    child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const code = new Promise<number | null>((resolve) => child.on('close', resolve));
    while (!pids.every((file) => existsSync(file) && readFileSync(file, 'utf8').endsWith('\n')))
      await new Promise((resolve) => setTimeout(resolve, 20));
    const numbers = pids.map((file) => Number(readFileSync(file, 'utf8')));
    child.kill('SIGINT');

    expect(await code).toBe(1);
    expect(JSON.parse(output)).toMatchObject({ outcome: 'rolled-back', error: { code: 'cancelled' } });
    expect(numbers.filter(lives)).toEqual([]);
    expect(await shop.look()).toEqual({ version: 'v1.0.0', orders: 3, receipts: 3 });
    expect(leftovers()).toEqual([]);
  },
);

test('a second run at the same time is refused and touches nothing', async () => {
  shop.publish('v1.2.0');
  const journal = path.join(shop.directory, '.caretaker', 'journal.jsonl');
  const first = shop.caretaker('update', ['--track', 'releases'], 'pipe');
  const firstEnded = new Promise<void>((resolve) => first.on('exit', () => resolve()));
  while (!existsSync(journal)) await new Promise((resolve) => setTimeout(resolve, 20));

  const { code, report } = await run('backup');

  expect(code).toBe(1);
  expect(report).toMatchObject({ outcome: 'refused', error: { code: 'locked' } });
  await firstEnded;
});
