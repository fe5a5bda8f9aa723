import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { planData } from '../../../src/project/data.ts';
import type { DataPlan, SourceSpec } from '../../../src/project/project.ts';
import { bind, cluster, container, fakeProject, service, volume } from './fakes.ts';

const byName = (plan: DataPlan): Record<string, SourceSpec> =>
  Object.fromEntries(plan.take.map((spec) => [spec.name, spec]));
const reasons = (plan: DataPlan): string[] => plan.leave.map(({ what, why }) => `${what}: ${why}`);

const uso = {
  directory: '/srv/uso',
  containers: [
    container('database', {
      imageName: 'docker.io/library/postgres:17-alpine',
      command: ['docker-entrypoint.sh', 'postgres'],
      env: { PGDATA: '/var/lib/postgresql/data', POSTGRES_USER: 'usonline' },
      mounts: [bind('/srv/uso/database', '/var/lib/postgresql/data')],
    }),
    container('web', {
      // The application knows the same names, and serves nothing.
      env: { POSTGRES_USER: 'usonline', POSTGRES_DB: 'usonline', POSTGRES_PASSWORD: 'secret' },
      mounts: [
        bind('/srv/uso/local', '/opt/usonline/local'),
        bind('/srv/uso/site.conf', '/etc/usonline/site.conf', false),
        bind('/run/user/1001/podman/podman.sock', '/run/podman/podman.sock'),
      ],
    }),
  ],
  paths: [
    ...cluster('/srv/uso/database'),
    '/srv/uso/local/settings.py',
    '/srv/uso/local/media/1.png',
    '/srv/uso/local/logs/a.log',
    '/srv/uso/site.conf',
    '/run/user/1001/podman/podman.sock',
  ],
  configuration: ['/srv/uso/docker-compose.yml', '/srv/uso/.env'],
};

const mct = {
  directory: '/srv/mct',
  containers: [
    container('medcattrainer', {
      mounts: [
        volume('app_api-media', '/home/api/media'),
        volume('app_api-static', '/home/api/static'),
        volume('app_api-db', '/home/api/db'),
        bind('/srv/mct/configs', '/home/configs'),
      ],
    }),
    container('nginx', {
      mounts: [volume('app_api-media', '/home/api/media'), volume('app_api-static', '/home/api/static', false)],
    }),
    container('solr', { mounts: [volume('app_solr-data', '/var/solr')] }),
  ],
  model: {
    volumes: Object.fromEntries(
      ['api-media', 'api-static', 'api-db', 'solr-data'].map((key) => [key, { name: `app_${key}`, external: false }]),
    ),
    services: ['medcattrainer', 'nginx', 'solr'].map((name) => service(name)),
  },
  paths: [
    '/volumes/app_api-media/_data/1.txt',
    '/volumes/app_api-static/_data/app.js',
    '/volumes/app_api-db/_data/db.sqlite3',
    '/volumes/app_api-db/_data/db.sqlite3-wal',
    '/volumes/app_api-db/_data/db.sqlite3-shm',
    '/volumes/app_solr-data/_data/core/segments_1',
    '/srv/mct/configs/base.json',
  ],
  configuration: ['/srv/mct/docker-compose.yml', '/srv/mct/.env', '/srv/mct/envs/env'],
};

