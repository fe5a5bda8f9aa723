/**
 * One file, encrypted or decrypted as a process of its own, so that its memory can be measured: `node bench/age-file.ts encrypt|decrypt KEYS IN OUT`, where KEYS is an
 * identity file. `--library` takes the library's own payload instead of ours.
 */
import { Decrypter, Encrypter } from 'age-encryption';
import { createReadStream, readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { parseArgs } from 'node:util';
import { decryptWith, encryptTo } from '../src/encryption/encryption.ts';
import { parseIdentities, recipientsOf } from '../src/encryption/keys.ts';

const { values, positionals } = parseArgs({
  options: { library: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const [way, keys, from, to] = positionals as [string, string, string, string];
const identities = parseIdentities(readFileSync(keys, 'utf8'));
const [recipient] = await recipientsOf(identities);

const source = createReadStream(from, { highWaterMark: 1024 * 1024 });
const result = values.library ? await byLibrary() : way === 'encrypt' ? encrypt(source) : decrypt(source);
const file = await open(to, 'w');
for await (const chunk of result) {
  let at = 0;
  while (at < chunk.length) at += (await file.write(chunk, at)).bytesWritten;
}
await file.close();

function encrypt(plain: AsyncIterable<Buffer>): AsyncIterable<Uint8Array> {
  return encryptTo({ recipients: [recipient!] })(plain);
}

function decrypt(sealed: AsyncIterable<Buffer>): AsyncIterable<Uint8Array> {
  return decryptWith({ identities })(sealed);
}

async function byLibrary(): Promise<AsyncIterable<Uint8Array>> {
  const web = Readable.toWeb(source) as ReadableStream<Uint8Array>;
  if (way === 'encrypt') {
    const encrypter = new Encrypter();
    encrypter.addRecipient(recipient!.text);
    return encrypter.encrypt(web);
  }
  const decrypter = new Decrypter();
  decrypter.addIdentity(identities[0].reveal());
  return decrypter.decrypt(web);
}
