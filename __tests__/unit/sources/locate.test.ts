import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
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
/** As for a restore out of a store. */
const here = ({ deps, ...more }: Partial<Parameters<typeof stage>[0]> = {}) =>
  stage({
    directory: '/srv/new',
    files: localFiles(),
    containers: () => containers,
    configuration: ['/srv/new/docker-compose.yml', '/srv/new/envs/prod.env', '/srv/new/settings.py'],
    deps: { fromStore: true, ...deps },
    ...more,
  });
const directory = (path: string) =>
  ({ take: [{ type: 'directory', name: 'x', path, exclude: [], writers: [] }], leave: [] }) as const;

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
    const { deps } = here({ containers: () => [...containers, reader], deps: { plan: directory('/srv/new') } });
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

  test.each(['.git', '.caretaker', '.caretaker/staging', 'sub/.git/hooks', './.git/../.git'])(
    '%s in the project is nobody’s data, by whatever name it is called',
    async (path) => {
      const all = [...containers, container('all', { mounts: [mount('/srv/new', '/all')] })];
      const { deps } = here({ containers: () => all });
      for (const origin of [
        { path: '/old', relativePath: path },
        { path: `/srv/new/${path}` },
        { path: '/old', service: 'all', containerPath: `/all/${path}` },
      ]) {
        await expect(locate(part(origin), deps)).rejects.toMatchObject({ code: 'part-homeless' });
      }
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
    const { deps } = here({ deps: { plan: directory('/var/data') } });
    expect(await locate(part({ path: '/var/data' }), deps)).toMatchObject({ path: '/var/data' });
  });

  test.each<[string, Part['origin']]>([
    ['the whole host', { path: '/root/.ssh', service: 'metrics', containerPath: '/rootfs/root/.ssh' }],
    ['the whole host, by its path there', { path: '/root/.ssh' }],
    ['the whole host, itself', { path: '/', service: 'metrics', containerPath: '/rootfs' }],
    ['a volume of another application', { path: '/v/certs/_data', volume: 'certs' }],
    ['a directory', { path: '/srv/certs/live' }],
  ])('is not what services only read: %s', async (_what, origin) => {
    for (const writable of [false, true]) {
      const metrics = container('metrics', {
        mounts: [
          mount('/', '/rootfs', { writable }),
          mount('/v/certs/_data', '/certs', { type: 'volume', volume: 'certs', writable: false }),
          mount('/srv/certs', '/more', { writable: false }),
        ],
      });
      const { deps } = here({ containers: () => [...containers, metrics], volumes: { certs: '/v/certs/_data' } });
      await expect(locate(part(origin), deps)).rejects.toMatchObject({ code: 'part-homeless' });
      const named = { ...deps, plan: directory(origin.path) };
      expect((await locate(part(origin), named)).path).toBe(origin.path);
    }
  });

  const deciding: readonly (readonly [string, string, Part['kind']])[] = [
    ['the compose file', 'docker-compose.yml', 'file'],
    ['one that Compose would take as well', 'docker-compose.override.yml', 'file'],
    ['one of podman-compose', 'container-compose.yaml', 'sqlite'],
    ['the settings of this program', 'caretaker.yml', 'file'],
    ['variables that are not there', '.env', 'file'],
    ['an env file', 'envs/prod.env', 'file'],
    ['the directory of an env file', 'envs', 'directory'],
    ['what a service has mounted read-only', 'settings.py', 'file'],
    ['the clone', 'src', 'directory'],
    ['the project', '.', 'directory'],
  ];
  test.each(deciding)('is not, by a manifest alone, %s', async (_what, relativePath, kind) => {
    const path = join('/srv/new', relativePath);
    const deps = { clone: '/srv/new/src/shop' };
    const app = container('app', { mounts: [mount('/srv/new', '/app')] });
    const origins = [
      { path: '/old', relativePath },
      { path },
      { path: '/old', service: 'app', containerPath: join('/app', relativePath) },
    ];
    // Where a service has all of the project mounted, that may come back, and nothing else of it by itself.
    for (const origin of relativePath === '.' ? origins.slice(0, 2) : origins) {
      const all = relativePath === '.' ? containers : [...containers, app];
      await expect(locate(part(origin, kind), here({ deps, containers: () => all }).deps)).rejects.toMatchObject({
        code: 'part-homeless',
        message: expect.stringContaining(path) as unknown,
      });
    }
    // The user’s own settings name it, or a service that writes to it.
    const plan = directory(path);
    const writer = container('writer', { mounts: [mount(path, '/data')] });
    for (const more of [{ deps: { ...deps, plan } }, { deps, containers: () => [...containers, writer] }])
      expect((await locate(part({ path: '/old', relativePath }, kind), here(more).deps)).path).toBe(path);
    // What this host took itself.
    expect((await locate(part({ path, relativePath }, kind), here({ deps: { ...deps, back: true } }).deps)).path).toBe(path); // prettier-ignore
  });

  test('of the project’s own files is the project', async () => {
    const files = part({ path: '/old', relativePath: '.' }, 'project-files');
    expect((await locate(files, here().deps)).path).toBe('/srv/new');
  });
});

