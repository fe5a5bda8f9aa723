import type { HealthReport } from '../health/health.ts';
import type { Log } from '../report/log.ts';
import type { RunReport } from '../report/run-report.ts';
import type { Clock } from '../system/clock.ts';

export interface RecordedStep {
  readonly name: string;
  /** Since the run began. */
  readonly startSeconds: number;
  readonly seconds: number;
  readonly outcome: 'done' | 'failed';
}

/** A time in which users got no answer, or may have got none. */
export interface Outage {
  /** Since the run began. */
  readonly startSeconds: number;
  readonly seconds: number;
}

/** A store that has the backup now. */
export interface StoredPlace {
  readonly name: string;
  readonly kind: 'artifact' | 'folder';
  readonly url: string | undefined;
  /** The artifacts' ids, for artifacts. */
  readonly ids: readonly string[];
}

/** Times what a mode does and when the application was away, for the report. */
export class Recorder {
  readonly steps: RecordedStep[] = [];
  readonly warnings: string[] = [];
  readonly stored: StoredPlace[] = [];
  safetyBackup: string | undefined;
  /** What the report tells also when the run fails later. */
  sections: Partial<RunReport> = {};
  /** What became of an earlier run that had been cut off. */
  recovery: RunReport['recovery'];
  /** True once something was copied or touched: a failure is then no refusal any more. */
  acted = false;
  health: HealthReport | undefined;
  /** The last log lines of the services that were not well when the run failed, before anything was undone. */
  lastWords: readonly { readonly service: string; readonly state: string; readonly text: string }[] | undefined;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #begin: number;
  readonly #spans: Outage[] = [];
  #awaySince: number | undefined;

  constructor(log: Log, clock: Clock) {
    this.#log = log;
    this.#clock = clock;
    this.#begin = clock.monotonic();
  }

  #now(): number {
    return (this.#clock.monotonic() - this.#begin) / 1000;
  }

  /** Runs one step in a log group of its own and notes how long it took. */
  async step<T>(name: string, work: () => Promise<T>): Promise<T> {
    const startSeconds = this.#now();
    const note = (outcome: RecordedStep['outcome']): void => {
      this.steps.push({ name, startSeconds, seconds: this.#now() - startSeconds, outcome });
    };
    try {
      const value = await this.#log.group(name, work);
      note('done');
      return value;
    } catch (error) {
      note('failed');
      throw error;
    }
  }

  warn(line: string): void {
    this.warnings.push(line);
    this.#log.warn(line);
  }

  /** The first service is about to be stopped. A second call changes nothing. */
  away(): void {
    this.#awaySince ??= this.#now();
  }

  /** Health passed first so many seconds ago: waiting for it to last is no downtime. */
  serving(secondsAgo = 0): void {
    if (this.#awaySince === undefined) return;
    const startSeconds = this.#awaySince;
    this.#spans.push({ startSeconds, seconds: Math.max(0, this.#now() - secondsAgo - startSeconds) });
    this.#awaySince = undefined;
  }

  /** Each from the first stop to the first passed health, the last one up to now if it is not over. */
  get outages(): readonly Outage[] {
    if (this.#awaySince === undefined) return this.#spans;
    return [...this.#spans, { startSeconds: this.#awaySince, seconds: this.#now() - this.#awaySince }];
  }

  /** The sum of these; undefined where nothing was stopped. */
  get downtimeSeconds(): number | undefined {
    const sum = this.outages.reduce((total, { seconds }) => total + seconds, 0);
    return sum === 0 ? undefined : sum;
  }
}
