import { describe, expect, test } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { readFileSync } from 'node:fs';
import { formatManifest, openManifest, parseManifest, type Manifest } from '../../../src/archive/manifest.ts';
import { NAME, sampleManifest, samplePart } from './sample-manifest.ts';

const schema = JSON.parse(
  readFileSync(new URL('../../../src/archive/manifest.schema.json', import.meta.url), 'utf8'),
) as object;
const validate = new Ajv2020({ allErrors: false, strict: true, strictRequired: false, allowUnionTypes: true }).compile(
  schema,
);

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
const plain = (manifest: Manifest): Json => JSON.parse(JSON.stringify(manifest)) as Json;

/** Every place in the value, as a path of keys. */
function* places(value: Json, path: (string | number)[] = []): Generator<(string | number)[]> {
  if (path.length > 0) yield path;
  if (Array.isArray(value)) for (const [index, item] of value.entries()) yield* places(item, [...path, index]);
  else if (value !== null && typeof value === 'object') {
    for (const [key, item] of Object.entries(value)) yield* places(item, [...path, key]);
  }
}

function changed(
  value: Json,
  path: (string | number)[],
  change: (holder: Record<string | number, Json>, key: string | number) => void,
): Json {
  const copy = structuredClone(value);
  let holder = copy as Record<string | number, Json>;
  for (const key of path.slice(0, -1)) holder = holder[key] as Record<string | number, Json>;
  change(holder, path.at(-1)!);
  return copy;
}

const withoutEngine = sampleManifest({ engine: null, version: { commit: null, tag: null, describe: null } });
const samples: [string, Manifest][] = [
  ['podman', sampleManifest()],
  ['no containers', withoutEngine],
  ['no parts', sampleManifest({ parts: [], images: [], left: [] })],
];

describe('a manifest', () => {
  test.each(samples)('(%s) comes back from its text as it was, and fits the published schema', (_name, manifest) => {
    expect(parseManifest(formatManifest(manifest))).toEqual(plain(manifest));
    expect(parseManifest(plain(manifest))).toEqual(plain(manifest));
    expect(validate(plain(manifest)) ? null : validate.errors).toBeNull();
  });

  const whole = plain(sampleManifest());
  /** Fields that a manifest may lack. */
  const optional = /(^|\.)(relativePath|composeFiles|exclude|service|volume|containerPath|locale|sqlite|rows\b.*)$/;

  test('with any required field missing is refused by schema and parser, which names the field', () => {
    let checked = 0;
    for (const path of places(whole)) {
      const name = path.join('.');
      if (typeof path.at(-1) === 'number' || (optional.test(name) && !/^images/.test(name))) continue;
      const without = changed(whole, path, (holder, key) => delete holder[key]);
      expect([name, validate(without)]).toEqual([name, false]);
      // An absent `engine` means the same as null to a reader.
      if (name !== 'engine') expect(() => parseManifest(without)).toThrow(String(path.at(-1)));
      checked += 1;
    }
    expect(checked).toBeGreaterThan(40);
  });

  test.each<[string, Json]>([
    ['a number', -1.5],
    ['true', true],
    ['an object', { a: 1 }],
    ['a list', [[]]],
    ['a text with NUL', '\0'],
  ])('with %s anywhere is refused by schema and parser', (_name, wrong) => {
    for (const path of places(whole)) {
      const name = path.join('.');
      if (wrong === true && name.endsWith('rootless')) continue;
      // A table of any name, with a count.
      const isCounts = /sqlite\.rows$|\.rows\.uso$/.test(name);
      if (isCounts && !Array.isArray(wrong) && typeof wrong === 'object') continue;
      const bad = changed(whole, path, (holder, key) => (holder[key] = wrong));
      expect([name, validate(bad)]).toEqual([name, false]);
      expect([name, refusal(bad)]).toEqual([
        name,
        name === 'schema' ? expect.stringMatching(/^manifest-/) : 'manifest-invalid',
      ]);
    }
  });

  test('with an unknown field is not what this release writes, but is read', () => {
    for (const path of [['x'], ['parts', 0, 'x'], ['engine', 'x'], ['parts', 0, 'origin', 'x']]) {
      const more = changed(whole, path, (holder, key) => (holder[key] = 1));
      expect(validate(more)).toBe(false);
      expect(parseManifest(more)).toEqual(whole);
    }
  });

  test('of a newer schema is refused with the way out', () => {
    expect(() => parseManifest({ ...(whole as object), schema: 2 })).toThrow(
      expect.objectContaining({
        code: 'manifest-newer',
        hint: expect.stringContaining('RESTORE.md') as unknown as string,
      }),
    );
  });

  test.each<[string, string]>([
    ['nothing', ''],
    ['half a manifest', formatManifest(sampleManifest()).slice(0, 300)],
    ['a list', '[]'],
    ['null', 'null'],
    ['a page of HTML', '<html>'],
    ['a prototype', '{"__proto__": {"schema": 1}}'],
    ['five megabytes', `"${'x'.repeat(5_000_000)}"`],
  ])('that is %s is refused', (_name, text) => {
    expect(refusal(text)).toBe('manifest-invalid');
  });
});

