import { messageOf } from '../errors.ts';
import type { Log } from '../report/log.ts';
import type { Clock } from '../system/clock.ts';
import type { HealthReport, Probe, ProbeResult } from './health.ts';

export interface WaitOptions {
  /** Milliseconds until all probes must have passed for the first time that lasts. */
  readonly timeoutMs: number;
  /** Milliseconds for which they must then go on passing. 0: once is enough. */
  readonly settleMs: number;
  /** Milliseconds between two looks; 1000 by default. */
  readonly intervalMs?: number;
  /** Called after every look that failed: what can be done about it. Its own failure is no reason to end the wait. */
  readonly mend?: () => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
  readonly signal?: AbortSignal;
}

/**
 * Looks at all probes until every one has passed and kept passing for the settling time. The first success is not the end: workers that still
 * load make an application time out again and again after it. A failure during settling begins it anew; settling that began in time is let
 * finish. A fatal result ends the wait at once. Throws only the signal's reason.
 */
export async function waitHealthy(probes: readonly Probe[], options: WaitOptions): Promise<HealthReport> {
  const { timeoutMs, settleMs, intervalMs = 1000, clock, log, signal, mend } = options;
  const start = clock.monotonic();
  const elapsed = (): number => clock.monotonic() - start;
  let firstHealthySeconds: number | undefined;
  let passingSince: number | undefined;
  const said = new Map<string, string>();

  for (;;) {
    signal?.throwIfAborted();
    const results = await beforeAbort(Promise.all(probes.map(look)), signal);
    signal?.throwIfAborted();
    const now = elapsed();
    for (const { probe, ok, detail } of results) {
      const line = `${ok ? 'healthy' : 'waiting'}: ${probe}: ${detail}`;
      if (said.get(probe) !== line) log.info(line);
      said.set(probe, line);
    }
    const report = (healthy: boolean): HealthReport => ({
      healthy,
      shallow: probes.every((probe) => probe.shallow === true),
      results: results.map(({ probe, ok, detail }) => ({ probe, ok, detail })),
      firstHealthySeconds,
      seconds: now / 1000,
    });

    if (results.every(({ ok }) => ok)) {
      firstHealthySeconds ??= now / 1000;
      passingSince ??= now;
      if (now - passingSince >= settleMs) return report(true);
      await clock.sleep(Math.min(intervalMs, settleMs - (now - passingSince)), signal);
      continue;
    }
    if (passingSince !== undefined) log.info(`It was healthy for ${Math.round((now - passingSince) / 1000)} s only.`);
    passingSince = undefined;
    if (results.some(({ fatal }) => fatal) || now >= timeoutMs) return report(false);
    await mend?.().catch((error: unknown) => log.debug(messageOf(error)));
    await clock.sleep(Math.min(intervalMs, timeoutMs - now), signal);
  }
}

async function look(probe: Probe): Promise<ProbeResult & { readonly probe: string }> {
  try {
    return { probe: probe.name, ...(await probe.check()) };
  } catch (error) {
    // A probe that throws against its contract: the next look may pass.
    return { probe: probe.name, ok: false, detail: messageOf(error) };
  }
}

/** A look at an application that hangs takes its time; a cancelled run has none. */
async function beforeAbort<T>(looking: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return looking;
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([looking, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
