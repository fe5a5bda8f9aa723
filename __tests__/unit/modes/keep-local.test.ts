import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { dropHalfBackups, safetyStays, tidy, type KeepLocal } from '../../../src/modes/keep-local.ts';
import { rememberUpdate } from '../../../src/modes/last-update.ts';
import type { Tools } from '../../../src/modes/tools.ts';
import { queueBackup } from '../../../src/modes/unstored.ts';
import { silentLog } from '../../../src/report/silent.ts';
import type { StoredBackup } from '../../../src/stores/store.ts';
import { temporaryDirectories } from '../system/temporary.ts';

const temporary = temporaryDirectories();
const now = new Date('2026-11-24T12:00:00Z');

/** Made so many days ago, and named after that. */
function aged(days: number): StoredBackup {
  const createdAt = new Date(now.getTime() - days * 86_400_000);
  return {
    ...{ name: `${days}-days`, project: 'shop', createdAt, bytes: 1, expiresAt: undefined },
    ...{ runId: undefined, ids: [], url: undefined, files: [], proofs: [] },
  };
}
const backups = [1, 10, 29, 31, 60].map(aged);
const left = (keep: KeepLocal, needed?: string): string[] =>
  safetyStays(backups, keep, needed, now)
    .filter(({ goes }) => goes === undefined)
    .map(({ backup }) => backup.name);

function toolsOf(stateDirectory: string): { tools: Tools; deleted: string[]; warnings: string[] } {
  const deleted: string[] = [];
  const warnings: string[] = [];
  const tools = {
    project: { name: 'shop', stateDirectory },
    local: {
      name: 'safety backups on this host',
      list: () => Promise.resolve(backups),
      delete: ({ name }: StoredBackup) => Promise.resolve(deleted.push(name)),
    },
    log: silentLog(),
    recorder: { warn: (line: string) => warnings.push(line) },
    clock: { now: () => now },
  } as unknown as Tools;
  return { tools, deleted, warnings };
}

