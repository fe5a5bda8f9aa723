import type { Stats } from 'node:fs';
import { lstat, open, readdir, realpath, rm, stat, unlink } from 'node:fs/promises';
import path from 'node:path';
import { CaretakerError } from '../errors.ts';
import type { Clock } from '../system/clock.ts';
import { LIMITS } from '../system/limits.ts';
import type { RunResult } from '../system/processes.ts';
import { isStrangers } from '../system/strangers.ts';
import {
  ANY_CODE,
  Git,
  gitFailed,
  lastWords,
  tokenConfig,
  type GitDeps,
  type GitOptions,
  type GitToken,
} from './git-command.ts';
import { submodulesOf } from './submodules.ts';
import { gateVersions, highestVersion, newestAllowed, releases, parseVersion } from './versions.ts';

/** What is checked out. */
export interface Head {
  readonly commit: string;
  /** Null for a detached HEAD. */
  readonly branch: string | null;
  /** The highest version tag of this very commit, or any tag of it. */
  readonly tag: string | null;
  /** `v1.2.3-4-gabc1234`. */
  readonly describe: string | null;
}

/** What an update goes to. */
export interface Target {
  readonly commit: string;
  /** For a reader: the tag, `origin/main (abc1234)`, or the commit. */
  readonly label: string;
  readonly tag: string | null;
  /** The version tag that stands for this commit: its own, or the highest that it contains. */
  readonly version: string | null;
  /** True where a branch of the remote is followed: it must fast-forward the one that is checked out. */
  readonly follows: boolean;
}

/** How the target is asked for; all undefined: the head of the branch that is checked out. */
export interface TargetRequest {
  readonly ref?: string | undefined;
  readonly track?: 'releases' | 'branch' | undefined;
  readonly eventTag?: string | undefined;
  readonly allow?: readonly string[];
}

/** All that `restoreSnapshot` needs, as plain data for the journal. */
export interface Snapshot {
  readonly commit: string;
  readonly branch: string | null;
  /** A commit (`git stash create`) that holds the local changes to tracked files; null where there were none. */
  readonly local: string | null;
  /** Where the checkout was to lead: tells which files a killed one may have left behind. */
  readonly target: string | null;
  readonly submodules?: readonly NotedSubmodule[];
}

export interface NotedSubmodule {
  readonly path: string;
  /** True where the target has another version of it, or none. */
  readonly moves: boolean;
  /** As it was when noted; null for one that comes with the target. */
  readonly was: Snapshot | null;
}

/** Where a later run goes back to: the commits and branches of then, with the local changes of now. What did not move then stays as it is. */
export function backTo(then: Snapshot, now: Snapshot): Snapshot {
  const submodules = (then.submodules ?? []).flatMap((noted): NotedSubmodule[] => {
    if (!noted.moves) return [];
    const today = now.submodules?.find((one) => one.path === noted.path)?.was ?? null;
    if (noted.was === null) return [noted];
    return [{ ...noted, was: today === null ? { ...noted.was, local: null } : backTo(noted.was, today) }];
  });
  return { commit: then.commit, branch: then.branch, local: now.local, target: null, submodules };
}

/** A git clone on this host. What `fetch`, `snapshot`, `checkout` and `restoreSnapshot` leave is on disk when they are fulfilled. Throws `code-failed` with git's own last words. */
export interface Checkout {
  /** The clone's top directory. */
  readonly directory: string;
  head(): Promise<Head>;
  /** Learns the remote's branches and tags; changes nothing that is checked out. Without a remote it does nothing. `fetch-failed`. */
  fetch(): Promise<void>;
  /**
   * Null where there is nothing newer: no release above, or a branch whose head is contained already. `ref-unknown`, `upstream-missing`, `no-release`.
   */
  resolveTarget(request: TargetRequest): Promise<Target | null>;
  /** Refuses before anything is touched: `version-downgrade`, `version-major`, `code-diverged`, `dirty-tree`. */
  gate(target: Target, allow: readonly string[]): Promise<void>;
  isAncestor(ancestor: string, descendant: string): Promise<boolean>;
  /** What a file, relative to the clone's top directory, holds in a commit; null where it is not there. */
  show(commit: string, file: string): Promise<string | null>;
  /** Tracked files with local changes, relative to the clone's top directory. */
  dirtyFiles(): Promise<string[]>;
  /** True where all that lies at or below an absolute path is in the clone as git has it: nothing of it is anybody's. A file: byte for byte, as whoever reads the repository sees it. */
  isGits(place: string): Promise<boolean>;
  /** Files here that checking out the commit would overwrite: changed ones, and such as git does not track, ignored ones too. */
  collisions(commit: string): Promise<{ readonly changed: readonly string[]; readonly untracked: readonly string[] }>;
  /** Touches nothing. `target`: where the next checkout leads. */
  snapshot(target?: Target): Promise<Snapshot>;
  /**
   * Brings the files to the target and carries local changes along, as `git pull` does. A branch that is checked out moves with it where that is a fast-forward, so that
   * the next `git pull` still works; otherwise HEAD is detached. With `dirty` allowed, local changes in files that the target changes too are merged.
   * Submodules that the target moves or brings follow, with theirs; one that was never checked out here stays so.
   * `dirty-tree`, `dirty-conflict`, `code-diverged`; in these cases everything is as before.
   */
  checkout(target: Target, allow?: readonly string[]): Promise<void>;
  /** The very commit, branch and local changes, from any state that an interrupted checkout may have left. Again and again is no error. `code-undo-failed`. */
  restoreSnapshot(snapshot: Snapshot): Promise<void>;
}

