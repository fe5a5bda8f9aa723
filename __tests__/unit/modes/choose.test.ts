import { describe, expect, test } from '@jest/globals';
import { chooseBackup } from '../../../src/modes/choose.ts';
import type { Tools } from '../../../src/modes/tools.ts';
import type { Store, StoredBackup } from '../../../src/stores/store.ts';
import { sampleManifest } from '../archive/sample-manifest.ts';

function backup(name: string, at: string, runId?: number): StoredBackup {
  return {
    name,
    project: 'shop',
    createdAt: new Date(at),
    bytes: 1,
    expiresAt: undefined,
    runId,
    url: undefined,
  };
}

/** A store that holds these backups and remembers what it was asked for. */
function storeOf(name: string, backups: StoredBackup[]): Store {
  return {
    kind: 'folder',
    name,
    check: () => Promise.resolve(),
    put: () => Promise.reject(new Error('choosing stores nothing')),
    list: (project) => Promise.resolve(backups.filter((one) => project === undefined || one.project === project)),
    readManifest: () => Promise.resolve(sampleManifest()),
    fetch: () => Promise.reject(new Error('choosing fetches nothing')),
    delete: () => Promise.reject(new Error('choosing deletes nothing')),
  };
}

const monday = backup('shop-20261116T220000Z', '2026-11-16T22:00:00Z', 1);
const tuesday = backup('shop-20261117T220000Z', '2026-11-17T22:00:00Z', 2);
const safety = backup('shop-20261118T100000Z', '2026-11-18T10:00:00Z');

function tools(stores: Store[]): Tools {
  return {
    project: { name: 'shop', directory: '/srv/shop' },
    stores,
    local: storeOf('safety backups', [safety]),
  } as unknown as Tools;
}

const noFolder = (): Store => {
  throw new Error('no folder was named');
};

describe('chooseBackup', () => {
  test('latest is the newest of the stores, never a safety backup that happens to be newer', async () => {
    const chosen = await chooseBackup(tools([storeOf('artifacts', [monday, tuesday])]), 'latest', noFolder);
    expect(chosen.backup.name).toBe(tuesday.name);
  });

  test('a name finds a safety backup too', async () => {
    const chosen = await chooseBackup(tools([storeOf('artifacts', [monday])]), safety.name, noFolder);
    expect(chosen.store.name).toBe('safety backups');
  });

  test('digits are the id of a workflow run', async () => {
    const chosen = await chooseBackup(tools([storeOf('artifacts', [monday, tuesday])]), '1', noFolder);
    expect(chosen.backup.name).toBe(monday.name);
  });

  test('a run with two backups is ambiguous, and says which there are', async () => {
    const twin = { ...tuesday, name: 'shop-20261117T230000Z' };
    await expect(chooseBackup(tools([storeOf('artifacts', [tuesday, twin])]), '2', noFolder)).rejects.toMatchObject({
      code: 'backup-ambiguous',
      message: expect.stringContaining(twin.name) as unknown as string,
    });
  });

  test('a path opens that folder, and a manifest in it means that very backup', async () => {
    const opened: string[] = [];
    const folder = (directory: string): Store => {
      opened.push(directory);
      return storeOf('folder', [monday, tuesday]);
    };
    const chosen = await chooseBackup(tools([]), `backups/${monday.name}.manifest.json`, folder);
    expect(opened).toEqual(['/srv/shop/backups']);
    expect(chosen.backup.name).toBe(monday.name);
  });

  test('one that is missing lists what there is', async () => {
    await expect(
      chooseBackup(tools([storeOf('artifacts', [monday])]), 'shop-20200101T000000Z', noFolder),
    ).rejects.toMatchObject({
      code: 'backup-not-found',
      hint: expect.stringContaining(monday.name) as unknown as string,
    });
  });
});
