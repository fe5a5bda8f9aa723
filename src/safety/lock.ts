import { randomUUID } from 'node:crypto';
import { link, readdir, rename, unlink } from 'node:fs/promises';
import path from 'node:path';
import { CaretakerError } from '../errors.ts';
import { fileError, readText, syncDirectory, writeDurable } from '../system/files.ts';
import { isAlive, isElsewhere, ownIdentity, type ProcessIdentity } from '../system/identity.ts';

export interface LockInfo {
  readonly mode: string;
  /** ISO 8601. */
  readonly since: string;
  readonly runUrl?: string;
}

export interface Lock {
  /** Lets others in. Only ever removes a lock that is this one; a second call does nothing. */
  release(): Promise<void>;
}

/** Who has the lock, or had it when he died. */
export interface LockHolder extends LockInfo {
  readonly pid: number;
  readonly host: string;
  /** `elsewhere`: in another container, where nobody can tell from here whether he lives. */
  readonly state: 'alive' | 'elsewhere' | 'dead';
}

type Holder = LockInfo & { readonly token: string; readonly holder: ProcessIdentity };

/**
 * Takes the one lock of this project on this host, `lock` in its state directory, or throws `locked` (who holds it) at once.
 *
 * A lock is a prepared file that link(2) gives its name, which fails where the name is taken: whole or absent, never half written. That
 * of a dead holder with token T is succeeded by whoever gets the name `lock.after-T`, in the same way; he alone may rename his file over `lock`,
 * after seeing that `lock` is still T's (a slow contender may come when the succession is over). A successor who died in the middle
 * is succeeded likewise. So of any number of contenders exactly one wins, wherever any of them is killed.
 */
export async function acquireLock(
  stateDirectory: string,
  info: LockInfo,
  /** Called before each attempt to get a name; tests let others act there. */
  before: (name: string) => Promise<void> = () => Promise.resolve(),
): Promise<Lock> {
  const token = randomUUID();
  const place = (name: string): string => path.join(stateDirectory, name);
  const mine: Holder = { ...info, token, holder: ownIdentity() };
  const prepared = place(`lock.prepared-${token}`);
  try {
    await writeDurable(prepared, `${JSON.stringify(mine)}\n`);
    while (!(await contend(place, prepared, before))) continue;
    await tidy(stateDirectory);
  } catch (error) {
    throw fileError(`take the lock ${place('lock')}`, error);
  } finally {
    await unlink(prepared).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
  }
  return {
    async release() {
      const held = await readHolder(place('lock'));
      if (held?.token !== token) return;
      await unlink(place('lock'));
      await syncDirectory(stateDirectory);
    },
  };
}

/** Looks only, and may be called by anybody. Null where nobody has the lock. Throws `lock-unreadable`. */
export async function lockHolder(stateDirectory: string): Promise<LockHolder | null> {
  const held = await readHolder(path.join(stateDirectory, 'lock'));
  if (held === null) return null;
  const { mode, since, runUrl, holder } = held;
  const state = !isAlive(holder) ? 'dead' : isElsewhere(holder) ? 'elsewhere' : 'alive';
  return { mode, since, ...(runUrl === undefined ? {} : { runUrl }), pid: holder.pid, host: holder.host, state };
}

/** One attempt: true when the lock is ours, false when it changed hands meanwhile. */
async function contend(
  place: (name: string) => string,
  prepared: string,
  before: (name: string) => Promise<void>,
): Promise<boolean> {
  const dead: { readonly file: string; readonly token: string }[] = [];
  for (let name = 'lock'; ;) {
    const file = place(name);
    await before(name);
    if (await tryLink(prepared, file)) {
      if (dead.length === 0) {
        await syncDirectory(path.dirname(file));
        return true;
      }
      for (const one of dead) {
        if ((await readHolder(one.file))?.token === one.token) continue;
        await unlink(file);
        return false;
      }
      await rename(prepared, place('lock'));
      await syncDirectory(path.dirname(file));
      return true;
    }
    const other = await readHolder(file);
    if (other === null) return false;
    if (isAlive(other.holder)) throw locked(other, place('lock'));
    dead.push({ file, token: other.token });
    name = `lock.after-${other.token}`;
  }
}

async function tryLink(existing: string, name: string): Promise<boolean> {
  try {
    await link(existing, name);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** What killed contenders left. Whoever still contends with one of them finds `lock` changed, and begins anew. */
async function tidy(stateDirectory: string): Promise<void> {
  for (const name of await readdir(stateDirectory)) {
    if (!/^lock\.(after|prepared)-/.test(name)) continue;
    const file = path.join(stateDirectory, name);
    // A prepared file of a living contender is his to remove.
    const owner = name.startsWith('lock.prepared-') ? await readHolderLeniently(file) : null;
    if (owner !== null && isAlive(owner.holder)) continue;
    if (name.startsWith('lock.prepared-') && owner === null) continue;
    await unlink(file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
  }
}

async function readHolderLeniently(file: string): Promise<Holder | null> {
  try {
    return await readHolder(file);
  } catch {
    return null; // Still being written.
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

function locked(other: Holder, file: string): CaretakerError {
  const { holder } = other;
  const run = other.runUrl === undefined ? '' : ` (${other.runUrl})`;
  const message = `another run holds the lock: ${other.mode}, process ${holder.pid} on ${holder.host}, since ${other.since}${run}`;
  const hint = isElsewhere(holder)
    ? `It runs, or ran, in another container, which can't be seen from here. If it is certainly over, remove ${file}.`
    : 'Wait until it is done, or cancel that run. A lock whose holder has died is taken over by itself.';
  return new CaretakerError('locked', message, { hint });
}