export interface CheckoutDeps extends GitDeps {
  readonly clock: Clock;
  /** Tried where fetching without it fails. */
  readonly token?: GitToken;
}

/**
 * The clone that the directory belongs to; null where it belongs to none. A directory below a clone of which git tracks nothing (an instance directory
 * that is ignored there, a home directory under version control) does not belong to it, unless `named`: the user said that it does.
 * Nor does it, with a warning, to a repository above that somebody has put there who has no say in either directory: git would run what its configuration
 * names, or can't read it. `code-untrusted` where that is the named one, or the directory's own, `code-failed` where git can't read it.
 */
export async function openCheckout(
  directory: string,
  deps: CheckoutDeps,
  { named = false }: { readonly named?: boolean } = {},
): Promise<Checkout | null> {
  const real = await realpath(directory);
  const trusted: string[] = [];
  /** Where its .git lies: the top directory that git names may be another, by the clone's configuration. */
  let holder = real;
  const refuse = (top: string, why: string): null => {
    if (!named && top !== real) {
      deps.log.warn(`${real} is taken to belong to no git clone: ${why}`);
      return null;
    }
    throw new CaretakerError('code-untrusted', `failed to open the git clone ${directory}: ${why}`, {
      hint: `Git would run the programs that its configuration names. Give the clone to the owner of its directory, or name another; if you trust that user: git config --global --add safe.directory ${top}`,
    });
  };
  for (;;) {
    const git = new Git(real, trusted, deps);
    let result;
    try {
      result = await git.run(['rev-parse', '--show-toplevel'], { accept: [128], timeoutMs: LIMITS.look });
    } catch (error) {
      // A pipe in the place of a HEAD keeps git waiting.
      const waited = error instanceof CaretakerError && error.code === 'command-timeout';
      const theirs = waited && !named ? await strangersAbove(real) : null;
      if (theirs !== null) return refuse(theirs, unreadable(theirs));
      const none = error instanceof CaretakerError && error.code === 'command-missing' && !(await isClone(real));
      if (none) return null;
      throw error;
    }
    if (result.exitCode === 0) {
      const top = result.stdout.replace(/\n$/, '');
      const repository = await git.text(['rev-parse', '--absolute-git-dir']);
      if (isWithin(real, repository)) return refuse(repository, bare(repository));
      const why = trusted.length === 0 ? null : await strangers(repository, [holder, real]);
      if (why !== null) return refuse(holder, why);
      const ours = named || top === real || (await git.fields(['ls-files', '-z', '--', '.'])).length > 0;
      if (!ours) return null;
      const checkout = new GitCheckout(new Git(top, trusted, deps), deps);
      await checkout.trustSubmodules();
      return checkout;
    }
    // The message names the directory to trust: the top one, or its .git. Only one that holds what the user named is.
    const dubious = /dubious ownership in repository at '(.+)'/.exec(result.stderr)?.[1];
    if (dubious === undefined) {
      if (/not a git repository/.test(result.stderr)) return null;
      const repository = await git.text(['rev-parse', '--absolute-git-dir'], { accept: [128] });
      if (repository !== '' && isWithin(real, repository)) return refuse(repository, bare(repository));
      const theirs = named ? null : await strangersAbove(real);
      if (theirs !== null) return refuse(theirs, unreadable(theirs, lastWords(result)));
      throw new CaretakerError('code-failed', `failed to open the git clone ${directory}: ${lastWords(result)}`);
    }
    const top = dubious.replace(/\/\.git\/?$/, '');
    if (trusted.includes(dubious) || !isWithin(real, top)) {
      throw new CaretakerError('code-untrusted', `git does not trust the clone ${dubious}, which another user owns`, {
        hint: `Run: git config --global --add safe.directory ${dubious}`,
      });
    }
    const why = await strangers(path.join(top, '.git'), [top, real]);
    if (why !== null) return refuse(top, why);
    trusted.push(...new Set([dubious, top]));
    holder = top;
  }
}

/** Whose repository it is, where it is another's than this user's, root's and the owners' of the directories; null otherwise. */
async function strangers(repository: string, directories: readonly string[]): Promise<string | null> {
  const found = await lstat(repository).catch(() => null);
  if (found === null) return bare(path.dirname(repository));
  return (await isForeign(found, directories)) ? `${repository} belongs to user ${found.uid}` : null;
}

