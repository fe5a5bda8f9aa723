import { describe, expect, test } from '@jest/globals';
import type { Part } from '../../../src/archive/manifest.ts';
import type { CaretakerErrors } from '../../../src/errors.ts';
import { choosePieces, namesOf } from '../../../src/modes/pieces.ts';
import { parseSelection, type Selection } from '../../../src/settings/selection.ts';
import { NAME, sampleManifest, samplePart } from '../archive/sample-manifest.ts';

const file = (suffix: string): Part['files'][number] => ({
  ...{ file: `${NAME}.${suffix}.zst`, bytes: 1, rawBytes: 2, sha256: 'a'.repeat(64) },
});
const dumped = samplePart({
  ...{ name: 'dumped', method: 'dump' },
  files: [file('dumped.globals.sql'), file('dumped.postgres.dump'), file('dumped.uso.dump')],
});
const single = samplePart({
  ...{ name: 'single', method: 'dump', files: [file('single.uso.dump')] },
  postgres: { ...samplePart().postgres!, databases: ['uso'] },
});
const media = samplePart({ name: 'media', kind: 'volume', method: 'files', files: [file('media.tar')] });
const own = samplePart({
  name: 'project-files',
  kind: 'project-files',
  method: 'files',
  files: [file('project-files.tar')],
});
const manifest = sampleManifest({ parts: [samplePart(), dumped, single, media, own] });

const only = (...texts: string[]): Selection[] => texts.map((text) => parseSelection(text) as Selection);
const told = (texts: string[], where?: 'elsewhere'): [string, string[]][] =>
  choosePieces(manifest, only(...texts), where).map((piece) => [
    namesOf(piece).join(' '),
    piece.part.files.map((one) => one.file.slice(NAME.length + 1)),
  ]);

describe('the pieces of a backup', () => {
  test('are all data without only, single databases as such; elsewhere everything', () => {
    expect(told([]).map(([name]) => name)).toEqual(['database', 'dumped', 'single:uso', 'media']);
    expect(told([], 'elsewhere').map(([name]) => name)).toEqual([
      'database',
      'dumped',
      'single',
      'media',
      'project-files',
    ]);
  });

  test('have the files that are needed, and no others', () => {
    expect(told(['dumped:uso', 'media/a', 'media/b/c'])).toEqual([
      ['dumped:uso', ['dumped.uso.dump.zst']],
      ['media/a media/b/c', ['media.tar.zst']],
    ]);
    expect(told(['dumped:uso'], 'elsewhere')).toEqual([
      ['dumped:uso', ['dumped.globals.sql.zst', 'dumped.uso.dump.zst']],
    ]);
    expect(told(['single'])).toEqual([['single:uso', ['single.uso.dump.zst']]]);
  });

  test('that are not there, or can not be had alone, are all named', () => {
    try {
      told(['datbase', 'database:uso', 'dumped:shop', 'dumped/base', 'media:uso', 'project-files/.env']);
    } catch (error) {
      expect((error as CaretakerErrors).problems.map(({ code }) => code)).toEqual([
        ...[
          'part-unknown',
          'part-indivisible',
          'database-unknown',
          'part-indivisible',
          'part-indivisible',
          'part-indivisible',
        ],
      ]);
      return;
    }
    throw new Error('nothing was refused');
  });
});
