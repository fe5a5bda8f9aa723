import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, test } from '@jest/globals';
import { temporaryDirectories } from './temporary.ts';

const temporary = temporaryDirectories();

function agent(operation: string, request?: unknown): unknown {
  const { stdout, stderr, status } = spawnSync(process.execPath, [path.resolve('src/agent.ts'), operation], {
    input: request === undefined ? '' : JSON.stringify(request),
    encoding: 'utf8',
  });
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  return JSON.parse(stdout);
}

test('does everything that is asked of it from another process, with nothing on standard error', () => {
  const root = temporary();
  const at = (...parts: string[]): string => path.join(root, ...parts);
  mkdirSync(at('.caretaker'));
  const database = new DatabaseSync(at('app.db'));
  database.exec('CREATE TABLE t (a)');
  database.close();

  expect(agent('probe')).toEqual({ ok: true, value: { uid: process.getuid?.(), node: process.versions.node } });
  expect(agent('scan', { root })).toMatchObject({ ok: true, value: { kind: 'directory', sqliteFiles: ['app.db'] } });
  expect(agent('copySqlite', { from: at('app.db'), to: at('.caretaker', 'copy.db') })).toEqual({
    ok: true,
    value: { t: 0 },
  });
  expect(agent('proveSqlite', { path: at('.caretaker', 'copy.db') })).toEqual({
    ok: true,
    value: { rows: { t: 0 }, orphans: {} },
  });
  expect(agent('checkSqlite', { path: at('.caretaker', 'copy.db') })).toEqual({ ok: true, value: null });
  expect(agent('exists', { path: at('nothing') })).toEqual({ ok: true, value: false });
  expect(agent('makeDirectory', { path: at('.caretaker', 'new'), like: root })).toEqual({ ok: true, value: null });
  expect(agent('likeness', { path: at('.caretaker'), like: root })).toEqual({ ok: true, value: null });
  expect(agent('sync', { path: at('.caretaker') })).toEqual({ ok: true, value: null });

  writeFileSync(at('live'), 'old');
  writeFileSync(at('.caretaker', 'fresh'), 'new');
  const swap = {
    kind: 'file',
    live: at('live'),
    fresh: at('.caretaker', 'fresh'),
    aside: at('.caretaker', 'aside'),
    carry: [],
  };
  expect(agent('swap', { swap })).toEqual({ ok: true, value: null });
  expect(readFileSync(at('live'), 'utf8')).toBe('new');
  expect(agent('unswap', { swap })).toEqual({ ok: true, value: null });
  expect(readFileSync(at('live'), 'utf8')).toBe('old');
  expect(agent('remove', { paths: [at('.caretaker', 'fresh')] })).toEqual({ ok: true, value: null });
  expect(existsSync(at('.caretaker', 'fresh'))).toBe(false);
});

test('says what went wrong by code', () => {
  const root = temporary();
  expect(agent('remove', { paths: [root] })).toMatchObject({ ok: false, code: 'not-ours' });
  expect(agent('checkSqlite', { path: path.join(root, 'none') })).toMatchObject({ ok: false, code: 'sqlite-failed' });
  expect(agent('constructor')).toMatchObject({ ok: false, code: 'agent-request' });
  expect(agent('swap')).toMatchObject({ ok: false, code: 'agent-failed' });
});
