import { describe, expect, test } from '@jest/globals';
import { chooseBackup } from '../../../src/modes/choose.ts';
import type { Manifest } from '../../../src/archive/manifest.ts';
import type { Tools } from '../../../src/modes/tools.ts';
import { parseBackupChoice, type BackupChoice } from '../../../src/settings/backup-choice.ts';
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
    ids: runId === undefined ? [] : [`${runId}01`, `${runId}02`],
    url: undefined,
    proofs: [],
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
    keepProof: () => Promise.reject(new Error('choosing keeps nothing')),
    delete: () => Promise.reject(new Error('choosing deletes nothing')),
  };
}

const monday = backup('shop-20261116T220000Z', '2026-11-16T22:00:00Z', 1);
const tuesday = backup('shop-20261117T220000Z', '2026-11-17T22:00:00Z', 2);
const safety = backup('shop-20261118T100000Z', '2026-11-18T10:00:00Z');

const warnings: string[] = [];
function tools(stores: Store[]): Tools {
  return {
    project: { name: 'shop', directory: '/srv/shop' },
    stores,
    local: storeOf('safety backups', [safety]),
    log: { warn: (line: string) => warnings.push(line) },
    clock: { now: () => new Date('2026-11-19T10:00:00Z') },
  } as unknown as Tools;
}

const wanted = (text: string): BackupChoice => parseBackupChoice(text)!;
const noFolder = (): Store => {
  throw new Error('no folder was named');
};

describe('chooseBackup', () => {
  test('latest is the newest of the stores, never a safety backup that happens to be newer', async () => {
    const chosen = await chooseBackup(tools([storeOf('artifacts', [monday, tuesday])]), wanted('latest'), noFolder);
    expect(chosen.backup.name).toBe(tuesday.name);
  });

  test('a name finds a safety backup too', async () => {
    const chosen = await chooseBackup(tools([storeOf('artifacts', [monday])]), wanted(safety.name), noFolder);
    expect(chosen.store.name).toBe('safety backups');
  });

  test('digits are the id of a workflow run', async () => {
    const chosen = await chooseBackup(tools([storeOf('artifacts', [monday, tuesday])]), wanted('1'), noFolder);
    expect(chosen.backup.name).toBe(monday.name);
  });

  test('digits may be the id of an artifact', async () => {
    const chosen = await chooseBackup(tools([storeOf('artifacts', [monday, tuesday])]), wanted('102'), noFolder);
    expect(chosen.backup.name).toBe(monday.name);
  });

  test.each([
    ['before=2026-11-18', tuesday],
    ['before=2026-11-17', monday],
    ['before=2026-11-17T22:00', monday],
    ['before=2026-11-17T22:00:01', tuesday],
    ['before=2026-11-17T23:30+01:00', tuesday],
    ['before=2026-11-17T23:00+01:00', monday],
    ['1d', tuesday],
    ['2d', monday],
    ['36h', tuesday],
    ['37h', monday],
  ])('%s is the newest from before that', async (text, { name }) => {
    const chosen = await chooseBackup(tools([storeOf('artifacts', [monday, tuesday])]), wanted(text), noFolder);
    expect(chosen.backup.name).toBe(name);
  });

  test.each(['before=2026-11-16', '1w'])('%s is before all there are, which are listed', async (text) => {
    await expect(
      chooseBackup(tools([storeOf('artifacts', [monday, tuesday])]), wanted(text), noFolder),
    ).rejects.toMatchObject({ code: 'backup-not-found', hint: expect.stringContaining(tuesday.name) as unknown });
  });

  test('a version is the newest backup of it, and one whose manifest is broken is passed by', async () => {
    const commit = 'f00dfeed'.repeat(5);
    const versions: Record<string, object> = {
      [monday.name]: { tag: 'v25.09', describe: 'v25.09', commit },
      [tuesday.name]: { tag: null, describe: 'v25.09-3-gabc', commit: 'a'.repeat(40) },
    };
    const broken = backup('shop-20261118T220000Z', '2026-11-18T22:00:00Z');
    const store: Store = {
      ...storeOf('artifacts', [monday, tuesday, broken]),
      readManifest: ({ name }) =>
        Promise.resolve(name === broken.name ? {} : sampleManifest({ version: versions[name] as Manifest['version'] })),
    };
    const found = async (text: string): Promise<string> =>
      (await chooseBackup(tools([store]), wanted(text), noFolder)).backup.name;
    expect(await found('v25.09')).toBe(monday.name);
    expect(warnings.at(-1)).toContain(broken.name);
    expect(await found('25.09')).toBe(monday.name);
    expect(await found('version=f00dfeed')).toBe(monday.name);
    expect(await found('version=v25.09-3-gabc')).toBe(tuesday.name);
    await expect(found('v25.08')).rejects.toMatchObject({ code: 'backup-not-found' });
  });

  test('a run with two backups is ambiguous, and says which there are', async () => {
    const twin = { ...tuesday, name: 'shop-20261117T230000Z' };
    await expect(
      chooseBackup(tools([storeOf('artifacts', [tuesday, twin])]), wanted('2'), noFolder),
    ).rejects.toMatchObject({
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
    const chosen = await chooseBackup(
      tools([]),
      { text: 'backups', by: 'path', path: `/srv/shop/backups/${monday.name}.manifest.json` },
      folder,
    );
    expect(opened).toEqual(['/srv/shop/backups']);
    expect(chosen.backup.name).toBe(monday.name);
  });

  test('where nothing tells the project’s name yet, only a backup that is named may be another’s', async () => {
    const other = { ...monday, name: 'depot-20261116T220000Z', project: 'depot' };
    const store = storeOf('artifacts', [other]);
    const choose = (text: string): Promise<unknown> =>
      chooseBackup(tools([store]), wanted(text), noFolder, { anywhere: true });
    expect(await choose(other.name)).toMatchObject({ backup: other });
    expect(await choose('1')).toMatchObject({ backup: other });
    await expect(choose('latest')).rejects.toMatchObject({ code: 'backup-not-found' });
    await expect(chooseBackup(tools([store]), wanted('1'), noFolder)).rejects.toMatchObject({
      code: 'backup-not-found',
    });
  });

  test('one that is missing lists what there is', async () => {
    await expect(
      chooseBackup(tools([storeOf('artifacts', [monday])]), wanted('shop-20200101T000000Z'), noFolder),
    ).rejects.toMatchObject({
      code: 'backup-not-found',
      hint: expect.stringContaining(monday.name) as unknown as string,
    });
  });
});
