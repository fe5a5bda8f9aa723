import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeEach, describe, expect, test } from '@jest/globals';
import { settingsProblem } from '../../../src/modes/settings-of-version.ts';
import type { Tools } from '../../../src/modes/tools.ts';
import { environmentOf, loadSettings } from '../../../src/settings/load.ts';
import type { Settings } from '../../../src/settings/settings.ts';
import { temporaryDirectories } from '../system/temporary.ts';
import { inShell, raw } from './helpers.ts';

const temporary = temporaryDirectories();
let directory: string;
let file: string;

beforeEach(() => {
  directory = temporary();
  file = path.join(directory, 'caretaker.yml');
});

function load(): Settings {
  return loadSettings(raw({ mode: 'backup', 'project-directory': directory }, 'flag'), environmentOf(inShell));
}

test('caretaker.yml is read, also by a link', () => {
  writeFileSync(path.join(directory, 'elsewhere.yml'), 'project-name: shop');
  symlinkSync('elsewhere.yml', file);
  expect(load().projectName).toBe('shop');
});

describe.each<[string, () => void, string]>([
  ['larger than any settings', () => large(1024 * 1024 + 1), 'it is larger than 1 MiB'],
  ['without an end', () => symlinkSync('/dev/zero', file), 'it is no regular file'],
  ['a pipe', () => void execFileSync('mkfifo', [file]), 'it is no regular file'],
  ['a directory', () => mkdirSync(file), 'it is no regular file'],
])('a caretaker.yml that is %s', (_what, make, why) => {
  beforeEach(() => make());

  test('is refused at once', () => {
    expect(load).toThrow(expect.objectContaining({ code: 'config-file-invalid', message: expect.stringContaining(why) as unknown })); // prettier-ignore
  });

  test('is a reason not to stay on the version that brought it', () => {
    const problem = settingsProblem({ checkSettings: () => void load() } as unknown as Tools, 'v1.1.0');
    expect([problem?.code, problem?.message]).toEqual(['settings-of-version', expect.stringContaining(why)]);
  });
});

test('a caretaker.yml of 1 MiB is read', () => {
  large(1024 * 1024);
  expect(load().projectName).toBe('shop');
});

/** Settings, and a comment that fills it up. */
function large(bytes: number): void {
  rmSync(file, { force: true });
  const text = 'project-name: shop\n#';
  writeFileSync(file, text + '.'.repeat(2 * 1024 * 1024));
  truncateSync(file, bytes);
}
