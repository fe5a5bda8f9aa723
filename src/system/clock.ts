/** Time, handed in so that tests need not wait. */
export interface Clock {
  now(): Date;
  /** Milliseconds on a clock that is never set back. */
  monotonic(): number;
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}
