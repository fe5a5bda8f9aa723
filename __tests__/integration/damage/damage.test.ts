import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { CaretakerError } from '../../../src/errors.ts';
import { chooseBackup } from '../../../src/modes/choose.ts';
import { fetchParts } from '../../../src/modes/fetch.ts';
import type { Tools } from '../../../src/modes/tools.ts';
import { silentLog } from '../../../src/report/silent.ts';
import { createFolderStore } from '../../../src/stores/folder.ts';
import type { Store } from '../../../src/stores/store.ts';
import { systemClock } from '../../../src/system/system-clock.ts';
import type { RunReport } from '../../../src/report/run-report.ts';
import { inMemory } from '../../unit/system/temporary.ts';
import { tamper } from '../tampered.ts';

/* Damage of a single bit, or a lost end, anywhere in a backup: it is found before anything is stopped. */

jest.setTimeout(600_000);

const CASES = 1000;

const root = mkdtempSync(path.join(inMemory, 'caretaker-damage-'));
const backups = path.join(root, 'backups');
const project = path.join(root, 'shop');
const at = (name: string): string => path.join(project, name);
let child: ChildProcess;
let backup: string;

async function run(mode: string, ...flags: string[]): Promise<RunReport> {
  const answer = once(child, 'message');
  child.send([
    mode,
    ...['--project-directory', project, '--store', `type=folder,path=${backups}`],
    ...['--start-command', 'touch running', '--stop-command', 'rm running; touch was-stopped'],
    ...['--status-command', 'test -f running', '--settle', '0'],
    ...[
      '--data',
      'type=directory,name=media,path=media\ntype=sqlite,name=db,path=shop.db\ntype=file,name=key,path=key',
    ],
    ...flags,
  ]);
  return ((await answer) as [RunReport])[0];
}

/** What is live, and whether anything was stopped. */
const live = (): unknown => [
  readFileSync(at('media/a'), 'latin1'),
  readFileSync(at('key'), 'latin1'),
  readFileSync(at('shop.db')).toString('base64'),
  existsSync(at('running')),
  existsSync(at('was-stopped')),
  readdirSync(project).sort(),
];

/** What the steps of a restore before the stop say: the code of the error, or undefined where all seemed well. */
async function codeOf(tools: Tools, count: number): Promise<string | undefined> {
  const directory = path.join(root, `fetched-${count}`);
  try {
    const chosen = await chooseBackup(tools, { text: backup, by: 'name' }, () => tools.local);
    await fetchParts(tools, chosen, chosen.manifest.parts, directory);
    return undefined;
  } catch (error) {
    if (error instanceof CaretakerError) return error.code;
    throw error;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

beforeAll(async () => {
  mkdirSync(at('media/empty'), { recursive: true });
  writeFileSync(at('media/a'), 'first');
  writeFileSync(at('media/noise'), Buffer.from(Array.from({ length: 20_000 }, (_, n) => (n * 7919) % 251)));
  writeFileSync(at('key'), 'key');
  writeFileSync(at('running'), '');
  const database = new DatabaseSync(at('shop.db'));
  database.exec("CREATE TABLE t (a); INSERT INTO t VALUES ('first')");
  database.close();

  child = fork(path.join(import.meta.dirname, 'restore-process.ts'), [], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
    env: { PATH: process.env['PATH'] },
  });
  await once(child, 'message');
  const made = await run('backup');
  if (made.backup === undefined) throw new Error(JSON.stringify(made.error));
  backup = made.backup.name;
  writeFileSync(at('media/a'), 'later');
});
afterAll(() => {
  child?.kill();
  rmSync(root, { recursive: true, force: true });
});

test(`${CASES} damages, each to one file: every one is found before anything is stopped`, async () => {
  const files = readdirSync(backups);
  expect(files.map((name) => name.replace(backup, '')).sort()).toEqual([
    '.RESTORE.md',
    '.db.tar.zst',
    '.key.tar.zst',
    '.manifest.json',
    '.media.tar.zst',
  ]);
  // A generator of our own: a failure can be repeated.
  let seed = 20261124;
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((seed / 2 ** 31) * below);
  };
  const before = live();
  const found: Record<string, number> = {};
  const missed: string[] = [];
  const store = (directory: string): Store => createFolderStore({ directory, log: silentLog() });
  const tools = {
    ...{ log: silentLog(), clock: systemClock, signal: new AbortController().signal },
    project: { name: 'shop', directory: project, stateDirectory: root },
    keys: { encryption: undefined, identities: [], passphrase: undefined },
    stores: [store(backups)],
    local: store(path.join(root, 'none')),
  } as unknown as Tools;
  for (let count = 0; count < CASES; count++) {
    const name = files[count % files.length] ?? '';
    const file = path.join(backups, name);
    const whole = readFileSync(file);
    const where = random(whole.length);
    const bit = random(8);
    // A manifest without its last line's end says the same.
    const cut = count % 10 === 9;
    const length = random(whole.length - 1);
    if (cut) truncateSync(file, length);
    else {
      const damaged = Buffer.from(whole);
      damaged[where]! ^= 1 << bit;
      writeFileSync(file, damaged);
    }
    // The recipe's own steps before the stop; now and then the whole program.
    const code =
      count % 25 === 0
        ? (await run('restore', '--backup', backup, '--confirm', 'shop')).error?.code
        : await codeOf(tools, count);
    writeFileSync(file, whole);
    const what = `${name}: ${cut ? `cut to ${length}` : `bit ${bit} of byte ${where}`}`;
    if (code === undefined || JSON.stringify(live()) !== JSON.stringify(before))
      missed.push(`${what}: ${code ?? 'not found'}`);
    else {
      const key = `${name.replace(`${backup}.`, '')} ${code}`;
      found[key] = (found[key] ?? 0) + 1;
    }
  }
  expect(missed).toEqual([]);
  process.stdout.write(`${CASES} damages, all found before the stop: ${JSON.stringify(found, null, 2)}\n`);
});

