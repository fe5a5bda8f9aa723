import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Part } from '../../../src/archive/manifest.ts';
import {
  databaseNames,
  dropDatabase,
  loadBeside,
  readDumped,
  refuseMissingRoles,
  swapDatabase,
  unswapDatabase,
} from '../../../src/sources/postgres-database.ts';
import { openServer, type ServerAccess } from '../../../src/sources/postgres-server.ts';
import { localFiles } from './local-files.ts';
import { container, stage, type Answer, type Called, type Stage } from './stand-ins.ts';

/** As pg_restore 17.6 prints it. */
const SCRIPT = `--
-- PostgreSQL database dump
--

\\restrict abc

SET statement_timeout = 0;

--
-- Name: Shop 1; Type: DATABASE; Schema: -; Owner: Shop owner
--

CREATE DATABASE "Shop 1" WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE_PROVIDER = libc LOCALE = 'C.UTF-8';


ALTER DATABASE "Shop 1" OWNER TO "Shop owner";

\\unrestrict abc
\\connect "Shop 1"
\\restrict abc

SET statement_timeout = 0;

--
-- Name: DATABASE "Shop 1"; Type: COMMENT; Schema: -; Owner: Shop owner
--

COMMENT ON DATABASE "Shop 1" IS 'all
of it';


--
-- Name: Shop 1; Type: DATABASE PROPERTIES; Schema: -; Owner: Shop owner
--

ALTER DATABASE "Shop 1" SET work_mem TO '8MB';


\\unrestrict abc
\\connect "Shop 1"
\\restrict abc

SET lock_timeout = 0;

--
-- Name: orders; Type: TABLE; Schema: public; Owner: clerk
--

CREATE TABLE public.orders (
    id integer
);

--
-- Name: TABLE orders; Type: ACL; Schema: public; Owner: clerk
--

GRANT SELECT ON TABLE public.orders TO PUBLIC;
GRANT ALL ON TABLE public.orders TO "the ""boss""" WITH GRANT OPTION;

--
-- Name: DATABASE "Shop 1"; Type: ACL; Schema: -; Owner: Shop owner
--

REVOKE CONNECT,TEMPORARY ON DATABASE "Shop 1" FROM PUBLIC;
GRANT CONNECT ON DATABASE "Shop 1" TO reader;
`;

const part: Part = {
  ...{ name: 'db', kind: 'postgres', method: 'dump', consistency: 'online', seconds: 1, origin: { path: '/x' } },
  files: [{ file: 'b.db.shop_1-d4a69134.dump.zst', bytes: 1, rawBytes: 1, sha256: 'a' }],
  postgres: { version: '17.6', major: 17, databases: ['Shop 1'], user: 'shop' },
};
// eslint-disable-next-line @typescript-eslint/require-await -- a stream
const read = async function* (): AsyncGenerator<Uint8Array> {
  yield Buffer.from('the dump');
};

let root: string;
let here: Stage;
let there: string[];
let tablespaces: string[];
let refuse: ((call: Called) => Answer | undefined) | undefined;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'caretaker-database-'));
  there = [];
  tablespaces = [];
  refuse = undefined;
  const facts = { version: '17.6', number: 170006, databases: ['Shop 1'], tablespaces, locale: 'C.UTF-8', switchesWal: true }; // prettier-ignore
  const answer = (call: Called): Answer => {
    const special = refuse?.(call);
    if (special !== undefined) return special;
    if (call.argv.includes('-c')) return { stdout: JSON.stringify(facts) };
    if (call.argv[0] === 'pg_restore' && call.argv.includes('--schema-only')) return { stdout: SCRIPT };
    if (call.input?.includes('pg_roles')) return { stdout: 'shop\nShop owner\nclerk\nreader\nthe "boss"\n' };
    if (call.input?.includes('select datname')) return { stdout: there.join('\n') };
    return {};
  };
  here = stage({ directory: root, files: localFiles(), containers: () => [container('db')], answer });
});
afterEach(() => rmSync(root, { recursive: true }));

const open = (): Promise<ServerAccess> => openServer(here.deps.project, here.deps.log, { service: 'db', user: 'shop' });
const names = databaseNames('Shop 1', '20261124t062317z-4f2a', 1);
const scripts = (): string[] =>
  here.calls.flatMap(({ input }) => input ?? []).filter((text) => !text.startsWith('select datname'));

test('the three names differ, fit, and keep what they can of the own one', () => {
  expect(names).toEqual({
    ...{ live: 'Shop 1', fresh: 'Shop 1_caretaker_20261124t062317z-4f2a-1' },
    aside: 'Shop 1_caretaker_20261124t062317z-4f2a-1-old',
  });
  const long = databaseNames('ä'.repeat(31), '20261124t062317z-4f2a', 12);
  expect(Buffer.byteLength(long.aside)).toBeLessThanOrEqual(63);
  expect(long.fresh.startsWith('äää')).toBe(true);
});

test('a database is made as the dump says, under another name', async () => {
  const access = await open();
  const dumped = await readDumped(access, part, 'Shop 1', read);
  expect(dumped.roles).toEqual(['Shop owner', 'clerk', 'reader', 'the "boss"']);
  await refuseMissingRoles(access, [dumped]);
  await loadBeside(access, names, dumped, read);
  const [, create, properties] = scripts();
  expect(create).toBe(
    `SET standard_conforming_strings = on;\nCREATE DATABASE "${names.fresh}" WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE_PROVIDER = libc LOCALE = 'C.UTF-8';`,
  );
  expect(properties?.split('\n')).toEqual([
    'SET standard_conforming_strings = on;',
    `ALTER DATABASE "${names.fresh}" OWNER TO "Shop owner";`,
    `COMMENT ON DATABASE "${names.fresh}" IS 'all`,
    "of it';",
    `ALTER DATABASE "${names.fresh}" SET work_mem TO '8MB';`,
    `REVOKE CONNECT,TEMPORARY ON DATABASE "${names.fresh}" FROM PUBLIC;`,
    `GRANT CONNECT ON DATABASE "${names.fresh}" TO reader;`,
  ]);
  expect(here.calls.find(({ argv }) => argv.includes('--exit-on-error'))?.argv.at(-1)).toBe(`dbname='${names.fresh}'`);
});

