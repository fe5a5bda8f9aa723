import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, jest, test } from '@jest/globals';
import { checkSqlite, copySqlite, proveSqlite } from '../../../src/system/sqlite.ts';
import { inMemory, temporaryDirectories } from './temporary.ts';

jest.setTimeout(120_000);
const temporary = temporaryDirectories(inMemory);

function make(file: string, mode = 'DELETE'): void {
  const database = new DatabaseSync(file);
  database.exec(`PRAGMA journal_mode=${mode};
    CREATE TABLE one (id INTEGER PRIMARY KEY, money INTEGER, fill TEXT); CREATE TABLE two (id INTEGER PRIMARY KEY, money INTEGER, fill TEXT);
    CREATE TABLE log (id INTEGER PRIMARY KEY, text TEXT); CREATE TABLE counter (n INTEGER); INSERT INTO counter VALUES (0);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 5000) INSERT INTO one SELECT i, 100, hex(zeroblob(1500)) FROM n;
    INSERT INTO two SELECT * FROM one`);
  database.close();
}

function read(file: string): { sum: number; log: number; counter: number; ok: unknown } {
  const database = new DatabaseSync(file, { readOnly: true });
  try {
    const one = <T>(sql: string): T => (database.prepare(sql).get() as { v: T }).v;
    return {
      sum: one('SELECT (SELECT sum(money) FROM one) + (SELECT sum(money) FROM two) AS v'),
      log: one('SELECT count(*) AS v FROM log'),
      counter: one('SELECT n AS v FROM counter'),
      ok: database.prepare('PRAGMA integrity_check').all(),
    };
  } finally {
    database.close();
  }
}

function counter(file: string): number {
  const database = new DatabaseSync(file, { readOnly: true, timeout: 60_000 });
  try {
    return (database.prepare('SELECT n FROM counter').get() as { n: number }).n;
  } finally {
    database.close();
  }
}

describe.each(['DELETE', 'WAL', 'TRUNCATE'])('under a steady writer in %s mode', (mode) => {
  test('ten copies are all whole, each of one instant, and the writer goes on', async () => {
    const directory = temporary();
    const file = path.join(directory, 'app.db');
    make(file, mode);
    const writer = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', path.resolve('__tests__/unit/system/sqlite-writer.ts'), file, mode],
      {
        stdio: ['pipe', 'pipe', 'inherit'],
      },
    );
    writer.stdout.resume();
    await once(writer.stdout, 'data');
    const counts: number[] = [];
    for (let number = 0; number < 10; number++) {
      const copy = path.join(directory, `copy-${number}.db`);
      const before = counter(file);
      while (counter(file) < before + 5) await setTimeout(5);
      await copySqlite(file, copy);
      expect(['-wal', '-shm', '-journal'].filter((suffix) => existsSync(copy + suffix))).toEqual([]);
      const { sum, log, counter: transactions, ok } = read(copy);
      expect({ sum, ok }).toEqual({ sum: 1_000_000, ok: [{ integrity_check: 'ok' }] });
      expect(log).toBe(transactions);
      counts.push(transactions);
    }
    writer.stdin.end();
    const [code] = (await once(writer, 'close')) as [number];
    expect(code).toBe(0);
    // The test means nothing unless it wrote all the time.
    expect((counts.at(-1) ?? 0) - (counts[0] ?? 0)).toBeGreaterThanOrEqual(45);
  });
});

