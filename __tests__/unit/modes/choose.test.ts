import { describe, expect, test } from '@jest/globals';
import { hostname } from 'node:os';
import { chooseBackup } from '../../../src/modes/choose.ts';
import { sealManifest, type Manifest } from '../../../src/archive/manifest.ts';
import type { Tools } from '../../../src/modes/tools.ts';
import { parseBackupChoice, type BackupChoice } from '../../../src/settings/backup-choice.ts';
import type { Store, StoredBackup } from '../../../src/stores/store.ts';
import { NAME, sampleManifest } from '../archive/sample-manifest.ts';

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
    files: [],
    proofs: [],
  };
}

/** Of a backup that was made on this host, unless told. */
const manifestOf = (name: string, overrides: Partial<Manifest> = {}): Manifest => {
  const sample = sampleManifest({ host: hostname(), projectDirectory: '/srv/shop', ...overrides });
  return sealManifest(JSON.parse(JSON.stringify(sample).replaceAll(NAME, name)) as Manifest);
};

/** A store that holds these backups and remembers what it was asked for. */
function storeOf(name: string, backups: StoredBackup[]): Store {
  return {
    kind: 'folder',
    name,
    check: () => Promise.resolve(),
    put: () => Promise.reject(new Error('choosing stores nothing')),
    takeBack: () => Promise.reject(new Error('choosing takes nothing back')),
    list: (project) => Promise.resolve(backups.filter((one) => project === undefined || one.project === project)),
    readManifest: ({ name }) => Promise.resolve(manifestOf(name)),
    fetch: () => Promise.reject(new Error('choosing fetches nothing')),
    keepProof: () => Promise.reject(new Error('choosing keeps nothing')),
    delete: () => Promise.reject(new Error('choosing deletes nothing')),
  };
}

const monday = backup('shop-20261116T220000Z', '2026-11-16T22:00:00Z', 1);
const tuesday = backup('shop-20261117T220000Z', '2026-11-17T22:00:00Z', 2);
const safety = backup('shop-20261118T100000Z', '2026-11-18T10:00:00Z');

const warnings: string[] = [];
function tools(stores: Store[], keys: Partial<Tools['keys']> = {}): Tools {
  return {
    keys: { encryption: undefined, identities: [], passphrase: undefined, ...keys },
    recorder: { warn: (line: string) => warnings.push(line) },
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

  test('a plain backup out of a store is told of where a key is given, and no safety backup is', async () => {
    const key = { passphrase: 'six random words are better' };
    const stores = [storeOf('artifacts', [monday])];
    warnings.length = 0;
    await chooseBackup(tools(stores), wanted('latest'), noFolder);
    await chooseBackup(tools(stores, key), wanted(safety.name), noFolder);
    expect(warnings).toEqual([]);
    await chooseBackup(tools(stores, key), wanted('latest'), noFolder);
    await chooseBackup(tools(stores, { identities: [{}] as unknown as Tools['keys']['identities'] }), wanted('latest'), noFolder); // prettier-ignore
    const [first, ...others] = warnings;
    expect(first).toMatch(
      / is not encrypted, although a key is given to decrypt: whoever can write to artifacts may have made it/,
    );
    expect(others).toEqual([first]);
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
        Promise.resolve(
          name === broken.name ? {} : manifestOf(name, { version: versions[name] as Manifest['version'] }),
        ),
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

  describe('that another host made, which stores under the same project name', () => {
    const wednesday = backup('shop-20261118T220000Z', '2026-11-18T22:00:00Z');
    /** Monday's is ours where `ours` says so, the others are theirs. */
    function shared(ours: boolean, others: StoredBackup[] = []): { store: Store; read: string[] } {
      const read: string[] = [];
      const readManifest = ({ name }: StoredBackup): Promise<unknown> => {
        read.push(name);
        const theirs = { host: 'server2', projectDirectory: '/srv/shop' };
        return Promise.resolve(manifestOf(name, ours && name === monday.name ? {} : theirs));
      };
      return { store: { ...storeOf('artifacts', [wednesday, ...others, tuesday, monday]), readManifest }, read };
    }
    const warned = `was made on server2, in /srv/shop, and not here (on ${hostname()}, in /srv/shop).`;
    const inPlace = { inPlace: true };

    test.each([
      ['latest', wednesday],
      ['before=2026-11-18', tuesday],
      ['1d', tuesday],
      ['version=v1.2.3', wednesday],
    ])(
      '%s is refused where live data would be replaced and there are own ones, and both are named',
      async (text, theirs) => {
        await expect(chooseBackup(tools([shared(true).store]), wanted(text), noFolder, inPlace)).rejects.toMatchObject({
          code: 'backup-ambiguous',
          message: `"${text}" means ${theirs.name} (artifacts), which was made on server2, in /srv/shop, and there are others that were made here, on ${hostname()}, in /srv/shop: ${monday.name}`,
          hint: expect.stringContaining(tuesday.name) as unknown,
        });
      },
    );

    test('is taken where it is named, or its run', async () => {
      warnings.length = 0;
      for (const text of [wednesday.name, '2']) {
        const { backup } = await chooseBackup(tools([shared(true).store]), wanted(text), noFolder, inPlace);
        expect(backup.name).toBe(text === '2' ? tuesday.name : text);
      }
      expect(warnings).toEqual([]);
    });

    test('is taken with a warning where there are none of this host: it has moved, or has a new name', async () => {
      warnings.length = 0;
      const { backup } = await chooseBackup(tools([shared(false).store]), wanted('latest'), noFolder, inPlace);
      expect(backup.name).toBe(wednesday.name);
      expect(warnings).toEqual([`${wednesday.name} ${warned}`]);
    });

    test('is taken with a warning where nothing live is replaced: a drill, a restore elsewhere', async () => {
      warnings.length = 0;
      const { store, read } = shared(true);
      await chooseBackup(tools([store]), wanted('latest'), noFolder);
      expect(warnings).toEqual([`${wednesday.name} ${warned}`]);
      expect(read).toEqual([wednesday.name]);
    });

    test('of a store with thousands of backups few manifests are read', async () => {
      const old = Array.from({ length: 3000 }, (_, minutes) => {
        const at = new Date(Date.UTC(2026, 10, 18, 21) - minutes * 60_000).toISOString();
        return backup(`shop-${at.replaceAll(/[-:]|\.000/g, '')}`, at);
      });
      const { store, read } = shared(false, old);
      await chooseBackup(tools([store, store]), wanted('latest'), noFolder, inPlace);
      expect(read).toHaveLength(21);
      expect(new Set(read).size).toBe(20);
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
