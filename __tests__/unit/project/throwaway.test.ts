import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { kindOf } from '../../../src/project/throwaway.ts';
import { temporaryDirectories } from '../system/temporary.ts';

const temporary = temporaryDirectories();

test('directories of the host in which sockets and devices lie, and those that hold them, are told from others', async () => {
  const root = temporary();
  mkdirSync(path.join(root, 'run'));
  writeFileSync(path.join(root, 'file'), '');
  symlinkSync('/run', path.join(root, 'link'));
  const kinds: Record<string, string> = {};
  const asked = ['run', 'file', 'link', 'link/none', 'none'].map((name) => path.join(root, name));
  for (const one of [
    ...asked,
    '/',
    '/run',
    '/run/none',
    '/var',
    '/var/run',
    '/dev',
    '/dev/null',
    '/proc/1',
    '/etc',
    '/sys',
  ])
    kinds[one.replace(root, 'ROOT')] = await kindOf(one);
  expect(kinds).toEqual({
    'ROOT/run': 'directory',
    'ROOT/file': 'file',
    'ROOT/link': 'sockets',
    'ROOT/link/none': 'sockets',
    'ROOT/none': 'missing',
    '/': 'sockets',
    '/run': 'sockets',
    '/run/none': 'sockets',
    '/var': 'sockets',
    '/var/run': 'sockets',
    '/dev': 'sockets',
    '/dev/null': 'other',
    '/proc/1': 'sockets',
    '/etc': 'directory',
    // It has attributes, and neither sockets nor devices; an init of a container may not start without it.
    '/sys': 'directory',
  });
});
