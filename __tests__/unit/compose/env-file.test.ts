import { describe, expect, test } from '@jest/globals';
import { parseEnvFile } from '../../../src/compose/env-file.ts';

const parse = (text: string, style: 'compose' | 'python-dotenv' = 'compose'): Record<string, string> =>
  parseEnvFile('/srv/app/.env', text, (name) => ({ USER: 'root' })[name], style);

describe('parseEnvFile', () => {
  test('reads plain, exported, commented and quoted values', () => {
    const text = [
      '# secrets',
      '',
      'A=1 # a comment',
      'HASH=a#b',
      '  export B = two words ',
      "C='${A} # literal'",
      'D="line\\nnext \\"q\\" ${A}"',
      'E=',
      'F: yaml',
      'M="one',
      'two"   # over lines',
    ].join('\r\n');
    expect(parse(text)).toEqual({
      A: '1',
      HASH: 'a#b',
      B: 'two words',
      C: '${A} # literal',
      D: 'line\nnext "q" 1',
      E: '',
      F: 'yaml',
      M: 'one\ntwo',
    });
  });

  test('a key alone takes the value of the environment, and is absent without one', () => {
    expect(parse('USER\nNOBODY\n')).toEqual({ USER: 'root' });
  });

  test('podman-compose leaves a bare dollar alone', () => {
    expect(parse('P=pa$word$1\nQ="${P}!"', 'python-dotenv')).toEqual({ P: 'pa$word$1', Q: 'pa$word$1!' });
    expect(parse('P=pa${USER}', 'python-dotenv')).toEqual({ P: 'paroot' });
  });

  test('says the line of a mistake and keeps the value to itself', () => {
    expect(() => parse('A=1\nnot a line\n')).toThrow(/\.env: line 2/);
    expect(() => parse('A="x\n')).toThrow(/quotes of A are not closed/);
    const secret = (): unknown => parse('A=1\nB=s3cret${\n');
    expect(secret).toThrow(/line 2: the value of B/);
    expect(secret).not.toThrow(/s3cret/);
  });
});
