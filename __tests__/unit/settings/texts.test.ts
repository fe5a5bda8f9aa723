import { describe, expect, test } from '@jest/globals';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parse as parseYaml } from 'yaml';
import { parseDuration } from '../../../src/settings/durations.ts';
import { inputs, modes, type Input } from '../../../src/settings/inputs.ts';
import { linesOf, parseKeyValues } from '../../../src/settings/key-values.ts';
import { outputs } from '../../../src/settings/outputs.ts';
import { nearest } from '../../../src/settings/suggest.ts';
import { actionDescription, inputsTable, outputsTable, withTables } from '../../../src/settings/tables.ts';

const root = path.resolve(import.meta.dirname, '../../..');

describe('action.yml', () => {
  const action = parseYaml(readFileSync(path.join(root, 'action.yml'), 'utf8')) as Record<
    string,
    Record<string, unknown>
  >;

  test('holds the inputs of the table, and no others', () => {
    expect(action['inputs']).toEqual(
      Object.fromEntries(
        (inputs as readonly Input[]).map((input) => [
          input.name,
          {
            description: actionDescription(input),
            required: input.name === 'mode',
            ...(input.actionDefault === undefined ? {} : { default: input.actionDefault }),
          },
        ]),
      ),
    );
  });

  test('holds the outputs of the table, and no others', () => {
    expect(action['outputs']).toEqual(
      Object.fromEntries(outputs.map(({ name, description }) => [name, { description }])),
    );
  });

  test('runs on Node 24, and its post step also after a cancel', () => {
    expect(action['runs']).toEqual({
      using: 'node24',
      main: 'dist/action/index.js',
      post: 'dist/action/post.js',
      'post-if': 'always()',
    });
  });
});

describe('README.md', () => {
  test('the tables name every input and output', () => {
    for (const { name } of inputs) expect(inputsTable()).toContain(`| \`${name}\` |`);
    for (const { name } of outputs) expect(outputsTable()).toContain(`| \`${name}\` |`);
    // What holds for all modes says so, and nothing else does.
    for (const { name, modes: used } of inputs as readonly Input[]) {
      expect(inputsTable().includes(`| \`${name}\` | all |`)).toBe(used.length === modes.length);
    }
  });

  test('only what stands between the markers is replaced', () => {
    const readme = 'a\n<!-- inputs -->\nOUTDATED\n<!-- /inputs -->\nb\n<!-- outputs --><!-- /outputs -->\nc\n';
    const written = withTables(readme);
    expect(written).toMatch(/^a\n<!-- inputs -->\n\n\| input/);
    expect(written).toContain('<!-- /inputs -->\nb\n');
    expect(written).not.toContain('OUTDATED');
    expect(withTables(written)).toBe(written);
    expect(() => withTables('nothing')).toThrow('<!-- inputs -->');
  });

  test('the file, where there is one, holds the tables of today', () => {
    const file = path.join(root, 'README.md');
    if (!existsSync(file)) return;
    // Prettier pads the cells and the dashes.
    const squeeze = (text: string): string => text.replace(/-{3,}/g, '---').replace(/ +/g, ' ');
    const readme = readFileSync(file, 'utf8');
    expect(squeeze(readme)).toBe(squeeze(withTables(readme)));
  });
});

describe('key=value lines', () => {
  test.each([
    ['type=folder,path=/srv/a b', { type: 'folder', path: '/srv/a b' }],
    ['type=directory, path=./local , exclude=', { type: 'directory', path: './local', exclude: '' }],
    ['a=1,"b=2,3",c="4,5"', { a: '1', b: '2,3', c: '4,5' }],
    ['a="say ""hi"", you"', { a: 'say "hi", you' }],
    ['run=test "$X" = 1', { run: 'test "$X" = 1' }],
    ['url=http://h/?a=b', { url: 'http://h/?a=b' }],
  ])('%s', (line, expected) => expect(parseKeyValues(line, 'data')).toEqual(expected));

  test.each(['', 'a', '=1', 'A=1', 'a=1,', 'a=1,,b=2', 'a="1', 'a="1"2', 'a=1,a=2', '__proto__=1'])(
    'refuses %j',
    (line) => {
      expect(() => parseKeyValues(line, 'data')).toThrow('data');
    },
  );

  test('comments and empty lines are no lines', () => {
    expect(linesOf('\n# a\r\n  x=1  \n\n#b\ny=2')).toEqual(['x=1', 'y=2']);
  });
});

test.each([
  ['90s', 90_000],
  ['5m', 300_000],
  ['1h30m', 5_400_000],
  ['250ms', 250],
  ['1.5s', 1500],
  ['0', 0],
  ['5', undefined],
  ['5 m', undefined],
  ['-5s', undefined],
  ['', undefined],
])('the time %j is %j ms', (text, ms) => expect(parseDuration(text)).toBe(ms));

test.each([
  ['bakcup', 'backup'],
  ['PROJECT_DIRECTORY', 'project-directory'],
  ['xyz', undefined],
])('%s is near %s', (word, expected) => {
  expect(nearest(word, ['backup', 'update', 'project-directory'])).toBe(expected);
});

test('nothing is near to a word that goes on for ever, and that is told at once', () => {
  const start = performance.now();
  expect(nearest('x'.repeat(10_000_000), ['backup', 'update'])).toBeUndefined();
  expect(performance.now() - start).toBeLessThan(1000);
});