async function isForeign(found: Stats, directories: readonly string[]): Promise<boolean> {
  const owners = await Promise.all(directories.map((directory) => stat(directory)));
  return owners.every((owner) => isStrangers(found, owner));
}

/** What git stumbles over in a directory above, where somebody has put it there who has no say in either; null where it is none of a stranger's. */
async function strangersAbove(real: string): Promise<string | null> {
  for (let above = path.dirname(real), below = real; above !== below; [above, below] = [path.dirname(above), above]) {
    if (await isClone(below)) return null;
    for (const name of ['.git', 'HEAD']) {
      const place = path.join(above, name);
      const found = await lstat(place).catch(() => null);
      if (found !== null && (await isForeign(found, [above, real]))) return place;
    }
  }
  return null;
}

function unreadable(place: string, words = 'it does not come to an end'): string {
  return `git can't read ${place}, which another user has put there: ${words}`;
}

/** Its files may be anybody's where all may write, and git asks for the directory's owner only. */
function bare(repository: string): string {
  return `${repository} is a bare repository, and no clone`;
}

function isWithin(place: string, directory: string): boolean {
  return place === directory || place.startsWith(`${directory}/`);
}

async function isClone(directory: string): Promise<boolean> {
  return (await stat(path.join(directory, '.git')).catch(() => null)) !== null;
}

class GitCheckout implements Checkout {
  readonly directory: string;
  readonly #git: Git;
  readonly #deps: CheckoutDeps;
  /** What the remote asked for. Git LFS asks it again in the middle of a checkout, which can't be tried twice. */
  #access: NonNullable<GitOptions['config']> = [];

  constructor(git: Git, deps: CheckoutDeps) {
    this.directory = git.directory;
    this.#git = git;
    this.#deps = deps;
  }

  async head(): Promise<Head> {
    const commit = await this.#commit('HEAD');
    if (commit === null) {
      throw new CaretakerError('code-failed', `the git clone ${this.directory} has no commit yet`, {
        hint: 'Clone the application’s repository there.',
      });
    }
    const branch = await this.#git.text(['symbolic-ref', '--quiet', '--short', 'HEAD'], { accept: [1] });
    const tags = (await this.#git.text(['tag', '--points-at', 'HEAD'])).split('\n').filter((tag) => tag !== '');
    const describe = await this.#git.text(['describe', '--tags', '--always'], { accept: [128] });
    return {
      commit,
      branch: branch === '' ? null : branch,
      tag: highestVersion(tags) ?? tags[0] ?? null,
      describe: describe === '' ? null : describe,
    };
  }

  async fetch(): Promise<void> {
    const remote = await this.#remote();
    if (remote === null) {
      this.#deps.log.info(`${this.directory} has no remote: only what is in the clone can be deployed`);
      return;
    }
    const shallow = (await this.#git.text(['rev-parse', '--is-shallow-repository'])) === 'true';
    // --force: a tag that was moved upstream would otherwise end the fetch. Without all commits nobody can tell a fast-forward.
    // Submodules are fetched when they are checked out: it is not known yet to which version.
    const args = ['fetch', '--tags', '--force', '--no-recurse-submodules', ...(shallow ? ['--unshallow'] : []), remote];
    const result = await this.#reaching(args, { show: true, timeoutMs: LIMITS.act });
    if (result.exitCode === 0) return this.#git.settle();
    throw gitFailed('fetch-failed', `fetch ${remote}`, this.directory, result, {
      hint: 'Run "git fetch" there as the user that the runner works as: it needs the network and access to that repository.',
    });
  }

  /** A command that needs the network. Without the token first: the administrator's own credentials may reach what a workflow's token can't. */
  async #reaching(args: readonly string[], options: GitOptions): Promise<RunResult> {
    const { log, token } = this.#deps;
    const result = await this.#git.run(args, { ...options, accept: ANY_CODE });
    if (result.exitCode === 0 || token === undefined) return result;
    const config = tokenConfig(token);
    for (const [, value] of config) if (value !== '') log.mask(value.slice(value.lastIndexOf(' ') + 1));
    const second = await this.#git.run(args, { ...options, accept: ANY_CODE, config });
    if (second.exitCode === 0) this.#access = config;
    return second;
  }

  async resolveTarget({ ref, track, eventTag, allow = [] }: TargetRequest): Promise<Target | null> {
    if (ref !== undefined) return this.#resolveRef(ref);
    if (track === 'releases') return this.#resolveRelease(allow);
    if (track === undefined && eventTag !== undefined) {
      const commit = await this.#commit(`refs/tags/${eventTag}`);
      if (commit !== null) return this.#target(commit, eventTag, { tag: eventTag });
      throw this.#unknown(eventTag, 'the tag of the event that started this workflow');
    }
    return this.#newer(await this.#resolveUpstream());
  }

  async gate(target: Target, allow: readonly string[]): Promise<void> {
    const head = await this.head();
    // A tag that is no version (`stable`) says nothing: the version of its commit does.
    const asked = target.tag !== null && parseVersion(target.tag) !== null ? target.tag : target.version;
    gateVersions(await this.#versionOf(head.commit), asked, allow);
    const back = head.commit !== target.commit && (await this.isAncestor(target.commit, head.commit));
    if (back && !allow.includes('downgrade')) {
      throw new CaretakerError('version-downgrade', `${target.label} is contained in what is deployed already`, {
        input: 'allow',
        hint: 'Going there is a step back; add "downgrade" to allow if that is meant.',
      });
    }
    await this.#refuseDiverged(head, target);
    await this.#refuseOverwriting(target, allow);
  }

  isAncestor(ancestor: string, descendant: string): Promise<boolean> {
    return this.#git.holds(['merge-base', '--is-ancestor', ancestor, descendant]);
  }

  async show(commit: string, file: string): Promise<string | null> {
    const { exitCode, stdout } = await this.#git.run(['cat-file', 'blob', `${commit}:${file}`], { accept: [128] });
    return exitCode === 0 ? stdout : null;
  }

  async dirtyFiles(): Promise<string[]> {
    const fields = await this.#git.fields(['status', '--porcelain=v1', '-z', '--untracked-files=no', '--no-renames'], {
      env: { GIT_OPTIONAL_LOCKS: '0' },
    });
    return fields.map((field) => field.slice(3));
  }

