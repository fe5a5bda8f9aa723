import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import path from 'node:path';
import { exec } from '@actions/exec';
import { CaretakerError, messageOf } from '../errors.ts';
import { cancelled } from './cancelled.ts';
import { processStat } from './identity.ts';
import { killTree, registerLive } from './live-processes.ts';
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
  /** 128 where a signal ended it; which one is not known. */
  readonly exitCode: number;
  /** The last lines of its output. */
  readonly tail: string;
}

export type RunAuthorCommand = (text: string, options: AuthorCommandOptions) => Promise<AuthorCommandResult>;

/*
 * Around the author's text, for what @actions/exec does not do:
 *
 * - It says first the number of its process group, by which the whole command can be ended.
 * - It closes standard input. Given as an empty `input`, a command that ends at once is an unhandled EPIPE.
 * - It gives the command a true pipe: Node's own are sockets, on which `echo … > /dev/stderr` fails.
 * - A program that the command leaves in the background (a start command) has that pipe open. Its reader stays with it, told by
 *   SIGUSR1 to let go of us, or the next word of that program would kill it (SIGPIPE). Before and after it waits for that it ignores the signal, which comes
 *   late on a busy machine, when our end of the pipe is closed and the copying has ended by itself.
 */
const BASH = `exec 3>&1 </dev/null
trap '' USR1
exec > >(trap '' PIPE INT TERM; exec 2>/dev/null 3>&-; cat <&0 & copy=$!; trap 'kill -KILL $copy' USR1; wait; trap '' USR1; exec cat >/dev/null) 2>&1
trap - USR1
echo "$$ $!" >&3
exec 3>&-
exec bash -euo pipefail -c "$1" bash`;
const SH = `echo "$$"
exec sh -eu -c "$1" sh 2>&1 </dev/null`;

/**
 * Runs a shell command that the workflow's author wrote: `bash -euo pipefail`, or `sh -eu` where there is no bash. Its input is empty.
 * Any exit code is an answer. Throws `command-missing` (no setsid), `command-failed` (could not start), `command-timeout`, `cancelled`;
 * nothing of the command runs on then.
 */
export const runAuthorCommand: RunAuthorCommand = async (text, options) => {
  const { cwd, env, onLine, timeoutMs, signal, outlivesJob } = options;
  if (signal?.aborted) throw cancelled(signal);
  const tail = new TextTail(64 * 1024);
  let group: number | undefined;
  let reader = 0;
  let why: 'timeout' | 'cancelled' | undefined;
  let broken: { readonly error: unknown } | undefined;
  let finish: (() => void) | undefined;
  const stop = (): void => {
    if (group !== undefined) finish ??= killTree(group, 'group');
  };
  const lines = new LineCutter((line) => {
    if (group === undefined) {
      [group = 0, reader = 0] = line.split(' ').map(Number);
      if (why !== undefined) stop();
      return;
    }
    tail.push(Buffer.from(`${line}\n`));
    if (broken) return;
    try {
      onLine?.(line);
    } catch (error) {
      broken = { error };
      stop();
    }
  });
  const timer =
    timeoutMs === undefined
      ? undefined
      : setTimeout(() => {
          why ??= 'timeout';
          stop();
        }, timeoutMs);
  const onAbort = (): void => {
    why ??= 'cancelled';
    stop();
  };
  signal?.addEventListener('abort', onAbort, { once: true });

  const shell = (await isOnPath('bash')) ? ['bash', '-c', BASH] : ['sh', '-c', SH];
  const running = exec('setsid', [...shell, 'caretaker', text], {
    cwd,
    env: { ...process.env, ...env, ...(outlivesJob ? { RUNNER_TRACKING_ID: '' } : {}) },
    silent: true,
    ignoreReturnCode: true,
    // After the end of the process, how long to wait for a grandchild that holds its pipes.
    delay: 300,
    listeners: { stdout: (data) => lines.push(data), stderr: (data) => lines.push(data) },
  });
  registerLive(() => {
    why ??= 'cancelled';
    stop();
  }, running);
  let exitCode: number | null;
  try {
    exitCode = await running;
  } catch (error) {
    throw new CaretakerError('command-failed', `failed to run the command "${text}": ${messageOf(error)}`, {
      cause: error,
    });
  } finally {
    finish?.();
    letGo(reader, group);
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
  lines.end();
  if (broken) throw broken.error;
  const last = lastLines(tail.text(), 40, 4000);
  if (why === 'timeout') {
    throw new CaretakerError(
      'command-timeout',
      `failed to run the command "${text}": not done after ${(timeoutMs ?? 0) / 1000} s: ${lastLines(last)}`,
    );
  }
  if (why === 'cancelled') {
    throw signal?.aborted
      ? cancelled(signal)
      : new CaretakerError('cancelled', `the command "${text}" was ended before it was done`);
  }
  // @actions/exec answers null, against its types, for a process that a signal ended.
  return { exitCode: exitCode ?? 128, tail: last };
};

/** An open output would keep this program alive as long as what was left in the background. */
function letGo(reader: number, group: number | undefined): void {
  // Mostly it has ended, and its number may be another's by now.
  if (reader > 0 && processStat(reader)?.group === group) process.kill(reader, 'SIGUSR1');
}

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
