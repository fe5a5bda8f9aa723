import { describe, expect, test } from '@jest/globals';
import {
  compareVersions,
  gateVersions,
  highestVersion,
  newestAllowed,
  parseVersion,
  type Version,
} from '../../../src/code/versions.ts';

const version = (tag: string): Version => {
  const parsed = parseVersion(tag);
  if (parsed === null) throw new Error(tag);
  return parsed;
};

test.each(['latest', '', 'v', 'release', 'v1.2.3_x y', 'main', 'v1..2', 'abc1234', '99999999999999999999'])(
  '%j is no version',
  (tag) => {
    expect(parseVersion(tag)).toBeNull();
  },
);

test.each([
  ['v1.2.3', { prefix: '', numbers: [1, 2, 3], preRelease: undefined, calendar: false }],
  ['1.2.3-rc.1', { numbers: [1, 2, 3], preRelease: 'rc.1' }],
  ['v1.2.3+build.5', { numbers: [1, 2, 3], preRelease: undefined }],
  ['2.0rc1', { numbers: [2, 0], preRelease: 'rc1' }],
  ['v25.09', { numbers: [25, 9], calendar: true }],
  ['25.10', { calendar: true }],
  ['v24.1.0', { calendar: false }],
  ['2025.09.1', { numbers: [2025, 9, 1], calendar: true }],
  ['2025-09-01', { numbers: [2025, 9, 1], calendar: true }],
  ['MedCATtrainer/v2.11.3', { prefix: 'medcattrainer/', numbers: [2, 11, 3] }],
  ['release-1.4', { prefix: 'release-', numbers: [1, 4] }],
])('%s', (tag, expected) => expect(parseVersion(tag)).toMatchObject(expected));

test('versions have SemVer’s order', () => {
  const ordered = [
    '1.0.0-alpha',
    '1.0.0-alpha.1',
    '1.0.0-alpha.beta',
    '1.0.0-rc2',
    '1.0.0-rc10',
    '1.0.0',
    'v1.0.1',
    '1.9',
    '1.10',
    'v2',
  ];
  const shuffled = ordered.toReversed().map(version).sort(compareVersions);
  expect(shuffled).toEqual(ordered.map(version));
  expect(compareVersions(version('v1.2'), version('1.2.0'))).toBe(0);
});

describe('the gate', () => {
  const gate = (from: string | null, to: string | null, allow: string[] = []) => {
    try {
      gateVersions(from, to, allow);
      return 'passes';
    } catch (error) {
      return (error as { code: string }).code;
    }
  };

  test.each([
    ['v1.2.3', 'v1.3.0', [], 'passes'],
    ['v1.2.3', 'v1.2.3', [], 'passes'],
    ['v1.2.3', 'v1.2.2', [], 'version-downgrade'],
    ['v1.2.3', 'v1.2.3-rc.1', [], 'version-downgrade'],
    ['v1.2.3', 'v1.2.2', ['downgrade'], 'passes'],
    ['v1.2.3', 'v2.0.0', [], 'version-major'],
    ['v1.2.3', 'v2.0.0', ['downgrade'], 'version-major'],
    ['v1.2.3', 'v2.0.0', ['major'], 'passes'],
    ['v2.0.0', 'v1.0.0', ['major'], 'version-downgrade'],
    ['v25.09', 'v26.01', [], 'passes'],
    ['v25.12.1', 'v26.01.0', [], 'passes'],
    ['v26.01', 'v25.12', [], 'version-downgrade'],
    ['v1.9.0', 'v2026.01.0', [], 'version-major'],
    ['latest', 'v2.0.0', [], 'passes'],
    [null, 'v2.0.0', [], 'passes'],
    ['web/v1.0.0', 'api/v3.0.0', [], 'passes'],
  ])('%s → %s, allowing %j: %s', (from, to, allow, expected) => expect(gate(from, to, allow)).toBe(expected));
});

describe('the newest release', () => {
  const tags = [
    'v1',
    'v1.2.0',
    'v1.2.1',
    'v1.3.0-rc.1',
    'v2',
    'v2.0.0',
    'v2.1.0-beta',
    'latest',
    'nightly-2026',
    'web/v9.0.0',
  ];

  test.each([
    ['v1.2.0', [], 'v1.2.1'],
    ['v1.2.1', [], null],
    ['v1.2.1', ['prerelease'], 'v1.3.0-rc.1'],
    ['v1.2.1', ['major'], 'v2.0.0'],
    ['v1.2.1', ['major', 'prerelease'], 'v2.1.0-beta'],
    ['v3.0.0', ['major'], null],
    ['web/v8.1.0', ['major'], 'web/v9.0.0'],
    [null, [], 'v2.0.0'],
  ])('above %s, allowing %j, is %s', (current, allow, expected) => {
    expect(newestAllowed(tags, current, allow)).toBe(expected);
  });

  test('single numbers are releases where they are all there is', () => {
    expect(newestAllowed(['v1', 'v2', 'v3'], 'v2', ['major'])).toBe('v3');
  });
});

test('the highest of several tags', () => {
  expect(highestVersion(['latest', 'v1.9.0', 'v1.10.0', ''])).toBe('v1.10.0');
  expect(highestVersion(['web/v1.0.0', 'web/v1.1.0'])).toBe('web/v1.1.0');
  expect(highestVersion(['web/v1.0.0', 'api/v2.0.0'])).toBeNull();
});
