import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, jest, test } from '@jest/globals';
import { swap, unswap, type Swap } from '../../../src/system/swaps.ts';
import { removeTrees } from '../../../src/system/trees.ts';
import { inMemory, temporaryDirectories } from './temporary.ts';

const temporary = temporaryDirectories(inMemory);

jest.setTimeout(120_000);

/** Everything below a path that is not ours: kind, mode, bytes. Null where there is nothing. */
function snapshot(root: string): Record<string, string> | null {
  if (!existsSync(root)) return null;
  const found: Record<string, string> = {};
  const visit = (file: string, name: string): void => {
    const stat = lstatSync(file);
    const mode = (stat.mode & 0o7777).toString(8);
    found[name] = stat.isDirectory()
      ? `directory ${mode}`
      : `file ${mode} ${stat.isFile() ? createHash('sha256').update(readFileSync(file)).digest('hex').slice(0, 12) : ''}`;
    if (!stat.isDirectory()) return;
    for (const member of readdirSync(file))
      if (!member.includes('.caretaker')) visit(path.join(file, member), `${name}/${member}`);
  };
  visit(root, '.');
  return found;
}

function write(file: string, content: string | Buffer, mode = 0o644): void {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, content);
  chmodSync(file, mode);
}

interface Scene {
  readonly swap: Swap;
  /** What is live before, and after. */
  readonly look: () => unknown;
}

/** Runs with a crash before operation number `at`; answers whether it crashed. */
async function crashing(act: typeof swap, one: Swap, at: number): Promise<boolean> {
  class Crash extends Error {}
  let count = 0;
  try {
    await act(one, () => {
      if (count++ === at) throw new Crash();
    });
    return false;
  } catch (error) {
    if (error instanceof Crash) return true;
    throw error;
  }
}

/** From here on, what is live is not the old data. */
function hasOld({ kind, aside, live }: Swap): boolean {
  if (kind !== 'sqlite') return lstatSync(aside, { throwIfNoEntry: false }) !== undefined;
  return [path.basename(live), '.caretaker-nothing-was-here'].some((name) => existsSync(path.join(aside, name)));
}

const scenes: Record<string, (root: string) => Scene> = {
  'a directory with entries that stay': (root) => {
    const live = path.join(root, 'local');
    const ours = path.join(root, '.caretaker-run1');
    write(`${live}/settings.py`, 'old settings');
    write(`${live}/media/photo`, 'old photo', 0o600);
    write(`${live}/logs/app.log`, 'log, not in the backup');
    write(`${live}/deep/er/cache/x`, 'cache, not in the backup');
    write(`${live}/deep/er/old`, 'old');
    chmodSync(live, 0o750);
    write(`${ours}/fresh/settings.py`, 'new settings');
    write(`${ours}/fresh/uploads/new`, 'new upload');
    chmodSync(`${ours}/fresh`, 0o700);
    const one: Swap = {
      kind: 'directory',
      live,
      fresh: `${ours}/fresh`,
      aside: `${ours}/aside`,
      carry: ['logs', 'deep/er/cache', 'not-there'],
    };
    return { swap: one, look: () => snapshot(live) };
  },
  'a directory where none was': (root) => {
    const live = path.join(root, 'local');
    write(path.join(root, '.caretaker-run1/fresh/file'), 'new');
    const one: Swap = {
      kind: 'directory',
      live,
      fresh: path.join(root, '.caretaker-run1/fresh'),
      aside: path.join(root, '.caretaker-run1/aside'),
      carry: ['logs'],
    };
    return { swap: one, look: () => snapshot(live) };
  },
  'a single file': (root) => {
    const live = path.join(root, '.env');
    write(live, 'SECRET=old', 0o600);
    write(path.join(root, '.caretaker-run1/.env'), 'SECRET=new', 0o640);
    const one: Swap = {
      kind: 'file',
      live,
      fresh: path.join(root, '.caretaker-run1/.env'),
      aside: path.join(root, '.caretaker-run1/old.env'),
      carry: [],
    };
    return { swap: one, look: () => snapshot(live) };
  },
  'the contents of a mount point': (root) => {
    const live = path.join(root, 'volume');
    write(`${live}/db/rows`, 'old rows');
    write(`${live}/both`, 'old both');
    write(`${live}/only-old`, 'old');
    write(`${live}/keep/this`, 'stays');
    write(`${live}/deep/keep/this`, 'stays');
    chmodSync(live, 0o2770);
    const fresh = `${live}/.caretaker-run1-fresh`;
    write(`${fresh}/db/rows`, 'new rows');
    write(`${fresh}/both`, 'new both');
    write(`${fresh}/only-new`, 'new');
    chmodSync(fresh, 0o700);
    const one: Swap = {
      kind: 'directory',
      live,
      fresh,
      aside: `${live}/.caretaker-run1-aside`,
      carry: ['keep', 'deep/keep'],
    };
    return { swap: one, look: () => snapshot(live) };
  },
  'a SQLite database with a hot journal': (root) => sqliteScene(root, 'journal'),
  'a SQLite database with a write-ahead log': (root) => sqliteScene(root, 'wal'),
  'a SQLite database where none was': (root) => sqliteScene(root, 'none'),
  'a SQLite database at rest': (root) => sqliteScene(root, 'rest'),
};

