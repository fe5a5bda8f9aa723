import { constants } from 'node:fs';
import { copyFile, link, mkdir, open, readdir, rename, rmdir, symlink, unlink } from 'node:fs/promises';
import path from 'node:path';
import { CaretakerError } from '../errors.ts';
import { fileError, syncDirectory } from './files.ts';
import { likeness, lstatOrNull, OURS } from './trees.ts';

/**
 * One exchange of live data for fresh data by renames inside one filesystem. Plain data: it goes into the journal, and
 * another process can complete or undo it. All paths absolute. `root`: the tree that `live` lies in: what an application made a symbolic link of on the way there is not followed.
 */
export type Swap =
  | {
      readonly kind: 'directory' | 'file';
      readonly live: string;
      /** Inside `live` (and then `aside` too): the contents are exchanged and the directory stays, e.g. because it is a mount point. */
      readonly fresh: string;
      readonly aside: string;
      /**
       * Directory only: paths relative to `live` that are not part of the exchange and move along into the fresh tree, which must
       * not have them itself.
       */
      readonly carry: readonly string[];
      readonly root?: string;
      /** The directory of a part of which `live` is a path; missing where all of the part is exchanged. */
      readonly within?: string;
    }
  | {
      /** A database file with its -wal, -shm and -journal, which go aside with it. `aside` is a directory. */
      readonly kind: 'sqlite';
      readonly live: string;
      readonly fresh: string;
      readonly aside: string;
      readonly root?: string;
    };

/** Called before every single operation that changes something; tests crash there. */
export type Before = (operation: string) => void;

/**
 * Completes the swap, from any state that an interrupted swap or unswap has left. What it finds where nothing of ours and nothing of
 * the application should be (an engine makes an absent mount source anew) goes to `ASIDE.caretaker-stray-N`, never away.
 * Throws `swap-impossible` before it touches anything, or a file error.
 */
export async function swap(one: Swap, before: Before = () => undefined): Promise<void> {
  const act = new Acts(before);
  await refuseUnsafe(one);
  if (one.kind === 'sqlite') return swapSqlite(one, act);
  if (isWithin(one.live, one.fresh)) return swapContents(one, act);
  return swapWhole(one, act);
}

/** Puts the live data back, from any state. Nothing to do is no error. */
export async function unswap(one: Swap, before: Before = () => undefined): Promise<void> {
  const act = new Acts(before);
  await refuseUnsafe(one);
  if (one.kind === 'sqlite') return unswapSqlite(one, act);
  if (isWithin(one.live, one.fresh)) return unswapContents(one, act);
  return unswapWhole(one, act);
}

type TreeSwap = Extract<Swap, { kind: 'directory' | 'file' }>;
type SqliteSwap = Extract<Swap, { kind: 'sqlite' }>;

/*
 * WHOLE: three names, `live`, `fresh` and `aside`, and two renames.
 *
 *   live   fresh  aside    state                     swap does next           unswap does next
 *   old    new    –        nothing yet               carry; live → aside      carry back
 *   –      new    –        nothing yet, none before  mark aside               –
 *   –      new    old|mark between the renames       fresh → live             aside → live, or unmark; carry back
 *   new    –      old|mark done                      –                        live → fresh, then as above
 *   stray  new    old|mark an engine made live       stray away, then above   stray away, then above
 *
 * The mark that nothing was live before is a dangling symbolic link in aside's place: made in one atomic operation, and never to be mistaken
 * for data. Each row is told from the others by what exists, each operation leads from one row to the next, and each is on disk
 * before the following begins: so an interruption always leaves one of the rows.
 * Carrying: an entry is in exactly one of the two trees at any time; both at once is refused before anything moves.
 */
const NOTHING_WAS_HERE = 'nothing-was-here';

async function swapWhole({ live, fresh, aside, carry }: TreeSwap, act: Acts): Promise<void> {
  const [hasLive, hasFresh, hasAside] = await Promise.all([live, fresh, aside].map(exists));
  if (!hasFresh) {
    if (hasAside && hasLive) return;
    throw impossible(fresh, 'there is nothing to put into its place', live);
  }
  if (!hasAside) {
    if (hasLive) {
      await carryOver(live, fresh, carry, act);
      await act.rename(live, aside);
    } else {
      await act.mark(aside);
    }
  } else if (hasLive) {
    await act.stray(live, aside);
  }
  await act.rename(fresh, live);
}

