import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  backTo,
  openCheckout,
  type Checkout,
  type CheckoutDeps,
  type Snapshot,
  type Target,
} from '../../../src/code/git.ts';
import { silentLog } from '../../../src/report/silent.ts';
import { nodeProcesses } from '../../../src/system/node-processes.ts';
import { systemClock } from '../../../src/system/system-clock.ts';

/** Dozens of git processes a test, on machines that do other things too. */
jest.setTimeout(60_000);

const environment = process.env;
let work: string;
/** The application, in `lib/theme` a submodule, which has one itself in `icons`. */
let app: string;
let theme: string;
let icons: string;
/** The administrator's clone of the application. */
let clone: string;
let deps: CheckoutDeps;

beforeEach(() => {
  // What is a repository on GitHub elsewhere is a directory here.
  process.env = configured({ 'protocol.file.allow': 'always' });
  work = realpathSync(mkdtempSync(path.join(tmpdir(), 'caretaker-code-')));
  [app, theme, icons, clone] = ['app', 'theme', 'icons', 'clone'].map((name) => path.join(work, name)) as [
    string,
    string,
    string,
    string,
  ];
  deps = { processes: nodeProcesses, log: silentLog(), clock: { ...systemClock, sleep: () => Promise.resolve() } };
  repository(icons, { 'icon.svg': '1\n' });
  repository(theme, { 'theme.css': '1\n' });
  add(theme, icons, 'icons');
  repository(app, { 'compose.yml': 'image: app:1\n' });
  add(app, theme, 'lib/theme');
  git(app, 'tag', 'v1.0.0');
  git(work, 'clone', '--quiet', '--recurse-submodules', app, clone);
});

afterEach(() => {
  process.env = environment;
  rmSync(work, { recursive: true, force: true });
});

/** The environment with these settings of git's. */
function configured(settings: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  const all: NodeJS.ProcessEnv = { ...environment, GIT_CONFIG_COUNT: String(Object.keys(settings).length) };
  for (const [at, [key, value]] of Object.entries(settings).entries()) {
    all[`GIT_CONFIG_KEY_${at}`] = key;
    all[`GIT_CONFIG_VALUE_${at}`] = value;
  }
  return all;
}

function git(directory: string, ...args: string[]): string {
  const identity = ['-c', 'user.name=Dev', '-c', 'user.email=dev@localhost', '-c', 'safe.directory=*'];
  return execFileSync('git', [...identity, ...args], {
    cwd: directory,
    encoding: 'utf8',
    // Said aloud: what a child inherits by itself is not this file's process.env.
    env: process.env,
    stdio: ['ignore', 'pipe', 'pipe'],
  }).trim();
}

function repository(directory: string, files: Readonly<Record<string, string>>): void {
  mkdirSync(directory);
  git(directory, 'init', '--quiet', '--initial-branch=main');
  commit(directory, files);
}

function commit(directory: string, files: Readonly<Record<string, string>> = {}): void {
  for (const [file, text] of Object.entries(files)) writeFileSync(path.join(directory, file), text);
  git(directory, 'add', '--all');
  git(directory, 'commit', '--quiet', '--message', 'change');
}

function add(directory: string, submodule: string, at: string): void {
  git(directory, 'submodule', '--quiet', 'add', submodule, at);
  git(directory, 'submodule', '--quiet', 'update', '--init', '--recursive');
  commit(directory);
}

/** A release whose theme and icons are newer. */
function release(tag: string): void {
  commit(icons, { 'icon.svg': `${tag}\n` });
  git(path.join(theme, 'icons'), 'pull', '--quiet', 'origin', 'main');
  commit(theme, { 'theme.css': `${tag}\n` });
  git(path.join(app, 'lib/theme'), 'pull', '--quiet', 'origin', 'main');
  git(path.join(app, 'lib/theme'), 'submodule', '--quiet', 'update');
  commit(app, { 'compose.yml': `image: app:${tag}\n` });
  git(app, 'tag', tag);
}

async function open(): Promise<Checkout> {
  const checkout = await openCheckout(clone, deps);
  if (checkout === null) throw new Error('no clone');
  return checkout;
}

async function targetOf(checkout: Checkout, ref: string): Promise<Target> {
  await checkout.fetch();
  const target = await checkout.resolveTarget({ ref });
  if (target === null) throw new Error('nothing newer');
  await checkout.gate(target, []);
  return target;
}

/** The update, and the snapshot from before it as the journal hands it over. */
async function update(tag: string): Promise<Snapshot> {
  const checkout = await open();
  const target = await targetOf(checkout, tag);
  const snapshot = await checkout.snapshot(target);
  await checkout.checkout(target);
  return JSON.parse(JSON.stringify(snapshot)) as Snapshot;
}

const inClone = (file: string): string => path.join(clone, file);
const read = (file: string): string => readFileSync(inClone(file), 'utf8').trim();
const contents = (): string[] => ['compose.yml', 'lib/theme/theme.css', 'lib/theme/icons/icon.svg'].map(read);

