import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import path from 'node:path';
import { constants as system } from 'node:os';
import { CaretakerError } from '../errors.ts';
import { cancelled } from './cancelled.ts';
import { drained, launch } from './node-processes.ts';
import { lastLines, LineCutter, TextTail } from './text-tail.ts';

export interface AuthorCommandOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Called with every line of its output, standard error among it, as it comes. */
  readonly onLine?: (line: string) => void;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** For a command that starts what must run on when the job is over: an empty RUNNER_TRACKING_ID. */
  readonly outlivesJob?: boolean;
}

export interface AuthorCommandResult {
  /** As a shell has it: 128 and its number where a signal ended it. */
  readonly exitCode: number;
  /** The last lines of its output. */
  readonly tail: string;
}

export type RunAuthorCommand = (text: string, options: AuthorCommandOptions) => Promise<AuthorCommandResult>;

/** `code 3`, or `code 137 (SIGKILL)`. */
export function codeWords(exitCode: number): string {
  const [name] = Object.entries(system.signals).find(([, number]) => number === exitCode - 128) ?? [];
  return name === undefined ? `code ${exitCode}` : `code ${exitCode} (${name})`;
}

/*
 * Both outputs are one, in the order in which they come. Node's own pipes are sockets, on which `echo … > /dev/stderr` fails: a true one leads to
 * them. Its reader hands on the last words of a command that is told to end.
 */
const BASH = `exec </dev/null > >(trap '' INT TERM; exec cat) 2>&1
exec bash -euo pipefail -c "$1" bash`;
const SH = 'exec sh -eu -c "$1" sh </dev/null 2>&1';

/**
 * Runs a shell command that the workflow's author wrote: `bash -euo pipefail`, or `sh -eu` where there is no bash. Its input is empty.
 * Any exit code is an answer. Throws `command-failed` (could not start), `command-timeout`, `cancelled`; nothing of the command runs on then. What it
 * leaves in the background after its own end runs on, and may go on talking.
 */
export const runAuthorCommand: RunAuthorCommand = async (text, options) => {
  const { cwd, env = {}, onLine, signal, timeoutMs } = options;
  const tail = new TextTail(64 * 1024);
  let broken: { readonly error: unknown } | undefined;
  const lines = new LineCutter((line) => onLine?.(line));
  const shell = (await isOnPath('bash')) ? (['bash', '-c', BASH] as const) : (['sh', '-c', SH] as const);
  const child = launch({ argv: [...shell, 'caretaker', text], cwd, env }, { ...options, wholeGroup: true });
  for (const stream of [child.process.stdout, child.process.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      tail.push(chunk);
      if (broken) return;
      try {
        lines.push(chunk);
      } catch (error) {
        // Thrown in an event handler it would end this whole program.
        broken = { error };
        child.kill();
      }
    });
  }
  child.process.stdin.end();
  const ending = await child.ended;
  await drained(child, true);
  if (broken) throw broken.error;
  lines.end();
  const last = lastLines(tail.text(), 40, 4000);
  switch (ending.why) {
    case 'timeout':
      throw new CaretakerError(
        'command-timeout',
        `failed to run the command "${text}": not done after ${(timeoutMs ?? 0) / 1000} s: ${lastLines(last)}`,
      );
    case 'cancelled':
    case 'killed':
      throw signal?.aborted
        ? cancelled(signal)
        : new CaretakerError('cancelled', `the command "${text}" was ended before it was done`);
    case null: {
      const { code, signal: by } = ending;
      return { exitCode: by === null ? (code ?? 0) : 128 + system.signals[by], tail: last };
    }
  }
};

async function isOnPath(program: string): Promise<boolean> {
  for (const directory of (process.env['PATH'] ?? '').split(path.delimiter)) {
    try {
      await access(path.join(directory, program), constants.X_OK);
      return true;
    } catch {
      continue; // Not there, or not ours to run: the next directory.
    }
  }
  return false;
}
