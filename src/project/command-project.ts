import { basename, join } from 'node:path';
import { CaretakerError } from '../errors.ts';
import type { Log } from '../report/log.ts';
import type { HostFiles } from '../runtimes/host-files.ts';
import { LIMITS } from '../system/limits.ts';
import { codeWords, type RunAuthorCommand } from '../system/author-command.ts';
import type { Project } from './project.ts';

export interface CommandProjectOptions {
  /** Absolute. */
  readonly directory: string;
  /** The directory's base name when undefined. */
  readonly name?: string | undefined;
  readonly startCommand: string;
  readonly stopCommand: string;
  /** Exit code 0: running. Without one the application counts as running. */
  readonly statusCommand?: string | undefined;
}

const service = 'application';
const statusTimeoutMs = 60_000;

/** An application run by systemd or by hand: three commands stand in for Compose, and there is one service, `application`. */
export function createCommandProject(
  options: CommandProjectOptions,
  deps: { readonly run: RunAuthorCommand; readonly files: HostFiles; readonly log: Log },
): Project {
  const cwd = options.directory;

  async function status(): Promise<{ running: boolean; detail: string; tail: string }> {
    if (options.statusCommand === undefined) return { running: true, detail: 'no status-command', tail: '' };
    const { exitCode, tail } = await deps.run(options.statusCommand, { cwd, timeoutMs: statusTimeoutMs });
    // The shell's own codes: the command could not be run, so it has not answered the question.
    if (exitCode === 126 || exitCode === 127)
      throw commandFailed('status-command', options.statusCommand, exitCode, tail);
    return { running: exitCode === 0, detail: `status-command: exit ${codeWords(exitCode)}`, tail };
  }

  async function act(input: 'start-command' | 'stop-command', text: string): Promise<void> {
    await deps.log.group(input, async () => {
      const { exitCode, tail } = await deps.run(text, {
        cwd,
        // What it starts must live on when the job ends.
        outlivesJob: input === 'start-command',
        timeoutMs: LIMITS.act,
        onLine: (line) => deps.log.info(line),
      });
      if (exitCode !== 0) throw commandFailed(input, text, exitCode, tail);
    });
  }

  const concerned = (services: readonly string[] | undefined): boolean =>
    services === undefined || services.includes(service);
  const start = async (services?: readonly string[]): Promise<void> => {
    if (concerned(services)) await act('start-command', options.startCommand);
  };

  return {
    name: options.name ?? basename(options.directory),
    directory: options.directory,
    stateDirectory: join(options.directory, '.caretaker'),
    files: deps.files,
    engine: null,
    services: () => Promise.resolve([service]),
    containers: () => Promise.resolve([]),
    running: async () => (await status()).running,
    async stop(services) {
      if (!concerned(services) || !(await status()).running) return [];
      await act('stop-command', options.stopCommand);
      return [service];
    },
    start,
    up: start,
    async look() {
      const { running, detail } = await status();
      return { ok: running, detail };
    },
    async lastWords() {
      const { running, tail } = await status();
      return [{ service, state: running ? 'running' : 'stopped', text: tail }];
    },
    configurationFiles: () => Promise.resolve([]),
    secretFiles: () => Promise.resolve([]),
  };
}

function commandFailed(input: string, text: string, exitCode: number, tail: string): CaretakerError {
  const words = tail.trim() === '' ? '' : `: ${tail.trim()}`;
  return new CaretakerError(
    'author-command-failed',
    `failed to run ${input} "${text}": exit ${codeWords(exitCode)}${words}`,
    {
      hint: `Run the command by hand in the project directory; ${input} must end with exit code 0 when it did its work.`,
      input,
    },
  );
}
