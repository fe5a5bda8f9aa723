import { beforeAll, describe, expect, test } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { decryptWith, encryptTo, type Decryption, type Encryption } from '../../../src/encryption/encryption.ts';
import { generateIdentity, parseIdentities, parseRecipients } from '../../../src/encryption/keys.ts';
import { CaretakerError } from '../../../src/errors.ts';

const CHUNK = 64 * 1024;
const SEALED = CHUNK + 16;
const PASSPHRASE = 'correct horse battery staple';

let to: Encryption;
let own: Decryption;
beforeAll(async () => {
  const { text, recipient } = await generateIdentity(new Date());
  to = { recipients: [recipient] };
  own = { identities: parseIdentities(text) };
});

async function* inPieces(bytes: Uint8Array, size = 10_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size));
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of source) pieces.push(piece);
  return Buffer.concat(pieces);
}

const encrypt = (plain: Uint8Array, encryption = to): Promise<Buffer> =>
  collect(encryptTo(encryption)(inPieces(plain)));
const decrypt = (sealed: Uint8Array, decryption = own): Promise<Buffer> =>
  collect(decryptWith(decryption)(inPieces(sealed)));

/** What is given out, and the code of the error behind it. */
async function attempt(sealed: Uint8Array, decryption = own): Promise<{ given: Buffer; code: string | undefined }> {
  const given: Uint8Array[] = [];
  try {
    for await (const chunk of decryptWith(decryption)(inPieces(sealed))) given.push(chunk);
    return { given: Buffer.concat(given), code: undefined };
  } catch (error) {
    if (!(error instanceof CaretakerError)) throw error;
    return { given: Buffer.concat(given), code: error.code };
  }
}

describe('a round trip', () => {
  test.each([0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK - 1, 2 * CHUNK, 2 * CHUNK + 1, 5 * CHUNK + 77])(
    'of %i bytes, whose length is theirs and 16 a chunk',
    async (bytes) => {
      const plain = randomBytes(bytes);
      const sealed = await encrypt(plain);
      expect((await decrypt(sealed)).equals(plain)).toBe(true);
      const empty = await encrypt(Buffer.alloc(0));
      expect(sealed.length - empty.length).toBe(bytes + 16 * Math.max(0, Math.ceil(bytes / CHUNK) - 1));
    },
  );

  test.each([1, 7, SEALED, 1_000_000])('however the streams are cut: %i bytes at a time', async (size) => {
    const plain = randomBytes(2 * CHUNK + 5);
    const sealed = await collect(encryptTo(to)(inPieces(plain, size)));
    expect((await collect(decryptWith(own)(inPieces(sealed, size)))).equals(plain)).toBe(true);
  });

  test('with empty chunks in between', async () => {
    const source = async function* (): AsyncGenerator<Uint8Array> {
      for (const text of ['', 'one', '', '', 'two', '']) yield await Promise.resolve(Buffer.from(text));
    };
    expect((await decrypt(await collect(encryptTo(to)(source())))).toString()).toBe('onetwo');
  });

  test.each(['x25519', 'hybrid'] as const)('to several recipients of kind %s, each of whom opens it', async (kind) => {
    const keys = await Promise.all([1, 2, 3].map(() => generateIdentity(new Date(), kind)));
    const recipients = parseRecipients(keys.map(({ recipient }) => recipient.text).join('\n'));
    const sealed = await encrypt(Buffer.from('shared'), { recipients });
    for (const { text } of keys) {
      expect((await decrypt(sealed, { identities: parseIdentities(text) })).toString()).toBe('shared');
    }
  });

  test('with one of several identities, of both kinds', async () => {
    const [other, hybrid, mine] = await Promise.all([
      generateIdentity(new Date()),
      generateIdentity(new Date(), 'hybrid'),
      generateIdentity(new Date()),
    ]);
    const sealed = await encrypt(Buffer.from('mine'), { recipients: [mine.recipient] });
    const identities = parseIdentities(other.text + hybrid.text + mine.text);
    expect((await decrypt(sealed, { identities })).toString()).toBe('mine');
  });

  test('with a passphrase, as much work as age asks for', async () => {
    const sealed = await encrypt(Buffer.from('secret'), { passphrase: PASSPHRASE });
    expect(sealed.toString('latin1')).toMatch(/^age-encryption\.org\/v1\n-> scrypt [A-Za-z0-9+/]{22} 18\n/);
    expect((await decrypt(sealed, { passphrase: PASSPHRASE })).toString()).toBe('secret');
    const wrong: unknown = await decrypt(sealed, { passphrase: 'hunter2 hunter2' }).catch((error: unknown) => error);
    expect(wrong).toMatchObject({ code: 'passphrase-wrong' });
    expect(inspect(wrong, { depth: null })).not.toContain('hunter2 ');
    expect(await attempt(sealed)).toMatchObject({ code: 'identity-wrong' });
  });

  test('is another file each time', async () => {
    const [one, two] = [await encrypt(Buffer.from('same')), await encrypt(Buffer.from('same'))];
    expect(one.equals(two)).toBe(false);
    expect(one.subarray(-20).equals(two.subarray(-20))).toBe(false);
  });
});

