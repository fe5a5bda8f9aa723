import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { Manifest } from '../../../src/archive/manifest.ts';
import { formatManifest, openManifest, sealManifest } from '../../../src/archive/manifest.ts';
import { partReader } from '../../../src/archive/parts.ts';
import type { Encryption } from '../../../src/encryption/encryption.ts';
import { generateIdentity, parseIdentities, type Identity } from '../../../src/encryption/keys.ts';
import { CaretakerError } from '../../../src/errors.ts';
import { unlock } from '../../../src/modes/keys.ts';
import { dropStrayCopies } from '../../../src/modes/outgoing.ts';
import { Recorder } from '../../../src/modes/recorder.ts';
import type { Tools } from '../../../src/modes/tools.ts';
import { forwardActions, undoActions } from '../../../src/modes/undo.ts';
import { checkStores, queueBackup, storeUnstored, unstored, whatWaits } from '../../../src/modes/unstored.ts';
import { createFolderStore } from '../../../src/stores/folder.ts';
import type { LocalFile, Store } from '../../../src/stores/store.ts';
import { systemClock } from '../../../src/system/system-clock.ts';
import { localFile, makeBackup } from '../../contract/stores/backup-files.ts';
import { silentLog } from '../../contract/stores/silent-log.ts';
import { failure, putAll } from '../../contract/stores/store-contract.ts';
import { temporaryDirectories } from '../system/temporary.ts';

const temporary = temporaryDirectories();

let state: string;
/** Names of the stores that are away, and what each says of it. */
let away: Map<string, CaretakerError>;
/** What was asked of the stores, in order. */
let asked: string[];
let tools: Tools;

const gone = new CaretakerError('store-unreachable', 'failed to write: nobody answers', { hint: 'Look there.' });
const safety = (): string => path.join(state, 'safety');

/** A folder that notes what is asked of it, and fails while it is away. */
function storeAt(at: string, mayList = true): Store {
  const folder = createFolderStore({ directory: path.join(state, at), name: at, log: silentLog().log });
  const ask = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    asked.push(`${at}: ${what}`);
    const error = away.get(at);
    if (error !== undefined) throw error;
    return work();
  };
  return Object.assign(Object.create(folder) as Store, {
    name: at,
    check: (purpose: 'write' | 'write-encrypted') =>
      ask(purpose === 'write' ? 'check' : 'check encrypted', () => folder.check(purpose)),
    put: (file: LocalFile) => ask(`put ${file.name}`, () => folder.put(file)),
    list: (project: string) => {
      if (mayList) return folder.list(project);
      return Promise.reject(new CaretakerError('store-denied', 'no permission'));
    },
    takeBack: (files: readonly string[]) => folder.takeBack(files),
    readManifest: (backup: Parameters<Store['readManifest']>[0]) => folder.readManifest(backup),
  });
}

beforeEach(() => {
  state = temporary();
  away = new Map();
  asked = [];
  const { log } = silentLog();
  tools = {
    project: { name: 'shop', stateDirectory: state },
    keys: { encryption: undefined, identities: [], passphrase: undefined },
    run: '20261129t000000z-0001',
    stores: [storeAt('one'), storeAt('two')],
    local: createFolderStore({ directory: safety(), log }),
    recorder: new Recorder({ ...log, group: (_name, work) => work() }, systemClock),
    log,
    clock: systemClock,
    signal: new AbortController().signal,
  } as unknown as Tools;
});

/** A backup of that day that waits for both stores, on this host. */
async function waiting(day: number, reason: Manifest['reason'] = 'backup'): Promise<string> {
  const made = await makeBackup(temporary(), 'shop', new Date(Date.UTC(2026, 10, day)));
  const [part, instructions, manifest] = made.files as [LocalFile, LocalFile, LocalFile];
  const text = formatManifest(sealManifest({ ...made.manifest, reason }));
  writeFileSync(manifest.path, text);
  await putAll(tools.local, [part, instructions, localFile(manifest.path, text)]);
  await queueBackup(state, { backup: made.name, stores: ['one', 'two'] });
  return made.name;
}