  async isGits(place: string): Promise<boolean> {
    const inside = path.relative(this.directory, place);
    if (inside === '' || inside.startsWith('..')) return false;
    const args = ['status', '--porcelain', '-z', '--untracked-files=all', '--ignored', '--', `:(literal)${inside}`];
    if ((await this.#git.fields(args, { env: { GIT_OPTIONAL_LOCKS: '0' } })).length > 0) return false;
    const found = await lstat(place).catch(() => null);
    if (found?.isFile() === true) return this.#isBlobOfHead(inside);
    // What is to be taken for unchanged, git does not look at: `h`, `S`.
    const tracked = await this.#git.fields(['ls-files', '-v', '-z', '--', `:(literal)${inside}`]);
    return found?.isDirectory() === true && tracked.every((one) => one.startsWith('H '));
  }

  /** A filter (git-crypt) may store something else than what lies here, and a clean status says nothing of that. */
  async #isBlobOfHead(file: string): Promise<boolean> {
    const { exitCode, stdout } = await this.#git.run(['rev-parse', '--verify', '--quiet', `HEAD:${file}`], {
      accept: [1, 128],
    });
    return exitCode === 0 && stdout === (await this.#git.run(['hash-object', '--no-filters', '--', file])).stdout;
  }

  async collisions(
    commit: string,
  ): Promise<{ readonly changed: readonly string[]; readonly untracked: readonly string[] }> {
    const dirty = new Set(await this.dirtyFiles());
    const differing = await this.#git.fields(['diff', '--name-only', '-z', '--no-renames', 'HEAD', commit]);
    const changed = differing.filter((file) => dirty.has(file));
    const untracked: string[] = [];
    for (const { file, submodule } of await this.#added('HEAD', commit)) {
      const place = path.join(this.directory, file);
      // What git itself leaves of a submodule that an earlier version had.
      if (submodule && ((await exists(path.join(place, '.git'))) || (await isEmptyDirectory(place)))) continue;
      // Git itself would overwrite an ignored file without a word: an .env that the new version brings with it.
      if (!dirty.has(file) && (await exists(place))) untracked.push(file);
    }
    return { changed, untracked };
  }

  async snapshot(target?: Target): Promise<Snapshot> {
    const snapshot = await this.#noted(target);
    await this.#git.settle();
    return snapshot;
  }

  async #noted(target?: Target): Promise<Snapshot> {
    const { commit, branch } = await this.head();
    const submodules = await this.#noteSubmodules(commit, target?.commit);
    return {
      ...{ commit, branch, local: await this.#localChanges(), target: target?.commit ?? null },
      ...(submodules.length === 0 ? {} : { submodules }),
    };
  }

  async checkout(target: Target, allow: readonly string[] = []): Promise<void> {
    const { log } = this.#deps;
    const head = await this.head();
    if (head.commit === target.commit) return;
    await this.#refuseDiverged(head, target);
    const { changed } = await this.#refuseOverwriting(target, allow);
    const moved = await this.#movedSubmodules(head.commit, target.commit);
    if (changed.length > 0) {
      await this.#checkoutMerging(target);
      await this.#updateSubmodules(moved);
      return this.#git.settle();
    }
    await this.#move(head, target);
    await this.#updateSubmodules(moved);
    await this.#git.settle();
    await this.#warnOfPointers();
    const carried = await this.dirtyFiles();
    if (carried.length > 0) log.info(`Local changes kept in ${carried.join(', ')}`);
  }

  async restoreSnapshot(snapshot: Snapshot): Promise<void> {
    await this.#goBack(snapshot);
    await this.#git.settle();
  }

