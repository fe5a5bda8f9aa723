import { setTimeout } from 'node:timers/promises';
import { cancelled } from './cancelled.ts';
import type { Clock } from './clock.ts';

/** The machine's own time. A sleep that is aborted throws `cancelled`. */
export const systemClock: Clock = {
  now: () => new Date(),
  monotonic: () => performance.now(),
  async sleep(ms, signal) {
    if (signal === undefined) return setTimeout(ms);
    try {
      await setTimeout(ms, undefined, { signal });
    } catch (error) {
      throw signal.aborted ? cancelled(signal) : error;
    }
  },
};
