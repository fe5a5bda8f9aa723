import { describe, expect, test } from '@jest/globals';
import { dropSafetyBackups, safetyStays, type KeepLocal } from '../../../src/modes/keep-local.ts';
import { rememberUpdate } from '../../../src/modes/last-update.ts';
import type { Tools } from '../../../src/modes/tools.ts';
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
    ...{ runId: undefined, ids: [], url: undefined, proofs: [] },
  };
}
const backups = [1, 10, 29, 31, 60].map(aged);
const left = (keep: KeepLocal, needed?: string): string[] =>
  safetyStays(backups, keep, needed, now)
    .filter(({ goes }) => goes === undefined)
    .map(({ backup }) => backup.name);

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
    const deleted: string[] = [];
    const tools = {
      project: { name: 'shop', stateDirectory },
      local: {
        name: 'safety backups on this host',
        list: () => Promise.resolve(backups),
        delete: ({ name }: StoredBackup) => Promise.resolve(deleted.push(name)),
      },
      log: silentLog(),
      clock: { now: () => now },
    } as unknown as Tools;
    await dropSafetyBackups(tools, { keepLocal: 9, keepLocalDays: 20 });
    expect(deleted).toEqual(['29-days', '60-days']);
  });
});