describe('safety backups', () => {
  test('stay by count: the newest, and the one that a rollback needs', () => {
    expect(left({ keepLocal: 2 })).toEqual(['1-days', '10-days']);
    expect(left({ keepLocal: 2 }, '60-days')).toEqual(['1-days', '10-days', '60-days']);
    expect(left({ keepLocal: 0 }, '60-days')).toEqual([]);
  });

  test('go by age as well, but never the newest nor the one that a rollback needs', () => {
    expect(left({ keepLocal: 4, keepLocalDays: 30 })).toEqual(['1-days', '10-days', '29-days']);
    expect(left({ keepLocal: 2, keepLocalDays: 30 })).toEqual(['1-days', '10-days']);
    expect(left({ keepLocalDays: 30 }, '31-days')).toEqual(['1-days', '10-days', '29-days', '31-days']);
    const old = safetyStays([aged(40), aged(50)], { keepLocal: 3, keepLocalDays: 30 }, undefined, now);
    expect(old.map(({ goes }) => goes)).toEqual([undefined, 'removed: older than 30 days']);
  });

  test('say how long they stay', () => {
    const kept = safetyStays(backups, { keepLocal: 3, keepLocalDays: 30 }, '60-days', now).map((one) => one.kept);
    expect(kept).toEqual([
      'until 3 more are made, or until 2026-12-23, as the newest longer',
      'until 2 more are made, or until 2026-12-14',
      'until 1 more is made, or until 2026-11-25',
      'until the next update, rollback or restore',
      'for a rollback of the last update',
    ]);
    expect(safetyStays([aged(1)], {}, undefined, now)[0]?.kept).toBe('for ever');
  });

  test('are removed from the host, with what the last update says that it needs in mind', async () => {
    const stateDirectory = temporary();
    const update = { run: 'r', at: now.toISOString(), from: 'v1', to: 'v2', code: null, commit: null, images: [] };
    await rememberUpdate(stateDirectory, { ...update, backup: '31-days' });
    const { tools, deleted } = toolsOf(stateDirectory);
    await tidy(tools, { keepLocal: 9, keepLocalDays: 20 });
    expect(deleted).toEqual(['29-days', '60-days']);
  });

  test('that are not whole, because their run was killed, go', async () => {
    const stateDirectory = temporary();
    await dropHalfBackups(stateDirectory);
    const directory = path.join(stateDirectory, 'safety');
    mkdirSync(directory);
    const whole = ['manifest.json', 'files.tar.zst', 'proof-1'].map((end) => `shop-20261123T120000Z.${end}`);
    const half = ['files.tar.zst', 'RESTORE.md'].map((end) => `shop-20261124T120000Z.${end}`);
    const copied = '.shop-20261124T120000Z.db.tar.zst.0f0f.caretaker-tmp';
    for (const name of [...whole, ...half, copied, 'notes.txt']) writeFileSync(path.join(directory, name), '');
    await dropHalfBackups(stateDirectory);
    expect(readdirSync(directory).sort()).toEqual(['notes.txt', ...whole].sort());
  });

  test('stay while they wait for a store, and don’t count then', async () => {
    const stateDirectory = temporary();
    const waiting = { ...aged(1), name: 'shop-20261123T120000Z' };
    await queueBackup(stateDirectory, { backup: waiting.name, stores: ['folder /away'] });
    const { tools, deleted } = toolsOf(stateDirectory);
    const local = { ...tools.local, list: () => Promise.resolve([waiting, ...backups]) };
    await tidy({ ...tools, local }, { keepLocal: 2 });
    expect(deleted).toEqual(['29-days', '31-days', '60-days']);
    deleted.splice(0);
    await tidy({ ...tools, local }, { keepLocal: 0 });
    expect(deleted).toEqual(backups.map((one) => one.name));
  });

  test('with names of old images, but not those of the last update, whatever the clock has made of their order', async () => {
    const stateDirectory = temporary();
    const update = { run: '20261001t-a', at: now.toISOString(), from: 'v1', to: 'v2', code: null, commit: null };
    await rememberUpdate(stateDirectory, { ...update, images: [], backup: '1-days' });
    const { tools } = toolsOf(stateDirectory);
    const untagged: string[] = [];
    const runs = ['20260901t-b', '20261001t-a', '20261101t-c', '20261102t-d'];
    const runtime = {
      imageNames: () => Promise.resolve(runs.map((run) => `localhost/compose-caretaker/protected:shop.web.${run}`)),
      untag: (name: string) => Promise.resolve(untagged.push(name)),
    };
    const project = { ...tools.project, engine: { runtime } } as unknown as Tools['project'];
    await tidy({ ...tools, project }, { keepVersions: 2 });
    expect(untagged).toEqual(['localhost/compose-caretaker/protected:shop.web.20260901t-b']);
  });

  test('all stay while it can’t be told which a rollback needs', async () => {
    const stateDirectory = temporary();
    writeFileSync(path.join(stateDirectory, 'last-update.json'), '{"run": "r", "backup": "31-d');
    const { tools, deleted, warnings } = toolsOf(stateDirectory);
    await tidy(tools, { keepLocal: 1, keepLocalDays: 20 });
    expect(deleted).toEqual([]);
    expect(warnings.join()).toMatch(/^No safety backup .*last-update\.json.*Remove or mend it/);
  });
});

describe('where the clock was wrong', () => {
  const ahead = aged(-365);

  test('one backup that is dated a year ahead neither goes nor counts, so the newest stays', () => {
    const stays = safetyStays([ahead, ...backups], { keepLocal: 1, keepLocalDays: 30 }, undefined, now);
    const kept = stays.filter(({ goes }) => goes === undefined).map(({ backup, kept }) => [backup.name, kept]);
    expect(kept).toEqual([
      ['-365-days', 'as it is dated in the future'],
      ['1-days', 'until 1 more is made, or until 2026-12-23, as the newest longer'],
    ]);
    expect(safetyStays([ahead, aged(1)], { keepLocal: 0 }, undefined, now).filter(({ goes }) => !goes)).toEqual([]);
  });

  test('and is far ahead now, the newest stays, and what a rollback needs', () => {
    const future = new Date(now.getTime() + 3650 * 86_400_000);
    const stays = safetyStays(backups, { keepLocal: 3, keepLocalDays: 30 }, '31-days', future);
    expect(stays.filter(({ goes }) => goes === undefined).map(({ backup }) => backup.name)).toEqual(['1-days', '31-days']); // prettier-ignore
  });

  test('and is far behind now, nothing that was made before goes, and what is made now is counted by itself', () => {
    const past = new Date('1970-01-01T00:10:00Z');
    const made = { ...aged(0), name: 'made-now', createdAt: past };
    const stays = safetyStays([...backups, made], { keepLocal: 2, keepLocalDays: 30 }, undefined, past);
    expect(stays.filter(({ goes }) => goes !== undefined)).toEqual([]);
  });
});
