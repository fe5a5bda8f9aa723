import { messageOf } from '../errors.ts';
import type { Log } from '../report/log.ts';
import type { Clock } from '../system/clock.ts';

/** What repeated attempts need. */
export interface RetryTools {
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal | undefined;
}

/** Before the second, third, … attempt: a service that restarts or a line that drops is back within a quarter of a minute, or is down. */
const WAITS_MS = [1000, 2000, 4000, 8000] as const;

/**
 * Does the work again while it fails in a way that may pass, five times in all, and says so in the log; the last error is thrown as it
 * is. `what` completes "failed to …".
 */
export async function retrying<T>(
  what: string,
  tools: RetryTools,
  mayPass: (error: unknown) => boolean,
  work: () => Promise<T>,
): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    tools.signal?.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      const wait = WAITS_MS[attempt];
      if (wait === undefined || !mayPass(error)) throw error;
      await pause(what, tools, attempt, error);
    }
  }
}

/** Waits before the attempt that follows attempt number `attempt` (from 0); false when there were enough of them. */
export async function pause(what: string, tools: RetryTools, attempt: number, error: unknown): Promise<boolean> {
  const wait = WAITS_MS[attempt];
  if (wait === undefined) return false;
  tools.log.info(`failed to ${what} (${firstLine(messageOf(error))}), trying again in ${wait / 1000} s`);
  await tools.clock.sleep(wait, tools.signal);
  return true;
}

const NETWORK =
  /\b(ECONNREFUSED|ECONNRESET|ECONNABORTED|ENOTFOUND|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN|EPIPE)\b|^aborted$|socket hang up/;

/** A connection that failed, by its code or, where a client lost the code, by its text. */
export function isNetworkError(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code } = error as NodeJS.ErrnoException;
  return NETWORK.test(typeof code === 'string' ? code : '') || NETWORK.test(error.message);
}

export function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}
