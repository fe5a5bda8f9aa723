import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { Part } from '../../../src/archive/manifest.ts';
import { writePart } from '../../../src/archive/parts.ts';
import type { SourceSpec } from '../../../src/project/project.ts';
import { feedProgram } from '../../../src/sources/postgres-feed.ts';
import { openServer } from '../../../src/sources/postgres-server.ts';
import { createSource, sourceForPart } from '../../../src/sources/sources.ts';
import type { Source } from '../../../src/sources/source.ts';
import { killChildren } from '../../../src/system/live-processes.ts';
import { systemClock } from '../../../src/system/system-clock.ts';
import { Host, IMAGE } from './host.ts';

jest.setTimeout(240_000);

const COMPOSE = `
services:
  db:
    image: ${IMAGE}
    environment:
      POSTGRES_PASSWORD: "pass word"
      POSTGRES_USER: shop
    volumes:
      - ./database:/var/lib/postgresql/data
  app:
    image: ${IMAGE}
    entrypoint: ["tini", "--", "sleep", "infinity"]
    volumes:
      - ./site files:/srv/site
      - app-data:/srv/data
volumes:
  app-data: {}
`;

/** Rows of one transaction go into both tables: a torn copy shows as a difference. */
const SCHEMA = `
create table if not exists a (id bigserial primary key, fill text);
create table if not exists b (id bigserial primary key, fill text);
truncate a, b;
insert into a (fill) select repeat('x', 200) from generate_series(1, 20000);
insert into b (fill) select repeat('y', 200) from generate_series(1, 20000);`;
const WRITER = `do $$ begin for i in 1..100000 loop
  insert into a (fill) values (repeat('x', 200)); insert into b (fill) values (repeat('y', 200));
  update a set fill = repeat('z', 200) where id = 1 + (i * 7919) % 20000; commit; perform pg_sleep(0.002);
end loop; end $$`;
const COUNTS = "select (select count(*) from a) || ' ' || (select count(*) from b)";

