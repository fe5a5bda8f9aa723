import { describe, expect, test } from '@jest/globals';
import { parseSettings } from '../../../src/settings/parse.ts';
import { fromAction, fromArguments, helpText, withFile } from '../../../src/settings/sources.ts';
import { inputNames, inputOf } from '../../../src/settings/inputs.ts';
import { inAction, inShell, problemsOf, raw } from './helpers.ts';

const codes = (from: { problems: readonly { code: string }[] }): string[] => from.problems.map(({ code }) => code);

describe('the action', () => {
  test('reads inputs as GitHub hands them over, and takes an empty one for none', () => {
    const { values } = fromAction({
      INPUT_MODE: 'backup',
      'INPUT_PROJECT-DIRECTORY': '/srv/uso',
      INPUT_STORE: '',
      PATH: '/bin',
    });
    expect(values).toEqual({
      mode: { text: 'backup', from: 'input' },
      'project-directory': { text: '/srv/uso', from: 'input' },
    });
  });

  test('a misspelt input is an error, a stranger a warning', () => {
    const read = fromAction({ 'INPUT_COMPOSE-FILE': 'x', INPUT_SOMETHING_ELSE_ALTOGETHER: 'x' });
    expect(codes(read)).toEqual(['input-unknown']);
    expect(read.problems[0]?.hint).toContain('"compose-files"');
    expect(read.warnings).toHaveLength(1);
  });
});

describe('the command line', () => {
  test('takes the mode, values in both forms, repeated lists and switches', () => {
    const { values, problems, options } = fromArguments(
      [
        'update',
        '--project-directory',
        '/srv/uso',
        '--store=type=folder,path=/a',
        '--store',
        'type=folder,path=/b',
        '--json',
      ],
      {},
    );
    expect(problems).toEqual([]);
    expect(options).toEqual({ json: true, help: false, version: false, verbose: false });
    expect(Object.fromEntries(Object.entries(values).map(([name, { text }]) => [name, text]))).toEqual({
      mode: 'update',
      'project-directory': '/srv/uso',
      store: 'type=folder,path=/a\ntype=folder,path=/b',
    });
  });

  test.each([
    [['backup', '--projct-directory', '/x'], 'input-unknown', '"--project-directory"'],
    [['backup', '--whatever-this-is=1'], 'input-unknown', '--help'],
    [['backup', '--engine'], 'flag-without-value', '--engine'],
    [['backup', '--health', '--json'], 'flag-without-value', '--health'],
    [['backup', '--engine', 'docker', '--engine', 'podman'], 'flag-repeated', 'once'],
    [['backup', '--github-token', 'ghs_secret'], 'secret-in-argv', 'GITHUB_TOKEN'],
    [['backup', 'uso'], 'argument-unknown', 'flags'],
  ])('%j → %s', (argv, code, hint) => {
    const read = fromArguments(argv, {});
    expect(codes(read)).toEqual([code]);
    expect(read.problems[0]?.hint).toContain(hint);
    expect(JSON.stringify(read.problems.map(({ message }) => message))).not.toContain('ghs_secret');
  });

  test('the token comes from the environment', () => {
    expect(fromArguments(['list'], { GITHUB_TOKEN: '', GH_TOKEN: 'tok' }).values['github-token']?.text).toBe('tok');
  });

  test('--help and -h name every flag', () => {
    expect(fromArguments(['-h'], {}).options.help).toBe(true);
    for (const name of inputNames.filter((name) => name !== 'mode' && inputOf(name).secret === undefined)) {
      expect(helpText()).toContain(`--${name} `);
    }
  });
});

describe('caretaker.yml', () => {
  const file = '/srv/uso/caretaker.yml';

  test('a typed value wins over the file, the file over the default', () => {
    const read = withFile(
      raw({ mode: 'backup', 'project-directory': '/srv/uso', settle: '1s' }),
      file,
      'settle: 2s\nconsistency: stopped\n',
    );
    expect(parseSettings(read, inAction)).toMatchObject({
      settleMs: 1000,
      consistency: 'stopped',
      healthTimeoutMs: 300_000,
    });
  });

  test('lists come as YAML lists or as block text', () => {
    const text =
      'store:\n  - type=folder,path=/a\n  - type=folder,path=/b\nhealth: |\n  type=command,run=./a\n  type=command,run=./b\nkeep-local: 5\n';
    const { values } = withFile(raw({}), file, text);
    expect(values.store?.text).toBe('type=folder,path=/a\ntype=folder,path=/b');
    expect(values.health?.text.trim()).toBe('type=command,run=./a\ntype=command,run=./b');
    expect(values['keep-local']?.text).toBe('5');
  });

  test('a ref of this run wins over a track in the file', () => {
    const read = withFile(raw({ mode: 'update', 'project-directory': '/srv/uso', ref: 'v2' }), file, 'track: releases');
    expect(parseSettings(read, inAction)).toMatchObject({ ref: 'v2', track: undefined });
  });

  test('a problem in the file says so', () => {
    const read = withFile(raw({ mode: 'backup', 'project-directory': '/srv/uso' }), file, 'engine: dokcer');
    expect(problemsOf(() => parseSettings(read, inAction))[0]?.message).toContain('caretaker.yml');
  });

  test.each([
    ['stroe: x', 'input-unknown'],
    ['confirm: uso', 'setting-not-for-file'],
    ['github-token: ghs_secret', 'setting-not-for-file'],
    ['mode: restore', 'setting-not-for-file'],
    ['- a\n- b', 'config-file-invalid'],
    ['a: [', 'config-file-invalid'],
    ['store:\n  - type: folder\n', 'config-file-invalid'],
    ['engine: [docker, podman]', 'config-file-invalid'],
    ['health: {type: http}', 'config-file-invalid'],
    ['engine: a\nengine: b', 'config-file-invalid'],
  ])('%j → %s', (text, code) => {
    const read = withFile(raw({}), file, text);
    expect(codes(read)).toEqual([code]);
    expect(JSON.stringify(read.problems.map(({ message, hint }) => [message, hint]))).not.toContain('ghs_secret');
  });

  test('an empty file and none are the same', () => {
    expect(withFile(raw({}), file, '').problems).toEqual([]);
    expect(withFile(raw({}), file, undefined).problems).toEqual([]);
  });

  test('problems of the command line and of its values come together', () => {
    const read = fromArguments(['backup', '--project-directory', '/srv/uso', '--engin', 'x', '--settle', 'x'], {});
    expect(problemsOf(() => parseSettings(read, inShell)).map(({ code }) => code)).toEqual([
      'input-unknown',
      'duration-invalid',
    ]);
  });
});
