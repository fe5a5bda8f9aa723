import type { Log } from '../report/log.ts';
import type { Clock } from '../system/clock.ts';
import { systemClock } from '../system/system-clock.ts';
import { actionFor, goForward, refuseUnknown, toUndo, undoSteps, type Actions, type Finishes } from './actions.ts';
import { openJournal } from './journal.ts';

/** What recovery acts by. */
export interface RecoveryActions {
  readonly undo: Actions;
  readonly forward: Actions;
  readonly finish: Finishes;
}

export interface Recovery {
  readonly run: string;
  readonly mode: string;
  /** `rolled-back`: all is as it was before it; `completed`: it had been in place or was when its application had come up well, and what was left to do is done. */
  readonly outcome: 'rolled-back' | 'completed';
  readonly undone: readonly string[];
}

/**
 * Finishes what an interrupted run left in the journal: does what is left where it had committed; commits where all was prepared and comes up well, since users may have written to it ever since;
 * undoes it otherwise. The lock must be held. May be interrupted and repeated. Null when there is nothing to recover. Throws `rollback-failed`, `cleanup-failed`, `journal-damaged`,
 * and what keeps it from telling whether what was prepared is well.
 */
export async function recover(
  stateDirectory: string,
  actions: RecoveryActions,
  log: Log,
  clock: Clock = systemClock,
): Promise<Recovery | null> {
  const journal = await openJournal(stateDirectory);
  let run = await journal.unfinished();
  if (run === null) return null;
  const tools = { journal, log, clock };
  const cutOff = `The ${run.mode} ${run.run} of ${run.at} was cut off`;
  if (run.prepared !== null) {
    const { finish, forward } = run.prepared;
    // Whichever way it goes, it must be able to go to the end.
    refuseUnknown(run, { journal, actions: actions.finish }, [finish]);
    refuseUnknown(run, { journal, actions: actions.forward }, forward);
    const undo = toUndo(run).map((step) => step.undo);
    refuseUnknown(run, { journal, actions: actions.undo }, undo);
    log.warn(`${cutOff} when its application was coming up; looking whether that is well`);
    const why = await actionFor(actions.finish, finish)(finish.data);
    if (why === null) {
      await journal.append({ type: 'commit', at: clock.now().toISOString(), forward });
      run = (await journal.unfinished()) ?? run;
    } else {
      log.warn(why);
    }
  }
  if (run.forward !== null) {
    log.warn(`${cutOff} after it was in place; finishing it`);
    await goForward(run, { ...tools, actions: actions.forward });
    await journal.append({ type: 'end', outcome: 'done', at: clock.now().toISOString() });
    return { run: run.run, mode: run.mode, outcome: 'completed', undone: [] };
  }
  log.warn(`${cutOff}; undoing it`);
  const undone = await undoSteps(run, { ...tools, actions: actions.undo });
  await journal.append({ type: 'end', outcome: 'rolled-back', at: clock.now().toISOString() });
  return { run: run.run, mode: run.mode, outcome: 'rolled-back', undone };
}
