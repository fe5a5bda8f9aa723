import { beforeEach, describe, expect, test } from '@jest/globals';
import type { Part } from '../../../src/archive/manifest.ts';
import {
  groundAway,
  lookAtGround,
  makeGround,
  refuseWithoutSecrets,
  type MadeGround,
} from '../../../src/modes/empty-host.ts';
import type { Tools } from '../../../src/modes/tools.ts';
import { samplePart } from '../archive/sample-manifest.ts';

const DIRECTORY = '/nowhere/shop';
const database = samplePart({
  origin: { service: 'db', path: '/old/db', relativePath: 'data/db', containerPath: '/db' },
});
const media = samplePart({
  ...{ name: 'media', kind: 'volume', method: 'files' },
  origin: { service: 'web', volume: 'old_media', path: '/x/old_media/_data', containerPath: '/media' },
});

let volumes: Map<string, Readonly<Record<string, string>>>;
let here: Set<string>;
let containers: string[];
let done: string[];
let undo: { action: string; data: unknown } | undefined;
let files: number;

beforeEach(() => {
  volumes = new Map();
  here = new Set([DIRECTORY]);
  [containers, done, undo, files] = [[], [], undefined, 0];
});

function tools(more: Partial<Tools> = {}): Tools {
  const model = {
    services: [
      { name: 'db', volumes: [{ type: 'bind', source: `${DIRECTORY}/data/db`, target: '/db', readOnly: false }] },
      {
        name: 'web',
        volumes: [
          { type: 'volume', source: 'media', target: '/media', readOnly: false },
          { type: 'bind', source: `${DIRECTORY}/conf/site`, target: '/etc/site', readOnly: true },
        ],
      },
    ],
    volumes: { media: { name: 'shop_media', external: false } },
  };
  const note = (what: string): Promise<void> => {
    done.push(what);
    return Promise.resolve();
  };
  const runtime = {
    volume: (name: string) =>
      Promise.resolve(volumes.has(name) ? { name, mountpoint: `/v/${name}/_data`, labels: volumes.get(name) } : null),
    createVolume: (name: string, labels: Record<string, string>) => {
      volumes.set(name, labels);
      return Promise.resolve({ name, mountpoint: `/v/${name}/_data`, labels });
    },
    removeVolume: (name: string, labels: Record<string, string>) => {
      const own = Object.entries(labels).every(([key, value]) => volumes.get(name)?.[key] === value);
      if (own) volumes.delete(name);
      return Promise.resolve(own);
    },
  };
  const project = {
    ...{ name: 'shop', directory: DIRECTORY },
    engine: { runtime, compose: { model: () => Promise.resolve(model), down: () => note('down') } },
    containers: () => Promise.resolve(containers.map((service) => ({ service, mounts: [], oneOff: false }))),
    running: () => Promise.resolve(containers.length > 0),
    files: {
      exists: (path: string) => Promise.resolve(here.has(path)),
      scan: () => Promise.resolve({ kind: 'directory', files }),
      kinds: (_root: string, paths: readonly string[]) => Promise.resolve(paths.map(() => null)),
      makeDirectory: (path: string) => note(`mkdir ${path}`),
    },
  };
  const step = (_name: string, options: { undo: typeof undo }, work: () => unknown): unknown => {
    undo = options.undo;
    return work();
  };
  const warn = (line: string): number => done.push(`warn ${line}`);
  const log = { info: () => undefined, warn };
  return { project, saga: { step }, recorder: { warn }, log, run: 'r1', plan: undefined, ...more } as unknown as Tools;
}

const look = (parts: readonly Part[] = [database, media]): ReturnType<typeof lookAtGround> =>
  lookAtGround(tools(), parts, { needed: parts });

