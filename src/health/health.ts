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
  /** It sees that something runs or answers, and not whether the application can work with its data. */
  readonly shallow?: true;
  check(): Promise<ProbeResult>;
}

export interface HealthReport {
  readonly healthy: boolean;
  /** True where all probes are shallow: nothing looked at the data. */
  readonly shallow?: boolean;
  /** The last result of every probe. */
  readonly results: readonly { readonly probe: string; readonly ok: boolean; readonly detail: string }[];
  /** Seconds until all probes first passed; undefined when never. */
  readonly firstHealthySeconds: number | undefined;
  readonly seconds: number;
}
