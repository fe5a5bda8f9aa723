import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { BadInput, Entry } from './bad-input.ts';
import { badLookings } from './lookings.ts';
import { badSettings } from './settings.ts';
import { isAlive, Shop, type Tried } from './shop.ts';

jest.setTimeout(300_000);

const entries: readonly Entry[] = ['command line', 'action'];
const shop = new Shop();
const good = new Map<Entry, Tried>();
const tried = new Map<Entry, Map<BadInput, Tried>>(entries.map((entry) => [entry, new Map()]));

beforeAll(async () => {
  await shop.open();
  const jobs = entries.flatMap((entry) => [
    async () => good.set(entry, await shop.try(entry, {})),
    ...[...badSettings, ...badLookings]
      .filter((bad) => bad.argv === undefined || entry === 'command line')
      .map((bad) => async () => tried.get(entry)?.set(bad, await shop.try(entry, bad))),
  ]);
  // Each is a process of its own that mostly waits for the disk.
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) await job();
    }),
  );
});

afterAll(() => shop.close());

describe.each(entries)('by the %s', (entry) => {
  const result = (bad: BadInput): Tried => {
    const found = tried.get(entry)?.get(bad);
    if (found === undefined) throw new Error(`"${bad.title}" was not tried`);
    return found;
  };
  const tests = (all: readonly BadInput[]): [string, BadInput][] =>
    all
      .filter((bad) => bad.argv === undefined || entry === 'command line')
      .map((bad) => [`${bad.title}: ${bad.code}`, bad]);

  test('the good settings are taken, and their backup is seen: what is refused below is refused for what is bad in it', () => {
    const { exitCode, problems, before, after, called, pids } = good.get(entry) as Tried;
    expect({ exitCode, problems }).toEqual({ exitCode: 0, problems: [] });
    expect(Object.keys(after).length).toBeGreaterThan(Object.keys(before).length);
    expectSameProcess(called, pids);
  });

  describe('settings that can’t be right', () => {
    test.each(tests(badSettings))('%s', (_, bad) => {
      const { before, after, called } = result(bad);
      expectRefused(bad, result(bad), entry);
      expect(called).toEqual([]);
      expect(after).toEqual(before);
    });
  });

  describe('settings that don’t fit what is there', () => {
    test.each(tests(badLookings))('%s', (_, bad) => {
      const { before, after } = result(bad);
      expectRefused(bad, result(bad), entry);
      expect(withoutTimesOfDirectories(after)).toEqual(withoutTimesOfDirectories(before));
    });
  });
});

function expectRefused(bad: BadInput, { exitCode, problems, shown, summary, called, pids }: Tried, entry: Entry): void {
  // All in one, so that a failure shows what was said.
  expect({ exitCode, codes: problems.map(({ code }) => code), shown }).toEqual({
    exitCode: 1,
    codes: [bad.code],
    shown: expect.any(String),
  });
  const [{ message, rest } = { message: '', rest: '' }] = problems;
  for (const name of bad.names) expect(message).toMatch(name);
  expect(rest).toMatch(bad.hint);
  expect(shown).toContain('refused: nothing was touched');
  if (entry === 'action') expect(summary).toContain(bad.code);
  if (bad.secret !== undefined) expect(shown.replaceAll(/^::add-mask::.*$/gm, '')).not.toContain(bad.secret);
  expectSameProcess(called, pids);
}

function expectSameProcess(called: readonly string[], [before, after]: Tried['pids']): void {
  expect(called.filter((verb) => verb !== 'status')).toEqual([]);
  expect(after).toBe(before);
  expect(isAlive(after)).toBe(true);
}

/** The lock, and the probe of a folder that is to be written, come and go: that moves the time of the directory they lay in. */
function withoutTimesOfDirectories(seen: Tried['before']): Record<string, string> {
  return Object.fromEntries(
    Object.entries(seen).map(([name, state]) => [
      name,
      state.endsWith(' directory') ? state.replace(/ [\d.]+ directory$/, '') : state,
    ]),
  );
}