const inStore = (at: string): string[] => {
  const names = existsSync(path.join(state, at)) ? readdirSync(path.join(state, at)) : [];
  return names.filter((name) => name.endsWith('.manifest.json')).map((name) => name.split('.', 1)[0] ?? '');
};
const manifestsPut = (at: string): string[] =>
  asked.flatMap((line) => new RegExp(`^${at}: put (.*)\\.manifest\\.json$`).exec(line)?.[1] ?? []);
const store = (own?: string, onFailure: 'fail' | 'warn' = 'fail'): Promise<void> =>
  storeUnstored(tools, { own, onFailure });

describe('what waits and must not leave this host as it is', () => {
  const inFolder = (at: string): string[] => readdirSync(path.join(state, at)).filter((name) => /zst/.test(name));
  const outgoing = (): string[] =>
    existsSync(path.join(state, 'outgoing')) ? readdirSync(path.join(state, 'outgoing')) : [];
  const digest = (at: string, file: string): string =>
    createHash('sha256')
      .update(readFileSync(path.join(state, at, file)))
      .digest('hex');
  const with_ = (encryption: Encryption | undefined): void => {
    tools = { ...tools, keys: { encryption, identities: [], passphrase: undefined } };
  };
  let encryption: Encryption;
  let identity: Identity;

  beforeAll(async () => {
    const pair = await generateIdentity(new Date());
    encryption = { recipients: [pair.recipient] };
    [identity] = parseIdentities(pair.text);
  });

  test('goes as one encrypted copy for all stores, also for one that was away; on this host it stays plain', async () => {
    const name = await waiting(1, 'before-update');
    with_(encryption);
    away.set('two', gone);
    await store(name, 'warn');
    expect([inFolder('one'), inFolder('safety')]).toEqual([
      [`${name}.database.tar.zst.age`],
      [`${name}.database.tar.zst`],
    ]);
    expect(asked).toContain('one: check encrypted');
    expect(outgoing()).toEqual([name]);
    // The next run may have no key: the copy is made.
    away.clear();
    with_(undefined);
    await store();
    expect(await unstored(state)).toEqual([]);
    const file = `${name}.database.tar.zst.age`;
    expect(digest('two', file)).toBe(digest('one', file));
    expect(outgoing()).toEqual([]);
    expect(inStore('safety')).toEqual([name]);

    const manifest = openManifest(readFileSync(path.join(state, 'two', `${name}.manifest.json`), 'utf8'));
    const unlocked = await unlock(
      { keys: { encryption: undefined, identities: [identity], passphrase: undefined } },
      manifest,
    );
    const read = partReader(path.join(state, 'two'), unlocked);
    // What makeBackup writes is not compressed: only the encryption is looked at here.
    await expect(
      (async () => {
        for await (const chunk of read(manifest.parts[0]!.files[0]!)) void chunk;
      })(),
    ).rejects.toMatchObject({
      code: 'part-damaged',
      message: expect.stringMatching(/zstd|frame|Unknown|prefix/i),
    });
  });

  test('waits where this run has no key, and nothing of it is asked of a store', async () => {
    const name = await waiting(1);
    await requeueEncrypted(name);
    const error = await failure(store(name));
    expect(error).toMatchObject({
      code: 'backup-unstored',
      message: expect.stringContaining('encryption-missing'),
    });
    expect(asked.filter((line) => line.includes('put'))).toEqual([]);
    expect([inStore('one'), inStore('safety')]).toEqual([[], [name]]);

    with_(encryption);
    await store();
    expect([inFolder('one'), inStore('safety'), await unstored(state)]).toEqual([
      [`${name}.database.tar.zst.age`],
      [],
      [],
    ]);
  });

  test('is encrypted anew where a killed run left half a copy, and copies that wait for nothing go', async () => {
    const name = await waiting(1);
    await requeueEncrypted(name);
    for (const one of [name, 'shop-20260101T000000Z']) {
      mkdirSync(path.join(state, 'outgoing', one), { recursive: true });
      writeFileSync(path.join(state, 'outgoing', one, `${one}.database.tar.zst.age`), 'half');
    }
    await dropStrayCopies(state, [name]);
    expect(outgoing()).toEqual([name]);
    with_(encryption);
    await store();
    expect([inStore('one'), outgoing()]).toEqual([[name], []]);
  });

  async function requeueEncrypted(name: string): Promise<void> {
    rmSync(path.join(state, 'unstored.json'));
    await forwardActions(() => tools)['store-backup']!({ backup: name, stores: ['one', 'two'], encrypted: true });
    expect(await unstored(state)).toEqual([{ backup: name, stores: ['one', 'two'], encrypted: true }]);
  }
});

