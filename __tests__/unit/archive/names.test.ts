import { describe, expect, test } from '@jest/globals';
import {
  backupName, backupOfManifest, dumpSuffix, instructionsFile, isPartFileName, isPartName, manifestFile, parseBackupName, partFile, sanitizeProject,
} from '../../../src/archive/names.ts'; // prettier-ignore

const at = new Date('2026-11-21T22:00:00.789Z');
/** What GitHub refuses in the name of an artifact. */
const banned = /["<>:|*?\\/\r\n]/;

describe('names', () => {
  test('a backup is named after its project and its second, and read back', () => {
    expect(backupName('uso-nginx', at)).toBe('uso-nginx-20261121T220000Z');
    expect(parseBackupName('uso-nginx-20261121T220000Z')).toEqual({
      project: 'uso-nginx',
      at: new Date('2026-11-21T22:00:00Z'),
    });
  });

  test.each(['My Shop: "live"', '../../etc', 'a/b\\c', '-lead', 'Überraum', '', '...', 'x'.repeat(200), 'a\nb'])(
    'project %j gives a name that every store takes',
    (project) => {
      const name = backupName(project, at);
      expect(name).not.toMatch(banned);
      expect(parseBackupName(name)).not.toBeNull();
      expect(sanitizeProject(project).length).toBeLessThanOrEqual(63);
    },
  );

  test.each([
    'uso',
    'uso-20261121T220000',
    'uso-20261321T220000Z',
    'uso-20260231T220000Z',
    '../uso-20261121T220000Z',
    'uso-20261121T220000Z.x',
    'Uso-20261121T220000Z',
  ])('%s is no backup’s name', (name) => expect(parseBackupName(name)).toBeNull());

  test('files', () => {
    const name = backupName('uso', at);
    expect(partFile(name, 'database', 'tar')).toBe('uso-20261121T220000Z.database.tar.zst');
    expect(manifestFile(name)).toBe('uso-20261121T220000Z.manifest.json');
    expect(instructionsFile(name)).toBe('uso-20261121T220000Z.RESTORE.md');
    expect(backupOfManifest(manifestFile(name))).toBe(name);
    expect(backupOfManifest('other.manifest.json')).toBeNull();
    expect(() => partFile(name, '../x', 'tar')).toThrow(RangeError);
    expect(() => partFile(name, 'x', '../tar')).toThrow(RangeError);
  });

  test('a part’s file name is a base name of its own backup and part', () => {
    const name = backupName('uso', at);
    expect(isPartFileName(`${name}.db.tar.zst`, name, 'db')).toBe(true);
    for (const file of [
      `${name}.db.../x.zst`,
      `/${name}.db.tar.zst`,
      `${name}.other.tar.zst`,
      `${name}.db.tar`,
      `${name}.db..zst`,
      `${name}.db.a\0.zst`,
    ]) {
      expect(isPartFileName(file, name, 'db')).toBe(false);
    }
    expect(['database', 'a', 'a-b9'].every(isPartName)).toBe(true);
    expect(['', 'A', '-a', 'a-', 'a.b', 'a/b', 'x'.repeat(64)].some(isPartName)).toBe(false);
  });

  test('dumps of databases with odd names have names of their own', () => {
    expect(dumpSuffix('app')).toBe('app.dump');
    const odd = ['App', 'app ', 'a/b', 'a:b', '../x', 'ü', 'ö', 'x'.repeat(63), `${'x'.repeat(62)}y`, "o'brien"];
    const suffixes = odd.map(dumpSuffix);
    expect(new Set(suffixes).size).toBe(odd.length);
    for (const suffix of suffixes) expect(partFile(backupName('uso', at), 'db', suffix)).not.toMatch(banned);
  });
});