describe('copySqlite', () => {
  test('takes the mode of the original, and must not be there already', async () => {
    const directory = temporary();
    const file = path.join(directory, 'app.db');
    make(file);
    chmodSync(file, 0o640);
    await copySqlite(file, path.join(directory, 'copy.db'));
    expect(statSync(path.join(directory, 'copy.db')).mode & 0o7777).toBe(0o640);
    await expect(copySqlite(file, path.join(directory, 'copy.db'))).rejects.toMatchObject({ code: 'copy-exists' });
    expect(read(path.join(directory, 'copy.db')).sum).toBe(1_000_000);
  });

  test.each(['DELETE', 'WAL'])('leaves a database at rest (%s) as it is, and nothing beside it', async (mode) => {
    const directory = temporary();
    const file = path.join(directory, 'app.db');
    make(file, mode);
    const before = readFileSync(file);
    await copySqlite(file, path.join(directory, 'copy.db'));
    await checkSqlite(file);
    expect(readFileSync(file).equals(before)).toBe(true);
    expect(readdirSync(directory).sort()).toEqual(['app.db', 'copy.db']);
  });

  test('brings along what is only in the log, and goes back over a hot journal', async () => {
    const directory = temporary();
    const origin = path.join(directory, 'origin.db');
    make(origin);
    for (const kind of ['-journal', '-wal']) {
      const killed = path.join(directory, `killed${kind}.db`);
      const database = new DatabaseSync(origin);
      database.exec(
        kind === '-wal'
          ? 'PRAGMA journal_mode=WAL; UPDATE counter SET n = 77'
          : 'PRAGMA cache_size=2; BEGIN; UPDATE one SET money = 0; UPDATE counter SET n = 99',
      );
      copyFileSync(origin, killed);
      copyFileSync(origin + kind, killed + kind);
      database.close();
      const copy = path.join(directory, `copy${kind}.db`);
      await copySqlite(killed, copy);
      expect(read(copy)).toMatchObject({ sum: 1_000_000, counter: kind === '-wal' ? 77 : 0 });
    }
  });

  test('counts the rows of ordinary tables, whatever their schema needs of the application', async () => {
    const directory = temporary();
    const file = path.join(directory, 'app.db');
    const database = new DatabaseSync(file);
    database.function('secret', { deterministic: true }, (value) => value);
    database.exec(`CREATE TABLE "odd ""name" (id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT); INSERT INTO "odd ""name" (text) VALUES ('a'), ('b');
      CREATE TABLE "__proto__" (k PRIMARY KEY) WITHOUT ROWID; INSERT INTO "__proto__" VALUES (1);
      CREATE TABLE child (parent REFERENCES "odd ""name" (id)); CREATE INDEX needs ON child (secret(parent));
      CREATE TABLE plain (x); INSERT INTO plain VALUES (1), (2), (3);
      CREATE VIEW v AS SELECT 1; CREATE VIRTUAL TABLE words USING fts5(text); INSERT INTO words VALUES ('one two');`);
    database.exec('PRAGMA foreign_keys = off; INSERT INTO child VALUES (1), (77), (78)');
    database.close();
    const rows = [['__proto__', 1], ['child', 3], ['odd "name', 2], ['plain', 3]]; // prettier-ignore
    expect(Object.entries((await copySqlite(file, path.join(directory, 'copy.db')))!)).toEqual(rows);
    // integrity_check calls the function; the rest of it does not.
    const own = new DatabaseSync(file);
    own.exec('DROP INDEX needs');
    own.close();
    const before = readdirSync(directory);
    const proof = await proveSqlite(file);
    expect(Object.entries(proof.rows!)).toEqual(rows);
    expect(proof.orphans).toEqual({ child: 2 });
    expect(readdirSync(directory)).toEqual(before);
  });

  test('takes a foreign key that fits no index for no damage', async () => {
    const file = path.join(temporary(), 'app.db');
    const database = new DatabaseSync(file);
    database.exec(
      'CREATE TABLE a (x); CREATE TABLE b (x REFERENCES a (x)); PRAGMA foreign_keys = off; INSERT INTO b VALUES (1)',
    );
    database.close();
    expect(await proveSqlite(file)).toEqual({ rows: { a: 0, b: 1 }, orphans: {} });
  });

  test('does not tell the rows of more tables than a manifest has room for', async () => {
    const file = path.join(temporary(), 'many.db');
    const database = new DatabaseSync(file);
    database.exec('BEGIN');
    for (let n = 0; n < 1500; n++) database.exec(`CREATE TABLE t${n}${'x'.repeat(200)} (a)`);
    database.exec('COMMIT');
    database.close();
    expect(await copySqlite(file, `${file}.copy`)).toBeNull();
    expect((await proveSqlite(file)).rows).toBeNull();
  });

  test('damage is found, whatever kind, and leaves no copy', async () => {
    const directory = temporary();
    const file = path.join(directory, 'app.db');
    make(file);
    const bytes = readFileSync(file);
    bytes.fill(0xff, 4096 * 20, 4096 * 30);
    writeFileSync(file, bytes);
    for (const look of [checkSqlite, proveSqlite])
      await expect(look(file)).rejects.toMatchObject({ code: 'sqlite-damaged' });
    await expect(copySqlite(file, path.join(directory, 'copy.db'))).rejects.toMatchObject({ code: 'sqlite-damaged' });
    const other = path.join(directory, 'other.db');
    writeFileSync(other, 'this is not a database at all'.repeat(100));
    await expect(checkSqlite(other)).rejects.toMatchObject({ code: 'sqlite-damaged' });
    await expect(copySqlite(path.join(directory, 'none.db'), path.join(directory, 'copy.db'))).rejects.toMatchObject({
      code: 'sqlite-failed',
    });
    expect(readdirSync(directory).sort()).toEqual(['app.db', 'other.db']);
    expect(existsSync(path.join(directory, 'none.db'))).toBe(false);
  });
});
