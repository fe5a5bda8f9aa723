import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { composeArgv, configArgv } from '../../../src/compose/command-line.ts';
import { createCompose } from '../../../src/compose/compose-program.ts';
import type { Compose, Dialect } from '../../../src/compose/compose.ts';
import { CaretakerError } from '../../../src/errors.ts';
import { isNoSpace } from '../../../src/system/disk.ts';
import { LIMITS } from '../../../src/system/limits.ts';
import {
  container,
  dockerDialect,
  failsWith,
  fakeClock,
  FakeLog,
  FakeProcesses,
  FakeRuntime,
  oldPodmanDialect,
  podmanDialect,
} from './fakes.ts';

let directory: string;
const file = `
services:
  proxy: {image: proxy:1, depends_on: [web]}
  web: {image: web:1, depends_on: [db], build: .}
  db: {image: db:1, stop_grace_period: 1m}
  other: {image: other:1}
`;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'compose-'));
  await writeFile(join(directory, 'compose.yaml'), file);
});
afterEach(() => rm(directory, { recursive: true }));

/** A Compose over fakes: `up` makes a container of every service that has none. */
function setUp(dialect: Dialect, runtime: FakeRuntime, answers: FakeProcesses['answers'] = {}) {
  const project = { files: [join(directory, 'compose.yaml')], projectName: 'app', profiles: [], envFiles: [] };
  const verb = (...words: string[]): string => composeArgv(dialect, project, ...words).join(' ');
  const did: string[] = [];
  const processes = new FakeProcesses({
    [configArgv(dialect, project).join(' ')]:
      dialect.capabilities.config === 'json'
        ? JSON.stringify({
            services: {
              proxy: { image: 'proxy:1', depends_on: { web: {} } },
              web: { image: 'web:1', build: {}, depends_on: { db: {} } },
              db: { image: 'db:1' },
              other: { image: 'other:1' },
            },
          })
        : file,
    [verb('up', '-d')]: () => {
      runtime.did.push('up');
      for (const name of ['proxy', 'web', 'db', 'other']) {
        if (!runtime.existing.some((item) => item.service === name)) runtime.existing.push(container(name));
      }
      return 'Started';
    },
    ...Object.fromEntries(Object.entries(answers).map(([words, answer]) => [verb(...words.split(' ')), answer])),
  });
  const log = new FakeLog();
  const compose: Compose = createCompose(dialect, project, {
    processes,
    runtime: runtime.asRuntime(),
    log,
    clock: fakeClock,
    environment: {},
  });
  return { compose, processes, log, did, verb };
}

const four = () => ['proxy', 'web', 'db', 'other'].map((name) => container(name, { imageName: `${name}:1` }));
const images = { 'proxy:1': 'sha256:proxy', 'web:1': 'sha256:web', 'db:1': 'sha256:db', 'other:1': 'sha256:other' };