describe.each(['docker', 'podman'] as const)('on %s', (engine) => {
  let host: Host;
  beforeAll(async () => {
    host = await Host.create(engine, COMPOSE);
    await host.processes.run({ argv: ['mkdir', join(host.directory, 'site files')] });
    await host.compose('up', '-d');
    await host.ready();
    await host.psql('select 1');
  });
  afterAll(() => host?.remove());

  /** Runs `work` while rows are written. */
  async function underWriter<T>(work: () => Promise<T>): Promise<T> {
    const server = (await host.containers()).find(({ service }) => service === 'db')!;
    const writer = host.runtime.execStream(server.id, ['psql', '-X', '-U', 'shop', '-d', 'shop', '-c', WRITER]);
    writer.stdin.end();
    writer.stdout.resume();
    try {
      while (Number((await host.psql(COUNTS)).split(' ')[0]) < 20_020)
        await new Promise((resolve) => setTimeout(resolve, 50));
      return await work();
    } finally {
      await host.psql(`select pg_terminate_backend(pid) from pg_stat_activity where query like 'do $$%'`);
      await writer.done.catch(() => undefined);
    }
  }

  const postgres = (method: 'physical' | 'dump' | 'files'): Promise<Source> => {
    const path = join(host.directory, 'database');
    return createSource(
      {
        type: 'postgres',
        name: 'database',
        service: 'db',
        method,
        path,
        containerPath: '/var/lib/postgresql/data',
        user: 'shop',
      },
      host.deps,
    );
  };
  const leftovers = (): string[] => readdirSync(host.directory).filter((name) => name.startsWith('.caretaker-'));
  const emptyBackups = (): Promise<void> => host.asRoot('find', host.backups, '-mindepth', '1', '-delete');

  async function counts(): Promise<[number, number]> {
    await host.ready();
    const [a, b] = (await host.psql(COUNTS)).split(' ').map(Number);
    return [a!, b!];
  }

  test('PostgreSQL, base backup under a writer: back in place, then by RESTORE.md alone', async () => {
    await emptyBackups();
    await host.psql(SCHEMA);
    const source = await postgres('physical');
    const part = await underWriter(() => host.take(source));
    expect(part.postgres).toMatchObject({ major: 17, databases: ['postgres', 'shop'], user: 'shop' });
    await host.psql('truncate a, b');

    // The image's entrypoint would mend a wrong owner, a container with `user:` would not start: so before any start.
    const fresh = await source.stage(part, host.read, 'r3');
    const root = async (path: string): Promise<string> =>
      (await host.tree(path)).split('\n').find((line) => line.startsWith('. '))!;
    expect((await root(fresh[0]!.fresh)).split(' ').slice(1, 4)).toEqual(
      (await root(fresh[0]!.live)).split(' ').slice(1, 4),
    );
    await source.unstage('r3');

    await host.restore(await sourceForPart(part, host.deps), part);
    const [a, b] = await counts();
    expect(a).toBeGreaterThan(20_000);
    expect(b).toBe(a);
    expect(leftovers()).toEqual([]);

    await host.psql('drop table a, b');
    await host.restoreByHand([part], 'database');
    expect(await counts()).toEqual([a, b]);
  });

  test('PostgreSQL in two passes: what was written up to the stop comes back, and the server keeps no slot', async () => {
    await emptyBackups();
    await host.psql(SCHEMA);
    const source = await postgres('physical');
    let atStop: [number, number] | undefined;
    const part = await host.takeInTwoPasses(source, async () => {
      expect(await host.psql('select temporary, active from pg_replication_slots')).toBe('t|t');
      // More than one segment of WAL, a table that the base backup does not know, and a commit that nobody waited for.
      await underWriter(async () => {
        await host.psql(`create table later as select n, repeat('l', 500) fill from generate_series(1, 60000) n`);
      });
      await host.psql(`set synchronous_commit = off; insert into later values (-1, 'the very last')`);
      atStop = await counts();
    });
    if (part === 'anew') throw new Error('a server is never copied anew');
    expect(part.files.length).toBeGreaterThan(1);
    expect(part.files.at(-1)!.file).toMatch(/\.database\.wal\d\.tar\.zst$/);
    expect(await host.psql('select count(*) from pg_replication_slots')).toBe('0');

    const check = async (): Promise<void> => {
      expect(await counts()).toEqual(atStop);
      expect(await host.psql('select count(*), max(fill) filter (where n = -1) from later')).toBe(
        '60001|the very last',
      );
    };
    await host.psql('drop table a, b, later');
    await host.restore(await sourceForPart(part, host.deps), part);
    await check();
    expect(leftovers()).toEqual([]);
    await host.psql('drop table a, b, later');
    await host.restoreByHand([part], 'database');
    await check();
    await host.psql('drop table later');
  });

  test('PostgreSQL without a free slot is left to one pass, and says so', async () => {
    await host.psql(
      `select pg_create_physical_replication_slot('taken' || n) from generate_series(1, current_setting('max_replication_slots')::int) n`,
    );
    try {
      const source = await postgres('physical');
      expect(await source.warm?.()).toBeUndefined();
      expect(host.warnings.at(-1)).toMatch(
        /database: all of it is copied while the application stands still: .*replication slot/,
      );
    } finally {
      await host.psql('select pg_drop_replication_slot(slot_name) from pg_replication_slots');
      host.warnings.length = 0;
    }
  });

  test('a client that is killed leaves no slot in the server', async () => {
    const source = await postgres('physical');
    const capture = await source.warm?.();
    expect(await host.psql('select count(*) from pg_replication_slots')).toBe('1');
    await killChildren();
    for (let i = 0; i < 100 && (await host.psql('select count(*) from pg_replication_slots')) !== '0'; i++)
      await systemClock.sleep(100);
    expect(await host.psql('select count(*) from pg_replication_slots')).toBe('0');
    await capture?.finish();
  });

  test('PostgreSQL, dump with roles and odd names: back in place, then by RESTORE.md alone', async () => {
    await emptyBackups();
    await host.psql(SCHEMA);
    await host.psql(`create role reader login password 'secret'`);
    await host.psql(`create database "Odd name's = x" owner reader`);
    await host.psql('create table t as select 42 as answer', `dbname='Odd name\\'s = x'`);
    const source = await postgres('dump');
    const part = await underWriter(() => host.take(source));
    expect(part.files).toHaveLength(4);
    const wreck = async (): Promise<void> => {
      await host.psql('truncate a, b');
      await host.psql(`drop database "Odd name's = x"`);
      await host.psql('drop role reader');
    };
    const check = async (): Promise<void> => {
      const [a, b] = await counts();
      expect(a).toBeGreaterThan(20_000);
      expect(b).toBe(a);
      expect(await host.psql('select answer from t', `dbname='Odd name\\'s = x'`)).toBe('42');
      expect(await host.psql(`select rolcanlogin from pg_roles where rolname = 'reader'`)).toBe('t');
      expect(await host.psql(`select pg_get_userbyid(datdba) from pg_database where datname like 'Odd%'`)).toBe(
        'reader',
      );
    };
    await wreck();
    await host.restore(await sourceForPart(part, host.deps), part);
    await check();
    expect(leftovers()).toEqual([]);
    await wreck();
    await host.restoreByHand([part], 'database');
    await check();
  });

  test('PostgreSQL, what a dump says of its database arrives whole, however much of it is left unread', async () => {
    await host.psql(SCHEMA);
    const server = await openServer(host.deps.project, host.deps.log, { service: 'db', user: 'shop' });
    const dump = server.stream(['pg_dump', '-U', 'shop', '-Fc', '-Z0', '-d', 'shop']);
    dump.stdin.end();
    const whole = await buffer(dump.stdout);
    const more = Buffer.alloc(64 * 1024);
    const bytes = async function* (): AsyncGenerator<Uint8Array> {
      yield await Promise.resolve(whole);
      for (let i = 0; i < 500; i++) yield more;
    };
    const counts: number[] = [];
    for (let i = 0; i < 30; i++) {
      const lines: string[] = [];
      await feedProgram(server, ['pg_restore', '--schema-only', '-f', '-'], bytes(), (line) => lines.push(line));
      expect(lines).toContain('CREATE TABLE public.b (');
      counts.push(lines.length);
    }
    expect(new Set(counts).size).toBe(1);
    const refused = feedProgram(server, ['pg_restore', '-U', 'shop', '--exit-on-error', '-d', 'shop'], bytes());
    await expect(refused).rejects.toThrow(/already exists/);
  });

  test('PostgreSQL with tablespaces, dumped today and by an earlier version: loaded without them, while their places hold files', async () => {
    await emptyBackups();
    await host.ready();
    await host.in('db', ['install', '-d', '-o', 'postgres', '/var/tmp/fast', '/var/tmp/own']);
    await host.psql(`create tablespace fast location '/var/tmp/fast'`);
    await host.psql(`create tablespace own location '/var/tmp/own'`);
    await host.psql('create role placed');
    await host.psql('grant create on tablespace fast to placed');
    await host.psql(`alter role placed set default_tablespace to fast`);
    await host.psql('create database elsewhere tablespace own');
    await host.psql('alter database elsewhere set default_tablespace to fast');
    await host.psql('create table t (id int primary key using index tablespace fast) tablespace fast', 'elsewhere');
    await host.psql('insert into t values (42)', 'elsewhere');
    await host.psql('create table u as select 43 as id', 'elsewhere');
    const source = await postgres('dump');
    const today = await host.take(source);
    expect(host.warnings.at(-1)).toMatch(/tablespaces outside its data directory \(fast, own\)/);

    const server = (await host.containers()).find(({ service }) => service === 'db')!;
    const earlier = async (suffix: string, argv: readonly [string, ...string[]]): Promise<Part['files'][number]> =>
      writePart({
        directory: host.backups,
        file: `earlier.database.${suffix}.zst`,
        stream: host.runtime.execStream(server.id, argv),
      });
    const before: Part = {
      ...today,
      postgres: { ...today.postgres!, databases: ['elsewhere', 'postgres'] },
      files: [
        await earlier('globals.sql', ['pg_dumpall', '-U', 'shop', '--globals-only']),
        await earlier('elsewhere.dump', ['pg_dump', '-U', 'shop', '-Fc', '-Z0', 'elsewhere']),
        await earlier('postgres.dump', ['pg_dump', '-U', 'shop', '-Fc', '-Z0', 'postgres']),
      ],
    };
    const check = async (): Promise<void> => {
      await host.ready();
      expect(await host.psql('select id from t union select id from u order by 1', 'elsewhere')).toBe('42\n43');
      expect(await host.psql(`select string_agg(spcname, ' ' order by 1) from pg_tablespace`)).toBe(
        'pg_default pg_global',
      );
      expect(await host.psql(`select count(*) from pg_roles where rolname = 'placed'`)).toBe('1');
      expect(await host.in('db', ['sh', '-c', 'ls /var/tmp/fast'])).toMatch(/^PG_17_/);
    };
    await host.restore(await sourceForPart(today, host.deps), today);
    await check();
    await host.psql('truncate t', 'elsewhere');
    await host.restore(await sourceForPart(before, host.deps), before);
    await check();
    expect(host.warnings.at(-1)).toMatch(/tablespaces \(fast, own\)\. They are not made/);
    host.warnings.length = 0;
    await host.restoreByHand([today], 'database');
    await check();
    await host.psql('drop database elsewhere');
    await host.psql('drop role placed');
    await host.psql(SCHEMA);
  });

  test('PostgreSQL, what was restored is proven: a base backup to the last page, a dump to the last row', async () => {
    await emptyBackups();
    await host.ready();
    await host.psql(SCHEMA);
    for (const name of ["it's odd", "Odd name's = x"]) await host.psql(`drop database if exists "${name}"`);
    await host.psql(`create database "it's odd"`);
    const failing = (why: RegExp): object => ({ code: 'drill-failed', message: expect.stringMatching(why) });
    /** In place, nothing started. */
    const put = async (part: Part): Promise<Source> => {
      const source = await sourceForPart(part, host.deps);
      const swaps = await source.stage(part, host.read, 'r2');
      await host.compose('stop');
      for (const swap of swaps) await host.files.swap(swap);
      await host.files.remove(swaps.map(({ aside }) => aside));
      await source.unstage('r2');
      return source;
    };

    const physical = await host.takeInTwoPasses(await postgres('physical'), async () => {
      await underWriter(() => host.psql(`create table later as select n from generate_series(1, 500000) n`));
    });
    if (physical === 'anew') throw new Error('a server is never copied anew');
    const base = await put(physical);
    expect(await base.proves?.resting?.(physical)).toEqual([
      'database: every file is what the server sent (pg_verifybackup), and all of its WAL can be read',
    ]);
    await host.start();
    const lines = await base.proves?.serving?.(physical);
    expect(lines).toContain('database, database shop: tables and indexes fit each other (amcheck)');
    expect(lines).toContain(`database, database it's odd: tables and indexes fit each other (amcheck)`);

    // A page of zeros is a page to a server, and to its data checksums. The digests of this program are those of the archive.
    const heap = await host.psql(`select pg_relation_filepath('a')`);
    const live = join(host.directory, 'database');
    await put(physical);
    const zero = (file: string, page: number): Promise<void> =>
      host.asRoot('dd', 'if=/dev/zero', `of=${join(live, file)}`, 'bs=8192', `seek=${page}`, 'count=1', 'conv=notrunc', 'status=none'); // prettier-ignore
    await zero(heap, 3);
    await expect(base.proves?.resting?.(physical)).rejects.toMatchObject(failing(new RegExp(`checksum mismatch for file "${heap}"`))); // prettier-ignore
    await put(physical);
    const tail = (await host.tree(live))
      .match(/pg_wal\/[0-9A-F]{24} /g)!
      .at(-1)!
      .trim();
    await zero(tail, 0);
    await expect(base.proves?.resting?.(physical)).rejects.toMatchObject(failing(/pg_waldump: error: .*WAL/));
    await put(physical);
    await host.start();
    await host.ready();

    await emptyBackups();
    await host.psql('drop table later');
    const source = await postgres('dump');
    const dump = await underWriter(() => host.take(source));
    const rows = dump.postgres!.rows!;
    expect(Object.keys(rows).sort()).toEqual(["it's odd", 'postgres', 'shop']);
    expect(rows['shop']?.['public.a']).toBeGreaterThan(20_000);
    expect(rows['shop']).toEqual({ 'public.a': rows['shop']!['public.b'], 'public.b': rows['shop']!['public.b'] });
    expect(await host.psql(`select count(*) from pg_stat_activity where query like '%snapshot%' and pid <> pg_backend_pid()`)).toBe('0'); // prettier-ignore
    await host.restore(await sourceForPart(dump, host.deps), dump);
    const proven = await source.proves?.serving?.(dump);
    expect(proven).toContainEqual(
      expect.stringMatching(/^database, database shop: \d+ rows in 2 tables, as many in each/),
    );
    expect(await source.proves?.resting?.(dump)).toEqual([]);
    await host.psql('delete from a where id = (select min(id) from a)');
    await expect(source.proves?.serving?.(dump)).rejects.toMatchObject(
      failing(/shop: public.a has \d+ rows instead of \d+$/),
    );

    // A dump that lacks a table, with every size and digest as if it had been taken so.
    const without = dump.files.find(({ file }) => file.endsWith('.shop.dump.zst'))!;
    await host.asRoot('rm', join(host.backups, without.file));
    const server = (await host.containers()).find(({ service }) => service === 'db')!;
    const argv = ['pg_dump', '-U', 'shop', '-Fc', '-Z0', '-T', 'b', 'shop'] as const;
    const stream = host.runtime.execStream(server.id, argv);
    const again = await writePart({ directory: host.backups, file: without.file, stream });
    const lacking = { ...dump, files: dump.files.map((file) => (file === without ? again : file)) };
    await host.restore(await sourceForPart(lacking, host.deps), lacking);
    await expect(source.proves?.serving?.(lacking)).rejects.toMatchObject(
      failing(/shop: .*public.b is missing \(\d+ rows\)/),
    );
    await host.psql(SCHEMA);
    await host.psql(`drop database "it's odd"`);
  });

  test('PostgreSQL, the directory of a stopped server', async () => {
    await emptyBackups();
    await host.ready();
    await host.psql(SCHEMA);
    const source = await postgres('files');
    await expect(source.capture('quiesced')).rejects.toMatchObject({ code: 'postgres-running' });
    await host.compose('stop');
    const before = await host.tree(join(host.directory, 'database'));
    const part = await host.take(source, 'stopped');
    await host.asRoot('rm', '-rf', join(host.directory, 'database'));
    const [swap] = await source.stage(part, host.read, 'r2');
    await host.files.swap(swap!);
    expect(await host.tree(join(host.directory, 'database'))).toBe(before);
    await host.files.remove([swap!.aside]);
    await host.start();
    expect(await counts()).toEqual([20_000, 20_000]);
  });

  test('SQLite in a volume under a writer: back in place, then by RESTORE.md alone', async () => {
    await emptyBackups();
    const python = (script: string): Promise<string> =>
      host.in(
        'app',
        ['python3', '-'],
        `import sqlite3\nd = sqlite3.connect('/srv/data/sub dir/db.sqlite3', timeout=30)\n${script}`,
      );
    await host.in('app', ['mkdir', '-p', '/srv/data/sub dir']);
    await python(
      `d.execute('pragma journal_mode = wal'); d.execute('create table t (x)'); d.execute('insert into t values (1)'); d.commit()`,
    );
    await host.in('app', ['chown', '-R', '1234:2345', '/srv/data/sub dir']);
    const app = (await host.containers()).find(({ service }) => service === 'app')!;
    const mount = app.mounts.find(({ target }) => target === '/srv/data')!;
    const path = join(mount.source, 'sub dir/db.sqlite3');
    const spec: SourceSpec = {
      type: 'sqlite', name: 'site', path, writers: ['app'], service: 'app', containerPath: '/srv/data/sub dir/db.sqlite3', volume: mount.volume!,
    }; // prettier-ignore
    const writer = host.runtime.execStream(app.id, ['python3', '-c',
      `import sqlite3,time\nd=sqlite3.connect('/srv/data/sub dir/db.sqlite3', timeout=30)\nwhile True:\n  d.execute('insert into t values (2)'); d.commit(); time.sleep(0.002)`]); // prettier-ignore
    writer.stdin.end();
    writer.stdout.resume();
    const part = await host.take(await createSource(spec, host.deps));
    await host.compose('stop', 'app');
    await writer.done.catch(() => undefined);
    await host.start('app');
    await python(`d.execute('delete from t'); d.execute('insert into t values (99)'); d.commit()`);

    const check = async (): Promise<void> => {
      expect(
        await python(
          `print(d.execute('select count(*) from t where x = 1').fetchone()[0], d.execute('select count(*) from t where x = 99').fetchone()[0], d.execute('pragma integrity_check').fetchone()[0])`,
        ),
      ).toBe('1 0 ok');
      expect(await host.in('app', ['stat', '-c', '%u:%g', '/srv/data/sub dir/db.sqlite3'])).toBe('1234:2345');
    };
    const home = await sourceForPart(part, host.deps);
    await host.restore(home, part);
    expect(part.sqlite?.rows?.['t']).toBeGreaterThan(1);
    expect(await home.proves?.resting?.(part)).toEqual([
      'site: every page and index is whole (PRAGMA integrity_check)',
      `site: ${part.sqlite?.rows?.['t']} rows in 1 tables, as many in each as when the backup was taken`,
    ]);
    await check();
    expect(await host.in('app', ['ls', '-A', '/srv/data/sub dir'])).not.toContain('.caretaker');
    await python(`d.execute('delete from t'); d.commit()`);
    await expect(home.proves?.resting?.(part)).rejects.toMatchObject({
      code: 'drill-failed',
      message: expect.stringMatching(/t has 0 rows instead of/),
    });
    await host.restoreByHand([part], 'site');
    await check();
  });

  test('a volume and a directory with odd names, owners, links and excludes: back in place, then by RESTORE.md alone', async () => {
    await emptyBackups();
    const fill = `set -e; cd "$1"; mkdir -p "it's a dir/ü" logs cache; echo one > "it's a dir/ü/two words \\$(x)"; ln -sf /etc/passwd link; ln -f "it's a dir/ü/two words \\$(x)" hard
      echo log > logs/a.log; truncate -s 50M sparse; printf '\\n' > "new
line"; chown -R 70:71 "it's a dir"; chmod 2750 "it's a dir"; chmod 600 sparse`;
    for (const [name, type, target] of [
      ['site', 'directory', '/srv/site'],
      ['data', 'volume', '/srv/data'],
    ] as const) {
      await host.in('app', ['bash', '-c', fill, 'bash', target]);
      const app = (await host.containers()).find(({ service }) => service === 'app')!;
      const mount = app.mounts.find((one) => one.target === target)!;
      const spec: SourceSpec = {
        type, name, path: mount.source, exclude: ['logs/**', 'cache'], writers: ['app'], service: 'app', containerPath: target,
        ...(mount.volume === undefined ? {} : { volume: mount.volume }),
      }; // prettier-ignore
      const part = await host.take(await createSource(spec, host.deps));
      expect(part.files[0]!.rawBytes).toBeLessThan(1_000_000);
      const before = await host.tree(mount.source);
      const wreck = (): Promise<string> =>
        host.in('app', [
          'bash',
          '-c',
          'cd "$1"; rm -rf "it\'s a dir" link; echo two > later; chmod 777 sparse',
          'bash',
          target,
        ]);
      await wreck();
      await host.restore(await sourceForPart(part, host.deps), part);
      expect(await host.tree(mount.source)).toBe(before);
      await wreck();
      await host.restoreByHand([part], name);
      expect(await host.tree(mount.source)).toBe(before);

      // In two passes, with changes between them.
      await emptyBackups();
      const passes = await host.takeInTwoPasses(await createSource(spec, host.deps), async () => {
        const change =
          'set -e; cd "$1"; rm link; mkdir -p new logs; echo new > "new/it\'s \$x"; mv hard moved; echo log > logs/b; chown 70 new';
        await host.in('app', ['bash', '-c', change, 'bash', target]);
      });
      if (passes === 'anew') throw new Error('it was one small change');
      expect(passes.files.map(({ file }) => file.replace(/^.*?\.(?:site|data)\./, ''))).toEqual([
        'tar.zst',
        'removed1.zst',
        'changed1.tar.zst',
      ]);
      const then = await host.tree(mount.source);
      await wreck();
      await host.restore(await sourceForPart(passes, host.deps), passes);
      expect(await host.tree(mount.source)).toBe(then);
      await wreck();
      await host.restoreByHand([passes], name);
      expect(await host.tree(mount.source)).toBe(then);
    }
    expect(host.warnings).toEqual([]);
  });
});

