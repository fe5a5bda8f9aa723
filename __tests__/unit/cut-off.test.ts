import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { settingsBack } from '../../src/cut-off.ts';
import { silentLog } from '../../src/report/silent.ts';
import { openJournal } from '../../src/safety/journal.ts';
import { ensureStateDirectory } from '../../src/safety/state-directory.ts';
import { temporaryDirectories } from './system/temporary.ts';

const temporary = temporaryDirectories();
const at = '2026-11-24T10:00:00.000Z';
const SETTINGS = 'keep-local: 3\n';
let directory: string;
let file: string;

function git(...args: string[]): string {
  const identity = ['-c', 'user.name=Dev', '-c', 'user.email=dev@localhost'];
  return execFileSync('git', [...identity, ...args], { cwd: directory, encoding: 'utf8' }).trim();
}

/** A clone whose update was cut off, once it had checked the code out. */
beforeEach(async () => {
  directory = temporary();
  file = path.join(directory, 'caretaker.yml');
  git('init', '--quiet', '--initial-branch=main');
  writeFileSync(file, SETTINGS);
  git('add', '.');
  git('commit', '--quiet', '--message', 'one');
  const journal = await openJournal(await ensureStateDirectory(directory));
  const settings = { config: createHash('sha256').update(SETTINGS).digest('hex'), projectName: 'shop' };
  await journal.append({ type: 'begin', run: 'r1', mode: 'update', at, pid: 1, bootId: 'b', settings });
  const data = { commit: git('rev-parse', 'HEAD'), branch: 'main', local: null, target: null };
  await journal.append({ type: 'step', index: 0, name: 'check out', at, undo: { action: 'code-back', data } });
  rmSync(file);
});

describe('the code goes back before any settings are read, where it has brought a caretaker.yml that is', () => {
  test.each<[string, () => void]>([
    ['another', () => writeFileSync(file, 'health-timeout: soon')],
    ['larger than any settings', () => writeFileSync(file, '#'.repeat(2 * 1024 * 1024))],
    ['without an end', () => symlinkSync('/dev/zero', file)],
    ['a pipe', () => void execFileSync('mkfifo', [file])],
    ['a link to itself', () => symlinkSync('caretaker.yml', file)],
    ['no file', () => (mkdirSync(file), writeFileSync(path.join(file, 'x'), ''))],
  ])('%s', async (_what, make) => {
    make();
    const world = { env: {}, log: silentLog(), signal: new AbortController().signal };
    await settingsBack({ mode: 'recover', projectDirectory: directory }, world);
    expect(readFileSync(file, 'utf8')).toBe(SETTINGS);
    expect(world.log.warnings.join()).toContain('that goes back first');
  });
});
