import type { FileCache } from '../cache/cache.ts';
import type { Checkout } from '../code/git.ts';
import type { Probe } from '../health/health.ts';
import type { DataPlan, Project } from '../project/project.ts';
import type { Log } from '../report/log.ts';
import type { ContainerNetwork } from '../runtimes/container-network.ts';
import type { Saga } from '../safety/saga.ts';
import type { Store } from '../stores/store.ts';
import type { Clock } from '../system/clock.ts';
import type { RunAuthorCommand } from '../system/author-command.ts';
import type { Keys } from './keys.ts';
import type { Recorder } from './recorder.ts';

/** Everything that a mode acts through, wired by run.ts. */
export interface Tools {
  readonly project: Project;
  /** The git clone that the code comes from; null where there is none. */
  readonly checkout: Checkout | null;
  /** Where backups go and come from, as the user listed them. */
  readonly stores: readonly Store[];
  /** `.caretaker/safety`: what was taken before an update or a restore stays on this host. */
  readonly local: Store;
  /** Where images wait for other hosts. */
  readonly cache: FileCache;
  readonly keys: Keys;
  readonly probes: readonly Probe[];
  /** The way to containers that publish no port. */
  readonly network: ContainerNetwork;
  readonly saga: Saga;
  readonly recorder: Recorder;
  readonly log: Log;
  readonly clock: Clock;
  readonly runAuthorCommand: RunAuthorCommand;
  readonly signal: AbortSignal;
  /** What the `data` lines name, where they can be resolved now: a restore may write there too. */
  readonly plan: DataPlan | undefined;
  /** What the next run does first: throws what is wrong with the settings as they are now, with the caretaker.yml of other code. */
  readonly checkSettings: () => void;
  /** Unique among the runs on this host; part of the names of everything temporary. */
  readonly run: string;
  /** The caretaker's own version, for manifests. */
  readonly caretaker: string;
}
