import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { hostileArchives, type Hostile } from './archives.ts';
import { hostileManifests } from './manifests.ts';
import { AT_ONCE, Hostiles, type Place, type Read, type Reading } from './place.ts';

/* Backups that somebody has made to do harm: each is refused before anything is stopped and leaves nothing, or is taken and does none. One that never ended would end all of this. */

jest.setTimeout(600_000);

const readings: readonly Reading[] = ['elsewhere', 'drill', 'live'];
const all = [...hostileArchives, ...hostileManifests];
/** Each is restored elsewhere, and drilled or restored into the live application, by turns; what these take differently is read in all three ways. */
const readIn = (reading: Reading): readonly Hostile[] =>
  all.filter(
    ({ code }, index) =>
      reading === 'elsewhere' || typeof code === 'object' || (index % 2 === 0) === (reading === 'drill'),
  );

/** A drill looks at all parts. */
const part = (reading: Reading, only: string | undefined): readonly string[] =>
  only === undefined || reading === 'drill' ? [] : ['--only', only];

const hostiles = new Hostiles();
const results = new Map<string, Promise<Read>>();
beforeAll(async () => {
  await hostiles.open();
  const jobs = readings.flatMap((reading) =>
    readIn(reading).map(({ title, make, flags, only }) => async () => {
      const more = (place: Place): string[] => [...(flags?.(place) ?? []), ...part(reading, only)];
      const read = hostiles.read(reading, make, more);
      results.set(`${reading} ${title}`, read);
      await read.catch(() => undefined); // Its test tells.
    }),
  );
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) await job();
    }),
  );
});
afterAll(() => hostiles.close());

const outside = (seen: Read['before'], taken: string): Record<string, string> =>
  Object.fromEntries(Object.entries(seen).filter(([name]) => taken === '' || !name.startsWith(taken)));

async function expectHarmless({ title, code }: Hostile, reading: Reading): Promise<void> {
  const wanted = code === null || typeof code === 'string' ? code : (code[reading] ?? null);
  const read = await results.get(`${reading} ${title}`);
  if (read === undefined) throw new Error('it was not read');
  expect({ code: read.code, message: read.message }).toEqual({
    code: wanted ?? undefined,
    message: expect.any(String),
  });
  // What was taken lies where it belongs: in the new directory, or in the place of the live data.
  const places = { elsewhere: 'to', drill: '-', live: 'shop/' };
  const taken = wanted === null ? places[reading] : '';
  expect(outside(read.after, taken)).toEqual(outside(read.before, taken));
  expect(read.stopped).toBe(wanted === null && reading === 'live');
  expect(read.running).toBe(true);
  expect(read.left).toEqual([]);
}

describe.each(readings)('read for %s', (reading) => {
  test.each(readIn(reading).map((one) => [one.title, one] as const))('%s', (_title, one) =>
    expectHarmless(one, reading),
  );
});

test('the backup that they are made of is taken in all three ways', async () => {
  for (const reading of readings) expect((await hostiles.read(reading, () => undefined)).code).toBeUndefined();
  process.stdout.write(`hostile: ${hostileArchives.length} archives and ${hostileManifests.length} manifests and stores, read ${results.size} times\n`); // prettier-ignore
  expect(new Set(all.map(({ title }) => title)).size).toBe(all.length);
  expect(all.length).toBeGreaterThanOrEqual(180);
});
