import { afterAll, describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import zlib from 'node:zlib';
import { decryptWith, type Decryption } from '../../../src/encryption/encryption.ts';
import { parseIdentities } from '../../../src/encryption/keys.ts';
import { CaretakerError } from '../../../src/errors.ts';

/** The published test vectors of the format (C2SP CCTV): what every implementation must read, and what it must refuse, by name. */
const vectors = Object.entries((await import('cctv-age')) as unknown as Record<string, Uint8Array>).map(
  ([name, content]) => readVector(name, Buffer.from(content)),
);

/** What each expectation of a vector is here. Armor is for mail, and not read: such a vector must be refused, whatever it holds. */
const CODES: Record<string, readonly string[]> = {
  success: [],
  'no match': ['identity-wrong', 'passphrase-wrong'],
  'header failure': ['decryption-failed'],
  'HMAC failure': ['decryption-failed'],
  'payload failure': ['decryption-failed'],
  armored: ['decryption-failed'],
};

const NOTHING = createHash('sha256').digest('hex');

/**
 * Where a chunk is sealed as the last and is not, or the other way round, the reference gives it out before it fails. Here it is held back: null where that was
 * the first, else a vector whose payload is what came before it.
 */
const HELD_BACK: Record<string, string | null> = {
  stream_no_final_full: null,
  stream_no_final_two_chunks_full: 'stream_no_final_full',
  stream_trailing_garbage_long: null,
  stream_trailing_garbage_short: null,
  stream_two_final_chunks: null,
  stream_two_final_chunks_full: null,
  stream_two_final_chunks_second: 'stream_no_final_full',
};

const payloadOf = (name: string): string | undefined => vectors.find((vector) => vector.name === name)?.payload;

const counts: Record<string, number> = {};
afterAll(() => {
  console.log(
    `age vectors: ${Object.entries(counts)
      .map(([expected, count]) => `${count} ${expected}`)
      .join(', ')}`,
  );
});

describe('the published vectors', () => {
  test('are all here', () => expect(vectors.length).toBeGreaterThanOrEqual(143));

  test.each(vectors.map((vector) => [vector.expected, vector.name, vector] as const))(
    '%s: %s',
    async (expected, _, vector) => {
      counts[expected] = (counts[expected] ?? 0) + 1;
      for (const decryption of vector.decryptions) {
        const { released, code } = await decrypted(vector.file, decryption);
        if (expected === 'success') expect(code).toBeUndefined();
        else expect(CODES[expected]).toContain(code);
        // What was given out before the failure, too: nothing of a bad chunk.
        const held = HELD_BACK[vector.name];
        if (held !== undefined) expect(released).toBe(held === null ? NOTHING : payloadOf(held));
        else expect(released).toBe(expected === 'armored' ? NOTHING : (vector.payload ?? NOTHING));
      }
    },
  );
});

/** The digest of all that was given out, and the code of the failure behind it. */
async function decrypted(
  file: Buffer,
  decryption: Decryption,
): Promise<{ released: string; code: string | undefined }> {
  const hash = createHash('sha256');
  let code: string | undefined;
  try {
    for await (const chunk of decryptWith(decryption)(inChunks(file))) hash.update(chunk);
  } catch (error) {
    expect(error).toBeInstanceOf(CaretakerError);
    code = (error as CaretakerError).code;
  }
  return { released: hash.digest('hex'), code };
}

async function* inChunks(file: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < file.length; at += 1000) yield await Promise.resolve(file.subarray(at, at + 1000));
}

interface Vector {
  readonly name: string;
  readonly expected: string;
  /** With each of these it must end in the same way. */
  readonly decryptions: readonly Decryption[];
  /** SHA-256 of all that may be given out. */
  readonly payload: string | undefined;
  readonly file: Buffer;
}

function readVector(name: string, content: Buffer): Vector {
  const headerEnd = content.indexOf('\n\n');
  const lines = content.toString('utf8', 0, headerEnd).split('\n');
  const all = (key: string): string[] =>
    lines.filter((line) => line.startsWith(`${key}: `)).map((line) => line.slice(key.length + 2));
  const body = content.subarray(headerEnd + 2);
  const identities = all('identity');
  const passphrases = all('passphrase');
  // Where a vector names no key, none must open it.
  if (identities.length + passphrases.length === 0) passphrases.push('none');
  return {
    name,
    expected: all('armored')[0] === 'yes' ? 'armored' : all('expect')[0]!,
    decryptions: [
      ...passphrases.map((passphrase) => ({ passphrase })),
      ...(identities.length > 0 ? [{ identities: parseIdentities(identities.join('\n')) }] : []),
    ],
    payload: all('payload')[0],
    file: all('compressed')[0] === 'zlib' ? zlib.inflateSync(body) : body,
  };
}
