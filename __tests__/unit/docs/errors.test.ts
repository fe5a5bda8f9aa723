import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { errorCodes, sourcesBelow } from './error-codes.ts';

const root = path.resolve(import.meta.dirname, '../../..');
const src = errorCodes(sourcesBelow(root, 'src'));
const documented = [...readFileSync(path.join(root, 'docs/errors.md'), 'utf8').matchAll(/^\| `([a-z0-9-]+)`/gm)].map(
  ([, code]) => code ?? '',
);

describe('docs/errors.md', () => {
  test('has every code that the program can show', () => {
    const missing = [...src.used].filter(([code]) => !documented.includes(code));
    expect(missing.map(([code, places]) => `${code} (${places.join(', ')})`)).toEqual([]);
  });

  test('has no code that the program does not know', () => {
    expect(documented.filter((code) => !src.used.has(code))).toEqual([]);
  });

  test('has each code once', () => {
    expect(documented.filter((code, at) => documented.indexOf(code) !== at)).toEqual([]);
  });

  test('the source tells of every error which code it has', () => {
    expect(src.unclear).toEqual([]);
  });

  test('codes are kebab-case', () => {
    expect([...src.used.keys()].filter((code) => !/^[a-z]+(-[a-z0-9]+)*$/.test(code))).toEqual([]);
  });
});

describe('reading codes from source text', () => {
  const codesOf = (...texts: readonly string[]): string[] => {
    const { used, unclear } = errorCodes(new Map(texts.map((text, at) => [`${at}.ts`, text])));
    return [...used.keys(), ...unclear.map((place) => `unclear ${place}`)].sort();
  };

  test.each<[string, string[], string[]]>([
    ['a literal on its own line', ["throw new CaretakerError(\n  'a-b',\n  'text',\n);"], ['a-b']],
    ['a choice', ["throw new CaretakerError(x ? 'a-b' : 'c-d', '');"], ['a-b', 'c-d']],
    [
      'a helper, and what hands on to it',
      [
        "const fail = (code: string): never => { throw new CaretakerError(code, ''); };",
        "fail('other-file');",
        "export function bad(code: string) { return new CaretakerError(code, ''); }\nbad('a-b');",
        "function outer(name: string) { return bad(`${name}-unknown`); }\nouter('store'); outer('data');",
      ],
      ['a-b', 'data-unknown', 'store-unknown', 'unclear 0.ts:1'],
    ],
    [
      'a private method',
      ["class P {\n  #problem(code: string) { new CaretakerError(code, ''); }\n  x() { this.#problem('a-b'); }\n}"],
      ['a-b'],
    ],
    [
      'a loop over a list',
      ["for (const c of ['a-b', 'c-d'] as const) throw new CaretakerError(c, '');"],
      ['a-b', 'c-d'],
    ],
    ['a table', ["const t = { x: 'a-b', y: 'c-d' };\nthrow new CaretakerError(t[k], '');"], ['a-b', 'c-d']],
    ['rows of a table', ["const t = [{ code: 'a-b' }];\nthrow new CaretakerError(t[0].code, '');"], ['a-b']],
    ['a subclass', ["class Sub extends CaretakerError { constructor() { super('a-b', ''); } }"], ['a-b']],
    ['what nobody can tell', ["throw new CaretakerError(read(), '');"], ['unclear 0.ts:1']],
    ['comments and texts', ["// new CaretakerError('no-code')\nconst s = \"new CaretakerError('no-code')\";"], []],
  ])('%s', (_name, texts, expected) => {
    expect(codesOf(...texts)).toEqual(expected);
  });
});
