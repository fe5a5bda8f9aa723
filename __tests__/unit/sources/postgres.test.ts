import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
  chmodSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';
import type { Part, PartFile } from '../../../src/archive/manifest.ts';
import { TAR_END, tarHeader, tarPadding } from '../../../src/archive/tar.ts';
import type { Container } from '../../../src/runtimes/runtime.ts';
import { createSource } from '../../../src/sources/sources.ts';
import type { Source } from '../../../src/sources/source.ts';
import { rawHeader } from '../fuzz/tar-bytes.ts';
import { localFiles } from './local-files.ts';
import { container, stage, type Answer, type Called, type Stage } from './stand-ins.ts';

let root: string;
const files = localFiles();
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'caretaker-postgres-'));
  mkdirSync(join(root, '.caretaker'));
  mkdirSync(join(root, 'database/global'), { recursive: true });
  mkdirSync(join(root, 'database/base'));
  writeFileSync(join(root, 'database/PG_VERSION'), '17\n');
  writeFileSync(join(root, 'database/global/pg_control'), 'old');
  chmodSync(join(root, 'database'), 0o700);
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const healthy = {
  version: '17.6', number: 170006, walLevel: 'replica', walSenders: 10, replication: true, tablespaces: [] as string[],
  databases: ['postgres', 'shop'], locale: 'C.UTF-8', switchesWal: true,
}; // prettier-ignore

/** A server that lets in who should be let in. */
function server(facts: Partial<typeof healthy> = {}, more: (call: Called) => Answer | undefined = () => undefined) {
  return (call: Called): Answer => {
    const special = more(call);
    if (special !== undefined) return special;
    const [program] = call.argv;
    if (program === 'psql' && call.argv.includes('-c')) return { stdout: JSON.stringify({ ...healthy, ...facts }) };
    if (program === 'postgres') return { stdout: 'postgres (PostgreSQL) 17.6 (Debian 17.6-1)\n' };
    if (program === 'pg_basebackup') return { stdout: cluster() };
    return { stdout: `output of ${program}` };
  };
}

/** What pg_basebackup prints: a cluster without an entry for its root. */
function cluster(...more: string[]): Buffer {
  const tree = mkdtempSync(join(tmpdir(), 'caretaker-cluster-'));
  try {
    mkdirSync(join(tree, 'global'));
    mkdirSync(join(tree, 'base'));
    writeFileSync(join(tree, 'PG_VERSION'), '17\n');
    writeFileSync(join(tree, 'global/pg_control'), 'restored');
    writeFileSync(join(tree, 'postmaster.pid'), '1');
    return execFileSync('tar', ['-C', tree, '-cf', '-', 'PG_VERSION', 'global', 'base', 'postmaster.pid', ...more]);
  } finally {
    rmSync(tree, { recursive: true });
  }
}

function at(
  answer: (call: Called) => Answer,
  containers: Container[] = [container('db', { env: { POSTGRES_PASSWORD: 'se cret' } }), container('web')],
): Stage {
  return stage({ directory: root, files, containers: () => containers, answer });
}
const source = (here: Stage, method: 'physical' | 'dump' | 'files' = 'physical'): Promise<Source> =>
  createSource(
    {
      type: 'postgres',
      name: 'database',
      service: 'db',
      method,
      path: join(root, 'database'),
      containerPath: '/var/lib/postgresql/data',
      user: 'shop',
    },
    here.deps,
  );

function part(method: Part['method'], files: string[], major = 17): Part {
  return {
    name: 'database', kind: 'postgres', method, consistency: 'online', seconds: 1, origin: { service: 'db', path: '/elsewhere' },
    files: files.map((suffix) => ({ file: `b.database.${suffix}.zst`, bytes: 1, rawBytes: 1, sha256: '' })),
    postgres: { version: `${major}.1`, major, databases: ['postgres', 'shop'], user: 'shop' },
  }; // prettier-ignore
}
async function* bytes(...pieces: (Buffer | string)[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) yield Buffer.from(piece);
  await Promise.resolve();
}
async function printed(source: Source): Promise<{ suffix: string; text: string }[]> {
  const capture = await source.capture('serving');
  const result = [];
  for (const one of capture.streams) {
    const stream = one.open();
    stream.stdin.end();
    let text = '';
    for await (const piece of stream.stdout) text += (piece as Buffer).toString('latin1');
    await stream.done;
    result.push({ suffix: one.suffix, text });
  }
  return result;
}

