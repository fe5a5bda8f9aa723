import { hkdfSync } from 'node:crypto';
import { beforeAll, jest, test } from '@jest/globals';
import { Encrypter } from 'age-encryption';
import fc from 'fast-check';
import { decryptWith, encryptTo, type ByteTransform, type Decryption } from '../../../src/encryption/encryption.ts';
import { openHeader, readHeader } from '../../../src/encryption/header.ts';
import { generateIdentity, parseIdentities, parseRecipients } from '../../../src/encryption/keys.ts';
import { openPayload } from '../../../src/encryption/payload.ts';
import { codedOr, forAll, fuzzed } from './fuzz.ts';
import { edits, mutated } from './values.ts';

jest.setTimeout(600_000);
fuzzed('age files');

const CHUNK = 64 * 1024;
/** Nothing, one chunk, one that is full, and several. */
const plain = [0, 100, CHUNK, 2 * CHUNK + 7].map((length) => Buffer.alloc(length, 'a page of the database '));
const sealed: Buffer[] = [];
let byKey: Decryption;
/** The payloads with their keys: what is behind a header takes no private key to try. */
const payloads: { readonly bytes: Buffer; readonly key: Uint8Array }[] = [];
let byWord: Buffer;
const passphrase = 'correct-horse-battery-staple-correct';

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytes);
}
async function collect(source: AsyncIterable<Uint8Array>, into: Uint8Array[] = []): Promise<Buffer> {
  for await (const chunk of source) into.push(chunk);
  return Buffer.concat(into);
}

beforeAll(async () => {
  const { text, recipient } = await generateIdentity(new Date());
  byKey = { identities: parseIdentities(text) };
  const encrypt = encryptTo({ recipients: parseRecipients(recipient.text) });
  for (const one of plain) {
    const bytes = await collect(encrypt(once(one)));
    sealed.push(bytes);
    const { header, nonce, rest } = await readHeader(once(bytes));
    payloads.push({ bytes: rest, key: new Uint8Array(hkdfSync('sha256', await openHeader(header, byKey), nonce, 'payload', 32)) }); // prettier-ignore
  }
  // As little work as the format knows: a case must not take a second.
  const encrypter = new Encrypter();
  encrypter.setPassphrase(passphrase);
  encrypter.setScryptWorkFactor(2);
  byWord = Buffer.from(await encrypter.encrypt(plain[1]!));
});

/** What is given out before it is refused is the beginning of what was encrypted, and all of it where it is not refused. */
async function judge(bytes: Buffer, open: ByteTransform, expected: Buffer): Promise<void> {
  const given: Uint8Array[] = [];
  const answer = await codedOr(() => collect(open(once(bytes)), given));
  const out = Buffer.concat(given);
  if (!out.equals(expected.subarray(0, out.length))) throw new Error('other bytes than were encrypted');
  if ('value' in answer && out.length !== expected.length) throw new Error('the end is missing, and nobody told');
  const codes = ['decryption-failed', 'identity-wrong', 'passphrase-wrong'];
  if ('errors' in answer && answer.errors.some(({ code }) => !codes.includes(code))) throw answer.errors[0]!;
}

const which = fc.nat(plain.length - 1);

test('a payload that was changed is never taken for what was encrypted', () =>
  forAll(fc.tuple(which, edits(3)), 8000, ([index, changes]) => {
    const { bytes, key } = payloads[index]!;
    return judge(mutated(bytes, changes), (source) => openPayload(source, key), plain[index]!);
  }));

test('nor one whose chunks were put into another order, left out, or taken from another', () =>
  forAll(fc.array(fc.tuple(which, fc.nat(3)), { maxLength: 4 }), 3000, (pieces) => {
    const { key } = payloads[3]!;
    const bytes = pieces.map(([index, at]) =>
      payloads[index]!.bytes.subarray(at * (CHUNK + 16), (at + 1) * (CHUNK + 16)),
    );
    return judge(Buffer.concat(bytes), (source) => openPayload(source, key), plain[3]!);
  }));

/** Changes in the first bytes of a file, where its header is. */
const inHeader = fc.tuple(edits(3), fc.constantFrom(0, 180)).map(([changes, keep]) => (bytes: Buffer) => {
  const end = Math.min(bytes.length, 230);
  return Buffer.concat([bytes.subarray(0, keep), mutated(bytes.subarray(keep, end), changes), bytes.subarray(end)]);
});

test('a file whose header was changed is refused by a code', () =>
  forAll(fc.tuple(fc.nat(1), inHeader), 3000, ([index, change]) =>
    judge(change(sealed[index]!), decryptWith(byKey), plain[index]!),
  ));

test('so is one with a passphrase', () =>
  forAll(inHeader, 1500, (change) => {
    const changed = change(byWord);
    // What asks for a gibibyte is refused beyond that, and takes seconds up to there.
    if (/^-> scrypt \S+ 1[1-9]|^-> scrypt \S+ 20/m.test(changed.toString('latin1'))) return Promise.resolve();
    return judge(changed, decryptWith({ passphrase }), plain[1]!);
  }));

test('so is any text of keys', () =>
  forAll(edits(4), 5000, async (changes) => {
    const keys = '# created: now\nAGE-SECRET-KEY-1QQQQQQQQQQ\nage1qqqqqqqqqq\nssh-ed25519 AAAA\nAGE-PLUGIN-X-1QQ\n';
    const text = mutated(Buffer.from(keys), changes).toString();
    for (const parse of [parseIdentities, parseRecipients]) {
      const answer = await codedOr(() => parse(text));
      // A message would show the key to whoever reads the log.
      if ('errors' in answer && answer.errors.some(({ message }) => message.includes('QQQQ'))) throw answer.errors[0]!;
    }
  }));
