import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import path from 'node:path';
import {
  decryptWith,
  encryptTo,
  newFile,
  type ByteTransform,
  type Decryption,
  type Encryption,
} from '../encryption/encryption.ts';
import { CaretakerError } from '../errors.ts';
import { fileError, syncDirectory } from '../system/files.ts';
import { sealManifest, type Manifest, type ManifestEncryption } from './manifest.ts';

/** What a file holds. */
export interface Content {
  readonly bytes: number;
  /** Hex. */
  readonly sha256: string;
}

/**
 * Encrypts a file into a new one (mode 600), durably, and reads it back: when this is fulfilled, what was written decrypts to what was read. Answers with what the
 * new file holds. Throws `store-damaged` where what was read is not what is `known` of it, `disk-full`, `file-operation-failed`, `encryption-failed`, the signal's reason; the new file is
 * gone then.
 */
export async function encryptFile(
  from: string,
  to: string,
  encryption: Encryption,
  known: Pick<Content, 'sha256'>,
  signal?: AbortSignal,
): Promise<Content> {
  const { encrypt, decrypt } = await newFile(encryption);
  const plain = createHash('sha256');
  const written = await transformFile(from, to, (source) => encrypt(hashing(source, plain)), signal);
  try {
    const readBack = createHash('sha256');
    const stored = createHash('sha256');
    for await (const chunk of decrypt(hashing(contentOf(to), stored))) {
      signal?.throwIfAborted();
      readBack.update(chunk);
    }
    const read = plain.digest('hex');
    if (read !== known.sha256) {
      throw new CaretakerError('store-damaged', `failed to encrypt ${from}: its SHA-256 is not the one that it had`, {
        hint: 'The file changed after it was verified. Take another backup, and look at the machine’s memory and disk.',
      });
    }
    if (stored.digest('hex') === written.sha256 && readBack.digest('hex') === read) return written;
    throw new CaretakerError('encryption-failed', `failed to encrypt ${from}: what was written is not what was read`, {
      hint: 'Run again; if it happens again, look at the machine’s memory and disk.',
    });
  } catch (error) {
    await rm(to, { force: true });
    throw error;
  }
}

/**
 * Decrypts a file into a new one (mode 600). Throws what `decryptWith` throws, `disk-full`, `file-operation-failed`, the signal's reason; the new
 * file is gone then.
 */
export async function decryptFile(
  from: string,
  to: string,
  decryption: Decryption,
  signal?: AbortSignal,
): Promise<Content> {
  return transformFile(from, to, decryptWith(decryption), signal);
}

async function transformFile(
  from: string,
  to: string,
  transform: ByteTransform,
  signal: AbortSignal | undefined,
): Promise<Content> {
  try {
    const file = await open(to, 'wx', 0o600);
    try {
      const hash = createHash('sha256');
      let bytes = 0;
      for await (const chunk of transform(contentOf(from))) {
        signal?.throwIfAborted();
        hash.update(chunk);
        let at = 0;
        while (at < chunk.length) at += (await file.write(chunk, at)).bytesWritten;
        bytes += chunk.length;
      }
      await file.sync();
      await file.close();
      await syncDirectory(path.dirname(to));
      return { bytes, sha256: hash.digest('hex') };
    } catch (error) {
      await file.close().catch(() => undefined);
      await rm(to, { force: true });
      throw error;
    }
  } catch (error) {
    if (signal?.aborted === true) throw signal.reason;
    throw fileError(`write ${to}`, error);
  }
}

function contentOf(file: string): AsyncIterable<Buffer> {
  return createReadStream(file, { highWaterMark: 1024 * 1024 });
}

async function* hashing(source: AsyncIterable<Uint8Array>, hash: Hash): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    hash.update(chunk);
    yield chunk;
  }
}

/** What a manifest says of the encryption, as long as it is not sealed. */
export function unsealed(encryption: Encryption): ManifestEncryption {
  const recipients = 'recipients' in encryption ? encryption.recipients.map(({ text }) => text) : [];
  return { format: FORMAT, recipients, seal: '' };
}

/** The manifest of parts that are encrypted so, with its seal. */
export async function sealEncrypted(manifest: Omit<Manifest, 'digest'>, encryption: Encryption): Promise<Manifest> {
  const open = { ...manifest, encryption: unsealed(encryption) };
  const { digest } = sealManifest(open);
  const seal = await collect(encryptTo(encryption)(once(Buffer.from(digest))));
  return { ...open, encryption: { ...open.encryption, seal: seal.toString('base64') }, digest };
}

/**
 * Whether an encrypted backup's manifest is the one that was made with its parts: one that was put in its place, or whose parts were exchanged for others, does not fit its seal. Says nothing
 * against whoever can make new seals: everybody who knows the public keys. Throws `manifest-unsealed`, `identity-wrong`, `passphrase-wrong`.
 */
export async function checkSeal({ name, digest, encryption }: Manifest, decryption: Decryption): Promise<void> {
  if (encryption === null) return;
  let sealed: Buffer;
  try {
    sealed = await collect(decryptWith(decryption)(once(Buffer.from(encryption.seal, 'base64'))));
  } catch (error) {
    if (!(error instanceof CaretakerError && error.code === 'decryption-failed')) throw error;
    throw notSealed(name, 'its seal is damaged', error);
  }
  if (sealed.toString() !== digest) throw notSealed(name, 'its seal is of another');
}

const FORMAT = 'age-encryption.org/v1' as const;

function notSealed(name: string, why: string, cause?: unknown): CaretakerError {
  return new CaretakerError('manifest-unsealed', `failed to read the manifest of ${name}: ${why}`, {
    hint: 'Somebody may have put another manifest in its place, or exchanged parts. Find out who can write to the store, and take another backup.',
    cause,
  });
}

async function* once(content: Buffer): AsyncGenerator<Buffer> {
  yield await Promise.resolve(content);
}

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}
