import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { Compose, ComposeService } from '../../../src/compose/compose.ts';
import { createComposeProject } from '../../../src/project/compose-project.ts';
import type { Container, Mount } from '../../../src/runtimes/runtime.ts';
import { dockerDialect, FakeRuntime } from '../compose/fakes.ts';
import { container, FakeFiles, service } from './fakes.ts';

function projectOf(
  containers: Container[],
  services: ComposeService[],
  more: { name?: 'docker' | 'podman'; files?: string[]; directory?: string } = {},
) {
  const runtime = new FakeRuntime(more.name ?? 'docker', containers);
  const did: string[] = [];
  const note = (verb: string) => (names?: readonly string[]) => {
    did.push([verb, ...(names ?? ['(all)'])].join(' '));
    return Promise.resolve();
  };
  const compose: Compose = {
    dialect: dockerDialect,
    files: more.files ?? [],
    envFiles: [],
    profiles: [],
    model: () => {
      did.push('model');
      return Promise.resolve({ name: 'app', services, volumes: {} });
    },
    document: () => Promise.resolve({}),
    of: () => compose,
    up: note('up'),
    start: note('start'),
    stop: note('stop'),
    down: note('down'),
    build: note('build'),
    pull: note('pull'),
  };
  const project = createComposeProject({
    name: 'app',
    directory: more.directory ?? '/srv/app',
    files: new FakeFiles([]).asHostFiles(),
    runtime: runtime.asRuntime(),
    compose,
    envFiles: [],
    environment: {},
  });
  return { project, runtime, did };
}

const one = service('web', { restart: 'no' });
const always = service('web', { restart: 'always' });

describe('look', () => {
  test.each<[string, Partial<Container>, ComposeService, { ok: boolean; detail: string; fatal?: boolean }]>([
    ['runs', {}, always, { ok: true, detail: 'web: running' }],
    ['healthy', { health: 'healthy' }, always, { ok: true, detail: 'web: running, healthy' }],
    ['starting', { health: 'starting' }, always, { ok: false, detail: 'web: running, starting' }],
    ['unhealthy', { health: 'unhealthy' }, always, { ok: false, detail: 'web: running, unhealthy' }],
    ['one-shot done', { state: 'stopped', exitCode: 0 }, one, { ok: true, detail: 'web: done (exit code 0)' }],
    [
      'one-shot failed',
      { state: 'stopped', exitCode: 3 },
      service('web', { restart: undefined }),
      { ok: false, detail: 'web: exited with code 3', fatal: true },
    ],
    ['stopped', { state: 'stopped', exitCode: 0 }, always, { ok: false, detail: 'web: exited with code 0' }],
    ['will come back', { state: 'stopped', exitCode: 1 }, always, { ok: false, detail: 'web: exited with code 1' }],
    [
      'restart loop',
      { state: 'restarting', restartCount: 7, exitCode: 1 },
      always,
      { ok: false, detail: 'web: restarting (7 restarts so far, last exit code 1)' },
    ],
    ['created', { state: 'created' }, always, { ok: false, detail: 'web: created' }],
  ])('%s', async (_title, state, defined, expected) => {
    expect(await projectOf([container('web', state)], [defined]).project.look()).toEqual(expected);
  });

  test('a service without a container is not well, one that should have none is not missed', async () => {
    const { project } = projectOf([container('web')], [always, service('db'), service('off', { replicas: 0 })]);
    expect(await project.look()).toEqual({ ok: false, detail: 'db: no container' });
  });

  test("runs Podman's health checks by hand, for nobody else may", async () => {
    const { project, runtime } = projectOf([container('web', { health: 'starting' })], [always], { name: 'podman' });
    runtime.health['web-id'] = 'unhealthy';
    expect(await project.look()).toEqual({ ok: false, detail: 'web: running, starting' });
    runtime.health['web-id'] = 'healthy';
    expect(await project.look()).toEqual({ ok: true, detail: 'web: running, healthy' });
  });

  test('a health state of Podman from an hour ago does not count', async () => {
    const { project, runtime } = projectOf([container('web', { health: 'healthy' })], [always], { name: 'podman' });
    runtime.health['web-id'] = 'unhealthy';
    expect(await project.look()).toEqual({ ok: false, detail: 'web: running, unhealthy' });
  });

  test('asks Compose for its model once, and again after an up', async () => {
    const { project, did } = projectOf([container('web')], [always]);
    await project.look();
    await project.look();
    expect(did).toEqual(['model']);
    await project.up();
    await project.look();
    expect(did).toEqual(['model', 'up (all)', 'model']);
  });
});

describe('stop and services', () => {
  test('answers with what ran, a restarting container among it, and leaves the rest', async () => {
    const { project, did } = projectOf(
      [
        container('web', { state: 'restarting' }),
        container('db'),
        container('old', { state: 'stopped' }),
        container('shell', { oneOff: true }),
      ],
      [],
    );
    expect(await project.stop()).toEqual(['web', 'db']);
    expect(await project.stop(['old'])).toEqual([]);
    expect(did).toEqual(['stop web db']);
    expect(await project.running()).toBe(true);
  });

  test('services come in the order in which they start', async () => {
    const { project } = projectOf(
      [],
      [service('proxy', { dependsOn: ['web'] }), service('web', { dependsOn: ['db'] }), service('db')],
    );
    expect(await project.services()).toEqual(['db', 'web', 'proxy']);
  });
});

describe('lastWords', () => {
  test('of those that are not well; of all when the engine sees nothing wrong', async () => {
    const sick = projectOf(
      [container('web', { state: 'stopped', exitCode: 2 }), container('db')],
      [always, service('db'), service('gone')],
    );
    expect(await sick.project.lastWords(20)).toEqual([
      { service: 'gone', state: 'missing', text: '' },
      { service: 'web', state: 'exited with code 2', text: 'last 20 of web-id' },
    ]);
    const well = projectOf([container('web'), container('db')], [always, service('db')]);
    expect((await well.project.lastWords(5)).map((words) => words.service).sort()).toEqual(['db', 'web']);
  });
});

const mountOf = (source: string): Mount => ({
  ...{ type: 'bind', volume: undefined, source, target: '/etc/it', writable: false },
});

test('configurationFiles are those that exist: compose file, .env, env files', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'project-'));
  try {
    const file = join(directory, 'compose.yaml');
    await writeFile(file, 'services: {web: {env_file: ["${WHICH}.env", missing.env]}}');
    await writeFile(join(directory, '.env'), 'WHICH=prod\n');
    await writeFile(join(directory, 'prod.env'), 'A=1\n');
    await writeFile(join(directory, 'site.conf'), 'a');
    const mounts = ['site.conf', 'gone.conf', '../site.conf', '.'].map((name) => mountOf(join(directory, name)));
    const { project } = projectOf([container('web', { mounts })], [], { files: [file], directory });
    // And a small file that is mounted read-only.
    expect((await project.configurationFiles()).sort()).toEqual(
      ['.env', 'compose.yaml', 'prod.env', 'site.conf'].map((name) => join(directory, name)),
    );
  } finally {
    await rm(directory, { recursive: true });
  }
});