/** What the administrator would see, in the clone and in each submodule. */
function state(): unknown {
  const looks = ['git rev-parse HEAD', 'git rev-parse --abbrev-ref HEAD', 'git status --porcelain', 'git diff HEAD'];
  return [
    looks.map((look) => git(clone, ...look.split(' ').slice(1))),
    git(clone, 'submodule', 'status', '--recursive'),
    git(clone, 'submodule', '--quiet', 'foreach', '--recursive', looks.join('; ')),
  ];
}

describe('submodules', () => {
  test('follow the release, with their own, and go back with it', async () => {
    release('v1.1.0');
    const before = state();
    const snapshot = await update('v1.1.0');
    expect(contents()).toEqual(['image: app:v1.1.0', 'v1.1.0', 'v1.1.0']);
    expect(git(clone, 'status', '--porcelain')).toBe('');

    await (await open()).restoreSnapshot(snapshot);
    expect(state()).toEqual(before);
    await (await open()).restoreSnapshot(snapshot);
    expect(state()).toEqual(before);
    // Nothing of the way back is in the way of the next attempt.
    await update('v1.1.0');
    expect(contents()).toEqual(['image: app:v1.1.0', 'v1.1.0', 'v1.1.0']);
  });

  test('and their objects are forced to disk by git itself, as the clone’s own are', async () => {
    release('v1.1.0');
    const notes = path.join(work, 'notes');
    const run: typeof nodeProcesses.run = (command, options) =>
      nodeProcesses.run({ ...command, env: { ...command.env, GIT_TRACE2_EVENT: notes } }, options);
    deps = { ...deps, processes: { ...nodeProcesses, run } };
    await update('v1.1.0');
    const events = readFileSync(notes, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { event: string; sid: string; key?: string; value?: string; argv?: string[] });
    const unpacking = events.filter(({ event, argv }) => event === 'start' && argv?.includes('unpack-objects'));
    const forced = unpacking.map(({ sid }) => {
      const own = events.filter((event) => event.sid === sid && event.key === 'fsync/hardware-flush');
      return own.reduce((sum, { value }) => sum + Number(value), 0);
    });
    // In each of the three repositories a commit, its directory and a file at least.
    expect(forced).toHaveLength(3);
    expect(Math.min(...forced)).toBeGreaterThanOrEqual(3);
  });

  test('go back offline, from a checkout that was cut off before they followed', async () => {
    release('v1.1.0');
    const before = state();
    const checkout = await open();
    const snapshot = await checkout.snapshot(await targetOf(checkout, 'v1.1.0'));
    git(clone, 'merge', '--quiet', '--ff-only', 'v1.1.0');
    for (const one of [app, theme, icons]) rmSync(one, { recursive: true });
    await checkout.restoreSnapshot(snapshot);
    expect(state()).toEqual(before);
  });

  test('that come with a release are checked out, and gone after the way back', async () => {
    const sounds = path.join(work, 'sounds');
    repository(sounds, { 'bell.ogg': 'bell\n' });
    add(app, sounds, 'sounds');
    git(app, 'tag', 'v1.1.0');
    const before = state();
    const snapshot = await update('v1.1.0');
    expect(read('sounds/bell.ogg')).toBe('bell');

    rmSync(sounds, { recursive: true });
    await (await open()).restoreSnapshot(snapshot);
    expect(state()).toEqual(before);
    expect(existsSync(inClone('sounds'))).toBe(false);
    await update('v1.1.0');
    expect(read('sounds/bell.ogg')).toBe('bell');
  });

  test('that came with a release stay after the way back when they hold files of somebody’s', async () => {
    add(app, icons, 'static');
    git(app, 'tag', 'v1.1.0');
    const snapshot = await update('v1.1.0');
    writeFileSync(inClone('static/upload'), 'mine');
    await (await open()).restoreSnapshot(snapshot);
    expect(read('static/upload')).toBe('mine');
    await update('v1.1.0');
    expect(read('static/icon.svg')).toBe('1');
  });

  test('a later way back moves those that the update moved, and leaves what was done in the others since', async () => {
    add(app, icons, 'static');
    git(app, 'tag', 'v1.0.1');
    await update('v1.0.1');
    const before = contents();
    release('v1.1.0');
    const snapshot = await update('v1.1.0');
    writeFileSync(inClone('static/icon.svg'), 'changed since\n');

    const checkout = await open();
    const now = await checkout.snapshot();
    await checkout.restoreSnapshot(backTo(snapshot, now));
    expect(contents()).toEqual(before);
    expect(read('static/icon.svg')).toBe('changed since');
    await checkout.restoreSnapshot(now);
    expect(contents()).toEqual(['image: app:v1.1.0', 'v1.1.0', 'v1.1.0']);
    expect(read('static/icon.svg')).toBe('changed since');
  });

  test('that come where files are refuse the update', async () => {
    add(app, icons, 'static');
    git(app, 'tag', 'v1.1.0');
    mkdirSync(inClone('static'));
    writeFileSync(inClone('static/mine'), 'mine');
    await expect(update('v1.1.0')).rejects.toMatchObject({
      code: 'dirty-tree',
      message: expect.stringMatching(/: static$/) as unknown,
    });
  });

  test('that a release drops come back with the way back, even where a build has removed their files', async () => {
    git(app, 'rm', '--quiet', 'lib/theme');
    commit(app);
    git(app, 'tag', 'v1.1.0');
    const before = state();
    const snapshot = await update('v1.1.0');
    rmSync(inClone('lib'), { recursive: true });
    await (await open()).restoreSnapshot(snapshot);
    expect(state()).toEqual(before);
  });

  test('that were never checked out here stay so', async () => {
    git(clone, 'submodule', '--quiet', 'deinit', '--all', '--force');
    release('v1.1.0');
    rmSync(theme, { recursive: true });
    const snapshot = await update('v1.1.0');
    expect(read('compose.yml')).toBe('image: app:v1.1.0');
    expect(existsSync(inClone('lib/theme/theme.css'))).toBe(false);
    await (await open()).restoreSnapshot(snapshot);
    expect(read('compose.yml')).toBe('image: app:1');
  });

  test('that the release does not move stay where somebody has put them, branch and changes included', async () => {
    commit(app, { 'compose.yml': 'image: app:2\n' });
    git(app, 'tag', 'v1.1.0');
    git(inClone('lib/theme'), 'checkout', '--quiet', '-b', 'mine');
    commit(inClone('lib/theme'), { 'theme.css': 'mine\n' });
    writeFileSync(inClone('lib/theme/icons/icon.svg'), 'mine\n');
    const before = state();
    const snapshot = await update('v1.1.0');
    expect(contents()).toEqual(['image: app:2', 'mine', 'mine']);
    await (await open()).restoreSnapshot(snapshot);
    expect(state()).toEqual(before);
  });

  test.each([[[]], [['dirty']]])('with changes where the release moves them refuse it, allowing %j', async (allow) => {
    release('v1.1.0');
    writeFileSync(inClone('lib/theme/theme.css'), 'mine\n');
    const before = state();
    const checkout = await open();
    await checkout.fetch();
    const target = (await checkout.resolveTarget({ ref: 'v1.1.0' })) as Target;
    for (const refused of [() => checkout.gate(target, allow), () => checkout.checkout(target, allow)]) {
      await expect(refused()).rejects.toMatchObject({
        code: 'dirty-tree',
        message: expect.stringMatching(/: lib\/theme\/[^,]+$/) as unknown,
      });
    }
    expect(state()).toEqual(before);
  });

  test('move house with the release, and back', async () => {
    const moved = path.join(work, 'moved');
    git(work, 'clone', '--quiet', '--bare', theme, moved);
    release('v1.1.0');
    git(theme, 'push', '--quiet', moved, 'main');
    git(app, 'submodule', '--quiet', 'set-url', 'lib/theme', moved);
    commit(app);
    git(app, 'tag', 'v1.2.0');
    rmSync(theme, { recursive: true });
    const before = state();
    const snapshot = await update('v1.2.0');
    expect(contents()).toEqual(['image: app:v1.1.0', 'v1.1.0', 'v1.1.0']);
    await (await open()).restoreSnapshot(snapshot);
    expect(state()).toEqual(before);
    expect(git(inClone('lib/theme'), 'remote', 'get-url', 'origin')).toBe(theme);
  });

  test('that can’t be had are named, and the way back needs none', async () => {
    release('v1.1.0');
    const before = state();
    rmSync(theme, { recursive: true });
    const checkout = await open();
    const target = await targetOf(checkout, 'v1.1.0');
    const snapshot = await checkout.snapshot(target);
    await expect(checkout.checkout(target)).rejects.toMatchObject({
      code: 'code-failed',
      message: expect.stringContaining(`failed to check out the submodules lib/theme in ${clone}`) as unknown,
    });
    await (await open()).restoreSnapshot(snapshot);
    expect(state()).toEqual(before);
  });

  (process.getuid?.() === 0 ? test : test.skip)('of another user’s clone are trusted with it', async () => {
    release('v1.1.0');
    const before = state();
    for (const file of execFileSync('find', [clone, '-print0'], { encoding: 'utf8' }).split('\0').filter(Boolean)) {
      chownSync(file, 1234, 1234);
    }
    const snapshot = await update('v1.1.0');
    expect(contents()).toEqual(['image: app:v1.1.0', 'v1.1.0', 'v1.1.0']);
    await (await open()).restoreSnapshot(snapshot);
    expect(state()).toEqual(before);
  });
});
