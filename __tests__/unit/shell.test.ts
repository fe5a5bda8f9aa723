import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { withoutCommands } from '../../src/report/workflow-commands.ts';

interface Report {
  readonly error: { readonly message: string };
}

/** What the command line prints, with a text in it that another may have written. */
function json(text: string, env: Readonly<Record<string, string>>): string {
  const shell = path.resolve(import.meta.dirname, '../../src/cli.ts');
  const args = [shell, 'backup', '--json', '--project-directory', `/nowhere/${text}`];
  return spawnSync(process.execPath, args, { encoding: 'utf8', env: { PATH: process.env['PATH'], ...env } }).stdout;
}

describe.each([
  '##[add-mask]x',
  '#\u200b#[add-mask]x',
  '\u0085::add-mask::x',
  '\u2028::add-mask::x',
  'a\n::add-mask::x',
])('the report as JSON, with %j in it', (text) => {
  test('has nothing that a runner would obey in a step of a workflow, and says the same', () => {
    const shown = json(text, { GITHUB_ACTIONS: 'true' });
    expect((JSON.parse(shown) as Report).error.message).toContain(`/nowhere/${text}`);
    expect(withoutCommands(shown)).toEqual([shown]);
  });
});

test('the report as JSON is readable in a shell', () => {
  expect(json('a#b', {})).toContain('/nowhere/a#b');
});
