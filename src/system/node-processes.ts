import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { CaretakerError, messageOf } from '../errors.ts';
import { cancelled } from './cancelled.ts';
import { killTree, registerLive } from './live-processes.ts';
import type { Command, Processes, ProcessStream, RunOptions, RunResult } from './processes.ts';
import { lastLines, LineCutter, redactor, TextTail } from './text-tail.ts';

const STDOUT_KEPT = 1024 * 1024;
const STDERR_KEPT = 64 * 1024;

/** How long output may lag behind its process's end before a daemonised grandchild is taken to hold the pipe. */
const DRAIN_MS = 300;

/** `Processes` on Node's own spawn: every child in a session, and so in a process group, of its own. */
export const nodeProcesses: Processes = {
  async run(command: Command, options: RunOptions = {}): Promise<RunResult> {
    const clean = redactor(command.env);
    const stdout = new TextTail(STDOUT_KEPT);
    const stderr = new TextTail(STDERR_KEPT);
    const child = launch(command, options);

    let broken: { readonly error: unknown } | undefined;
    const cutters: LineCutter[] = [];
    const collect = (stream: NodeJS.ReadableStream, tail: TextTail): void => {
      const { onLine } = options;
      const cutter = onLine && new LineCutter((line) => onLine(clean(line)));
      if (cutter) cutters.push(cutter);
      stream.on('data', (chunk: Buffer) => {
        tail.push(chunk);
        if (broken) return;
        try {
          cutter?.push(chunk);
        } catch (error) {
          // Thrown in an event handler it would end this whole program.
          broken = { error };
          child.kill();
        }
      });
    };
    collect(child.process.stdout, stdout);
    collect(child.process.stderr, stderr);
    child.process.stdin.end(options.input ?? '');

    const ending = await child.ended;
    await drained(child, options.outlivesJob === true);
    if (broken) throw broken.error;
    for (const cutter of cutters) cutter.end();
    const accept = options.accept ?? [0];
    if (ending.why !== null || ending.code === null || !accept.includes(ending.code)) {
      throw failure(command, ending, clean(lastLines(stderr.text()) || lastLines(stdout.text())), options);
    }
    return { exitCode: ending.code, stdout: stdout.text(), stderr: stderr.text() };
  },

  stream(command: Command, options: Pick<RunOptions, 'signal' | 'timeoutMs'> = {}): ProcessStream {
    const clean = redactor(command.env);
    let child: Launched;
    const stderr = new TextTail(STDERR_KEPT);
    try {
      child = launch(command, options);
    } catch (error) {
      return neverStarted(error as Error);
    }
    child.process.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    const { stdout } = child.process;
    // Not stdout itself: when the process ends, Node sets it flowing, and drops what is in it where nobody has begun to read.
    const output = stdout.pipe(new PassThrough(), { end: false });
    output.on('error', () => undefined);
    output.once('close', () => stdout.destroy());
    stdout.once('end', () => {
      if (child.process.pid !== undefined) output.end();
    });
    stdout.once('close', () => {
      if (!output.writableEnded)
        done.then(
          () => output.end(),
          (error: Error) => output.destroy(error),
        );
    });
    const done = (async (): Promise<void> => {
      const ending = await child.ended;
      await drained({ process: { stdout: null, stderr: child.process.stderr } }, false);
      if (ending.why !== null || ending.code !== 0) {
        throw failure(command, ending, clean(lastLines(stderr.text())), options);
      }
    })();
    done.catch(() => undefined);
    return { stdin: child.process.stdin, stdout: output, done, kill: child.kill };
  },
};

type PipedProcess = ChildProcess & {
  readonly stdin: NonNullable<ChildProcess['stdin']>;
  readonly stdout: NonNullable<ChildProcess['stdout']>;
  readonly stderr: NonNullable<ChildProcess['stderr']>;
};

interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Why we ended it ourselves; null where it ended by itself. */
  readonly why: 'timeout' | 'cancelled' | 'killed' | null;
}

interface Launched {
  readonly process: PipedProcess;
  /** Rejected when it could not be started. */
  readonly ended: Promise<Ending>;
  readonly kill: () => void;
}

/**
 * Given to this program alone: its inputs and secrets, the token among them, and the job's own tokens. What it starts may be anybody's, and may live on for months. Not `GITHUB_TOKEN` and `GH_TOKEN`, which the action is not given by
 * them: who sets them has compose files and builds find them, and a compose file that did not would bring up other containers.
 */
const OURS =
  /^(?:INPUT_.*|ACTIONS_RUNTIME_TOKEN|ACTIONS_ID_TOKEN_REQUEST_TOKEN|CARETAKER_PASSPHRASE|CARETAKER_IDENTITY)$/;

function inherited(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !OURS.test(name)));
}

interface LaunchOptions extends Pick<RunOptions, 'signal' | 'timeoutMs' | 'outlivesJob'> {
  /** Ended early, the command takes its whole process group with it; also what it has sent into the background, which `outlivesJob` spares else. */
  readonly wholeGroup?: boolean;
}

