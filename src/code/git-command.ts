import { CaretakerError } from '../errors.ts';
import type { Log } from '../report/log.ts';
import type { Processes, RunResult } from '../system/processes.ts';

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
  /** Directories that git may trust although others own them: only the clone that the user named, and what lies in it. */
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
        ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
        ...(signal === undefined ? {} : { signal }),
        ...(options.show ? { onLine: (line: string) => log.info(line) } : {}),
      },
    );
    if (result.exitCode === 0 || options.accept?.includes(result.exitCode)) return result;
    throw new CaretakerError(
      'code-failed',
      `failed to ${options.what ?? `run git ${args[0]}`} in ${this.directory}: ${lastWords(result)}`,
      { hint: 'Run the same git command there by hand, as the user that the runner works as, to see more.' },
    );
  }

  #environment({ config = [], env }: GitOptions): Record<string, string> {
    const pairs: (readonly [string, string])[] = [
      ...this.#trusted.map((directory) => ['safe.directory', directory] as const),
      // A clone may be another user's: nothing in it is executed in our name, nor does its hook decide over an exit code.
      ['core.hooksPath', '/dev/null'],
      ['core.fsmonitor', 'false'],
      ['gc.auto', '0'],
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

export function lastWords({ stdout, stderr, exitCode }: RunResult): string {
  const lines = (stderr.trim() || stdout.trim()).split('\n').slice(-8).join('\n');
  return lines === '' ? `git ended with code ${exitCode}` : lines;
}
