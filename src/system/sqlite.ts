import { existsSync } from 'node:fs';
import { open, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type * as Sqlite from 'node:sqlite';
import { CaretakerError, messageOf } from '../errors.ts';
import { diskFull, type Wanted } from './disk.ts';
import { fileError, syncDirectory } from './files.ts';
import { likeness, lstatOrNull } from './trees.ts';

/** How long to wait for a writer's lock. */
const BUSY_MS = 60_000;

/** Counts that are longer than this as JSON are left out: a manifest and an answer of the agent have their limits. */
const MAX_COUNTS_CHARACTERS = 256 * 1024;

/** Rows by table. */
export type SqliteRows = Readonly<Record<string, number>>;

/** What a database holds, for a comparison with what it held. */
export interface SqliteProof {
  /** Null where there are too many tables to tell. */
  readonly rows: SqliteRows | null;
  /** By table, rows whose foreign key leads nowhere. SQLite enforces none unless told, so the application itself may have made them. */
  readonly orphans: SqliteRows;
}

/** All pages in one step. In smaller ones, each foreign write between two of them makes SQLite begin anew, and a steady writer starves it. */
const ALL_PAGES = 2 ** 31 - 1;

/**
 * A transactional copy of a database that others may be writing to, by SQLite's own backup, checked by `PRAGMA quick_check`, on disk,
 * with owner, group and mode of the original. In WAL mode nobody waits for it; in a rollback-journal mode writers wait while it reads.
 * Answers with the rows of its tables, null where there are too many tables to tell.
 * Throws `copy-exists` (`to` is there), `disk-full`, `sqlite-damaged`, `sqlite-failed` (locked all the time, not a database, …); no copy is left then.
 */
export async function copySqlite(from: string, to: string): Promise<SqliteRows | null> {
  await (
    await open(to, 'wx', 0o600).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw fileError(`make ${to}`, error);
      throw new CaretakerError('copy-exists', `failed to copy ${from}: ${to} is there already`, { cause: error });
    })
  ).close();
  try {
    const { backup } = loadSqlite();
    const source = await openAsItIs(from);
    try {
      await backup(source, to, { rate: ALL_PAGES });
    } catch (error) {
      throw sqliteError(`copy ${from}`, error, { place: to, bytes: (await stat(from)).size });
    } finally {
      source.close();
    }
    const rows = await check(to, 'quick_check', `the copy of ${from}`, rowsOf);
    await likeness(to, from);
    const handle = await open(to, 'r+').catch((error: unknown) => {
      throw fileError(`open ${to}`, error);
    });
    await handle.sync().finally(() => handle.close());
    await syncDirectory(path.dirname(to));
    return rows;
  } catch (error) {
    for (const suffix of ['', '-journal', '-wal', '-shm']) await rm(to + suffix, { force: true });
    throw error;
  }
}

/** `PRAGMA integrity_check`; throws `sqlite-damaged`, or `sqlite-failed` where it can't be opened. */
export async function checkSqlite(file: string): Promise<void> {
  return check(file, 'integrity_check', file, () => undefined);
}

/** Likewise, and what the database holds. */
export async function proveSqlite(file: string): Promise<SqliteProof> {
  return check(file, 'integrity_check', file, (database) => ({ rows: rowsOf(database), orphans: orphansOf(database) }));
}

/** Runs a check of SQLite's own; what `then` reads is read of a database that is whole. */
async function check<T>(
  file: string,
  pragma: 'quick_check' | 'integrity_check',
  name: string,
  then: (database: Sqlite.DatabaseSync) => T,
): Promise<T> {
  try {
    const database = await openAsItIs(file);
    try {
      const words = database
        .prepare(`PRAGMA ${pragma}(10)`)
        .all()
        .map((row) => String(Object.values(row)[0]));
      if (words.length !== 1 || words[0] !== 'ok') throw damaged(name, words.join('; '));
      return then(database);
    } finally {
      database.close();
    }
  } catch (error) {
    throw sqliteError(`check ${name}`, error);
  }
}

/** Of ordinary tables: what a virtual one holds is in others, and may need a module that only the application has. */
function rowsOf(database: Sqlite.DatabaseSync): SqliteRows | null {
  const tables = database
    .prepare(`SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' ORDER BY name`)
    .all()
    .map(({ name }) => String(name))
    .filter((name) => !name.startsWith('sqlite_'));
  const rows = Object.fromEntries(
    tables.flatMap((table) => {
      // The table itself: an index may need a collation that only the application has, and is no proof of the table.
      const sql = `SELECT count(*) AS rows FROM main."${table.replaceAll('"', '""')}" NOT INDEXED`;
      return unlessOdd<[string, number][]>(() => [[table, Number(database.prepare(sql).get()?.['rows'])]], []);
    }),
  );
  return JSON.stringify(rows).length > MAX_COUNTS_CHARACTERS ? null : rows;
}

function orphansOf(database: Sqlite.DatabaseSync): SqliteRows {
  const orphans = new Map<string, number>();
  unlessOdd(() => {
    for (const { table } of database.prepare('PRAGMA foreign_key_check').iterate())
      orphans.set(String(table), (orphans.get(String(table)) ?? 0) + 1);
  }, undefined);
  return Object.fromEntries(orphans);
}

