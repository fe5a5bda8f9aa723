import type { Log } from '../report/log.ts';
import type { Clock } from '../system/clock.ts';
import { systemClock } from '../system/system-clock.ts';
import { goForward, undoSteps, type Actions } from './actions.ts';
import { openJournal } from './journal.ts';

export interface Recovery {
  readonly run: string;
  readonly mode: string;
  /** `rolled-back`: it was cut off before its commit, and all is as it was before; `completed`: after it, and what was left to do is done. */
  readonly outcome: 'rolled-back' | 'completed';
  readonly undone: readonly string[];
}

/**
 * Finishes what an interrupted run left in the journal: undoes it where it had not committed, does what is left where it had. The lock must
 * be held. May be interrupted and repeated. Null when there is nothing to recover. Throws `rollback-failed`, `cleanup-failed`, `journal-damaged`.
 */
export async function recover(
  stateDirectory: string,
  actions: { readonly undo: Actions; readonly forward: Actions },
  log: Log,
  clock: Clock = systemClock,
): Promise<Recovery | null> {
  const journal = await openJournal(stateDirectory);
  const run = await journal.unfinished();
  if (run === null) return null;
  const tools = { journal, log, clock };
  if (run.forward !== null) {
    log.warn(`The ${run.mode} ${run.run} of ${run.at} was cut off after it was in place; finishing it`);
    await goForward(run, { ...tools, actions: actions.forward });
    await journal.append({ type: 'end', outcome: 'done', at: clock.now().toISOString() });
    return { run: run.run, mode: run.mode, outcome: 'completed', undone: [] };
  }
  log.warn(`The ${run.mode} ${run.run} of ${run.at} was cut off; undoing it`);
  const undone = await undoSteps(run, { ...tools, actions: actions.undo });
  await journal.append({ type: 'end', outcome: 'rolled-back', at: clock.now().toISOString() });
  return { run: run.run, mode: run.mode, outcome: 'rolled-back', undone };
}
