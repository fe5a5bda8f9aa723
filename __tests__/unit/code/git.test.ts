import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openCheckout, type Checkout, type CheckoutDeps, type Snapshot, type Target } from '../../../src/code/git.ts';
import { CaretakerError } from '../../../src/errors.ts';
import { silentLog } from '../../../src/report/silent.ts';
import { nodeProcesses } from '../../../src/system/node-processes.ts';
import type { Processes } from '../../../src/system/processes.ts';
import { systemClock } from '../../../src/system/system-clock.ts';

/** Dozens of git processes a test, on machines that do other things too. */
jest.setTimeout(60_000);

let work: string;
/** Where the application's developers push. */
let upstream: string;
/** The administrator's clone. */
let clone: string;
let deps: CheckoutDeps;

beforeEach(() => {
  work = realpathSync(mkdtempSync(path.join(tmpdir(), 'caretaker-code-')));
  upstream = path.join(work, 'upstream');
  clone = path.join(work, 'clone');
  deps = { processes: nodeProcesses, log: silentLog(), clock: { ...systemClock, sleep: () => Promise.resolve() } };
  mkdirSync(upstream);
  git(upstream, 'init', '--quiet', '--initial-branch=main');
  commit('one', {
    'compose.yml': 'image: app:1\nports: 80\nend: 1\n',
    env: 'SECRET=change-me\n',
    'app.py': '1\n',
    README: 'x\n',
  });
  git(upstream, 'tag', 'v1.0.0');
  git(work, 'clone', '--quiet', upstream, clone);
});

afterEach(() => rmSync(work, { recursive: true, force: true }));

function git(directory: string, ...args: string[]): string {
  const identity = [
    '-c',
    'user.name=Dev',
    '-c',
    'user.email=dev@localhost',
    '-c',
    'protocol.file.allow=always',
    '-c',
    'safe.directory=*',
  ];
  return execFileSync('git', [...identity, ...args], {
    cwd: directory,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  }).trim();
}

function commit(message: string, files: Record<string, string | null>, directory = upstream): string {
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(directory, file)), { recursive: true });
    if (text === null) rmSync(path.join(directory, file));
    else writeFileSync(path.join(directory, file), text);
  }
  git(directory, 'add', '--all', '--force');
  git(directory, 'commit', '--quiet', '--message', message);
  return git(directory, 'rev-parse', 'HEAD');
}

/** Release v1.1.0 of the application: a new image, a new file. */
function release(): string {
  const id = commit('two', {
    'compose.yml': 'image: app:2\nports: 80\nend: 1\n',
    'new/file.py': 'new\n',
    'app.py': '2\n',
  });
  git(upstream, 'tag', 'v1.1.0');
  return id;
}

async function open(directory = clone): Promise<Checkout> {
  const checkout = await openCheckout(directory, deps);
  if (checkout === null) throw new Error('no clone');
  return checkout;
}

async function targetOf(checkout: Checkout, request: Parameters<Checkout['resolveTarget']>[0] = {}): Promise<Target> {
  await checkout.fetch();
  const target = await checkout.resolveTarget(request);
  if (target === null) throw new Error('nothing newer');
  return target;
}

const read = (file: string): string => readFileSync(path.join(clone, file), 'utf8');
const write = (file: string, text: string): void => writeFileSync(path.join(clone, file), text);
const branch = (): string => git(clone, 'rev-parse', '--abbrev-ref', 'HEAD');
const headOf = (): string => git(clone, 'rev-parse', 'HEAD');

/** What the administrator would see: commit, branch, status, and the files. */
function state(): unknown {
  return {
    head: headOf(),
    branch: branch(),
    branches: git(clone, 'for-each-ref', 'refs/heads', 'refs/stash'),
    status: git(clone, 'status', '--porcelain', '--ignored'),
    diff: git(clone, 'diff', 'HEAD'),
    staged: git(clone, 'diff', '--cached'),
  };
}

