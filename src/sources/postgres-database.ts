import type { Part, PartFile } from '../archive/manifest.ts';
import { dumpSuffix } from '../archive/names.ts';
import { CaretakerError, messageOf } from '../errors.ts';
import { fileOf } from './dump-file.ts';
import { feedProgram } from './postgres-feed.ts';
import { checkScript } from './postgres-script.ts';
import { conninfo, lastLine, type ServerAccess } from './postgres-server.ts';
import type { Source } from './source.ts';

type Read = (file: PartFile) => AsyncIterable<Uint8Array>;

/** What a database is besides its content, and which roles must be there for it. */
export interface DumpedDatabase {
  readonly name: string;
  readonly file: PartFile;
  /** ` WITH TEMPLATE = … ENCODING = …`, of CREATE DATABASE; without a tablespace that the server has not. */
  readonly options: string;
  /** Owner, privileges, settings and comment of the database itself, by statements in which `identifier` stands for it. */
  readonly properties: string;
  /** Its name in the dump, as SQL writes it: a database that lay aside was dumped under the name that it had there. */
  readonly identifier: string;
  readonly roles: readonly string[];
}

/** The database under the two other names that it has during an exchange. */
export interface DatabaseNames {
  readonly live: string;
  readonly fresh: string;
  readonly aside: string;
}

const LONGEST_NAME = 63;
const OURS = '_caretaker_';

/** Names that nobody else has, with as much of the database's own as an identifier has room for. */
export function databaseNames(live: string, run: string, number: number): DatabaseNames {
  const end = `${OURS}${run}-${number}`;
  const room = LONGEST_NAME - end.length - '-old'.length;
  let short = live;
  while (Buffer.byteLength(short) > room) short = [...short].slice(0, -1).join('');
  return { live, fresh: short + end, aside: `${short}${end}-old` };
}

const IDENTIFIER = /"(?:[^"]|"")+"|[^\s";,]+/.source;
const CREATE = new RegExp(`^CREATE DATABASE (${IDENTIFIER})( WITH .*)?;$`);
const TABLESPACE = new RegExp(` TABLESPACE = (${IDENTIFIER})$`);
const GRANTEE = new RegExp(`^(?:GRANT|ALTER DEFAULT PRIVILEGES) .* TO (${IDENTIFIER})(?: WITH GRANT OPTION)?;$`);
const GRANTOR = new RegExp(`^(?:SET SESSION AUTHORIZATION|ALTER DEFAULT PRIVILEGES FOR ROLE) (${IDENTIFIER})[ ;]`);

/**
 * Reads what a dump says of its database, by the server's own pg_restore. Throws `postgres-load-failed`, `part-missing`, and `postgres-major` where the server is
 * older than the dump, and `part-hostile` for what no dump says of a database.
 */
export async function readDumped(access: ServerAccess, part: Part, name: string, read: Read): Promise<DumpedDatabase> {
  const stored = part.postgres?.major ?? 0;
  if (access.facts.major < stored) {
    throw new CaretakerError(
      'postgres-major',
      `failed to restore ${part.name}: it was taken from PostgreSQL ${stored}, and ${access.container.service} runs ${access.facts.major}`,
      { hint: `Use an image of PostgreSQL ${stored} or newer for ${access.container.service}.` },
    );
  }
  const file = fileOf(part, dumpSuffix(name));
  const script = new ScriptOfDump(access.facts.tablespaces);
  // Older ones take "-" for a file's name.
  const output = access.facts.major >= 12 ? (['-f', '-'] as const) : [];
  try {
    // It needs the table of contents, and leaves the rest unread.
    await feedProgram(access, ['pg_restore', '--create', '--schema-only', ...output], read(file), (line) =>
      script.line(line),
    );
  } catch (error) {
    if (error instanceof CaretakerError && error.code.startsWith('part-')) throw error;
    throw loadFailed(name, access, messageOf(error), error);
  }
  if (script.create === undefined) throw loadFailed(name, access, 'the dump does not say how to create it');
  const dumped = { name, file, ...script.create, properties: script.properties.join('\n'), roles: [...script.roles].sort() }; // prettier-ignore
  for (const sql of [creation(dumped, name), renamed(dumped, name)]) checkScript(sql, `database ${name}`);
  return dumped;
}

/** Picks out of the script that pg_restore prints what concerns the database itself, and the roles. */
class ScriptOfDump {
  create: { readonly identifier: string; readonly options: string } | undefined;
  readonly properties: string[] = [];
  readonly roles = new Set<string>();
  #type = '';
  #ofDatabase = false;
  readonly #tablespaces: readonly string[];

  /** Those that the server has. */
  constructor(tablespaces: readonly string[]) {
    this.#tablespaces = tablespaces;
  }

