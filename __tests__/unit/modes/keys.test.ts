import { chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { sealEncrypted } from '../../../src/archive/encrypted.ts';
import type { Manifest } from '../../../src/archive/manifest.ts';
import type { Encryption } from '../../../src/encryption/encryption.ts';
import { generateIdentity, parseIdentities, type Identity } from '../../../src/encryption/keys.ts';
import { noteProven, openKeys, unlock, warnOfUnproven, type Keys } from '../../../src/modes/keys.ts';
import { Recorder } from '../../../src/modes/recorder.ts';
import type { Tools } from '../../../src/modes/tools.ts';
import type { Settings } from '../../../src/settings/settings.ts';
import { systemClock } from '../../../src/system/system-clock.ts';
import { makeBackup } from '../../contract/stores/backup-files.ts';
import { silentLog } from '../../contract/stores/silent-log.ts';
import { failure } from '../../contract/stores/store-contract.ts';
import { temporaryDirectories } from '../system/temporary.ts';

const temporary = temporaryDirectories();
const PASSPHRASE = 'six random words are better';

interface Pair {
  readonly text: string;
  readonly identity: Identity;
  readonly recipient: { readonly text: string };
}
let ours: Pair;
let other: Pair;

beforeAll(async () => {
  const [one, two] = [await generateIdentity(new Date()), await generateIdentity(new Date())];
  ours = { ...one, identity: parseIdentities(one.text)[0] };
  other = { ...two, identity: parseIdentities(two.text)[0] };
});

const none: Keys = { encryption: undefined, identities: [], passphrase: undefined };

async function sealed(encryption: Encryption): Promise<Manifest> {
  const { manifest } = await makeBackup(temporary(), 'shop', new Date('2026-11-29T10:00:00Z'));
  return sealEncrypted(manifest, encryption);
}

function toolsWith(keys: Keys, stateDirectory = temporary()): Tools {
  const { log } = silentLog();
  const recorder = new Recorder({ ...log, group: (_name, work) => work() }, systemClock);
  return { keys, project: { stateDirectory }, recorder, log, clock: systemClock } as unknown as Tools;
}

describe('what decrypts a backup', () => {
  test('is nothing for a plain one, and else what its manifest asks for', async () => {
    const { manifest } = await makeBackup(temporary(), 'shop', new Date('2026-11-29T10:00:00Z'));
    expect(await unlock({ keys: none }, manifest)).toBeUndefined();
    const keyed = await sealed({ recipients: [other.recipient, ours.recipient] });
    expect(
      await unlock({ keys: { ...none, identities: [ours.identity], passphrase: PASSPHRASE } }, keyed),
    ).toBeInstanceOf(Function);
    const phrased = await sealed({ passphrase: PASSPHRASE });
    expect(
      await unlock({ keys: { ...none, identities: [ours.identity], passphrase: PASSPHRASE } }, phrased),
    ).toBeInstanceOf(Function);
  });

  test('is missing, or another: known before anything is fetched', async () => {
    const keyed = await sealed({ recipients: [ours.recipient] });
    const missing = await failure(unlock({ keys: { ...none, passphrase: PASSPHRASE } }, keyed));
    expect(missing).toMatchObject({
      code: 'identity-missing',
      input: 'identity',
      hint: expect.stringContaining(ours.recipient.text),
    });
    expect(await failure(unlock({ keys: { ...none, identities: [other.identity] } }, keyed))).toMatchObject({
      code: 'identity-wrong',
    });
    const phrased = await sealed({ passphrase: PASSPHRASE });
    expect(await failure(unlock({ keys: { ...none, identities: [ours.identity] } }, phrased))).toMatchObject({
      code: 'passphrase-missing',
    });
    expect(await failure(unlock({ keys: { ...none, passphrase: 'another passphrase' } }, phrased))).toMatchObject({
      code: 'passphrase-wrong',
    });
  });

  test('does not open a manifest that was put in the place of another', async () => {
    const [one, two] = [await sealed({ recipients: [ours.recipient] }), await sealed({ recipients: [ours.recipient] })];
    const exchanged = {
      ...one,
      host: 'elsewhere',
      digest: two.digest.replace(/^./, (first) => (first === '0' ? '1' : '0')),
    };
    expect(await failure(unlock({ keys: { ...none, identities: [ours.identity] } }, exchanged))).toMatchObject({
      code: 'manifest-unsealed',
    });
  });
});

describe('secrets in files', () => {
  test('are read, masked, and warned of where others can open them', async () => {
    const directory = temporary();
    const [identity, passphrase] = [path.join(directory, 'identity'), path.join(directory, 'passphrase')];
    writeFileSync(identity, ours.text, { mode: 0o600 });
    writeFileSync(passphrase, `${PASSPHRASE}\n`);
    chmodSync(passphrase, 0o644);
    const settings = { mode: 'verify', decryption: { identity: { file: identity }, passphrase: { file: passphrase } } };
    const { log, lines, masked } = silentLog();
    const keys = await openKeys(settings as unknown as Settings, log);
    expect([keys.identities[0]?.reveal(), keys.passphrase]).toEqual([ours.identity.reveal(), PASSPHRASE]);
    expect(masked).toEqual(expect.arrayContaining([ours.identity.reveal(), PASSPHRASE]));
    expect(lines).toEqual([`warn: ${passphrase} holds a secret, and other users may open it: chmod 600 ${passphrase}`]);
  });

  test('that are too short, or no key, or not there are refused', async () => {
    const file = path.join(temporary(), 'secret');
    const open = (mode: 'backup' | 'verify', setting: object): Promise<Keys> =>
      openKeys(
        { mode, ...(mode === 'backup' ? { encryption: setting } : { decryption: setting }) } as unknown as Settings,
        silentLog().log,
      );
    expect(await failure(open('backup', { passphrase: { file } }))).toMatchObject({ code: 'file-operation-failed' });
    writeFileSync(file, 'short');
    expect(await failure(open('backup', { passphrase: { file } }))).toMatchObject({ code: 'passphrase-weak' });
    expect(await failure(open('verify', { identity: { file } }))).toMatchObject({ code: 'identity-unreadable' });
  });
});

describe('a key that was never tried', () => {
  test('is warned of until something was decrypted with it on this host', async () => {
    const encryption: Encryption = { recipients: [ours.recipient, other.recipient] };
    const tools = toolsWith({ ...none, encryption });
    await warnOfUnproven(tools);
    expect(tools.recorder.warnings).toEqual([
      expect.stringMatching(new RegExp(`${ours.recipient.text}, ${other.recipient.text}: .*drill`)),
    ]);

    const { stateDirectory } = tools.project;
    await noteProven(toolsWith({ ...none, identities: [ours.identity] }, stateDirectory), await sealed(encryption));
    const next = toolsWith({ ...none, encryption }, stateDirectory);
    await warnOfUnproven(next);
    expect(next.recorder.warnings.join()).not.toContain(ours.recipient.text);
    expect(next.recorder.warnings.join()).toContain(other.recipient.text);

    await noteProven(toolsWith({ ...none, identities: [other.identity] }, stateDirectory), await sealed(encryption));
    const last = toolsWith({ ...none, encryption }, stateDirectory);
    await warnOfUnproven(last);
    expect(last.recorder.warnings).toEqual([]);
  });

  test('may be a passphrase', async () => {
    const tools = toolsWith({ ...none, encryption: { passphrase: PASSPHRASE } });
    await warnOfUnproven(tools);
    expect(tools.recorder.warnings).toEqual([expect.stringContaining('with the passphrase')]);
  });
});
