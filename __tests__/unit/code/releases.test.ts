import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openCheckout, type Checkout } from '../../../src/code/git.ts';
import { silentLog } from '../../../src/report/silent.ts';
import { nodeProcesses } from '../../../src/system/node-processes.ts';
import { systemClock } from '../../../src/system/system-clock.ts';

/* Tags as repositories have them after some years: every form, annotated or light, on several branches. */

jest.setTimeout(60_000);

/** In the order in which they were made; `+` is annotated, `NAME:` begins the branch NAME at the tag after it. */
const history = [
  ...['+v0.9.0', 'v1.0.0', '+v1.1.0-beta', 'v1.1.0-rc1', '+v1.1.0', 'latest', '1.2.0-rc.2', '+1.2.0', 'v1.2.1.alpha'],
  ...['nightly', '+nightly-2026-01-01', '+v1.10.0', 'v1.9.9', 'build-77abc', '+v2.0.0-rc1', '+v2.0.0', 'v2', 'stable'],
  ...['release-3.0.0', '+release-3.1.0', '+release-3.2.0-rc1', 'web/v7.0.0', '+web/v7.1.0'],
  ...['maintenance: v1.10.0', '+v1.10.1', 'v1.10.2-rc1', '+hotfix_1', 'v1.10.10'],
  ...['calendar: v0.9.0', '+v25.09', 'v25.9.1', '+v25.10-rc1', '+v25.10', '+v26.01', 'v26.02-beta'],
] as const;

let work: string;
let clone: string;
let checkout: Checkout;

function git(directory: string, ...args: string[]): string {
  const identity = ['-c', 'user.name=Dev', '-c', 'user.email=dev@localhost'];
  return execFileSync('git', [...identity, ...args], { cwd: directory, encoding: 'utf8', stdio: 'pipe' }).trim();
}

beforeAll(async () => {
  work = realpathSync(mkdtempSync(path.join(tmpdir(), 'caretaker-code-')));
  const upstream = path.join(work, 'upstream');
  clone = path.join(work, 'clone');
  mkdirSync(upstream);
  git(upstream, 'init', '--quiet', '--initial-branch=main');
  for (const entry of history) {
    const [, branch, from] = /^(\w+): (.+)$/.exec(entry) ?? [];
    if (branch !== undefined && from !== undefined) {
      git(upstream, 'checkout', '--quiet', '-b', branch, from);
      continue;
    }
    const tag = entry.replace('+', '');
    writeFileSync(path.join(upstream, 'file'), tag);
    git(upstream, 'add', '--all');
    git(upstream, 'commit', '--quiet', '--message', tag);
    git(upstream, 'tag', ...(entry.startsWith('+') ? ['--annotate', '--message', tag] : []), tag);
  }
  git(upstream, 'checkout', '--quiet', 'main');
  git(work, 'clone', '--quiet', upstream, clone);
  const deps = { processes: nodeProcesses, log: silentLog(), clock: systemClock };
  checkout = (await openCheckout(clone, deps)) as Checkout;
});

afterAll(() => rmSync(work, { recursive: true, force: true }));

test('there are thirty tags and more, of both kinds', () => {
  const kinds = git(clone, 'for-each-ref', '--format=%(objecttype)', 'refs/tags').split('\n');
  expect(kinds.length).toBeGreaterThanOrEqual(30);
  expect(new Set(kinds)).toEqual(new Set(['tag', 'commit']));
});

describe('track: releases', () => {
  const none: readonly string[] = [];

  test.each([
    // With and without v are one line of versions; another branch has newer ones of it.
    ['v1.0.0', none, 'v1.10.10'],
    ['1.2.0', none, 'v1.10.10'],
    ['v1.10.1', none, 'v1.10.10'],
    ['v1.10.1', ['prerelease'], 'v1.10.10'],
    ['v1.2.1.alpha', none, 'v1.10.10'],
    ['v2.0.0-rc1', none, 'v2.0.0'],
    // A major step goes to the newest there is: here by the year.
    ['v1.10.10', ['major'], 'v26.01'],
    ['v0.9.0', ['major', 'prerelease'], 'v26.02-beta'],
    // release-… and web/… are products of their own.
    ['release-3.0.0', none, 'release-3.1.0'],
    ['release-3.0.0', ['prerelease'], 'release-3.2.0-rc1'],
    ['web/v7.0.0', ['major'], 'web/v7.1.0'],
    ['v25.09', none, 'v26.01'],
    ['v25.10-rc1', none, 'v26.01'],
    ['v25.9.1', none, 'v26.01'],
    ['v25.10', ['prerelease'], 'v26.02-beta'],
  ])('at %s, allowing %j, goes to %s, and then has nothing more to do', async (from, allow, to) => {
    git(clone, 'checkout', '--quiet', '--detach', from);
    const request = { track: 'releases', allow } as const;
    const target = await checkout.resolveTarget(request);
    expect(target).toMatchObject({ tag: to, commit: git(clone, 'rev-parse', `${to}^{commit}`) });
    await checkout.gate(target!, allow);
    await checkout.checkout(target!, allow);
    expect((await checkout.head()).tag).toBe(to);
    expect(await checkout.resolveTarget(request)).toBeNull();
  });

  test.each([
    ['v1.10.10', none],
    ['v1.10.10', ['prerelease']],
    ['v2.0.0', none],
    ['v2.0.0', ['prerelease']],
    ['release-3.1.0', ['major']],
    ['v26.01', ['major']],
    ['v26.02-beta', ['major', 'prerelease']],
  ])('at %s, allowing %j, has nothing to do', async (from, allow) => {
    git(clone, 'checkout', '--quiet', '--detach', from);
    expect(await checkout.resolveTarget({ track: 'releases', allow })).toBeNull();
  });
});
