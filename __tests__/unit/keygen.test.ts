import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { parseIdentities, parseRecipients, recipientsOf } from '../../src/encryption/keys.ts';
import { keygen } from '../../src/keygen.ts';
import { failure } from '../contract/stores/store-contract.ts';
import { temporaryDirectories } from './system/temporary.ts';

const temporary = temporaryDirectories();
const now = new Date('2026-11-29T10:00:00Z');

test.each([
  ['', /^age1(?!pq1)/],
  ['--post-quantum', /^age1pq1/],
])(
  'writes a private key for its owner alone, and tells its public key and what to do with both (%s)',
  async (kind, key) => {
    const cwd = temporary();
    const lines = await keygen(
      [kind, 'key.txt'].filter((word) => word !== ''),
      { cwd, now },
    );
    const file = path.join(cwd, 'key.txt');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const identities = parseIdentities(readFileSync(file, 'utf8'));
    const [recipient] = await recipientsOf(identities);
    expect(recipient?.text).toMatch(key);
    expect(parseRecipients(recipient!.text)).toEqual([recipient]);
    expect(lines.join('\n')).toContain(`encrypt-to: ${recipient!.text}`);
    expect(lines.join('\n')).not.toContain('SECRET-KEY');
  },
);

test('never writes over a key, and says how it is called', async () => {
  const cwd = temporary();
  await keygen(['key.txt'], { cwd, now });
  const before = readFileSync(path.join(cwd, 'key.txt'), 'utf8');
  expect(await failure(keygen(['key.txt'], { cwd, now }))).toMatchObject({ code: 'identity-exists' });
  expect(readFileSync(path.join(cwd, 'key.txt'), 'utf8')).toBe(before);
  expect(await failure(keygen([], { cwd, now }))).toMatchObject({ code: 'argument-missing' });
  for (const words of [
    ['a', 'b'],
    ['--pq', 'a'],
    ['a', '--json'],
  ])
    expect(await failure(keygen(words, { cwd, now }))).toMatchObject({ code: 'argument-unknown' });
  expect(await failure(keygen(['none/key.txt'], { cwd, now }))).toMatchObject({ code: 'file-operation-failed' });
});
