import { randomUUID } from 'node:crypto';
import { link, readdir, rename, unlink } from 'node:fs/promises';
import path from 'node:path';
import { CaretakerError } from '../errors.ts';
import type { Log } from '../report/log.ts';
import { formatSeconds } from '../report/units.ts';
import type { Clock } from '../system/clock.ts';
import { isOwnFilesystem } from '../system/disk.ts';
import { ensureDirectory, fileError, readText, syncDirectory, writeDurable } from '../system/files.ts';
import { isKernelsBootId, ownIdentity, stateOf, type ProcessIdentity, type ProcessState } from '../system/identity.ts';

/** Who takes it. */
export interface LockInfo {
  readonly mode: string;
  readonly runUrl?: string;
}

/** How long to wait for it, and by which clock. */
export interface LockWait {
  /** 0: not at all. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal?: AbortSignal;
  /** Called before each attempt to get a name; tests let others act there. */
  readonly before?: (name: string) => Promise<void>;
}

export interface Lock {
  /** Whether another run had it first: then what was looked at before may have changed. */
  readonly waited: boolean;
  /** Lets others in. Only ever removes a lock that is this one; a second call does nothing. */
  release(): Promise<void>;
}

/** Who has the lock, or had it when he died. */
export interface LockHolder extends LockInfo {
  /** ISO 8601. */
  readonly since: string;
  readonly pid: number;
  readonly host: string;
  readonly state: ProcessState;
}

type Holder = LockInfo & {
  readonly since: string;
  readonly token: string;
  readonly holder: ProcessIdentity;
  /** Whether he saw the directory on a filesystem that only his kernel had, under this boot id. */
  readonly own: boolean;
};

/** A place in the state directory. */
type Place = (name: string) => string;

const POLL_MS = 1000;
const SAY_AGAIN_MS = 60_000;

/**
 * Takes the one lock of this project directory, `lock` in its state directory. Where another run has it, waits as long as `timeoutMs` says, and then throws
 * `locked` (who holds it); `cancelled` when the signal comes first. Who waits is in no queue.
 *
 * A lock is a prepared file that link(2) gives its name, which fails where the name is taken: whole or absent, never half written. That
 * of a dead holder with token T is succeeded by whoever gets the name `lock.after-T`, in the same way; he alone may rename his file over `lock`,
 * after seeing that `lock` is still T's (a slow contender may come when the succession is over). A successor who died in the middle
 * is succeeded likewise. So of any number of contenders exactly one wins, wherever any of them is killed.
 */
export async function acquireLock(stateDirectory: string, info: LockInfo, wait: LockWait): Promise<Lock> {
  const { timeoutMs, clock, log, signal } = wait;
  const place: Place = (name) => path.join(stateDirectory, name);
  const start = clock.monotonic();
  let said: { readonly token: string; readonly at: number } | undefined;
  try {
    const own = await bootIdTells(stateDirectory);
    for (;;) {
      const since = clock.now().toISOString();
      const mine: Holder = { ...info, since, token: randomUUID(), holder: ownIdentity(), own };
      // Looks first: a run that is refused writes nothing.
      const other = (await livingHolder(place, own)) ?? (await attempt(place, mine, wait));
      const waited = clock.monotonic() - start;
      if (other === null) {
        await tidy(place, own);
        if (said !== undefined) log.info(`Got the lock after ${formatSeconds(waited / 1000)}`);
        return { waited: said !== undefined, release: () => release(place, mine) };
      }
      if (waited >= timeoutMs) throw locked(other, place('lock'), said === undefined ? 0 : waited);
      if (other.token !== said?.token || waited - said.at >= SAY_AGAIN_MS) {
        log.info(`Waiting for the lock, ${formatSeconds(waited / 1000)} so far: ${holderText(other)}`);
        said = { token: other.token, at: waited };
      }
      await clock.sleep(Math.min(POLL_MS, timeoutMs - waited), signal);
    }
  } catch (error) {
    throw fileError(`take the lock ${place('lock')}`, error, { place: stateDirectory });
  }
}

/** Looks only, and may be called by anybody. Null where nobody has the lock. Throws `lock-unreadable`. */
export async function lockHolder(stateDirectory: string): Promise<LockHolder | null> {
  const held = await readHolder(path.join(stateDirectory, 'lock'));
  if (held === null) return null;
  const { mode, since, runUrl, holder } = held;
  const state = stateIn(held, await bootIdTells(stateDirectory));
  return { mode, since, ...(runUrl === undefined ? {} : { runUrl }), pid: holder.pid, host: holder.host, state };
}

/** Whether the boot id tells of everybody who can write here: nobody else's kernel has this filesystem. */
async function bootIdTells(stateDirectory: string): Promise<boolean> {
  return isKernelsBootId() && (await isOwnFilesystem(stateDirectory));
}

function stateIn(other: Holder, own: boolean): ProcessState {
  return stateOf(other.holder, own && other.own);
}

