import { randomUUID } from 'node:crypto';
import { CaretakerError, messageOf } from '../errors.ts';
import type { Limits } from '../system/limits.ts';
import {
  ANY_CODE,
  type Argv,
  type Command,
  type Processes,
  type RunOptions,
  type RunResult,
} from '../system/processes.ts';
import { lastLines } from '../system/text-tail.ts';
import { parseContainers, withAlgorithm } from './containers.ts';
import { confined } from './helper-container.ts';
import type { Container, ExecOptions, Mount, Runtime, RuntimeName, VolumeInfo } from './runtime.ts';
import { deviceOf, isAnonymousName } from './volume-options.ts';

/** How both engines say that something is not there. */
const ABSENT =
  /no such (?:container|image|volume|network|pod|object)|network (?:not found|\S+ not found)|no container with name or id|image not known/i;

/**
 * Podman reads all images to answer about one, and fails when any of them is removed meanwhile: the words of the image itself are `NAME: image not known`. (Measured with 4.3: of 130 calls of
 * `podman images` and `image inspect` beside somebody who builds and removes images, 15 failed.) Each failure is one image that went, so asking again comes to an end.
 */
const ANOTHER_WENT = /locating image with ID "[0-9a-f]{64}": image not known/;

/** Times that Podman is asked again. */
const ASKED_AGAIN = 20;

/** How both say that a log cannot be read because the container keeps none. */
const NO_LOG = /does not support reading|log driver, cannot read logs/i;

/**
 * Podman's words for a container that was in another state by the time its stop came to it: one that its restart policy has started again in the
 * middle of that (`is running or paused, refusing to clean up: container state improper`), or whose process has ended since.
 */
const STATE_MOVED = /container state improper|unless container \S+ is running/i;

/** Words of the engine itself, in the place of those of a program that was to run in a container. */
const ENGINE_SPEAKS =
  /^Error(?: response from daemon)?: (?:.*no such container|.*is not running|.*is paused|.*is restarting|no container with|can only create exec|cannot exec|.*container state improper)/im;

/** One command's inspects: a container's are some 10 KB, and the last MiB of an output is all that is kept. */
const INSPECTED_AT_ONCE = 25;

/**
 * Rounds of stopping before it is given up. Podman forgets that it was told to stop a container that its restart policy is about to start again:
 * only a stop while it runs counts, and a crash loop's container runs for moments.
 */
const STOP_ROUNDS = 40;

export interface EngineFacts {
  readonly name: RuntimeName;
  readonly version: string;
  readonly rootless: boolean;
  readonly platform: string;
  readonly storage: string;
}

/** The engine's program with this user's rights. */
export interface EngineCommand {
  /** `action` completes "failed to …". Throws `engine-failed`, `command-timeout`, `cancelled`. A program in a container has no limit but `timeoutMs`. */
  run(
    args: readonly string[],
    action: string,
    options?: RunOptions & { readonly env?: Command['env'] },
  ): Promise<RunResult>;
  /** Likewise; null where the engine says that what it was asked for is not there. */
  find(args: readonly string[], action: string, options?: Pick<RunOptions, 'timeoutMs'>): Promise<string | null>;
  command(args: readonly string[], env?: Command['env']): Command;
}

