import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openCheckout, type Checkout, type Target } from '../../../src/code/git.ts';
import { silentLog } from '../../../src/report/silent.ts';
import { nodeProcesses } from '../../../src/system/node-processes.ts';
import { systemClock } from '../../../src/system/system-clock.ts';

jest.setTimeout(60_000);

const environment = process.env;
let work: string;
let origin: string;
let developer: string;
let clone: string;

/** Also what `git lfs install` would write, in a home of the test's own. */
beforeEach(() => {
  work = realpathSync(mkdtempSync(path.join(tmpdir(), 'caretaker-code-')));
  process.env = { ...environment, HOME: work, XDG_CONFIG_HOME: work };
  [origin, developer, clone] = ['origin', 'developer', 'clone'].map((name) => path.join(work, name)) as [
    string,
    string,
    string,
  ];
  git(work, 'config', '--global', 'user.name', 'Dev');
  git(work, 'config', '--global', 'user.email', 'dev@localhost');
  git(work, 'lfs', 'install', '--skip-repo');
  git(work, 'init', '--quiet', '--bare', '--initial-branch=main', origin);
  git(work, 'clone', '--quiet', `file://${origin}`, developer);
  git(developer, 'lfs', 'track', '*.bin');
  release('v1.0.0');
  git(work, 'clone', '--quiet', `file://${origin}`, clone);
});

afterEach(() => {
  process.env = environment;
  rmSync(work, { recursive: true, force: true });
});

function git(directory: string, ...args: string[]): string {
  return execFileSync('git', args, { cwd: directory, encoding: 'utf8', stdio: 'pipe', env: process.env }).trim();
}

function release(tag: string): void {
  writeFileSync(path.join(developer, 'model.bin'), `weights of ${tag}\n`);
  git(developer, 'add', '--all');
  git(developer, 'commit', '--quiet', '--message', tag);
  git(developer, 'tag', tag);
  git(developer, 'push', '--quiet', 'origin', 'HEAD:main', tag);
}

const model = (): string => readFileSync(path.join(clone, 'model.bin'), 'utf8');

test('a file in LFS comes with its contents, and goes back to those from before', async () => {
  release('v1.1.0');
  expect(git(developer, 'show', 'v1.1.0:model.bin')).toMatch(/^version https:\/\/git-lfs/);
  expect(model()).toBe('weights of v1.0.0\n');

  const deps = { processes: nodeProcesses, log: silentLog(), clock: systemClock };
  const checkout = (await openCheckout(clone, deps)) as Checkout;
  await checkout.fetch();
  const target = (await checkout.resolveTarget({ track: 'releases' })) as Target;
  await checkout.gate(target, []);
  const snapshot = await checkout.snapshot(target);
  await checkout.checkout(target);
  expect(model()).toBe('weights of v1.1.0\n');
  expect(await checkout.dirtyFiles()).toEqual([]);

  // The way back needs no network.
  rmSync(origin, { recursive: true });
  await checkout.restoreSnapshot(snapshot);
  expect(model()).toBe('weights of v1.0.0\n');
  expect(git(clone, 'status', '--porcelain')).toBe('');
});

test('contents that can’t be had are an error, and the way back leaves everything as it was', async () => {
  release('v1.1.0');
  const deps = { processes: nodeProcesses, log: silentLog(), clock: systemClock };
  const checkout = (await openCheckout(clone, deps)) as Checkout;
  await checkout.fetch();
  const target = (await checkout.resolveTarget({ track: 'releases' })) as Target;
  const snapshot = await checkout.snapshot(target);
  rmSync(path.join(origin, 'lfs'), { recursive: true });
  await expect(checkout.checkout(target)).rejects.toMatchObject({
    code: 'code-failed',
    message: expect.stringContaining('failed to check out v1.1.0') as unknown,
  });
  await checkout.restoreSnapshot(snapshot);
  expect(model()).toBe('weights of v1.0.0\n');
  expect(git(clone, 'status', '--porcelain')).toBe('');
});
