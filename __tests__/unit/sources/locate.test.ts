import { describe, expect, test } from '@jest/globals';
import type { Part } from '../../../src/archive/manifest.ts';
import { locate } from '../../../src/sources/locate.ts';
import { localFiles } from './local-files.ts';
import { container, mount, stage } from './stand-ins.ts';

const part = (origin: Part['origin'], kind: Part['kind'] = 'directory'): Part => ({
  name: 'data', kind, method: 'files', files: [], consistency: 'online', origin, seconds: 0,
}); // prettier-ignore

const containers = [
  container('web', {
    mounts: [
      mount('/srv/new/media', '/app/media'),
      mount('/var/lib/docker/volumes/new_db/_data', '/app/db', { type: 'volume', volume: 'new_db' }),
      mount('/srv/new/settings.py', '/app/settings.py', { writable: false }),
    ],
  }),
  container('worker', { mounts: [mount('/srv/new/media', '/data')] }),
];
const here = (more: Partial<Parameters<typeof stage>[0]> = {}) =>
  stage({ directory: '/srv/new', files: localFiles(), containers: () => containers, ...more });

describe('a part’s place', () => {
  test('is where the same service has the same path mounted now', async () => {
    const origin = { service: 'web', containerPath: '/app/media', path: '/old/host/media', relativePath: 'elsewhere' };
    expect(await locate(part(origin), here().deps)).toMatchObject({
      path: '/srv/new/media',
      writers: ['web', 'worker'],
    });
  });

  test('stops those who only read it where they hold what is exchanged', async () => {
    const reader = container('proxy', { mounts: [mount('/srv/new/media', '/www', { writable: false })] });
    const { deps } = here({ containers: () => [...containers, reader] });
    const media = part({ service: 'web', containerPath: '/app/media', path: '/old' });
    expect((await locate(media, deps)).writers).toEqual(['web', 'worker', 'proxy']);
    expect((await locate(media, deps, ['2026/a.png'])).writers).toEqual(['web', 'worker']);
    const files = part({ path: '/srv/new', relativePath: '.' });
    expect((await locate(files, deps, ['media', 'x'])).writers).toEqual(['web', 'worker', 'proxy']);
  });

  test('inside a volume of another name, a file keeps its place in it', async () => {
    const origin = {
      service: 'web',
      containerPath: '/app/db/sub/db.sqlite3',
      volume: 'old_db',
      path: '/v/old_db/_data/sub/db.sqlite3',
    };
    expect(await locate(part(origin, 'sqlite'), here().deps)).toMatchObject({
      path: '/var/lib/docker/volumes/new_db/_data/sub/db.sqlite3',
      volume: 'new_db',
      writers: ['web'],
    });
  });

  test('is a volume of the project by its name, when no service tells', async () => {
    const { deps } = here({ volumes: { new_db: '/mnt/volumes/new_db/_data', foreign: '/mnt/volumes/foreign/_data' } });
    expect(await locate(part({ volume: 'new_db', path: '/x/new_db/_data/a' }), deps)).toMatchObject({
      path: '/mnt/volumes/new_db/_data/a',
    });
    await expect(locate(part({ volume: 'foreign', path: '/x/foreign/_data' }), deps)).rejects.toMatchObject({
      code: 'part-homeless',
    });
  });

  test('moves with the project directory', async () => {
    expect(await locate(part({ path: '/old/shop/local', relativePath: 'local' }), here().deps)).toMatchObject({
      path: '/srv/new/local',
    });
  });

  test('on an empty host comes from the compose file, and a volume that is not there is made', async () => {
    const service = { name: 'web', volumes: [
      { type: 'volume', source: 'db', target: '/app/db', readOnly: false }, { type: 'bind', source: '/srv/new/media', target: '/app/media', readOnly: false },
    ] }; // prettier-ignore
    const empty = here({
      containers: () => [],
      model: { services: [service], volumes: { db: { name: 'new_db', external: false } } },
    });
    expect(await locate(part({ service: 'web', containerPath: '/app/media', path: '/old' }), empty.deps)).toMatchObject(
      { path: '/srv/new/media' },
    );
    const found = await locate(
      part({ service: 'web', containerPath: '/app/db', volume: 'old_db', path: '/old' }),
      empty.deps,
    );
    expect(found.path).toBe(empty.volumes.get('new_db'));
  });

  test.each(['/etc', '/', '/srv', '/srv/newer', '/root/.ssh'])(
    '%s is not written to because a manifest says so',
    async (path) => {
      await expect(locate(part({ path }), here().deps)).rejects.toMatchObject({
        code: 'part-homeless',
        hint: expect.stringContaining('data'),
      });
    },
  );

  test('in a rollback is where it was taken, whatever the failed version mounts by now', async () => {
    const moved = { service: 'web', containerPath: '/app/media', path: '/srv/old/media', relativePath: '../old/media' };
    const { deps } = here({ deps: { back: true } });
    expect(await locate(part(moved), deps)).toMatchObject({ path: '/srv/old/media', service: 'web', writers: [] });
    // A volume that was removed meanwhile has no place any more but the new one.
    const volume = { service: 'web', containerPath: '/app/db', volume: 'new_db', path: '/gone/new_db/_data' };
    expect((await locate(part(volume), deps)).path).toBe('/var/lib/docker/volumes/new_db/_data');
  });

  test('outside the project is good where the project’s own settings name it', async () => {
    const plan = {
      take: [{ type: 'directory', name: 'x', path: '/var/data', exclude: [], writers: [] }],
      leave: [],
    } as const;
    expect(await locate(part({ path: '/var/data' }), here({ deps: { plan } }).deps)).toMatchObject({
      path: '/var/data',
    });
  });
});
