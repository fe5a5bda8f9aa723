import { existsSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type * as Sqlite from 'node:sqlite';
import { CaretakerError, messageOf } from '../errors.ts';
import { fileError, syncDirectory } from './files.ts';
import { likeness, lstatOrNull } from './trees.ts';

/** How long to wait for a writer's lock. */
const BUSY_MS = 60_000;

/** All pages in one step. In smaller ones, each foreign write between two of them makes SQLite begin anew, and a steady writer starves it. */
const ALL_PAGES = 2 ** 31 - 1;

/**
 * A transactional copy of a database that others may be writing to, by SQLite's own backup, checked by `PRAGMA quick_check`, on disk,
 * with owner, group and mode of the original. In WAL mode nobody waits for it; in a rollback-journal mode writers wait while it reads.
 * Throws `copy-exists` (`to` is there), `sqlite-damaged`, `sqlite-failed` (locked all the time, not a database, …); no copy is left then.
 */
export async function copySqlite(from: string, to: string): Promise<void> {
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
      throw sqliteError(`copy ${from}`, error);
    } finally {
      source.close();
    }
    await check(to, 'quick_check', `the copy of ${from}`);
    await likeness(to, from);
    const handle = await open(to, 'r+').catch((error: unknown) => {
      throw fileError(`open ${to}`, error);
    });
    await handle.sync().finally(() => handle.close());
    await syncDirectory(path.dirname(to));
  } catch (error) {
    for (const suffix of ['', '-journal', '-wal', '-shm']) await rm(to + suffix, { force: true });
    throw error;
  }
}

/** `PRAGMA integrity_check`; throws `sqlite-damaged`, or `sqlite-failed` where it can't be opened. */
export async function checkSqlite(file: string): Promise<void> {
  return check(file, 'integrity_check', file);
}

async function check(file: string, pragma: 'quick_check' | 'integrity_check', name: string): Promise<void> {
  let words: string[];
  try {
    const database = await openAsItIs(file);
    try {
      words = database
        .prepare(`PRAGMA ${pragma}(10)`)
        .all()
        .map((row) => String(Object.values(row)[0]));
    } finally {
      database.close();
    }
  } catch (error) {
    throw sqliteError(`check ${name}`, error);
  }
  if (words.length !== 1 || words[0] !== 'ok') throw damaged(name, words.join('; '));
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

const SQLITE_READONLY = 8;
const SQLITE_CORRUPT = 11;
const SQLITE_CANTOPEN = 14;
const SQLITE_NOTADB = 26;

/** The low byte of SQLite's extended result code. */
function resultCode(error: unknown): number {
  return ((error as { errcode?: number }).errcode ?? 0) & 0xff;
}

function isReadOnlyTrouble(error: unknown): boolean {
  return [SQLITE_READONLY, SQLITE_CANTOPEN].includes(resultCode(error));
}

function sqliteError(what: string, error: unknown): CaretakerError {
  if (error instanceof CaretakerError) return error;
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
