import { messageOf } from '../errors.ts';
import { codeWords, type RunAuthorCommand } from '../system/author-command.ts';
import type { Probe } from './health.ts';

export interface CommandProbeOptions {
  /** The workflow author's own shell command. */
  readonly run: string;
  readonly cwd: string;
  readonly runAuthorCommand: RunAuthorCommand;
  /** Milliseconds for one look; 60,000 by default. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** Passes when the command ends with 0. */
export function commandProbe({ run, cwd, runAuthorCommand, timeoutMs = 60_000, signal }: CommandProbeOptions): Probe {
  return {
    name: run,
    async check() {
      try {
        const { exitCode, tail } = await runAuthorCommand(run, {
          cwd,
          timeoutMs,
          ...(signal === undefined ? {} : { signal }),
        });
        const said = tail.trim().split('\n').at(-1) ?? '';
        return exitCode === 0
          ? { ok: true, detail: 'ended with code 0' }
          : { ok: false, detail: `ended with ${codeWords(exitCode)}${said === '' ? '' : `: ${said}`}` };
      } catch (error) {
        return { ok: false, detail: messageOf(error) };
      }
    },
  };
}
