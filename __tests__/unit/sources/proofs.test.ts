import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Part } from '../../../src/archive/manifest.ts';
import { createSource } from '../../../src/sources/sources.ts';
import type { Source } from '../../../src/sources/source.ts';
import { whole } from '../../../src/sources/postgres-proofs.ts';
import { localFiles } from './local-files.ts';
import { stage } from './stand-ins.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'caretaker-proofs-'));
  mkdirSync(join(root, '.caretaker'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

describe('a SQLite database that was restored', () => {
  const change = (sql: string): void => {
    const database = new DatabaseSync(join(root, 'app.db'));
    database.exec(sql);
    database.close();
  };
  const open = (): Promise<Source> => {
    const { deps } = stage({ directory: root, files: localFiles() });
    return createSource({ type: 'sqlite', name: 'site', path: join(root, 'app.db'), writers: [] }, deps);
  };
  /** As a manifest would have it. */
  const taken = async (source: Source): Promise<Part> => {
    const capture = await source.capture('serving');
    await capture.finish();
    return { name: 'site', kind: 'sqlite', ...capture.facts } as unknown as Part;
  };
  beforeEach(() => {
    change(`CREATE TABLE a (x); CREATE TABLE b (x REFERENCES a (x)); CREATE UNIQUE INDEX i ON a (x);
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 5000) INSERT INTO a SELECT i FROM n; INSERT INTO b VALUES (1)`);
  });

  test('proves its rows, its pages and its foreign keys', async () => {
    const source = await open();
    const part = await taken(source);
    expect(part.sqlite?.rows).toEqual({ a: 5000, b: 1 });
    expect(await source.proves?.resting?.(part)).toEqual([
      'site: every page and index is whole (PRAGMA integrity_check)',
      'site: 5001 rows in 2 tables, as many in each as when the backup was taken',
    ]);
    change('PRAGMA foreign_keys = off; UPDATE b SET x = 0');
    expect(await source.proves?.resting?.(part)).toContain(
      'site: 1 rows of b refer to rows that are not there; SQLite does not tell since when',
    );
  });

  test('of an earlier release, whose rows nobody counted, proves the rest', async () => {
    const source = await open();
    const { rows, ...sqlite } = (await taken(source)).sqlite!;
    expect(rows).toBeDefined();
    const lines = await source.proves?.resting?.({ name: 'site', sqlite } as unknown as Part);
    expect(lines).toContain('site: not proven: its rows were not counted when the backup was taken');
  });

  test('fails with what lacks, by name', async () => {
    const source = await open();
    const part = await taken(source);
    change('DELETE FROM a WHERE x > 4990; DROP TABLE b');
    await expect(source.proves?.resting?.(part)).rejects.toMatchObject({
      code: 'drill-failed',
      message: 'failed to prove site: site: a has 4990 rows instead of 5000; b is missing (1 rows)',
    });
  });

  test('fails with a page of zeros', async () => {
    const source = await open();
    const part = await taken(source);
    const bytes = readFileSync(join(root, 'app.db'));
    bytes.fill(0, 4096 * 8, 4096 * 9);
    writeFileSync(join(root, 'app.db'), bytes);
    await expect(source.proves?.resting?.(part)).rejects.toMatchObject({
      code: 'drill-failed',
      message: expect.stringContaining('is damaged'),
    });
  });
});

test('a program that was killed while it looked through a database found nothing wrong with the backup', () => {
  expect(() => whole({ exitCode: 137 }, 'db, database shop')).toThrow(
    expect.objectContaining({
      code: 'engine-failed',
      message: 'failed to look through db, database shop: ended by signal 9',
    }),
  );
  for (const exitCode of [0, 1, 127]) expect(whole({ exitCode }, 'db')).toEqual({ exitCode });
});
