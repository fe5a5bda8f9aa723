/** One look at one thing. */
export interface ProbeResult {
  readonly ok: boolean;
  /** What was seen: `web: running, healthy`, `http://…: 502 instead of 200`. */
  readonly detail: string;
  /** True when waiting can't help (a one-shot that failed, a restart loop): the wait ends at once. */
  readonly fatal?: boolean;
}

/** A check of the application. Never throws for a bad answer: that is a result. */
export interface Probe {
  readonly name: string;
  check(): Promise<ProbeResult>;
}

export interface HealthReport {
  readonly healthy: boolean;
  /** The last result of every probe. */
  readonly results: readonly { readonly probe: string; readonly ok: boolean; readonly detail: string }[];
  /** Seconds until all probes first passed; undefined when never. */
  readonly firstHealthySeconds: number | undefined;
  readonly seconds: number;
}