async function unswapWhole({ live, fresh, aside, carry }: TreeSwap, act: Acts): Promise<void> {
  const hasLive = await exists(live);
  const old = await lstatOrNull(aside);
  if (old !== null) {
    if (hasLive) {
      if (await exists(fresh)) await act.stray(live, aside);
      else await act.rename(live, fresh);
    }
    if (await isMark(aside)) return act.unlink(aside);
    await act.rename(aside, live);
  }
  if (await exists(live)) await carryOver(fresh, live, carry, act, true);
}

/**
 * Moves the entries that stay. On the way back, an entry of both trees is the live one and stays. What lies behind a symbolic link is not in its tree: a link that came with the data must not
 * have anything moved that is elsewhere.
 */
async function carryOver(from: string, to: string, carry: readonly string[], act: Acts, back = false): Promise<void> {
  const moves: string[] = [];
  for (const name of carry) {
    if (!(await exists(path.join(from, name))) || (await isBehindLink(from, name))) continue;
    if (await isBehindLink(to, name)) {
      if (back) continue;
      throw impossible(to, `${name}, which is to be carried over, would go through a symbolic link`, from);
    }
    if (!(await exists(path.join(to, name)))) moves.push(name);
    else if (!back) throw impossible(to, `it holds ${name}, which is to be carried over`, from);
  }
  for (const name of moves) {
    await parentsLike(from, to, path.dirname(name), act);
    await act.rename(path.join(from, name), path.join(to, name));
  }
}

async function isBehindLink(root: string, name: string): Promise<boolean> {
  for (let up = path.dirname(name); up !== '.'; up = path.dirname(up))
    if ((await lstatOrNull(path.join(root, up)))?.isSymbolicLink() === true) return true;
  return false;
}

async function parentsLike(from: string, to: string, relative: string, act: Acts): Promise<void> {
  if (relative === '.' || (await exists(path.join(to, relative)))) return;
  await parentsLike(from, to, path.dirname(relative), act);
  // Under its own name only with its owner and mode: what is there is taken for complete.
  const made = path.join(to, `${relative}${OURS}-new`);
  if (await exists(made)) await act.rmdir(made);
  await act.mkdir(made, path.join(from, relative));
  await act.rename(made, path.join(to, relative));
}

/*
 * CONTENTS: `fresh` and `aside` are directories inside `live`, whose entries move. Two phases, each a set of renames that can be
 * taken up again, told apart by the file OUT in aside:
 *
 *   aside without OUT   entries of live are old: all go (swap) to aside, or come back (unswap) from it
 *   aside with OUT      entries of live are new: all come (swap) from fresh, or go back (unswap) to it
 *
 * OUT is made when the last old entry is in aside, and removed when the last new one is back in fresh. Owner and mode of live itself follow
 * while OUT is there; aside keeps the old ones from before OUT was made. Entries with `.caretaker` in their name never move.
 */
const OUT = `${OURS}-all-out`;

async function swapContents({ live, fresh, aside, carry }: TreeSwap, act: Acts): Promise<void> {
  if (!(await exists(fresh))) throw impossible(fresh, 'there is nothing to put into its place', live);
  if (!(await exists(path.join(aside, OUT)))) {
    await carryOver(live, fresh, carry, act);
    if (!(await exists(aside))) await act.mkdir(aside, live);
    await act.likeness(aside, live);
    await moveEntries(live, aside, aside, act);
    await act.create(path.join(aside, OUT));
  }
  await moveEntries(fresh, live, aside, act);
  await act.likeness(live, fresh);
}

async function unswapContents({ live, fresh, aside, carry }: TreeSwap, act: Acts): Promise<void> {
  if (await exists(aside)) {
    if (await exists(path.join(aside, OUT))) {
      if (!(await exists(fresh))) await act.mkdir(fresh, live);
      await moveEntries(live, fresh, aside, act);
      await act.likeness(live, aside);
      await act.unlink(path.join(aside, OUT));
    }
    await moveEntries(aside, live, aside, act);
    await act.rmdir(aside);
  }
  await carryOver(fresh, live, carry, act, true);
}

/** An entry that stands in the way came from neither us nor the exchange: it goes away first. */
async function moveEntries(from: string, to: string, aside: string, act: Acts): Promise<void> {
  for (const name of (await readdir(from)).sort()) {
    if (name.includes(OURS)) continue;
    const inTheWay = path.join(to, name);
    if (await exists(inTheWay)) await act.stray(inTheWay, aside);
    await act.rename(path.join(from, name), inTheWay);
  }
}