describe('what waits for its stores', () => {
  test('is stored oldest first, and then leaves the queue; a backup for the stores alone leaves the host', async () => {
    const [first, second, own] = [await waiting(1), await waiting(2, 'before-update'), await waiting(3)];
    await store(own);
    expect(manifestsPut('one')).toEqual([first, second, own]);
    expect(inStore('two')).toEqual([first, second, own]);
    expect(existsSync(path.join(state, 'unstored.json'))).toBe(false);
    expect(inStore('safety')).toEqual([second]);
    expect(readdirSync(safety()).every((name) => name.startsWith(`${second}.`))).toBe(true);
    // For the report: the places of what this run has made.
    expect(tools.recorder.stored.map(({ name }) => name)).toEqual(['one', 'two']);
    expect(tools.recorder.warnings).toEqual([]);
  });

  test('waits on where one store is away, and the run fails and says where it lies', async () => {
    const [earlier, own] = [await waiting(1), await waiting(2)];
    away.set('two', gone);
    const error = await failure(store(own));
    expect(error).toMatchObject({ code: 'backup-unstored', hint: 'Look there.', cause: gone });
    expect(error.message).toBe(
      `${own} could not be stored in two: ${gone.message} (store-unreachable). It lies whole in ${safety()} on this host, and the next backup or update with that store stores it`,
    );
    expect(tools.recorder.warnings).toEqual([
      `${earlier} waits on this host for two: ${gone.message} (store-unreachable).`,
    ]);
    expect(await unstored(state)).toEqual([earlier, own].map((backup) => ({ backup, stores: ['two'] })));
    expect([inStore('one'), inStore('safety')]).toEqual([
      [earlier, own],
      [earlier, own],
    ]);
    // Asked once, not for each.
    expect(asked.filter((line) => line.startsWith('two'))).toEqual(['two: check']);

    away.clear();
    asked = [];
    await store();
    expect(manifestsPut('two')).toEqual([earlier, own]);
    expect(asked.filter((line) => line.startsWith('one'))).toEqual([]);
    expect([await unstored(state), inStore('safety')]).toEqual([[], []]);
  });

  test('is only warned of where that is enough, and where an earlier run left it', async () => {
    const own = await waiting(1);
    away.set('one', gone).set('two', gone);
    await store(own, 'warn');
    expect(tools.recorder.warnings).toEqual([
      expect.stringMatching(/ could not be stored in one: .*; two: .*It lies whole in .*stores it\.$/),
    ]);
    await store();
    expect(tools.recorder.warnings.slice(1)).toEqual(
      ['one', 'two'].map((at) => `${own} waits on this host for ${at}: ${gone.message} (store-unreachable).`),
    );
  });

  test('is not stored twice: a store is asked whether it has what an earlier run queued', async () => {
    const earlier = await waiting(1);
    away.set('two', gone);
    await store();
    // As if the run had been killed before it noted it.
    await requeued(earlier);
    away.clear();
    asked = [];
    await store();
    expect([manifestsPut('one'), manifestsPut('two')]).toEqual([[], [earlier]]);
    expect(inStore('safety')).toEqual([]);
  });

  test('is stored again where nobody may ask, which no store shows twice', async () => {
    const earlier = await waiting(1);
    tools = { ...tools, stores: [storeAt('one', false)] };
    await store();
    await requeued(earlier, ['one']);
    await putAll(tools.local, []);
    expect(manifestsPut('one')).toEqual([earlier]);
  });

  test('stays for a store that this run does not have, with a way to give it up', async () => {
    const earlier = await waiting(1);
    tools = { ...tools, stores: tools.stores.slice(0, 1) };
    await store();
    expect(await unstored(state)).toEqual([{ backup: earlier, stores: ['two'] }]);
    expect(inStore('safety')).toEqual([earlier]);
    expect(tools.recorder.warnings).toEqual([
      `${earlier} waits on this host for two, which is not among the stores of this run: the next backup or update with that store stores it. To give it up, take it out of ${path.join(state, 'unstored.json')}.`,
    ]);
    expect(whatWaits(await unstored(state))).toEqual([
      `${earlier} waits on this host for two: the next backup or update with that store stores it.`,
    ]);
  });

  test('is forgotten, with a word, once somebody has removed it', async () => {
    const [removed, next] = [await waiting(1), await waiting(2)];
    for (const name of readdirSync(safety())) if (name.startsWith(removed)) rmSync(path.join(safety(), name));
    await store();
    expect(tools.recorder.warnings).toEqual([
      `there is no backup ${removed} in ${safety()}: one, two will not get it.`,
    ]);
    expect([inStore('one'), await unstored(state)]).toEqual([[next], []]);
  });

  test('is no reason not to store the next one, where it is damaged itself', async () => {
    const [damaged, next] = [await waiting(1), await waiting(2)];
    writeFileSync(path.join(safety(), `${damaged}.database.tar.zst`), 'cut');
    await store();
    expect(inStore('one')).toEqual([next]);
    expect(await unstored(state)).toEqual([{ backup: damaged, stores: ['one', 'two'] }]);
    expect(tools.recorder.warnings[0]).toContain('(store-damaged)');
  });

  test('is not stored where a byte of it was changed on this host, though it has its length', async () => {
    const damaged = await waiting(1);
    const part = path.join(safety(), `${damaged}.database.tar.zst`);
    const bytes = readFileSync(part);
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    writeFileSync(part, bytes);
    await store();
    expect([inStore('one'), tools.recorder.warnings[0]]).toEqual([[], expect.stringContaining('its SHA-256 is not')]);
    expect(await unstored(state)).toHaveLength(1);
  });

  test('is stored again where a part of it was removed from a store that a killed run had reached', async () => {
    const earlier = await waiting(1);
    await store();
    const part = `${earlier}.database.tar.zst`;
    const kept = readFileSync(path.join(state, 'one', part));
    await waiting(1);
    // As an artifact: a folder would not list it any more.
    const [one, two] = tools.stores as [Store, Store];
    const list = async (): ReturnType<Store['list']> =>
      (await one.list('shop')).map((backup) => ({ ...backup, files: backup.files.filter((name) => name !== part) }));
    tools = { ...tools, stores: [Object.assign(Object.create(one) as Store, { list }), two] };
    asked = [];
    await store();
    expect(asked).toContain(`one: put ${part}`);
    expect(readFileSync(path.join(state, 'one', part))).toEqual(kept);
    expect(await unstored(state)).toEqual([]);
  });

  test.each(['{', '{}'])('is no reason not to store the next one, where its manifest is %s', async (text) => {
    const [damaged, next] = [await waiting(1), await waiting(2)];
    writeFileSync(path.join(safety(), `${damaged}.manifest.json`), text);
    await store();
    expect(inStore('one')).toEqual([next]);
    expect(await unstored(state)).toEqual([{ backup: damaged, stores: ['one', 'two'] }]);
    expect(tools.recorder.warnings[0]).toContain("and its manifest can't be read: ");
  });

  test('leaves no half of itself in a store that is full', async () => {
    const own = await waiting(1);
    const [one] = tools.stores as [Store];
    const full = new CaretakerError('store-full', 'no space is left there');
    const put = (file: LocalFile): ReturnType<Store['put']> =>
      file.name.endsWith('.manifest.json') ? Promise.reject(full) : one.put(file);
    tools = { ...tools, stores: [Object.assign(Object.create(one) as Store, { put })] };
    expect(await failure(store(own))).toMatchObject({ code: 'backup-unstored', cause: full });
    expect(readdirSync(path.join(state, 'one'))).toEqual([]);
  });

  test('ends with a run that is cancelled, and waits on', async () => {
    const own = await waiting(1);
    tools = { ...tools, signal: AbortSignal.abort(new CaretakerError('cancelled', 'the run was cancelled')) };
    expect(await failure(store(own))).toMatchObject({ code: 'cancelled' });
    expect(await unstored(state)).toHaveLength(1);
  });

  test('goes from the host after a kill between the last store and that', async () => {
    const earlier = await waiting(1);
    rmSync(path.join(safety(), `${earlier}.manifest.json`));
    writeFileSync(path.join(state, 'unstored.json'), JSON.stringify([{ backup: earlier, stores: [] }]));
    await store();
    expect([readdirSync(safety()), await unstored(state), tools.recorder.warnings]).toEqual([[], [], []]);
  });
});