describe('the ground of a restore', () => {
  test('is empty where there is neither a container nor a file in any place', async () => {
    expect(await look()).toEqual({ empty: true, places: new Map([['database', `${DIRECTORY}/data/db`]]) });
    // Made, and nothing in them.
    here.add(`${DIRECTORY}/data/db`);
    volumes.set('shop_media', {});
    here.add('/v/shop_media/_data');
    expect((await look()).empty).toBe(true);
    files = 1;
    expect((await look()).empty).toBe(false);
    // All of it came with a fresh clone.
    const checkout = { isGits: () => Promise.resolve(true) } as unknown as Tools['checkout'];
    expect(await lookAtGround(tools({ checkout }), [database, media], { needed: [] })).toMatchObject({ empty: true });
    here.clear();
    expect((await look()).empty).toBe(true);
    containers = ['web'];
    expect((await look()).empty).toBe(false);
    expect([done, volumes.size]).toEqual([[], 1]);
  });

  test('a part without a place is passed over only where another version is going to have one', async () => {
    const gone = samplePart({
      name: 'gone',
      origin: { service: 'worker', volume: 'old', path: '/o', containerPath: '/o' },
    });
    await expect(look([gone])).rejects.toMatchObject({ code: 'part-homeless' });
    expect(await lookAtGround(tools(), [gone], { needed: [] })).toMatchObject({ empty: true });
  });

  test('is made as Compose would make it, says what the backup lacks, and goes again', async () => {
    await makeGround(tools(), [database, media], { empty: true, how: { anew: true } });
    expect(volumes.get('shop_media')).toEqual({
      'com.docker.compose.project': 'shop',
      'com.docker.compose.volume': 'media',
      'compose-caretaker.run': 'r1',
    });
    expect(done).toEqual([
      `warn ${DIRECTORY}/conf/site, which web has mounted, is not here, and the backup does not have it.`,
      `mkdir ${DIRECTORY}/data`,
    ]);
    const made = undo?.data as MadeGround;
    expect(made).toMatchObject({ volumes: ['shop_media'], containers: false });
    expect(made.directories).toEqual(expect.arrayContaining([`${DIRECTORY}/data`, `${DIRECTORY}/conf/site`]));

    containers = ['web'];
    volumes.set('shop_other', {});
    await groundAway(tools(), { ...made, volumes: ['shop_media', 'shop_other'] });
    expect([done.includes('down'), [...volumes.keys()]]).toEqual([true, ['shop_other']]);
    expect(done.at(-1)).toContain('shop_other is not of this run');
  });

  test('of an application that is there stays up when it goes', async () => {
    containers = ['web', 'db'];
    await makeGround(tools(), [database, media], { empty: false, how: {} });
    await groundAway(tools(), undo?.data as MadeGround);
    expect([done, volumes.size]).toEqual([[`mkdir ${DIRECTORY}/data`], 0]);
  });
});

describe('what a backup was not given for its secrets', () => {
  const left = [
    { what: '.env', why: 'secrets', secret: true },
    { what: '/etc/shop/env', why: 'secrets', secret: true },
    { what: 'cache', why: 'a cache' },
  ];
  const refuse = (more: Partial<Tools> = {}): Promise<void> =>
    refuseWithoutSecrets(tools(more), { name: 'shop-1', left });

  test('has to be here before anything is written', async () => {
    await expect(refuse()).rejects.toMatchObject({ code: 'secrets-missing', message: expect.stringContaining('.env, /etc/shop/env') }); // prettier-ignore
    here.add('/etc/shop/env');
    await expect(refuse()).rejects.toThrow('does not hold .env, and');
    here.add(`${DIRECTORY}/.env`);
    await refuse();
    expect(done).toEqual([]);
  });

  test('is warned of where what is here is only what git has', async () => {
    for (const file of ['/etc/shop/env', `${DIRECTORY}/.env`]) here.add(file);
    const isGits = (file: string): Promise<boolean> => Promise.resolve(file.endsWith('.env'));
    await refuse({ checkout: { isGits } as unknown as Tools['checkout'] });
    expect(done).toEqual([expect.stringMatching(/^warn \.env is as git has it/)]);
  });
});
