import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Shop } from '../../../demo/shop.ts';

/*
 * The whole program, in processes of its own, on a machine with nothing but Node: what a run does while another one works on the same project directory.
 */

jest.setTimeout(300_000);

let shop: Shop;
let runners: string;
/** The run that works while another one comes. */
let first: { go(): Promise<Ended> } | undefined;

beforeEach(async () => {
  shop = await Shop.open();
  await shop.order('tea');
  runners = mkdtempSync(path.join(tmpdir(), 'caretaker-runners-'));
});

afterEach(async () => {
  // Also where a test failed before it let the first run go on.
  await first?.go();
  first = undefined;
  shop.close();
  rmSync(runners, { recursive: true });
});

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

function ended(child: ChildProcess): Promise<Ended> {
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, output })));
}

const commandLine = (mode: string, ...flags: string[]): ChildProcess => shop.caretaker(mode, flags, 'pipe');

interface Job {
  readonly repository: string;
  readonly id: string;
}

/** A program where the bundle has it. */
function entry(name: string, source: string): string {
  const file = path.join(runners, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `import(${JSON.stringify(source)});`);
  return file;
}

/** The action, or its post step, as a runner starts it in a workspace of its own. */
function action(job: Job, stage: 'main' | 'post', inputs: Readonly<Record<string, string>>): Promise<Ended> {
  const workspace = path.join(runners, job.id);
  mkdirSync(workspace, { recursive: true });
  const files = ['GITHUB_OUTPUT', 'GITHUB_STATE', 'GITHUB_STEP_SUMMARY'].map((name) => {
    const file = path.join(workspace, name);
    writeFileSync(file, '');
    return [name, file];
  });
  const given = { mode: 'backup', 'project-directory': shop.directory, ...inputs };
  const env = {
    ...{ PATH: process.env['PATH'], HOME: process.env['HOME'] },
    NODE_OPTIONS: '--disable-warning=ExperimentalWarning',
    ...{ GITHUB_ACTIONS: 'true', GITHUB_REPOSITORY: job.repository, GITHUB_RUN_ID: job.id },
    ...{ GITHUB_WORKSPACE: workspace, ...(Object.fromEntries(files) as Record<string, string>) },
    ...Object.fromEntries(Object.entries(given).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value])),
  };
  const main = path.resolve(import.meta.dirname, '../../../src/main.ts');
  // By the name of its file it knows what it is.
  const post = entry('action/post.js', main);
  entry('agent/index.js', path.resolve(import.meta.dirname, '../../../src/agent.ts'));
  return ended(
    spawn(process.execPath, [stage === 'post' ? post : main], {
      cwd: workspace,
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  );
}

/** The update of a job that stands still in its build until it is told to go on. */
async function working(): Promise<NonNullable<typeof first>> {
  const [begun, go] = [path.join(runners, 'begun'), path.join(runners, 'go')];
  shop.publish('v1.1.0');
  const build = `touch ${begun}; until [ -e ${go} ]; do sleep 0.1; done`;
  const run = action({ repository: 'octo-org/shop', id: '7' }, 'main', { mode: 'update', track: 'releases', build });
  first = {
    go() {
      writeFileSync(go, '');
      return run;
    },
  };
  while (!existsSync(begun)) await sleep(20);
  return first;
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Every file in the state directory. */
function state(): string {
  const script = 'find . | sort; find . -type f | sort | xargs sha256sum';
  return execFileSync('sh', ['-c', script], { cwd: path.join(shop.directory, '.caretaker'), encoding: 'utf8' });
}

/** Names of the parts of each stored backup. */
function backups(): string[][] {
  const store = path.join(shop.directory, '.caretaker/backups');
  return readdirSync(store)
    .filter((name) => name.endsWith('.manifest.json'))
    .map((name) => JSON.parse(readFileSync(path.join(store, name), 'utf8')) as { parts: { name: string }[] })
    .map(({ parts }) => parts.map(({ name }) => name).toSorted());
}

test.each(['octo-org/shop', 'octo-org/operations'])(
  'a job of another runner, of %s, is refused once, and names the run that works; its post step has nothing to do and nothing to say',
  async (repository) => {
    const update = await working();
    const before = state();
    const job = { repository, id: '8' };

    const { code, output } = await action(job, 'main', {});

    expect(code).toBe(1);
    expect(output).toMatch(
      /^::error title=locked::another run holds the lock: update, process \d+ on .*, since .* \(https:\/\/github\.com\/octo-org\/shop\/actions\/runs\/7\)/m,
    );
    const summary = readFileSync(path.join(runners, job.id, 'GITHUB_STEP_SUMMARY'), 'utf8');
    expect(summary).toContain('refused: nothing was touched');
    expect(await action(job, 'post', { 'lock-timeout': '5m' })).toEqual({ code: 0, output: '' });
    expect(state()).toBe(before);
    expect((await update.go()).code).toBe(0);
    expect(await shop.look()).toMatchObject({ version: 'v1.1.0', orders: 1 });
    expect((await action(job, 'main', {})).code).toBe(0);
  },
);

test('a post step finishes what its own job left, where nobody else does', async () => {
  const journal = path.join(shop.directory, '.caretaker/journal.jsonl');
  shop.publish('v1.1.0');
  const update = commandLine('update', '--track', 'releases');
  const gone = ended(update);
  while (!(existsSync(journal) && readFileSync(journal, 'utf8').includes('"name":"stop writers"'))) await sleep(5);
  update.kill('SIGKILL');
  await gone;

  const { code, output } = await action({ repository: 'octo-org/shop', id: '7' }, 'post', { mode: 'update' });

  expect([code, output]).toEqual([0, expect.stringContaining('everything is as it was before it')]);
  expect(await shop.look()).toMatchObject({ version: 'v1.0.0', orders: 1 });
  expect(existsSync(journal)).toBe(false);
});

test('with lock-timeout a run waits, and then works on what there is then, by the settings of then', async () => {
  const update = await working();
  const second = commandLine('backup', '--lock-timeout', '2m');
  const waiting = said(second, /Waiting for the lock, \S+ s so far: update, process \d+ on /);
  const backup = ended(second);
  await waiting;
  const file = path.join(shop.directory, 'caretaker.yml');
  writeFileSync(file, readFileSync(file, 'utf8').replace(/^.*receipts.*\n/m, ''));

  expect((await update.go()).code).toBe(0);
  const { code, output } = await backup;

  expect([code, output]).toEqual([0, expect.stringMatching(/^Got the lock after /m)]);
  // That of the update, which had read its settings before, and that of the backup.
  expect(backups().toSorted()).toEqual([['orders'], ['orders', 'receipts']]);
  expect(await shop.look()).toMatchObject({ version: 'v1.1.0', orders: 1 });
});

test('a run that waits is cancelled at once, and the other one goes on', async () => {
  const update = await working();
  const second = commandLine('backup', '--lock-timeout', '2h');
  const backup = ended(second);
  await said(second, /Waiting for the lock/);
  const before = state();
  second.kill('SIGINT');

  const { code, output } = await backup;

  expect(code).toBe(1);
  expect(output).toContain('[cancelled]');
  expect(output).toContain('refused: nothing was touched');
  expect(state()).toBe(before);
  expect((await update.go()).code).toBe(0);
});

test('a project directory on a filesystem that is mounted read-only is refused, and stays as it is', async () => {
  expect((await ended(commandLine('backup'))).code).toBe(0);
  const before = state();
  const mount = (...words: string[]): Buffer => execFileSync('mount', words);
  mount('--bind', shop.directory, shop.directory);
  try {
    mount('--options', 'remount,bind,ro', shop.directory);
    const { code, output } = await ended(commandLine('backup'));
    expect(code).toBe(1);
    expect(output).toMatch(/failed to prepare .*\.caretaker: .*read-only file system.* \[state-directory-unwritable\]/);
    expect(output).toContain('must be able to write');
  } finally {
    execFileSync('umount', [shop.directory]);
  }
  expect(state()).toBe(before);
});

/** Fulfilled when the process prints this. */
function said(child: ChildProcess, what: RegExp): Promise<void> {
  let text = '';
  return new Promise((resolve, reject) => {
    child.on('close', () => reject(new Error(`it ended, and never said ${what.source}:\n${text}`)));
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        if (what.test(text)) resolve();
      });
  });
}