async function requeued(backup: string, stores = ['one', 'two']): Promise<void> {
  rmSync(path.join(state, 'unstored.json'), { force: true });
  await queueBackup(state, { backup, stores });
}

describe('the queue', () => {
  test('takes a backup once, and none for no store', async () => {
    const entry = { backup: 'shop-20261101T000000Z', stores: ['one'] };
    await queueBackup(state, entry);
    await queueBackup(state, { ...entry, stores: ['two'] });
    await queueBackup(state, { backup: 'shop-20261102T000000Z', stores: [] });
    expect(await unstored(state)).toEqual([entry]);
  });

  test.each(['{', '{}', '[{}]', '[{"backup":"../../etc","stores":[]}]', 'null'])(
    'that somebody has made %s of is refused',
    async (text) => {
      writeFileSync(path.join(state, 'unstored.json'), text);
      const error = await failure(unstored(state));
      expect(error).toMatchObject({ code: 'unstored-damaged' });
      expect(error.hint).toContain(safety());
    },
  );

  test('is filled after a commit by an action that asks no store, also for a journal that names none', async () => {
    away.set('one', gone).set('two', gone);
    const { 'store-backup': action } = forwardActions(() => tools);
    await action?.({ backup: 'shop-20261101T000000Z', stores: ['three'] });
    await action?.({ backup: 'shop-20261101T000000Z', stores: ['three'] });
    await action?.({ backup: 'shop-20261102T000000Z' });
    expect(await unstored(state)).toEqual([
      { backup: 'shop-20261101T000000Z', stores: ['three'] },
      { backup: 'shop-20261102T000000Z', stores: ['one', 'two'] },
    ]);
    expect(asked).toEqual([]);
  });

  test('never gets a backup that was not committed: what of it is on the host goes', async () => {
    const name = await waiting(1);
    const patience = { healthTimeoutMs: 0, settleMs: 0 };
    const { 'drop-backup': action } = undoActions(() => tools, patience);
    await action?.({ backup: name });
    await action?.({ backup: name });
    expect(readdirSync(safety())).toEqual([]);
  });
});

describe('before anything is touched', () => {
  test.each(['store-unreachable', 'store-full'])('a store with %s is waited for, where that will do', async (code) => {
    away.set('one', new CaretakerError(code, 'away'));
    await checkStores(tools, { wait: true });
    expect(asked).toEqual(['one: check', 'two: check']);
    expect(await failure(checkStores(tools, { wait: false }))).toMatchObject({ code });
  });

  test('a path that can’t be right is refused, whatever it is called', async () => {
    away.set('one', new CaretakerError('store-unreachable', '/none does not exist', { input: 'store' }));
    expect(await failure(checkStores(tools, { wait: true }))).toMatchObject({ code: 'store-unreachable' });
  });

  test.each(['store-denied', 'store-unsupported', 'artifact-public'])('%s is refused', async (code) => {
    away.set('two', new CaretakerError(code, 'mend it'));
    expect(await failure(checkStores(tools, { wait: true }))).toMatchObject({ code });
  });
});
