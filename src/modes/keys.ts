import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { checkSeal } from '../archive/encrypted.ts';
import type { Manifest } from '../archive/manifest.ts';
import { decryptWith, type ByteTransform, type Decryption, type Encryption } from '../encryption/encryption.ts';
import { checkPassphrase, parseIdentities, parseRecipients, recipientsOf, type Identity } from '../encryption/keys.ts';
import { CaretakerError, messageOf } from '../errors.ts';
import type { Log } from '../report/log.ts';
import { readStateFile } from '../safety/state-directory.ts';
import type { SecretSetting, Settings } from '../settings/settings.ts';
import { fileError, writeAtomic } from '../system/files.ts';
import type { Store } from '../stores/store.ts';
import type { Tools } from './tools.ts';

/** What this run encrypts with, and what it may decrypt with. */
export interface Keys {
  /** Undefined: backups are not encrypted. */
  readonly encryption: Encryption | undefined;
  readonly identities: readonly Identity[];
  readonly passphrase: string | undefined;
}

/** Reads the secrets' files, and masks what is secret. Throws `identity-unreadable`, `passphrase-weak`, `file-operation-failed`. */
export async function openKeys(settings: Settings, log: Log): Promise<Keys> {
  const encryption = 'encryption' in settings ? settings.encryption : undefined;
  const decryption = 'decryption' in settings ? settings.decryption : undefined;
  const setting = encryption !== undefined && 'passphrase' in encryption ? encryption : decryption;
  const passphrase = setting?.passphrase && checkPassphrase(await secretOf(setting.passphrase, log));
  if (passphrase !== undefined) log.mask(passphrase);
  const identities =
    decryption?.identity === undefined ? [] : parseIdentities(await secretOf(decryption.identity, log));
  for (const identity of identities) log.mask(identity.reveal());
  if (encryption === undefined) return { encryption, identities, passphrase };
  const how =
    'recipients' in encryption
      ? { recipients: parseRecipients(encryption.recipients.join('\n')) }
      : { passphrase: passphrase! };
  return { encryption: how, identities, passphrase };
}

async function secretOf(secret: SecretSetting, log: Log): Promise<string> {
  if ('text' in secret) return secret.text;
  const { file } = secret;
  try {
    if (((await stat(file)).mode & 0o077) !== 0)
      log.warn(`${file} holds a secret, and other users may open it: chmod 600 ${file}`);
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    throw fileError(`read ${file}`, error);
  }
}

/**
 * What decrypts the parts of this backup; undefined where they are not encrypted. Before anything is fetched it is certain that the key fits, and that the manifest is the one that was
 * made with its parts. Throws `identity-missing`, `passphrase-missing`, and what `checkSeal` throws.
 */
export async function unlock({ keys }: Pick<Tools, 'keys'>, manifest: Manifest): Promise<ByteTransform | undefined> {
  if (manifest.encryption === null) return undefined;
  const decryption = decryptionFor(keys, manifest, manifest.encryption.recipients);
  await checkSeal(manifest, decryption);
  return decryptWith(decryption);
}

/** An older backup may be plain; so may one be that was put in the place of another, which only the key would have told. What never left this host is plain always. */
export function warnOfPlain({ keys, local, recorder }: Tools, manifest: Manifest, store: Store): void {
  const hasKey = keys.identities.length > 0 || keys.passphrase !== undefined;
  const isLocal = store === local || (store.directory !== undefined && store.directory === local.directory);
  if (!hasKey || isLocal || manifest.encryption !== null) return;
  recorder.warn(
    `${manifest.name} is not encrypted, although a key is given to decrypt: whoever can write to ${store.name} may have made it. Use it only if it was taken before your backups were encrypted.`,
  );
}

function decryptionFor(
  { identities, passphrase }: Keys,
  { name }: Manifest,
  recipients: readonly string[],
): Decryption {
  if (recipients.length === 0) {
    if (passphrase !== undefined) return { passphrase };
    throw new CaretakerError('passphrase-missing', `${name} is encrypted with a passphrase, and none is given`, {
      input: 'passphrase',
      hint: 'Give the passphrase with which it was encrypted: the input passphrase, CARETAKER_PASSPHRASE, or passphrase-file.',
    });
  }
  const [first, ...others] = identities;
  if (first !== undefined) return { identities: [first, ...others] };
  throw new CaretakerError('identity-missing', `${name} is encrypted, and no identity is given`, {
    input: 'identity',
    hint: `Give the private key that belongs to ${recipients.join(' or ')}: the input identity, CARETAKER_IDENTITY, or identity-file.`,
  });
}

/** `.caretaker/proven-keys.json`: when something was last decrypted on this host, by public key; `passphrase` for passphrases. */
interface ProvenKeys {
  readonly keys: Readonly<Record<string, string>>;
}

const fileIn = (stateDirectory: string): string => path.join(stateDirectory, 'proven-keys.json');

async function provenKeys(stateDirectory: string): Promise<ProvenKeys['keys']> {
  const found = await readStateFile<ProvenKeys>(
    fileIn(stateDirectory),
    ({ keys }) => typeof keys === 'object' && keys !== null,
    'Without it backups warn until the next drill that no key was proven.',
  );
  return found?.keys ?? {};
}

/** That what this run was given has decrypted all of this backup. */
export async function noteProven(tools: Tools, manifest: Manifest): Promise<void> {
  await note(tools, manifest).catch((error: unknown) => {
    tools.recorder.warn(`That the key of ${manifest.name} works can't be noted: ${messageOf(error)}`);
  });
}

async function note({ keys, project, clock }: Tools, { encryption }: Manifest): Promise<void> {
  if (encryption === null) return;
  const ours = (await recipientsOf(keys.identities)).map(({ text }) => text);
  const used =
    encryption.recipients.length === 0 ? ['passphrase'] : encryption.recipients.filter((key) => ours.includes(key));
  const at = clock.now().toISOString();
  const proven = { ...(await provenKeys(project.stateDirectory)), ...Object.fromEntries(used.map((key) => [key, at])) };
  await writeAtomic(fileIn(project.stateDirectory), `${JSON.stringify({ keys: proven }, null, 2)}\n`);
}

/** A key that was lost, or never was what somebody thought, is found out when it is needed: unless somebody tries it before. */
export async function warnOfUnproven({ keys, project, recorder }: Tools): Promise<void> {
  const { encryption } = keys;
  if (encryption === undefined) return;
  const needed = 'recipients' in encryption ? encryption.recipients.map(({ text }) => text) : ['passphrase'];
  const proven = await provenKeys(project.stateDirectory);
  const unproven = needed.filter((key) => !Object.hasOwn(proven, key));
  if (unproven.length === 0) return;
  const what =
    'recipients' in encryption
      ? `the ${unproven.length === 1 ? 'identity' : 'identities'} of ${unproven.join(', ')}`
      : 'the passphrase';
  recorder.warn(
    `Nothing was ever decrypted on this host with ${what}: a key that is lost makes every backup worthless. Hold a drill (mode verify) with it.`,
  );
}