test('counts of tables that are called like what every object inherits are read as they are', () => {
  const rows = JSON.parse('{"__proto__": {"public.__proto__": 1, "constructor": 2}}') as Record<string, object>;
  const odd = changed(
    plain(sampleManifest()),
    ['parts', 0, 'postgres', 'rows'],
    (holder, key) => (holder[key] = rows as Json),
  );
  expect(JSON.stringify(parseManifest(JSON.stringify(odd)).parts[0]?.postgres?.rows)).toBe(JSON.stringify(rows));
});

describe('a hostile manifest', () => {
  const file = samplePart().files[0]!;
  const withFile = (name: string): Manifest =>
    sampleManifest({ parts: [samplePart({ files: [{ ...file, file: name }] })] });

  test.each([
    `../${NAME}.database.tar.zst`,
    `/etc/${NAME}.database.tar.zst`,
    `${NAME}.database./../../x.zst`,
    `${NAME}.database.tar.zst\0.png`,
    `${NAME}.database.tar`,
    `${NAME}.other.tar.zst`,
    'other-20261121T220000Z.database.tar.zst',
    `${NAME}.manifest.json`,
    '',
  ])('names the file %j and is refused', (name) => {
    expect(() => parseManifest(formatManifest(withFile(name)))).toThrow('parts[0].files[0].file');
  });

  test.each<[string, Manifest]>([
    ['a part twice', sampleManifest({ parts: [samplePart(), samplePart()] })],
    ['a file twice', sampleManifest({ parts: [samplePart({ files: [file, file] })] })],
    ['a part named like a path', sampleManifest({ parts: [samplePart({ name: '../x' })] })],
    ['a backup named like a path', sampleManifest({ name: '../uso-20261121T220000Z' })],
    [
      'instructions elsewhere',
      sampleManifest({ instructions: { ...sampleManifest().instructions, file: '/etc/passwd' } }),
    ],
    ['a path with a name that no file can have', sampleManifest({ parts: [samplePart({ origin: { path: `/srv/${'n'.repeat(256)}` } })] })], // prettier-ignore
    [
      'a path that is longer than any',
      sampleManifest({ parts: [samplePart({ origin: { path: '/n'.repeat(2048) } })] }),
    ],
    ['a path that climbs', sampleManifest({ parts: [samplePart({ origin: { path: '/srv/uso/../../etc' } })] })],
    [
      'a relative path that climbs',
      sampleManifest({ parts: [samplePart({ origin: { path: '/srv/x', relativePath: '../x' } })] }),
    ],
    [
      'a relative path that is none',
      sampleManifest({ parts: [samplePart({ origin: { path: '/srv/x', relativePath: '/etc' } })] }),
    ],
    ['a method of another kind', sampleManifest({ parts: [samplePart({ method: 'sqlite' })] })],
    [
      'a physical copy of no known version',
      sampleManifest({ parts: [{ ...samplePart(), postgres: undefined } as never] }),
    ],
    ['encryption', sampleManifest({ encryption: 'age' as never })],
  ])('with %s is refused', (_name, manifest) => {
    expect(refusal(formatManifest(manifest))).toBe('manifest-invalid');
  });

  test('that is nested more deeply than it can be written again is refused', () => {
    const text = formatManifest(sampleManifest()).replace(
      '{',
      `{"later": ${'['.repeat(200_000)}${']'.repeat(200_000)},`,
    );
    expect(refusal(text, openManifest)).toBe('manifest-invalid');
  });

  test('with as many names as fit in is read at once', () => {
    const files = Array.from({ length: 20_000 }, (_, number) => ({
      ...file,
      file: `${NAME}.database.changed${number}.tar.zst`,
    }));
    const text = JSON.stringify(sampleManifest({ parts: [samplePart({ files })] }));
    const start = performance.now();
    expect(refusal(text)).toBeNull();
    expect(performance.now() - start).toBeLessThan(2000);
  });
});

function refusal(value: unknown, read: (value: unknown) => Manifest = parseManifest): string | null {
  try {
    read(value);
    return null;
  } catch (error) {
    return (error as { code: string }).code;
  }
}
