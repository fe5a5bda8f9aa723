import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import type { ArtifactClient } from '@actions/artifact';

/** One call on a real client, e.g. `['listArtifacts', [{ latest: true }]]`. */
export type Step = readonly [call: keyof ArtifactClient | 'saveCache' | 'restoreCache', args: readonly unknown[]];

export type Outcome =
  | { readonly value: unknown }
  | { readonly error: { readonly name: string; readonly message: string; readonly status?: number } };

export interface JobReport {
  /** One for each step, in order; a failed step does not end the job. */
  readonly outcomes: readonly Outcome[];
  /** The job's log: workflow commands (`::warning::…`) among it. */
  readonly log: string;
}

/**
 * A workflow job: the real `@actions/artifact` and `@actions/cache` in a process of its own, with that environment and nothing of the caller's but
 * `PATH`. The client reads part of its environment at import, so two runs can't share a process.
 */
export function runJob(env: Readonly<Record<string, string>>, steps: readonly Step[]): Promise<JobReport> {
  const child = fork(fileURLToPath(new URL('./job-process.ts', import.meta.url)), [], {
    env: { PATH: process.env['PATH'], ...env },
    execArgv: [],
    serialization: 'advanced',
    silent: true,
  });
  let log = '';
  const hear = (chunk: Buffer): void => {
    log += chunk.toString();
  };
  child.stdout?.on('data', hear);
  child.stderr?.on('data', hear);
  return new Promise((resolve, reject) => {
    let outcomes: readonly Outcome[] | undefined;
    child.once('message', (message) => {
      outcomes = message as unknown as readonly Outcome[];
    });
    child.once('error', reject);
    child.once('close', (code) => {
      if (outcomes === undefined) reject(new Error(`the job ended with code ${code} and no report:\n${log}`));
      else resolve({ outcomes, log });
    });
    child.send([...steps]);
  });
}
