import { execFile, execFileSync, spawn } from 'node:child_process';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import {
  appendFile,
  chmod,
  chown,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { HostFiles } from '../../../src/runtimes/host-files.ts';
import type { Runtime } from '../../../src/runtimes/runtime.ts';
import type { Processes, ProcessStream } from '../../../src/system/processes.ts';
import { feed } from '../../../src/sources/streams.ts';
import { until } from './runtime-contract.ts';

const IMAGE = 'localhost/caretaker-test/base:1';

export interface FilesHost {
  readonly processes: Processes;
  readonly way: HostFiles['way'];
  readonly runtime: () => Promise<Runtime>;
  readonly create: (runtime: Runtime) => Promise<HostFiles>;
  /** The user to whom the project's directory belongs. */
  readonly user: { readonly uid: number; readonly gid: number };
  /** The host's number for a number inside the containers. */
  readonly onHost: (id: number) => number;
}

/** What every way to the host's files must do. The tests themselves run as root, and see all. */
export function hostFilesContract(title: string, host: FilesHost): void {
  describe(title, () => {
    const name = `hf-${randomUUID().slice(0, 8)}`;
    let runtime: Runtime;
    let files: HostFiles;
    /** A named volume's directory, and a directory of the user's. Both hold others' files. */
    let volume: string;
    let project: string;
    let place: string;

    const engine = async (...args: string[]): Promise<string> =>
      (await host.processes.run({ argv: [runtime.name, ...args] }, { outlivesJob: true })).stdout.trim();
    const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
      promise.then(
        () => 'fulfilled',
        (error: { code?: unknown }) => error.code,
      );

    beforeAll(async () => {
      runtime = await host.runtime();
      files = await host.create(runtime);
      volume = (await runtime.createVolume(name, {})).mountpoint;
      project = `/var/tmp/${name}`;
      await mkdir(project, { mode: 0o750 });
      await chmod(project, 0o750);
      await chown(project, host.user.uid, host.user.gid);
    });
    afterAll(async () => {
      await rm(project, { recursive: true, force: true });
      await host.processes.run({ argv: [runtime.name, 'rm', '--force', `${name}-writer`] }, { accept: [0, 1, 125] });
      await engine('volume', 'rm', '--force', name);
    });
    let count = 0;
    beforeEach(async () => {
      // By turns in the volume and in the project's directory.
      place = path.join(count++ % 2 === 0 ? volume : project, `t${count}`);
      await mkdir(place);
      await chown(place, host.onHost(0), host.onHost(0));
    });
    afterEach(() => rm(place, { recursive: true, force: true }));

    test('uses the way that belongs to the engine and the user', () => {
      expect(files.way).toBe(host.way);
    });

    test('packs and unpacks everything as it was', async () => {
      const live = path.join(place, 'live');
      const fresh = path.join(place, '.caretaker-fresh-1');
      await makeNastyTree(live, host.onHost);
      const before = await describeTree(live);
      const archive = path.join(project, `${name}.tar`);
      await save(files.tar(live, {}), archive);

      // Owners as the containers number them, `./` first.
      const listing = execFileSync('tar', ['--numeric-owner', '--quoting-style=escape', '-tvf', archive], {
        encoding: 'utf8',
      }).split('\n');
      expect(listing[0]).toMatch(/^drwxrws--T 70\/71 .* \.\/$/);
      expect(listing.find((line) => line.includes('secret'))).toMatch(/^-r-------- 999\/999 /);
      // Holes are not stored.
      expect((await stat(archive)).size).toBeLessThan(1024 * 1024);

      await load(archive, files.untar(fresh));
      expect(await describeTree(fresh)).toEqual(before);
      expect((await stat(path.join(fresh, 'sparse'))).blocks * 512).toBeLessThan(1024 * 1024);

      // Over what is there: what the archive lacks stays.
      await writeFile(path.join(fresh, 'later'), 'later');
      await load(archive, files.untar(fresh, { over: true }));
      expect(await readFile(path.join(fresh, 'later'), 'utf8')).toBe('later');
      await rm(path.join(fresh, 'later'));
      expect((await describeTree(fresh)).length).toBe(before.length);
    });

    test('tells whether anything was written', async () => {
      const live = path.join(place, 'live');
      await makeNastyTree(live, host.onHost);
      const before = await files.fingerprint([live, path.join(place, 'missing')], { settle: true });
      await save(files.tar(live, {}), path.join(project, `${name}.tar`));
      expect(await files.fingerprint([live, path.join(place, 'missing')], {})).toBe(before);
      // Its name is no UTF-8.
      const odd = Buffer.concat([
        Buffer.from(`${live}/`),
        (await readdir(live, { encoding: 'buffer' })).find((entry) => entry.includes('latin1'))!,
      ]);
      await writeFile(odd, 'another');
      const changed = await files.fingerprint([live, path.join(place, 'missing')], {});
      expect(changed).not.toBe(before);
      await writeFile(path.join(live, 'sparse'), 'x', { flag: 'r+' });
      expect(await files.fingerprint([live, path.join(place, 'missing')], {})).not.toBe(changed);
      expect(await files.fingerprint([live, path.join(place, 'missing')], {})).not.toBe(before);
    });

    test('tells what changed, packs only that, and removes what went', async () => {
      const live = path.join(place, 'live');
      const fresh = path.join(place, '.caretaker-fresh-1');
      const notes = path.join(project, `.caretaker-notes-${count}`);
      await makeNastyTree(live, host.onHost);
      await files.makeDirectory(notes, project);
      const options = { note: path.join(notes, 'entries'), exclude: ['excluded'], settle: true };
      expect(await files.changes(live, options)).toBeNull();
      const whole = path.join(project, `${name}.tar`);
      await save(files.tar(live, {}), whole);
      await load(whole, files.untar(fresh));
      expect(await files.changes(live, options)).toEqual({ changed: [], removed: [] });

      const entries = await readdir(live, { encoding: 'buffer' });
      const odd = Buffer.concat([Buffer.from(`${live}/`), entries.find((entry) => entry.includes('latin1'))!]);
      await writeFile(odd, 'written to');
      await rm(path.join(live, 'hard link'));
      await rm(path.join(live, 'readonly'), { recursive: true });
      await rm(path.join(live, 'names\nwith newline'));
      await writeFile(path.join(live, 'readonly'), 'a file in its place');
      await mkdir(path.join(live, 'new\n'));
      await writeFile(path.join(live, 'new\n/-x'), 'new');
      await chown(path.join(live, 'new\n/-x'), host.onHost(70), host.onHost(70));
      for (const made of ['new\n', 'readonly']) await chown(path.join(live, made), host.onHost(0), host.onHost(0));
      execFileSync('setfattr', ['-n', 'user.note', '-v', 'another', path.join(live, 'private/inner')]);
      const changes = (await files.changes(live, options))!;
      expect(changes).toEqual({
        changed: [
          '',
          'latin1-\u00fc\u00ff',
          'new\n',
          'new\n/-x',
          'private',
          'private/inner',
          'readonly',
          // Its other name went.
          'secret',
        ],
        removed: ['hard link', 'names\nwith newline', 'readonly'],
      });
      await files.removeMembers(fresh, changes.removed);
      const more = path.join(project, `${name}-more.tar`);
      await save(files.tar(live, { only: changes.changed }), more);
      expect((await stat(more)).size).toBeLessThan(64 * 1024);
      await load(more, files.untar(fresh, { over: true }));
      const plain = async (root: string): Promise<string> => (await describeTree(root)).join('\n').replaceAll(root, '');
      expect(await plain(fresh)).toBe(await plain(live));
      expect(await codeOf(files.removeMembers(fresh, ['new\n', 'link out/hostname']))).toBe('part-hostile');
      expect(existsSync(path.join(fresh, 'new\n'))).toBe(true);
      await files.remove([notes]);
    });

    test('leaves out what is excluded and nothing else', async () => {
      const live = path.join(place, 'live');
      for (const file of [
        ...['db/db.sqlite3', 'db/db.sqlite3-wal', 'other/db/db.sqlite3', 'logs/a.log', 'logs/deep/b.log', 'top.log'],
        ...[
          '.caretaker/journal',
          '.caretaker-fresh-2/x',
          'wei[r]d?/x',
          'weird/x',
          'cache/x',
          'a/cache/y',
          'a/b/cache/z',
          '-n',
          'sub/-n',
        ],
      ]) {
        await mkdir(path.join(live, path.dirname(file)), { recursive: true });
        await writeFile(path.join(live, file), file);
      }
      const exclude = [
        'db/db.sqlite3',
        './logs/**',
        '.caretaker',
        '.caretaker-*',
        'wei[r]d?/',
        '*.log',
        '**/cache',
        '-n',
      ];
      const stream = files.tar(live, { exclude });
      const archive = path.join(project, `${name}.tar`);
      await save(stream, archive);
      expect(execFileSync('tar', ['-tf', archive], { encoding: 'utf8' }).trim().split('\n').sort()).toEqual(
        [
          ...['./', './a/', './a/b/', './db/', './db/db.sqlite3-wal', './logs/', './other/', './other/db/'],
          ...['./other/db/db.sqlite3', './sub/', './sub/-n', './weird/', './weird/x'],
        ].sort(),
      );
    });

    test('packs one file as one member', async () => {
      const file = path.join(place, '-odd name*.env');
      await writeFile(file, 'SECRET=1\n', { mode: 0o600 });
      await chown(file, host.onHost(70), host.onHost(70));
      const archive = path.join(project, `${name}.tar`);
      await save(files.tar(file, {}), archive);
      expect(execFileSync('tar', ['-tf', archive], { encoding: 'utf8' })).toBe('./-odd name*.env\n');
      const fresh = path.join(place, '.caretaker-fresh-1');
      await load(archive, files.untar(fresh));
      expect(await readFile(path.join(fresh, '-odd name*.env'), 'utf8')).toBe('SECRET=1\n');
      expect(await stat(path.join(fresh, '-odd name*.env'))).toMatchObject({ uid: host.onHost(70), mode: 0o100600 });
    });

    test('a file that grows while it is read is a warning of a live copy and the failure of another', async () => {
      const live = path.join(place, 'live');
      await mkdir(live);
      const growing = path.join(live, 'growing.log');
      await writeFile(growing, randomBytes(24 * 1024 * 1024));
      const readWhileItGrows = async (stream: ProcessStream): Promise<void> => {
        stream.stdin.end();
        // The reader is slow: most of the file is still to be read when it grows.
        let first = true;
        for await (const chunk of stream.stdout) {
          void chunk;
          if (first) await appendFile(growing, 'one more line\n');
          first = false;
        }
        await stream.done;
      };
      const warnings: string[] = [];
      await readWhileItGrows(files.tar(live, { live: true, onWarning: (line) => warnings.push(line) }));
      expect(warnings).toEqual([expect.stringMatching(/growing\.log: file changed as we read it/)]);
      await expect(readWhileItGrows(files.tar(live, {}))).rejects.toMatchObject({ code: 'command-failed' });
    });

    test('what cannot be packed is a failure, live or not', async () => {
      const stream = files.tar(path.join(place, 'nothing-here'), { live: true });
      stream.stdin.end();
      stream.stdout.resume();
      await expect(stream.done).rejects.toThrow(/nothing-here/);
    });

    test('unpacks into a new directory only, and leaves nothing of what failed', async () => {
      const taken = path.join(place, '.caretaker-fresh-1');
      await mkdir(taken);
      await writeFile(path.join(taken, 'mine'), 'mine');
      const refused = files.untar(taken);
      refused.stdin.end();
      expect(await codeOf(refused.done)).toBe('untar-exists');
      expect(await readFile(path.join(taken, 'mine'), 'utf8')).toBe('mine');

      const live = path.join(place, 'live');
      await makeNastyTree(live, host.onHost);
      await writeFile(path.join(live, 'zz'), randomBytes(400_000));
      const archive = path.join(project, `${name}.tar`);
      await save(files.tar(live, {}), archive);
      const whole = await readFile(archive);
      const torn = files.untar(path.join(place, '.caretaker-fresh-2'));
      await pipeline(Readable.from([whole.subarray(0, whole.length - 200_000)]), torn.stdin).catch(() => undefined);
      await expect(torn.done).rejects.toMatchObject({ code: 'command-failed' });
      expect(existsSync(path.join(place, '.caretaker-fresh-2'))).toBe(false);
    });

    test('ends when it is killed, and nothing of it runs on', async () => {
      const live = path.join(place, 'live');
      await mkdir(live);
      await writeFile(path.join(live, 'large'), randomBytes(16 * 1024 * 1024));
      const packing = files.tar(live, {});
      packing.stdin.end();
      await new Promise((resolve) => packing.stdout.once('readable', resolve));
      const fresh = path.join(place, '.caretaker-fresh-3');
      const unpacking = files.untar(fresh);
      unpacking.stdin.write(Buffer.alloc(100));
      await until(() => Promise.resolve(existsSync(fresh)));
      expect(await runningTars(place)).not.toEqual([]);
      packing.kill();
      unpacking.kill();
      expect(await codeOf(packing.done)).toBe('cancelled');
      expect(await codeOf(unpacking.done)).toBe('cancelled');
      expect(await runningTars(place)).toEqual([]);
      expect(existsSync(fresh)).toBe(false);
    });

    test('sees what is there', async () => {
      const live = path.join(place, 'live');
      await makeNastyTree(live, host.onHost);
      await mkdir(path.join(live, 'pg/global'), { recursive: true, mode: 0o700 });
      await writeFile(path.join(live, 'pg/PG_VERSION'), '17\n');
      await writeFile(path.join(live, 'pg/global/pg_control'), 'x');
      makeLedger(path.join(live, 'app.db'));
      const made = [path.join(live, 'pg'), path.join(live, 'app.db')];
      execFileSync('chown', ['--recursive', `${host.onHost(70)}`, ...made]);
      const scan = await files.scan(live);
      expect(scan).toMatchObject({
        kind: 'directory',
        sqliteFiles: ['app.db'],
        postgresDirectories: ['pg'],
        uid: 70,
        gid: 71,
      });
      expect((await files.scan(path.join(live, 'secret'))).kind).toBe('file');
      expect((await files.scan(path.join(live, 'socket'))).kind).toBe('socket');
      expect((await files.scan(path.join(place, 'no/such/thing'))).kind).toBe('missing');
      expect(await files.exists(path.join(live, 'private/inner'))).toBe(true);
      expect(await files.exists(path.join(live, 'private/none'))).toBe(false);
      expect(await files.exists(path.join(place, 'no/such/thing'))).toBe(false);
      expect(await files.exists('/no-such-root/x/y')).toBe(false);
      const ours = ['.caretaker-aside-1-live', 'live/.caretaker-fresh-1-live'].map((one) => path.join(place, one));
      for (const one of ours) await mkdir(one);
      expect(await files.oursAt([live, path.join(place, 'none'), '/no-such-root/x/y'])).toEqual(ours);
    });

    test('follows a link to the data, also out of its directory', async () => {
      const elsewhere = path.join(project, `${name}-elsewhere`);
      await makeNastyTree(elsewhere, host.onHost);
      const live = path.join(project, `${name}-link`);
      await symlink(elsewhere, live);
      const archive = path.join(project, `${name}.tar`);
      await save(files.tar(live, {}), archive);
      expect(execFileSync('tar', ['--quoting-style=escape', '-tf', archive], { encoding: 'utf8' })).toMatch(
        /^\.\/private\/inner$/m,
      );
      expect((await files.scan(live)).kind).toBe('directory');
      await rm(live);
      await rm(elsewhere, { recursive: true });
    });

    test('exchanges live data and puts them back', async () => {
      const live = path.join(place, 'live');
      const fresh = path.join(place, '.caretaker-fresh-1');
      const aside = path.join(place, '.caretaker-aside-1');
      await makeNastyTree(live, host.onHost);
      await makeNastyTree(fresh, host.onHost);
      await writeFile(path.join(fresh, 'version'), 'new');
      await chown(path.join(fresh, 'version'), host.onHost(0), host.onHost(0));
      await mkdir(path.join(live, 'uploads'), { mode: 0o700 });
      await chown(path.join(live, 'uploads'), host.onHost(70), host.onHost(70));
      const before = await describeTree(live);
      const swap = { kind: 'directory', live, fresh, aside, carry: ['uploads'] } as const;
      await files.swap(swap);
      await files.swap(swap);
      expect(await readFile(path.join(live, 'version'), 'utf8')).toBe('new');
      expect(existsSync(path.join(live, 'uploads'))).toBe(true);
      await files.unswap(swap);
      await files.unswap(swap);
      expect(withoutTime(await describeTree(live))).toEqual(withoutTime(before));

      expect(await codeOf(files.remove([live]))).toBe('not-ours');
      await files.remove([fresh, aside, path.join(place, 'no/.caretaker-none')]);
      await files.remove([]);
      expect(existsSync(fresh)).toBe(false);
      expect(existsSync(live)).toBe(true);
    });

    test('exchanges nothing through a link on the way to it', async () => {
      for (const one of ['elsewhere/live', 'elsewhere/.caretaker-fresh-1'])
        await mkdir(path.join(place, one), { recursive: true });
      await symlink(path.join(place, 'elsewhere'), path.join(place, 'way'));
      expect(await files.kinds(place, ['way', 'way/live', 'elsewhere/live'])).toEqual(['link', null, 'directory']);
      const [live, fresh, aside] = ['live', '.caretaker-fresh-1', '.caretaker-aside-1'].map((one) =>
        path.join(place, 'way', one),
      ) as [string, string, string];
      const swap = { kind: 'directory', live, fresh, aside, carry: [], root: place } as const;
      expect(await codeOf(files.swap(swap))).toBe('swap-impossible');
      expect(await codeOf(files.unswap(swap))).toBe('swap-impossible');
      expect((await readdir(path.join(place, 'elsewhere'))).sort()).toEqual(['.caretaker-fresh-1', 'live']);
    });

    test('empties a directory but for what is to stay', async () => {
      const live = path.join(place, 'live');
      await makeNastyTree(live, host.onHost);
      await files.empty(live, ['secret', 'no/such']);
      expect(await readdir(live)).toEqual(['secret']);
      await files.empty(path.join(place, 'none'), []);
    });

    test('makes a directory in the likeness of another', async () => {
      const live = path.join(place, 'live');
      await makeNastyTree(live, host.onHost);
      await files.makeDirectory(path.join(place, '.caretaker-new'), live);
      const owner = { uid: host.onHost(70), gid: host.onHost(71) };
      expect(await stat(path.join(place, '.caretaker-new'))).toMatchObject({ ...owner, mode: 0o43770 });
      await files.likeness(path.join(place, '.caretaker-new'), path.join(live, 'secret'));
      expect(await stat(path.join(place, '.caretaker-new'))).toMatchObject({ uid: host.onHost(999), mode: 0o40400 });
      expect(await codeOf(files.makeDirectory(path.join(place, 'no/parent'), live))).not.toBe('fulfilled');
    });

    test('copies a database in a volume while a container writes to it', async () => {
      const database = path.join(volume, 'ledger.db');
      makeLedger(database);
      for (const file of [database, `${database}-wal`, `${database}-shm`]) {
        if (existsSync(file)) await chown(file, host.onHost(70), host.onHost(70));
      }
      await chmod(database, 0o640);
      await chmod(volume, 0o700);
      await chown(volume, host.onHost(70), host.onHost(70));
      await engine(
        ...[
          'run',
          '--detach',
          '--name',
          `${name}-writer`,
          '--network',
          'none',
          '--user',
          '70:70',
          '--volume',
          `${name}:/data`,
        ],
        ...['--entrypoint', 'python3', IMAGE, '-uc', WRITER],
      );
      await until(async () => (await runtime.logTail(`${name}-writer`, 1)) !== '');
      const sums = new Set<number>();
      for (let round = 0; round < 4; round++) {
        const copy = path.join(volume, `.caretaker-copy-${round}`);
        const rows = await files.copySqlite(database, copy);
        expect(await stat(copy)).toMatchObject({ uid: host.onHost(70), gid: host.onHost(70), mode: 0o100640 });
        await files.checkSqlite(copy);
        expect((await files.proveSqlite(copy)).rows).toEqual(rows);
        sums.add(checkLedger(copy));
        expect(existsSync(`${copy}-wal`)).toBe(false);
      }
      expect(sums.size).toBeGreaterThan(1);
      expect(await codeOf(files.copySqlite(database, path.join(volume, '.caretaker-copy-0')))).toBe('copy-exists');
      // The writer never noticed.
      expect((await runtime.container(`${name}-writer`))?.state).toBe('running');
      await runtime.remove([`${name}-writer`]);

      await writeFile(path.join(volume, '.caretaker-damaged'), 'SQLite format 3\0, it says');
      expect(await codeOf(files.checkSqlite(path.join(volume, '.caretaker-damaged')))).toBe('sqlite-damaged');
      expect(await codeOf(files.proveSqlite(path.join(volume, '.caretaker-damaged')))).toBe('sqlite-damaged');
    });
  });
}

/** Takes from one table what it gives to the other, forty times a second. */
const WRITER = `
import sqlite3, time
db = sqlite3.connect('/data/ledger.db', timeout=30, isolation_level=None)
n = 0
while True:
    db.execute('BEGIN IMMEDIATE')
    db.execute('UPDATE one SET amount = amount - 1')
    db.execute('UPDATE two SET amount = amount + 1')
    db.execute('INSERT INTO entries (note) VALUES (?)', ('x' * 500,))
    db.execute('COMMIT')
    n += 1
    if n % 10 == 0: print(n)
    time.sleep(0.025)
`;

function makeLedger(file: string): void {
  const database = new DatabaseSync(file);
  database.exec(`PRAGMA journal_mode = WAL; CREATE TABLE one (amount INTEGER); CREATE TABLE two (amount INTEGER);
    CREATE TABLE entries (id INTEGER PRIMARY KEY, note TEXT); INSERT INTO one VALUES (1000); INSERT INTO two VALUES (0)`);
  database.close();
}

/** Whole transactions only; answers with how many. */
function checkLedger(file: string): number {
  const database = new DatabaseSync(file);
  try {
    const row = database
      .prepare(
        'SELECT (SELECT amount FROM one) AS one, (SELECT amount FROM two) AS two, (SELECT count(*) FROM entries) AS entries',
      )
      .get() as { one: number; two: number; entries: number };
    expect(row.one + row.two).toBe(1000);
    expect(row.entries).toBe(row.two);
    return row.entries;
  } finally {
    database.close();
  }
}

/** Names, kinds, modes, owners, links, holes, times and attributes of which one tool or the other has lost each. */
async function makeNastyTree(root: string, onHost: (id: number) => number): Promise<void> {
  const at = (name: string): string => path.join(root, name);
  await mkdir(root);
  await mkdir(at('empty'));
  await mkdir(at('private'));
  await writeFile(at('private/inner'), 'inner');
  await mkdir(at('readonly'));
  await writeFile(at('readonly/file'), 'in a directory that nobody may write to');
  await writeFile(at('secret'), 'secret');
  await writeFile(at('names\nwith newline'), '1');
  await writeFile(at('-rf'), '2');
  await writeFile(at('Müller ☃'), '3');
  await writeFile(at('back\\slash*[x]?'), '4');
  await writeFile(Buffer.concat([Buffer.from(`${root}/latin1-`), Buffer.from([0xfc, 0xff])]), '5');
  await writeFile(at(`long-${'n'.repeat(240)}`), '6');
  await link(at('secret'), at('hard link'));
  await symlink('/etc/hostname', at('absolute link'));
  await symlink('nowhere', at('dangling link'));
  await symlink('../../../../etc', at('link out'));
  await writeFile(at('program'), '#!/bin/sh\n');
  const sparse = await open(at('sparse'), 'w');
  await sparse.write('begin');
  await sparse.write('end', 64 * 1024 * 1024);
  await sparse.close();
  execFileSync('mkfifo', [at('pipe')]);
  execFileSync('setfattr', ['-n', 'user.note', '-v', 'kept', at('secret')]);
  execFileSync('setfacl', ['-m', `u:${onHost(70)}:r`, at('private/inner')]);
  // A socket: no archive holds one, and it is no reason to fail.
  execFileSync('python3', ['-c', 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])', at('socket')]);

  // What the tests' root made belongs to nobody in a rootless user's namespace.
  execFileSync('chown', ['--recursive', '--no-dereference', `${onHost(0)}:${onHost(0)}`, root]);
  const owners: readonly (readonly [string, number, number, number])[] = [
    ['secret', 999, 999, 0o400],
    ['private/inner', 70, 70, 0o640],
    ['private', 70, 70, 0o700],
    ['readonly/file', 33, 33, 0o444],
    ['readonly', 33, 33, 0o555],
    ['program', 0, 50, 0o6755],
    ['empty', 1000, 1000, 0o1777],
    ['-rf', 1, 2, 0o000],
    ['.', 70, 71, 0o3770],
  ];
  for (const [name, uid, gid, mode] of owners) {
    await chown(at(name), onHost(uid), onHost(gid));
    await chmod(at(name), mode);
  }
  execFileSync('chown', ['--no-dereference', `${onHost(5)}:${onHost(6)}`, at('dangling link')]);
  // Below a second, before 1970 is nobody's, and far ahead.
  await utimes(at('secret'), 1_000_000_000, 1_234_567_890.123456);
  execFileSync('touch', [
    '--no-dereference',
    '--date=2031-02-03 04:05:06.123456789Z',
    at('absolute link'),
    at('program'),
    at('readonly'),
  ]);
  execFileSync('touch', ['--date=2001-01-01 00:00:00.5Z', root]);
}

/** One line for each thing below a directory, with all that must survive. Sockets can't. */
async function describeTree(root: string): Promise<string[]> {
  const run = promisify(execFile);
  const format = '%P\\t%y\\t%m\\t%U\\t%G\\t%T@\\t%n\\t%l\\0';
  const options = { encoding: 'latin1', maxBuffer: 1 << 26 } as const;
  const found = await run('find', [root, '!', '-type', 's', '-printf', format], options);
  // Neither tool can be told not to follow a link in a walk of its own without failing at one that leads nowhere.
  const each = ['(', '-type', 'f', '-o', '-type', 'd', ')', '-exec'];
  const attributes = await run(
    'find',
    [root, ...each, 'getfattr', '--dump', '--match=-', '--absolute-names', '--', '{}', '+'],
    options,
  );
  const acls = await run('find', [root, ...each, 'getfacl', '--numeric', '--absolute-names', '--', '{}', '+'], options);
  const lines = found.stdout.split('\0').filter((line) => line !== '');
  const described = await Promise.all(
    lines.map(async (line) => {
      const [name, kind, ...rest] = line.split('\t');
      // Directories' numbers of links are a filesystem's own matter.
      if (kind === 'd') rest[4] = '';
      if (kind !== 'f') return [name, kind, ...rest].join(' ');
      const bytes = await readFile(Buffer.from(`${Buffer.from(root).toString('latin1')}/${name}`, 'latin1'));
      return [name, kind, ...rest, createHash('sha256').update(bytes).digest('hex')].join(' ');
    }),
  );
  const plain = (output: string): string[] =>
    output
      .split('\n\n')
      .filter((block) => block.trim() !== '' && !block.includes('/socket'))
      .map((block) => block.replace(root, 'ROOT').trim());
  return [...described.sort(), ...plain(attributes.stdout).sort(), ...plain(acls.stdout).sort()];
}

function withoutTime(lines: string[]): string[] {
  return lines.map((line) => (line.startsWith(' d ') ? line.replace(/\d+\.\d{10}/, '') : line));
}

async function save(stream: ProcessStream, file: string): Promise<void> {
  stream.stdin.end();
  const { createWriteStream } = await import('node:fs');
  await pipeline(stream.stdout, createWriteStream(file));
  await stream.done;
}

async function load(file: string, stream: ProcessStream): Promise<void> {
  const { createReadStream } = await import('node:fs');
  // As the sources do: tar may close its input as soon as it has seen the archive's end.
  await feed(stream, createReadStream(file));
}

/** Command lines of tars, and of engine clients around them, that speak of a path. */
async function runningTars(place: string): Promise<string[]> {
  const ps = spawn('ps', ['-eo', 'args', '-ww'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = (await text(ps.stdout)).split('\n');
  return lines.filter((line) => line.includes(place) && line.includes('tar'));
}
