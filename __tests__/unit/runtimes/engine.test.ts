import { writeFileSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { afterEach, describe, expect, test } from '@jest/globals';
import { CaretakerError } from '../../../src/errors.ts';
import { createDocker } from '../../../src/runtimes/docker.ts';
import { createPodman } from '../../../src/runtimes/podman.ts';
import type { Runtime } from '../../../src/runtimes/runtime.ts';
import { LIMITS } from '../../../src/system/limits.ts';
import { nodeProcesses } from '../../../src/system/node-processes.ts';
import type { Command, Processes, RunOptions, RunResult } from '../../../src/system/processes.ts';
import { temporaryDirectories } from '../system/temporary.ts';

type Said = Partial<RunResult> | CaretakerError;

const answers: Record<string, Said> = {
  'docker version': { stdout: '{"Version":"28.0.1","Os":"linux","Arch":"amd64"}' },
  'docker info': { stdout: '["name=seccomp,profile=default","name=rootless"]\n/var/lib/docker\n' },
  'podman info': {
    stdout:
      '{"host":{"arch":"arm64","os":"linux","security":{"rootless":true}},"version":{"Version":"4.3.1"},"store":{"graphRoot":"/srv/storage","runRoot":"/run/user/1000/containers"}}',
  },
};

/** Programs that answer by the beginning of their command line, and remember what they were asked. */
function programs(more: Record<string, Said>): {
  processes: Processes;
  asked: { command: Command; options: RunOptions }[];
} {
  const asked: { command: Command; options: RunOptions }[] = [];
  const all = { ...answers, ...more };
  return {
    asked,
    processes: {
      run(command, options = {}) {
        asked.push({ command, options });
        const line = command.argv.join(' ');
        const key = Object.keys(all).find((one) => line.startsWith(one));
        const said = key === undefined ? {} : all[key]!;
        return said instanceof CaretakerError
          ? Promise.reject(said)
          : Promise.resolve({ exitCode: 0, stdout: '', stderr: '', ...said });
      },
      stream(command) {
        asked.push({ command, options: {} });
        return { stdin: new PassThrough(), stdout: new PassThrough(), done: Promise.resolve(), kill: () => undefined };
      },
    },
  };
}

async function there(runtime: Promise<Runtime | null>): Promise<Runtime> {
  const found = await runtime;
  if (found === null) throw new Error('it did not answer');
  return found;
}

describe('whether an engine answers', () => {
  test('rootless Docker and rootless Podman say so', async () => {
    const { processes } = programs({});
    expect(await createDocker(processes)).toMatchObject({ name: 'docker', version: '28.0.1', rootless: true });
    expect(await createPodman(processes)).toMatchObject({ name: 'podman', version: '4.3.1', rootless: true });
  });

  test.each<[string, Said]>([
    ['is not installed', new CaretakerError('command-missing', 'no docker')],
    ['has no daemon', new CaretakerError('command-failed', 'Cannot connect')],
    ['hangs', new CaretakerError('command-timeout', 'not done after 30 s')],
    ['is Podman’s alias', { stdout: 'null\n' }],
    ['is Podman’s alias with a message', { stdout: '<no value>\n' }],
  ])('docker that %s is none', async (_, said) => {
    expect(await createDocker(programs({ 'docker version': said }).processes)).toBeNull();
  });

  test('a cancelled run is no answer', async () => {
    const { processes } = programs({ 'docker version': new CaretakerError('cancelled', 'cancelled') });
    await expect(createDocker(processes)).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('programs in containers', () => {
  test.each([createDocker, createPodman])(
    'get secrets by the environment, never by the command line',
    async (create) => {
      const { processes, asked } = programs({});
      const runtime = await there(create(processes));
      await runtime.exec('c1', ['psql'], { env: { PGPASSWORD: 'hunter22' }, user: 'postgres' });
      runtime.execStream('c1', ['psql'], { env: { PGPASSWORD: 'hunter22' } });
      for (const { command } of asked.slice(-2)) {
        expect(command.argv.join(' ')).toContain('--env PGPASSWORD');
        expect(command.argv.join(' ')).not.toContain('hunter22');
        expect(command.env).toMatchObject({ PGPASSWORD: 'hunter22' });
      }
    },
  );

  test.each<[string, RunResult]>([
    ['docker exec', { exitCode: 1, stdout: '', stderr: 'Error response from daemon: Container c1 is not running' }],
    [
      'podman exec',
      { exitCode: 255, stdout: '', stderr: 'Error: can only create exec sessions on running containers' },
    ],
    ['podman exec', { exitCode: 125, stdout: '', stderr: 'Error: no container with name or ID "c1" found' }],
  ])('%s: the engine’s own failure is never taken for the program’s code (%j)', async (key, said) => {
    const { processes } = programs({ [key]: said });
    const runtime = await there((key.startsWith('docker') ? createDocker : createPodman)(processes));
    await expect(runtime.exec('c1', ['sh'], { accept: [0, 1, 125, 255] })).rejects.toMatchObject({
      code: 'engine-failed',
    });
  });

  test('a program’s own code is its own', async () => {
    const { processes } = programs({ 'docker exec': { exitCode: 1, stderr: 'Error: relation "x" does not exist' } });
    const runtime = await there(createDocker(processes));
    expect((await runtime.exec('c1', ['psql'], { accept: [0, 1] })).exitCode).toBe(1);
  });

  test('a program that takes too long keeps its code for whoever waits for it', async () => {
    const { processes } = programs({ 'docker exec': new CaretakerError('command-timeout', 'not done') });
    const runtime = await there(createDocker(processes));
    await expect(runtime.exec('c1', ['sleep'], { timeoutMs: 1 })).rejects.toMatchObject({ code: 'command-timeout' });
  });
});

test('a container that goes while the others are looked at is left out, and no failure', async () => {
  const inspected = JSON.stringify([
    {
      Id: 'b',
      Name: '/b',
      Image: 'sha256:1',
      State: { Status: 'running' },
      Config: { Image: 'app:1', Labels: { p: 'x' } },
    },
  ]);
  const { processes } = programs({
    'docker ps': { stdout: 'a\nb\n' },
    'docker container inspect': { exitCode: 1, stdout: inspected, stderr: 'Error: No such container: a\n' },
  });
  const runtime = await there(createDocker(processes));
  expect((await runtime.containers({ p: 'x' })).map((container) => container.name)).toEqual(['b']);
});

test('of volumes with labels those that have all of them', async () => {
  const info = (name: string, labels: object): string =>
    JSON.stringify([{ Name: name, Mountpoint: `/v/${name}`, Driver: 'local', Labels: labels }]);
  const { processes, asked } = programs({
    'podman volume ls': { stdout: 'one\ntwo\ngone\n' },
    'podman volume inspect -- one': { stdout: info('one', { a: '1', b: '2' }) },
    'podman volume inspect -- two': { stdout: info('two', { a: '1' }) },
    'podman volume inspect -- gone': { exitCode: 125, stderr: 'Error: no such volume gone' },
  });
  const runtime = await there(createPodman(processes));
  expect((await runtime.volumes({ a: '1', b: '2' })).map(({ name }) => name)).toEqual(['one']);
  expect(asked.map(({ command }) => command.argv.join(' '))).toContain(
    'podman volume ls --quiet --filter label=a=1 --filter label=b=2',
  );
});

describe('a volume that the local driver mounts something on', () => {
  const volume = (options: object | null): Said => ({
    stdout: JSON.stringify([
      { Name: 'v', Mountpoint: '/engine/v/_data', Driver: 'local', Labels: null, Options: options },
    ]),
  });
  const mounted = JSON.stringify([
    {
      ...{ Id: 'c1', Name: '/c1', Image: 'sha256:1', State: { Status: 'running' }, Config: { Image: 'app:1' } },
      Mounts: [{ Type: 'volume', Name: 'v', Source: '/engine/v/_data', Destination: '/media', RW: true }],
    },
  ]);

  test.each<[string, object | null, string, string]>([
    ['a directory of this host', { type: 'none', o: 'rw,bind', device: '/srv/media' }, '/srv/media', 'bind'],
    ['nothing', null, '/engine/v/_data', 'volume'],
    ['nothing but a quota', { size: '10G' }, '/engine/v/_data', 'volume'],
    [
      'an export of another host',
      { type: 'nfs', o: 'addr=10.0.0.1,rw', device: ':/media' },
      '/engine/v/_data',
      'volume',
    ],
    ['memory', { type: 'tmpfs', device: 'tmpfs' }, '/engine/v/_data', 'volume'],
  ])('%s: where its files are', async (what, options, source, type) => {
    const { processes, asked } = programs({
      'docker ps': { stdout: 'c1\nc2\n' },
      'docker container inspect': { stdout: mounted },
      'docker volume inspect': volume(options),
    });
    const runtime = await there(createDocker(processes));
    expect((await runtime.containers({}))[0]?.mounts).toEqual([
      { type, volume: type === 'volume' ? 'v' : undefined, source, target: '/media', writable: true },
    ]);
    await runtime.containers({});
    // What it is does not change.
    expect(asked.filter(({ command }) => command.argv[1] === 'volume')).toHaveLength(1);
    const info = await runtime.volume('v');
    expect(info?.mountpoint).toBe(source);
    expect(info?.device?.bound).toBe(what.startsWith('nothing') ? undefined : type === 'bind');
  });
});

test('many containers are read a few at a time', async () => {
  const ids = Array.from({ length: 60 }, (_, index) => `id${index}`);
  const { processes, asked } = programs({
    'docker ps': { stdout: ids.join('\n') },
    'docker container inspect': { stdout: '[]' },
  });
  await (await there(createDocker(processes))).containers({});
  const sizes = asked
    .filter(({ command }) => command.argv[2] === 'inspect')
    .map(({ command }) => command.argv.length - 4);
  expect(sizes).toEqual([25, 25, 10]);
});

test('what starts containers, and all of Podman, carries no tracking id of the runner', async () => {
  const { processes, asked } = programs({});
  await (await there(createPodman(processes))).start(['c1']);
  expect(asked.at(-1)).toMatchObject({ options: { outlivesJob: true } });
  expect(asked.filter(({ command }) => command.env?.['RUNNER_TRACKING_ID'] !== '')).toEqual([]);
});

test('Podman is asked to take away one name, not all', async () => {
  const { processes, asked } = programs({
    'podman image inspect --format {{.Id}}': { stdout: 'abc\n' },
    'podman image inspect --format {{json .RepoTags}}': { stdout: '["localhost/app:2"]' },
  });
  await (await there(createPodman(processes))).untag('localhost/app:1');
  expect(asked.map(({ command }) => command.argv.slice(1).join(' '))).toContain(
    'untag localhost/app:1 localhost/app:1',
  );
  expect(asked.some(({ command }) => command.argv[1] === 'rmi')).toBe(false);
});

describe('a container that its restart policy starts again while Podman stops it', () => {
  const improper = { exitCode: 125, stderr: 'Error: 0abf is running or paused, refusing to clean up: container state improper' }; // prettier-ignore
  const inspected = (state: string): Said => ({
    stdout: JSON.stringify([
      { Id: 'c1', Name: 'c1', Image: '1', State: { Status: state }, Config: { Image: 'app:1' } },
    ]),
  });
  const stops = (asked: readonly { command: Command }[]): number =>
    asked.filter(({ command }) => command.argv[1] === 'stop').length;

  test('is stopped again, as it is by then', async () => {
    const states = ['running', 'running', 'exited'];
    const { processes, asked } = programs({ 'podman stop': improper });
    const one: Processes = {
      ...processes,
      run: (command, options) =>
        command.argv[2] === 'inspect'
          ? programs({ podman: inspected(states.shift()!) }).processes.run(command, options)
          : processes.run(command, options),
    };
    await (await there(createPodman(one))).stop(['c1']);
    expect({ stops: stops(asked), states }).toEqual({ stops: 2, states: [] });
  });

  test('is told of in Podman’s words when it never stops', async () => {
    const { processes } = programs({ 'podman stop': improper, 'podman container inspect': inspected('running') });
    await expect((await there(createPodman(processes))).stop(['c1'])).rejects.toMatchObject({
      code: 'engine-failed',
      message: expect.stringContaining('refusing to clean up'),
    });
  });

  test('and any other failure of a stop is none of that', async () => {
    const { processes, asked } = programs({
      'podman stop': { exitCode: 125, stderr: 'Error: database is locked' },
      'podman container inspect': inspected('running'),
    });
    await expect((await there(createPodman(processes))).stop(['c1'])).rejects.toMatchObject({ code: 'engine-failed' });
    expect(stops(asked)).toBe(1);
  });
});

describe('an image that somebody removes while Podman answers about another one', () => {
  const went = `reading image: locating image with ID "${'0a'.repeat(32)}": image not known`;
  const inspects = (asked: readonly { command: Command }[]): number =>
    asked.filter(({ command }) => command.argv[1] === 'image').length;

  test('is no answer: Podman is asked again', async () => {
    const says: Said[] = [{ exitCode: 125, stderr: went }, { exitCode: 125, stderr: went }, { stdout: 'abc\n' }];
    const { processes, asked } = programs({});
    const one: Processes = {
      ...processes,
      run: (command, options) =>
        command.argv[1] === 'image'
          ? programs({ podman: (asked.push({ command, options: {} }), says.shift()!) }).processes.run(command, options)
          : processes.run(command, options),
    };
    expect(await (await there(createPodman(one))).imageId('app:1')).toBe('sha256:abc');
    expect(inspects(asked)).toBe(3);
  });

  test('is told after twenty more times, and never taken for an image that is not there', async () => {
    const { processes, asked } = programs({ 'podman image inspect': { exitCode: 125, stderr: went } });
    await expect((await there(createPodman(processes))).imageId('app:1')).rejects.toMatchObject({
      code: 'engine-failed',
    });
    expect(inspects(asked)).toBe(21);
  });

  test('an image that is not there is asked for once', async () => {
    const { processes, asked } = programs({
      'podman image inspect': { exitCode: 125, stderr: 'Error: inspecting object: app:1: image not known' },
    });
    expect(await (await there(createPodman(processes))).imageId('app:1')).toBeNull();
    expect(inspects(asked)).toBe(1);
  });
});

describe('an engine that hangs', () => {
  const temporary = temporaryDirectories();
  const path = process.env['PATH'];
  afterEach(() => {
    process.env['PATH'] = path;
  });

  test.each<[string, (runtime: Runtime) => Promise<unknown>]>([
    ['docker ps', (runtime) => runtime.containers({})],
    ['docker container inspect', (runtime) => runtime.container('c1')],
    ['docker image inspect', (runtime) => runtime.imageId('app:1')],
    ['docker volume inspect', (runtime) => runtime.volume('data')],
    ['docker start', (runtime) => runtime.start(['c1'])],
    ['docker rm', (runtime) => runtime.remove(['c1'])],
    ['docker pull', (runtime) => runtime.pull('app@sha256:1')],
  ])('does not keep a run waiting for ever: %s', async (command, ask) => {
    const directory = temporary();
    const script = `#!/bin/sh
case $1 in
  version) echo '{"Version":"28.0.1","Os":"linux","Arch":"amd64"}' ;;
  info) echo '[]'; echo /var/lib/docker ;;
  *) exec sleep 1000 ;;
esac`;
    writeFileSync(`${directory}/docker`, script, { mode: 0o755 });
    process.env['PATH'] = `${directory}:${path}`;
    const limits = { answer: 30_000, look: 400, act: 500, build: 600 };
    const runtime = await there(createDocker(nodeProcesses, limits));
    await expect(ask(runtime)).rejects.toMatchObject({
      code: 'command-timeout',
      message: expect.stringMatching(
        new RegExp(`^failed to .*: failed to run ${command} .*: not done after 0\\.[456] s`),
      ),
    });
  });

  test('has its time where much is to be done, and none is set to a program in a container', async () => {
    const grace = JSON.stringify([
      {
        ...{ Id: 'c1', Name: '/c1', Image: 'sha256:1', State: { Status: 'running' } },
        Config: { Image: 'app:1', StopTimeout: 3600 },
      },
    ]);
    const { processes, asked } = programs({ 'docker container inspect': { stdout: grace } });
    const runtime = await there(createDocker(processes, { ...LIMITS, build: 7_000_000 }));
    await runtime.pull('app@sha256:1');
    await runtime.saveImages(['a'], '/tmp/a');
    await runtime.loadImages('/tmp/a');
    await runtime.exec('c1', ['pg_dump']);
    await expect(runtime.stop(['c1'])).rejects.toMatchObject({ code: 'engine-failed' }); // It never stops.
    const limit = (verb: string): number | undefined =>
      asked.find(({ command }) => command.argv[1] === verb)?.options.timeoutMs;
    expect(Object.fromEntries(['pull', 'save', 'load', 'exec', 'stop'].map((verb) => [verb, limit(verb)]))).toEqual({
      pull: 7_000_000,
      save: 7_000_000,
      load: 7_000_000,
      exec: undefined,
      stop: 3_600_000 + LIMITS.act,
    });
  });

  test('and one that answers with something else than JSON is told of', async () => {
    const { processes } = programs({ 'docker volume inspect': { stdout: 'WARNING: all is well\n' } });
    await expect((await there(createDocker(processes))).volume('data')).rejects.toMatchObject({
      code: 'engine-failed',
      message: expect.stringContaining('WARNING: all is well'),
    });
  });
});