/** Starts a program in a session of its own. The caller reads its outputs and ends its input. */
export function launch(command: Command, options: LaunchOptions): Launched {
  const { signal, timeoutMs, outlivesJob = false, wholeGroup = !outlivesJob } = options;
  if (signal?.aborted) throw cancelled(signal);
  const scope = wholeGroup ? 'group' : 'descendants';
  const [program, ...args] = command.argv;
  let child: PipedProcess;
  try {
    child = spawn(program, args, {
      cwd: command.cwd,
      // The runner ends, after the job, all whose environment carries its tracking id.
      env: { ...inherited(), ...command.env, ...(outlivesJob ? { RUNNER_TRACKING_ID: '' } : {}) },
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
  } catch (error) {
    // No cause and no text of Node's: for a NUL byte it quotes the argument or the variable with its value.
    const { code } = error as NodeJS.ErrnoException;
    throw new CaretakerError(
      'command-failed',
      `failed to start ${program}: the system refused its arguments or environment (${code})`,
    );
  }
  // A program that does not read its input closes it first (EPIPE): its exit code tells whether that was right.
  child.stdin.on('error', () => undefined);
  child.stdout.on('error', () => undefined);
  child.stderr.on('error', () => undefined);

  let why: Ending['why'] = null;
  let stop: (() => void) | undefined;
  const end = (reason: NonNullable<Ending['why']>): void => {
    if (why !== null || child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    why = reason;
    stop = killTree(child.pid, scope);
  };
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => end('timeout'), timeoutMs);
  const onAbort = (): void => end('cancelled');
  signal?.addEventListener('abort', onAbort, { once: true });

  const ended = new Promise<Ending>((resolve, reject) => {
    child.once('error', (error) => {
      if (child.pid === undefined) reject(notStarted(command, error));
    });
    child.once('exit', (code, by) => {
      stop?.();
      resolve({ code, signal: by, why });
    });
  }).finally(() => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  });
  ended.catch(() => undefined);
  if (child.pid !== undefined) registerLive({ pid: child.pid, program, scope }, () => end('killed'), ended);
  return { process: child, ended, kill: () => end('killed') };
}

/**
 * Waits until both outputs are read to their end, but not for a grandchild that went into the background with the pipe open. Where it is
 * meant to stay, its pipe gets another reader, or its next word would kill it (SIGPIPE).
 */
export async function drained(
  child: {
    readonly process: { readonly stdout: PipedProcess['stdout'] | null; readonly stderr: PipedProcess['stderr'] };
  },
  stays: boolean,
): Promise<void> {
  const streams = [child.process.stdout, child.process.stderr].filter((stream) => stream !== null);
  await Promise.all(
    streams.map(async (stream) => {
      if (stream.closed) return;
      if (await closesSoon(stream)) return;
      if (stays) {
        spawn('cat', [], {
          stdio: [stream, 'ignore', 'ignore'],
          detached: true,
          env: { ...inherited(), RUNNER_TRACKING_ID: '' },
        })
          .on('error', () => undefined)
          .unref();
      }
      stream.destroy();
    }),
  );
}

async function closesSoon(stream: PipedProcess['stderr']): Promise<boolean> {
  const closed = new Promise<true>((resolve) => stream.once('close', () => resolve(true)));
  // Four rounds at most while something still comes: a busy machine reads slowly, a daemon talks for ever.
  for (let round = 0; round < 4; round++) {
    let came = false;
    const note = (): void => {
      came = true;
    };
    stream.on('data', note);
    let timer: NodeJS.Timeout | undefined;
    const over = new Promise<false>((resolve) => {
      // setImmediate: what is already waiting in the pipe is read before the verdict.
      timer = setTimeout(() => setImmediate(() => resolve(false)), DRAIN_MS);
    });
    const isClosed = await Promise.race([closed, over]);
    clearTimeout(timer);
    stream.off('data', note);
    if (isClosed) return true;
    if (!came) return false;
  }
  return false;
}

function notStarted(command: Command, error: NodeJS.ErrnoException): CaretakerError {
  const [program] = command.argv;
  if (error.code === 'ENOENT' && command.cwd !== undefined && !existsSync(command.cwd)) {
    return new CaretakerError('command-failed', `failed to start ${program}: there is no directory ${command.cwd}`);
  }
  if (error.code === 'ENOENT') {
    return new CaretakerError('command-missing', `failed to start ${program}: there is no such program on PATH`, {
      hint: `Install ${program}, or put its directory on the PATH of the runner's user.`,
      cause: error,
    });
  }
  return new CaretakerError('command-failed', `failed to start ${program}: ${messageOf(error)}`, { cause: error });
}

function failure(command: Command, ending: Ending, words: string, options: RunOptions): CaretakerError {
  const shown = redactor(command.env)(command.argv.join(' ')).slice(0, 300);
  const after = words === '' ? '' : `: ${words}`;
  switch (ending.why) {
    case 'timeout':
      return new CaretakerError(
        'command-timeout',
        `failed to run ${shown}: not done after ${(options.timeoutMs ?? 0) / 1000} s${after}`,
      );
    case 'cancelled':
      return options.signal
        ? cancelled(options.signal)
        : new CaretakerError('cancelled', `cancelled while ${shown} ran`);
    case 'killed':
      return new CaretakerError('cancelled', `${shown} was ended before it was done`);
    case null: {
      const how = ending.signal === null ? `exit code ${ending.code}` : `ended by ${ending.signal}`;
      return new CaretakerError('command-failed', `failed to run ${shown}: ${how}${after}`);
    }
  }
}

/** A stream of a program that could not even be tried: all its ends say why. */
function neverStarted(error: Error): ProcessStream {
  const done = Promise.reject(error);
  done.catch(() => undefined);
  const stdin = new PassThrough();
  const stdout = new PassThrough();
  for (const end of [stdin, stdout]) {
    end.on('error', () => undefined);
    end.destroy(error);
  }
  return { stdin, stdout, done, kill: () => undefined };
}
