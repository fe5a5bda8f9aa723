import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { avoid } from '../../../src/modes/avoided.ts';
import { rememberUpdate } from '../../../src/modes/last-update.ts';
import { status } from '../../../src/modes/status.ts';
import { queueBackup } from '../../../src/modes/unstored.ts';
import type { Tools } from '../../../src/modes/tools.ts';
import type { JournalLine } from '../../../src/safety/journal.ts';
import { acquireLock } from '../../../src/safety/lock.ts';
import { ensureStateDirectory } from '../../../src/safety/state-directory.ts';
import { createFolderStore } from '../../../src/stores/folder.ts';
import type { Store } from '../../../src/stores/store.ts';
import { CaretakerError } from '../../../src/errors.ts';
import { systemClock } from '../../../src/system/system-clock.ts';
import { makeBackup, type MadeBackup } from '../../contract/stores/backup-files.ts';
import { putAll } from '../../contract/stores/store-contract.ts';
import { silentLog } from '../../contract/stores/silent-log.ts';
import { container } from '../compose/fakes.ts';
import { localFiles } from '../sources/local-files.ts';
import { temporaryDirectories } from '../system/temporary.ts';

const temporary = temporaryDirectories();
const run = '20261123t060000z-4f2a';
const at = '2026-11-23T06:00:00.000Z';

let shop: string;
let state: string;
let warnings: string[];
let tools: Tools;
const local = (): Store => createFolderStore({ directory: path.join(state, 'safety'), log: silentLog().log });
const folder = (): Store => createFolderStore({ directory: path.join(state, 'backups'), log: silentLog().log });
const settings = { data: [{ type: 'directory', path: './media' }], keepLocal: 3, keepLocalDays: 30 } as const;
const look = (): ReturnType<typeof status> => status(tools, settings);

beforeEach(async () => {
  shop = path.join(temporary(), 'shop');
  mkdirSync(path.join(shop, 'media'), { recursive: true });
  state = await ensureStateDirectory(shop);
  warnings = [];
  const labels = { 'compose-caretaker.of': 'shop', 'compose-caretaker.throwaway': 'shop-drill-1' };
  const runtime = {
    name: 'podman',
    containers: (wanted: object) =>
      Promise.resolve(
        'compose-caretaker.of' in wanted ? [container('web', { name: 'shop-drill-1-web-1', labels })] : [],
      ),
    volumes: () => Promise.resolve([{ name: 'shop-drill-1_db', mountpoint: '/v', driver: 'local', labels }]),
    imageNames: (prefix: string) => Promise.resolve(prefix.includes('protected') ? [`${prefix}web.${run}`] : []),
  };
  tools = {
    project: {
      ...{ name: 'shop', directory: shop, stateDirectory: state, files: localFiles() },
      engine: { runtime, compose: { model: () => Promise.resolve({ name: 'shop', services: [], volumes: {} }) } },
      containers: () => Promise.resolve([]),
      configurationFiles: () => Promise.resolve([]),
    },
    stores: [folder()],
    local: local(),
    recorder: { warn: (line: string) => warnings.push(line) },
    clock: { now: () => new Date('2026-11-24T06:00:00Z') },
  } as unknown as Tools;
});

async function stored(store: Store, day: string): Promise<MadeBackup> {
  const made = await makeBackup(temporary(), 'shop', new Date(`${day}T06:00:00Z`));
  await putAll(store, made.files);
  return made;
}

function journal(...lines: JournalLine[]): void {
  const begin: JournalLine = { type: 'begin', run, mode: 'update', at, pid: 1, bootId: 'b', settings: {} };
  const text = [begin, ...lines].map((line) => `${JSON.stringify(line)}\n`).join('');
  writeFileSync(path.join(state, 'journal.jsonl'), `${text}{"type":"st`);
}

/** All names and texts below the project. */
function everything(): string[] {
  return readdirSync(shop, { recursive: true, withFileTypes: true })
    .map(
      (entry) =>
        path.join(entry.parentPath, entry.name) +
        (entry.isFile() ? readFileSync(path.join(entry.parentPath, entry.name), 'latin1') : ''),
    ) // prettier-ignore
    .sort();
}

