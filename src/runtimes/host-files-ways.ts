import { realpathSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CaretakerError, messageOf } from '../errors.ts';
import { LIMITS } from '../system/limits.ts';
import type { Argv, Command, Processes, ProcessStream, RunOptions } from '../system/processes.ts';
import { helperContainer } from './helper-container.ts';
import type { ContainerNetwork } from './container-network.ts';
import type { HostFiles, PathKind, SqliteProof, SqliteRows, Swap, TreeChanges, TreeScan } from './host-files.ts';
import type { Runtime } from './runtime.ts';
import { createArgv, extractArgv, membersOf, onlyLivedOn } from './tar-command.ts';

/** How a program is run so that it sees the host's files as the containers' root does; where asked for, in the network of a container. */
export interface Way {
  readonly name: HostFiles['way'];
  /** The command that runs `argv` with these absolute paths, and what lies beside them, in reach. `absent`: directories known not to be there. */
  wrap(
    argv: Argv,
    paths: readonly string[],
    absent: ReadonlySet<string>,
    network?: { readonly id: string; readonly pid: number },
  ): Promise<Wrapped>;
}

export interface Wrapped {
  readonly command: Command;
  /** Ends what the end of the command itself leaves running. */
  readonly end?: () => Promise<void>;
}

export interface HostFilesOptions {
  readonly processes: Processes;
  /** The engine whose containers write the files; null for a project without containers. */
  readonly runtime: Runtime | null;
  /** Node 24: `process.execPath`. */
  readonly node: string;
  /** The bundled agent, or src/agent.ts. */
  readonly agent: string;
  /** Whether this user is the host's root. */
  readonly root: boolean;
}

/**
 * Chooses the way to the host's files and proves that it works. Throws `tar-missing` where there is no GNU tar, `host-files-denied`
 * where the way does not work.
 */
export async function createHostFiles(options: HostFilesOptions): Promise<HostFiles> {
  await requireGnuTar(options.processes);
  const { way, tools } = chooseWay(options);
  const files = hostFilesBy(way, tools);
  await files.probe();
  return files;
}

/** The same way into the network of a container. */
export function createContainerNetwork(options: HostFilesOptions): ContainerNetwork {
  const { way, tools } = chooseWay(options);
  const { ask } = agentBy(way, tools);
  return {
    http: (container, port, probe) => ask('http', { port, ...probe }, [], container),
  };
}

function chooseWay(options: HostFilesOptions): { readonly way: Way; readonly tools: Tools } {
  const { processes } = options;
  const agent = realpathSync(options.agent);
  const node = realpathSync(options.node);
  return { way: wayOf(options, [dirname(node), dirname(agent)]), tools: { processes, node, agent } };
}

function wayOf({ runtime, root, processes }: HostFilesOptions, programs: readonly string[]): Way {
  // Rootless Podman run by root: its containers' root is the host's all the same.
  if (root || runtime === null) return direct;
  if (runtime.name === 'docker') return helperContainer(runtime, processes, programs);
  return runtime.rootless ? podmanUnshare : direct;
}

const direct: Way = {
  name: 'direct',
  wrap: (argv, _paths, _absent, network) => Promise.resolve({ command: { argv: inside(network, argv) } }),
};

function inside(network: { readonly pid: number } | undefined, argv: Argv): Argv {
  return network === undefined ? argv : ['nsenter', `--net=/proc/${network.pid}/ns/net`, '--', ...argv];
}

const podmanUnshare: Way = {
  name: 'podman-unshare',
  // The keeper of the namespace may be started by this, and must not end with the job.
  wrap: (argv, _paths, _absent, network) =>
    Promise.resolve({
      command: { argv: ['podman', 'unshare', '--', ...inside(network, argv)], env: { RUNNER_TRACKING_ID: '' } },
    }),
};

async function requireGnuTar(processes: Processes): Promise<void> {
  const hint = 'Install GNU tar (package tar) on this machine.';
  try {
    const { stdout } = await processes.run({ argv: ['tar', '--version'] }, { timeoutMs: LIMITS.answer });
    if (stdout.includes('GNU tar')) return;
  } catch (error) {
    if (error instanceof CaretakerError && error.code === 'cancelled') throw error;
    throw new CaretakerError('tar-missing', `failed to find GNU tar: ${messageOf(error)}`, { hint, cause: error });
  }
  throw new CaretakerError('tar-missing', 'failed to find GNU tar: the tar on PATH is another one', { hint });
}

interface Tools {
  readonly processes: Processes;
  readonly node: string;
  readonly agent: string;
}

interface Agent {
  /** Runs a program to its end; answers with its output. */
  readonly run: (
    argv: Argv,
    paths: readonly string[],
    input?: string,
    network?: Network,
    limit?: Limit,
  ) => Promise<string>;
  /** One operation of the agent. */
  readonly ask: <T>(operation: string, request: object, paths: readonly string[], network?: Network) => Promise<T>;
  readonly denied: (operation: string, paths: readonly string[], cause: unknown) => unknown;
}

type Network = Parameters<Way['wrap']>[3];
type Limit = Pick<RunOptions, 'timeoutMs'>;

