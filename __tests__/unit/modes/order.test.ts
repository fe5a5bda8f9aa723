import path from 'node:path';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { timeOfNext } from '../../../src/modes/order.ts';
import { chooseBackup } from '../../../src/modes/choose.ts';
import type { Tools } from '../../../src/modes/tools.ts';
import { silentLog } from '../../../src/report/silent.ts';
import { parseBackupChoice } from '../../../src/settings/backup-choice.ts';
import { createFolderStore } from '../../../src/stores/folder.ts';
import type { Store } from '../../../src/stores/store.ts';
import { makeBackup } from '../../contract/stores/backup-files.ts';
import { putAll } from '../../contract/stores/store-contract.ts';
import { temporaryDirectories } from '../system/temporary.ts';

const temporary = temporaryDirectories();

let folder: string;
let store: Store;
let now: Date;
let warnings: string[];
let tools: Tools;

beforeEach(() => {
  folder = temporary();
  const log = silentLog();
  store = createFolderStore({ directory: path.join(folder, 'backups'), log });
  warnings = [];
  tools = {
    keys: { encryption: undefined, identities: [], passphrase: undefined },
    project: { name: 'shop', directory: '/srv/shop' },
    stores: [store],
    local: createFolderStore({ directory: path.join(folder, 'safety'), log }),
    clock: { now: () => now },
    recorder: { warn: (line: string) => warnings.push(line) },
    log,
  } as unknown as Tools;
});

/** One backup as a run makes it when the clock says so; its name. */
async function backupAt(clock: string): Promise<string> {
  now = new Date(clock);
  const made = await makeBackup(temporary(), 'shop', await timeOfNext(tools));
  await putAll(store, made.files);
  return made.name;
}

async function latest(): Promise<string> {
  const choice = parseBackupChoice('latest')!;
  return (await chooseBackup(tools, choice, () => store)).backup.name;
}

describe('the order of backups', () => {
  test('is that in which they were made, though the clock goes back, stands still or leaps a day ahead', async () => {
    const made: string[] = [];
    const clocks = ['10:00:00', '09:00:00', '09:00:00.500', '09:00:00.900', '10:00:02', '14:00:00', '02:00:00'];
    for (const time of clocks) {
      made.push(await backupAt(`2026-11-24T${time}Z`));
      expect(await latest()).toBe(made.at(-1));
    }
    made.push(await backupAt('2026-11-25T13:00:00Z'));
    expect((await store.list('shop')).map(({ name }) => name)).toEqual(made.toReversed());
    expect(made.slice(0, 3)).toEqual(['shop-20261124T100000Z', 'shop-20261124T100001Z', 'shop-20261124T100002Z']);
    expect(warnings.filter((line) => line.includes('The clock was set back since shop-20261124T100000Z'))).toHaveLength(1); // prettier-ignore
  });

  test('goes on behind the newest where the clock has not been set yet', async () => {
    const made = [await backupAt('2026-11-24T10:00:00Z'), await backupAt('1970-01-01T00:00:20Z')];
    expect(made[1]).toBe('shop-20261124T100001Z');
    expect(warnings.join()).toContain('and today is 1970-01-01');
    made.push(await backupAt('2026-11-25T10:00:00Z'));
    expect((await store.list('shop')).map(({ name }) => name)).toEqual(made.toReversed());
  });

  test('has no two of one second: the second run gets the next one, without a warning', async () => {
    expect(await backupAt('2026-11-24T10:00:00.100Z')).toBe('shop-20261124T100000Z');
    expect(await backupAt('2026-11-24T10:00:00.700Z')).toBe('shop-20261124T100001Z');
    expect(await backupAt('2026-11-24T10:00:05.000Z')).toBe('shop-20261124T100005Z');
    expect(warnings).toEqual([]);
  });

  test('of two hosts that share a folder, the second of one second is refused, and the first stays whole', async () => {
    now = new Date('2026-11-24T10:00:00Z');
    const [one, other] = await Promise.all(
      ['rows of one', 'rows of the other'].map(async (rows) =>
        makeBackup(temporary(), 'shop', await timeOfNext(tools), { database: Buffer.from(rows) }),
      ),
    );
    await putAll(store, one!.files);
    await expect(putAll(store, other!.files)).rejects.toMatchObject({
      code: 'store-exists',
      hint: expect.stringContaining('in the same second'),
    });
    expect(await store.readManifest((await store.list())[0]!)).toMatchObject({ digest: one!.manifest.digest });
  });

  test('is not decided by one that a wrong clock dated a year ahead: it is told of, and latest is not guessed', async () => {
    await backupAt('2026-11-23T10:00:00Z');
    const ahead = await backupAt('2027-11-23T10:00:00Z');
    const real = await backupAt('2026-11-24T10:00:00Z');
    expect(real).toBe('shop-20261124T100000Z');
    expect(warnings.join()).toContain(
      `${ahead} (folder ${store.directory}) is dated 2027-11-23, and today is 2026-11-24`,
    );
    await expect(latest()).rejects.toMatchObject({
      code: 'backup-ambiguous',
      message: expect.stringContaining(ahead),
      hint: expect.stringContaining(real),
    });
    const named = await chooseBackup(tools, parseBackupChoice(real)!, () => store);
    expect(named.backup.name).toBe(real);
    await store.delete((await store.list())[0]!, undefined);
    expect(await latest()).toBe(real);
  });

  test('and the only backup there is, is the latest on a host whose clock is not set', async () => {
    const only = await backupAt('2026-11-23T10:00:00Z');
    now = new Date('1970-01-01T00:01:00Z');
    expect(await latest()).toBe(only);
  });

  test('is not asked of a folder that can’t be read: the backup is made all the same', async () => {
    const broken: Store = {
      ...store,
      kind: 'folder',
      name: 'folder /mnt',
      list: () => Promise.reject(new Error('gone')),
    };
    now = new Date('2026-11-24T10:00:00Z');
    expect(await timeOfNext({ ...tools, stores: [broken] })).toEqual(now);
  });
});