describe('status', () => {
  test('of a project that was never touched has nothing to tell but that there is no backup', async () => {
    tools = { ...tools, project: { ...tools.project, engine: null } };
    expect(await look()).toEqual({
      ...{ lock: null, unfinished: null, lastUpdate: null, avoided: null },
      ...{ safety: [], unstored: [], aside: [], staging: [], images: [], throwaways: [] },
      stores: [{ store: folder().name, backups: 0, newest: null, problem: undefined }],
    });
    expect(warnings).toEqual([`There is no backup of shop in ${folder().name}.`]);
  });

  test('tells all that lies on the host, warns of what needs a hand, and changes nothing', async () => {
    const safe = await stored(local(), '2026-11-23');
    await stored(local(), '2026-10-01');
    const backup = await stored(folder(), '2026-11-22');
    await folder().keepProof((await folder().list('shop'))[0]!, {
      ...{ at, level: 'databases', ok: false, backup: backup.name, manifest: backup.manifest.digest },
      ...{ lines: [], caretaker: '1' },
    });
    const update = { run, at, from: 'v1', to: 'v2', code: null, commit: 'c'.repeat(40), images: [] };
    await rememberUpdate(state, { ...update, backup: safe.name });
    await avoid(state, { commit: 'd'.repeat(40), label: 'v3', at, why: 'unhealthy' });
    const aside = path.join(shop, `.caretaker-aside-${run}-media`);
    const inside = path.join(shop, 'media', `.caretaker-fresh-${run}-media`);
    for (const made of [aside, inside, path.join(shop, `.caretaker-aside-${run}-other`)]) mkdirSync(made);
    writeFileSync(path.join(aside, 'picture'), 'x'.repeat(100_000));
    mkdirSync(path.join(state, 'staging', `${run}-backup`));
    mkdirSync(path.join(state, 'throwaway', 'shop-drill-1'), { recursive: true });
    const before = everything();

    const told = await look();
    expect(told).toMatchObject({
      ...{ lock: null, unfinished: null },
      lastUpdate: { at, from: 'v1', to: 'v2', backup: safe.name },
      avoided: { label: 'v3', why: 'unhealthy' },
      safety: [
        { name: safe.name, reason: 'backup', kept: 'for a rollback of the last update' },
        { kept: 'until the next update, rollback or restore' },
      ],
      aside: [
        { path: aside, kind: 'aside', run },
        { path: inside, kind: 'fresh', run },
      ],
      staging: [{ path: path.join(state, 'staging', `${run}-backup`) }],
      images: [`localhost/compose-caretaker/protected:shop.web.${run}`],
      throwaways: [
        {
          name: 'shop-drill-1',
          containers: ['shop-drill-1-web-1'],
          volumes: ['shop-drill-1_db'],
          directory: path.join(state, 'throwaway', 'shop-drill-1'),
        },
      ],
      stores: [{ backups: 1, newest: { name: backup.name, proven: { level: 'databases', ok: false } } }],
    });
    expect(told.aside[0]?.bytes).toBeGreaterThanOrEqual(100_000);
    expect(warnings).toEqual([
      expect.stringContaining(`${aside} (aside) was left beside live data`),
      expect.stringContaining(`${inside} (fresh) was left`),
      expect.stringContaining(`The drill of ${backup.name} (${folder().name}) failed on 2026-11-23`),
      expect.stringMatching(
        /^The throwaway shop-drill-1 .*: podman rm --force --volumes shop-drill-1-web-1; podman volume rm shop-drill-1_db; rm -rf \/.*\/shop-drill-1$/,
      ),
    ]);
    expect(everything()).toEqual(before);
  });

  test('while a run is at work its journal, staging and throwaways are its own affair', async () => {
    await stored(folder(), '2026-11-22');
    const clock = { ...systemClock, now: () => new Date(at) };
    const wait = { timeoutMs: 0, clock, log: silentLog().log };
    const lock = await acquireLock(state, { mode: 'update', runUrl: 'https://example.org/runs/7' }, wait);
    journal({ type: 'step', index: 0, name: 'images', at, undo: { action: 'images-back', data: [] } });
    mkdirSync(path.join(shop, `.caretaker-aside-${run}-media`));
    const before = everything();
    expect(await look()).toMatchObject({
      lock: { mode: 'update', since: at, pid: process.pid, runUrl: 'https://example.org/runs/7', state: 'alive' },
      unfinished: { run, mode: 'update', committed: false, left: ['images'] },
      aside: [{ kind: 'aside' }],
    });
    expect(warnings).toEqual([]);
    expect(everything()).toEqual(before);
    await lock.release();
  });

  test('a run that was cut off waits for the next, and says what is to be undone or done', async () => {
    await stored(folder(), '2026-11-22');
    const live = path.join(shop, 'database');
    journal(
      { type: 'step', index: 0, name: 'note what serves', at, undo: { action: 'serve-again', data: {} } },
      { type: 'done', index: 0, at },
      { type: 'step', index: 1, name: 'stop writers', at, undo: null },
      { type: 'step', index: 2, name: `swap ${live}`, at, undo: { action: 'unswap', data: { live } } },
    );
    // Away from its place, and so from what the data lines find.
    mkdirSync(path.join(shop, `.caretaker-aside-${run}-database`));
    expect(await look()).toMatchObject({
      unfinished: { committed: false, left: [`swap ${live}`, 'note what serves'] },
      aside: [{ path: path.join(shop, `.caretaker-aside-${run}-database`) }],
    });
    expect(warnings).toEqual([
      expect.stringMatching(/^The update .* was cut off before it was in place: it is undone/),
    ]);
    const forward = ['store-backup', 'tidy'].map((action) => ({ action, data: {} }));
    journal({ type: 'commit', at, forward }, { type: 'forwarded', index: 0, at });
    expect(await look()).toMatchObject({ unfinished: { committed: true, left: ['tidy'] } });
    expect(warnings.at(-1)).toContain('after it was in place: what is left is done');
  });

  test('tells which backups wait for a store, and that they stay so long', async () => {
    tools = { ...tools, project: { ...tools.project, engine: null } };
    const backup = await stored(folder(), '2026-11-22');
    const waiting = await stored(local(), '2026-09-01');
    await stored(local(), '2026-11-20');
    await queueBackup(state, { backup: waiting.name, stores: ['folder /away', 'folder /gone'] });
    expect(await look()).toMatchObject({
      unstored: [{ backup: waiting.name, stores: ['folder /away', 'folder /gone'] }],
      safety: [
        { kept: expect.stringContaining('until 3 more are made') as unknown },
        { name: waiting.name, kept: 'until it is stored in folder /away, folder /gone' },
      ],
      stores: [{ newest: { name: backup.name } }],
    });
    expect(warnings).toEqual(
      ['/away', '/gone'].map(
        (at) =>
          `${waiting.name} waits on this host for folder ${at}: the next backup or update with that store stores it.`,
      ),
    );
  });

  test('what can’t be looked at is a warning, and the rest is told', async () => {
    await stored(folder(), '2026-11-22');
    writeFileSync(path.join(state, 'lock'), 'rubbish');
    writeFileSync(path.join(state, 'avoided.json'), '{"commit":');
    writeFileSync(path.join(state, 'journal.jsonl'), 'rubbish\n{}\n');
    const away = {
      name: 'workflow artifacts of o/r',
      check: () => Promise.reject(new CaretakerError('store-unreachable', 'failed to list: offline')),
    } as unknown as Store;
    tools = { ...tools, stores: [away, folder()] };
    const told = await status(tools, { ...settings, data: [{ type: 'directory', path: './none' }] });
    expect(told).toMatchObject({
      ...{ lock: null, unfinished: null, avoided: null },
      stores: [{ problem: 'failed to list: offline [store-unreachable]' }, { backups: 1 }],
    });
    for (const what of [
      'Who holds the lock',
      'What the journal holds',
      'Which version is avoided',
      'Where the data lie',
    ]) {
      expect(warnings.filter((line) => line.startsWith(`${what} can't be told: `))).toHaveLength(1);
    }
    expect(warnings).toContainEqual(expect.stringContaining('What workflow artifacts of o/r holds can'));
  });

  test('says when the newest backup is dated in the future', async () => {
    const ahead = await stored(folder(), '2027-11-22');
    await look();
    expect(warnings[0]).toContain(`${ahead.name} (${folder().name}) is dated 2027-11-22`);
  });

  test('says when the safety backup that a rollback needs is gone', async () => {
    await stored(folder(), '2026-11-22');
    const update = { run, at, from: 'v1', to: 'v2', code: null, commit: null, images: [] };
    await rememberUpdate(state, { ...update, backup: 'shop-20261101T060000Z' });
    await look();
    expect(warnings[0]).toContain('The safety backup shop-20261101T060000Z is not there');
  });

  test('sees what a mark stands for, and a project that has no state yet', async () => {
    await stored(folder(), '2026-11-22');
    symlinkSync('nothing-was-here', path.join(shop, `.caretaker-aside-${run}-media`));
    expect((await look()).aside).toMatchObject([{ kind: 'aside', bytes: 0 }]);
    const other = path.join(temporary(), 'other');
    cpSync(path.join(shop, 'media'), path.join(other, 'media'), { recursive: true });
    const project = {
      ...tools.project,
      directory: other,
      stateDirectory: path.join(other, '.caretaker'),
      engine: null,
    };
    tools = { ...tools, project, local: createFolderStore({ directory: path.join(other, '.caretaker/safety'), log: silentLog().log }) }; // prettier-ignore
    expect(await look()).toMatchObject({ lock: null, safety: [], staging: [] });
    expect(readdirSync(other)).toEqual(['media']);
  });
});