/** A schema may use what only the application has (functions, collations), or foreign keys that fit no index: that is no damage. */
function unlessOdd<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch (error) {
    if (resultCode(error) === SQLITE_ERROR) return otherwise;
    throw error;
  }
}

/**
 * Opens without changing anything, as far as that is possible.
 *
 * - Read-only is the rule. It can't roll back a hot journal (one stopped application in six leaves one): then it is opened as the
 *   application itself would open it.
 * - A WAL database at rest has no -wal. A read-only connection would make one and leave it; one that may write removes it when it closes.
 */
async function openAsItIs(file: string): Promise<Sqlite.DatabaseSync> {
  const stat = await lstatOrNull(file);
  if (stat === null) throw new CaretakerError('sqlite-failed', `failed to open ${file}: there is no such file`);
  const { DatabaseSync: Database } = loadSqlite();
  const connect = (readOnly: boolean): Sqlite.DatabaseSync => {
    // A URL: a relative or odd name is a name, never a special one such as `:memory:`.
    const database = new Database(pathToFileURL(file), { readOnly, timeout: BUSY_MS });
    try {
      database.prepare('SELECT count(*) FROM sqlite_schema').get();
      return database;
    } catch (error) {
      database.close();
      throw error;
    }
  };
  const restsInWal = (await isWal(file)) && !existsSync(`${file}-wal`);
  if (restsInWal) {
    try {
      return connect(false);
    } catch (error) {
      if (!isReadOnlyTrouble(error)) throw sqliteError(`open ${file}`, error);
    }
  }
  try {
    return connect(true);
  } catch (error) {
    if (!isReadOnlyTrouble(error) || restsInWal) throw sqliteError(`open ${file}`, error);
  }
  try {
    return connect(false);
  } catch (error) {
    throw sqliteError(`open ${file}`, error);
  }
}

/** The first value of a query's first row as text, '' for none. Read-only. Throws `sqlite-damaged`, `sqlite-failed` with SQLite's words. */
export async function querySqlite(path: string, query: string): Promise<string> {
  const database = await openAsItIs(path);
  try {
    const row = database.prepare(query).get() as
      Readonly<Record<string, string | number | bigint | Uint8Array | null>> | undefined;
    const value = row === undefined ? null : (Object.values(row)[0] ?? null);
    if (value === null) return '';
    return typeof value === 'object' ? Buffer.from(value).toString('hex') : String(value);
  } catch (error) {
    throw sqliteError(`ask ${path}`, error);
  } finally {
    database.close();
  }
}

/** Byte 18 of the header: 2 in WAL mode. */
async function isWal(file: string): Promise<boolean> {
  const handle = await open(file, 'r').catch((error: unknown) => {
    throw fileError(`open ${file}`, error);
  });
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(1), 0, 1, 18);
    return bytesRead === 1 && buffer[0] === 2;
  } finally {
    await handle.close();
  }
}

const SQLITE_ERROR = 1;
const SQLITE_READONLY = 8;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const SQLITE_NOTADB = 26;

/** The low byte of SQLite's extended result code. */
function resultCode(error: unknown): number {
  return ((error as { errcode?: number }).errcode ?? 0) & 0xff;
}

function isReadOnlyTrouble(error: unknown): boolean {
  return [SQLITE_READONLY, SQLITE_CANTOPEN].includes(resultCode(error));
}

function sqliteError(what: string, error: unknown, wanted?: Wanted): CaretakerError {
  if (error instanceof CaretakerError) return error;
  if (resultCode(error) === SQLITE_FULL) return diskFull(what, wanted, error);
  if ([SQLITE_CORRUPT, SQLITE_NOTADB].includes(resultCode(error))) {
    return damaged(what.replace(/^\S+ /, ''), messageOf(error), error);
  }
  return new CaretakerError('sqlite-failed', `failed to ${what}: ${messageOf(error)}`, { cause: error });
}

function damaged(name: string, words: string, cause?: unknown): CaretakerError {
  return new CaretakerError('sqlite-damaged', `${name} is damaged: ${words}`, {
    hint: 'Restore a backup from before the damage; SQLite’s own ".recover" saves what can be read of this file.',
    cause,
  });
}

/**
 * Loaded when needed, and quietly: importing it prints an ExperimentalWarning, which would look like trouble on the standard error
 * of an agent. Older Nodes have none.
 */
function loadSqlite(): typeof Sqlite {
  const emitWarning = process.emitWarning.bind(process);
  process.emitWarning = () => undefined;
  try {
    const sqlite = process.getBuiltinModule('node:sqlite') as typeof Sqlite | undefined;
    if (typeof sqlite?.backup !== 'function') {
      throw new CaretakerError(
        'node-too-old',
        `failed to load SQLite: Node.js ${process.versions.node} has no node:sqlite with backup()`,
        {
          hint: 'Use Node.js 24.',
        },
      );
    }
    return sqlite;
  } finally {
    process.emitWarning = emitWarning;
  }
}