/** Operations that take no longer where there are more data. */
const LOOKS = ['probe', 'exists', 'kinds', 'likeness', 'makeDirectory', 'http'];

function agentBy(way: Way, { processes, node, agent }: Tools): Agent {
  async function run(
    argv: Argv,
    paths: readonly string[],
    input = '',
    network?: Network,
    limit: Limit = {},
  ): Promise<string> {
    const absent = new Set<string>();
    for (;;) {
      const wrapped = await way.wrap(argv, paths, absent, network);
      try {
        return (await processes.run(inEnglish(wrapped.command), { input, ...limit })).stdout;
      } catch (error) {
        // The failure that led here is the one to tell.
        await wrapped.end?.().catch(() => undefined);
        const missing = missingMount(error);
        if (missing === undefined || absent.has(missing)) throw error;
        absent.add(missing);
      }
    }
  }

  async function ask<T>(operation: string, request: object, paths: readonly string[], network?: Network): Promise<T> {
    let output: string;
    try {
      // Warnings (of types being stripped, of an experimental module) would be taken for the cause when something else fails.
      const limit = LOOKS.includes(operation) ? { timeoutMs: LIMITS.look } : {};
      output = await run([node, '--no-warnings', agent, operation], paths, JSON.stringify(request), network, limit);
    } catch (error) {
      throw denied(operation, paths, error);
    }
    const answer = parseAnswer(output, operation);
    if (answer.ok) return answer.value as T;
    throw new CaretakerError(answer.code, answer.message, answer.hint === undefined ? {} : { hint: answer.hint });
  }

  function denied(operation: string, paths: readonly string[], cause: unknown): unknown {
    if (cause instanceof CaretakerError && ['cancelled', 'command-timeout', 'host-files-denied'].includes(cause.code))
      return cause;
    const what = paths.length === 0 ? 'the files on this machine' : paths.join(', ');
    return new CaretakerError(
      'host-files-denied',
      `failed to ${operation === 'probe' ? 'reach' : operation} ${what} by ${way.name}: ${messageOf(cause)}`,
      {
        hint: {
          direct: 'Run this as root, or as a user who owns the application’s files.',
          'podman-unshare':
            'Check that "podman unshare true" works for this user (/etc/subuid, /etc/subgid, newuidmap).',
          'helper-container':
            'Check that this user may use Docker on this very machine ("docker run"), or run this as root.',
        }[way.name],
        cause,
      },
    );
  }

  return { run, ask, denied };
}

function hostFilesBy(way: Way, tools: Tools): HostFiles & { probe(): Promise<void> } {
  const { processes } = tools;
  const { run, ask, denied } = agentBy(way, tools);

  /** Runs a program between two streams, once what it needs is there. `then` runs after it has ended well or badly. */
  function stream(
    before: () => Promise<{ readonly argv: Argv; readonly path: string }>,
    then: (failure: { readonly error: unknown } | undefined) => Promise<void>,
  ): ProcessStream {
    return startedLater(async (stillWanted) => {
      const { argv, path } = await before();
      const { command, end } = await way.wrap(argv, [path], new Set());
      stillWanted();
      const inner = processes.stream(inEnglish(command));
      const done = inner.done.catch(async (error: unknown) => {
        await end?.().catch(() => undefined);
        throw error;
      });
      done.catch(() => undefined);
      const kill = (): void => {
        // Both: Docker's client answers a signal late, and ends at once with its container.
        void end?.().catch(() => undefined);
        inner.kill();
      };
      return { ...inner, done, kill };
    }, then);
  }

  async function isDirectory(path: string): Promise<boolean> {
    try {
      return (await stat(path)).isDirectory();
    } catch {
      // Not for us to see, or not there: the way itself tells, and tar says so.
      return run(['stat', '--dereference', '--format=%F', '--', path], [path]).then(
        (kind) => kind.trim() === 'directory',
        (error: unknown) => {
          throw denied('read', [path], error);
        },
      );
    }
  }

  return {
    way: way.name,
    probe: () => ask('probe', {}, []),
    scan: (root) => ask<TreeScan>('scan', { root }, [root]),
    oursAt: (roots) => ask<string[]>('oursAt', { roots }, roots),
    exists: (path) => ask<boolean>('exists', { path }, [path]),
    kinds: (root, paths) => ask<PathKind[]>('kinds', { root, paths }, [root]),
    fingerprint: (roots, { exclude = [], settle = false, contents = false }) =>
      ask<string>('fingerprint', { roots, exclude, settle, contents }, roots),

    changes: (root, options) => ask<TreeChanges | null>('changes', { root, ...options }, [root, options.note]),
    removeMembers: (root, names) => ask('removeMembers', { root, names }, [root]),

    tar(root, { exclude = [], only, live = false, onWarning = () => undefined }) {
      const kind = async (): Promise<'directory' | 'file' | 'members'> =>
        only !== undefined ? 'members' : (await isDirectory(root)) ? 'directory' : 'file';
      const tar = stream(
        async () => ({ argv: createArgv(root, await kind(), exclude), path: root }),
        // eslint-disable-next-line @typescript-eslint/require-await -- what it throws is the stream's failure
        async (failure) => {
          if (failure === undefined) return;
          const warnings = live ? onlyLivedOn(messageOf(failure.error)) : undefined;
          if (warnings === undefined) throw failure.error;
          warnings.forEach(onWarning);
        },
      );
      if (only !== undefined) tar.stdin.end(membersOf(only));
      return tar;
    },

    untar(root, { over = false, owners = true } = {}) {
      let made = false;
      return stream(
        async () => {
          if (over) return { argv: extractArgv(root, owners), path: root };
          try {
            await run(['mkdir', '--mode=700', '--', root], [root]);
          } catch (error) {
            throw notMade(root, error);
          }
          made = true;
          return { argv: extractArgv(root, owners), path: root };
        },
        async (failure) => {
          let error = failure?.error;
          if (failure === undefined) {
            try {
              await run(['sync', '--file-system', '--', root], [root]);
              return;
            } catch (thrown) {
              error = thrown;
            }
          }
          if (made) {
            await run(['rm', '-rf', '--one-file-system', '--', root], [root]).catch((left: unknown) => {
              throw new CaretakerError(
                'untar-left',
                `failed to unpack into ${root}: ${messageOf(error)}; and failed to remove what was unpacked: ${messageOf(left)}`,
                { hint: `Remove ${root} by hand.`, cause: error },
              );
            });
          }
          throw error;
        },
      );
    },

    copySqlite: (from, to) => ask<SqliteRows | null>('copySqlite', { from, to }, [from, to]),
    checkSqlite: (path) => ask('checkSqlite', { path }, [path]),
    querySqlite: (path, query) => ask('querySqlite', { path, query }, [path]),
    proveSqlite: (path) => ask<SqliteProof>('proveSqlite', { path }, [path]),
    makeDirectory: (path, like) => ask('makeDirectory', { path, like }, [path, like]),
    likeness: (path, like) => ask('likeness', { path, like }, [path, like]),
    swap: (swap) => ask('swap', { swap }, placesOfSwap(swap)),
    unswap: (swap) => ask('unswap', { swap }, placesOfSwap(swap)),
    empty: (root, keep) => ask('empty', { root, keep }, [root]),
    async remove(paths) {
      if (paths.length > 0) await ask('remove', { paths }, paths);
    },
  };
}

