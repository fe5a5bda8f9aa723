import { describe, expect, test } from '@jest/globals';
import { parseProofFile, proofFile, verdict, type Proof } from '../../../src/archive/proof.ts';

const backup = 'shop-20261121T220000Z';
const on = (day: number, level: Proof['level'], ok = true): Proof => ({
  ...{ at: `2026-11-${day}T22:15:00.000Z`, level, ok },
});

describe('the file of a proof', () => {
  test('tells in its name what a list shows', () => {
    const file = proofFile(backup, { at: '2026-11-24T22:15:00.789Z', level: 'databases', ok: true });
    expect(file).toBe('shop-20261121T220000Z.drill-20261124t221500z.databases.ok.json');
    expect(parseProofFile(file)).toEqual({ backup, proof: { ...on(24, 'databases'), file } });
    const failed = proofFile(backup, on(24, 'application', false));
    expect(parseProofFile(failed)?.proof).toEqual({ ...on(24, 'application', false), file: failed });
  });

  test.each([
    `${backup}.manifest.json`,
    `${backup}.drill-20261124T221500Z.read.ok.json`,
    `${backup}.drill-20261399t221500z.read.ok.json`,
    `${backup}.drill-20260231t221500z.read.ok.json`,
    `${backup}.drill-20261124t221500z.all.ok.json`,
    `${backup}.drill-20261124t221500z.read.perhaps.json`,
    `${backup}.drill-20261124t221500z.read.ok.json\n`,
    'shop.drill-20261124t221500z.read.ok.json',
    `../${backup}.drill-20261124t221500z.read.ok.json`,
  ])('%j is none', (file) => expect(parseProofFile(file)).toBeNull());
});

describe('verdict', () => {
  test('of no drill is null', () => expect(verdict([])).toBeNull());

  test('is the newest result', () => {
    expect(verdict([on(24, 'read'), on(23, 'application')])).toEqual(on(24, 'read'));
    expect(verdict([on(24, 'read', false), on(23, 'application')])).toEqual(on(24, 'read', false));
  });

  test('is a failure until a drill that goes as deep has passed', () => {
    const failed = on(22, 'databases', false);
    expect(verdict([on(24, 'read'), failed])).toEqual(failed);
    expect(verdict([on(25, 'application'), on(24, 'read'), failed])).toEqual(on(25, 'application'));
    expect(verdict([on(23, 'databases'), failed])).toEqual(on(23, 'databases'));
  });
});
