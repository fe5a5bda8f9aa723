import { Decrypter, Encrypter, type Stanza } from 'age-encryption';
import { CaretakerError, messageOf } from '../errors.ts';
import { damaged } from './damaged.ts';
import type { Decryption, Encryption } from './encryption.ts';
import { isScrypt, passphraseIdentity, passphraseRecipient } from './passphrase.ts';

export const NONCE_BYTES = 16;

/** What a file begins with. */
const INTRO = 'age-encryption.org/v1\n';
/** Thousands of recipients. */
const MAX_HEADER_BYTES = 1024 * 1024;

/** A header for a new file key, ended by its MAC and a line feed. */
export async function makeHeader(
  encryption: Encryption,
): Promise<{ readonly header: Buffer; readonly fileKey: Uint8Array }> {
  const encrypter = new Encrypter();
  let fileKey: Uint8Array | undefined;
  // No recipient: it only looks at the key that the library has made.
  encrypter.addRecipient({
    wrapFileKey: (key) => {
      fileKey = key;
      return [];
    },
  });
  if ('passphrase' in encryption) encrypter.addRecipient(passphraseRecipient(encryption.passphrase));
  else for (const recipient of encryption.recipients) encrypter.addRecipient(recipient.text);
  const file = Buffer.from(await encrypter.encrypt(new Uint8Array(0)));
  return { header: file.subarray(0, headerBytes(file)), fileKey: fileKey! };
}

/** The header of a stream, its payload's nonce, and what has been read behind it. Throws `decryption-failed`. */
export async function readHeader(
  chunks: AsyncIterator<Uint8Array>,
): Promise<{ readonly header: Buffer; readonly nonce: Buffer; readonly rest: Buffer }> {
  let head = Buffer.alloc(0);
  for (;;) {
    if (!INTRO.startsWith(head.toString('latin1', 0, INTRO.length))) throw damaged('it is no file of age');
    const nonceAt = headerBytes(head);
    const restAt = nonceAt + NONCE_BYTES;
    if (nonceAt > 0 && head.length >= restAt) {
      return { header: head.subarray(0, nonceAt), nonce: head.subarray(nonceAt, restAt), rest: head.subarray(restAt) };
    }
    if (nonceAt === 0 && head.length > MAX_HEADER_BYTES) throw damaged('its header does not end');
    const next = await chunks.next();
    if (next.done === true) throw damaged('it ends in its header');
    head = Buffer.concat([head, next.value]);
  }
}

/** The file key. Throws `identity-wrong`, `passphrase-wrong`, `decryption-failed`. */
export async function openHeader(header: Uint8Array, decryption: Decryption): Promise<Uint8Array> {
  const decrypter = new Decrypter();
  decrypter.addIdentity({ unwrapFileKey: passphraseAlone });
  if ('passphrase' in decryption) decrypter.addIdentity(passphraseIdentity(decryption.passphrase));
  else for (const identity of decryption.identities) decrypter.addIdentity(identity.reveal());
  // Asked when no other has opened it.
  decrypter.addIdentity({
    unwrapFileKey: (stanzas: Stanza[]) => {
      throw wrongKey(stanzas, decryption);
    },
  });
  try {
    return await decrypter.decryptHeader(header);
  } catch (error) {
    if (error instanceof CaretakerError) throw error;
    throw damaged(`its header is damaged (${messageOf(error)})`, error);
  }
}

/** The length of the header, 0 where its end has not come yet. No line in it but the last begins with a dash and is no stanza. */
function headerBytes(head: Buffer): number {
  const mac = head.indexOf('\n---');
  return mac === -1 ? 0 : head.indexOf('\n', mac + 1) + 1;
}

/** Nobody else may be able to open, or to have made, what a passphrase protects. */
function passphraseAlone(stanzas: readonly Stanza[]): null {
  if (stanzas.length > 1 && stanzas.some(isScrypt))
    throw damaged('its header has a passphrase beside other recipients');
  return null;
}

function wrongKey(stanzas: readonly Stanza[], decryption: Decryption): CaretakerError {
  const isPassphrase = stanzas.some(isScrypt);
  const failed = 'failed to decrypt the data';
  if ('passphrase' in decryption) {
    return isPassphrase
      ? new CaretakerError('passphrase-wrong', `${failed}: the passphrase is another`, {
          hint: 'Give the passphrase with which they were encrypted.',
        })
      : new CaretakerError('passphrase-wrong', `${failed}: they are encrypted to keys`, {
          hint: 'Give the identity (AGE-SECRET-KEY-…) of one of the recipients, not a passphrase.',
        });
  }
  return isPassphrase
    ? new CaretakerError('identity-wrong', `${failed}: they are encrypted with a passphrase`, {
        hint: 'Give the passphrase, not an identity.',
      })
    : new CaretakerError('identity-wrong', `${failed}: no identity given belongs to one of the recipients`, {
        hint: 'Give the identity (AGE-SECRET-KEY-…) of one of the recipients to which they were encrypted.',
      });
}
