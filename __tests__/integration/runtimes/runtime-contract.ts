import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { checkImageArchive } from '../../../src/archive/image-archive.ts';
import type { Runtime } from '../../../src/runtimes/runtime.ts';
import type { Processes } from '../../../src/system/processes.ts';

export const IMAGE = 'localhost/caretaker-test/base:1';

/** What one engine's host offers. */
export interface RuntimeHost {
  readonly processes: Processes;
  readonly create: (processes: Processes) => Promise<Runtime | null>;
  readonly rootless: boolean;
  /** False where cgroups do not let this user pause (rootless, cgroup v1). */
  readonly pauses: boolean;
}

/** What every engine must do, for each user that may reach it. */
export function runtimeContract(title: string, host: RuntimeHost): void {
  describe(title, () => {
    const { processes } = host;
    const prefix = `rt-${randomUUID().slice(0, 8)}`;
    const labels = { 'com.docker.compose.project': prefix };
    let runtime: Runtime;
    const names: string[] = [];

    const engine = async (...args: string[]): Promise<string> =>
      (await processes.run({ argv: [runtime.name, ...args] }, { outlivesJob: true })).stdout.trim();

    /** A container that runs a program until it is told to end; answers with its id. */
    const runContainer = async (
      service: string,
      options: string[] = [],
      command = ['sleep', '600'],
    ): Promise<string> => {
      const name = `${prefix}-${service}`;
      names.push(name);
      const all = Object.entries({ ...labels, 'com.docker.compose.service': service });
      return engine(
        ...['run', '--detach', '--name', name, ...all.flatMap(([key, value]) => ['--label', `${key}=${value}`])],
        ...['--entrypoint', '/usr/bin/tini', '--stop-signal', 'SIGTERM', ...options, IMAGE, '--', ...command],
      );
    };
    const stateOf = async (id: string): Promise<string | undefined> => (await runtime.container(id))?.state;
    const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
      promise.then(
        () => 'fulfilled',
        (error: { code?: unknown }) => error.code,
      );

    beforeAll(async () => {
      const created = await host.create(processes);
      if (created === null) throw new Error(`${title} does not answer`);
      runtime = created;
    });
    afterEach(async () => {
      for (const name of names.splice(0)) {
        await processes.run({ argv: [runtime.name, 'rm', '--force', '--volumes', name] }, { accept: [0, 1, 2, 125] });
      }
    });
    afterAll(async () => {
      for (const name of (await engine('volume', 'ls', '--quiet', '--filter', `name=${prefix}`)).split('\n')) {
        if (name !== '') await engine('volume', 'rm', name);
      }
      for (const name of await runtime.imageNames(prefix)) await runtime.untag(name);
    });

    test('says what it is', async () => {
      expect(runtime.rootless).toBe(host.rootless);
      expect(runtime.version).toMatch(/^\d+\.\d+/);
      expect(await runtime.platform()).toMatch(/^linux\/(amd64|arm64)$/);
      expect(existsSync(await runtime.storage())).toBe(true);
    });

    test('lists containers of any state, with what they are made of', async () => {
      const volume = await runtime.createVolume(`${prefix}-data`, {});
      const id = await runContainer('db', [
        ...['--env', 'SHOP=blue=green', '--volume', `${volume.name}:/data`, '--volume', '/usr/share:/host:ro'],
        ...['--user', '70:70', '--publish', '127.0.0.1::5432'],
      ]);
      const stopped = await runContainer('migrate', [], ['sh', '-c', 'exit 3']);
      await processes.run({ argv: [runtime.name, 'wait', stopped] });

      const found = await runtime.containers(labels);
      expect(found.map((container) => [container.service, container.state, container.exitCode]).sort()).toEqual([
        ['db', 'running', undefined],
        ['migrate', 'stopped', 3],
      ]);
      const db = found.find((container) => container.service === 'db')!;
      expect(db).toMatchObject({
        id,
        name: `${prefix}-db`,
        imageName: IMAGE,
        imageId: await runtime.imageId(IMAGE),
        health: null,
        restartCount: 0,
        user: '70:70',
        oneOff: false,
        command: ['/usr/bin/tini', '--', 'sleep', '600'],
      });
      expect(db.env['SHOP']).toBe('blue=green');
      expect(Date.parse(db.startedAt!)).toBeGreaterThan(Date.parse('2020-01-01'));
      expect(db.mounts).toEqual(
        expect.arrayContaining([
          { type: 'volume', volume: volume.name, source: volume.mountpoint, target: '/data', writable: true },
          { type: 'bind', volume: undefined, source: '/usr/share', target: '/host', writable: false },
        ]),
      );
      expect(db.ports).toEqual([
        { hostIp: '127.0.0.1', hostPort: expect.any(Number), containerPort: 5432, protocol: 'tcp' },
      ]);
      expect(await runtime.containers({ ...labels, 'com.docker.compose.service': 'db' })).toHaveLength(1);
      expect(await runtime.containers({ ...labels, 'com.docker.compose.service': 'web' })).toEqual([]);
    });

    test('knows a container that is gone from one that is there', async () => {
      const id = await runContainer('web');
      expect((await runtime.container(id))?.name).toBe(`${prefix}-web`);
      await runtime.remove([id]);
      expect(await runtime.container(id)).toBeNull();
      await runtime.remove([id]);
    });

    test('runs a program in a container', async () => {
      const id = await runContainer('web');
      const program = ['sh', '-c', 'cat; echo "$SECRET as $(id -u)"; echo oh >&2; exit 4'] as const;
      const result = await runtime.exec(id, program, {
        input: 'given ',
        user: '70',
        env: { SECRET: 'it’s a $ecret' },
        accept: [4],
      });
      expect(result).toMatchObject({ exitCode: 4, stdout: 'given it’s a $ecret as 70\n', stderr: 'oh\n' });
      await expect(runtime.exec(id, ['sh', '-c', 'echo because >&2; exit 5'])).rejects.toMatchObject({
        code: 'engine-failed',
        message: expect.stringMatching(/exit code 5: because/),
      });
      // Where there is no such program, callers try the next one.
      const missing = await runtime.exec(id, ['no-such-program'], { accept: [126, 127] });
      expect([126, 127]).toContain(missing.exitCode);
    });

    test('tells a container that does not run from a program that failed', async () => {
      const id = await runContainer('web', [], ['true']);
      await processes.run({ argv: [runtime.name, 'wait', id] });
      expect(await codeOf(runtime.exec(id, ['true'], { accept: [0, 1, 255] }))).toBe('engine-failed');
      expect(await codeOf(runtime.exec(`${prefix}-none`, ['true'], { accept: [0, 1] }))).toBe('engine-failed');
    });

    test('streams bytes through a program in both directions, unchanged', async () => {
      const id = await runContainer('web');
      const bytes = randomBytes(24 * 1024 * 1024);
      const stream = runtime.execStream(id, ['sh', '-c', 'cat; printf "%s" "$END"'], { env: { END: 'the end' } });
      const hash = createHash('sha256');
      await Promise.all([pipeline(Readable.from([bytes]), stream.stdin), pipeline(stream.stdout, hash)]);
      await stream.done;
      expect(hash.digest('hex')).toBe(createHash('sha256').update(bytes).update('the end').digest('hex'));
    });

    test('a stream of a program that failed is a failure', async () => {
      const id = await runContainer('web');
      const stream = runtime.execStream(id, ['sh', '-c', 'echo half; echo broken pipe >&2; exit 9']);
      stream.stdin.end();
      stream.stdout.resume();
      await expect(stream.done).rejects.toMatchObject({ message: expect.stringMatching(/9[^]*broken pipe/) });
    });

    test('runs a program once in a container that reaches nothing but what it is given', async () => {
      const volume = await runtime.createVolume(`${prefix}-once`, {});
      const id = await runContainer('writer', ['--volume', `${volume.name}:/data`, '--user', '0:0']);
      await runtime.exec(id, ['sh', '-c', 'echo kept >/data/file; chmod 600 /data/file; chown 70:70 /data/file; chmod 700 /data; chown 70:70 /data']); // prettier-ignore
      const once = (script: string): Promise<{ exitCode: number; stdout: string; stderr: string }> =>
        runtime.runOnce(IMAGE, ['sh', '-c', script], {
          mounts: [{ source: volume.mountpoint, target: '/the data' }],
          accept: [0, 3],
          timeoutMs: 60_000,
        });
      expect(await once('cat "/the data/file"; echo oh >&2; exit 3')).toMatchObject({ exitCode: 3, stdout: 'kept\n', stderr: 'oh\n' }); // prettier-ignore
      const tries = 'for at in "/the data/new" /new; do touch "$at" 2>/dev/null && echo wrote $at; done; touch /tmp/new; wc -l </proc/net/route; echo $PG_MAJOR'; // prettier-ignore
      expect((await once(tries)).stdout).toBe('1\n17\n');
      await expect(once('echo because; exit 4')).rejects.toMatchObject({ code: 'engine-failed', message: expect.stringContaining('because') }); // prettier-ignore
      const missing = await runtime.runOnce(IMAGE, ['no-such-program'], { mounts: [], accept: [126, 127] });
      expect([126, 127]).toContain(missing.exitCode);
      expect(await codeOf(runtime.runOnce(`${prefix}/nothing:1`, ['true'], { mounts: [] }))).toBe('engine-failed');
      expect(await codeOf(runtime.runOnce(IMAGE, ['sleep', '600'], { mounts: [], timeoutMs: 3000 }))).toBe('command-timeout'); // prettier-ignore
      const left = await engine('ps', '--all', '--filter', 'label=compose-caretaker.helper', '--no-trunc', '--format', '{{.Command}} {{.Mounts}}'); // prettier-ignore
      expect(left.split('\n').filter((line) => /sleep|the data/.test(line))).toEqual([]);
      await runtime.remove([id]);
    });

    test('stops what runs by its own signal, and starts it again', async () => {
      // Ends by itself at SIGINT only, and says so.
      const polite = [
        'python3',
        '-uc',
        'import signal, sys\nsignal.signal(2, lambda *_: sys.exit(42))\nprint("ready")\nsignal.pause()',
      ];
      const id = await runContainer('db', ['--stop-signal', 'SIGINT'], polite);
      const created = await engine('create', '--name', `${prefix}-new`, IMAGE);
      names.push(`${prefix}-new`);
      await until(async () => (await runtime.logTail(id, 5)).includes('ready'));
      await runtime.stop([created, id]);
      expect(await runtime.container(id)).toMatchObject({ state: 'stopped', exitCode: 42 });
      expect(await stateOf(created)).toBe('created');
      const before = (await runtime.container(id))?.startedAt;
      await runtime.start([id]);
      const after = await runtime.container(id);
      expect(after?.state).toBe('running');
      expect(after?.startedAt).not.toBe(before);
    });

    test('stops a container that its restart policy would bring back', async () => {
      const id = await runContainer('loop', ['--restart', 'always'], ['sh', '-c', 'exit 1']);
      await until(async () => ((await runtime.container(id))?.restartCount ?? 0) > 1);
      await runtime.stop([id]);
      const first = await runtime.container(id);
      expect(first?.state).toBe('stopped');
      await sleep(2000);
      expect((await runtime.container(id))?.restartCount).toBe(first?.restartCount);
      expect(await stateOf(id)).toBe('stopped');
    });

    if (host.pauses) {
      test('pauses, unpauses, and stops what is paused', async () => {
        const ids = [await runContainer('web'), await runContainer('worker')];
        const stopped = await runContainer('done', [], ['true']);
        await processes.run({ argv: [runtime.name, 'wait', stopped] });
        await runtime.pause([...ids, stopped]);
        expect(await Promise.all(ids.map(stateOf))).toEqual(['paused', 'paused']);
        await runtime.unpause(ids);
        await runtime.unpause(ids);
        expect(await Promise.all(ids.map(stateOf))).toEqual(['running', 'running']);
        await runtime.pause(ids);
        await runtime.stop(ids);
        expect(await Promise.all(ids.map(stateOf))).toEqual(['stopped', 'stopped']);
      });
    } else {
      test('says that it cannot pause', async () => {
        const id = await runContainer('web');
        expect(await codeOf(runtime.pause([id]))).toBe('engine-failed');
        expect(await stateOf(id)).toBe('running');
      });
    }

    test('runs a container’s own health check now', async () => {
      const id = await runContainer('web', [
        ...['--health-cmd', 'test "$WELL" = "$(cat /tmp/well)"', '--env', 'WELL=yes'],
        ...['--health-interval', '1h', '--health-timeout', '5s'],
      ]);
      expect((await runtime.container(id))?.health).not.toBeNull();
      expect(await runtime.runHealthCheck(id)).toBe('unhealthy');
      await runtime.exec(id, ['sh', '-c', 'echo yes >/tmp/well']);
      expect(await runtime.runHealthCheck(id)).toBe('healthy');
      expect(await runtime.runHealthCheck(await runContainer('plain'))).toBe('none');
      await runtime.stop([id]);
      expect(await codeOf(runtime.runHealthCheck(id))).toBe('engine-failed');
    });

    test('reads the last lines of a log, of both outputs', async () => {
      const id = await runContainer(
        'web',
        [],
        ['sh', '-c', 'seq 5000; sleep 1; printf "so" >&2; sleep 1; echo rry >&2; sleep 600'],
      );
      await until(async () => (await runtime.logTail(id, 3)).includes('sorry'));
      const lines = (await runtime.logTail(id, 3)).split('\n');
      expect([...lines].sort()).toEqual(['4999', '5000', 'sorry']);
      const silent = await runContainer('silent', ['--log-driver', 'none'], ['sh', '-c', 'echo unheard']);
      expect(await runtime.logTail(silent, 3)).toBe('');
    });

    test('names an image and takes away that name only', async () => {
      const base = await imageOfOurOwn();
      const [one, two] = [`${prefix}/protect:one`, `${prefix}/protect:two`];
      await runtime.tag(base, one);
      await runtime.tag(base, two);
      expect((await runtime.imageNames(`${prefix}/protect`)).sort()).toEqual([one, two]);
      expect(await runtime.imageId(one)).toBe(base);
      await runtime.untag(one);
      expect(await runtime.imageId(one)).toBeNull();
      expect(await runtime.imageNames(`${prefix}/protect`)).toEqual([two]);
      expect(await runtime.imageId(base)).toBe(base);
      await runtime.untag(one);

      const id = await runContainerOf(two);
      await runtime.untag(two);
      await runtime.untag(`${prefix}:own`);
      expect(await runtime.imageNames(prefix)).toEqual([]);
      expect(await runtime.imageId(base)).toBe(base);
      expect(await stateOf(id)).toBe('running');
      await runtime.remove([id]);
      await processes.run({ argv: [runtime.name, 'rmi', base] }, { accept: [0, 1, 125] });
    });

    /** An image that no other test has. */
    const imageOfOurOwn = async (): Promise<string> => {
      names.push(`${prefix}-seed`);
      await engine('create', '--name', `${prefix}-seed`, IMAGE);
      await engine('commit', '--change', `LABEL own=${prefix}`, `${prefix}-seed`, `${prefix}:own`);
      return (await runtime.imageId(`${prefix}:own`))!;
    };
    const runContainerOf = (image: string): Promise<string> => {
      names.push(`${prefix}-of`);
      return engine('run', '--detach', '--name', `${prefix}-of`, '--entrypoint', 'sleep', image, '600');
    };

    test('knows an image that is not there, and one from no registry', async () => {
      expect(await runtime.imageId(`${prefix}/nothing:1`)).toBeNull();
      expect(await runtime.imageId(IMAGE)).toMatch(/^sha256:[0-9a-f]{64}$/);
      expect(await runtime.imageDigests(`${prefix}/nothing:1`)).toEqual([]);
      expect(await runtime.imageEnvironment(`${prefix}/nothing:1`)).toBeNull();
      expect(await runtime.imageEnvironment(IMAGE)).toMatchObject({ PG_MAJOR: '17' });
      expect(await runtime.imageBytes(`${prefix}/nothing:1`)).toBeNull();
      expect(await runtime.imageBytes(IMAGE)).toBeGreaterThan(50_000_000);
      const own = await imageOfOurOwn();
      expect(await runtime.imageDigests(own)).toEqual([]);
      await runtime.remove([`${prefix}-seed`]);
      await runtime.untag(`${prefix}:own`);
      // Nothing uses it and nothing names it.
      expect(await runtime.imageId(own)).toBeNull();
    });

    test('carries images without their names in an archive', async () => {
      const own = await imageOfOurOwn();
      await runtime.tag(IMAGE, `${prefix}:other`);
      const other = (await runtime.imageId(IMAGE))!;
      const made = await processes.run({ argv: ['mktemp', '--directory', '/var/tmp/caretaker-images-XXXXXX'] });
      const directory = made.stdout.trim();
      const file = path.join(directory, 'images.tar');
      try {
        await runtime.saveImages([own, other], file);
        const { ids } = await checkImageArchive(file, await runtime.platform());
        expect([...ids].sort()).toEqual([own, other].sort());

        await runtime.remove([`${prefix}-seed`]);
        await runtime.untag(`${prefix}:own`);
        expect(await runtime.imageId(own)).toBeNull();
        await runtime.loadImages(file);
        expect(await runtime.imageId(own)).toBe(own);
        expect(await runtime.imageId(`${prefix}:own`)).toBeNull();
        expect(await runtime.imageId(IMAGE)).toBe(other);
        await expect(runtime.loadImages(`${file}.none`)).rejects.toMatchObject({ code: 'engine-failed' });
        await runtime.tag(own, `${prefix}:own`);
        await runtime.untag(`${prefix}:own`);
      } finally {
        await rm(directory, { recursive: true });
      }
    });

    test('makes a volume once', async () => {
      const name = `${prefix}-volume`;
      expect(await runtime.volume(name)).toBeNull();
      const made = await runtime.createVolume(name, { purpose: 'a test' });
      expect(made).toMatchObject({ name, driver: 'local', labels: { purpose: 'a test' } });
      expect(made.mountpoint).toMatch(/^\/.*\/_data$/);
      expect(await runtime.createVolume(name, {})).toEqual(made);
      expect(await runtime.volume(name)).toEqual(made);
      const labelled = await runtime.createVolume(`${name}-labelled`, { purpose: name, other: 'yes' });
      await runtime.createVolume(`${name}-half`, { purpose: name });
      expect(await runtime.volumes({ purpose: name, other: 'yes' })).toEqual([labelled]);
      expect(await runtime.volumes({ purpose: `${name}-none` })).toEqual([]);
    });

    test('removes a volume only by its labels', async () => {
      const name = `${prefix}-gone`;
      await runtime.createVolume(name, { run: 'one', purpose: 'a test' });
      expect(await runtime.removeVolume(name, { run: 'two' })).toBe(false);
      expect(await runtime.volume(name)).not.toBeNull();
      expect(await runtime.removeVolume(name, { run: 'one' })).toBe(true);
      expect(await runtime.volume(name)).toBeNull();
      expect(await runtime.removeVolume(name, { run: 'one' })).toBe(true);
    });

    test('removes the networks and the pod of a project, and no other', async () => {
      const create = (name: string, project: string): Promise<string> =>
        engine('network', 'create', '--label', `com.docker.compose.project=${project}`, `${prefix}-${name}`);
      await create('mine', `${prefix}-gone`);
      await create('other', `${prefix}-stays`);
      if (runtime.name === 'podman') await engine('pod', 'create', '--infra=false', '--name', `pod_${prefix}-gone`);
      await runtime.removeRest(`${prefix}-gone`);
      const left = (await engine('network', 'ls', '--format', '{{.Name}}')).split('\n');
      expect(left.filter((name) => name.startsWith(prefix))).toEqual([`${prefix}-other`]);
      if (runtime.name === 'podman') expect(await engine('pod', 'ls', '--format', '{{.Name}}')).not.toContain(prefix);
      await runtime.removeRest(`${prefix}-gone`);
      await engine('network', 'rm', `${prefix}-other`);
    });

    test('a name server that has died serves again, and nothing is restarted', async () => {
      const network = `${prefix}-net`;
      await engine('network', 'create', network);
      try {
        const one = await runContainer('one', ['--network', network, '--network-alias', 'one']);
        const other = await runContainer('other', ['--network', network]);
        const finds = async (): Promise<boolean> =>
          (await runtime.exec(other, ['getent', 'hosts', 'one'], { accept: [0, 2] })).exitCode === 0;
        expect(await finds()).toBe(true);
        const started = (await runtime.container(one))?.startedAt;
        const running = (): Promise<string[]> => Promise.resolve([one, other]);
        expect(await runtime.mendNetwork(running)).toBe(false);
        if (runtime.name === 'docker') return;

        // What a failed start may leave: a server that ends without anybody noticing.
        await processes.run({ argv: ['sh', '-c', 'pkill -x -u "$(id -u)" aardvark-dns'] });
        await until(async () => !(await finds()));
        await until(async () => (await runtime.mendNetwork(running)) && (await finds()));
        expect((await runtime.container(one))?.startedAt).toBe(started);
        expect(await runtime.mendNetwork(running)).toBe(false);
      } finally {
        for (const name of names.splice(0)) await engine('rm', '--force', name);
        await engine('network', 'rm', network);
      }
    });

    test('a container whose port was taken leaves nothing that keeps others from finding each other', async () => {
      const net = (name: string): string => `${prefix}-${name}`;
      const port = ['--publish', '127.0.0.1:18765:80'];
      const other = [];
      const served = await runContainer('served', port);
      try {
        await engine('network', 'create', net('first'));
        await runContainer('beside', ['--network', net('first')]);
        await expect(runContainer('late', ['--network', net('first'), ...port])).rejects.toMatchObject({
          code: 'command-failed',
        });
        const doomed = await runtime.containers({ ...labels, 'com.docker.compose.service': 'late' });
        expect(doomed).toHaveLength(1);
        await runtime.remove(doomed.map(({ id }) => id));
        await engine('rm', '--force', net('beside'));
        await engine('network', 'rm', net('first'));

        // Gets the addresses of the first.
        other.push(net('second'));
        await engine('network', 'create', net('second'));
        await runContainer('one', ['--network', net('second'), '--network-alias', 'one']);
        const two = await runContainer('two', ['--network', net('second')]);
        expect((await runtime.exec(two, ['getent', 'hosts', 'one'], { accept: [0, 2] })).exitCode).toBe(0);
        expect((await runtime.container(served))?.state).toBe('running');
      } finally {
        for (const name of names.splice(0)) {
          await processes.run({ argv: [runtime.name, 'rm', '--force', name] }, { accept: [0, 1, 2, 125] });
        }
        for (const name of other) await engine('network', 'rm', name);
      }
    });

    test('removes containers that depend on each other, and none that nobody named', async () => {
      const db = await runContainer('db');
      const requires = runtime.name === 'podman' ? ['--requires', `${prefix}-db`] : [];
      const web = await runContainer('web', requires);
      const other = await runContainer('other');
      await runtime.remove([db, web]);
      expect((await runtime.containers(labels)).map((container) => container.id)).toEqual([other]);
    });

    test('what it starts outlives the job', async () => {
      const id = await runContainer('web');
      await runtime.stop([id]);
      const before = process.env['RUNNER_TRACKING_ID'];
      process.env['RUNNER_TRACKING_ID'] = `github_${prefix}`;
      try {
        await runtime.start([id]);
      } finally {
        if (before === undefined) delete process.env['RUNNER_TRACKING_ID'];
        else process.env['RUNNER_TRACKING_ID'] = before;
      }
      // The runner ends every process that carries its id: nothing of the container's may.
      const pid = await engine('container', 'inspect', '--format', '{{.State.Pid}}', id);
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
      const parent = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]!;
      for (const one of [pid, parent]) {
        expect(await readFile(`/proc/${one}/environ`, 'latin1')).not.toContain(`github_${prefix}`);
      }
      expect(await readFile(`/proc/${parent}/comm`, 'utf8')).toMatch(/conmon|containerd-shim/);
    });
  });
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 120; tries++) {
    if (await condition()) return;
    await sleep(250);
  }
  throw new Error('it did not come to pass');
}