describe('a symbolic link on the way to a part’s place', () => {
  let base: string;
  let shop: string;
  beforeEach(() => {
    base = realpathSync(mkdtempSync(join(tmpdir(), 'caretaker-locate-')));
    shop = join(base, 'shop');
    for (const one of ['shop/local/media', 'shop/.git/hooks', 'shop/deploy', 'runner/.ssh', 'disk/media/old', 'volume'])
      mkdirSync(join(base, one), { recursive: true });
    writeFileSync(join(base, 'runner/.ssh/authorized_keys'), 'a key');
  });
  afterEach(() => rmSync(base, { recursive: true }));

  const web = (...mounts: ReturnType<typeof mount>[]) => container('web', { mounts });
  const local = () => mount(join(shop, 'local'), '/app/local');
  const at = (mounts = [local()], more: Partial<Parameters<typeof stage>[0]> = {}) =>
    here({ directory: shop, configuration: [join(shop, 'compose.yaml')], containers: () => [web(...mounts)], ...more })
      .deps;
  const homeless = (leads: string) => ({
    code: 'part-homeless',
    message: expect.stringContaining(`${join(base, leads)}, where `) as unknown,
  });

  const ways: readonly (readonly [string, string, string])[] = [
    ['an absolute link', 'BASE/runner', 'runner/.ssh'],
    ['a relative one', '../../runner', 'runner/.ssh'],
    ['one that leads by another', 'media/../media/hop', 'runner/.ssh'],
    ['one to git’s own files', '../.git', 'shop/.git/.ssh'],
    ['one to this program’s', '../.caretaker', 'shop/.caretaker/.ssh'],
    ['one to where nothing is yet', 'BASE/nobody', 'nobody/.ssh'],
  ];
  test.each(ways)('is followed, and nothing goes out of the project by it: %s', async (_what, target, leads) => {
    symlinkSync(target.replace('BASE', base), join(shop, 'local/evil'));
    symlinkSync('../../../runner', join(shop, 'local/media/hop'));
    for (const origin of [
      { path: '/old', relativePath: 'local/evil/.ssh' },
      { path: join(shop, 'local/evil/.ssh') },
      { path: '/old', service: 'web', containerPath: '/app/local/evil/.ssh' },
    ]) {
      for (const kind of ['directory', 'sqlite', 'project-files'] as const)
        await expect(locate(part(origin, kind), at())).rejects.toMatchObject(homeless(leads));
    }
    const itself = part({ path: '/old', relativePath: 'local/evil' });
    await expect(locate(itself, at())).rejects.toMatchObject(homeless(leads.slice(0, -'/.ssh'.length)));
  });

  test('in a volume is no way out of it', async () => {
    symlinkSync(join(base, 'runner'), join(base, 'volume/evil'));
    const volume = mount(join(base, 'volume'), '/db', { type: 'volume', volume: 'db' });
    for (const origin of [
      { path: '/old', service: 'web', containerPath: '/db/evil/.ssh' },
      { path: '/x/db/_data/evil/.ssh', volume: 'db' },
    ]) {
      const deps = at([volume], { volumes: { db: join(base, 'volume') } });
      await expect(locate(part(origin), deps)).rejects.toMatchObject(homeless('runner/.ssh'));
    }
  });

  test('of a circle leads nowhere', async () => {
    symlinkSync('evil', join(shop, 'local/evil'));
    await expect(locate(part({ path: '/old', relativePath: 'local/evil/x' }), at())).rejects.toMatchObject({
      code: 'part-homeless',
    });
  });

  test('that an application put in the place of another one’s mount is not the administrator’s', async () => {
    const mounts = [local(), mount(join(shop, 'local/media'), '/media')];
    const media = part({ path: '/old', service: 'web', containerPath: '/media' });
    expect((await locate(media, at(mounts))).path).toBe(join(shop, 'local/media'));
    for (const [target, leads] of [
      ['BASE/runner/.ssh', 'runner/.ssh'],
      ['../compose.yaml', 'shop/compose.yaml'],
    ] as const) {
      rmSync(join(shop, 'local/media'), { recursive: true });
      symlinkSync(target.replace('BASE', base), join(shop, 'local/media'));
      await expect(locate(media, at(mounts))).rejects.toMatchObject(homeless(leads));
    }
  });

  test('does not hide what decides what runs next', async () => {
    symlinkSync('deploy', join(shop, 'envs'));
    writeFileSync(join(shop, 'deploy/prod.env'), '');
    const deps = at([local()], { configuration: [join(shop, 'envs/prod.env')] });
    for (const relativePath of ['envs', 'deploy', 'deploy/prod.env']) {
      const origin = { path: '/old', relativePath };
      await expect(locate(part(origin), deps)).rejects.toMatchObject({ code: 'part-homeless' });
    }
  });

  test('that leads to the project’s data is an administrator’s, who keeps them on a larger disk', async () => {
    rmSync(join(shop, 'local'), { recursive: true });
    symlinkSync('../disk', join(shop, 'local'));
    const wanted = { path: join(base, 'disk/media'), root: join(base, 'disk'), writers: ['web'] };
    for (const source of [join(shop, 'local'), join(base, 'disk')]) {
      const deps = at([mount(source, '/app/local')]);
      for (const origin of [
        { path: '/old', relativePath: 'local/media' },
        { path: '/old', service: 'web', containerPath: '/app/local/media' },
        { path: join(base, 'disk/media') },
      ]) {
        expect(await locate(part(origin), deps)).toMatchObject(wanted);
      }
    }
    const planned = at([], { deps: { plan: directory(join(base, 'disk')) } });
    expect((await locate(part({ path: '/old', relativePath: 'local' }), planned)).path).toBe(join(base, 'disk'));
    // What may write to the compose file decides anyway what is mounted.
    const all = at([mount(shop, '/shop'), mount(join(shop, 'local'), '/app/local')]);
    const database = part({ path: '/old', service: 'web', containerPath: '/app/local/db' }, 'sqlite');
    expect((await locate(database, all)).path).toBe(join(base, 'disk/db'));
    // Nothing says that this disk is the project's.
    await expect(locate(part({ path: '/old', relativePath: 'local' }), at([]))).rejects.toMatchObject(homeless('disk'));
  });

  test('that stays within the data is one of theirs; nothing that was staged is forgotten behind it', async () => {
    symlinkSync('media', join(shop, 'local/current'));
    const origin = { path: '/old', relativePath: 'local/current/old' };
    const { fromStore: _, ...undoing } = at();
    for (const deps of [at(), undoing])
      expect((await locate(part(origin), deps)).path).toBe(join(shop, 'local/media/old'));
  });
});
