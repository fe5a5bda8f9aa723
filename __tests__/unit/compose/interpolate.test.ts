import { describe, expect, test } from '@jest/globals';
import { interpolate } from '../../../src/compose/interpolate.ts';

const values: Readonly<Record<string, string>> = { HOST: 'db', EMPTY: '', N1: '5' };
const fill = (text: string): string => interpolate(text, (name) => values[name]);

describe('interpolate', () => {
  test.each([
    ['plain', 'plain'],
    ['$HOST/x', 'db/x'],
    ['${HOST}x$N1', 'dbx5'],
    ['a$$b $${HOST}', 'a$b ${HOST}'],
    ['[${UNSET}]', '[]'],
    ['${EMPTY:-d}|${EMPTY-d}|${UNSET-d}', 'd||d'],
    ['${HOST:-d}', 'db'],
    ['${HOST:+alt}|${EMPTY:+alt}|${EMPTY+alt}|${UNSET+alt}', 'alt||alt|'],
    ['${UNSET:-${ALSO:-${HOST}}}/y', 'db/y'],
    ['${UNSET:-http://x:80/$$}', 'http://x:80/$'],
    ['${HOST:?needed}', 'db'],
    ['${EMPTY?needed}', ''],
  ])('%s → %s', (text, expected) => {
    expect(fill(text)).toBe(expected);
  });

  test.each([
    ['${EMPTY:?say a host}', /EMPTY is missing a value: say a host/],
    ['${UNSET?no}', /UNSET is missing a value: no/],
    ['${HOST', /not closed/],
    ['${}', /no name/],
    ['costs 5$', /single \$/],
  ])('%s is refused', (text, message) => {
    expect(() => fill(text)).toThrow(message);
  });

  test('a required variable in a default that is not used does not fail', () => {
    expect(fill('${HOST:-${UNSET:?never}}')).toBe('db');
  });
});
