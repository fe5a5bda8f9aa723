import type { Readable, Writable } from 'node:stream';

/** A program and its arguments, never a shell's text. */
export type Argv = readonly [string, ...string[]];

export interface Command {
  readonly argv: Argv;
  /** Added to the environment, which is this program's without its inputs and the job's own tokens; a value never shows up in a log or an error. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

export interface RunOptions {
  /** Text for standard input; without it standard input is empty. */
  readonly input?: string;
  /** Milliseconds after which the process and its children are killed and `command-timeout` is thrown. */
  readonly timeoutMs?: number;
  /** Exit codes that are answers, not failures; `[0]` by default. */
  readonly accept?: readonly number[];
  /** Called with every line of standard output and standard error as it comes. */
  readonly onLine?: (line: string) => void;
  readonly signal?: AbortSignal;
  /**
   * For commands that start containers: a session of its own and an empty RUNNER_TRACKING_ID, so that the containers
   * and their network helpers outlive the job, and no descriptor of ours beyond 0–2 is inherited.
   */
  readonly outlivesJob?: boolean;
}

/** For those who judge every exit code themselves. */
export const ANY_CODE: readonly number[] = Array.from({ length: 256 }, (_, code) => code);

export interface RunResult {
  readonly exitCode: number;
  /** At most the last MiB; a command that prints more keeps its end. */
  readonly stdout: string;
  /** At most the last 64 KiB. */
  readonly stderr: string;
}

/** A running program between two streams. */
export interface ProcessStream {
  readonly stdin: Writable;
  readonly stdout: Readable;
  /**
   * Settles when the process has ended: fulfilled on exit code 0, rejected with `command-failed` (message with exit code
   * or signal and the last lines of standard error) otherwise. Whoever reads `stdout` must await it: a short
   * output from a failed program is not the data. Never an unhandled rejection, also when nobody awaits it.
   */
  readonly done: Promise<void>;
  kill(): void;
}

/** The only way in which this product starts programs. Handed in, so that tests can stand in for it. */
export interface Processes {
  /** Throws `command-missing` (no such program), `command-failed` (code not accepted, signal), `command-timeout`. */
  run(command: Command, options?: RunOptions): Promise<RunResult>;
  /** Starts the program with both ends open. The caller ends `stdin`. */
  stream(command: Command, options?: Pick<RunOptions, 'signal' | 'timeoutMs'>): ProcessStream;
}
