import { describe, expect, test } from '@jest/globals';
import { createArgv, onlyLivedOn } from '../../../src/runtimes/tar-command.ts';

describe('what a failed tar says', () => {
  const failed = (code: number, ...lines: string[]): string =>
    `failed to run tar --create: exit code ${code}: ${lines.join('\n')}`;
  const changed = 'tar: ./a.log: file changed as we read it';

  test.each([
    [[changed]],
    [[changed, 'tar: ./b: File removed before we read it']],
    [['tar: ./c: file shrank by 512 bytes; padding with zeros']],
  ])('%j: the files lived on', (lines) => {
    expect(onlyLivedOn(failed(1, 'tar: ./sock: socket ignored', ...lines))).toEqual(lines);
  });

  test.each([
    ['another code', failed(2, changed)],
    ['a real error beside it', failed(1, changed, 'tar: ./secret: Cannot open: Permission denied')],
    ['a word of the engine', failed(1, changed, 'error during connect: EOF')],
    ['no word at all', 'failed to run tar: exit code 1'],
    ['a file whose name pretends', failed(2, 'tar: ./x: exit code 1: tar: ./a: file changed as we read it')],
  ])('%s is a failure', (_, message) => {
    expect(onlyLivedOn(message)).toBeUndefined();
  });
});

test('a single file is packed from its directory, with no excludes', () => {
  const argv = createArgv('/srv/app/.env', 'file', ['*']);
  expect(argv.slice(-3)).toEqual(['--directory', '/srv/app', './.env']);
  expect(argv.join(' ')).not.toContain('--exclude');
});

test('an exclude that is the root itself excludes nothing', () => {
  expect(createArgv('/srv/app', 'directory', ['.', './', '']).join(' ')).not.toContain('--exclude');
});