describe('auto, on the shapes that people deploy', () => {
  test('USO: PostgreSQL in a bind mount, ./local, and neither the read-only file nor the socket', async () => {
    const plan = await planData(fakeProject(uso), 'auto');
    expect(plan.take).toEqual([
      {
        type: 'postgres',
        name: 'database',
        service: 'database',
        method: 'physical',
        path: '/srv/uso/database',
        containerPath: '/var/lib/postgresql/data',
        user: 'usonline',
      },
      {
        type: 'directory',
        name: 'local',
        path: '/srv/uso/local',
        // logs may be the only record of who did what: the name alone excludes nothing
        exclude: [],
        writers: ['web'],
        service: 'web',
        containerPath: '/opt/usonline/local',
      },
      {
        type: 'project-files',
        name: 'project-files',
        path: '/srv/uso',
        members: ['/srv/uso/docker-compose.yml', '/srv/uso/.env'],
        exclude: [],
        writers: [],
      },
    ]);
    expect(reasons(plan)).toEqual([
      expect.stringMatching(/site\.conf .*read-only/) as unknown,
      expect.stringMatching(/podman\.sock .*engine's socket/) as unknown,
    ]);
  });

  test('MedCATtrainer: SQLite alone in its volume, shared volumes once with all who write them', async () => {
    const plan = await planData(fakeProject(mct), 'auto');
    const specs = byName(plan);
    // nothing else lies in api-db, so it has no part of its own
    expect(Object.keys(specs)).toEqual(['db', 'configs', 'api-media', 'solr-data', 'api-static', 'project-files']);
    expect(specs['db']).toEqual({
      type: 'sqlite',
      name: 'db',
      path: '/volumes/app_api-db/_data/db.sqlite3',
      writers: ['medcattrainer'],
      service: 'medcattrainer',
      containerPath: '/home/api/db/db.sqlite3',
      volume: 'app_api-db',
    });
    expect(specs['api-media']).toMatchObject({
      type: 'volume',
      volume: 'app_api-media',
      path: '/volumes/app_api-media/_data',
      writers: ['medcattrainer', 'nginx'],
      exclude: [],
    });
    expect(specs['api-static']).toMatchObject({ writers: ['medcattrainer'] });
    expect(specs['configs']).toMatchObject({ type: 'directory', path: '/srv/mct/configs' });
    expect(specs['project-files']).toMatchObject({ members: mct.configuration });
    expect(plan.leave).toEqual([]);
  });

  test('without containers the compose file and the volumes tell the same', async () => {
    const plan = await planData(
      fakeProject({
        ...mct,
        containers: [],
        volumes: { 'app_api-db': {}, 'app_api-media': {} },
        model: {
          ...mct.model,
          services: [
            service('medcattrainer', {
              volumes: [
                { type: 'volume', source: 'api-db', target: '/home/api/db', readOnly: false },
                { type: 'volume', source: 'api-media', target: '/home/api/media', readOnly: false },
                { type: 'volume', source: 'solr-data', target: '/x', readOnly: false },
                { type: 'volume', source: '', target: '/anonymous', readOnly: false },
                { type: 'bind', source: '/srv/mct/configs', target: '/home/configs', readOnly: false },
              ],
            }),
            service('database', {
              image: 'postgres:17',
              environment: { POSTGRES_USER: 'u' },
              volumes: [{ type: 'bind', source: '/srv/mct/pg', target: '/var/lib/postgresql/data', readOnly: false }],
            }),
          ],
        },
        paths: [...mct.paths, ...cluster('/srv/mct/pg')],
      }),
      'auto',
    );
    expect(plan.take.map(({ type, name }) => `${type} ${name}`)).toEqual([
      'postgres database',
      'sqlite db',
      'directory configs',
      'volume api-media',
      'project-files project-files',
    ]);
    // Nobody serves it, so its files are the way.
    expect(byName(plan)['database']).toMatchObject({ method: 'files', user: 'u', service: 'database' });
    expect(reasons(plan)).toEqual(['volume app_solr-data: it does not exist yet']);
  });
});

describe('auto, PostgreSQL', () => {
  const server = (more: Parameters<typeof container>[1] = {}) =>
    container('pg', { command: ['docker-entrypoint.sh', 'postgres'], ...more });

  test("PostgreSQL 18's directory lies deeper than its mount", async () => {
    const plan = await planData(
      fakeProject({
        containers: [
          server({
            env: { PGDATA: '/var/lib/postgresql/18/docker' },
            mounts: [volume('app_pg', '/var/lib/postgresql')],
          }),
        ],
        paths: cluster('/volumes/app_pg/_data/18/docker'),
      }),
      'auto',
    );
    expect(plan.take).toMatchObject([
      {
        type: 'postgres',
        name: 'database',
        path: '/volumes/app_pg/_data/18/docker',
        containerPath: '/var/lib/postgresql/18/docker',
        volume: 'app_pg',
        user: 'postgres',
      },
    ]);
  });

  test("an old version's directory beside the served one is files, and the served one is left out of them", async () => {
    const plan = await planData(
      fakeProject({
        containers: [
          server({
            env: { PGDATA: '/var/lib/postgresql/18/docker' },
            mounts: [volume('app_pg', '/var/lib/postgresql')],
          }),
        ],
        paths: [...cluster('/volumes/app_pg/_data/18/docker'), ...cluster('/volumes/app_pg/_data/17')],
      }),
      'auto',
    );
    expect(plan.take).toMatchObject([
      { type: 'postgres', path: '/volumes/app_pg/_data/18/docker' },
      { type: 'volume', name: 'pg', exclude: ['18/docker'] },
    ]);
  });

  test('a stopped server is copied as files; a running one of an unknown image is asked', async () => {
    const mounts = [volume('app_pg', '/data')];
    const stopped = await planData(
      fakeProject({ containers: [server({ state: 'stopped', mounts })], paths: cluster('/volumes/app_pg/_data') }),
      'auto',
    );
    expect(stopped.take[0]).toMatchObject({ type: 'postgres', method: 'files' });
    const everything = container('all-in-one', { mounts });
    const asked = await planData(
      fakeProject({ containers: [everything], paths: cluster('/volumes/app_pg/_data'), postgresIn: [everything.id] }),
      'auto',
    );
    expect(asked.take[0]).toMatchObject({ type: 'postgres', method: 'physical', service: 'all-in-one' });
  });

  test('a directory that nobody seems to serve is never copied as plain files of a running application', async () => {
    const plan = await planData(
      fakeProject({
        containers: [container('blob', { mounts: [bind('/srv/app/x', '/x')] })],
        paths: cluster('/srv/app/x'),
      }),
      'auto',
    );
    expect(plan.take).toMatchObject([{ type: 'postgres', method: 'files', service: 'blob' }]);
  });

  test('two servers keep their own names; a backup sidecar that mounts the same directory is not a server', async () => {
    const plan = await planData(
      fakeProject({
        containers: [
          container('pgbackup', {
            imageName: 'prodrigestivill/postgres-backup-local',
            mounts: [volume('app_a', '/src')],
          }),
          server({ env: { PGDATA: '/d' }, service: 'one', id: 'one-id', mounts: [volume('app_a', '/d')] }),
          server({ env: { PGDATA: '/d' }, service: 'two', id: 'two-id', mounts: [volume('app_b', '/d')] }),
        ],
        model: { services: [] },
        paths: [...cluster('/volumes/app_a/_data'), ...cluster('/volumes/app_b/_data')],
      }),
      'auto',
    );
    expect(plan.take).toMatchObject([
      { type: 'postgres', name: 'one', service: 'one' },
      { type: 'postgres', name: 'two', service: 'two' },
    ]);
  });
});

describe('auto, SQLite and files', () => {
  test('databases leave the tree with what belongs to them, everything else stays', async () => {
    const plan = await planData(
      fakeProject({
        containers: [
          container('web', { mounts: [bind('/srv/app/data', '/data')] }),
          container('worker', { mounts: [bind('/srv/app/data', '/d')] }),
        ],
        paths: [
          '/srv/app/data/app.db',
          '/srv/app/data/app.db-journal',
          '/srv/app/data/q/app.db',
          '/srv/app/data/upload.bin',
        ],
      }),
      'auto',
    );
    expect(plan.take).toMatchObject([
      {
        type: 'sqlite',
        name: 'app',
        path: '/srv/app/data/app.db',
        writers: ['web', 'worker'],
        containerPath: '/data/app.db',
      },
      { type: 'sqlite', name: 'q-app', path: '/srv/app/data/q/app.db' },
      {
        type: 'directory',
        name: 'data',
        exclude: [
          'app.db',
          'app.db-wal',
          'app.db-shm',
          'app.db-journal',
          'q/app.db',
          'q/app.db-wal',
          'q/app.db-shm',
          'q/app.db-journal',
        ],
        writers: ['web', 'worker'],
      },
    ]);
  });

  test('a SQLite file that is mounted by itself', async () => {
    const plan = await planData(
      fakeProject({
        containers: [container('web', { mounts: [bind('/srv/app/site.sqlite3', '/app/site.sqlite3')] })],
        paths: ['/srv/app/site.sqlite3'],
      }),
      'auto',
    );
    expect(plan.take).toMatchObject([
      { type: 'sqlite', name: 'site', path: '/srv/app/site.sqlite3', containerPath: '/app/site.sqlite3' },
    ]);
  });

  test('what lies behind a link is named where it really lies', async () => {
    const base = await realpath(await mkdtemp(join(tmpdir(), 'data-')));
    try {
      await mkdir(join(base, 'big-disk'));
      await symlink(join(base, 'big-disk'), join(base, 'media'));
      const found = await planData(
        fakeProject({
          directory: base,
          containers: [
            container('web', { mounts: [bind(join(base, 'media'), '/m')] }),
            container('cron', { mounts: [bind(join(base, 'big-disk'), '/m')] }),
          ],
          paths: [join(base, 'big-disk/1.jpg')],
        }),
        'auto',
      );
      expect(found.take).toMatchObject([{ path: join(base, 'big-disk'), writers: ['web', 'cron'] }]);
    } finally {
      await rm(base, { recursive: true });
    }
  });

  test('many databases are still one consistent copy each, and that is said', async () => {
    const files = Array.from({ length: 25 }, (_, index) => `/srv/app/data/${index}.db`);
    const plan = await planData(
      fakeProject({ containers: [container('web', { mounts: [bind('/srv/app/data', '/data')] })], paths: files }),
      'auto',
    );
    expect(plan.take.map(({ type }) => type)).toEqual(Array(25).fill('sqlite'));
    expect(new Set(plan.take.map(({ name }) => name)).size).toBe(25);
    expect(plan.notes?.join()).toMatch(/data holds 25 SQLite files/);
  });

  test('nested mounts go once, with the writers of both; the database in the inner one is left out of the outer one', async () => {
    const plan = await planData(
      fakeProject({
        containers: [
          container('web', { mounts: [bind('/srv/app', '/app')] }),
          container('pg', { env: { PGDATA: '/d' }, mounts: [bind('/srv/app/database', '/d')] }),
          container('cron', { mounts: [bind('/srv/app/media', '/m')] }),
        ],
        paths: [
          ...cluster('/srv/app/database'),
          '/srv/app/media/1',
          '/srv/app/.git/HEAD',
          '/srv/app/.caretaker/lock',
          '/srv/app/main.py',
        ],
      }),
      'auto',
    );
    expect(plan.take).toMatchObject([
      { type: 'postgres', path: '/srv/app/database', containerPath: '/d', service: 'pg' },
      {
        type: 'directory',
        name: 'project-directory',
        path: '/srv/app',
        exclude: ['database', '.caretaker', '.git'],
        // the server's own mount is the database's part
        writers: ['web', 'cron'],
      },
    ]);
  });

  test('a folder of backups in a mounted tree does not get into the next backup', async () => {
    const project = fakeProject({
      containers: [container('web', { mounts: [bind('/srv/app', '/app')] })],
      paths: ['/srv/app/main.py', '/srv/app/backups/1.tar'],
    });
    const plan = await planData(project, 'auto', { never: ['/srv/app/backups'] });
    expect(plan.take).toMatchObject([{ exclude: ['.caretaker', 'backups', '.git'] }]);
  });

  test('leaves only what is certain, each with its reason', async () => {
    const plan = await planData(
      fakeProject({
        containers: [
          container('web', {
            mounts: [
              bind('/', '/host'),
              bind('/proc', '/host/proc'),
              bind('/etc/localtime', '/etc/localtime', false),
              bind('/srv/app/run/x.sock', '/x.sock'),
              bind('/srv/app/gone', '/gone'),
              bind('/srv/app/certs', '/certs', false),
              { type: 'tmpfs', volume: undefined, source: '', target: '/tmp', writable: true },
              volume('f'.repeat(64), '/var/cache/app'),
              volume('nfs', '/nfs'),
              volume('export', '/export'),
              bind('/srv/app/data', '/data'),
            ],
          }),
        ],
        volumes: { nfs: { driver: 'nfs' }, export: { device: { source: ':/media', bound: false } } },
        paths: [
          '/srv/app/run/x.sock',
          '/srv/app/certs/a.pem',
          `/volumes/${'f'.repeat(64)}/_data/`,
          '/volumes/nfs/_data/x',
          '/srv/app/data/cache/CACHEDIR.TAG',
          '/srv/app/data/__pycache__/a.pyc',
          '/srv/app/data/logs/a.log',
          '/srv/app/data/tmp/upload',
        ],
      }),
      'auto',
    );
    expect(plan.take).toMatchObject([{ name: 'data', exclude: ['cache', '__pycache__'] }]);
    expect(reasons(plan).sort()).toEqual([
      '/ (web:/host): a directory of the host, not of the application',
      "/etc/localtime (web:/etc/localtime): it belongs to the host's own /etc",
      "/proc (web:/host/proc): it belongs to the host's own /proc",
      '/srv/app/certs (web:/certs): mounted read-only: the application does not write it',
      '/srv/app/data/__pycache__: a cache, by its own mark',
      '/srv/app/data/cache: a cache, by its own mark',
      '/srv/app/gone (web:/gone): there is no such path on this host',
      '/srv/app/run/x.sock (web:/x.sock): a socket',
      '/tmp (web:/tmp): tmpfs: it lives in memory',
      'volume export (web:/export): the engine mounts :/media there, and only while a container uses it',
      `volume ${'f'.repeat(64)} (web:/var/cache/app): an anonymous volume with nothing in it`,
      'volume nfs (web:/nfs): its driver nfs keeps it elsewhere',
    ]);
    expect(plan.leave.filter(({ isData }) => isData).map(({ what }) => what)).toEqual([
      'volume nfs (web:/nfs)',
      'volume export (web:/export)',
    ]);
  });

  test('configuration outside the project directory is a file of its own', async () => {
    const plan = await planData(fakeProject({ configuration: ['/srv/app/compose.yaml', '/etc/app.env'] }), 'auto');
    expect(plan.take).toMatchObject([
      { type: 'project-files', members: ['/srv/app/compose.yaml'] },
      { type: 'file', name: 'app-env', path: '/etc/app.env' },
    ]);
  });

  test('nothing to find is an error, not an empty backup', async () => {
    await expect(planData(fakeProject(), 'auto')).rejects.toMatchObject({ code: 'data-none' });
    await expect(planData(fakeProject({ byCommands: true }), 'auto')).rejects.toMatchObject({ code: 'data-required' });
  });
});

describe('data lines', () => {
  const plan = (parts: Parameters<typeof fakeProject>[0], ...lines: Record<string, string>[]): Promise<DataPlan> =>
    planData(fakeProject(parts), lines);

  test('a PostgreSQL server by its service, with method and name', async () => {
    const found = await plan(uso, { type: 'postgres', service: 'database', method: 'dump', name: 'main' });
    expect(found.take).toMatchObject([{ type: 'postgres', name: 'main', method: 'dump', path: '/srv/uso/database' }]);
    expect(reasons(found)).toContainEqual(expect.stringMatching(/local .*: not named in data/));
    expect((await plan(uso, { type: 'postgres' })).take).toMatchObject([{ name: 'database', method: 'physical' }]);
  });

  test('no link that a service may have made leads out of what it can write', async () => {
    const base = await realpath(await mkdtemp(join(tmpdir(), 'data-')));
    const at = (name: string): string => join(base, name);
    try {
      for (const name of ['app/local/album', 'disk', 'home/.ssh']) await mkdir(at(name), { recursive: true });
      await writeFile(at('home/keys.db'), 'secret');
      await symlink(at('home/.ssh'), at('app/local/media'));
      await symlink(at('home'), at('app/local/there'));
      await symlink(at('app/local/album'), at('app/local/same'));
      await symlink(at('disk'), at('app/mine'));
      const project = fakeProject({
        directory: at('app'),
        containers: [container('web', { mounts: [bind(at('app/local'), '/local'), bind('/', '/host')] })],
      });
      const scan = async (path: string): Promise<object> => {
        const root = await realpath(path);
        const kind = root.endsWith('.db') ? 'file' : 'directory';
        return { root, kind, bytes: 1, files: 1, sqliteFiles: [''], postgresDirectories: [], caches: [] };
      };
      Object.assign(project, { files: { scan, exists: () => Promise.resolve(true) } });
      const taken = async (line: Record<string, string>): Promise<unknown> =>
        (await planData(project, [line])).take.map(({ path }) => path);
      for (const line of [
        { type: 'directory', path: './local/media' },
        { type: 'directory', path: at('app/local/there/.ssh') },
        { type: 'directory', service: 'web', path: '/local/media' },
        { type: 'sqlite', path: 'local/there/keys.db' },
      ])
        await expect(taken(line)).rejects.toMatchObject({
          code: 'data-path-outside',
          message: expect.stringContaining(at('home')),
        });
      expect(await taken({ type: 'directory', path: './local/same' })).toEqual([at('app/local/album')]);
      expect(await taken({ type: 'directory', path: './mine' })).toEqual([at('disk')]);
      expect(await taken({ type: 'directory', path: at('home/.ssh') })).toEqual([at('home/.ssh')]);
    } finally {
      await rm(base, { recursive: true });
    }
  });

  test('a SQLite file by path, by service and by volume', async () => {
    const expected = {
      type: 'sqlite',
      path: '/volumes/app_api-db/_data/db.sqlite3',
      writers: ['medcattrainer'],
      volume: 'app_api-db',
    };
    for (const line of [
      { path: '/volumes/app_api-db/_data/db.sqlite3' },
      { service: 'medcattrainer', path: '/home/api/db/db.sqlite3' },
      { volume: 'api-db', path: 'db.sqlite3' },
      { volume: 'app_api-db', path: '/db.sqlite3' },
    ] as Record<string, string>[]) {
      expect((await plan(mct, { type: 'sqlite', ...line })).take).toMatchObject([expected]);
    }
  });

  test('volumes, directories, files and project files, with excludes', async () => {
    const found = await plan(
      mct,
      { type: 'volume', volume: 'api-media', exclude: 'thumbs; *.tmp' },
      { type: 'directory', path: './configs', name: 'conf' },
      { type: 'file', path: 'configs/base.json' },
      { type: 'project-files' },
    );
    expect(found.take).toMatchObject([
      { type: 'volume', name: 'api-media', exclude: ['thumbs', '*.tmp'], writers: ['medcattrainer', 'nginx'] },
      { type: 'directory', name: 'conf', path: '/srv/mct/configs', exclude: ['base.json'] },
      { type: 'file', name: 'configs-base-json', path: '/srv/mct/configs/base.json' },
      { type: 'project-files' },
    ]);
  });

  test('a database in a named volume is still copied as a database', async () => {
    const found = await plan(mct, { type: 'volume', volume: 'api-db' });
    expect(found.take).toMatchObject([{ type: 'sqlite', path: '/volumes/app_api-db/_data/db.sqlite3' }]);
    const both = await plan(
      { ...mct, paths: [...mct.paths, '/volumes/app_api-db/_data/notes.txt'] },
      { type: 'sqlite', volume: 'api-db', path: 'db.sqlite3', name: 'main' },
      { type: 'volume', volume: 'api-db' },
    );
    expect(both.take).toMatchObject([
      { type: 'sqlite', name: 'main' },
      { type: 'volume', name: 'api-db', exclude: expect.arrayContaining(['db.sqlite3', 'db.sqlite3-wal']) as unknown },
    ]);
  });

  test('an excluded database is not taken', async () => {
    const found = await plan(
      { ...mct, paths: [...mct.paths, '/volumes/app_api-db/_data/old/1.db', '/volumes/app_api-db/_data/x'] },
      { type: 'volume', volume: 'api-db', exclude: 'old/**' },
    );
    expect(found.take.map(({ type, name }) => `${type} ${name}`)).toEqual(['sqlite db', 'volume api-db']);
  });

  test('a project that is run by commands takes what its lines say', async () => {
    const found = await plan(
      { byCommands: true, paths: ['/srv/app/db.sqlite3', '/srv/app/media/1'] },
      { type: 'sqlite', path: './db.sqlite3' },
      { type: 'directory', path: 'media' },
    );
    expect(found.take).toMatchObject([
      { type: 'sqlite', name: 'db', path: '/srv/app/db.sqlite3', writers: [] },
      { type: 'directory', name: 'media' },
    ]);
  });

  test.each<[string, Parameters<typeof fakeProject>[0], Record<string, string>[], RegExp]>([
    ['data-service-unknown', uso, [{ type: 'postgres', service: 'db' }], /service db .*/],
    ['postgres-not-found', uso, [{ type: 'postgres', service: 'web' }], /web mounts writable/],
    ['data-path-missing', uso, [{ type: 'directory', path: './media' }], /\/srv\/uso\/media/],
    ['data-path-missing', uso, [{ type: 'sqlite', service: 'web', path: '/root/x.db' }], /none of its mounts/],
    ['data-path-outside', uso, [{ type: 'directory', path: '../other' }], /out of the project directory/],
    ['data-path-outside', mct, [{ type: 'sqlite', volume: 'api-db', path: '../../x.db' }], /out of the volume api-db/],
    ['data-volume-unknown', mct, [{ type: 'volume', volume: 'media' }], /volume media/],
    ['data-name-invalid', mct, [{ type: 'volume', volume: 'api-db', name: 'My DB' }], /My DB/],
    [
      'data-name-duplicate',
      mct,
      [
        { type: 'volume', volume: 'api-db', name: 'x' },
        { type: 'volume', volume: 'api-media', name: 'x' },
      ],
      /two parts "x"/,
    ],
    ['data-not-sqlite', uso, [{ type: 'sqlite', path: './local/settings.py' }], /not a SQLite database/],
    ['data-line-invalid', uso, [{ type: 'directory', path: './site.conf' }], /is a file, not a directory/],
    ['data-line-invalid', uso, [{ type: 'postgres', method: 'magic' }], /no method magic/],
  ])('%s', async (code, parts, lines, message) => {
    const failure = planData(fakeProject(parts), lines);
    await expect(failure).rejects.toMatchObject({
      code,
      input: 'data',
      message: expect.stringMatching(message) as unknown,
    });
  });
});
