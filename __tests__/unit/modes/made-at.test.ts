import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { madeElsewhere } from '../../../src/modes/made-at.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'caretaker-made-at-'));
  for (const name of ['shop', 'another']) mkdirSync(path.join(root, name));
  symlinkSync('shop', path.join(root, 'link'));
});
afterEach(() => rmSync(root, { recursive: true }));

test.each([
  ['in this very directory', 'shop', true],
  ['in this directory by another name', 'link', true],
  ['in a directory that is gone: it was moved', 'old', true],
  ['in another directory, which is there', 'another', false],
])('what this host made %s', async (_what, name, ours) => {
  const projectDirectory = path.join(root, name);
  const made = await madeElsewhere({ directory: path.join(root, 'shop') }, { host: hostname(), projectDirectory });
  expect(made).toBe(ours ? null : `on ${hostname()}, in ${projectDirectory}`);
});

test('what another host made, in a directory of the same name too', async () => {
  const directory = path.join(root, 'shop');
  expect(await madeElsewhere({ directory }, { host: 'server2', projectDirectory: directory })).toBe(
    `on server2, in ${directory}`,
  );
});