test.each([
  ['the server has it', ['fast', 'o"dd'], ' TABLESPACE = "o""dd"'],
  ['the server has others', ['fast'], ''],
  ['the server has none', [], ''],
])('a database of a tablespace, where %s', async (_what, has, kept) => {
  tablespaces.push(...has);
  refuse = ({ argv }) =>
    argv.includes('--schema-only')
      ? { stdout: SCRIPT.replace("'C.UTF-8';", `'C.UTF-8' TABLESPACE = "o""dd";`) }
      : undefined;
  const access = await open();
  const dumped = await readDumped(access, part, 'Shop 1', read);
  expect(dumped.options).toBe(
    ` WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE_PROVIDER = libc LOCALE = 'C.UTF-8'${kept}`,
  );
  await loadBeside(access, names, dumped, read);
  const restore = here.calls.find(({ argv }) => argv.includes('--exit-on-error'));
  expect(restore?.argv.includes('--no-tablespaces')).toBe(has.length === 0);
});

test.each([
  ['its properties', (script: string) => script.replace('ALTER DATABASE "Shop 1" SET work_mem', '\\! touch /evil\n$&')],
  ['how it is created', (script: string) => script.replace("LOCALE = 'C.UTF-8';", "LOCALE = 'C'; \\! touch /evil;")],
  [
    'a name with a line end',
    (script: string) => script.replace('OWNER TO "Shop owner";', 'OWNER TO x;\n\\! touch /evil'),
  ],
])('a dump that would have psql run a program is refused: %s', async (_where, change) => {
  const evil = change(SCRIPT);
  expect(evil).not.toBe(SCRIPT);
  refuse = ({ argv }) => (argv.includes('--schema-only') ? { stdout: evil } : undefined);
  await expect(readDumped(await open(), part, 'Shop 1', read)).rejects.toMatchObject({ code: 'part-hostile' });
});

test('roles that are missing are named, and a server that is older than the dump is refused', async () => {
  const access = await open();
  const dumped = await readDumped(access, part, 'Shop 1', read);
  refuse = (call) => (call.input?.includes('pg_roles') ? { stdout: 'shop\nclerk' } : undefined);
  await expect(refuseMissingRoles(access, [dumped])).rejects.toMatchObject({
    ...{
      code: 'postgres-role-missing',
      message: expect.stringContaining('no role Shop owner, reader, the "boss"') as unknown,
    },
  });
  refuse = ({ argv }) =>
    argv.includes('--exit-on-error') ? { exitCode: 1, stderr: 'ERROR:  role "x y" does not exist' } : undefined;
  await expect(loadBeside(access, names, dumped, read)).rejects.toMatchObject({ code: 'postgres-role-missing' });
  const newer = { ...part, postgres: { ...part.postgres!, major: 18 } };
  await expect(readDumped(access, newer, 'Shop 1', read)).rejects.toMatchObject({ code: 'postgres-major' });
});

test.each<readonly [string, string[], boolean, string[], string[]]>([
  ['both there', ['live', 'fresh'], true, ['live aside', 'fresh live'], []],
  ['none before', ['fresh'], false, ['fresh live'], []],
  ['exchanged', ['live', 'aside'], true, [], ['live fresh', 'aside live']],
  ['exchanged, and dropped since', ['aside'], true, ['fresh live'], ['aside live']],
  ['made where there was none', ['live'], false, ['live aside', 'fresh live'], ['live fresh']],
])('the exchange and its undo, %s', async (_what, present, existed, swap, unswap) => {
  const access = await open();
  there = present.map((which) => names[which as 'live']);
  const renames = (): string[] =>
    scripts()
      .splice(0)
      .join('\n')
      .split('\n')
      .flatMap((line) => {
        const [, from, to] = /^ALTER DATABASE "(.*)" RENAME TO "(.*)";$/.exec(line) ?? [];
        const called = (name: string | undefined): string =>
          Object.entries(names).find(([, one]) => one === name)?.[0] ?? '';
        return from === undefined ? [] : [`${called(from)} ${called(to)}`];
      });
  await swapDatabase(access, names);
  expect(renames()).toEqual(swap);
  here.calls.splice(0);
  await unswapDatabase(access, { ...names, existed });
  expect(renames()).toEqual(unswap);
});

test('whoever holds a database open is sent away again, and nothing but our own is dropped', async () => {
  const access = await open();
  there = [names.live, names.fresh];
  let tries = 0;
  refuse = ({ input }) =>
    input?.includes('RENAME') && tries++ < 2
      ? { exitCode: 3, stderr: 'ERROR:  database "x" is being accessed by other users' }
      : undefined;
  await swapDatabase(access, names);
  expect(tries).toBe(3);
  refuse = ({ input }) => (input?.includes('RENAME') ? { exitCode: 3, stderr: 'ERROR:  must be owner' } : undefined);
  await expect(swapDatabase(access, names)).rejects.toMatchObject({ code: 'postgres-rename' });
  await expect(dropDatabase(access, 'Shop 1')).rejects.toMatchObject({ code: 'not-ours' });
});
