import { basename } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { beside, placeNamed } from '../../../src/sources/places.ts';

const run = '20261123t060000z-4f2a';

describe('the names of what runs make beside live data', () => {
  test.each(['/srv/shop/media', '/srv/shop/db.sqlite3', `/srv/${'n'.repeat(200)}`])('of %s are read back', (live) => {
    const { fresh, aside } = beside(live, run);
    expect(placeNamed(basename(fresh), live)).toEqual({ kind: 'fresh', run });
    expect(placeNamed(basename(aside), live)).toEqual({ kind: 'aside', run });
    expect(placeNamed(`${basename(fresh)}-probe`, live)).toEqual({ kind: 'fresh', run });
    expect(placeNamed(`${basename(aside)}.caretaker-stray-2`, live)).toEqual({ kind: 'stray', run });
    expect(placeNamed(basename(beside(live, `${run}-back1`).aside), live)).toEqual({
      kind: 'aside',
      run: `${run}-back1`,
    });
  });

  test.each(['/srv/shop/data', '/srv/other/my-media', '/srv/other/med', '/srv/other/media2'])(
    'of %s are not those of media',
    (live) => {
      expect(placeNamed(basename(beside(live, run).aside), '/srv/shop/media')).toBeNull();
      expect(placeNamed('.caretaker-aside-by-hand-media', live)).toBeNull();
    },
  );
});
