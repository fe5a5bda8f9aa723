import { describe, expect, test } from '@jest/globals';
import { CaretakerError } from '../../../src/errors.ts';
import { diskFull, isFull, isNoSpace, noSpaceLeft } from '../../../src/system/disk.ts';

const size = /\d[\d.]* k?[MGT]?B/.source;

describe('a full disk', () => {
  test('is told with what is needed, what is free, and where it is mounted', () => {
    expect(noSpaceLeft({ place: '/dev/shm/not/there/yet', bytes: 64_000_000 })).toMatch(
      new RegExp(`^no space left: it takes up to 64\\.0 MB, and ${size} of ${size} are free on /dev/shm$`),
    );
    expect(noSpaceLeft({ place: '/proc/1' })).toBe('no space left: 0 B of 0 B are free on /proc');
    expect(diskFull('write it', undefined, null).message).toBe('failed to write it: no space left');
    expect([isFull('/proc/1'), isFull('/dev/shm/not/there')]).toEqual([true, false]);
  });

  test.each([
    [Object.assign(new Error('write'), { code: 'ENOSPC' }), true],
    [Object.assign(new Error('write'), { code: 'EDQUOT' }), true],
    [new Error('pull failed', { cause: new Error('copying: write /x: no space left on device') }), true],
    [new CaretakerError('build-failed', 'ended with code 1', { hint: 'tar: No space left on device' }), true],
    [new Error('exit code 2: tar: ./upload-1.bin: Wrote only 4096 of 4500 bytes'), true],
    [new Error('Error: saving container state: database or disk is full'), true],
    [Object.assign(new Error('there is space'), { code: 'EIO' }), false],
    [undefined, false],
  ])('%s: %s', (error, expected) => {
    expect(isNoSpace(error)).toBe(expected);
  });
});
