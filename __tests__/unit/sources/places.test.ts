import { mkdirSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { Project } from '../../../src/project/project.ts';
import { beside, placeNamed, stagingFor } from '../../../src/sources/places.ts';
import { temporaryDirectories } from '../system/temporary.ts';
import { localFiles } from './local-files.ts';

const temporary = temporaryDirectories();

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

test('a directory for working files that was made when the run was cancelled does not stay', async () => {
  const stateDirectory = join(temporary(), '.caretaker');
  mkdirSync(join(stateDirectory, 'staging'), { recursive: true });
  const files = localFiles();
  const makeDirectory = async (path: string, like: string): Promise<void> => {
    await files.makeDirectory(path, like);
    throw new Error('it was ended before it could tell');
  };
  const project = { stateDirectory, files: { ...files, makeDirectory } } as unknown as Project;
  await expect(stagingFor(project, 'r1-files-media')).rejects.toThrow('ended before');
  expect(readdirSync(join(stateDirectory, 'staging'))).toEqual([]);
});