describe('a small file', () => {
  let sealed: Buffer;
  beforeAll(async () => {
    sealed = await encrypt(Buffer.from('every byte of it counts'));
  });

  test('of which any byte was changed is refused, and nothing given out', async () => {
    for (let at = 0; at < sealed.length; at += 1) {
      for (const mask of [0x01, 0x80, 0xff]) {
        const bad = Buffer.from(sealed);
        bad[at]! ^= mask;
        const { given, code } = await attempt(bad);
        expect([at, mask, code]).toEqual([at, mask, expect.stringMatching(/^(decryption-failed|identity-wrong)$/)]);
        expect(given.length).toBe(0);
      }
    }
  });

  test('that was cut off at any byte is refused', async () => {
    for (let length = 0; length < sealed.length; length += 1) {
      expect([length, await attempt(sealed.subarray(0, length))]).toEqual([
        length,
        { given: Buffer.alloc(0), code: 'decryption-failed' },
      ]);
    }
  });

  test.each([1, 16, 17, SEALED])('with %i bytes added is refused', async (bytes) => {
    expect(await attempt(Buffer.concat([sealed, randomBytes(bytes)]))).toEqual({
      given: Buffer.alloc(0),
      code: 'decryption-failed',
    });
  });
});

describe('a file of four chunks, the last one full', () => {
  const plain = randomBytes(4 * CHUNK);
  let header: Buffer;
  let chunks: Buffer[];
  beforeAll(async () => {
    const sealed = await encrypt(plain);
    header = sealed.subarray(0, sealed.length - 4 * SEALED);
    chunks = [0, 1, 2, 3].map((at) => sealed.subarray(header.length + at * SEALED, header.length + (at + 1) * SEALED));
  });

  test.each<[string, (chunks: readonly Buffer[]) => readonly Uint8Array[], number]>([
    ['without the last chunk', ([a, b, c]) => [a!, b!, c!], 2],
    ['without the last byte', ([a, b, c, d]) => [a!, b!, c!, d!.subarray(0, -1)], 3],
    ['one byte into the last chunk', ([a, b, c, d]) => [a!, b!, c!, d!.subarray(0, 1)], 3],
    ['without the first chunk', ([, b, c, d]) => [b!, c!, d!], 0],
    ['without a chunk in the middle', ([a, , c, d]) => [a!, c!, d!], 1],
    ['with two chunks exchanged', ([a, b, c, d]) => [a!, c!, b!, d!], 1],
    ['with a chunk repeated', ([a, b, c, d]) => [a!, b!, b!, c!, d!], 2],
    ['with its last chunk twice', ([a, b, c, d]) => [a!, b!, c!, d!, d!], 3],
    ['without any chunk', () => [], 0],
    ['with a byte added', ([a, b, c, d]) => [a!, b!, c!, d!, Buffer.of(0)], 3],
    ['with a chunk of another file', ([a, , c, d]) => [a!, randomBytes(SEALED), c!, d!], 1],
  ])('%s: what comes before the bad chunk, then a refusal', async (_, change, good) => {
    const { given, code } = await attempt(Buffer.concat([header, ...change(chunks)]));
    expect(code).toBe('decryption-failed');
    expect(given.equals(plain.subarray(0, good * CHUNK))).toBe(true);
  });

  test.each([0, 1, 2, 3])('with a bit turned over in chunk %i', async (number) => {
    for (const at of [0, 1, 40_000, CHUNK - 1, CHUNK, SEALED - 1]) {
      const bad = Buffer.concat([header, ...chunks]);
      bad[header.length + number * SEALED + at]! ^= 4;
      const { given, code } = await attempt(bad);
      expect(code).toBe('decryption-failed');
      expect(given.equals(plain.subarray(0, number * CHUNK))).toBe(true);
    }
  });
});