test('the real zstd reads what is written, and what it writes is read, in one huge frame too', async () => {
  const { compress, decompress } = await import('../../../src/archive/zstd.ts');
  const raw = Buffer.concat(
    Array.from({ length: 30 }, (_, index) => Buffer.alloc(1_000_000, `row ${index} of a table; `)),
  );
  const collect = async (source: AsyncIterable<Uint8Array>): Promise<Buffer> => {
    const pieces: Uint8Array[] = [];
    for await (const piece of source) pieces.push(Buffer.from(piece));
    return Buffer.concat(pieces);
  };
  const pieces = async function* (bytes: Buffer): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
    await Promise.resolve();
  };
  const ours = await collect(compress(pieces(raw)));
  const options = { maxBuffer: 1 << 28 };
  expect(execFileSync('zstd', ['-dc'], { ...options, input: ours }).equals(raw)).toBe(true);
  for (const args of [
    ['-1'],
    ['-19', '--long=27', '--no-check'],
    ['-T0', '--content-size'],
    ['-3', '--no-content-size'],
  ]) {
    const theirs = execFileSync('zstd', ['-c', ...args], { ...options, input: raw });
    expect((await collect(decompress(pieces(theirs)))).equals(raw)).toBe(true);
    await expect(collect(decompress(pieces(theirs.subarray(0, -1))))).rejects.toMatchObject({ code: 'part-damaged' });
  }
});

test('a disk that is really full is called that, and nothing of the part is left', async () => {
  const { mkdtempSync, rmSync } = await import('node:fs');
  const { writePart } = await import('../../../src/archive/parts.ts');
  const { nodeProcesses } = await import('../../../src/system/node-processes.ts');
  const directory = mkdtempSync('/var/tmp/ck-src-full-');
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', directory]);
  try {
    const stream = nodeProcesses.stream({ argv: ['head', '-c', '20000000', '/dev/urandom'] });
    await expect(writePart({ directory, file: 'b.p.tar.zst', stream })).rejects.toMatchObject({ code: 'disk-full' });
    expect(readdirSync(directory)).toEqual([]);
  } finally {
    execFileSync('umount', [directory]);
    rmSync(directory, { recursive: true });
  }
});