/*
 * SQLITE: a database is its main file and a hot -journal or -wal: one without the other is damage, and an application that an engine starts
 * at the wrong moment makes it for ever (SQLite deletes a journal beside an empty database, and opens a database without its
 * journal as if nothing were). So the set must change hands in ONE operation, the rename of the main file:
 *
 *   swap    1 sidecars get a second name in aside (hard links; their live names stay)
 *           2 main → aside                       ← from here on the old database is the one in aside, whole
 *           3 what is left at live goes away (old names of the sidecars; whatever was made there meanwhile)
 *           4 fresh → live
 *   unswap  5 the new main → fresh, or removed together with sidecars of its own; then DROPPED is made in aside
 *           6 strays away; aside's sidecars get their live names again (links)
 *           7 main → live                        ← from here on the old database is the live one, whole
 *           8 aside is emptied and removed
 *
 *   aside holds main?  no: live is the truth, and sidecars in aside are mere second names: swap makes them anew, unswap drops them.
 *                      yes: aside is the truth; with fresh there, swap is between 2 and 4 (or unswap is after 5): nothing at live matters.
 *
 * Before 2 and after 7 an application may open live, and change or delete its sidecars: aside's names are dropped then, never put back.
 * Between them it can only make a new database at live, which goes to the strays. Where no main was live before, the file NONE
 * stands for it in aside. Where the filesystem knows no hard links, the sidecars are copied.
 */
const SIDECARS = ['-wal', '-shm', '-journal'] as const;
const NONE = `${OURS}-nothing-was-here`;
const DROPPED = `${OURS}-new-dropped`;

async function swapSqlite({ live, fresh, aside }: SqliteSwap, act: Acts): Promise<void> {
  const main = path.join(aside, path.basename(live));
  const none = path.join(aside, NONE);
  const isAside = (await exists(main)) || (await exists(none));
  if (!(await exists(fresh))) {
    if (isAside && (await exists(live))) return;
    throw impossible(fresh, 'there is nothing to put into its place', live);
  }
  for (const sidecar of ['-wal', '-journal']) {
    if (await exists(fresh + sidecar)) throw impossible(fresh, `it is not one file, there is ${fresh}${sidecar}`, live);
  }
  if (!isAside) {
    if (!(await exists(aside))) await act.mkdir(aside, path.dirname(live));
    for (const sidecar of SIDECARS) {
      await act.unlinkIfThere(main + sidecar);
      if (await exists(live + sidecar)) await act.secondName(live + sidecar, main + sidecar);
    }
    if (await exists(live)) await act.rename(live, main);
    else await act.create(none);
  }
  await act.unlinkIfThere(path.join(aside, DROPPED));
  await clearLive(live, main, aside, act);
  await act.rename(fresh, live);
}

async function unswapSqlite({ live, fresh, aside }: SqliteSwap, act: Acts): Promise<void> {
  const main = path.join(aside, path.basename(live));
  const none = path.join(aside, NONE);
  const dropped = path.join(aside, DROPPED);
  if (!(await exists(aside))) return;
  const hasMain = await exists(main);
  if (hasMain || (await exists(none))) {
    if (!(await exists(dropped))) {
      if (!(await exists(fresh)) && (await exists(live))) await dropNew(live, fresh, act);
      await act.create(dropped);
    }
    await clearLive(live, main, aside, act);
    for (const sidecar of SIDECARS) {
      if (await exists(main + sidecar)) await act.secondName(main + sidecar, live + sidecar);
    }
    if (hasMain) await act.rename(main, live);
    else await act.unlink(none);
  }
  for (const sidecar of SIDECARS) await act.unlinkIfThere(main + sidecar);
  await act.unlinkIfThere(dropped);
  await act.rmdir(aside);
}

/** Kept as `fresh` only while it is whole in one file: half a database must not be swapped in again. */
async function dropNew(live: string, fresh: string, act: Acts): Promise<void> {
  const own = (
    await Promise.all(SIDECARS.map(async (sidecar) => ((await exists(live + sidecar)) ? [sidecar] : [])))
  ).flat();
  if (own.length === 0) return act.rename(live, fresh);
  // Its main file first: without it the sidecars are nobody's, and go with the strays when this is interrupted.
  await act.unlink(live);
  for (const sidecar of own) await act.unlink(live + sidecar);
}

/** The old set is safe in aside: what is at live is either another name of it, or was made meanwhile. */
async function clearLive(live: string, main: string, aside: string, act: Acts): Promise<void> {
  for (const suffix of ['', ...SIDECARS]) {
    const there = await lstatOrNull(live + suffix);
    if (there === null) continue;
    const kept = await lstatOrNull(main + suffix);
    if (kept !== null && kept.ino === there.ino && kept.dev === there.dev) await act.unlink(live + suffix);
    else await act.stray(live + suffix, aside);
  }
}