/** Messages are read here, and an administrator's TAR_OPTIONS would change the archive. */
function inEnglish(command: Command): Command {
  return { ...command, env: { ...command.env, LC_ALL: 'C', TAR_OPTIONS: '' } };
}

/** With its root: where the way to the data is mounted from above, a link on it is seen, and not followed by whoever mounts. */
function placesOfSwap({ live, fresh, aside, root }: Swap): string[] {
  return [...(root === undefined ? [] : [root]), live, fresh, aside];
}

type Answer =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly code: string; readonly message: string; readonly hint?: string };

function parseAnswer(output: string, operation: string): Answer {
  try {
    return JSON.parse(output) as Answer;
  } catch (error) {
    throw new CaretakerError('agent-failed', `failed to ${operation}: the agent's answer is not JSON`, {
      cause: error,
    });
  }
}

function notMade(root: string, error: unknown): unknown {
  if (!/File exists/.test(messageOf(error))) return error;
  return new CaretakerError('untar-exists', `failed to unpack into ${root}: it is there already`, {
    hint: 'Nothing was unpacked. Remove it if it is left over from an earlier run.',
    cause: error,
  });
}

/** Docker's daemon names the first bind source that is not there. */
function missingMount(error: unknown): string | undefined {
  return /bind source path does not exist: (\/.*?)\.?$/m.exec(messageOf(error))?.[1];
}

/** A stream whose program starts later: both ends are open at once, and a failed start is the stream's failure. */
function startedLater(
  start: (stillWanted: () => void) => Promise<ProcessStream>,
  then: (failure: { readonly error: unknown } | undefined) => Promise<void>,
): ProcessStream {
  const stdin = new PassThrough();
  const stdout = new PassThrough();
  for (const end of [stdin, stdout]) end.on('error', () => undefined);
  let inner: ProcessStream | undefined;
  let killed = false;
  const kill = (): void => {
    killed = true;
    inner?.kill();
  };

  const runToEnd = async (): Promise<void> => {
    inner = await start(() => {
      // A container that is only about to be made can't be ended by its name.
      if (killed) throw new CaretakerError('cancelled', 'ended before it began');
    });
    // A reader that goes away ends the program, whose output nobody wants any more.
    stdout.once('close', () => {
      if (!stdout.readableEnded) inner?.kill();
    });
    const feeding = pipeline(stdin, inner.stdin);
    // A program that stops reading tells by its exit code whether that was right.
    feeding.catch(() => undefined);
    const reading = pipeline(inner.stdout, stdout);
    reading.catch(() => undefined);
    await inner.done;
    await reading;
  };

  const done = runToEnd().then(
    () => then(undefined),
    (error: unknown) => then({ error }),
  );
  done.catch((error: unknown) => {
    stdin.destroy(error as Error);
    stdout.destroy(error as Error);
  });
  return { stdin, stdout, done, kill };
}