/** 200 committed rows; with `journal` a crash in the middle of a transaction, with `wal` most rows still in the log. */
function sqliteScene(root: string, kind: 'journal' | 'wal' | 'none' | 'rest'): Scene {
  const live = path.join(root, 'db', 'app.sqlite3');
  mkdirSync(path.dirname(live));
  if (kind !== 'none') {
    const origin = path.join(root, 'origin.db');
    const database = new DatabaseSync(origin);
    if (kind === 'wal') database.exec('PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0');
    database.exec(`CREATE TABLE t (id INTEGER PRIMARY KEY, text);
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 200) INSERT INTO t SELECT i, 'old' || hex(zeroblob(500)) FROM n`);
    // A tiny cache: dirty pages reach the file before the commit, and the journal is synced before them.
    if (kind === 'journal')
      database.exec("PRAGMA cache_size=2; BEGIN; UPDATE t SET text = 'half' || hex(zeroblob(500))");
    for (const suffix of ['', '-wal', '-shm', '-journal']) {
      if (existsSync(origin + suffix)) cpSync(origin + suffix, live + suffix);
    }
    database.close();
  }
  const fresh = path.join(root, '.caretaker-run1', 'fresh.db');
  mkdirSync(path.dirname(fresh));
  const database = new DatabaseSync(fresh);
  database.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, text); INSERT INTO t (text) VALUES ('new')");
  database.close();
  const one: Swap = { kind: 'sqlite', live, fresh, aside: path.join(root, '.caretaker-run1', 'aside') };
  return { swap: one, look: () => snapshot(path.dirname(live)) };
}

describe.each(Object.entries(scenes))('%s', (name, build) => {
  const make = () => build(temporary());

  test('is exchanged and put back, byte for byte, and once more', async () => {
    const scene = make();
    const old = scene.look();
    await swap(scene.swap);
    const fresh = scene.look();
    expect(JSON.stringify(fresh)).not.toBe(JSON.stringify(old));
    await swap(scene.swap);
    expect(scene.look()).toEqual(fresh);
    await unswap(scene.swap);
    expect(scene.look()).toEqual(old);
    await unswap(scene.swap);
    expect(scene.look()).toEqual(old);
    expect(existsSync(scene.swap.aside)).toBe(false);
    await swap(scene.swap);
    expect(scene.look()).toEqual(fresh);
    await unswap(scene.swap);
    expect(scene.look()).toEqual(old);
  });

  test('can be interrupted anywhere, in the exchange, in the undo after it, and both ways led to the end', async () => {
    let points = 0;
    for (let first = 0, crashed = true; crashed; first++) {
      for (let second = 0, again = true; again; second++) {
        const [toOld, toNew] = [make(), make()];
        const old = toOld.look();
        const otherOld = toNew.look();
        for (const scene of [toOld, toNew]) {
          crashed = await crashing(swap, scene.swap, first);
          again = await crashing(unswap, scene.swap, second);
        }
        points++;
        await unswap(toOld.swap);
        expect({ first, second, now: toOld.look() }).toEqual({ first, second, now: old });
        expect(lstatSync(toOld.swap.aside, { throwIfNoEntry: false })).toBeUndefined();
        await swap(toNew.swap);
        const reference = make();
        await swap(reference.swap);
        expect({ first, second, now: toNew.look() }).toEqual({ first, second, now: reference.look() });
        await unswap(toNew.swap);
        expect({ first, second, now: toNew.look() }).toEqual({ first, second, now: otherOld });
      }
    }
    expect(points).toBeGreaterThan(5);
  });

  test('what an engine or an application puts there at the wrong moment is kept, and is not taken for data', async () => {
    for (let at = 0, crashed = true; crashed; at++) {
      const scene = make();
      const old = scene.look();
      crashed = await crashing(swap, scene.swap, at);
      if (!crashed || existsSync(scene.swap.live) || !hasOld(scene.swap)) continue;
      const stray = name.startsWith('a directory') ? path.join(scene.swap.live, 'stray') : scene.swap.live;
      write(stray, 'stray');
      await unswap(scene.swap);
      expect(scene.look()).toEqual(old);
      expect(readdirSync(path.dirname(scene.swap.aside)).some((entry) => entry.includes('.caretaker-stray-1'))).toBe(
        true,
      );
    }
  });

  test('nothing fresh is an error that touches nothing', async () => {
    const scene = make();
    const old = scene.look();
    await removeTrees([scene.swap.fresh]);
    await expect(swap(scene.swap)).rejects.toMatchObject({ code: 'swap-impossible' });
    expect(scene.look()).toEqual(old);
    await unswap(scene.swap);
    expect(scene.look()).toEqual(old);
  });
});