describe('taking a base backup', () => {
  test('streams one tar out of the server, with what is known of it', async () => {
    const here = at(server());
    const database = await source(here);
    const capture = await database.capture('quiesced');
    expect(capture).toMatchObject({
      consistency: 'quiesced',
      facts: {
        postgres: { version: '17.6', major: 17, databases: ['postgres', 'shop'], user: 'shop', locale: 'C.UTF-8' },
      },
    });
    expect((await printed(database)).map(({ suffix }) => suffix)).toEqual(['tar']);
    expect(here.calls.at(-1)?.argv.join(' ')).toBe('pg_basebackup -w -U shop -D - -Ft -X fetch -c fast');
    expect(database.server).toBe('db');
    expect(database.writers).toEqual(['db', 'web']);
  });

  test('the password goes by the environment, never by argv, and is masked', async () => {
    const here = at(server());
    await printed(await source(here));
    for (const { argv, env } of here.calls) {
      expect(argv.join(' ')).not.toContain('se cret');
      expect(env['PGPASSWORD']).toBe('se cret');
    }
    expect(here.masked).toContain('se cret');
  });

  test('a password in a secret file is read where it is', async () => {
    const secret = server({}, ({ argv }) => (argv[0] === 'cat' ? { stdout: 'from file\n' } : undefined));
    const here = at(secret, [container('db', { env: { POSTGRES_PASSWORD_FILE: '/run/secrets/pw' } })]);
    await printed(await source(here));
    expect(here.calls.at(-1)?.env['PGPASSWORD']).toBe('from file');
  });

  test('where only the system’s postgres is let in (peer), it goes in as that', async () => {
    const peer = server({}, ({ argv, user }) =>
      argv[0] === 'psql' && user !== 'postgres'
        ? { exitCode: 2, stderr: 'FATAL: Peer authentication failed for user "shop"' }
        : undefined,
    );
    const here = at(peer);
    await printed(await source(here));
    expect(here.calls.at(-1)).toMatchObject({ user: 'postgres' });
  });

  test.each<[string, string, Partial<typeof healthy>]>([
    ['postgres-tablespaces', 'method=dump', { tablespaces: ['fast_disk'] }],
    ['postgres-wal-level', 'method=dump', { walLevel: 'minimal' }],
    ['postgres-wal-level', 'method=dump', { walSenders: 0 }],
    ['postgres-role', 'method=dump', { replication: false }],
  ])('%s: what would make it fail or lack something is found before, with the way out', async (code, hint, facts) => {
    const database = await source(at(server(facts)));
    await expect(database.capture('serving')).rejects.toMatchObject({ code, hint: expect.stringContaining(hint) });
  });

  test('a server that lets nobody in is reported in its own words', async () => {
    const database = await source(at(() => ({ exitCode: 2, stderr: 'psql: error: FATAL:  no pg_hba.conf entry' })));
    await expect(database.capture('serving')).rejects.toMatchObject({
      code: 'postgres-denied',
      message: expect.stringContaining('no pg_hba.conf entry'),
    });
  });

  test('a server that does not run is told from one that denies', async () => {
    for (const containers of [[], [container('db', { state: 'stopped' })], [container('db', { oneOff: true })]]) {
      const database = await source(at(server(), containers));
      await expect(database.capture('serving')).rejects.toMatchObject({ code: 'postgres-not-running' });
    }
    await expect((await source(at(server()))).capture('stopped')).rejects.toMatchObject({
      code: 'postgres-not-running',
    });
  });

  test('an archive without a cluster in it fails in its stream', async () => {
    const empty = server({}, ({ argv }) => (argv[0] === 'pg_basebackup' ? { stdout: Buffer.alloc(1024) } : undefined));
    await expect(printed(await source(at(empty)))).rejects.toMatchObject({ code: 'part-damaged' });
  });
});