export function engineCommand(name: RuntimeName, processes: Processes, limits: Limits): EngineCommand {
  // Podman leaves processes of its own behind (the namespace's keeper, conmon), which the runner would end after the job.
  const command = (args: readonly string[], env: Command['env'] = {}): Command => ({
    argv: [name, ...args],
    env: { ...env, ...(name === 'podman' ? { RUNNER_TRACKING_ID: '' } : {}) },
  });

  const limit = ([verb = '', noun = '']: readonly string[]): Pick<RunOptions, 'timeoutMs'> => {
    if (['exec', 'run'].includes(verb)) return {};
    if (['pull', 'save', 'load'].includes(verb)) return { timeoutMs: limits.build };
    const looks = ['ps', 'images', 'info', 'logs', 'healthcheck'].includes(verb) || ['inspect', 'ls'].includes(noun);
    return { timeoutMs: looks ? limits.look : limits.act };
  };

  async function run(
    args: readonly string[],
    action: string,
    { env, ...options }: RunOptions & { readonly env?: Command['env'] } = {},
  ): Promise<RunResult> {
    let result: RunResult;
    const reads = args[0] === 'images' || (args[0] === 'image' && args[1] === 'inspect');
    try {
      for (let time = 0; ; time++) {
        result = await processes.run(command(args, env), { ...limit(args), ...options, accept: ANY_CODE });
        if (!reads || time === ASKED_AGAIN || !ANOTHER_WENT.test(result.stderr)) break;
      }
    } catch (error) {
      if (error instanceof CaretakerError && error.code === 'cancelled') throw error;
      if (error instanceof CaretakerError && error.code === 'command-timeout') throw timedOut(action, error);
      throw engineFailed(name, action, messageOf(error), error);
    }
    if ((options.accept ?? [0]).includes(result.exitCode)) return result;
    throw engineFailed(name, action, wordsOf(result));
  }

  return {
    command,
    run,
    async find(args, action, options = {}) {
      const result = await run(args, action, { ...options, accept: ANY_CODE });
      if (result.exitCode === 0) return result.stdout;
      if (ABSENT.test(result.stderr) && !ANOTHER_WENT.test(result.stderr)) return null;
      throw engineFailed(name, action, wordsOf(result));
    },
  };
}

export function engineFailed(name: RuntimeName, action: string, words: string, cause?: unknown): CaretakerError {
  return new CaretakerError('engine-failed', `failed to ${action}: ${name} says: ${words}`, {
    hint: `The same ${name} command by hand, as the user who runs this, shows more.`,
    ...(cause === undefined ? {} : { cause }),
  });
}

/** What the engine answers as JSON: a wrapper around it, or a disk that is full, may make something else of it. */
export function parsed(text: string, name: RuntimeName, action: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw engineFailed(name, action, `what is not JSON: ${lastLines(text)}`, error);
  }
}

function timedOut(action: string, cause: CaretakerError): CaretakerError {
  return new CaretakerError('command-timeout', `failed to ${action}: ${cause.message}`, {
    hint: 'The engine, or a program in a container, hangs or waits for its disk: the same command by hand, and the engine’s log, show more.',
    cause,
  });
}

function wordsOf(result: RunResult): string {
  return lastLines(result.stderr) || lastLines(result.stdout) || `nothing (exit code ${result.exitCode})`;
}

function short(id: string): string {
  return /^[0-9a-f]{64}$/.test(id) ? id.slice(0, 12) : id;
}

