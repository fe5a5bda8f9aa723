import path from 'node:path';
import { CaretakerError } from '../errors.ts';
import type { Log } from '../report/log.ts';
import { diskFull, isFull, isNoSpace } from '../system/disk.ts';
import { LIMITS } from '../system/limits.ts';
import type { Processes, ProcessStream, RunResult } from '../system/processes.ts';

export interface GitToken {
  readonly value: string;
  /** `https://github.com`: the token goes nowhere else. */
  readonly serverUrl: string;
}

export interface GitDeps {
  readonly processes: Processes;
  readonly log: Log;
  readonly signal?: AbortSignal;
}

export interface GitOptions {
  /** Exit codes besides 0 that are answers. */
  readonly accept?: readonly number[];
  readonly env?: Readonly<Record<string, string>>;
  readonly config?: readonly (readonly [string, string])[];
  /** Shows what git says. */
  readonly show?: boolean;
  /** For the message: "failed to WHAT in DIRECTORY". */
  readonly what?: string;
  readonly timeoutMs?: number;
}

/** Every code that git itself ends with: judged here, so that its own words can be shown. */
export const ANY_CODE: readonly number[] = [...Array(256).keys()];

/**
 * Git in one directory. Everything that it needs to be told goes through the environment (GIT_CONFIG_COUNT), so that nothing is written
 * into anybody's configuration and no token into argv.
 */
export class Git {
  readonly directory: string;
  /** Directories that git may trust although others own them: only a clone whose owner has a say in the project directory anyway, and what lies in it. */
  readonly #trusted: string[];
  readonly #deps: GitDeps;

  constructor(directory: string, trusted: string[], deps: GitDeps) {
    this.directory = directory;
    this.#trusted = trusted;
    this.#deps = deps;
  }

  /** The same in another directory. */
  in(directory: string): Git {
    return new Git(directory, this.#trusted, this.#deps);
  }

  /** True where another user's clone is trusted. */
  get trusting(): boolean {
    return this.#trusted.length > 0;
  }

  trust(directory: string): void {
    if (!this.#trusted.includes(directory)) this.#trusted.push(directory);
  }

  /** Standard output without its last line end. Throws `code-failed`. */
  async text(args: readonly string[], options: GitOptions = {}): Promise<string> {
    return (await this.run(args, options)).stdout.replace(/\n$/, '');
  }

  /** The NUL-separated fields of a command with `-z`. */
  async fields(args: readonly string[], options: GitOptions = {}): Promise<string[]> {
    return (await this.run(args, options)).stdout.split('\0').filter((field) => field !== '');
  }

  /** True for exit code 0, false for 1. */
  async holds(args: readonly string[]): Promise<boolean> {
    return (await this.run(args, { accept: [1] })).exitCode === 0;
  }

  async run(args: readonly string[], options: GitOptions = {}): Promise<RunResult> {
    const { log, processes, signal } = this.#deps;
    const result = await processes.run(
      { argv: ['git', ...args], cwd: this.directory, env: this.#environment(options) },
      {
        accept: ANY_CODE,
        // A checkout may fetch what lies in Git LFS.
        timeoutMs: options.timeoutMs ?? LIMITS.build,
        ...(signal === undefined ? {} : { signal }),
        ...(options.show ? { onLine: (line: string) => log.info(line) } : {}),
      },
    );
    if (result.exitCode === 0 || options.accept?.includes(result.exitCode)) return result;
    throw gitFailed('code-failed', options.what ?? `run git ${args[0]}`, this.directory, result, {
      hint: 'Run the same git command there by hand, as the user that the runner works as, to see more.',
    });
  }

  /**
   * Forces to disk what git has written: its own files, and those that it has checked out, which it never forces there itself. All of their filesystems: what git renamed
   * may be in no file that could be named. Throws `code-failed`.
   */
  async settle(): Promise<void> {
    const { processes, signal } = this.#deps;
    const store = path.resolve(this.directory, await this.text(['rev-parse', '--git-common-dir']));
    const result = await processes.run(
      { argv: ['sync', '--file-system', '--', this.directory, store] },
      { accept: ANY_CODE, timeoutMs: LIMITS.build, ...(signal === undefined ? {} : { signal }) },
    );
    if (result.exitCode === 0) return;
    throw gitFailed('code-failed', 'force to disk what git has written', this.directory, result, {
      hint: 'Look at that disk: the kernel’s log (dmesg) says more.',
    });
  }

  /** For output that is none of text, or large. */
  stream(args: readonly string[]): ProcessStream {
    return this.#deps.processes.stream({ argv: ['git', ...args], cwd: this.directory, env: this.#environment({}) });
  }

  #environment({ config = [], env }: GitOptions): Record<string, string> {
    const pairs: (readonly [string, string])[] = [
      ...this.#trusted.map((directory) => ['safe.directory', directory] as const),
      // No hook decides over an exit code. Filters and an SSH command that the clone's configuration names do run: see `openCheckout`.
      ['core.hooksPath', '/dev/null'],
      ['core.fsmonitor', 'false'],
      ['gc.auto', '0'],
      // What the journal names must outlive a power cut. Since git 2.36; older ones do not know it, and the key that they know is one that newer ones warn of.
      ['core.fsync', 'all'],
      ['advice.detachedHead', 'false'],
      ...config,
    ];
    const before = Number(process.env['GIT_CONFIG_COUNT'] ?? 0) || 0;
    return {
      LC_ALL: 'C',
      GIT_TERMINAL_PROMPT: '0',
      // `stash create` makes commits; nobody else sees them.
      GIT_AUTHOR_NAME: 'Compose Caretaker',
      GIT_AUTHOR_EMAIL: 'caretaker@localhost',
      GIT_COMMITTER_NAME: 'Compose Caretaker',
      GIT_COMMITTER_EMAIL: 'caretaker@localhost',
      GIT_CONFIG_COUNT: String(before + pairs.length),
      ...Object.fromEntries(
        pairs.flatMap(([key, value], at) => [
          [`GIT_CONFIG_KEY_${before + at}`, key],
          [`GIT_CONFIG_VALUE_${before + at}`, value],
        ]),
      ),
      ...env,
    };
  }
}

/** Configuration that sends the token to its server, and a header that a checkout action may have left in the clone not as well: two are an error there. */
export function tokenConfig({ value, serverUrl }: GitToken): readonly (readonly [string, string])[] {
  const key = `http.${new URL(serverUrl).origin}/.extraheader`;
  return [
    [key, ''],
    [key, `AUTHORIZATION: basic ${Buffer.from(`x-access-token:${value}`).toString('base64')}`],
  ];
}

/** With git's own last words; `disk-full` where there is no space, which those need not say. */
export function gitFailed(
  code: 'code-failed' | 'fetch-failed',
  what: string,
  directory: string,
  result: RunResult,
  { hint }: { readonly hint: string },
): CaretakerError {
  const failed = new CaretakerError(code, `failed to ${what} in ${directory}: ${lastWords(result)}`, { hint });
  const full = isNoSpace(failed) || isFull(directory);
  return full ? diskFull(`${what} in ${directory}`, { place: directory }, failed) : failed;
}

export function lastWords({ stdout, stderr, exitCode }: RunResult): string {
  const lines = (stderr.trim() || stdout.trim()).split('\n').slice(-8).join('\n');
  return lines === '' ? `git ended with code ${exitCode}` : lines;
}
