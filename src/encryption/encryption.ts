import { hkdfSync, randomBytes } from 'node:crypto';
import { damaged } from './damaged.ts';
import { makeHeader, NONCE_BYTES, openHeader, readHeader } from './header.ts';
import type { Identity, Recipient } from './keys.ts';
import { openPayload, sealPayload } from './payload.ts';

/**
 * Encryption in the format of age (https://age-encryption.org/v1), so that the `age` program reads what is written here, and the other way round.
 * The header comes from age's own library; the payload goes through Node's ChaCha20-Poly1305, which is several times faster than the library's.
 */

/** What it takes to encrypt: public keys, each of which opens the file alone, or a passphrase of at least ten random letters. */
export type Encryption =
  { readonly recipients: readonly [Recipient, ...Recipient[]] } | { readonly passphrase: string };

/** What it takes to decrypt: private keys, of which one must fit, or the passphrase. */
export type Decryption = { readonly identities: readonly [Identity, ...Identity[]] } | { readonly passphrase: string };

/**
 * Bytes in, bytes out, as fast as the consumer takes them. The source is closed however the consumer ends, and its own errors pass through unchanged.
 * A chunk belongs to the stream once it is given: the source must not write into it again.
 */
export type ByteTransform = (source: AsyncIterable<Uint8Array>) => AsyncGenerator<Buffer>;

/**
 * Encrypts a stream into one age file; each with a key of its own. Memory: a few MiB; with a passphrase 256 MiB for about a second at the start, which
 * is what makes guessing it expensive.
 */
export function encryptTo(encryption: Encryption): ByteTransform {
  return async function* (plaintext) {
    const { encrypt } = await newFile(encryption);
    yield* encrypt(plaintext);
  };
}

/**
 * The key of one age file, to encrypt it and, as long as this is at hand, to read back what was written: that takes no private key. Each may be used once. `decrypt` throws
 * `decryption-failed` where it is not the very file that `encrypt` gave out.
 */
export async function newFile(
  encryption: Encryption,
): Promise<{ readonly encrypt: ByteTransform; readonly decrypt: ByteTransform }> {
  const { header, fileKey } = await makeHeader(encryption);
  const nonce = randomBytes(NONCE_BYTES);
  const begin = Buffer.concat([header, nonce]);
  const key = payloadKey(fileKey, nonce);
  return {
    encrypt: (plaintext) => sealPayload(plaintext, key, begin),
    async *decrypt(ciphertext) {
      const chunks = ciphertext[Symbol.asyncIterator]();
      try {
        const read = await readHeader(chunks);
        if (!begin.equals(Buffer.concat([read.header, read.nonce]))) throw damaged('its header is another');
        yield* openPayload(prepend(read.rest, chunks), key);
      } finally {
        await chunks.return?.();
      }
    },
  };
}

/**
 * Decrypts one age file (binary, not armored). Memory as for `encryptTo`; a passphrase that makes a file ask for more than 1 GiB is refused. Every chunk of 64 KiB is given
 * out once it is known to be what was encrypted, in its place; that nothing is missing at the end is known when the loop has ended.
 *
 * Throws `identity-wrong`, `passphrase-wrong`, and `decryption-failed` for whatever is no age file, or was changed, cut off, put into another order, or added to.
 */
export function decryptWith(decryption: Decryption): ByteTransform {
  return async function* (ciphertext) {
    const chunks = ciphertext[Symbol.asyncIterator]();
    try {
      const { header, nonce, rest } = await readHeader(chunks);
      const fileKey = await openHeader(header, decryption);
      yield* openPayload(prepend(rest, chunks), payloadKey(fileKey, nonce));
    } finally {
      await chunks.return?.();
    }
  };
}

function payloadKey(fileKey: Uint8Array, nonce: Uint8Array): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', fileKey, nonce, 'payload', 32));
}

async function* prepend(first: Uint8Array, chunks: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield first;
  for (;;) {
    const next = await chunks.next();
    if (next.done === true) return;
    yield next.value;
  }
}
