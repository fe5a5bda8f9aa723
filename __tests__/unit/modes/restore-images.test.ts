import { beforeEach, describe, expect, test } from '@jest/globals';
import type { Manifest } from '../../../src/archive/manifest.ts';
import { CaretakerError } from '../../../src/errors.ts';
import { bringImages, isOfRepository } from '../../../src/modes/restore-images.ts';
import type { Tools } from '../../../src/modes/tools.ts';
import { sampleManifest } from '../archive/sample-manifest.ts';

const id = (digit: string): string => `sha256:${digit.repeat(64)}`;
const digest = (repository: string, digit: string): string => `${repository}@${id(digit)}`;

/** What the host has: ids and names to ids. */
let images: Map<string, string>;
let done: string[];
let warnings: string[];

beforeEach(() => {
  images = new Map();
  done = [];
  warnings = [];
});

/** An engine with two services: `web` is built, `db` comes from a registry that has the digests of `served`. */
function tools(
  served: readonly string[] = [],
  web: { image: string | null; build: boolean } = { image: null, build: true },
): Tools {
  const services = [
    { name: 'web', ...web },
    { name: 'db', image: 'docker.io/library/postgres:17', build: false },
  ];
  const note = (what: string): Promise<void> => {
    done.push(what);
    return Promise.resolve();
  };
  const runtime = {
    imageId: (name: string) => Promise.resolve(images.get(name) ?? null),
    tag: (image: string, name: string) => {
      images.set(name, image);
      return note(`tag ${name}`);
    },
    pull: (reference: string) => {
      if (!served.includes(reference)) return Promise.reject(new CaretakerError('engine-failed', 'manifest unknown'));
      images.set(reference, id('9'));
      return note(`pull ${reference}`);
    },
  };
  const compose = {
    model: () => Promise.resolve({ services }),
    dialect: { capabilities: { imageSeparator: '-' } },
    build: (names: readonly string[]) => note(`build ${names.join()}`),
    pull: (names: readonly string[]) => {
      images.set('docker.io/library/postgres:17', id('8'));
      return note(`compose pull ${names.join()}`);
    },
  };
  return {
    project: { name: 'shop', engine: { runtime, compose } },
    log: { info: () => undefined },
    recorder: { warn: (line: string) => warnings.push(line) },
  } as unknown as Tools;
}

const settings = {
  build: { kind: 'auto' },
  buildTimeoutMs: 1000,
  cacheImages: false,
  sourceDirectory: undefined,
} as const;
const backup = (...of: Manifest['images']): Manifest => sampleManifest({ images: of });
const web = { service: 'web', name: 'shop-web', id: id('1'), digests: [] };
const db = { service: 'db', name: 'postgres:17', id: id('2'), digests: [digest('postgres', '5')] };

describe('bringImages', () => {
  test('takes the very images that are still on the host', async () => {
    images = new Map([[id('1'), id('1')], [id('2'), id('2')], ['docker.io/library/postgres:17', id('2')]]); // prettier-ignore
    await bringImages(tools(), settings, backup(web, db));
    // The other name stands for it already.
    expect(done).toEqual(['tag shop-web']);
    expect(images.get('shop-web')).toBe(id('1'));
  });

  test('fetches by digest what a registry has, and builds what none has', async () => {
    await bringImages(tools([digest('postgres', '5')]), settings, backup(web, db));
    expect(done).toEqual([`pull ${digest('postgres', '5')}`, 'build web', 'tag docker.io/library/postgres:17']);
    expect(images.get('docker.io/library/postgres:17')).toBe(id('9'));
    expect(warnings).toEqual([]);
  });

  test('warns where only another image of that name is to be had', async () => {
    images.set(id('1'), id('1'));
    await bringImages(tools(), settings, backup(web, db));
    expect(done).toEqual(['compose pull db', 'tag shop-web']);
    expect(warnings.join()).toContain('docker.io/library/postgres:17 (db)');
  });

  test('fetches nothing from a repository that the compose file does not use, nor believes in a name as an id', async () => {
    images = new Map([['evil', id('6')], ['docker.io/library/postgres:17', id('2')]]); // prettier-ignore
    const elsewhere = digest('evil.example/postgres', '5');
    await bringImages(tools([elsewhere]), settings, backup({ ...web, id: 'evil' }, { ...db, digests: [elsewhere] }));
    expect(done).toEqual(['build web']);
  });

  test('leaves a name by digest alone', async () => {
    const name = digest('r.example/web', '3');
    images = new Map([[id('1'), id('1')], [id('2'), id('2')], ['docker.io/library/postgres:17', id('2')], [name, id('1')]]); // prettier-ignore
    await bringImages(tools([], { image: name, build: false }), settings, backup(web, db));
    expect(done).toEqual([]);
  });
});

test.each([
  ['postgres', 'docker.io/library/postgres:17', true],
  ['docker.io/library/postgres', 'postgres', true],
  ['127.0.0.1:5000/a/b', '127.0.0.1:5000/a/b:v1', true],
  ['lab/app', 'docker.io/lab/app:1', true],
  ['lab/app', 'ghcr.io/lab/app:1', false],
  ['postgres', 'localhost/postgres:1', false],
])('%s is of the repository of %s: %s', (repository, name, expected) => {
  expect(isOfRepository(digest(repository, '1'), name)).toBe(expected);
  expect(isOfRepository(`${repository}@sha256:1`, name)).toBe(false);
});