describe('up', () => {
  test('of Docker Compose is its own affair, and outlives the job', async () => {
    const runtime = new FakeRuntime('docker', four());
    const { compose, processes, verb, log } = setUp(dockerDialect, runtime);
    await compose.up();
    expect(runtime.did).toEqual(['up']);
    expect(processes.calls.find(({ argv }) => argv === verb('up', '-d'))?.options.outlivesJob).toBe(true);
    expect(log.lines).toContain('Started');
  });

  test('of podman-compose removes first what runs an image that was built anew, and what depends on it', async () => {
    const runtime = new FakeRuntime('podman', four(), { images: { ...images, 'web:1': 'sha256:rebuilt' } });
    await setUp(podmanDialect, runtime).compose.up();
    expect(runtime.did).toEqual(['stop proxy-id', 'stop web-id', 'remove proxy-id', 'remove web-id', 'up']);
  });

  test('of podman-compose leaves alone what did not change', async () => {
    const runtime = new FakeRuntime('podman', four(), { images });
    await setUp(podmanDialect, runtime).compose.up();
    expect(runtime.did).toEqual(['up']);
  });

  test('of podman-compose takes up what changed inside an env file, which its hash does not cover', async () => {
    await writeFile(join(directory, 'web.env'), 'A="new"\nB=2\n');
    const text = file.replace('build: .', 'build: ., env_file: web.env, environment: {B: "3"}');
    await writeFile(join(directory, 'compose.yaml'), text);
    const of = async (env: Record<string, string>): Promise<string[]> => {
      const all = four().map((item) => (item.service === 'web' ? { ...item, env: { ...env, PATH: '/bin' } } : item));
      const runtime = new FakeRuntime('podman', all, { images });
      await setUp(podmanDialect, runtime, { config: text }).compose.up();
      return runtime.did;
    };
    expect(await of({ A: 'new', B: '3' })).toEqual(['up']);
    expect(await of({ A: 'old', B: '3' })).toContain('remove web-id');
    expect(await of({ A: 'new' })).toContain('remove web-id');
  });

  test('of podman-compose 1.0.3, which can tell nothing, makes everything anew, with each grace period kept', async () => {
    const runtime = new FakeRuntime('podman', four(), { images });
    const { compose, processes, verb } = setUp(oldPodmanDialect, runtime, { 'stop -t 60 db': 'stopped' });
    await compose.up();
    expect(runtime.did.filter((line) => line.startsWith('remove'))).toHaveLength(4);
    expect(runtime.did.indexOf('stop web-id')).toBeLessThan(runtime.did.indexOf('stop db-id'));
    expect(runtime.did.at(-1)).toBe('up');
    expect(processes.calls.some(({ argv }) => argv === verb('stop', '-t', '60', 'db'))).toBe(true);
  });

  test('starts again what Podman could not start while its dependency was restarting', async () => {
    const runtime = new FakeRuntime('podman', [], { images });
    const { compose } = setUp(podmanDialect, runtime, {
      'up -d': () => {
        runtime.existing = four().map((item) => (item.service === 'web' ? { ...item, state: 'created' } : item));
        return '';
      },
    });
    let refusals = 2;
    runtime.onStart = () => {
      if (refusals-- > 0) throw new CaretakerError('engine-failed', 'dependency is not running');
    };
    await compose.up();
    expect(runtime.did).toEqual(['start web-id']);
  });

  test('does not believe an exit code 0 without containers', async () => {
    const runtime = new FakeRuntime('podman', [], { images });
    const { compose } = setUp(oldPodmanDialect, runtime, { 'up -d': 'exit code: 125' });
    await expect(compose.up()).rejects.toMatchObject({
      code: 'compose-failed',
      message: expect.stringMatching(/no container was created for proxy, web, db, other/) as unknown,
    });
  });

  test('a failure carries the last lines', async () => {
    const { compose } = setUp(dockerDialect, new FakeRuntime('docker'), {
      'up -d': failsWith('pull access denied for web'),
    });
    await expect(compose.up()).rejects.toMatchObject({
      code: 'compose-failed',
      message: expect.stringMatching(/of app: exit code 1\npull access denied for web/) as unknown,
    });
  });

  test('a failure without a word says how it ended, and one of endless lines is short', async () => {
    const killed = (): never => {
      throw new CaretakerError('command-failed', 'failed to run docker compose up -d: ended by SIGKILL');
    };
    const { compose } = setUp(dockerDialect, new FakeRuntime('docker'), { 'up -d': killed });
    await expect(compose.up()).rejects.toMatchObject({
      code: 'compose-failed',
      message: expect.stringMatching(/of app: .*ended by SIGKILL$/) as unknown,
    });
    const long = setUp(dockerDialect, new FakeRuntime('docker'), { 'up -d': failsWith('x'.repeat(100_000)) });
    const error: Error = await long.compose.up().then(
      () => new Error('it came up'),
      (thrown: Error) => thrown,
    );
    expect(error.message).toMatch(/exit code 1\nx+ … x+$/);
    expect(error.message.length).toBeLessThan(1000);
  });

  const why = 'no space left on device';
  test.each<[string, Dialect, FakeProcesses['answers'][string]]>([
    [
      'at the end of a long line',
      podmanDialect,
      failsWith(`Error: OCI runtime error: ${'/userdata'.repeat(100)}: ${why}`),
    ],
    [
      'before others went on',
      podmanDialect,
      failsWith(`Error: ${why}`, ...Array.from({ length: 30 }, (_, at) => `${at} started`)),
    ],
    ['of a program that answers 0 all the same', oldPodmanDialect, `Error: write: ${why}\nexit code: 125`],
    ['of every line', podmanDialect, failsWith(...Array.from({ length: 30 }, (_, at) => `Error ${at}: ${why}`))],
  ])('a failure for want of space can be told by its message: %s', async (_where, dialect, up) => {
    const { compose } = setUp(dialect, new FakeRuntime('podman', [], { images }), { 'up -d': up });
    const error: unknown = await compose.up().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'compose-failed' });
    expect(isNoSpace(error)).toBe(true);
    expect((error as Error).message.split('\n').length).toBeLessThan(20);
  });

  test('a line that is cut shows no half of a secret', async () => {
    const secret = 's3cr3t-'.repeat(10);
    const { compose, log } = setUp(dockerDialect, new FakeRuntime('docker'), {
      'up -d': failsWith(`${'x'.repeat(120)}${secret}${'y'.repeat(900)}`),
    });
    log.mask(secret);
    await expect(compose.up()).rejects.toMatchObject({ message: expect.not.stringContaining('s3cr3t') as unknown });
  });

  test('what builds, pulls and comes up may take as long as build-timeout says, and no longer', async () => {
    const { compose, processes } = setUp(dockerDialect, new FakeRuntime('docker', four()), {
      ...{ 'up -d': '', 'build web': '', 'pull web': '', down: '' },
    });
    await compose.up();
    await compose.build(['web']);
    await compose.pull(['web']);
    await compose.down();
    const limits = processes.calls.flatMap(({ argv, options }) => {
      const [, verb] = / (up|build|pull|down|config)\b/.exec(argv) ?? [];
      return verb === undefined ? [] : [[verb, options.timeoutMs] as const];
    });
    const { look, act, build } = LIMITS;
    expect(Object.fromEntries(limits)).toEqual({ up: build, build, pull: build, down: act, config: look });
  });
});