async function livingHolder(place: Place, own: boolean): Promise<Holder | null> {
  const other = await readHolder(place('lock'));
  return other === null || stateIn(other, own) === 'dead' ? null : other;
}

/** Null when the lock is ours, else who has it. */
async function attempt(place: Place, mine: Holder, { before }: LockWait): Promise<Holder | null> {
  const prepared = place(`lock.prepared-${mine.token}`);
  // A first run that was refused took the directory away with it.
  await ensureDirectory(place('.'));
  for (;;) {
    try {
      await writeDurable(prepared, `${JSON.stringify(mine)}\n`);
      const outcome = await contend(place, mine, prepared, before);
      if (outcome !== 'again') return outcome;
    } finally {
      // What went wrong first is what is told; one that stays is tidied away by the next run.
      await unlink(prepared).catch(() => undefined);
    }
  }
}

async function release(place: Place, { token }: Holder): Promise<void> {
  const held = await readHolder(place('lock'));
  if (held?.token !== token) return;
  await unlink(place('lock'));
  await syncDirectory(place('.'));
}

/** One attempt: null when the lock is ours, else who has it; `again` when it changed hands meanwhile. */
async function contend(
  place: Place,
  mine: Holder,
  prepared: string,
  before: LockWait['before'],
): Promise<Holder | null | 'again'> {
  const dead: { readonly file: string; readonly token: string }[] = [];
  for (let name = 'lock'; ;) {
    const file = place(name);
    await before?.(name);
    const linked = await tryLink(prepared, file);
    const other = linked ? null : await readHolder(file);
    // NFS: link(2) succeeded, its answer got lost, and asked again the server says that the name is taken.
    if (linked || other?.token === mine.token) {
      if (dead.length === 0) {
        await syncDirectory(path.dirname(file));
        return null;
      }
      for (const one of dead) {
        if ((await readHolder(one.file))?.token === one.token) continue;
        await unlink(file);
        return 'again';
      }
      await rename(prepared, place('lock'));
      await syncDirectory(path.dirname(file));
      return null;
    }
    if (other === null) return 'again';
    if (stateIn(other, mine.own) !== 'dead') return other;
    dead.push({ file, token: other.token });
    name = `lock.after-${other.token}`;
  }
}

async function tryLink(existing: string, name: string): Promise<boolean> {
  try {
    await link(existing, name);
    return true;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    // ENOENT: whoever has the lock now took our half written file for a dead one's.
    if (code === 'EEXIST' || code === 'ENOENT') return false;
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(code)) throw error;
    throw new CaretakerError('lock-unsupported', `failed to take the lock ${name}: its filesystem has no hard links`, {
      hint: 'Put the project directory on a filesystem of Linux, such as ext4, XFS, Btrfs or NFS.',
      cause: error,
    });
  }
}

/** What killed contenders left. Whoever still contends with one of them finds `lock` changed, and begins anew. */
async function tidy(place: Place, own: boolean): Promise<void> {
  for (const name of await readdir(place('.'))) {
    if (!/^lock\.(after|prepared)-/.test(name)) continue;
    const file = place(name);
    if (name.startsWith('lock.prepared-')) {
      // That of a living contender is his to remove. Whoever is still writing one prepares another.
      const owner = await readHolder(file).catch(() => null);
      if (owner !== null && stateIn(owner, own) !== 'dead') continue;
    }
    await unlink(file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
  }
}

async function readHolder(file: string): Promise<Holder | null> {
  const text = await readText(file);
  if (text === null) return null;
  try {
    const holder = JSON.parse(text) as Holder;
    if (typeof holder.token === 'string' && typeof holder.holder.pid === 'number') return holder;
  } catch {
    // Falls through to the error that names the file.
  }
  throw new CaretakerError('lock-unreadable', `failed to read the lock ${file}: it is not one of ours`, {
    hint: `Make sure that no caretaker runs for this project, then remove ${file}.`,
  });
}

function holderText({ mode, since, runUrl, holder }: Holder): string {
  return `${mode}, process ${holder.pid} on ${holder.host}, since ${since}${runUrl === undefined ? '' : ` (${runUrl})`}`;
}

function locked(other: Holder, file: string, waitedMs: number): CaretakerError {
  const waited = waitedMs === 0 ? '' : `; waited ${formatSeconds(waitedMs / 1000)} for it`;
  return new CaretakerError('locked', `another run holds the lock: ${holderText(other)}${waited}`, {
    hint: hintFor(other, file),
  });
}

function hintFor({ holder }: Holder, file: string): string {
  const here = ownIdentity();
  if (holder.bootId !== here.bootId)
    return `It runs, or ran, on another host, which can't be seen from here. A run on ${holder.host} takes over what is over; if that host is no more, remove ${file}.`;
  if (holder.pidNamespace !== here.pidNamespace)
    return `It runs, or ran, in another container, which can't be seen from here. If it is certainly over, remove ${file}.`;
  return 'Wait until it is done (lock-timeout: 30m does so), or cancel that run. A lock whose holder has died is taken over by itself.';
}
