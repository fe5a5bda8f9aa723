import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CaretakerError } from '../errors.ts';
import { fileError, readText } from '../system/files.ts';
import { LIMITS, type Limits } from '../system/limits.ts';
import type { Processes, RunResult } from '../system/processes.ts';
import { parseLogFile, withAlgorithm } from './containers.ts';
import { commonRuntime, engineCommand, engineFailed, parsed } from './engine.ts';
import type { Runtime } from './runtime.ts';

/** Rounds of removing before it is given up: a container's end may take a moment to be seen. */
const REMOVE_ROUNDS = 4;

/** Of a log file, the end that is read. */
const LOG_BYTES = 256 * 1024;

/** Podman with this user's own storage; null where there is none, or where it cannot run for this user. */
export async function createPodman(processes: Processes, limits: Limits = LIMITS): Promise<Runtime | null> {
  const engine = engineCommand('podman', processes, limits);
  const info = await answer(processes, limits);
  if (info === null) return null;
  const facts = {
    name: 'podman',
    version: info.version.Version,
    rootless: info.host.security.rootless,
    platform: `${info.host.os}/${info.host.arch}`,
    storage: info.store.graphRoot,
  } as const;
  const common = commonRuntime(facts, engine, processes, limits);
  const names = join(facts.rootless ? info.store.runRoot : '/run/containers', 'networks/aardvark-dns');

  return {
    ...common,

    async remove(ids, { anonymousVolumes = false } = {}) {
      const volumes = anonymousVolumes ? ['--volumes'] : [];
      // A container on which another one depends can't be removed before it. --depend would also take those that nobody named.
      let words = '';
      for (let round = 0, left = [...ids]; left.length > 0; round++) {
        if (round > REMOVE_ROUNDS + ids.length) throw engineFailed('podman', `remove ${left.join(', ')}`, words);
        const next: string[] = [];
        for (const id of left) {
          try {
            await engine.find(['rm', '--force', ...volumes, id], `remove the container ${id}`);
          } catch (error) {
            if (!(error instanceof CaretakerError) || error.code !== 'engine-failed') throw error;
            words = error.message;
            next.push(id);
          }
        }
        if (next.length === left.length && round >= REMOVE_ROUNDS)
          throw engineFailed('podman', `remove ${next.join(', ')}`, words);
        left = next;
      }
      await forgetNames(names, ids, processes, limits);
    },

    async removeRest(project) {
      // podman-compose's default since 1.1; without --force, a pod that has containers stays.
      await engine.find(['pod', 'rm', `pod_${project}`], `remove the pod of ${project}`);
      await common.removeRest(project);
    },

    async runHealthCheck(id) {
      const action = `run the health check of ${id}`;
      let result: RunResult;
      try {
        result = await engine.run(['healthcheck', 'run', id], action, { accept: [0, 1, 125] });
      } catch (error) {
        if (error instanceof CaretakerError && error.code === 'command-timeout') return 'unhealthy';
        throw error;
      }
      if (result.exitCode === 0) return 'healthy';
      if (result.exitCode === 1) return 'unhealthy';
      if (/no defined healthcheck|has no healthcheck/i.test(result.stderr)) return 'none';
      throw engineFailed('podman', action, result.stderr.trim());
    },

    async logTail(id, lines) {
      const format = '{{.HostConfig.LogConfig.Type}} {{.HostConfig.LogConfig.Path}}';
      const { stdout } = await engine.run(['container', 'inspect', '--format', format, '--', id], `look at ${id}`);
      const [, file] = /^(?:k8s-file|json-file) (\/.*)$/m.exec(stdout) ?? [];
      if (file !== undefined) {
        // Podman 4.3's --tail takes pieces of lines for lines, and loses what an unbuffered program prints.
        const argv = ['tail', `--bytes=${LOG_BYTES}`, '--', file] as const;
        const tail = await processes.run({ argv }, { accept: [0, 1], timeoutMs: limits.look });
        if (tail.exitCode === 0) return parseLogFile(tail.stdout, lines, Buffer.byteLength(tail.stdout) < LOG_BYTES);
      }
      return common.logTail(id, lines);
    },

    async mendNetwork(running) {
      if (!(await lostNameServer(names))) return false;
      const ids = await running();
      const served = await namesServed(names, ids);
      if (served.length === 0) return false;
      await engine.run(['network', 'reload', ...served], 'set the network up anew', { outlivesJob: true });
      return true;
    },

    async imageDigests(nameOrId) {
      const args = ['image', 'inspect', '--format', '{{json .RepoDigests}}', '--', nameOrId];
      const answered = await engine.find(args, `look at the image ${nameOrId}`);
      const digests =
        answered === null
          ? []
          : ((parsed(answered, 'podman', `look at the image ${nameOrId}`) as string[] | null) ?? []);
      // Podman gives digests to local builds too.
      return digests.filter((digest) => !digest.startsWith('localhost/'));
    },

    async untag(name) {
      const id = await common.imageId(name);
      if (id === null) return;
      // One name alone would take all names of the image.
      await engine.find(['untag', name, name], `remove the image name ${name}`);
      const names = await engine.find(
        ['image', 'inspect', '--format', '{{json .RepoTags}}', '--', id],
        `look at ${id}`,
      );
      if (names === null || ((parsed(names, 'podman', `look at ${id}`) as string[] | null) ?? []).length > 0) return;
      // As Docker does it: without a name, an image that nothing uses goes.
      const result = await engine.run(['rmi', id], `remove the image ${id}`, { accept: [0, 1, 2, 125] });
      if (result.exitCode !== 0 && !/in use|image not known|no such image|dependent/i.test(result.stderr)) {
        throw engineFailed('podman', `remove the image ${withAlgorithm(id)}`, result.stderr.trim());
      }
    },
  };
}