describe.each(['journal', 'wal', 'rest'] as const)(
  'an application that starts in the middle of a SQLite exchange (%s)',
  (kind) => {
    test('loses none of the committed rows, wherever it starts', async () => {
      const rows = (file: string) => {
        const database = new DatabaseSync(file);
        try {
          expect(database.prepare('PRAGMA integrity_check').all()).toEqual([{ integrity_check: 'ok' }]);
          return (database.prepare("SELECT count(*) AS n FROM t WHERE text LIKE 'old%'").get() as { n: number }).n;
        } finally {
          database.close();
        }
      };
      for (const undoToo of [false, true]) {
        for (let at = 0, crashed = true; crashed; at++) {
          const { swap: one } = sqliteScene(temporary(), kind);
          if (undoToo) {
            await swap(one);
            crashed = await crashing(unswap, one, at);
          } else {
            crashed = await crashing(swap, one, at);
          }
          // What Django does at its start: opens, writes, and leaves.
          const application = new DatabaseSync(one.live);
          application.exec(
            "CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, text); INSERT INTO t (text) VALUES ('app')",
          );
          application.close();
          await unswap(one);
          expect({ at, undoToo, rows: rows(one.live) }).toEqual({ at, undoToo, rows: 200 });
        }
      }
    });
  },
);

test('the failed new database goes with its sidecars, never to be swapped in half', async () => {
  const { swap: one, look } = sqliteScene(temporary(), 'journal');
  const old = look();
  await swap(one);
  const application = new DatabaseSync(one.live);
  application.exec("PRAGMA journal_mode=WAL; INSERT INTO t (text) VALUES ('unhealthy')");
  cpSync(`${one.live}-wal`, `${one.live}-kept`);
  application.close();
  cpSync(`${one.live}-kept`, `${one.live}-wal`);
  await removeTrees([]);
  await unswap(one);
  const { [`./app.sqlite3-kept`]: _, ...now } = look() as Record<string, string>;
  expect(now).toEqual(old);
  await expect(swap(one)).rejects.toMatchObject({ code: 'swap-impossible' });
});

describe('refusals that touch nothing', () => {
  test('links, relative paths, carrying out of the tree, an entry in both trees, aside elsewhere', async () => {
    const root = temporary();
    write(`${root}/live/keep/x`, 'old');
    write(`${root}/.caretaker/fresh/keep/x`, 'new');
    symlinkSync(`${root}/live`, `${root}/link`);
    const good: Swap = {
      kind: 'directory',
      live: `${root}/live`,
      fresh: `${root}/.caretaker/fresh`,
      aside: `${root}/.caretaker/aside`,
      carry: [],
    };
    const bad: Swap[] = [
      { ...good, live: `${root}/link` },
      { ...good, fresh: 'fresh' },
      { ...good, aside: `${root}/live/../aside` },
      { ...good, carry: ['../other'] },
      { ...good, carry: ['keep'] },
      { ...good, fresh: `${root}/live/.caretaker-fresh` },
    ];
    const before = snapshot(root);
    for (const one of bad) await expect(swap(one)).rejects.toMatchObject({ code: 'swap-impossible' });
    expect(snapshot(root)).toEqual(before);
  });
});

describe('what stays, and a symbolic link on the way to it', () => {
  const setUp = (linked: 'fresh' | 'live'): { one: Swap; outside: string } => {
    const root = temporary();
    const place = (name: string): string => path.join(root, name);
    const one: Swap = { kind: 'directory', live: place('live'), fresh: place('.caretaker-fresh'), aside: place('.caretaker-aside'), carry: ['l/a'] }; // prettier-ignore
    write(`${one.live}/x`, 'old');
    write(`${one.fresh}/x`, 'new');
    mkdirSync(place('outside'));
    symlinkSync(place('outside'), path.join(one[linked], 'l'));
    return { one, outside: place('outside') };
  };

  test('nothing is carried out through a link of the new tree', async () => {
    const { one, outside } = setUp('fresh');
    write(`${one.live}/l/a`, 'stays');
    await expect(swap(one)).rejects.toMatchObject({ code: 'swap-impossible' });
    await unswap(one);
    expect(readdirSync(outside)).toEqual([]);
    expect(readFileSync(`${one.live}/l/a`, 'utf8')).toBe('stays');
  });

  test.each(['fresh', 'live'] as const)('nothing that is elsewhere is moved: a link in %s', async (linked) => {
    const { one, outside } = setUp(linked);
    write(`${outside}/a`, 'elsewhere');
    await swap(one);
    expect(readFileSync(`${one.live}/x`, 'utf8')).toBe('new');
    await unswap(one);
    expect(readFileSync(`${one.live}/x`, 'utf8')).toBe('old');
    expect(readFileSync(`${outside}/a`, 'utf8')).toBe('elsewhere');
    expect(readdirSync(one.live)).toEqual(linked === 'live' ? ['l', 'x'] : ['x']);
  });
});
