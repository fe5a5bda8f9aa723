import { afterAll, describe, expect, jest, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { decryptWith, encryptTo, type Decryption, type Encryption } from '../../../src/encryption/encryption.ts';
import { generateIdentity, parseIdentities, parseRecipients, recipientsOf } from '../../../src/encryption/keys.ts';
import { testHost } from '../as-user.ts';

jest.setTimeout(60_000);

/** The real programs, both ways: Debian's, which knows no post-quantum keys, and the current generation. */
const current = testHost('CARETAKER_TEST_AGE_DIR');
const generations = [
  ['the age of Debian', '/usr/bin', 'x25519'],
  ['the current age', current, 'x25519'],
  ['the current age', current, 'hybrid'],
] as const;

const work = mkdtempSync(path.join(tmpdir(), 'caretaker-age-'));
afterAll(() => rmSync(work, { recursive: true, force: true }));

describe.each(generations)('%s (%s), keys of kind %s', (_, directory, kind) => {
  const age = path.join(directory, 'age');
  const keygen = path.join(directory, 'age-keygen');

  test.each([0, 1, 65_535, 65_536, 65_537, 131_072, 5_000_000])(
    'reads what is encrypted here: %i bytes',
    async (bytes) => {
      const { text, recipient } = await generateIdentity(new Date(), kind);
      const plain = randomBytes(bytes);
      const sealed = await encrypt(plain, { recipients: [recipient] });
      expect(run([age, '--decrypt', '--identity', file('mine', text)], sealed).equals(plain)).toBe(true);
    },
  );

  test.each([0, 1, 65_535, 65_536, 65_537, 131_072, 5_000_000])(
    'writes what is decrypted here: %i bytes',
    async (bytes) => {
      const identities = parseIdentities(newIdentity());
      const [recipient] = await recipientsOf(identities);
      const plain = randomBytes(bytes);
      const sealed = run([age, '--recipient', recipient!.text], plain);
      expect((await decrypt(sealed, { identities })).equals(plain)).toBe(true);
    },
  );

  test('opens with the key of each of several recipients', async () => {
    const texts = [newIdentity(), newIdentity(), (await generateIdentity(new Date(), kind)).text];
    const recipients = parseRecipients(texts.map((text) => /public key: (.*)/.exec(text)![1]!).join('\n'));
    const sealed = await encrypt(Buffer.from('shared'), { recipients });
    const list = file('recipients', recipients.map(({ text }) => text).join('\n'));
    const theirs = run([age, '--recipients-file', list], Buffer.from('theirs'));
    for (const text of texts) {
      expect(run([age, '--decrypt', '--identity', file('one', text)], sealed).toString()).toBe('shared');
      expect((await decrypt(theirs, { identities: parseIdentities(text) })).toString()).toBe('theirs');
    }
  });

  test('finds the same public key in an identity made here, and writes the same text', async () => {
    const { text, recipient } = await generateIdentity(new Date(), kind);
    expect(run([keygen, '-y', file('made-here', text)]).toString()).toBe(`${recipient.text}\n`);
    const shape = (identity: string): string => identity.replaceAll(/[0-9a-z:+]{8,}/gi, '…');
    expect(shape(text)).toBe(shape(newIdentity()));
  });

  test('refuses what was cut off, as it is refused here', async () => {
    const { text, recipient } = await generateIdentity(new Date(), kind);
    const sealed = (await encrypt(randomBytes(200_000), { recipients: [recipient] })).subarray(0, -65_552);
    const { status } = spawnSync(age, ['--decrypt', '--identity', file('cut', text)], { input: sealed });
    expect(status).not.toBe(0);
    await expect(decrypt(sealed, { identities: parseIdentities(text) })).rejects.toMatchObject({
      code: 'decryption-failed',
    });
  });

  function newIdentity(): string {
    return run(kind === 'hybrid' ? [keygen, '-pq'] : [keygen]).toString();
  }
});

describe.each([
  ['the age of Debian', '/usr/bin/age'],
  ['the current age', path.join(current, 'age')],
])('%s, with a passphrase', (_, age) => {
  const passphrase = 'Ångström & battery "staple"';

  test('reads what is encrypted here', async () => {
    const sealed = file('sealed', await encrypt(Buffer.from('secret'), { passphrase }));
    onTerminal(`${age} --decrypt --output ${work}/opened ${sealed}`, [passphrase]);
    expect(readFileSync(`${work}/opened`, 'utf8')).toBe('secret');
  });

  test('writes what is decrypted here', async () => {
    onTerminal(`${age} --passphrase --output ${work}/theirs ${file('plain', 'secret')}`, [passphrase, passphrase]);
    expect((await decrypt(readFileSync(`${work}/theirs`), { passphrase })).toString()).toBe('secret');
  });
});

function run([program, ...args]: readonly [string, ...string[]], input: Uint8Array = Buffer.alloc(0)): Buffer {
  const { status, stdout, stderr, error } = spawnSync(program, args, { input, maxBuffer: 2 ** 26 });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${program} ended with ${status}: ${stderr.toString()}`);
  return stdout;
}

/** age takes a passphrase from a terminal only. */
function onTerminal(command: string, lines: readonly string[]): void {
  const input = Buffer.from(lines.map((line) => `${line}\n`).join(''));
  run(['script', '--quiet', '--return', '--command', command, '/dev/null'], input);
}

function file(name: string, content: string | Uint8Array): string {
  const at = path.join(work, name);
  writeFileSync(at, content, { mode: 0o600 });
  return at;
}

async function encrypt(plain: Buffer, encryption: Encryption): Promise<Buffer> {
  return collect(encryptTo(encryption)(oneChunk(plain)));
}

async function decrypt(sealed: Buffer, decryption: Decryption): Promise<Buffer> {
  return collect(decryptWith(decryption)(oneChunk(sealed)));
}

async function* oneChunk(bytes: Buffer): AsyncGenerator<Buffer> {
  yield await Promise.resolve(bytes);
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of source) pieces.push(piece);
  return Buffer.concat(pieces);
}