describe('what does not fit', () => {
  test.each([
    ['nothing', '', 'decryption-failed'],
    ['something else', 'PK\x03\x04 some other file', 'decryption-failed'],
    ['an armored file', '-----BEGIN AGE ENCRYPTED FILE-----\n', 'decryption-failed'],
    ['another version', 'age-encryption.org/v2\n', 'decryption-failed'],
    ['a header without end', `age-encryption.org/v1\n-> X25519 ${'A'.repeat(2 ** 21)}`, 'decryption-failed'],
  ])('%s', async (_, text, code) => {
    expect(await attempt(Buffer.from(text))).toEqual({ given: Buffer.alloc(0), code });
  });

  test('a header without end is not read to the end of the stream', async () => {
    let read = 0;
    const endless = async function* (): AsyncGenerator<Uint8Array> {
      yield await Promise.resolve(Buffer.from('age-encryption.org/v1\n-> '));
      for (;;) {
        read += CHUNK;
        yield Buffer.alloc(CHUNK, 'A');
      }
    };
    await expect(collect(decryptWith(own)(endless()))).rejects.toMatchObject({ code: 'decryption-failed' });
    expect(read).toBeLessThan(2 ** 21);
  });

  test("another's identity, and a passphrase for what is encrypted to keys", async () => {
    const sealed = await encrypt(Buffer.from('x'));
    const other = parseIdentities((await generateIdentity(new Date())).text);
    expect(await attempt(sealed, { identities: other })).toEqual({ given: Buffer.alloc(0), code: 'identity-wrong' });
    expect(await attempt(sealed, { passphrase: PASSPHRASE })).toEqual({
      given: Buffer.alloc(0),
      code: 'passphrase-wrong',
    });
  });

  test('a passphrase that would take more than a gigabyte is refused before it takes it', async () => {
    const stanza = `-> scrypt ${'A'.repeat(22)} 21\n${'A'.repeat(43)}\n--- ${'A'.repeat(43)}\n`;
    const file = Buffer.concat([Buffer.from(`age-encryption.org/v1\n${stanza}`), randomBytes(32)]);
    const before = process.memoryUsage.rss();
    await expect(decrypt(file, { passphrase: PASSPHRASE })).rejects.toMatchObject({
      code: 'decryption-failed',
      message: expect.stringContaining('2^21') as unknown,
    });
    expect(process.memoryUsage.rss() - before).toBeLessThan(500 * 2 ** 20);
  });
});

describe('a source', () => {
  const counting = (
    bytes: number,
  ): { source: AsyncGenerator<Uint8Array>; read: () => number; closed: () => boolean } => {
    let read = 0;
    let closed = false;
    const source = (async function* () {
      try {
        while (read < bytes) {
          read += CHUNK;
          yield await Promise.resolve(Buffer.alloc(CHUNK));
        }
      } finally {
        closed = true;
      }
    })();
    return { source, read: () => read, closed: () => closed };
  };

  test('is read as fast as the consumer takes, and closed when it stops', async () => {
    const { source, read, closed } = counting(2 ** 30);
    let taken = 0;
    for await (const chunk of decryptWith(own)(encryptTo(to)(source))) {
      taken += chunk.length;
      expect(read()).toBeLessThanOrEqual(taken + 20 * CHUNK);
      if (taken >= 2 ** 20) break;
    }
    expect(closed()).toBe(true);
  });

  test.each(['encrypt', 'decrypt'])('keeps its own error (%s)', async (way) => {
    const failure = new Error('the disk is gone');
    const sealed = await encrypt(randomBytes(3 * CHUNK));
    const failing = async function* (): AsyncGenerator<Uint8Array> {
      yield* inPieces(sealed.subarray(0, 2 * CHUNK));
      throw failure;
    };
    const transform = way === 'encrypt' ? encryptTo(to) : decryptWith(own);
    await expect(collect(transform(failing()))).rejects.toBe(failure);
  });

  test('is closed where the key is wrong', async () => {
    const other = parseIdentities((await generateIdentity(new Date())).text);
    const { source, closed } = counting(2 ** 20);
    await expect(collect(decryptWith({ identities: other })(encryptTo(to)(source)))).rejects.toMatchObject({
      code: 'identity-wrong',
    });
    expect(closed()).toBe(true);
  });
});