describe('stop and start', () => {
  test('stop dependents first, restarting ones too, and only what was asked for', async () => {
    const all = four().map((item) => (item.service === 'web' ? { ...item, state: 'restarting' as const } : item));
    const runtime = new FakeRuntime('docker', all);
    await setUp(dockerDialect, runtime).compose.stop(['db', 'web', 'proxy']);
    expect(runtime.did).toEqual(['stop proxy-id', 'stop web-id', 'stop db-id']);
  });

  test('what an interrupted run left paused is woken: to stop cleanly, or to serve again', async () => {
    const paused = [container('db', { state: 'paused' })];
    const stopping = new FakeRuntime('docker', paused);
    await setUp(dockerDialect, stopping).compose.stop(['db']);
    expect(stopping.did).toEqual(['unpause db-id', 'stop db-id']);
    const starting = new FakeRuntime('docker', paused);
    await setUp(dockerDialect, starting).compose.start(['db']);
    expect(starting.did).toEqual(['unpause db-id']);
  });

  test('stopping works by labels when the compose file is broken', async () => {
    await writeFile(join(directory, 'compose.yaml'), 'services: [');
    const depends = { 'com.docker.compose.depends_on': 'db:service_healthy:false' };
    const runtime = new FakeRuntime('docker', [container('web', { labels: depends }), container('db')]);
    const { compose, log } = setUp(dockerDialect, runtime);
    await compose.stop();
    expect(runtime.did).toEqual(['stop web-id', 'stop db-id']);
    expect(log.lines.join()).toMatch(/warning: .*line 1/);
  });

  test('start asks Docker Compose, and does it alone when that fails', async () => {
    const stopped = four().map((item) => ({ ...item, state: 'stopped' as const }));
    const good = new FakeRuntime('docker', stopped);
    await setUp(dockerDialect, good, { 'start web db': '' }).compose.start(['db', 'web']);
    expect(good.did).toEqual([]);
    const bad = new FakeRuntime('docker', stopped);
    await setUp(dockerDialect, bad, { 'start web db': failsWith('no such service') }).compose.start(['db', 'web']);
    expect(bad.did).toEqual(['start db-id', 'start web-id']);
  });

  test('start with Podman goes by dependencies and waits for one that restarts', async () => {
    const runtime = new FakeRuntime(
      'podman',
      four().map((item) => ({ ...item, state: 'stopped' as const })),
    );
    let refusals = 1;
    runtime.onStart = (id) => {
      if (id === 'web-id' && refusals-- > 0) throw new CaretakerError('engine-failed', 'restarting');
    };
    await setUp(podmanDialect, runtime).compose.start(['proxy', 'web', 'db']);
    expect(runtime.did).toEqual(['start db-id', 'start db-id', 'start web-id', 'start proxy-id']);
  });

  test('down stops with grace, keeps volumes and removes what the dialect forgot', async () => {
    const runtime = new FakeRuntime('podman', four());
    await setUp(oldPodmanDialect, runtime, { down: '', 'stop -t 60 db': '' }).compose.down();
    expect(runtime.did.slice(0, 2)).toEqual(['stop other-id', 'stop proxy-id']);
    expect(runtime.existing).toEqual([]);
  });
});