  async #goBack(snapshot: Snapshot): Promise<void> {
    await this.#freeIndex();
    try {
      // First of all: else the clone's own files would count as changed because of them.
      await this.#submodulesBack(snapshot);
      await this.#putBack(snapshot);
      await this.#lostSubmodulesBack(snapshot);
    } catch (error) {
      throw new CaretakerError('code-undo-failed', `failed to put ${this.directory} back to ${snapshot.commit}`, {
        cause: error,
        hint: `By hand, in that directory: git checkout --force ${snapshot.branch === null ? '--detach' : `-B ${snapshot.branch}`} ${snapshot.commit}${
          snapshot.local === null ? '' : ` && git stash apply --index ${snapshot.local}`
        }`,
      });
    }
  }

  // --- Targets ---

  async #resolveRef(ref: string): Promise<Target | null> {
    const name = ref.replace(/^refs\/(tags|heads)\//, '');
    const tag = ref.startsWith('refs/heads/') ? null : await this.#commit(`refs/tags/${name}`);
    if (tag !== null) return this.#target(tag, name, { tag: name });
    const remote = await this.#remote();
    const branch = remote === null ? null : await this.#commit(`refs/remotes/${remote}/${name}`);
    if (branch !== null)
      return this.#newer(
        await this.#target(branch, `${remote}/${name}`, { follows: await this.#isUpstream(`${remote}/${name}`) }),
      );
    const commit = /^[0-9a-f]{7,64}$/.test(ref) ? await this.#commit(ref) : null;
    if (commit !== null) return this.#target(commit, commit.slice(0, 12), {});
    throw this.#unknown(ref, 'what the input ref names');
  }

  async #resolveRelease(allow: readonly string[]): Promise<Target | null> {
    const head = await this.head();
    const current = await this.#versionOf(head.commit);
    const tags = (await this.#git.text(['for-each-ref', '--format=%(refname:strip=2)', 'refs/tags'])).split('\n');
    const version = current === null ? null : parseVersion(current);
    if (releases(tags, version?.prefix ?? '').length === 0) {
      throw new CaretakerError('no-release', `the clone ${this.directory} has no version tag to follow`, {
        input: 'track',
        hint: 'Releases are tags such as v1.2.3 or 2026.11; use track: branch where there are none.',
      });
    }
    const newest = newestAllowed(tags, current, allow);
    if (newest === null) return null;
    const commit = await this.#commit(`refs/tags/${newest}`);
    return commit === null ? null : this.#target(commit, newest, { tag: newest });
  }

  async #resolveUpstream(): Promise<Target> {
    const head = await this.head();
    const remote = await this.#remote();
    const names =
      head.branch === null
        ? [`refs/remotes/${remote}/HEAD`, `refs/remotes/${remote}/main`, `refs/remotes/${remote}/master`]
        : [`${head.branch}@{upstream}`, `refs/remotes/${remote}/${head.branch}`];
    for (const name of remote === null ? [] : names) {
      const commit = await this.#commit(name);
      if (commit === null) continue;
      const label = await this.#git.text(['rev-parse', '--abbrev-ref', name]);
      return this.#target(commit, label, { follows: head.branch !== null });
    }
    throw new CaretakerError(
      'upstream-missing',
      head.branch === null
        ? `the clone ${this.directory} has no branch checked out, and its remote names no default branch`
        : `the branch ${head.branch} of ${this.directory} follows no branch of a remote`,
      {
        input: 'ref',
        hint: 'Set ref to a tag or branch, or track to releases; or let the branch follow one: git branch --set-upstream-to.',
      },
    );
  }

  /** A branch that is contained already brings nothing new: git pull says "Already up to date" too. */
  async #newer(target: Target): Promise<Target | null> {
    return (await this.isAncestor(target.commit, 'HEAD')) ? null : target;
  }

  async #target(
    commit: string,
    name: string,
    { tag = null, follows = false }: { readonly tag?: string | null; readonly follows?: boolean },
  ): Promise<Target> {
    const label = tag ?? (name.includes('/') ? `${name} (${commit.slice(0, 12)})` : name);
    return { commit, label, tag, version: await this.#versionOf(commit), follows };
  }

  /** Its own version tag, otherwise the highest of those that it contains. */
  async #versionOf(commit: string): Promise<string | null> {
    const own = await this.#git.text(['tag', '--points-at', commit]);
    return (
      highestVersion(own.split('\n')) ?? highestVersion((await this.#git.text(['tag', '--merged', commit])).split('\n'))
    );
  }

  /** Null where there is no such commit. */
  async #commit(name: string): Promise<string | null> {
    const args = ['rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{commit}`];
    const { exitCode, stdout } = await this.#git.run(args, { accept: [1, 128] });
    return exitCode === 0 ? stdout.trim() : null;
  }

  /** The remote of the branch that is checked out, otherwise `origin` or the only one; null where there is none. */
  async #remote(): Promise<string | null> {
    const remotes = (await this.#git.text(['remote'])).split('\n').filter((name) => name !== '');
    const branch = await this.#git.text(['symbolic-ref', '--quiet', '--short', 'HEAD'], { accept: [1] });
    const own =
      branch === '' ? '' : await this.#git.text(['config', '--get', `branch.${branch}.remote`], { accept: [1] });
    return (
      [own, 'origin', remotes.length === 1 ? remotes[0] : undefined].find((name) => remotes.includes(name ?? '')) ??
      null
    );
  }

  async #isUpstream(name: string): Promise<boolean> {
    const upstream = await this.#git.text(['rev-parse', '--abbrev-ref', '@{upstream}'], { accept: [128] });
    return upstream === name;
  }

  #unknown(name: string, what: string): CaretakerError {
    return new CaretakerError(
      'ref-unknown',
      `the clone ${this.directory} has no tag, branch or commit "${name}", ${what}`,
      {
        input: 'ref',
        hint: 'Is it pushed to the repository that this clone follows? If that is another repository than the workflow’s, set track or ref.',
      },
    );
  }

  // --- Moving ---

  async #refuseDiverged(head: Head, target: Target): Promise<void> {
    if (!target.follows || (await this.isAncestor(head.commit, target.commit))) return;
    throw new CaretakerError(
      'code-diverged',
      `${head.branch ?? 'HEAD'} in ${this.directory} has commits that ${target.label} lacks`,
      {
        input: 'ref',
        hint: 'Rebase or drop the local commits by hand, or set ref to a tag or commit to leave the branch.',
      },
    );
  }

  async #refuseOverwriting(target: Target, allow: readonly string[]): Promise<{ readonly changed: readonly string[] }> {
    const { changed, untracked } = await this.collisions(target.commit);
    const dirty = allow.includes('dirty');
    const submodules = changed.length === 0 ? new Map<string, unknown>() : await submodulesOf(this.#git, target.commit);
    // Nothing merges what was changed inside a submodule.
    const refused = [...changed.filter((file) => !dirty || submodules.has(file)), ...untracked];
    if (refused.length === 0) return { changed };
    const named: string[] = [];
    for (const file of refused) named.push(...(submodules.has(file) ? await this.#changesInside(file) : [file]));
    throw new CaretakerError(
      'dirty-tree',
      `${target.label} would overwrite local changes in ${this.directory}: ${named.join(', ')}`,
      {
        input: 'allow',
        hint:
          untracked.length > 0
            ? 'Move these files away, or commit them.'
            : dirty
              ? 'Commit or revert what was changed in these submodules: it is not merged.'
              : 'Commit or revert them; or add "dirty" to allow to have them merged into the new version.',
      },
    );
  }

  async #changesInside(submodule: string): Promise<string[]> {
    const files = (await this.#isCheckedOut(submodule)) ? await this.#submodule(submodule).dirtyFiles() : [];
    return files.length === 0 ? [submodule] : files.map((file) => `${submodule}/${file}`);
  }

  async #move(head: Head, target: Target): Promise<void> {
    const options = { show: true, what: `check out ${target.label}`, config: this.#access };
    if (head.branch !== null && (await this.isAncestor(head.commit, target.commit))) {
      await this.#git.run(['merge', '--ff-only', target.commit], options);
    } else {
      await this.#git.run(['checkout', '--detach', target.commit], options);
    }
  }

  /** Local changes go aside, the tree moves, and they are merged back in: what `git pull --autostash` does, and undone as a whole on a conflict. */
  async #checkoutMerging(target: Target): Promise<void> {
    const snapshot = await this.snapshot(target);
    if (snapshot.local === null) throw new Error('changed files without changes');
    await this.#git.run(['reset', '--hard', '--quiet']);
    await this.#move(await this.head(), target);
    const merged = await this.#git.run(['stash', 'apply', '--quiet', snapshot.local], { accept: ANY_CODE });
    if (merged.exitCode === 0) {
      this.#deps.log.info(`Local changes merged into ${(await this.dirtyFiles()).join(', ')}`);
      return;
    }
    await this.restoreSnapshot(snapshot);
    throw new CaretakerError(
      'dirty-conflict',
      `local changes in ${this.directory} conflict with ${target.label}: ${lastWords(merged)}`,
      {
        input: 'allow',
        hint: 'Merge them by hand: git stash, git pull, git stash pop. Everything is as it was before.',
      },
    );
  }

  /** Without git-lfs git leaves pointers where the files' contents should be, and does not say so. */
  async #warnOfPointers(): Promise<void> {
    const files = await this.#git.fields(['ls-files', '-z', '--', ':(top,attr:filter=lfs)']);
    if (files.length === 0) return;
    const known = ['config', '--get-regexp', '^filter\\.lfs\\.(process|smudge)$'];
    if ((await this.#git.text(known, { accept: [1] })) !== '') return;
    const named = `${files.slice(0, 3).join(', ')}${files.length > 3 ? ` and ${files.length - 3} others` : ''}`;
    this.#deps.log.warn(
      `${named} in ${this.directory} are kept in Git LFS, and what is checked out are pointers: install git-lfs and run "git lfs install" as the user that the runner works as.`,
    );
  }

  // --- Submodules ---

  /** Where another user's clone is trusted, so is what lies in it: `git status` looks into each submodule. */
  async trustSubmodules(): Promise<void> {
    if (!this.#git.trusting) return;
    for (const file of (await submodulesOf(this.#git, 'HEAD')).keys()) {
      if (!(await this.#isCheckedOut(file))) continue;
      this.#git.trust(path.join(this.directory, file));
      await this.#submodule(file).trustSubmodules();
    }
  }

  #submodule(file: string): GitCheckout {
    return new GitCheckout(this.#git.in(path.join(this.directory, file)), this.#deps);
  }

  #isCheckedOut(file: string): Promise<boolean> {
    return exists(path.join(this.directory, file, '.git'));
  }

  /** What the way from one commit to the other moves or brings; `elsewhere`: its repository has moved too. */
  async #movedSubmodules(from: string, to: string): Promise<{ readonly file: string; readonly elsewhere: boolean }[]> {
    const before = await submodulesOf(this.#git, from);
    const moved: { file: string; elsewhere: boolean }[] = [];
    for (const [file, { name, url, update, commit }] of await submodulesOf(this.#git, to)) {
      const old = before.get(file);
      // One that somebody has put elsewhere by hand stays there as long as the versions agree.
      if (old?.commit === commit) continue;
      const how = await this.#git.text(['config', '--get', `submodule.${name}.update`], { accept: [1] });
      if ((how === '' ? update : how) === 'none' || (old !== undefined && !(await this.#isCheckedOut(file)))) {
        this.#deps.log.info(`The submodule ${file} is not checked out here, and stays so`);
        continue;
      }
      moved.push({ file, elsewhere: old !== undefined && old.url !== url });
    }
    return moved;
  }

  async #updateSubmodules(moved: readonly { readonly file: string; readonly elsewhere: boolean }[]): Promise<void> {
    if (moved.length === 0) return;
    await this.#syncSubmodules(moved.filter(({ elsewhere }) => elsewhere).map(({ file }) => file));
    await this.#checkOutSubmodules(moved.map(({ file }) => file));
  }

  async #syncSubmodules(files: readonly string[]): Promise<void> {
    if (files.length > 0) await this.#git.run(['submodule', 'sync', '--recursive', '--', ...files]);
  }

  async #checkOutSubmodules(files: readonly string[]): Promise<void> {
    // --checkout: the clone's configuration may name a command instead.
    const args = ['submodule', 'update', '--init', '--recursive', '--checkout', '--', ...files];
    const result = await this.#reaching(args, { show: true, timeoutMs: LIMITS.act });
    await this.trustSubmodules();
    if (result.exitCode === 0) return;
    throw gitFailed('code-failed', `check out the submodules ${files.join(', ')}`, this.directory, result, {
      hint: 'Run "git submodule update --init --recursive" there as the user that the runner works as: it needs access to their repositories too.',
    });
  }

  async #noteSubmodules(commit: string, target: string | undefined): Promise<NotedSubmodule[]> {
    const noted: NotedSubmodule[] = [];
    const before = await submodulesOf(this.#git, commit);
    const after = target === undefined ? new Map<string, never>() : await submodulesOf(this.#git, target);
    for (const [file, { commit: recorded }] of before) {
      if (!(await this.#isCheckedOut(file))) continue;
      const was = await this.#submodule(file).#noted();
      const next = after.get(file)?.commit ?? null;
      noted.push({ path: file, moves: next !== recorded, was: { ...was, target: next } });
    }
    for (const file of after.keys()) {
      if (!before.has(file) && !(await this.#isCheckedOut(file))) noted.push({ path: file, moves: true, was: null });
    }
    return noted;
  }

  async #submodulesBack({ submodules = [] }: Snapshot): Promise<void> {
    for (const { path: file, was } of submodules) {
      if (!(await this.#isCheckedOut(file))) continue;
      if (was !== null) await this.#submodule(file).#goBack(was);
      else if (await this.#submodule(file).#isPristine())
        await rm(path.join(this.directory, file), { recursive: true });
      else this.#deps.log.warn(`${path.join(this.directory, file)} stays, as it holds files that git does not know.`);
    }
  }

  async #isPristine(): Promise<boolean> {
    return (await this.#git.text(['status', '--porcelain', '--ignored'])) === '';
  }

  /** Those whose files were removed meanwhile: what they need is in the clone still. */
  async #lostSubmodulesBack({ commit, target, submodules = [] }: Snapshot): Promise<void> {
    if (submodules.length === 0) return;
    const before = await submodulesOf(this.#git, commit);
    const after = target === null ? before : await submodulesOf(this.#git, target);
    const moved = [...before].filter(([file, { url }]) => (after.get(file)?.url ?? url) !== url).map(([file]) => file);
    const known = new Set(submodules.map(({ path: file }) => file));
    await this.#syncSubmodules(moved.filter((file) => known.has(file)));
    for (const { path: file, was } of submodules) {
      if (was === null || (await this.#isCheckedOut(file))) continue;
      await this.#checkOutSubmodules([file]);
      await this.#submodule(file).#goBack(was);
    }
  }

  async #localChanges(): Promise<string | null> {
    // A file that was only touched, copied or given to another user would make `stash create` fail for want of changes.
    await this.#git.run(['update-index', '-q', '--refresh'], { accept: [1] });
    const local = await this.#git.text(['stash', 'create'], { what: 'note the local changes' });
    return local === '' ? null : local;
  }

  async #putBack(snapshot: Snapshot): Promise<void> {
    const { commit, branch, local } = snapshot;
    const destination = branch === null ? ['--detach', commit] : ['-B', branch, commit];
    // The gentle way leaves files alone that do not differ: a bind mount of a single file hangs on its inode.
    const head = await this.head();
    let there = head.commit === commit && head.branch === branch;
    if (!there) {
      const gentle = await this.#git.run(['checkout', '--quiet', ...destination], { accept: ANY_CODE });
      there = gentle.exitCode === 0;
    }
    if (!there || !(await this.#holdsOnly(local ?? commit))) {
      const meanwhile = await this.#git.text(['stash', 'create'], { accept: ANY_CODE });
      await this.#git.run(['checkout', '--force', '--quiet', ...destination]);
      if (local !== null) await this.#git.run(['stash', 'apply', '--index', '--quiet', local]);
      if (/^[0-9a-f]{40,}$/.test(meanwhile)) {
        this.#deps.log.info(`What the files of ${this.directory} held before going back is in git commit ${meanwhile}`);
      }
    }
    await this.#removeLeftovers(snapshot);
  }

  /** True where all tracked files are as in this commit. */
  #holdsOnly(commit: string): Promise<boolean> {
    return this.#git.holds(['diff', '--quiet', '--no-ext-diff', commit]);
  }

  /** A checkout that was killed, or found no room, leaves files of the new version that git knows nothing of; the next one would stumble over them. */
  async #removeLeftovers({ commit, target }: Snapshot): Promise<void> {
    // A submodule's may not have been fetched yet.
    if (target === null || (await this.#commit(target)) === null) return;
    for (const { file, blob } of await this.#added(commit, target)) {
      const there = await lstat(path.join(this.directory, file)).catch(() => null);
      if (there?.isFile() !== true) continue;
      const tracked = await this.#git.holds(['ls-files', '--error-unmatch', '--', `:(literal)${file}`]);
      if (tracked) continue;
      const whole = (await this.#git.text(['hash-object', '--', file])) === blob;
      if (whole || (await this.#isBeginning(file, blob))) await rm(path.join(this.directory, file));
    }
  }

  /** Whether a file holds nothing but the beginning of a blob: one that was being written. An empty one is that of all. */
  async #isBeginning(file: string, blob: string): Promise<boolean> {
    const handle = await open(path.join(this.directory, file));
    const stream = this.#git.stream(['cat-file', 'blob', blob]);
    stream.stdin.end();
    try {
      let at = 0;
      for await (const piece of stream.stdout as AsyncIterable<Buffer>) {
        const { buffer, bytesRead } = await handle.read(Buffer.alloc(piece.length), 0, piece.length, at);
        if (!piece.subarray(0, bytesRead).equals(buffer.subarray(0, bytesRead))) return false;
        at += bytesRead;
        if (bytesRead < piece.length) break;
      }
      return at === (await handle.stat()).size;
    } finally {
      await handle.close();
      stream.kill();
      await stream.done.catch(() => undefined); // Ended on purpose, or said above what it had to say.
    }
  }

  async #added(from: string, to: string): Promise<{ file: string; blob: string; submodule: boolean }[]> {
    const fields = await this.#git.fields([
      'diff',
      '--raw',
      '-z',
      '--no-renames',
      '--no-abbrev',
      '--diff-filter=A',
      from,
      to,
    ]);
    const added: { file: string; blob: string; submodule: boolean }[] = [];
    for (let at = 0; at + 1 < fields.length; at += 2) {
      const [, mode, , blob = ''] = fields[at]?.split(' ') ?? [];
      added.push({ blob, file: fields[at + 1] ?? '', submodule: mode === '160000' });
    }
    return added;
  }

  /** A git that was killed leaves its lock, and every later one refuses. Another that is at work gets ten seconds. */
  async #freeIndex(): Promise<void> {
    const lock = path.resolve(this.directory, await this.#git.text(['rev-parse', '--git-path', 'index.lock']));
    for (let tries = 0; tries < 20 && (await exists(lock)); tries++) await this.#deps.clock.sleep(500);
    if (!(await exists(lock))) return;
    this.#deps.log.warn(`Removed ${lock}, which a git that was killed had left.`);
    await unlink(lock);
  }
}

async function isEmptyDirectory(directory: string): Promise<boolean> {
  return (await readdir(directory).catch(() => null))?.length === 0;
}

async function exists(file: string): Promise<boolean> {
  return (await lstat(file).catch(() => null)) !== null;
}