describe('a base backup in two passes', () => {
  const slot = (call: Called): Answer | undefined =>
    call.argv[0] === 'psql' && !call.argv.includes('-c') ? { stdout: 'slot caretaker_r1\n' } : undefined;

  test('begins with the whole, under a slot that goes with its session', async () => {
    const here = at(server({}, slot));
    const capture = (await (await source(here)).warm?.())!;
    expect(capture.streams.map(({ suffix }) => suffix)).toEqual(['tar']);
    await capture.finish();
    const session = here.calls.findIndex(({ argv }) => argv[0] === 'psql' && !argv.includes('-c'));
    expect(here.fed.get(session)?.toString()).toContain(
      "pg_create_physical_replication_slot('caretaker_r1', true, true)",
    );
  });

  test.each<[string, Partial<typeof healthy>, Answer]>([
    ['no slot is free', {}, { exitCode: 3, stderr: 'ERROR:  all replication slots are in use' }],
    ['its role may not switch the WAL', { switchesWal: false }, {}],
  ])('%s: one pass, and a warning', async (_what, facts, answer) => {
    const here = at(server(facts, (call) => slot(call) && answer));
    expect(await (await source(here)).warm?.()).toBeUndefined();
    expect(here.warnings.join()).toContain('all of it is copied while the application stands still');
  });

  test('what would make it fail or lack something is found before', async () => {
    await expect((await source(at(server({ walSenders: 0 })))).warm?.()).rejects.toMatchObject({
      code: 'postgres-wal-level',
    });
  });

  test('a dump and a stopped directory have one pass', async () => {
    for (const method of ['dump', 'files'] as const)
      expect(await source(at(server()), method)).not.toHaveProperty('warm');
  });

  test('the tail is unpacked over the base, and may hold nothing but WAL', async () => {
    const database = await source(at(server()));
    const whole = part('physical', ['tar', 'wal1.tar']);
    const tail = (name: string): Buffer =>
      Buffer.concat([
        tarHeader({ name, path: name, type: 'file', size: 3, mode: 0o600, uid: process.getuid!(), gid: process.getgid!(), mtime: 0 }),
        Buffer.from('new'), tarPadding(3), TAR_END,
      ]); // prettier-ignore
    const read =
      (name: string) =>
      (file: PartFile): AsyncIterable<Uint8Array> =>
        bytes(file.file.endsWith('wal1.tar.zst') ? tail(name) : cluster());
    await expect(database.stage(whole, read('global/pg_control'), 'r2')).rejects.toMatchObject({
      code: 'part-hostile',
    });
    expect(readdirSync(root).filter((name) => name.startsWith('.caretaker-'))).toEqual([]);
    const [swap] = await database.stage(whole, read('pg_wal/000000010000000000000004'), 'r2');
    expect(readFileSync(join(swap!.fresh, 'pg_wal/000000010000000000000004'), 'utf8')).toBe('new');
    expect(readFileSync(join(swap!.fresh, 'global/pg_control'), 'utf8')).toBe('restored');
  });

  test('the tail does not go through a link of the base', async () => {
    mkdirSync(join(root, 'outside'));
    const database = await source(at(server()));
    const name = 'pg_wal/000000010000000000000004';
    const evil = (file: PartFile): AsyncIterable<Uint8Array> =>
      file.file.endsWith('wal1.tar.zst')
        ? bytes(rawHeader({ name }), TAR_END)
        : bytes(rawHeader({ name: 'pg_wal', flag: '2', link: join(root, 'outside') }), cluster());
    await expect(database.stage(part('physical', ['tar', 'wal1.tar']), evil, 'r2')).rejects.toMatchObject({
      code: 'part-hostile',
    });
    expect(readdirSync(join(root, 'outside'))).toEqual([]);
    expect(readdirSync(root).filter((entry) => entry.startsWith('.caretaker-'))).toEqual([]);
  });
});

describe('taking a dump', () => {
  test('globals and every database, each by a name that can’t be read as connection settings', async () => {
    const here = at(server({ databases: ["it's host=evil", 'shop'] }));
    const streams = await printed(await source(here, 'dump'));
    expect(streams[0]?.suffix).toBe('globals.sql');
    expect(streams[2]?.suffix).toBe('shop.dump');
    expect(streams).toHaveLength(3);
    expect(here.calls.filter(({ argv }) => argv[0] === 'pg_dump').map(({ argv }) => argv.at(-1))).toEqual([
      String.raw`dbname='it\'s host=evil'`,
      "dbname='shop'",
    ]);
  });

  test('tablespaces are named in a warning, and in no dump', async () => {
    const here = at(server({ tablespaces: ['fast', 'slow'] }));
    await printed(await source(here, 'dump'));
    expect(here.warnings).toEqual([
      'database: db has tablespaces outside its data directory (fast, slow). The dump has what is in them, but a restore makes none: all goes into the data directory',
    ]);
    const dumps = here.calls.filter(({ argv }) => argv[0]?.startsWith('pg_dump'));
    expect(dumps.map(({ argv }) => argv.includes('--no-tablespaces'))).toEqual([true, true, true]);
  });

  test('a dump that fails fails its stream', async () => {
    const broken = server({}, ({ argv }) =>
      argv[0] === 'pg_dump' ? { exitCode: 1, stderr: 'could not read block' } : undefined,
    );
    await expect(printed(await source(at(broken), 'dump'))).rejects.toThrow('could not read block');
  });
});