describe('build and pull', () => {
  test('a build of podman-compose 1.0.3 that failed with exit code 0 fails', async () => {
    const { compose } = setUp(oldPodmanDialect, new FakeRuntime('podman'), {
      build: 'STEP 1\nError: x\nexit code: 125',
    });
    await expect(compose.build()).rejects.toMatchObject({ code: 'compose-failed' });
  });

  test('podman-compose prints its commands: what is secret in them is masked before', async () => {
    await writeFile(join(directory, '.env'), 'CACHE_PASSWORD=from-dot-env\n');
    const text = file.replace(
      'build: .',
      'build: {context: ., args: {NPM_TOKEN: of-the-build, LEVEL: production}}, environment: {DB_PASSWORD: of-the-service}',
    );
    await writeFile(join(directory, 'compose.yaml'), text);
    const { compose, log } = setUp(oldPodmanDialect, new FakeRuntime('podman'), {
      build: () => {
        expect([...new Set(log.masked)].sort()).toEqual(['from-dot-env', 'of-the-build', 'of-the-service']);
        return 'podman build --build-arg NPM_TOKEN=of-the-build';
      },
    });
    await compose.build();
    expect(log.lines).toContain('podman build --build-arg NPM_TOKEN=of-the-build');
  });

  test('what Podman keeps of a build that fails goes, and what it took from its cache stays', async () => {
    const images = { a68bf4a3581: 'sha256:a', '0f0f0f0f0f0': 'sha256:0' };
    const runtime = new FakeRuntime('podman', [], { images });
    const cached = '1'.repeat(64);
    const { compose } = setUp(oldPodmanDialect, runtime, {
      build: `STEP 2\n--> a68bf4a3581\n--> Using cache ${cached}\n--> 0f0f0f0f0f0\n--> 222222222222\nexit code: 3`,
    });
    await expect(compose.build()).rejects.toMatchObject({ code: 'compose-failed' });
    expect(runtime.did).toEqual(['tag 0f0f0f0f0f0', 'untag 0f0f0f0f0f0', 'tag a68bf4a3581', 'untag a68bf4a3581']);
  });

  test('Docker pulls what has an image and is not built here', async () => {
    const { compose, processes, verb } = setUp(dockerDialect, new FakeRuntime('docker'), { 'pull proxy db other': '' });
    await compose.pull();
    expect(processes.calls.at(-1)?.argv).toBe(verb('pull', 'proxy', 'db', 'other'));
  });

  test('Podman pulls each image itself, for podman-compose hides a failure', async () => {
    const { compose, processes } = setUp(podmanDialect, new FakeRuntime('podman'));
    processes.answers['podman pull proxy:1'] = '';
    processes.answers['podman pull db:1'] = failsWith('manifest unknown');
    await expect(compose.pull()).rejects.toMatchObject({
      code: 'compose-failed',
      message: expect.stringMatching(/manifest unknown/) as unknown,
    });
  });
});