/** All that Docker and Podman do alike, in the same words. */
export function commonRuntime(
  facts: EngineFacts,
  engine: EngineCommand,
  processes: Processes,
  limits: Limits,
): Omit<Runtime, 'remove' | 'runHealthCheck' | 'untag' | 'imageDigests' | 'mendNetwork'> {
  const { name } = facts;

  const inspect = async (ids: readonly string[]): Promise<Container[]> => {
    const found: Container[] = [];
    for (let at = 0; at < ids.length; at += INSPECTED_AT_ONCE) {
      const args = ['container', 'inspect', '--', ...ids.slice(at, at + INSPECTED_AT_ONCE)];
      const { exitCode, stdout, stderr } = await engine.run(args, 'look at containers', { accept: ANY_CODE });
      // One that has gone meanwhile: the engine answers with the others, and fails.
      if (exitCode !== 0 && !onlyAbsent(stderr)) throw engineFailed(name, 'look at containers', lastLines(stderr));
      found.push(...parseContainers(stdout, name));
    }
    return found;
  };

  const byId = async (ids: readonly string[]): Promise<Map<string, Container>> => {
    const containers = await inspect(ids);
    return new Map(
      ids.flatMap((id) => {
        const container = containers.find((one) => one.id.startsWith(id) || one.name === id);
        return container === undefined ? [] : [[id, container] as const];
      }),
    );
  };

  const imageId = async (nameOrId: string): Promise<string | null> => {
    const args = ['image', 'inspect', '--format', '{{.Id}}', '--', nameOrId];
    const answer = await engine.find(args, `look at the image ${nameOrId}`);
    return answer === null ? null : withAlgorithm(answer.trim());
  };

  const volume = async (wanted: string): Promise<VolumeInfo | null> => {
    const answer = await engine.find(['volume', 'inspect', '--', wanted], `look at the volume ${wanted}`);
    if (answer === null) return null;
    const [found] = parsed(answer, name, `look at the volume ${wanted}`) as readonly {
      Name: string;
      Mountpoint: string;
      Driver: string;
      Labels: Record<string, string> | null;
      Options?: Record<string, string> | null;
    }[];
    if (found === undefined) return null;
    const device = found.Driver === 'local' ? deviceOf(found.Options) : null;
    return {
      ...{ name: found.Name, driver: found.Driver, labels: found.Labels ?? {} },
      ...(device === null ? {} : { device }),
      mountpoint: device?.bound ? device.source : found.Mountpoint,
    };
  };

  // A volume's options never change as long as it is there.
  const directories = new Map<string, string | undefined>();
  const directoryOf = async (wanted: string): Promise<string | undefined> => {
    if (isAnonymousName(wanted)) return undefined;
    if (!directories.has(wanted)) {
      const device = (await volume(wanted))?.device;
      directories.set(wanted, device?.bound ? device.source : undefined);
    }
    return directories.get(wanted);
  };

  /** What lies in a directory of this host is mounted there by itself: the volume's own mount point is empty as soon as the container stops. */
  const withDirectories = async (container: Container): Promise<Container> => {
    const mounts: Mount[] = [];
    for (const mount of container.mounts) {
      const source = mount.volume === undefined ? undefined : await directoryOf(mount.volume);
      mounts.push(source === undefined ? mount : { ...mount, type: 'bind', volume: undefined, source });
    }
    return { ...container, mounts };
  };

  const execArgs = (id: string, argv: Argv, options: ExecOptions, interactive: boolean): string[] => [
    'exec',
    ...(interactive ? ['--interactive'] : []),
    ...(options.user === undefined ? [] : ['--user', options.user]),
    // A name alone: the engine's program takes the value from its own environment.
    ...Object.keys(options.env ?? {}).flatMap((variable) => ['--env', variable]),
    id,
    ...argv,
  ];

  return {
    name,
    rootless: facts.rootless,
    version: facts.version,
    platform: () => Promise.resolve(facts.platform),
    storage: () => Promise.resolve(facts.storage),

    async containers(labels) {
      const wanted = Object.entries(labels);
      const filters = wanted.flatMap(([key, value]) => ['--filter', `label=${key}=${value}`]);
      const { stdout } = await engine.run(['ps', '--all', '--quiet', '--no-trunc', ...filters], 'list containers');
      const containers = await inspect(stdout.split('\n').filter((line) => line !== ''));
      // Engines differ in whether several label filters mean all of them or any.
      const found = containers.filter((container) => wanted.every(([key, value]) => container.labels[key] === value));
      const seen: Container[] = [];
      for (const container of found) seen.push(await withDirectories(container));
      return seen;
    },

    async container(id) {
      return (await inspect([id]))[0] ?? null;
    },

    async exec(id, argv, options = {}) {
      const action = `run ${argv[0]} in container ${short(id)}`;
      const result = await engine.run(execArgs(id, argv, options, options.input !== undefined), action, {
        accept: ANY_CODE,
        ...(options.env === undefined ? {} : { env: options.env }),
        ...(options.input === undefined ? {} : { input: options.input }),
        ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
      });
      // 1 is Docker's code for its own errors, 125 and 255 are Podman's; a program may end with 1 or 255 as well.
      const engineSpeaks =
        result.exitCode === 125 || ([1, 255].includes(result.exitCode) && ENGINE_SPEAKS.test(result.stderr));
      if (engineSpeaks) throw engineFailed(name, action, wordsOf(result));
      if (!(options.accept ?? [0]).includes(result.exitCode)) {
        throw new CaretakerError(
          'engine-failed',
          `failed to ${action}: exit code ${result.exitCode}: ${wordsOf(result)}`,
          { hint: 'The words are those of the program in the container.' },
        );
      }
      return result;
    },

    execStream(id, argv, options = {}) {
      return processes.stream(
        engine.command(execArgs(id, argv, options, true), options.env),
        options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs },
      );
    },

    async runOnce(image, [program, ...args], { mounts, ...options }) {
      const container = `caretaker-helper-${randomUUID()}`;
      const readOnly = mounts.map((mount) => ({ ...mount, writable: false }));
      // Reading what belongs to others, a database's files above all.
      const argv = [...confined(container, readOnly, ['DAC_READ_SEARCH']), '--entrypoint', program, image, ...args];
      try {
        return await engine.run(argv, `run ${program} in a container of ${short(image)}`, options);
      } catch (error) {
        // The client's end is not the container's; the failure that led here is the one to tell.
        await engine.find(['rm', '--force', container], `remove the container ${container}`).catch(() => undefined);
        throw error;
      }
    },

    async stop(ids) {
      let refused: CaretakerError | undefined;
      for (let round = 1; ids.length > 0; round++) {
        const now = await byId(ids);
        const up = ids.filter((id) => {
          const state = now.get(id)?.state;
          return state === 'running' || state === 'paused' || state === 'restarting';
        });
        if (up.length === 0) return;
        if (round > STOP_ROUNDS)
          throw refused ?? engineFailed(name, `stop ${up.map(short).join(', ')}`, 'it still runs');
        for (const id of up) {
          // Podman refuses to stop a paused one, and a signal reaches nobody there.
          if (now.get(id)?.state === 'paused') await engine.find(['unpause', id], `unpause the container ${short(id)}`);
          const timeoutMs = (now.get(id)?.graceSeconds ?? 0) * 1000 + limits.act;
          try {
            await engine.find(['stop', id], `stop the container ${short(id)}`, { timeoutMs });
          } catch (error) {
            if (!(error instanceof CaretakerError && STATE_MOVED.test(error.message))) throw error;
            refused = error;
          }
        }
      }
    },

    async start(ids) {
      for (const id of ids) await engine.run(['start', id], `start the container ${short(id)}`, { outlivesJob: true });
    },

    async pause(ids) {
      const now = await byId(ids);
      const running = ids.filter((id) => now.get(id)?.state === 'running');
      if (running.length > 0) await engine.run(['pause', ...running], `pause ${running.map(short).join(', ')}`);
    },

    async unpause(ids) {
      const now = await byId(ids);
      const paused = ids.filter((id) => now.get(id)?.state === 'paused');
      if (paused.length > 0) await engine.run(['unpause', ...paused], `unpause ${paused.map(short).join(', ')}`);
    },

    async logTail(id, lines) {
      const text: string[] = [];
      // What the container said on both its outputs comes on both of ours, line by line.
      const onLine = (line: string): void => {
        text.push(line);
        if (text.length > lines) text.shift();
      };
      const action = `read the log of container ${short(id)}`;
      const result = await engine.run(['logs', '--tail', String(lines), id], action, { accept: ANY_CODE, onLine });
      if (result.exitCode === 0) return text.join('\n');
      if (NO_LOG.test(result.stderr)) return '';
      throw engineFailed(name, action, wordsOf(result));
    },

    imageId,

    async imageEnvironment(image) {
      const args = ['image', 'inspect', '--format', '{{json .Config.Env}}', '--', image];
      const answer = await engine.find(args, `look at the image ${image}`);
      if (answer === null) return null;
      const lines = (parsed(answer, name, `look at the image ${image}`) as readonly string[] | null) ?? [];
      const pairs = lines.map((line) => [line.split('=', 1)[0], line.slice(line.indexOf('=') + 1)] as const);
      return Object.fromEntries(pairs) as Readonly<Record<string, string>>;
    },

    async imageBytes(image) {
      const args = ['image', 'inspect', '--format', '{{.Size}}', '--', image];
      const answer = await engine.find(args, `look at the image ${image}`);
      return answer === null ? null : Number(answer);
    },

    async pull(reference) {
      await engine.run(['pull', '--quiet', reference], `pull ${reference}`);
    },

    async tag(image, newName) {
      await engine.run(['tag', image, newName], `name the image ${image} ${newName}`);
    },

    async saveImages(ids, file) {
      // Podman: without the option it writes only the first. Both overwrite nothing: Podman refuses a file that exists.
      const several = name === 'podman' ? ['--multi-image-archive'] : [];
      await engine.run(['save', ...several, '--output', file, ...ids], `save ${ids.map(short).join(', ')}`);
    },

    async loadImages(file) {
      await engine.run(['load', '--input', file], `load the images of ${file}`);
    },

    async imageNames(prefix) {
      const { stdout } = await engine.run(['images', '--format', '{{.Repository}}:{{.Tag}}'], 'list images');
      return [...new Set(stdout.split('\n').map((line) => nameAs(line, prefix)))].filter(
        (line) => line !== '' && line.startsWith(prefix) && !line.includes('<none>'),
      );
    },

    volume,

    async volumes(labels) {
      const wanted = Object.entries(labels);
      const filters = wanted.flatMap(([key, value]) => ['--filter', `label=${key}=${value}`]);
      const { stdout } = await engine.run(['volume', 'ls', '--quiet', ...filters], 'list volumes');
      const found: VolumeInfo[] = [];
      for (const line of stdout.split('\n').filter((one) => one !== '')) {
        const info = await volume(line);
        // Engines differ in whether several label filters mean all of them or any.
        if (info !== null && wanted.every(([key, value]) => info.labels[key] === value)) found.push(info);
      }
      return found;
    },

    async createVolume(wanted, labels) {
      const existing = await volume(wanted);
      if (existing !== null) return existing;
      const options = Object.entries(labels).flatMap(([key, value]) => ['--label', `${key}=${value}`]);
      await engine.run(['volume', 'create', ...options, wanted], `create the volume ${wanted}`);
      const created = await volume(wanted);
      if (created === null) throw engineFailed(name, `create the volume ${wanted}`, 'it is not there');
      return created;
    },

    async removeRest(project) {
      const label = 'com.docker.compose.project';
      const { stdout } = await engine.run(
        ['network', 'ls', '--quiet', '--filter', `label=${label}=${project}`],
        'list networks',
      );
      for (const network of stdout.split('\n').filter((line) => line !== '')) {
        const answer = await engine.find(['network', 'inspect', network], `look at the network ${network}`);
        // Docker writes Labels, Podman labels.
        const [found] = parsed(answer ?? '[]', name, `look at the network ${network}`) as readonly {
          Labels?: Labels | null;
          labels?: Labels | null;
        }[];
        if ((found?.Labels ?? found?.labels)?.[label] === project)
          await engine.find(['network', 'rm', network], `remove the network ${network}`);
      }
    },

    async removeVolume(wanted, labels) {
      const found = await volume(wanted);
      if (found === null) return true;
      if (Object.entries(labels).some(([key, value]) => found.labels[key] !== value)) return false;
      await engine.find(['volume', 'rm', wanted], `remove the volume ${wanted}`);
      return true;
    },
  };
}

type Labels = Readonly<Record<string, string>>;

/** Podman shows `app:1` as `localhost/app:1`, and takes either. */
function nameAs(line: string, prefix: string): string {
  const bare = line.replace(/^localhost\//, '');
  return !line.startsWith(prefix) && bare.startsWith(prefix) ? bare : line;
}

/** Podman's warnings (`level=warning`, `WARN[0000]`) may stand beside what counts. */
function onlyAbsent(stderr: string): boolean {
  const lines = stderr.split('\n').filter((line) => line.trim() !== '' && !/level=|^WARN\[/.test(line));
  return lines.length > 0 && lines.every((line) => ABSENT.test(line));
}
