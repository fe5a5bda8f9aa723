import { Stanza } from 'age-encryption';
import { randomBytes, scrypt } from 'node:crypto';
import { damaged } from './damaged.ts';
import { open, seal } from './payload.ts';

/*
 * The library has passphrases too, but derives their key on the main thread, which stands still for two seconds meanwhile, and a second time for a file whose
 * key must be known here. Node does it on a thread of its own.
 */

const LABEL = Buffer.from('age-encryption.org/v1/scrypt');
const SALT_BYTES = 16;
const BLOCK_SIZE = 8;
/** As the `age` program: 256 MiB. */
const WORK_FACTOR = 18;
/** 1 GiB: a file from elsewhere must not take the host's memory. */
const MAX_WORK_FACTOR = 20;
/** Every key seals one thing. */
const NONCE = Buffer.alloc(12);

export function isScrypt(stanza: Stanza): boolean {
  return stanza.args[0] === 'scrypt';
}

/** For the library's `Encrypter`. */
export function passphraseRecipient(passphrase: string): { wrapFileKey(fileKey: Uint8Array): Promise<Stanza[]> } {
  return {
    wrapFileKey: async (fileKey) => {
      const salt = randomBytes(SALT_BYTES);
      const key = await derive(passphrase, salt, WORK_FACTOR);
      return [new Stanza(['scrypt', unpadded(salt), String(WORK_FACTOR)], Buffer.concat(seal(key, NONCE, fileKey)))];
    },
  };
}

/** For the library's `Decrypter`. Null where the passphrase is another; throws `decryption-failed`. */
export function passphraseIdentity(passphrase: string): {
  unwrapFileKey(stanzas: readonly Stanza[]): Promise<Uint8Array | null>;
} {
  return {
    unwrapFileKey: async ([stanza]) => {
      if (stanza === undefined || !isScrypt(stanza)) return null;
      const [, saltText = '', factorText = '', ...more] = stanza.args;
      const salt = Buffer.from(saltText, 'base64');
      const canonical = salt.length === SALT_BYTES && unpadded(salt) === saltText && /^[1-9][0-9]*$/.test(factorText);
      if (!canonical || more.length > 0 || stanza.body.length !== 32) {
        throw damaged('its header is damaged (invalid scrypt stanza)');
      }
      const workFactor = Number(factorText);
      if (workFactor > MAX_WORK_FACTOR) {
        throw damaged(`its passphrase takes more work (2^${workFactor}) than the 2^${MAX_WORK_FACTOR} allowed`);
      }
      return open(await derive(passphrase, salt, workFactor), NONCE, stanza.body);
    },
  };
}

function derive(passphrase: string, salt: Uint8Array, workFactor: number): Promise<Buffer> {
  const N = 2 ** workFactor;
  const options = { N, r: BLOCK_SIZE, p: 1, maxmem: 2 * 128 * N * BLOCK_SIZE };
  return new Promise((resolve, reject) => {
    scrypt(passphrase, Buffer.concat([LABEL, salt]), 32, options, (error, key) =>
      error === null ? resolve(key) : reject(error),
    );
  });
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('=', '');
}
