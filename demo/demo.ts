/**
 * The main job on a bare machine, told as a story: a small SQLite web shop, run by start, stop and status commands, is backed up,
 * updated, saved from a broken release, and restored. Everything happens in one temporary folder, which is removed at the end.
 */
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const home = mkdtempSync(path.join(tmpdir(), 'caretaker-demo-'));
const origin = path.join(home, 'origin');
const shop = path.join(home, 'shop');
const port = await freePort();
const url = `http://127.0.0.1:${port}/`;

const first = 'CREATE TABLE orders (id INTEGER PRIMARY KEY, item TEXT NOT NULL)';
const second = "ALTER TABLE orders ADD COLUMN gift TEXT DEFAULT 'no'";
/** Each release's migrations; the last one's fail half way. */
const releases = {
  'v1.0.0': [first],
  'v1.1.0': [first, second],
  'v1.2.0': [first, second, 'DROP TABLE orders', 'INSERT INTO order_items SELECT * FROM orders'],
};

try {
  title('A small shop goes into service');
  publish('v1.0.0');
  git(home, 'clone', '--quiet', origin, shop);
  settle();
  execFileSync('sh', ['control', 'start'], { cwd: shop, stdio: 'ignore' });
  await until(async () => (await look()).orders === 0);
  for (const item of ['tea', 'bread', 'honey']) await fetch(url + item, { method: 'POST' });
  await tell('Three customers order');

  title('Backup: nothing is stopped');
  expectCode(0, await caretaker('backup'));

  title('Update to v1.1.0: backup, switch, health');
  publish('v1.1.0');
  expectCode(0, await caretaker('update', '--track', 'releases'));
  await tell('The new version serves', { version: 'v1.1.0', orders: 3, receipts: 3 });
  await fetch(`${url}cheese`, { method: 'POST' });
  await tell('A fourth customer orders', { version: 'v1.1.0', orders: 4, receipts: 4 });

  title('Update to v1.2.0, a broken release: its migration drops the table of orders, and it never starts');
  publish('v1.2.0');
  expectCode(1, await caretaker('update', '--track', 'releases'));
  await tell('Code and data are back, the fourth order too', { version: 'v1.1.0', orders: 4, receipts: 4 });

  title('Somebody deletes all orders; restore brings back the last backup');
  await fetch(url, { method: 'DELETE' });
  await tell('The orders are gone', { version: 'v1.1.0', orders: 0, receipts: 4 });
  expectCode(0, await caretaker('restore', '--backup', 'latest', '--confirm', 'shop'));
  await tell('Restored', { version: 'v1.1.0', orders: 3, receipts: 3 });

  title('What there is to go back to');
  expectCode(0, await caretaker('list'));
  say('That was the main job: nothing lost, and never left down. Your own project: see README.md.');
} finally {
  try {
    execFileSync('sh', ['control', 'stop'], { cwd: shop, stdio: 'ignore' });
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

/** A release of the shop: a commit and a tag in the repository that the shop's clone follows. */
function publish(version: keyof typeof releases): void {
  mkdirSync(origin, { recursive: true });
  if (version === 'v1.0.0') {
    git(origin, 'init', '--quiet', '--initial-branch', 'main');
    cpSync(path.join(root, 'demo/shop'), origin, { recursive: true });
    writeFileSync(path.join(origin, '.gitignore'), 'data/\nserver.pid\nserver.log\ncaretaker.yml\ncontrol\n');
  }
  writeFileSync(
    path.join(origin, 'release.mjs'),
    `export const VERSION = '${version}';\nexport const MIGRATIONS = ${JSON.stringify(releases[version], null, 2)};\n`,
  );
  git(origin, 'add', '--all');
  git(origin, 'commit', '--quiet', '--message', version);
  git(origin, 'tag', version);
}

/** What the administrator of the shop writes once: how it starts and stops, and what the caretaker needs to know. */
function settle(): void {
  writeFileSync(
    path.join(shop, 'control'),
    [
      'case "$1" in',
      `start) nohup "${process.execPath}" --disable-warning=ExperimentalWarning server.mjs ${port} >server.log 2>&1 </dev/null & echo $! >server.pid ;;`,
      'stop) if [ -f server.pid ]; then kill "$(cat server.pid)" 2>/dev/null || true; while kill -0 "$(cat server.pid)" 2>/dev/null; do sleep 0.1; done; rm -f server.pid; fi ;;',
      'status) [ -f server.pid ] && kill -0 "$(cat server.pid)" 2>/dev/null ;;',
      'esac',
      '',
    ].join('\n'),
  );
  writeFileSync(
    path.join(shop, 'caretaker.yml'),
    [
      'start-command: sh control start',
      'stop-command: sh control stop',
      'status-command: sh control status',
      'data:',
      '  - type=sqlite,name=orders,path=data/shop.sqlite3',
      '  - type=directory,name=receipts,path=data/receipts',
      'store: type=folder,path=.caretaker/backups',
      `health: type=http,url=${url}`,
      'health-timeout: 5s',
      'settle: 500ms',
      '',
    ].join('\n'),
  );
}

/** Runs the command line just as an administrator would, and shows it. */
async function caretaker(mode: string, ...flags: readonly string[]): Promise<number> {
  say(`$ compose-caretaker ${[mode, ...flags].join(' ')}`);
  const child = spawn(process.execPath, [path.join(root, 'src/cli.ts'), mode, '--project-directory', shop, ...flags], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, NODE_OPTIONS: '--disable-warning=ExperimentalWarning' },
  });
  return new Promise((resolve, reject) => child.on('error', reject).on('exit', (code) => resolve(code ?? 1)));
}

async function look(): Promise<Record<string, unknown>> {
  return (await (await fetch(url)).json()) as Record<string, unknown>;
}

/** Says what the shop answers now, and fails the demo when that is not what it should be. */
async function tell(what: string, expected?: Record<string, unknown>): Promise<void> {
  const seen = JSON.stringify(await look());
  say(`${what}: ${seen}`);
  if (expected !== undefined && seen !== JSON.stringify(expected)) {
    throw new Error(`the shop answers ${seen} instead of ${JSON.stringify(expected)}`);
  }
}

function expectCode(expected: number, code: number): void {
  if (code !== expected) throw new Error(`the command ended with code ${code} instead of ${expected}`);
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 10_000;
  for (;;) {
    try {
      if (await condition()) return;
    } catch (error) {
      if (Date.now() > end) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function git(cwd: string, ...argv: readonly string[]): void {
  const identity = ['-c', 'user.name=Demo', '-c', 'user.email=demo@example.invalid', '-c', 'commit.gpgsign=false'];
  execFileSync('git', [...identity, ...argv], { cwd, stdio: ['ignore', 'ignore', 'inherit'] });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function title(text: string): void {
  console.log(`\n=== ${text}`);
}

function say(text: string): void {
  console.log(`  ${text}`);
}