async function exists(file: string): Promise<boolean> {
  return (await lstatOrNull(file)) !== null;
}

async function isMark(file: string): Promise<boolean> {
  return (await lstatOrNull(file))?.isSymbolicLink() === true;
}

function isWithin(directory: string, file: string): boolean {
  return file.startsWith(directory.endsWith('/') ? directory : `${directory}/`);
}

/** What can be said wrong without looking at the data: relative paths, links, names that a cleaning-up would refuse to remove. */
async function refuseUnsafe(one: Swap): Promise<void> {
  for (const file of [one.live, one.fresh, one.aside]) {
    if (!path.isAbsolute(file) || path.normalize(file) !== file) {
      throw impossible(file, 'it is not a plain absolute path', one.live);
    }
  }
  if ((await lstatOrNull(one.live))?.isSymbolicLink()) {
    throw impossible(one.live, 'it is a symbolic link; give the path that it leads to', one.live);
  }
  const { root } = one;
  for (let up = path.dirname(one.live); root !== undefined && isWithin(root, up); up = path.dirname(up)) {
    if ((await lstatOrNull(up))?.isSymbolicLink()) throw impossible(up, 'it is a symbolic link now', one.live);
  }
  if (isWithin(one.live, one.fresh) !== isWithin(one.live, one.aside)) {
    throw impossible(one.fresh, `${one.aside} must be inside the live data as well, or both outside`, one.live);
  }
  for (const name of one.kind === 'sqlite' ? [] : one.carry) {
    const joined = path.join(one.live, name);
    if (!isWithin(one.live, joined)) throw impossible(joined, 'what is carried over must be inside', one.live);
  }
}

function impossible(what: string, why: string, live: string): CaretakerError {
  return new CaretakerError('swap-impossible', `failed to exchange ${live}: ${what}: ${why}`);
}

/** The operations, each durable when it is fulfilled. */
class Acts {
  readonly #before: Before;

  constructor(before: Before) {
    this.#before = before;
  }

  async #do(what: string, directories: readonly string[], work: () => Promise<unknown>): Promise<void> {
    this.#before(what);
    try {
      await work();
      for (const directory of new Set(directories)) await syncDirectory(directory);
    } catch (error) {
      throw fileError(what, error);
    }
  }

  rename(from: string, to: string): Promise<void> {
    return this.#do(`rename ${from} to ${to}`, [path.dirname(to), path.dirname(from)], () => rename(from, to));
  }

  mark(file: string): Promise<void> {
    return this.#do(`mark ${file}`, [path.dirname(file)], () => symlink(NOTHING_WAS_HERE, file));
  }

  unlink(file: string): Promise<void> {
    return this.#do(`remove ${file}`, [path.dirname(file)], () => unlink(file));
  }

  async unlinkIfThere(file: string): Promise<void> {
    if (await exists(file)) await this.unlink(file);
  }

  rmdir(directory: string): Promise<void> {
    return this.#do(`remove ${directory}`, [path.dirname(directory)], () => rmdir(directory));
  }

  async mkdir(directory: string, like: string): Promise<void> {
    await this.#do(`make ${directory}`, [path.dirname(directory)], () => mkdir(directory, { mode: 0o700 }));
    await this.likeness(directory, like);
  }

  likeness(target: string, like: string): Promise<void> {
    return this.#do(`give ${target} the owner and mode of ${like}`, [target], () => likeness(target, like));
  }

  create(file: string): Promise<void> {
    return this.#do(`make ${file}`, [path.dirname(file)], async () => {
      await (await open(file, 'a', 0o600)).close();
    });
  }

  secondName(file: string, second: string): Promise<void> {
    return this.#do(`link ${file} to ${second}`, [path.dirname(second)], async () => {
      try {
        await link(file, second);
      } catch (error) {
        // No hard links here, or not for who does not own the file (fs.protected_hardlinks).
        if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK'].includes((error as NodeJS.ErrnoException).code ?? ''))
          throw error;
        await copyFile(file, second, constants.COPYFILE_EXCL);
        await likeness(second, file);
        const handle = await open(second, 'r');
        await handle.sync().finally(() => handle.close());
      }
    });
  }

  async stray(file: string, aside: string): Promise<void> {
    for (let number = 1; ; number++) {
      const place = `${aside}${OURS}-stray-${number}`;
      if (await exists(place)) continue;
      return this.rename(file, place);
    }
  }
}