describe('counting what a dump holds', () => {
  /** A session of psql in `database`; what it says is said at once. */
  const session =
    (database: string, said: Answer) =>
    (call: Called): Answer | undefined =>
      call.argv[0] === 'psql' && call.argv.at(-1) === `dbname='${database}'` && !call.argv.includes('-c')
        ? said
        : undefined;
  const begun = 'session 42\n\nsnapshot 0004-1\n';
  const taken = async (here: Stage): Promise<Part['postgres']> => {
    const capture = await (await source(here, 'dump')).capture('serving');
    for (const one of capture.streams) {
      const stream = one.open();
      stream.stdin.end();
      for await (const piece of stream.stdout) void piece;
      await stream.done;
    }
    await capture.finish();
    return capture.facts.postgres;
  };

  test('each database is dumped from a snapshot, and its tables are counted in the same', async () => {
    const stdout = `${begun}["public.a",3]\n["odd.na\\nme",0]\ntables 2\n`;
    const here = at(server({}, session('shop', { stdout })));
    expect((await taken(here))?.rows).toEqual({ shop: { 'public.a': 3, 'odd.na\nme': 0 } });
    const dumps = here.calls.filter(({ argv }) => argv[0] === 'pg_dump').map(({ argv }) => argv.slice(7));
    expect(dumps).toEqual([
      ['-d', "dbname='postgres'"],
      ['--snapshot=0004-1', '-d', "dbname='shop'"],
    ]);
    const fed = here.calls.flatMap(({ argv }, index) => (argv.at(-1) === "dbname='shop'" ? [here.fed.get(index)] : []));
    expect(fed[0]?.toString()).toMatch(/begin transaction[^]*pg_export_snapshot[^]*lock table only[^]*count\(\*\)/);
    expect(here.told.join('\n')).toContain('failed to count the rows of database postgres');
  });

  test.each<[string, Answer, string]>([
    ['no snapshot can be taken', { exitCode: 3, stderr: 'psql: ERROR:  cannot export' }, 'ERROR:  cannot export'],
    ['a table can’t be locked', { exitCode: 3, stdout: begun, stderr: 'ERROR:  could not obtain lock' }, 'obtain lock'],
    ['there are too many tables', { stdout: `${begun}tables 5001\n` }, 'it has 5001 tables'],
  ])('%s: a dump without counts, and the log says so', async (_what, said, why) => {
    const here = at(server({ databases: ['shop'] }, session('shop', said)));
    expect(await taken(here)).not.toHaveProperty('rows');
    expect(here.told.join('\n')).toMatch(new RegExp(`database shop: .*${why}.*; the dump is complete without it`));
    expect(here.warnings).toEqual([]);
  });
});

