import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { isStrangers, isStrangersLink, NotAFile, openFile } from '../../../src/system/strangers.ts';
import { temporaryDirectories } from './temporary.ts';

const temporary = temporaryDirectories();

describe('what lies where others may write', () => {
  test('is a stranger’s where it is neither ours, nor root’s, nor the directory’s owner’s', () => {
    const ours = process.getuid?.() ?? 0;
    expect([ours, 0, 4711, 4712].map((uid) => isStrangers({ uid }, { uid: 4711 }))).toEqual([false, false, false, true]); // prettier-ignore
  });

  test('is opened where it is a file, also by a link of ours', async () => {
    const directory = temporary();
    const file = path.join(directory, 'file');
    writeFileSync(file, 'text');
    symlinkSync('file', path.join(directory, 'link'));
    expect([isStrangersLink(file), isStrangersLink(path.join(directory, 'link'))]).toEqual([false, false]);
    const handle = await openFile(path.join(directory, 'link'));
    expect(await handle.readFile('utf8')).toBe('text');
    await handle.close();
  });

  test('is refused at once where it is a pipe, a device or a directory', async () => {
    const directory = temporary();
    execFileSync('mkfifo', [path.join(directory, 'pipe')]);
    mkdirSync(path.join(directory, 'directory'));
    for (const file of [path.join(directory, 'pipe'), path.join(directory, 'directory'), '/dev/zero']) {
      await expect(openFile(file)).rejects.toThrow(NotAFile);
    }
    await expect(openFile(path.join(directory, 'none'))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
