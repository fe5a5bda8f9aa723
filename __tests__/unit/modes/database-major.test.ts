import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Target } from '../../../src/code/git.ts';
import { refuseMajorChange, refuseMajorChangeAt } from '../../../src/modes/database-major.ts';
import { majorInTag } from '../../../src/sources/postgres-server.ts';
import type { Tools } from '../../../src/modes/tools.ts';
import type { Source } from '../../../src/sources/source.ts';

describe('the major version in an image’s tag', () => {
  test.each<[string, number | undefined]>([
    ['docker.io/library/postgres:17-alpine', 17],
    ['localhost:5000/postgres:18', 18],
    ['postgres:16.4@sha256:abc', 16],
    ['bitnami/postgresql:17', 17],
    ['pgvector/pgvector:pg18', 18],
    ['timescale/timescaledb:2.17.2-pg16', 16],
    ['postgis/postgis:17-3.5', 17],
    ['postgres', undefined],
    ['postgres:latest', undefined],
    ['example/web:18', undefined],
  ])('%s: %s', (image, major) => expect(majorInTag(image)).toBe(major));
});

describe('an update', () => {
  /** A server of 17 that runs, and what the new model names for it. */
  function tools(image: string, environment: Record<string, string> | null, serves = true): Tools {
    const container = { id: '1', service: 'db', state: 'running', oneOff: false, env: {} };
    const runtime = {
      exec: () => Promise.resolve({ exitCode: 0, stdout: 'postgres (PostgreSQL) 17.6', stderr: '' }),
      imageEnvironment: () => Promise.resolve(environment),
    };
    const services = [{ name: 'db', image }];
    const engine = { runtime, compose: { model: () => Promise.resolve({ services }) } };
    return { project: { engine, containers: () => Promise.resolve(serves ? [container] : []) } } as unknown as Tools;
  }
  const database = [{ kind: 'postgres', server: 'db' }] as unknown as Source[];

  test.each([
    ['the image says it', 'example/db:9', { PG_MAJOR: '18' }],
    ['the tag says it, where the image is not there', 'postgres:18', null],
  ])('to another major is refused: %s', async (_what, image, environment) => {
    await expect(refuseMajorChange(tools(image, environment), database, [])).rejects.toMatchObject({
      code: 'postgres-major-change',
      message: expect.stringMatching(/PostgreSQL 18 .* as db, whose data are of PostgreSQL 17/),
    });
  });

  test('that is allowed goes on, unless the way back would be a dump', async () => {
    const here = tools('postgres:18', null);
    const [plain] = database;
    const dump = [{ ...plain, name: 'database', loads: true }] as Source[];
    await expect(refuseMajorChange(here, database, ['postgres-major'])).resolves.toBeUndefined();
    await expect(refuseMajorChange(here, dump, ['postgres-major'])).rejects.toMatchObject({
      code: 'postgres-major-dump',
      message: expect.stringContaining('the way back for database would be a dump') as unknown,
    });
  });

  test.each<[string, Tools, Source[]]>([
    ['to the same', tools('postgres:17', { PG_MAJOR: '17' }), database],
    ['to what nobody knows', tools('example/db:9', {}), database],
    ['without a server so far', tools('postgres:18', null, false), database],
    ['of other data', tools('postgres:18', null), [{ kind: 'directory', server: undefined }] as unknown as Source[]],
    ['without an engine', { project: { engine: null } } as unknown as Tools, database],
  ])('%s goes on', async (_what, here, sources) => {
    await expect(refuseMajorChange(here, sources, [])).resolves.toBeUndefined();
  });
});

describe('before the new version is checked out', () => {
  let clone: string;
  beforeEach(() => {
    clone = realpathSync(mkdtempSync(path.join(tmpdir(), 'caretaker-major-')));
  });
  afterEach(() => rmSync(clone, { recursive: true }));

  /** `files`: what is there now; `target`: what git has of the clone's files; `dirty`: those with local changes. */
  async function codeOf(
    files: Record<string, string>,
    target: Record<string, string> | 'as-it-is',
    dirty: string[] = [],
  ): Promise<string> {
    for (const [name, text] of Object.entries(files)) writeFileSync(path.join(clone, name), text);
    const container = { id: '1', service: 'db', state: 'running', oneOff: false, env: {} };
    const runtime = {
      exec: () => Promise.resolve({ exitCode: 0, stdout: 'postgres (PostgreSQL) 17.6', stderr: '' }),
      imageEnvironment: () => Promise.resolve(null),
    };
    const compose = { files: Object.keys(files).map((name) => path.join(clone, name)) };
    const tools = {
      project: { engine: { runtime, compose }, containers: () => Promise.resolve([container]) },
      checkout: {
        directory: clone,
        dirtyFiles: () => Promise.resolve(dirty),
        show: (_commit: string, file: string) => Promise.resolve(target === 'as-it-is' ? null : (target[file] ?? null)),
      },
    } as unknown as Tools;
    const sources = [{ kind: 'postgres', server: 'db' }] as unknown as Source[];
    const to = target === 'as-it-is' ? target : ({ commit: 'abc', label: 'v2.0.0' } as Target);
    return refuseMajorChangeAt(tools, sources, to, []).then(
      () => 'goes on',
      (error: { code: string }) => error.code,
    );
  }
  const db = (image: string): string => `services:\n  db:\n    image: ${image}\n`;

  test.each<[string, Parameters<typeof codeOf>, string]>([
    ['the target’s file names another', [{ a: db('postgres:17') }, { a: db('postgres:18') }], 'postgres-major-change'],
    ['it names the same', [{ a: db('postgres:17') }, { a: db('postgres:17.7') }], 'goes on'],
    ['the file here names another already', [{ a: db('postgres:18') }, 'as-it-is'], 'postgres-major-change'],
    [
      'a second file has the last word',
      [
        { a: db('postgres:17'), b: db('postgres:17') },
        { a: db('postgres:18'), b: db('postgres:17') },
      ],
      'goes on',
    ],
    ['a variable decides', [{ a: db('postgres:17') }, { a: db('postgres:${PG:-18}') }], 'goes on'],
    ['the file has local changes', [{ a: db('postgres:17') }, { a: db('postgres:18') }, ['a']], 'goes on'],
    ['the target has no such file', [{ a: db('postgres:17') }, {}], 'goes on'],
    ['the target’s file is no YAML', [{ a: db('postgres:17') }, { a: 'a: [' }], 'compose-file-invalid'],
  ])('%s', async (_what, given, expected) => expect(await codeOf(...given)).toBe(expected));
});