describe('proving a restored cluster', () => {
  const mended = (database: Source, stored: Part): Promise<readonly string[]> => database.proves!.resting!(stored);

  test('its files, by the program of the service’s own image, read-only', async () => {
    const here = at(server({}, ({ once }) => (once === undefined ? undefined : {})));
    const database = await source(here);
    expect(await mended(database, part('physical', ['tar']))).toEqual([
      'database: every file is what the server sent (pg_verifybackup)',
    ]);
    expect(here.calls.at(-1)?.once).toEqual({
      image: 'sha256:1',
      mounts: [{ source: join(root, 'database'), target: '/restored' }],
    });
    expect(here.calls.at(-1)?.argv.at(-1)).toBe('');
    expect(await mended(database, part('physical', ['tar', 'wal1.tar']))).toEqual([
      'database: every file is what the server sent (pg_verifybackup), and all of its WAL can be read',
    ]);
    expect(here.calls.at(-1)?.argv.at(-1)).toBe('wal');
  });

  test.each<[string, Answer, Part, string]>([
    [
      'an image without the program',
      { exitCode: 127 },
      part('physical', ['tar']),
      'the image of db has no pg_verifybackup',
    ],
    ['an old server', {}, part('physical', ['tar'], 12), 'from PostgreSQL 13 on'],
    ['files', {}, part('files', ['tar']), 'files of a stopped server'],
  ])('%s: nothing is proven, and that is said', async (_what, said, stored, why) => {
    const database = await source(at(server({}, ({ once }) => (once === undefined ? undefined : said))));
    expect((await mended(database, stored)).join()).toMatch(new RegExp(`^database: not proven: .*${why}`));
  });

  test('a service that was never up here is looked at by the image that it would have', async () => {
    for (const [image, expected] of [
      ['db:1', 'sha256:of-db:1'],
      [null, 'sha256:of-shop-db'],
      ['no-such-image', undefined],
    ] as const) {
      // prettier-ignore
      const here = stage({
        directory: root, files, answer: () => ({}),
        model: { services: [{ name: 'db', image, volumes: [] }], volumes: {} },
      }); // prettier-ignore
      const lines = await mended(await source(here), part('physical', ['tar']));
      expect(here.calls[0]?.once?.image).toBe(expected);
      if (expected === undefined) expect(lines.join()).toContain('not proven: the image of db is not on this host');
    }
  });

  test('what is found wrong fails in the words of the program', async () => {
    const says = { exitCode: 1, stderr: 'pg_verifybackup: error: checksum mismatch for file "base/1/2"\n' };
    const database = await source(at(server({}, ({ once }) => (once === undefined ? undefined : says))));
    await expect(mended(database, part('physical', ['tar']))).rejects.toMatchObject({
      code: 'drill-failed',
      message: expect.stringContaining('checksum mismatch for file "base/1/2"'),
    });
  });

  describe('that serves', () => {
    const noted: Part = { ...part('dump', ['globals.sql']), postgres: { ...part('dump', []).postgres!, rows: { shop: { 'public.a': 3, 'public.b': 1 } } } }; // prettier-ignore
    const look =
      (more: (call: Called) => Answer | undefined = () => undefined, counted = '["public.a",3]\n["public.b",1]\n') =>
      (call: Called): Answer | undefined => {
        const special = more(call);
        if (special !== undefined) return special;
        const sql = call.argv.at(-1) ?? '';
        if (call.argv[0] === 'pg_isready') return {};
        if (sql.includes('pg_collation')) return { stdout: '0\n' };
        if (sql === 'show data_checksums') return { stdout: 'on\n' };
        if (call.argv[0] === 'psql' && !call.argv.includes('-c'))
          return { stdout: `session 1\nsnapshot 1\n${counted}tables 2\n` };
        return undefined;
      };
    const serving = async (answer: ReturnType<typeof look>, facts = {}): Promise<readonly string[]> =>
      (await source(at(server(facts, answer)), 'dump')).proves!.serving!(noted);

    test('is read, counted and compared with itself', async () => {
      expect(await serving(look())).toEqual([
        'database, database postgres: every row can be read, and every page read has the right checksum',
        'database, database postgres: not proven: its rows were not counted when the backup was taken',
        'database, database postgres: tables and indexes fit each other (amcheck)',
        'database, database shop: every row can be read, and every page read has the right checksum',
        'database, database shop: 4 rows in 2 tables, as many in each as when the backup was taken',
        'database, database shop: tables and indexes fit each other (amcheck)',
      ]);
    });

    test('says what can’t be proven here', async () => {
      const lines = await serving(
        look(({ argv }) => {
          if (argv.at(-1)?.includes('pg_collation') === true) return { stdout: '812\n' };
          return argv[0] === 'pg_amcheck' ? { exitCode: 127 } : undefined;
        }),
      );
      expect(lines).toContain('database, database shop: not proven by amcheck: the image has no pg_amcheck');
      expect(lines.join('\n')).toMatch(/database shop: 812 collations are of another version/);
    });

    test.each<[string, ReturnType<typeof look>, object, string]>([
      ['a database that is not there', look(), { databases: ['postgres'] }, 'database shop is missing'],
      ['a table that is not there', look(() => undefined, '["public.a",3]\n'), {}, 'public.b is missing (1 rows)'],
      [
        'rows that are not there',
        look(() => undefined, '["public.a",2]\n["public.b",1]\n'),
        {},
        'public.a has 2 rows instead of 3',
      ],
      [
        'a page that can’t be read',
        look(({ argv }) => (argv[0] === 'pg_dump' ? { exitCode: 1, stderr: 'ERROR:  invalid page' } : undefined)),
        {},
        "can't be read: ERROR:  invalid page",
      ],
      [
        'an index that lacks a row',
        look(({ argv }) =>
          argv[0] === 'pg_amcheck'
            ? { exitCode: 2, stdout: 'btree index "shop.public.i":\n  ERROR:  lacks' }
            : undefined,
        ),
        {},
        'btree index "shop.public.i":; ERROR:  lacks',
      ],
      [
        'a count that fails',
        look(({ argv }) =>
          argv[0] === 'psql' && !argv.includes('-c')
            ? { exitCode: 3, stdout: 'session 1\nsnapshot 1\n', stderr: 'ERROR:  could not read block' }
            : undefined,
        ),
        {},
        'could not read block',
      ],
    ])('fails for %s', async (_what, answer, facts, why) => {
      await expect(serving(answer, facts)).rejects.toMatchObject({
        code: 'drill-failed',
        message: expect.stringContaining(why),
      });
    });
  });
});