test('one that is longer than it was is found too, and the whole one restores', async () => {
  for (const name of readdirSync(backups)) {
    const file = path.join(backups, name);
    const { size } = statSync(file);
    appendFileSync(file, 'x');
    expect((await run('restore', '--backup', backup, '--confirm', 'shop')).error).toBeDefined();
    expect(existsSync(at('was-stopped'))).toBe(false);
    truncateSync(file, size);
  }
  const report = await run('restore', '--backup', backup, '--confirm', 'shop');
  expect([report.outcome, readFileSync(at('media/a'), 'utf8'), existsSync(at('was-stopped'))]).toEqual(['done', 'first', true]); // prettier-ignore
});

test('what is wrong behind digests that fit is found while it is restored elsewhere, and nothing is left there', async () => {
  const to = path.join(root, 'elsewhere');
  const files = readdirSync(backups).map((name) => path.join(backups, name));
  const whole = files.map((file) => readFileSync(file));
  for (const change of [
    (raw: Buffer) => raw.subarray(0, raw.length - 1000),
    (raw: Buffer) => raw.fill(7, 0, 100),
    (raw: Buffer) => Buffer.concat([raw, Buffer.from('more')]),
  ]) {
    tamper(backups, backup, 'media.tar.zst', change);
    expect((await run('restore', '--backup', backup, '--to', to)).error?.code).toBe('part-damaged');
    expect(existsSync(to)).toBe(false);
    files.forEach((file, index) => writeFileSync(file, whole[index]!));
  }
  // What was made above it goes as well, while it is empty.
  const deep = path.join(root, 'a/b/monday');
  tamper(backups, backup, 'media.tar.zst', (raw) => raw.subarray(0, raw.length - 1000));
  expect((await run('restore', '--backup', backup, '--to', deep)).error?.code).toBe('part-damaged');
  files.forEach((file, index) => writeFileSync(file, whole[index]!));
  expect(existsSync(path.join(root, 'a'))).toBe(false);
  expect((await run('restore', '--backup', backup, '--to', to)).outcome).toBe('done');
  expect(readFileSync(path.join(to, 'media/a'), 'utf8')).toBe('first');
});
