import type { Part } from '../archive/manifest.ts';
import type { Proof } from '../archive/proof.ts';
import type { HealthReport } from '../health/health.ts';
import type { ErrorText } from './errors-text.ts';
import type { StatusReport } from './status.ts';

/**
 * How a run ended. `no-op`: nothing to do. `refused`: nothing was touched. `failed`: it failed, and what was touched is as it was
 * (or was only added to). `incomplete`: it is in place, and something that follows (storing,
 * tidying) is left for the next run. `rolled-back`: something had changed and was put back. `rollback-failed`: the application needs a person.
 */
export type Outcome = 'done' | 'no-op' | 'refused' | 'failed' | 'incomplete' | 'rolled-back' | 'rollback-failed';

export interface ReportedPart {
  readonly name: string;
  readonly kind: Part['kind'];
  readonly method: Part['method'];
  /** As stored. */
  readonly bytes: number;
  readonly rawBytes: number;
  readonly seconds: number;
  readonly consistency: Part['consistency'];
}

/** What a run did, as plain data: the job summary, the terminal's last words and `--json` are made of it. */
export interface RunReport {
  readonly mode: 'backup' | 'update' | 'rehearse' | 'rollback' | 'restore' | 'verify' | 'recover' | 'list' | 'status';
  readonly project: string;
  readonly outcome: Outcome;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  readonly seconds: number;
  /** In the order in which they ended. */
  readonly steps: readonly {
    readonly name: string;
    /** Since the run began. */
    readonly startSeconds: number;
    readonly seconds: number;
    readonly outcome: 'done' | 'failed';
  }[];
  /** When the application was away, in seconds since the run began: from the first stop to the first passed health. */
  readonly outages?: readonly { readonly startSeconds: number; readonly seconds: number }[];
  readonly backup?: {
    readonly name: string;
    readonly parts: readonly ReportedPart[];
    readonly stores: readonly { readonly name: string; readonly url?: string | undefined }[];
    readonly bytes: number;
    readonly rawBytes: number;
  };
  /** What became of an earlier run that had been cut off: undone, or finished. */
  readonly recovery?:
    { readonly mode: string; readonly run: string; readonly outcome: 'rolled-back' | 'completed' } | undefined;
  /** What was seen and not backed up. */
  readonly left?: readonly { readonly what: string; readonly why: string }[];
  readonly update?: {
    readonly from: string | null;
    readonly to: string | null;
    readonly changedServices: readonly string[];
    readonly images?: readonly { readonly service: string; readonly from: string; readonly to: string }[];
  };
  /** `dry-run`: what would happen, in order. */
  readonly plan?: readonly string[];
  readonly restore?: {
    readonly backup: string;
    readonly parts: readonly string[];
    /** The directory that it was restored into, where that is not the live application. */
    readonly to?: string | undefined;
    /** Name of the backup of what was there before. */
    readonly safetyBackup?: string | undefined;
  };
  /** What was seen of the new version on a copy of the data, a line each. */
  readonly rehearsal?: { readonly seen: readonly string[] };
  /** `verify`: what a drill proved of a backup, as far as it came. */
  readonly verify?: {
    readonly backup: string;
    /** How far it was to go. */
    readonly level: 'read' | 'databases' | 'application';
    /** A line each, for people. */
    readonly proven: readonly string[];
  };
  /** `list`: newest first. */
  readonly backups?: readonly {
    readonly name: string;
    readonly createdAt: string;
    readonly bytes?: number | undefined;
    readonly store: string;
    readonly reason?: string | undefined;
    readonly version?: string | null | undefined;
    readonly parts?: readonly string[] | undefined;
    readonly encrypted?: boolean | undefined;
    /** `on server2, in /srv/uso`, where it was not made here. */
    readonly elsewhere?: string | null | undefined;
    /** When the store removes it. */
    readonly expiresAt?: string | undefined;
    /** The workflow run that stored it. */
    readonly runId?: number | undefined;
    readonly url?: string | undefined;
    readonly problem?: string | undefined;
    /** What the last drills say of it; null where none was held. */
    readonly proven: Proof | null;
  }[];
  /** `status`: what lies and waits on this host. */
  readonly status?: StatusReport;
  readonly downtimeSeconds?: number | undefined;
  readonly health?: HealthReport | undefined;
  readonly warnings: readonly string[];
  readonly error?: ErrorText | undefined;
  /** Problems found together with the first. */
  readonly otherErrors?: readonly ErrorText[];
  /** The last log lines of the services that are not well. Untrusted. */
  readonly lastWords?: readonly { readonly service: string; readonly state: string; readonly text: string }[];
  readonly restoreInstructions?: {
    /** The repository's Actions page, where a restore workflow is dispatched; only in a workflow. */
    readonly actionsUrl?: string | undefined;
    /** The command line that restores it on the host. */
    readonly command?: string | undefined;
    /** The RESTORE.md beside the backup. */
    readonly file?: string | undefined;
  };
}