describe('which clone', () => {
  test('a directory without git belongs to none', async () => {
    const plain = path.join(work, 'plain');
    mkdirSync(plain);
    expect(await openCheckout(plain, deps)).toBeNull();
  });

  test('a tracked directory below the top belongs to it; one that git knows nothing of only when it is named', async () => {
    commit('deploy', { 'deploy/compose.yml': 'x\n' });
    git(clone, 'pull', '--quiet');
    mkdirSync(path.join(clone, 'instance'));
    expect((await open(path.join(clone, 'deploy'))).directory).toBe(clone);
    expect(await openCheckout(path.join(clone, 'instance'), deps)).toBeNull();
    expect((await openCheckout(path.join(clone, 'instance'), deps, { named: true }))?.directory).toBe(clone);
  });

  test('another user’s clone is opened without touching anybody’s configuration', async () => {
    if (process.getuid?.() !== 0) return;
    execFileSync('chown', ['-R', '12345:12345', clone]);
    // Root is told by SUDO_UID whose clones are its own: not here.
    expect(() =>
      execFileSync('git', ['status'], { cwd: clone, stdio: 'pipe', env: { PATH: process.env['PATH'], HOME: work } }),
    ).toThrow('dubious');
    expect((await (await open()).head()).branch).toBe('main');
    expect((await (await open()).head()).tag).toBe('v1.0.0');
    chownSync(path.join(clone, '.git'), 0, 0);
    expect((await (await open()).head()).branch).toBe('main');
    expect(existsSync(path.join(work, '.gitconfig'))).toBe(false);
  });

  test('a clone whose owner is not that of the project directory in it is opened', async () => {
    if (process.getuid?.() !== 0) return;
    commit('deploy', { 'deploy/compose.yml': 'x\n' });
    git(clone, 'pull', '--quiet');
    execFileSync('chown', ['-R', '12345:12345', clone]);
    chownSync(path.join(clone, 'deploy'), 12346, 12346);
    expect((await open(path.join(clone, 'deploy'))).directory).toBe(clone);
  });

  describe('that another user has made above', () => {
    const STRANGER = 12347;
    const shared = (): string => path.join(work, 'shared');
    const project = (): string => path.join(shared(), 'uso');
    const ran = (): string => path.join(work, 'ran');
    const log = silentLog();

    /** Where all may write: a project directory, and a repository of somebody else's that lists its file, and names a program for it. */
    function strangersRepository(): void {
      mkdirSync(project(), { recursive: true });
      chmodSync(shared(), 0o1777);
      git(shared(), 'init', '--quiet');
      writeFileSync(path.join(project(), 'compose.yml'), 'x\n');
      git(shared(), 'add', '.');
      git(shared(), 'commit', '--quiet', '--message', 'theirs');
      git(shared(), 'config', 'filter.x.clean', `touch ${ran()}; cat`);
      mkdirSync(path.join(shared(), '.git/info'), { recursive: true });
      writeFileSync(path.join(shared(), '.git/info/attributes'), '* filter=x\n');
      writeFileSync(path.join(project(), 'compose.yml'), 'y\n');
      execFileSync('chown', ['-hR', String(STRANGER), path.join(shared(), '.git')]);
    }

    /** What a run asks of a clone that it has found. */
    async function use(named: boolean): Promise<Checkout | null> {
      const checkout = await openCheckout(project(), { ...deps, log }, { named });
      await checkout?.isGits(path.join(project(), 'compose.yml'));
      return checkout;
    }

    async function refused(): Promise<void> {
      expect([await use(false), existsSync(ran())]).toEqual([null, false]);
      await expect(use(true)).rejects.toMatchObject({ code: 'code-untrusted' });
      expect(existsSync(ran())).toBe(false);
    }

    beforeEach(() => void log.warnings.splice(0));

    test('is none of ours, and nothing that it names is run', async () => {
      if (process.getuid?.() !== 0) return;
      strangersRepository();
      await refused();
      expect(log.warnings).toEqual([expect.stringContaining(`${shared()}/.git belongs to user ${STRANGER}`)]);
    });

    test('nor when a link or a file of his leads to a repository of ours', async () => {
      if (process.getuid?.() !== 0) return;
      strangersRepository();
      const place = path.join(shared(), '.git');
      execFileSync('chown', ['-hR', '12348', place]);
      renameSync(place, path.join(work, 'ours.git'));
      symlinkSync(path.join(work, 'ours.git'), place);
      lchownSync(place, STRANGER, STRANGER);
      await refused();
      rmSync(place);
      writeFileSync(place, `gitdir: ${path.join(work, 'ours.git')}\n`);
      chownSync(place, STRANGER, STRANGER);
      await refused();
    });

    test('nor when a file of ours leads to a repository of his', async () => {
      if (process.getuid?.() !== 0) return;
      strangersRepository();
      renameSync(path.join(shared(), '.git'), path.join(work, 'theirs.git'));
      writeFileSync(path.join(shared(), '.git'), `gitdir: ${path.join(work, 'theirs.git')}\n`);
      await refused();
      // Who owns the directory that it says is its own, is no matter.
      git(shared(), 'config', 'core.worktree', path.join(work, 'elsewhere'));
      mkdirSync(path.join(work, 'elsewhere'));
      chownSync(path.join(work, 'elsewhere'), STRANGER, STRANGER);
      await refused();
    });

    test('in the project directory itself it is an error: an update would go without the code', async () => {
      if (process.getuid?.() !== 0) return;
      chownSync(path.join(clone, '.git'), STRANGER, STRANGER);
      await expect(openCheckout(clone, deps)).rejects.toMatchObject({ code: 'code-untrusted' });
    });

    test('nor when it is a plain bare one', async () => {
      mkdirSync(project(), { recursive: true });
      git(shared(), 'init', '--quiet', '--bare');
      expect(await use(false)).toBeNull();
      expect(log.warnings).toEqual([expect.stringContaining(`${shared()} is a bare repository`)]);
      await expect(use(true)).rejects.toMatchObject({ code: 'code-untrusted' });
    });

    test.each<[string, string, () => void]>([
      ['a .git that is none', '.git', () => writeFileSync(path.join(shared(), '.git'), 'garbage\n')],
      [
        'a bare one of a format that nobody knows',
        'HEAD',
        () => {
          git(shared(), 'init', '--quiet', '--bare');
          git(shared(), 'config', 'core.repositoryFormatVersion', '99');
        },
      ],
    ])('nor does %s end the run, but one of our own', async (_what, name, make) => {
      if (process.getuid?.() !== 0) return;
      mkdirSync(project(), { recursive: true });
      make();
      await expect(use(false)).rejects.toMatchObject({ code: 'code-failed' });
      chownSync(path.join(shared(), name), STRANGER, STRANGER);
      expect(await use(false)).toBeNull();
      const place = path.join(shared(), name);
      expect(log.warnings).toEqual([expect.stringContaining(`git can't read ${place}, which another user has put`)]);
      await expect(use(true)).rejects.toMatchObject({ code: 'code-failed' });
      // What lies nearer is what git has stumbled over.
      writeFileSync(path.join(project(), '.git'), 'garbage\n');
      await expect(use(false)).rejects.toMatchObject({ code: 'code-failed' });
    });

    test('nor does a pipe of his end the run, into which git looks for ever', async () => {
      if (process.getuid?.() !== 0) return;
      mkdirSync(project(), { recursive: true });
      execFileSync('mkfifo', [path.join(shared(), 'HEAD')]);
      const processes: Processes = {
        ...nodeProcesses,
        run: () => Promise.reject(new CaretakerError('command-timeout', 'git rev-parse took too long')),
      };
      const look = (): Promise<Checkout | null> => openCheckout(project(), { ...deps, log, processes });
      await expect(look()).rejects.toMatchObject({ code: 'command-timeout' });
      chownSync(path.join(shared(), 'HEAD'), STRANGER, STRANGER);
      expect(await look()).toBeNull();
      expect(log.warnings).toEqual([expect.stringContaining(`${shared()}/HEAD`)]);
    });

    test.each([0, 12346])('nor when he has laid it bare into a directory of user %i', async (owner) => {
      if (process.getuid?.() !== 0) return;
      strangersRepository();
      for (const name of readdirSync(path.join(shared(), '.git')))
        renameSync(path.join(shared(), '.git', name), path.join(shared(), name));
      rmSync(path.join(shared(), '.git'), { recursive: true });
      writeFileSync(
        path.join(shared(), 'config'),
        `[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = ${shared()}\n[filter "x"]\n\tclean = "touch ${ran()}; cat"\n`,
      );
      chownSync(shared(), owner, owner);
      await refused();
    });
  });
});