/**
 * Whether the name server of Podman's networks, aardvark-dns, was started and runs no more. netavark starts one only while a container's network is set up, and takes one that is about to end for
 * one that serves. (Measured with Podman 4.3, netavark 1.4: a container whose published port is taken leaves an entry behind; at the next start of the stack the server, kept by
 * that entry in a network namespace that is gone, ends.)
 */
async function lostNameServer(directory: string): Promise<boolean> {
  return (await readText(join(directory, 'aardvark.pid'))) !== null && (await nameServer(directory)) === null;
}

/** Its process id; null where none runs. */
async function nameServer(directory: string): Promise<number | null> {
  const pid = (await readText(join(directory, 'aardvark.pid')))?.trim();
  const state = pid === undefined ? null : await readText(`/proc/${pid}/stat`);
  return state !== null && /^\d+ \(aardvark-dns\) [^ZX]/.test(state) ? Number(pid) : null;
}

/** Those of the containers whose names it is to know. */
async function namesServed(directory: string, ids: readonly string[]): Promise<string[]> {
  const known = await namesKnown(directory);
  return ids.filter((id) => [...known.values()].some((served) => served.has(id)));
}

/** Of each list (one for each network, by its path) the containers in it. */
async function namesKnown(directory: string): Promise<Map<string, Set<string>>> {
  const known = new Map<string, Set<string>>();
  for (const name of await namesIn(directory)) {
    if (name === 'aardvark.pid') continue;
    const file = join(directory, name);
    // After a line of addresses: id, addresses and names of one container on each line.
    const [, ...lines] = ((await readText(file)) ?? '').split('\n');
    known.set(file, new Set(lines.flatMap((line) => line.split(' ')[0] ?? [])));
  }
  return known;
}

/**
 * Takes containers that are gone out of the name server's lists. Podman leaves the entry of a container that could not start (its port was taken) there even when it removes the container and its network; the
 * next network of any project of this user that gets the same addresses then has no name server, for one address cannot be served twice. (Measured with Podman 4.3, netavark 1.4.)
 * As netavark itself does it: under its lock, an empty list goes, the server is told to read them anew.
 */
async function forgetNames(
  directory: string,
  ids: readonly string[],
  processes: Processes,
  limits: Limits,
): Promise<void> {
  const full = ids.filter((id) => /^[0-9a-f]{64}$/.test(id));
  for (const [file, known] of await namesKnown(directory)) {
    const gone = full.filter((id) => known.has(id));
    if (gone.length === 0) continue;
    const lines = gone.map((id) => `/^${id} /d`).join(';');
    await processes.run(
      { argv: ['flock', join(directory, '../aardvark.lock'), 'sh', '-c', TAKE_OUT, file, lines] },
      { timeoutMs: limits.look },
    );
    const pid = await nameServer(directory);
    if (pid !== null) process.kill(pid, 'SIGHUP');
  }
}

/** $0: a list; $1: sed's words for the lines to take out. Its first line are the addresses to serve at. */
const TAKE_OUT = `
left=$(sed "$1" "$0") || exit
case $left in
  *"
"*) printf '%s\\n' "$left" > "$0" ;;
  *) rm "$0" ;;
esac`;

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw fileError(`read ${directory}`, error);
  }
}

interface Info {
  readonly host: { readonly arch: string; readonly os: string; readonly security: { readonly rootless: boolean } };
  readonly version: { readonly Version: string };
  readonly store: { readonly graphRoot: string; readonly runRoot: string };
}

async function answer(processes: Processes, limits: Limits): Promise<Info | null> {
  try {
    const { stdout } = await processes.run(
      { argv: ['podman', 'info', '--format', 'json'], env: { RUNNER_TRACKING_ID: '' } },
      { timeoutMs: limits.answer },
    );
    return JSON.parse(stdout) as Info;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    if (error instanceof CaretakerError && error.code !== 'cancelled') return null;
    throw error;
  }
}