describe('taking the files of a stopped server', () => {
  test('is refused while it runs, whatever the caller believes', async () => {
    for (const state of ['running', 'paused', 'restarting'] as const) {
      const database = await source(at(server(), [container('db', { state })]), 'files');
      await expect(database.capture('stopped')).rejects.toMatchObject({ code: 'postgres-running' });
    }
    await expect((await source(at(server(), []), 'files')).capture('quiesced')).rejects.toMatchObject({
      code: 'postgres-running',
    });
  });

  test('leaves the pid file out, and says the version', async () => {
    writeFileSync(join(root, 'database/postmaster.pid'), '1');
    const database = await source(at(server(), []), 'files');
    expect((await database.capture('stopped')).facts.postgres).toMatchObject({ version: '17', major: 17 });
    const here = await source(at(server(), []), 'files');
    const capture = await here.capture('stopped');
    const stream = capture.streams[0]!.open();
    stream.stdin.end();
    let text = '';
    for await (const piece of stream.stdout) text += (piece as Buffer).toString('latin1');
    expect(text).toContain('pg_control');
    expect(text).not.toContain('postmaster.pid');
  });
});

describe('staging', () => {
  test('a base backup becomes a directory of the live one’s mode, without a pid file; nothing live changes', async () => {
    const database = await source(at(server()));
    const [swap] = await database.stage(part('physical', ['tar']), () => bytes(cluster()), 'r2');
    expect(swap).toMatchObject({ kind: 'directory', live: join(root, 'database'), carry: [] });
    expect(statSync(swap!.fresh).mode & 0o777).toBe(0o700);
    expect(readFileSync(join(swap!.fresh, 'global/pg_control'), 'utf8')).toBe('restored');
    expect(existsSync(join(swap!.fresh, 'postmaster.pid'))).toBe(false);
    expect(readFileSync(join(root, 'database/global/pg_control'), 'utf8')).toBe('old');
    await files.swap(swap!);
    expect(readFileSync(join(root, 'database/global/pg_control'), 'utf8')).toBe('restored');
  });

  test.each<[string, Part, Container[], boolean]>([
    ['a base backup of an older major', part('physical', ['tar'], 16), [container('db')], false],
    ['a base backup of a newer major', part('physical', ['tar'], 18), [container('db')], false],
    ['a dump of a newer major', part('dump', [], 18), [container('db')], false],
    ['a dump of an older major', part('dump', ['globals.sql'], 15), [container('db')], true],
    [
      'a base backup for an image that says its major, stopped',
      part('physical', ['tar'], 17),
      [container('db', { state: 'stopped', env: { PG_MAJOR: '16' } })],
      false,
    ],
    ['a base backup for what lies on disk', part('physical', ['tar'], 16), [], false],
    ['a base backup of the same major', part('physical', ['tar']), [], true],
  ])('%s', async (_name, stored, containers, fits) => {
    const database = await source(at(server(), containers), stored.method === 'dump' ? 'dump' : 'physical');
    const staged = database.stage(stored, () => bytes(stored.method === 'dump' ? '' : cluster()), 'r2');
    if (fits) expect(await staged).toHaveLength(1);
    else {
      await expect(staged).rejects.toMatchObject({ code: 'postgres-major' });
      expect(readdirSync(root).filter((name) => name.startsWith('.caretaker-'))).toEqual([]);
    }
  });

  test('in a rollback the failed version’s server has no say in the major', async () => {
    const failed = at(server(), [container('db', { state: 'stopped', env: { PG_MAJOR: '18' } })]);
    const database = await source({ ...failed, deps: { ...failed.deps, back: true } });
    expect(await database.stage(part('physical', ['tar']), () => bytes(cluster()), 'r2')).toHaveLength(1);
  });

  describe('a locale that the image of the server does not know', () => {
    const stored = part('physical', ['tar']);
    const german = { ...stored, postgres: { ...stored.postgres!, locale: 'de_DE.UTF-8' } };
    const refused = { exitCode: 3, stderr: 'ERROR:  invalid value for parameter "lc_monetary": "de_DE.UTF-8"' };
    const unknown = server({}, ({ input }) => (input?.includes('lc_monetary') ? refused : undefined));

    test('is refused before anything is unpacked', async () => {
      const here = at(unknown);
      const staged = (await source(here)).stage(german, () => bytes(cluster()), 'r2');
      await expect(staged).rejects.toMatchObject({ code: 'postgres-locale' });
      expect(here.calls.find(({ input }) => input?.includes('lc_monetary'))?.argv).toContain('locale=de_DE.UTF-8');
      expect(readdirSync(root).filter((name) => name.startsWith('.caretaker-'))).toEqual([]);
    });

    test.each([
      ['one that it knows', () => at(server()), german],
      ['C, which is everywhere', () => at(unknown), { ...stored, postgres: { ...stored.postgres!, locale: 'C' } }],
      ['a server that is down', () => at(unknown, [container('db', { state: 'stopped' })]), german],
      ['a server that lets nobody in', () => at(() => ({ exitCode: 2 })), german],
    ])('is no reason for %s', async (_title, here, of) => {
      expect(await (await source(here())).stage(of, () => bytes(cluster()), 'r2')).toHaveLength(1);
    });
  });

  test('another order of texts than the one that the indexes were made with is told when the data serve', async () => {
    const mismatches = [
      { database: 'shop', was: '2.36', is: null },
      { database: 'template1', was: '2.36', is: null },
    ];
    const answer = (number: number): ((call: Called) => Answer) =>
      server({ number }, ({ argv }) =>
        argv.at(-1)?.includes('datcollversion') ? { stdout: JSON.stringify(mismatches) } : undefined,
      );
    const doubts = await (await source(at(answer(170006)))).doubts?.();
    expect(doubts).toEqual([expect.stringMatching(/database shop .* version 2\.36 .* REINDEX DATABASE "shop"/)]);
    expect(await (await source(at(answer(140001)))).doubts?.()).toEqual([]);
    expect(await (await source(at(answer(170006)), 'dump')).doubts?.()).toEqual([]);
  });

  test('an archive that is no cluster leaves nothing behind', async () => {
    const database = await source(at(server()));
    await expect(
      database.stage(part('physical', ['tar']), () => bytes(Buffer.alloc(1024)), 'r2'),
    ).rejects.toMatchObject({ code: 'part-damaged' });
    expect(readdirSync(root).sort()).toEqual(['.caretaker', 'database']);
  });
});

