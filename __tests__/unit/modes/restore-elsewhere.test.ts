import { chmodSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { makePlace } from '../../../src/modes/restore-elsewhere.ts';
import { temporaryDirectories } from '../system/temporary.ts';

const temporary = temporaryDirectories();

test('what a failed restore made goes, and nothing that others have put beside it', async () => {
  const root = temporary();
  const monday = path.join(root, 'restored/shop/monday');
  const undo = await makePlace(monday, path.join(root, 'restored'));
  writeFileSync(path.join(monday, 'half'), '');
  mkdirSync(path.join(root, 'restored/tuesday'));
  await undo();
  expect([readdirSync(path.join(root, 'restored')), existsSync(monday)]).toEqual([['tuesday'], false]);
});

test('all that was made for it goes, and a directory that was there stays', async () => {
  const root = temporary();
  const undo = await makePlace(path.join(root, 'a/b'), path.join(root, 'a'));
  await undo();
  expect(readdirSync(root)).toEqual([]);
  const undoInside = await makePlace(root);
  mkdirSync(path.join(root, 'part/of/it'), { recursive: true });
  await undoInside();
  expect(readdirSync(root)).toEqual([]);
});

describe('what somebody puts there after it was looked at', () => {
  test.each<[string, (to: string, elsewhere: string) => void]>([
    ['the directory', (to) => mkdirSync(to, { recursive: true })],
    ['a link in its place', (to, elsewhere) => (mkdirSync(path.dirname(to)), symlinkSync(elsewhere, to))],
    ['a directory above it', (to) => mkdirSync(path.dirname(to))],
    ['a link above it', (to, elsewhere) => symlinkSync(elsewhere, path.dirname(to))],
  ])('is not used: %s', async (_what, put) => {
    const root = temporary();
    const elsewhere = temporary();
    const to = path.join(root, 'shop/monday');
    put(to, elsewhere);
    await expect(makePlace(to, path.join(root, 'shop'))).rejects.toMatchObject({ code: 'to-unusable' });
    expect(readdirSync(elsewhere)).toEqual([]);
    // What was there stays, and nothing of ours with it.
    expect(readdirSync(root)).toEqual(['shop']);
  });

  test('is looked at again where it was there: all may write to it by now', async () => {
    const root = temporary();
    chmodSync(root, 0o777);
    writeFileSync(path.join(root, 'theirs'), '');
    await expect(makePlace(root)).rejects.toMatchObject({
      code: 'to-unusable',
      message: expect.stringContaining('every user') as unknown,
    });
    chmodSync(root, 0o700);
    await expect(makePlace(root)).rejects.toMatchObject({
      code: 'to-unusable',
      message: expect.stringContaining('not empty') as unknown,
    });
    expect(readdirSync(root)).toEqual(['theirs']);
  });
});
