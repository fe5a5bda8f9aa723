import { readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { planData } from '../../../src/project/data.ts';
import type { Project } from '../../../src/project/project.ts';
import { engine, hosts, Stack } from './hosts.ts';

jest.setTimeout(420_000);

const base = 'localhost/caretaker-test/base:1';
const serve = `
import http.server, os, pathlib, sqlite3, time
state = sqlite3.connect('/state/app.sqlite3')
state.execute('create table if not exists starts (at real)')
state.execute('insert into starts values (?)', (time.time(),))
state.commit()
pathlib.Path('/media/upload.bin').write_bytes(b'u' * 4096)
print('greeting', os.environ.get('GREETING'), 'A', os.environ.get('A'), 'version', os.environ.get('VERSION'), flush=True)
http.server.ThreadingHTTPServer(('', 8000), http.server.SimpleHTTPRequestHandler).serve_forever()
`;

/** The shape of both seeds in one: PostgreSQL in ./database, SQLite alone in a volume, uploads, a read-only file, a built image. */
const files = (image: string): Record<string, string> => ({
  'docker-compose.yml': `
x-always: &always {restart: always}
services:
  web:
    <<: *always
    image: ${image}
    build: ./build
    depends_on: [database]
    stop_grace_period: 2s
    environment: {GREETING: "\${GREETING:-hello}"}
    env_file: ./envs/web.env
    entrypoint: ["python3", "/serve.py"]
    command: []
    volumes:
      - ./serve.py:/serve.py:ro
      - ./local:/local
      - media:/media
      - state:/state
  database:
    <<: *always
    image: docker.io/library/postgres:17-alpine
    environment: {POSTGRES_USER: shop, POSTGRES_PASSWORD: "\${PASSWORD:?set PASSWORD in .env}"}
    volumes: ["./database:/var/lib/postgresql/data"]
    healthcheck: {test: ["CMD-SHELL", "pg_isready -U shop"], interval: 2s, timeout: 5s, retries: 30}
  reader:
    <<: *always
    image: docker.io/library/postgres:17-alpine
    stop_grace_period: 1s
    entrypoint: ["sleep", "1000000"]
    command: []
    volumes: ["media:/media:ro"]
volumes:
  media:
  state:
`,
  'build/Dockerfile': `FROM ${base}\nENV VERSION=1\n`,
  'envs/web.env': 'A=1\n',
  '.env': 'PASSWORD=s3cret\n',
  'serve.py': serve,
  'local/settings.py': 'X = 1\n',
});

describe.each(hosts().map((host) => [host.title, host] as const))('%s', (_title, host) => {
  let stack: Stack;
  let project: Project;
  let image: string;

  beforeAll(async () => {
    stack = await Stack.create(host, {});
    image = `localhost/${stack.name}/web:latest`;
    await stack.write(files(image));
    await stack.makeDirectory('database');
  });
  afterAll(() => stack.remove());

  test('is found by its compose file when nothing exists, builds and comes up', async () => {
    project = await stack.discover();
    expect(project.engine?.compose.dialect).toMatchObject({ name: host.dialect });
    expect(project.engine?.compose.dialect.version).toMatch(host.version);
    expect(project.name).toBe(stack.name);
    expect(await project.services()).toEqual(expect.arrayContaining(['web', 'database', 'reader']));
    expect(await project.running()).toBe(false);
    await project.engine?.compose.build(['web']);
    await project.up();
    await stack.untilWell(project);
    expect(Object.keys(await stack.ids(project)).sort()).toEqual(['database', 'reader', 'web']);
  });

  test('is found by its containers, whatever the files are called', async () => {
    await rename(join(stack.directory, 'docker-compose.yml'), join(stack.directory, 'site.yml'));
    try {
      // The containers' files are gone, and no default name is there: said, not guessed.
      await expect(stack.discover()).rejects.toMatchObject({ code: 'compose-file-missing' });
      const given = await stack.discover({ composeFiles: ['site.yml'] });
      expect(Object.keys(await stack.ids(given))).toHaveLength(3);
    } finally {
      await rename(join(stack.directory, 'site.yml'), join(stack.directory, 'docker-compose.yml'));
    }
    expect(await (await stack.discover()).running()).toBe(true);
  });

  test('its data is found: the cluster, the SQLite file, the uploads once, the settings, the configuration', async () => {
    const plan = await planData(project, 'auto');
    const specs = Object.fromEntries(plan.take.map((spec) => [spec.name, spec]));
    expect(Object.keys(specs).sort()).toEqual(['app', 'database', 'local', 'media', 'project-files']);
    expect(specs['database']).toMatchObject({
      type: 'postgres',
      service: 'database',
      method: 'physical',
      path: join(stack.directory, 'database'),
      containerPath: '/var/lib/postgresql/data',
      user: 'shop',
    });
    expect(specs['app']).toMatchObject({
      type: 'sqlite',
      containerPath: '/state/app.sqlite3',
      volume: `${stack.name}_state`,
      writers: ['web'],
    });
    expect(specs['media']).toMatchObject({
      type: 'volume',
      volume: `${stack.name}_media`,
      writers: ['web'],
      exclude: [],
    });
    expect(specs['local']).toMatchObject({ type: 'directory', path: join(stack.directory, 'local') });
    expect(specs['project-files']).toMatchObject({
      members: expect.arrayContaining(
        // serve.py: small and mounted read-only, it would be lost with the machine.
        ['.env', 'docker-compose.yml', 'envs/web.env', 'serve.py'].map((name) => join(stack.directory, name)),
      ) as unknown,
    });
    expect(plan.leave.map(({ what }) => what).join('\n')).not.toMatch(/serve\.py/);
    const lines = await planData(project, [
      { type: 'sqlite', service: 'web', path: '/state/app.sqlite3' },
      { type: 'volume', volume: 'media' },
    ]);
    expect(lines.take.map(({ name }) => name)).toEqual(['app', 'media']);
  });

  test('stops the dependents first and starts the same containers again', async () => {
    const before = await stack.ids(project);
    expect((await project.stop(['web', 'database'])).toSorted()).toEqual(['database', 'web']);
    const states = Object.fromEntries((await project.containers()).map(({ service, state }) => [service, state]));
    expect(states).toEqual({ web: 'stopped', database: 'stopped', reader: 'running' });
    expect(await project.look()).toMatchObject({ ok: false });
    // A clean end of the server: PostgreSQL removes its pid file only then.
    await expect(readFile(join(stack.directory, 'database/postmaster.pid'))).rejects.toMatchObject({ code: 'ENOENT' });
    await project.start(['web', 'database']);
    await stack.untilWell(project);
    expect(await stack.ids(project)).toEqual(before);
  });

  test('takes up an image that was rebuilt under the same tag', async () => {
    const before = await stack.ids(project);
    await stack.write({ 'build/Dockerfile': `FROM ${base}\nENV VERSION=2\n` });
    await project.engine?.compose.build(['web']);
    await project.up();
    await stack.untilWell(project);
    const after = await stack.ids(project);
    expect(after['web']).not.toBe(before['web']);
    expect(await engine(host, 'logs', after['web'] ?? '')).toMatch(/version 2/);
    // Only a dialect that can tell what did not change leaves it running.
    if (project.engine?.compose.dialect.capabilities.comparesConfiguration === true) {
      expect(after['reader']).toBe(before['reader']);
      expect(after['database']).toBe(before['database']);
    }
  });

  test('takes up a changed configuration', async () => {
    await stack.write({ '.env': 'PASSWORD=s3cret\nGREETING=welcome\n' });
    await project.up();
    await stack.untilWell(project);
    const { web = '' } = await stack.ids(project);
    expect(await engine(host, 'logs', web)).toMatch(/greeting welcome A 1 version 2/);
    // What is in an env file is no part of podman-compose's own hash.
    await stack.write({ 'envs/web.env': 'A=2\n' });
    await project.up();
    await stack.untilWell(project);
    expect(await engine(host, 'logs', (await stack.ids(project))['web'] ?? '')).toMatch(
      /greeting welcome A 2 version 2/,
    );
    expect(await project.lastWords(5)).toHaveLength(3);
  });

  test('a build that fails, and a service that does not run, are said', async () => {
    await stack.write({ 'build/Dockerfile': `FROM ${base}\nRUN echo no wheel for shop; exit 3\n` });
    await expect(project.engine?.compose.build(['web'])).rejects.toMatchObject({ code: 'compose-failed' });
    await stack.write({ 'build/Dockerfile': `FROM ${base}\nENV VERSION=2\n` });
    const { web = '' } = await stack.ids(project);
    await engine(host, 'stop', '-t', '1', web);
    const look = await project.look();
    expect(look).toMatchObject({ ok: false, detail: expect.stringMatching(/^web: exited with code/) as unknown });
    expect(await project.lastWords(5)).toMatchObject([{ service: 'web' }]);
    await project.start();
    await stack.untilWell(project);
  });

  test('down removes the containers and keeps the data, which is found all the same', async () => {
    await project.engine?.compose.down();
    expect(await project.containers()).toEqual([]);
    const again = await stack.discover();
    expect(again.name).toBe(stack.name);
    const plan = await planData(again, 'auto');
    const specs = Object.fromEntries(plan.take.map((spec) => [spec.name, spec]));
    expect(specs['database']).toMatchObject({
      type: 'postgres',
      method: 'files',
      path: join(stack.directory, 'database'),
    });
    expect(specs['app']).toMatchObject({ type: 'sqlite', volume: `${stack.name}_state` });
    expect(Object.keys(specs).sort()).toEqual(['app', 'database', 'local', 'media', 'project-files']);
  });
});