describe('loading a dump', () => {
  const dump = part('dump', ['globals.sql', 'postgres.dump', 'shop.dump']);
  const read = (file: { file: string }): AsyncIterable<Uint8Array> =>
    bytes(file.file.includes('globals') ? 'CREATE ROLE shop;' : `bytes of ${file.file}`);

  test('globals first, then every database from standard input, created as it was', async () => {
    let asked = 0;
    const starting = server({}, ({ argv }) =>
      argv[0] === 'pg_isready' && asked++ < 3 ? { exitCode: 2, stdout: 'no response' } : undefined,
    );
    const here = at(starting);
    const database = await source(here, 'dump');
    expect(database.loads).toBe(true);
    await database.load!(dump, read);
    const globals = here.calls.find(({ argv }) => argv.includes('-f'));
    expect(globals?.input).toBe('SET standard_conforming_strings = on;\nCREATE ROLE shop;');
    const restores = here.calls.flatMap(({ argv }, index) =>
      argv[0] === 'pg_restore' ? [here.fed.get(index)?.toString()] : [],
    );
    expect(restores).toEqual(['bytes of b.database.postgres.dump.zst', 'bytes of b.database.shop.dump.zst']);
    const argv = ['--exit-on-error', '--no-tablespaces', '--clean', '--if-exists', '--create', '-d', 'template1'];
    expect(here.calls.find((call) => call.argv[0] === 'pg_restore')?.argv.slice(4)).toEqual(argv);
    expect(asked).toBeGreaterThanOrEqual(3);
  });

  test('what was dumped with tablespaces is loaded without them, and says so', async () => {
    const globals =
      'CREATE ROLE shop;\nCREATE TABLESPACE "fa st" OWNER shop LOCATION \'/ts\';\nGRANT ALL ON TABLESPACE "fa st" TO PUBLIC;\nALTER ROLE shop SET default_tablespace TO \'fa st\';\n';
    const script = (name: string): string =>
      `-- Name: ${name}; Type: DATABASE; Schema: -; Owner: shop\n\nCREATE DATABASE ${name} WITH TEMPLATE = template0 ENCODING = 'UTF8' TABLESPACE = "fa st";\n`;
    const names = ['postgres', 'shop'];
    const older = server({}, ({ argv }) =>
      argv.includes('--schema-only') ? { stdout: script(names.shift() ?? '') } : undefined,
    );
    const here = at(older);
    await (
      await source(here, 'dump')
    ).load!(dump, (file) => (file.file.includes('globals') ? bytes(globals) : read(file)));
    expect(here.warnings.join()).toMatch(/tablespaces \("fa st"\)\. They are not made/);
    const given = here.calls.flatMap(({ input }) => input ?? []).join('\n');
    expect(given).toContain('CREATE ROLE shop;');
    expect(given).toContain(`CREATE DATABASE "shop" WITH TEMPLATE = template0 ENCODING = 'UTF8';`);
    expect(given).not.toMatch(/tablespace/i);
    const restores = here.calls.filter(({ argv }) => argv.includes('--exit-on-error')).map(({ argv }) => argv.slice(4));
    expect(restores).toEqual([
      ['--exit-on-error', '--no-tablespaces', '-d', "dbname='postgres'"],
      ['--exit-on-error', '--no-tablespaces', '-d', "dbname='shop'"],
    ]);
  });

  test('globals that would run a program are refused before anything is stopped, and by no means loaded', async () => {
    const evil = (file: { file: string }): AsyncIterable<Uint8Array> =>
      file.file.includes('globals') ? bytes('CREATE ROLE shop;\n\\! touch /evil\n') : read(file);
    const here = at(server());
    const database = await source(here, 'dump');
    await expect(database.stage(dump, evil, 'r2')).rejects.toMatchObject({ code: 'part-hostile' });
    await expect(database.load!(dump, evil)).rejects.toMatchObject({ code: 'part-hostile' });
    expect(here.calls.filter(({ argv }) => argv.includes('-f'))).toEqual([]);
    expect(readdirSync(root).filter((name) => name.startsWith('.caretaker-'))).toEqual([]);
  });

  test('a role that the image made is no error, in whatever language; anything else is', async () => {
    const says = (stderr: string) => server({}, ({ argv }) => (argv.includes('-f') ? { stderr } : undefined));
    const there =
      'psql:<stdin>:14: FEHLER:  42710: Rolle „shop“ existiert bereits\nORT:  CreateRole, user.c:351\npsql:<stdin>:15: HINWEIS:  00000: so ist es\n';
    await (
      await source(at(says(there)), 'dump')
    ).load!(dump, read);
    const other = `${there}psql:<stdin>:20: ERROR:  42501: permission denied to create role\n`;
    await expect((await source(at(says(other)), 'dump')).load!(dump, read)).rejects.toMatchObject({
      code: 'postgres-load-failed',
      message: expect.stringContaining('permission denied to create role'),
    });
  });

  test('a database that does not load fails with the server’s words', async () => {
    const broken = server({}, ({ argv }) =>
      argv[0] === 'pg_restore' ? { exitCode: 1, stderr: 'extension "postgis" is not available' } : undefined,
    );
    await expect((await source(at(broken), 'dump')).load!(dump, read)).rejects.toMatchObject({
      code: 'postgres-load-failed',
      message: expect.stringContaining('postgis'),
    });
  });

  test('a server that never gets ready is given up on, with what it said last', async () => {
    const never = server({}, ({ argv }) =>
      argv[0] === 'pg_isready' ? { exitCode: 1, stdout: '127.0.0.1:5432 - rejecting connections' } : undefined,
    );
    await expect((await source(at(never), 'dump')).load!(dump, read)).rejects.toMatchObject({
      code: 'postgres-not-ready',
      message: expect.stringContaining('rejecting connections'),
    });
  });

  test('damaged bytes are called that, not a failed load', async () => {
    const bad = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from('x');
      await Promise.resolve();
      throw Object.assign(new Error('digest differs'), { code: 'part-damaged' });
    };
    await expect(
      (await source(at(server()), 'dump')).load!(dump, (file) => (file.file.includes('shop') ? bad() : read(file))),
    ).rejects.toThrow('digest differs');
  });
});
