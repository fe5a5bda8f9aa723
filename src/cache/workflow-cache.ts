import { CaretakerError, messageOf } from '../errors.ts';
import type { Processes } from '../system/processes.ts';
import { lastLines } from '../system/text-tail.ts';
import type { CacheAnswer, CacheEntry, FileCache } from './cache.ts';

export interface WorkflowCacheOptions {
  readonly processes: Processes;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The Node that runs this, and the bundled client beside it (or src/actions-cache.ts). */
  readonly node: string;
  readonly client: string;
  /** For one answer, in milliseconds: the client itself may wait for ever. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** The exit code of the client for "no, and nothing is wrong". */
const NO = 3;

/**
 * The workflow's cache. GitHub's client runs in a process of its own (see actions-cache.ts beside the entries), since it finds its files from the current directory,
 * unpacks with `tar --absolute-names` into whatever place the archive names, prints workflow commands, and can wait without an end.
 */
export function createWorkflowCache(options: WorkflowCacheOptions): FileCache {
  const { processes, env, node, client, timeoutMs, signal } = options;

  const ask = async (operation: string, { key, folder, files }: CacheEntry): Promise<CacheAnswer> => {
    const problems: string[] = [];
    const onLine = (line: string): void => {
      // What the client warns of is why it says no; it does not throw it.
      const told = /^::(?:warning|error)(?: [^:]*)?::(.*)$/.exec(line);
      if (told !== null) problems.push((told[1] ?? '').replaceAll(/%0[AD]/g, ' ').replaceAll('%25', '%'));
    };
    try {
      const { exitCode, stderr } = await processes.run(
        {
          argv: [node, '--no-warnings', client, operation, key, ...files],
          cwd: folder,
          env: {
            // Where the client looks for files, and where it puts its own archive.
            ...{ GITHUB_WORKSPACE: folder, RUNNER_TEMP: folder },
            // Handed on to nothing else that this program starts.
            ACTIONS_RUNTIME_TOKEN: env['ACTIONS_RUNTIME_TOKEN'] ?? '',
            // GNU tar: whatever a member is called, it lands in this folder under its last name.
            ...(operation === 'find'
              ? { TAR_OPTIONS: '--transform=s,.*/,,g --no-same-owner --no-same-permissions' }
              : {}),
          },
        },
        { accept: [0, 1, NO], timeoutMs, signal, onLine },
      );
      if (exitCode === 0) return { ok: true };
      if (exitCode !== NO && problems.length === 0)
        problems.push(lastLines(stderr) || `the client ended with code ${exitCode}`);
    } catch (error) {
      if (error instanceof CaretakerError && error.code === 'cancelled') throw error;
      problems.push(messageOf(error));
    }
    return { ok: false, ...(problems.length === 0 ? {} : { problem: problems.join('; ') }) };
  };

  return {
    available: Boolean(env['ACTIONS_RESULTS_URL'] ?? env['ACTIONS_CACHE_URL']) && Boolean(env['ACTIONS_RUNTIME_TOKEN']),
    has: (entry) => ask('has', entry),
    find: (entry) => ask('find', entry),
    keep: (entry) => ask('keep', entry),
  };
}
