import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { checkSeal, decryptFile, encryptFile, sealEncrypted } from '../../../src/archive/encrypted.ts';
import { formatManifest, openManifest } from '../../../src/archive/manifest.ts';
import { generateIdentity, parseIdentities } from '../../../src/encryption/keys.ts';
import { temporaryDirectories } from '../system/temporary.ts';
import { sampleManifest } from './sample-manifest.ts';

const temporary = temporaryDirectories();

async function keys() {
  const { text, recipient } = await generateIdentity(new Date());
  return { encryption: { recipients: [recipient] as const }, decryption: { identities: parseIdentities(text) } };
}

/** What a manifest says of it. */
const known = (file: string): { sha256: string } => ({
  sha256: createHash('sha256').update(readFileSync(file)).digest('hex'),
});

test('what was changed since it was verified is not encrypted', async () => {
  const directory = temporary();
  const [plain, sealed] = ['a', 'a.age'].map((name) => path.join(directory, name)) as [string, string];
  writeFileSync(plain, 'as it was');
  const was = known(plain);
  writeFileSync(plain, 'as it is!');
  await expect(encryptFile(plain, sealed, (await keys()).encryption, was)).rejects.toMatchObject({ code: 'store-damaged' }); // prettier-ignore
  expect(existsSync(sealed)).toBe(false);
});

test('a file goes to one that only its recipient opens, and comes back as it was', async () => {
  const directory = temporary();
  const { encryption, decryption } = await keys();
  const [plain, sealed, back] = ['a.zst', 'a.zst.age', 'back'].map((name) => path.join(directory, name)) as [string, string, string]; // prettier-ignore
  const content = randomBytes(300_000);
  writeFileSync(plain, content);
  const written = await encryptFile(plain, sealed, encryption, known(plain));
  expect(written.bytes).toBe(statSync(sealed).size);
  expect(statSync(sealed).mode & 0o777).toBe(0o600);
  expect(readFileSync(sealed).includes(content.subarray(1000, 1100))).toBe(false);
  await decryptFile(sealed, back, decryption);
  expect(readFileSync(back)).toEqual(content);
  await expect(decryptFile(sealed, path.join(directory, 'other'), (await keys()).decryption)).rejects.toMatchObject({ code: 'identity-wrong' }); // prettier-ignore
  expect(existsSync(path.join(directory, 'other'))).toBe(false);
});

test('one that was changed or cut off leaves nothing behind', async () => {
  const directory = temporary();
  const { encryption, decryption } = await keys();
  const [plain, sealed, back] = ['a', 'a.age', 'back'].map((name) => path.join(directory, name)) as [string, string, string]; // prettier-ignore
  writeFileSync(plain, randomBytes(200_000));
  await encryptFile(plain, sealed, encryption, known(plain));
  const whole = readFileSync(sealed);
  const changed = Buffer.from(whole);
  changed[150_000] = (changed[150_000] as number) ^ 1;
  for (const bad of [changed, whole.subarray(0, -1), Buffer.concat([whole, Buffer.of(0)])]) {
    writeFileSync(sealed, bad);
    await expect(decryptFile(sealed, back, decryption)).rejects.toMatchObject({ code: 'decryption-failed' });
    expect(existsSync(back)).toBe(false);
  }
});

test('never writes over a file that is there', async () => {
  const directory = temporary();
  const { encryption } = await keys();
  writeFileSync(path.join(directory, 'a'), 'a');
  writeFileSync(path.join(directory, 'b'), 'b');
  await expect(encryptFile(path.join(directory, 'a'), path.join(directory, 'b'), encryption, known(path.join(directory, 'a')))).rejects.toMatchObject({ code: 'file-operation-failed' }); // prettier-ignore
  expect(readFileSync(path.join(directory, 'b'), 'utf8')).toBe('b');
});

test('a manifest tells by its seal when another was put in its place', async () => {
  const { encryption, decryption } = await keys();
  const plain = sampleManifest();
  const sealed = openManifest(formatManifest(await sealEncrypted(plain, encryption)));
  expect(sealed.encryption?.recipients).toEqual(encryption.recipients.map(({ text }) => text));
  await checkSeal(sealed, decryption);
  // Whoever can write to the store can make a manifest with a digest of its own that fits, and take the seal of the old one.
  const other = await sealEncrypted({ ...plain, host: 'elsewhere' }, (await keys()).encryption);
  const { seal } = sealed.encryption ?? { seal: '' };
  const forged = openManifest(formatManifest({ ...other, encryption: { ...other.encryption!, seal } }));
  await expect(checkSeal(forged, decryption)).rejects.toMatchObject({ code: 'manifest-unsealed' });
  await expect(checkSeal(other, decryption)).rejects.toMatchObject({ code: 'identity-wrong' });
  const damaged = { ...sealed, encryption: { ...sealed.encryption!, seal: seal.slice(0, -8) } };
  await expect(checkSeal(damaged, decryption)).rejects.toMatchObject({ code: 'manifest-unsealed' });
});