describe('what is there', () => {
  test('branch, tag and description', async () => {
    const checkout = await open();
    expect(await checkout.head()).toEqual({ commit: headOf(), branch: 'main', tag: 'v1.0.0', describe: 'v1.0.0' });
    commit('local', { 'x.txt': 'x' }, clone);
    expect(await checkout.head()).toMatchObject({
      tag: null,
      describe: expect.stringMatching(/^v1\.0\.0-1-g/) as unknown,
    });
    git(clone, 'checkout', '--quiet', '--detach', 'v1.0.0');
    expect(await checkout.head()).toMatchObject({ branch: null, tag: 'v1.0.0' });
  });

  test('the highest of several tags counts', async () => {
    for (const tag of ['latest', 'v1.0.1', 'v1.0.0-rc.1']) git(clone, 'tag', tag);
    expect((await (await open()).head()).tag).toBe('v1.0.1');
  });

  test('dirty files are the tracked ones, whatever their names', async () => {
    commit('odd', { 'odd name\n"x".txt': 'x', gone: 'x' });
    git(clone, 'pull', '--quiet');
    write('odd name\n"x".txt', 'y');
    write('env', 'SECRET=1\n');
    write('untracked', 'x');
    rmSync(path.join(clone, 'gone'));
    git(clone, 'add', 'env');
    expect((await (await open()).dirtyFiles()).sort()).toEqual(['env', 'gone', 'odd name\n"x".txt']);
  });
});

test('a directory is git’s as long as nobody has put anything into it', async () => {
  commit('configs', { 'configs/a*': 'x', '.gitignore': 'configs/ignored\n' });
  git(clone, 'pull', '--quiet');
  const configs = path.join(clone, 'configs');
  const checkout = await open();
  expect(await checkout.isGits(configs)).toBe(true);
  for (const [name, text] of [
    ['a*', 'y'],
    ['new', 'x'],
    ['ignored', 'x'],
  ] as const) {
    writeFileSync(path.join(configs, name), text);
    expect(await checkout.isGits(configs)).toBe(false);
    git(clone, 'checkout', '--quiet', '--', 'configs');
    rmSync(path.join(configs, name === 'a*' ? 'nothing' : name), { force: true });
    expect(await checkout.isGits(configs)).toBe(true);
  }
  expect(await checkout.isGits(clone)).toBe(false);
  expect(await checkout.isGits('/elsewhere')).toBe(false);
});

