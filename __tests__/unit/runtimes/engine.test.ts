import { PassThrough } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import { CaretakerError } from '../../../src/errors.ts';
import { createDocker } from '../../../src/runtimes/docker.ts';
import { createPodman } from '../../../src/runtimes/podman.ts';
import type { Runtime } from '../../../src/runtimes/runtime.ts';
import type { Command, Processes, RunOptions, RunResult } from '../../../src/system/processes.ts';

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
