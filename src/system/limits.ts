/**
 * How long a program may take before it is ended, and `command-timeout` thrown; milliseconds. docs/crash-safety.md has the same for users. What works on the
 * data (tar, dumps, the exchange) has no limit, since nobody knows how large they are: a job's own `timeout-minutes` ends the run then.
 */
export interface Limits {
  /** To say that it is there. An engine that does not answer by then does not answer. */
  readonly answer: number;
  /** To look at something: an engine that builds or prunes meanwhile answers late. */
  readonly look: number;
  /** To start, stop (after the grace period), remove or name something; to fetch commits. */
  readonly act: number;
  /** To build, pull, migrate or bring up: `build-timeout`. */
  readonly build: number;
}

export const LIMITS: Limits = { answer: 30_000, look: 120_000, act: 600_000, build: 3_600_000 };