describe('a file is git’s', () => {
  const isGits = async (file: string): Promise<boolean> => (await open()).isGits(path.join(clone, file));

  test('where it is byte for byte what is committed, whatever its name', async () => {
    commit('odd', { '-n': 'x', 'sub/:odd "*"': 'x' });
    git(clone, 'pull', '--quiet');
    for (const file of ['env', '-n', 'sub/:odd "*"']) expect([file, await isGits(file)]).toEqual([file, true]);
    write('env', 'SECRET=1\n');
    expect(await isGits('env')).toBe(false);
    expect(await isGits('nothing')).toBe(false);
    symlinkSync('env', path.join(clone, 'link'));
    git(clone, 'add', 'link');
    git(clone, 'commit', '--quiet', '-m', 'link', '--', 'link');
    expect(await isGits('link')).toBe(false);
  });

  test('not where git has it encrypted, as a filter stores it', async () => {
    git(clone, 'config', 'filter.crypt.clean', 'tr a-z b-za');
    git(clone, 'config', 'filter.crypt.smudge', 'tr b-za a-z');
    commit('attributes', { '.gitattributes': 'prod.env filter=crypt\n' }, clone);
    write('prod.env', 'secret\n');
    git(clone, 'add', 'prod.env');
    git(clone, 'commit', '--quiet', '-m', 'encrypted', '--', 'prod.env');
    expect(git(clone, 'show', 'HEAD:prod.env')).toContain('tfdsfu');
    expect(git(clone, 'status', '--porcelain')).toBe('');
    expect(await isGits('prod.env')).toBe(false);
  });

  test.each(['--skip-worktree', '--assume-unchanged'])('not where %s hides what was written to it', async (flag) => {
    git(clone, 'update-index', flag, 'env');
    write('env', 'SECRET=1\n');
    expect(git(clone, 'status', '--porcelain')).toBe('');
    expect(await isGits('env')).toBe(false);
    commit('configs', { 'configs/a': 'x' });
    git(clone, 'fetch', '--quiet');
    git(clone, 'checkout', '--quiet', 'origin/main', '--', 'configs');
    git(clone, 'commit', '--quiet', '-m', 'configs', '--', 'configs');
    git(clone, 'update-index', flag, 'configs/a');
    write('configs/a', 'y');
    expect(await isGits('configs')).toBe(false);
  });
});

test('a file of a commit, or none', async () => {
  const id = release();
  const checkout = await open();
  await checkout.fetch();
  expect(await checkout.show(id, 'compose.yml')).toBe('image: app:2\nports: 80\nend: 1\n');
  expect(await checkout.show(id, 'new/file.py')).toBe('new\n');
  for (const nothing of ['new', 'nothing.yml', '']) expect(await checkout.show(id, nothing)).toBeNull();
});

describe('the target', () => {
  test('is the head of the branch that is checked out', async () => {
    const id = release();
    const target = await targetOf(await open());
    expect(target).toEqual({
      commit: id,
      label: `origin/main (${id.slice(0, 12)})`,
      tag: null,
      version: 'v1.1.0',
      follows: true,
    });
  });

  test('is nothing when the branch is contained already', async () => {
    const checkout = await open();
    await checkout.fetch();
    expect(await checkout.resolveTarget({})).toBeNull();
    commit('local', { 'x.txt': 'x' }, clone);
    expect(await checkout.resolveTarget({})).toBeNull();
    expect(await checkout.resolveTarget({ ref: 'main' })).toBeNull();
  });

  test('may be a tag, a branch of the remote or a commit', async () => {
    const two = release();
    git(upstream, 'checkout', '--quiet', '-b', 'next');
    const three = commit('three', { 'app.py': '3\n' });
    const checkout = await open();
    expect(await targetOf(checkout, { ref: 'v1.1.0' })).toMatchObject({
      commit: two,
      tag: 'v1.1.0',
      label: 'v1.1.0',
      follows: false,
    });
    expect(await targetOf(checkout, { ref: 'refs/tags/v1.1.0' })).toMatchObject({ commit: two });
    expect(await targetOf(checkout, { ref: 'next' })).toMatchObject({ commit: three, follows: false });
    expect(await targetOf(checkout, { ref: three.slice(0, 10) })).toMatchObject({ commit: three, tag: null });
  });

  test('of an event is its tag, which may have been moved upstream', async () => {
    const checkout = await open();
    release();
    await checkout.fetch();
    const moved = commit('three', { 'app.py': '3\n' });
    git(upstream, 'tag', '--force', 'v1.1.0');
    expect(await targetOf(checkout, { eventTag: 'v1.1.0' })).toMatchObject({ commit: moved, tag: 'v1.1.0' });
    await expect(checkout.resolveTarget({ eventTag: 'v9.9.9' })).rejects.toMatchObject({ code: 'ref-unknown' });
  });

  test('of track: releases is the newest tag that is let through', async () => {
    const checkout = await open();
    release();
    commit('rc', { 'app.py': '3\n' });
    git(upstream, 'tag', 'v1.2.0-rc.1');
    commit('major', { 'app.py': '4\n' });
    git(upstream, 'tag', 'v2.0.0');
    expect(await targetOf(checkout, { track: 'releases' })).toMatchObject({ tag: 'v1.1.0' });
    expect(await targetOf(checkout, { track: 'releases', allow: ['major'] })).toMatchObject({ tag: 'v2.0.0' });
    expect(await targetOf(checkout, { track: 'releases', eventTag: 'v1.0.0', allow: ['prerelease'] })).toMatchObject({
      tag: 'v1.2.0-rc.1',
    });
    await checkout.checkout(await targetOf(checkout, { track: 'releases' }));
    expect(await checkout.resolveTarget({ track: 'releases' })).toBeNull();
  });

  test.each([
    [{ ref: 'nope' }, 'ref-unknown'],
    [{ ref: '--help' }, 'ref-unknown'],
    [{ ref: 'HEAD~1' }, 'ref-unknown'],
  ])('%j is refused: %s', async (request, code) => {
    await expect((await open()).resolveTarget(request)).rejects.toMatchObject({ code });
  });

  test('without a remote, without tags, without an upstream: each its error', async () => {
    const lonely = path.join(work, 'lonely');
    mkdirSync(lonely);
    git(lonely, 'init', '--quiet');
    commit('x', { x: 'x' }, lonely);
    const checkout = await open(lonely);
    await checkout.fetch();
    await expect(checkout.resolveTarget({})).rejects.toMatchObject({ code: 'upstream-missing' });
    await expect(checkout.resolveTarget({ track: 'releases' })).rejects.toMatchObject({ code: 'no-release' });
  });

  test('a detached HEAD follows the remote’s default branch', async () => {
    git(clone, 'checkout', '--quiet', '--detach', 'v1.0.0');
    const id = release();
    expect(await targetOf(await open())).toMatchObject({ commit: id, follows: false });
  });

  test('a shallow clone learns what it needs to tell a fast-forward', async () => {
    release();
    rmSync(clone, { recursive: true });
    git(work, 'clone', '--quiet', '--depth=1', `file://${upstream}`, clone);
    commit('three', { 'app.py': '3\n' });
    const checkout = await open();
    await checkout.checkout(await targetOf(checkout));
    expect(branch()).toBe('main');
    expect(read('app.py')).toBe('3\n');
  });
});