  line(line: string): void {
    const [, name, type, owner] = /^-- Name: (.*); Type: (.*); Schema: .*; Owner: ([^;]*)/.exec(line) ?? [];
    if (name !== undefined && type !== undefined && owner !== undefined) {
      this.#type = type;
      const about = name.startsWith('DATABASE ') && ['ACL', 'COMMENT', 'SECURITY LABEL'].includes(type);
      this.#ofDatabase = about || type === 'DATABASE' || type === 'DATABASE PROPERTIES';
      if (owner !== '' && owner !== '-') this.roles.add(owner);
      return;
    }
    // What follows sets up the next session.
    if (/^\\(?:connect|restrict|unrestrict) /.test(line)) this.#ofDatabase = false;
    if (this.#type.endsWith('ACL')) for (const pattern of [GRANTEE, GRANTOR]) this.#role(pattern.exec(line)?.[1]);
    if (!this.#ofDatabase || line === '' || line.startsWith('--')) return;
    const [, identifier, options = ''] = (this.#type === 'DATABASE' && CREATE.exec(line)) || [];
    if (identifier === undefined) this.properties.push(line);
    else this.create = { identifier, options: this.#options(options) };
  }

  #options(options: string): string {
    const tablespace = TABLESPACE.exec(options)?.[1];
    const there = tablespace !== undefined && this.#tablespaces.includes(plainName(tablespace));
    return there ? options : options.replace(TABLESPACE, '');
  }

  #role(identifier: string | undefined): void {
    if (identifier === undefined || ['PUBLIC', 'DEFAULT'].includes(identifier)) return;
    this.roles.add(plainName(identifier));
  }
}

function plainName(identifier: string): string {
  return identifier.startsWith('"') ? identifier.slice(1, -1).replaceAll('""', '"') : identifier;
}

/** Roles belong to all databases of a server, and to whoever runs it: they are not made by the way. `postgres-role-missing`. */
export async function refuseMissingRoles(access: ServerAccess, databases: readonly DumpedDatabase[]): Promise<void> {
  const answer = await sql(access, 'select rolname from pg_roles;');
  const there = new Set(answer.split('\n'));
  const missing = new Set(databases.flatMap(({ roles }) => roles.filter((role) => !there.has(role))));
  if (missing.size > 0) throw roleMissing(access, [...missing]);
}

function roleMissing(access: ServerAccess, roles: readonly string[], cause?: unknown): CaretakerError {
  return new CaretakerError(
    'postgres-role-missing',
    `failed to restore a database: the server ${access.container.service} has no role ${roles.join(', ')}`,
    {
      input: 'only',
      hint: `Create it as you want it, and run again: ${roles.map((role) => `CREATE ROLE ${quoted(role)};`).join(' ')} The globals.sql of the backup has it with its password. Or restore the whole part, roles and all.`,
      cause,
    },
  );
}

/** Makes the database in the place of the one of its name, into which nobody writes. Throws what the server says. */
export async function loadAnew(access: ServerAccess, dumped: DumpedDatabase, read: Read): Promise<void> {
  const { name } = dumped;
  await sql(access, `DROP DATABASE IF EXISTS ${quoted(name)};`, name);
  await load(access, { live: name, fresh: name }, dumped, read);
}

async function load(
  access: ServerAccess,
  { live, fresh }: Pick<DatabaseNames, 'live' | 'fresh'>,
  dumped: DumpedDatabase,
  read: Read,
): Promise<void> {
  await sql(access, checkScript(creation(dumped, fresh), `database ${live}`), live);
  const { user } = server(access);
  const places = access.facts.tablespaces.length === 0 ? ['--no-tablespaces'] : [];
  const restore = ['pg_restore', '-w', '-U', user, '--exit-on-error', ...places, '-d', conninfo(fresh)] as const;
  await feedProgram(access, restore, read(dumped.file));
  await sql(access, checkScript(renamed(dumped, fresh), `database ${live}`), live);
}

/** Makes the database under its fresh name, whole, while the live one serves on. */
export async function loadBeside(
  access: ServerAccess,
  { live, fresh }: DatabaseNames,
  dumped: DumpedDatabase,
  read: Read,
): Promise<void> {
  try {
    await load(access, { live, fresh }, dumped, read);
  } catch (error) {
    if (error instanceof CaretakerError && error.code.startsWith('part-')) throw error;
    const words = messageOf(error);
    const role = /role "(.*?)" does not exist/.exec(words)?.[1];
    if (role !== undefined) throw roleMissing(access, [role], error);
    throw loadFailed(live, access, words, error);
  }
}

function creation({ options }: Pick<DumpedDatabase, 'options'>, name: string): string {
  return `CREATE DATABASE ${quoted(name)}${options};`;
}

function renamed({ identifier, properties }: Pick<DumpedDatabase, 'identifier' | 'properties'>, name: string): string {
  return [' ', ';'].reduce(
    (text, end) => text.replaceAll(`DATABASE ${identifier}${end}`, () => `DATABASE ${quoted(name)}${end}`),
    properties,
  );
}

function loadFailed(name: string, access: ServerAccess, why: string, cause?: unknown): CaretakerError {
  return new CaretakerError(
    'postgres-load-failed',
    `failed to load database ${name} into ${access.container.service}: ${why}`,
    { hint: 'The live database was not touched. The server’s words tell what it lacks.', cause },
  );
}

/** Exchanges the live database for the fresh one, in one transaction: it has happened whole or not at all. */
export async function swapDatabase(access: ServerAccess, { live, fresh, aside }: DatabaseNames): Promise<void> {
  const there = await databasesOf(access);
  if (there.has(aside) && there.has(live) && !there.has(fresh)) return;
  await rename(access, live, [...(there.has(live) ? [[live, aside] as const] : []), [fresh, live]]);
}

/** Puts the database from before back. `existed`: there was one. Nothing to do is no error. */
export async function unswapDatabase(
  access: ServerAccess,
  names: DatabaseNames & { readonly existed: boolean },
): Promise<void> {
  const { live, fresh, aside, existed } = names;
  const there = await databasesOf(access);
  const swapped = existed ? there.has(aside) : there.has(live) && !there.has(fresh);
  if (!swapped) return;
  await rename(access, live, [
    ...(there.has(live) ? [[live, fresh] as const] : []),
    ...(existed ? [[aside, live] as const] : []),
  ]);
}

/** Only what this program named so. Nothing there is no error. */
export async function dropDatabase(access: ServerAccess, name: string): Promise<void> {
  if (!name.includes(OURS)) {
    throw new CaretakerError('not-ours', `refused to drop the database ${name}: it is not one of the caretaker's own`);
  }
  await sql(access, `${terminate([name])}\nDROP DATABASE IF EXISTS ${quoted(name)};`);
}

export async function databasesOf(access: ServerAccess): Promise<ReadonlySet<string>> {
  return new Set((await sql(access, 'select datname from pg_database;')).split('\n'));
}

/** A database that lies aside, as a part that goes back under its own name. */
export function asideDatabases(
  access: ServerAccess,
  { name, origin, writers }: Pick<Source, 'name' | 'origin' | 'writers'>,
  databases: readonly DatabaseNames[],
): Source {
  const { user } = server(access);
  const { version, major, locale } = access.facts;
  const live = databases.map((one) => one.live);
  const never = (): never => {
    throw new TypeError('what lies aside is only captured');
  };
  return {
    ...{ name, kind: 'postgres', method: 'dump', origin, writers, server: undefined, loads: false },
    describe: () => `${name}: ${live.join(', ')} as it was before`,
    estimate: async () =>
      Number(
        await sql(
          access,
          `select coalesce(sum(pg_database_size(datname)), 0) from pg_database where datname in (${literals(databases.map(({ aside }) => aside))});`,
        ),
      ),
    capture: () =>
      Promise.resolve({
        streams: databases.map(({ live: database, aside }) => ({
          suffix: dumpSuffix(database),
          open: () =>
            access.stream(['pg_dump', '-w', '-U', user, '-Fc', '-Z0', '--no-tablespaces', '-d', conninfo(aside)]),
        })),
        consistency: 'quiesced',
        facts: { postgres: { version, major, databases: live, user, locale } },
        finish: () => Promise.resolve(),
      }),
    stage: never,
    unstage: never,
  };
}

const TRIES = 5;

/** Renames in one transaction, after those who are connected were sent away; who comes back at once is sent away again. */
async function rename(
  access: ServerAccess,
  live: string,
  pairs: readonly (readonly [string, string])[],
): Promise<void> {
  const statements = pairs.map(([from, to]) => `ALTER DATABASE ${quoted(from)} RENAME TO ${quoted(to)};`);
  const script = [terminate(pairs.map(([from]) => from)), 'BEGIN;', ...statements, 'COMMIT;'].join('\n');
  for (let tried = 1; ; tried++) {
    try {
      await sql(access, script, live);
      return;
    } catch (error) {
      if (tried < TRIES && /being accessed by other users/.test(messageOf(error))) continue;
      throw new CaretakerError('postgres-rename', `failed to exchange the database ${live}: ${messageOf(error)}`, {
        hint: 'Something from outside the project holds it open, or the role may not rename it. The database from before is put back.',
        cause: error,
      });
    }
  }
}

function terminate(names: readonly string[]): string {
  return `select pg_terminate_backend(pid) from pg_stat_activity where datname in (${literals(names)}) and pid <> pg_backend_pid();`;
}

function literals(names: readonly string[]): string {
  return names.map((name) => `'${name.replaceAll("'", "''")}'`).join(', ');
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** The user stands in the command that the server let in. */
function server({ psql }: ServerAccess): { readonly user: string } {
  return { user: psql[psql.indexOf('-U') + 1] as string };
}

/** Bare values out. `about`: the database in question, to which there must be no connection. */
async function sql(access: ServerAccess, script: string, about?: string): Promise<string> {
  const elsewhere = about === 'postgres' ? ['-d', 'template1'] : [];
  const { exitCode, stdout, stderr } = await access.run([...access.psql, '-q', ...elsewhere], script);
  if (exitCode === 0) return stdout.trim();
  const first = stderr.split('\n').find((line) => /ERROR|FATAL/.test(line));
  throw new CaretakerError(
    'postgres-denied',
    `the server ${access.container.service} refused: ${first ?? lastLine(stderr)}`,
  );
}