describe('fetching', () => {
  test('a remote that is gone is a coded error', async () => {
    git(clone, 'remote', 'set-url', 'origin', path.join(work, 'gone'));
    await expect((await open()).fetch()).rejects.toMatchObject({ code: 'fetch-failed' });
  });

  test('the token goes to its server only, as a header, after a try without it, and is masked', async () => {
    const seen: string[][] = [];
    const server = createServer((request, response) => {
      // Node shows only the first of two; a real server refuses them.
      seen.push(request.rawHeaders.filter((_, at, all) => all[at - 1]?.toLowerCase() === 'authorization'));
      response.writeHead(404).end();
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      const masked: string[] = [];
      const log = { ...silentLog(), mask: (secret: string) => void masked.push(secret) };
      git(clone, 'remote', 'set-url', 'origin', `${origin}/app.git`);
      const fetchWith = async (serverUrl: string) => {
        const checkout = await openCheckout(clone, { ...deps, log, token: { value: 'ghs_secret', serverUrl } });
        return checkout?.fetch();
      };
      await expect(fetchWith(origin)).rejects.toMatchObject({ code: 'fetch-failed' });
      const basic = Buffer.from('x-access-token:ghs_secret').toString('base64');
      expect(seen).toEqual([[], [`basic ${basic}`]]);
      expect(masked).toContain(basic);
      seen.length = 0;
      await expect(fetchWith('https://github.com')).rejects.toMatchObject({ code: 'fetch-failed' });
      expect(seen.flat()).toEqual([]);
      expect(readFileSync(path.join(clone, '.git/config'), 'utf8')).not.toContain('extraheader');

      // What actions/checkout leaves behind.
      git(clone, 'config', `http.${origin}/.extraheader`, 'AUTHORIZATION: basic stale');
      seen.length = 0;
      await expect(fetchWith(origin)).rejects.toMatchObject({ code: 'fetch-failed' });
      expect(seen).toEqual([['basic stale'], [`basic ${basic}`]]);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  test('what was fetched with the token is checked out with it: Git LFS asks the server once more', async () => {
    commit('large', { '.gitattributes': '*.bin filter=asking\n', 'a.bin': 'x\n' });
    git(upstream, 'update-server-info');
    const server = createServer((request, response) => {
      const file = path.join(
        upstream,
        '.git',
        new URL(request.url ?? '', 'http://host').pathname.slice('/app/'.length),
      );
      if (request.headers.authorization === undefined || !existsSync(file)) response.writeHead(404).end();
      else response.end(readFileSync(file));
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    const serverUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      git(clone, 'remote', 'set-url', 'origin', `${serverUrl}/app`);
      git(
        clone,
        'config',
        'filter.asking.smudge',
        `git config --get-all http.${serverUrl}/.extraheader >${work}/asked; cat`,
      );
      const checkout = (await openCheckout(clone, { ...deps, token: { value: 'ghs_secret', serverUrl } }))!;
      await checkout.checkout(await targetOf(checkout));
      expect(readFileSync(path.join(work, 'asked'), 'utf8')).toContain('AUTHORIZATION: basic ');
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});

describe('the gate', () => {
  const gate = async (request: Parameters<Checkout['resolveTarget']>[0], allow: string[] = []): Promise<string> => {
    const checkout = await open();
    const target = await targetOf(checkout, request);
    const before = state();
    try {
      await checkout.gate(target, allow);
      return 'passes';
    } catch (error) {
      expect(state()).toEqual(before);
      return (error as { code: string }).code;
    }
  };

  test('a lower version and one that is contained are refused unless allowed', async () => {
    release();
    git(clone, 'pull', '--quiet', '--tags');
    expect(await gate({ ref: 'v1.0.0' })).toBe('version-downgrade');
    expect(await gate({ ref: 'v1.0.0' }, ['downgrade'])).toBe('passes');
    const untagged = commit('between', { 'app.py': '3\n' });
    commit('later', { 'app.py': '4\n' });
    git(clone, 'pull', '--quiet');
    expect(await gate({ ref: untagged })).toBe('version-downgrade');
  });

  test('a major step is refused, also on a branch', async () => {
    commit('major', { 'app.py': '4\n' });
    git(upstream, 'tag', 'v2.0.0');
    expect(await gate({ ref: 'v2.0.0' })).toBe('version-major');
    expect(await gate({})).toBe('version-major');
    expect(await gate({ ref: 'v2.0.0' }, ['major'])).toBe('passes');
  });

  test('tags that are no versions do not hide the versions', async () => {
    release();
    git(clone, 'pull', '--quiet', '--tags');
    const unversioned = commit('three', { 'app.py': '3\n' });
    git(upstream, 'tag', 'stable', unversioned);
    git(upstream, 'checkout', '--quiet', '--orphan', 'old');
    commit('elsewhere', { 'app.py': '0\n' });
    git(upstream, 'tag', 'v0.9.0');
    git(upstream, 'tag', 'oldest');
    expect(await gate({ ref: 'stable' })).toBe('passes');
    git(clone, 'checkout', '--quiet', 'stable');
    expect(await gate({ ref: 'oldest' })).toBe('version-downgrade');
    const checkout = await open();
    expect(await checkout.resolveTarget({ track: 'releases' })).toBeNull();
  });

  test('a branch with commits of its own is refused', async () => {
    release();
    commit('local', { 'x.txt': 'x' }, clone);
    expect(await gate({})).toBe('code-diverged');
    expect(await gate({ ref: 'v1.1.0' })).toBe('passes');
  });

  test('local changes are refused only where they would be overwritten', async () => {
    release();
    write('env', 'SECRET=mine\n');
    expect(await gate({})).toBe('passes');
    write('compose.yml', 'image: app:1\nports: 8080\nend: 1\n');
    expect(await gate({})).toBe('dirty-tree');
    expect(await gate({}, ['dirty'])).toBe('passes');
  });

  test('a file that git does not track, or ignores, is never overwritten', async () => {
    commit('env', { '.env': 'SECRET=default\n', 'notes.txt': 'x' });
    write('.git/info/exclude', '.env\n');
    write('.env', 'SECRET=mine\n');
    write('notes.txt', 'mine');
    const checkout = await open();
    const target = await targetOf(checkout);
    await expect(checkout.gate(target, ['dirty'])).rejects.toMatchObject({
      code: 'dirty-tree',
      message: expect.stringContaining('.env, notes.txt') as unknown,
    });
    await expect(checkout.checkout(target, ['dirty'])).rejects.toMatchObject({ code: 'dirty-tree' });
    expect(read('.env')).toBe('SECRET=mine\n');
  });
});

describe('checking out', () => {
  test('moves the branch, so that the next git pull still works, and carries local changes', async () => {
    write('env', 'SECRET=mine\n');
    const id = release();
    const checkout = await open();
    await checkout.checkout(await targetOf(checkout));
    expect([headOf(), branch(), read('env'), read('new/file.py')]).toEqual([id, 'main', 'SECRET=mine\n', 'new\n']);
    commit('three', { 'app.py': '3\n' });
    git(clone, 'pull', '--quiet');
    expect(read('app.py')).toBe('3\n');
  });

  test('moves the branch to a tag on its line too, with changes that are staged', async () => {
    write('env', 'SECRET=mine\n');
    git(clone, 'add', 'env');
    const id = release();
    commit('three', { 'app.py': '3\n' });
    const checkout = await open();
    await checkout.checkout(await targetOf(checkout, { ref: 'v1.1.0' }));
    expect([headOf(), branch(), read('env')]).toEqual([id, 'main', 'SECRET=mine\n']);
    git(clone, 'pull', '--quiet');
  });

  test('leaves the branch where the target is not ahead of it', async () => {
    const id = release();
    const local = commit('local', { 'x.txt': 'x' }, clone);
    const checkout = await open();
    await checkout.checkout(await targetOf(checkout, { ref: 'v1.1.0' }));
    expect([headOf(), branch(), git(clone, 'rev-parse', 'main')]).toEqual([id, 'HEAD', local]);
  });

  test('refuses what would be overwritten, and leaves everything as it was', async () => {
    release();
    write('app.py', 'mine\n');
    const checkout = await open();
    const target = await targetOf(checkout);
    const before = state();
    await expect(checkout.checkout(target)).rejects.toMatchObject({
      code: 'dirty-tree',
      message: expect.stringContaining('app.py') as unknown,
    });
    expect(state()).toEqual(before);
  });

  test('merges local changes where that is allowed, and takes a conflict back', async () => {
    release();
    write('compose.yml', 'image: app:1\nports: 80\nend: 2\n');
    const checkout = await open();
    await checkout.checkout(await targetOf(checkout), ['dirty']);
    expect(read('compose.yml')).toBe('image: app:2\nports: 80\nend: 2\n');
    expect(branch()).toBe('main');

    commit('three', { 'compose.yml': 'image: app:3\nports: 80\nend: 3\n' });
    write('env', 'SECRET=mine\n');
    git(clone, 'add', 'env');
    const target = await targetOf(checkout);
    const before = state();
    await expect(checkout.checkout(target, ['dirty'])).rejects.toMatchObject({ code: 'dirty-conflict' });
    expect(state()).toEqual(before);
  });

  test('hooks of the clone are not run', async () => {
    for (const hook of ['post-checkout', 'post-merge', 'reference-transaction']) {
      writeFileSync(path.join(clone, '.git/hooks', hook), `#!/bin/sh\ntouch ${work}/hooked\nexit 1\n`, { mode: 0o755 });
    }
    release();
    const checkout = await open();
    await checkout.checkout(await targetOf(checkout));
    expect(existsSync(path.join(work, 'hooked'))).toBe(false);
  });
});

describe('going back', () => {
  /** As the journal hands it over. */
  const journaled = (snapshot: Snapshot): Snapshot => JSON.parse(JSON.stringify(snapshot)) as Snapshot;

  beforeEach(() => {
    write('env', 'SECRET=mine\n');
    write('untracked', 'x');
  });

  test.each([
    ['on a branch', () => {}],
    ['detached', () => git(clone, 'checkout', '--quiet', '--detach')],
    ['with staged and removed files', () => (git(clone, 'add', 'env'), rmSync(path.join(clone, 'README')))],
    ['with nothing changed', () => git(clone, 'checkout', '--quiet', 'env')],
    ['on a branch with commits of its own', () => commit('local', { 'x.txt': 'x' }, clone)],
  ])('%s: everything is as it was, also the second time', async (_name, prepare) => {
    const id = release();
    prepare();
    const before = state();
    const checkout = await open();
    const target = await targetOf(checkout, { ref: 'v1.1.0' });
    const snapshot = journaled(await checkout.snapshot(target));
    await checkout.checkout(target);
    expect(headOf()).toBe(id);
    await checkout.restoreSnapshot(snapshot);
    expect(state()).toEqual(before);
    await (await open()).restoreSnapshot(snapshot);
    expect(state()).toEqual(before);
    expect(read('untracked')).toBe('x');
  });

  test('where nothing was checked out yet, nothing happens', async () => {
    const checkout = await open();
    const before = state();
    await checkout.restoreSnapshot(journaled(await checkout.snapshot()));
    expect(state()).toEqual(before);
  });

  test('a file that was only touched is no local change', async () => {
    git(clone, 'checkout', '--quiet', 'env');
    utimesSync(path.join(clone, 'env'), 1, 1);
    expect((await (await open()).snapshot()).local).toBeNull();
  });

  test('a file that did not differ keeps its inode: a container’s mount hangs on it', async () => {
    release();
    const checkout = await open();
    const target = await targetOf(checkout);
    const snapshot = await checkout.snapshot(target);
    const { ino } = statSync(path.join(clone, 'env'));
    await checkout.checkout(target);
    await checkout.restoreSnapshot(snapshot);
    expect(statSync(path.join(clone, 'env')).ino).toBe(ino);
  });

  test('after a build that changed tracked files', async () => {
    release();
    const before = state();
    const checkout = await open();
    const target = await targetOf(checkout);
    const snapshot = await checkout.snapshot(target);
    await checkout.checkout(target);
    write('app.py', 'generated\n');
    write('env', 'SECRET=generated\n');
    await checkout.restoreSnapshot(snapshot);
    expect(state()).toEqual(before);
  });

  test('after a merge of local changes', async () => {
    release();
    write('compose.yml', 'image: app:1\nports: 80\nend: 2\n');
    const before = state();
    const checkout = await open();
    const target = await targetOf(checkout);
    const snapshot = await checkout.snapshot(target);
    await checkout.checkout(target, ['dirty']);
    await checkout.restoreSnapshot(snapshot);
    expect(state()).toEqual(before);
  });

  test('after a checkout that was killed half-way: files written, index and HEAD not, the lock left', async () => {
    release();
    const before = state();
    const checkout = await open();
    const target = await targetOf(checkout);
    const snapshot = await checkout.snapshot(target);
    write('compose.yml', 'image: app:2\nports: 80\nend: 1\n');
    mkdirSync(path.join(clone, 'new'));
    write('new/file.py', 'new\n');
    write('.git/index.lock', '');
    await (await open()).restoreSnapshot(journaled(snapshot));
    expect(state()).toEqual(before);
    expect(existsSync(path.join(clone, 'new/file.py'))).toBe(false);
    await checkout.checkout(await targetOf(checkout));
    expect(read('new/file.py')).toBe('new\n');
  });

  test.each([
    ['', false],
    ['ne', false],
    ['nothing of theirs', true],
    ['new\nand more', true],
  ])('after a checkout that found no room for a new file: %j stays: %s', async (left, stays) => {
    release();
    const before = state();
    const checkout = await open();
    const snapshot = await checkout.snapshot(await targetOf(checkout));
    mkdirSync(path.join(clone, 'new'));
    write('new/file.py', left);
    await checkout.restoreSnapshot(journaled(snapshot));
    expect(existsSync(path.join(clone, 'new/file.py'))).toBe(stays);
    rmSync(path.join(clone, 'new'), { recursive: true });
    expect(state()).toEqual(before);
  });

  test('what cannot be put back says how to do it by hand', async () => {
    const checkout = await open();
    const snapshot = await checkout.snapshot();
    await expect(checkout.restoreSnapshot({ ...snapshot, commit: '0'.repeat(40) })).rejects.toMatchObject({
      code: 'code-undo-failed',
      hint: expect.stringContaining('git checkout --force -B main 000') as unknown,
    });
    expect(read('env')).toBe('SECRET=mine\n');
  });
});

describe('what a power cut must not take', () => {
  let notes: string;
  let programs: string[][];

  /** Loose objects, those of submodules too. */
  const loose = (): number => Number(git(clone, 'count-objects').split(' ')[0]);
  /** Files that git has forced to disk itself, by its own notes. */
  const forced = (): number =>
    (existsSync(notes) ? readFileSync(notes, 'utf8') : '')
      .split('\n')
      .flatMap((line) => (line === '' ? [] : [JSON.parse(line) as { key?: string; value?: string }]))
      .reduce((sum, { key, value }) => sum + (key === 'fsync/hardware-flush' ? Number(value) : 0), 0);

  beforeEach(() => {
    notes = path.join(work, 'notes');
    programs = [];
    const run: typeof nodeProcesses.run = (command, options) => {
      programs.push([...command.argv]);
      return nodeProcesses.run({ ...command, env: { ...command.env, GIT_TRACE2_EVENT: notes } }, options);
    };
    deps = { ...deps, processes: { ...nodeProcesses, run } };
  });

  test('objects and refs of a fetch, and the note of local changes, are forced to disk by git itself', async () => {
    release();
    write('env', 'SECRET=mine\n');
    const checkout = await open();
    const before = loose();
    await checkout.fetch();
    const fetched = loose();
    expect(fetched - before).toBeGreaterThan(4);
    // The branch and the tag besides.
    expect(forced()).toBeGreaterThanOrEqual(fetched - before + 2);
    rmSync(notes);
    await checkout.snapshot();
    expect(loose() - fetched).toBeGreaterThan(2);
    expect(forced()).toBeGreaterThanOrEqual(loose() - fetched);
  });

  test('all that git wrote is on disk before it counts as done: fetched, noted, checked out, put back', async () => {
    release();
    write('env', 'SECRET=mine\n');
    const checkout = await open();
    const sync = ['sync', '--file-system', '--', clone, path.join(clone, '.git')];
    await checkout.fetch();
    expect(programs.at(-1)).toEqual(sync);
    const target = await checkout.resolveTarget({});
    if (target === null) throw new Error('nothing newer');
    const snapshot = await checkout.snapshot(target);
    expect(programs.at(-1)).toEqual(sync);
    await checkout.checkout(target);
    const moved = programs.findIndex(([, command]) => command === 'merge');
    expect(programs.slice(moved)).toContainEqual(sync);
    await checkout.restoreSnapshot(snapshot);
    expect(programs.at(-1)).toEqual(sync);
  });

  test('a disk that does not take it is an error', async () => {
    const run: typeof nodeProcesses.run = (command, options) =>
      command.argv[0] === 'sync'
        ? Promise.resolve({ exitCode: 1, stdout: '', stderr: 'sync: error syncing: Input/output error' })
        : nodeProcesses.run(command, options);
    deps = { ...deps, processes: { ...nodeProcesses, run } };
    await expect((await open()).snapshot()).rejects.toMatchObject({
      code: 'code-failed',
      message: expect.stringContaining('Input/output error') as unknown,
    });
  });
});

test('Git LFS that is not set up leaves pointers, and the log says so', async () => {
  const warnings: string[] = [];
  deps = { ...deps, log: { ...silentLog(), warn: (line) => warnings.push(line) } };
  // Whoever runs the tests may have it.
  const without = { GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null' };
  Object.assign(process.env, without);
  try {
    const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 4\n`;
    commit('large', { '.gitattributes': '*.bin filter=lfs diff=lfs merge=lfs -text\n', 'a.bin': pointer });
    const checkout = await open();
    await checkout.checkout(await targetOf(checkout));
  } finally {
    for (const name of Object.keys(without)) delete process.env[name];
  }
  expect(warnings.join()).toMatch(/^a\.bin in .* Git LFS.* pointers: .*git lfs install/);
});
