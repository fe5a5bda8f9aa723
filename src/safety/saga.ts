import { CaretakerError } from '../errors.ts';
import type { Log } from '../report/log.ts';
import { cancelled } from '../system/cancelled.ts';
import type { Clock } from '../system/clock.ts';
import { bootId } from '../system/identity.ts';
import { actionFor, goForward, undoSteps, type Actions, type Finishes } from './actions.ts';
import type { Journal, UndoEntry, UnfinishedRun } from './journal.ts';

export interface Saga {
  /**
   * One step: its undo is on disk before `work` begins. When a later step fails before the commit, this one is undone, and also when it
   * is `work` itself that fails half way. `undo: null` for what needs none. A step that ends after the run was cancelled throws `cancelled`.
   */
  step<T>(name: string, options: { readonly undo: UndoEntry | null }, work: () => Promise<T>): Promise<T>;
  /**
   * From here on users may write to what comes up, and a run that is killed is not undone for that alone: the next one does `finish`, and commits
   * with `forward` if all is well. Before the work of the step that brings it up; a run that fails is still undone.
   */
  prepare(finish: UndoEntry, forward: readonly UndoEntry[]): Promise<void>;
  /**
   * From here on nothing is undone. Does the forward actions in order; throws `cleanup-failed`, and leaves the rest to the next run,
   * when one fails. Returning from the saga without it commits nothing more than `commit([])` does.
   */
  commit(forward: readonly UndoEntry[]): Promise<void>;
  /** Undoes all steps, in reverse, and ends the run well: for what was only tried. Throws `rollback-failed`. */
  goBack(): Promise<void>;
}

export type SagaOutcome =
  /** Ran to its end. */
  | { readonly outcome: 'done' }
  /** Failed, and all is as it was: names of the steps that were undone, last first. */
  | { readonly outcome: 'rolled-back'; readonly undone: readonly string[] }
  /** Failed before anything that needs an undo. */
  | { readonly outcome: 'failed' }
  /** Undo or forward actions are left for the next run. */
  | { readonly outcome: 'unfinished' };

export interface SagaSetup {
  readonly journal: Journal;
  readonly undoActions: Actions;
  readonly forwardActions: Actions;
  readonly finishActions: Finishes;
  readonly log: Log;
  readonly clock: Clock;
  readonly run: {
    readonly run: string;
    readonly mode: string;
    readonly caretaker?: string;
    readonly settings: unknown;
  };
  /** Cancels the run between steps. The undo actions must not listen to it: they run after it. */
  readonly signal?: AbortSignal;
  /** Told once, before `runSaga` settles. */
  readonly onOutcome?: (outcome: SagaOutcome) => void;
}

/**
 * Runs `work`, whose steps are journaled. When it throws before its commit, all that has begun is undone in reverse and the error is
 * thrown on; `rollback-failed` with that error as cause when an undo fails. A run without a step leaves no journal.
 */
export async function runSaga<T>(setup: SagaSetup, work: (saga: Saga) => Promise<T>): Promise<T> {
  const { journal, log, clock, signal } = setup;
  const at = (): string => clock.now().toISOString();
  const tell = (outcome: SagaOutcome): void => setup.onOutcome?.(outcome);
  let begun = false;
  let committed = false;
  let wentBack = false;
  let steps = 0;

  const begin = async (): Promise<void> => {
    if (begun) return;
    await journal.append({ type: 'begin', ...setup.run, at: at(), pid: process.pid, bootId: bootId() });
    begun = true;
  };
  const goOn = (): void => {
    if (signal?.aborted) throw cancelled(signal);
  };
  const unfinished = async (): Promise<UnfinishedRun> => {
    const run = await journal.unfinished();
    if (run === null)
      throw new CaretakerError('journal-damaged', `the journal ${journal.file} of this very run is gone`);
    return run;
  };

  const saga: Saga = {
    async step(name, { undo }, act) {
      if (committed) throw new TypeError(`step "${name}" after the commit could not be undone`);
      if (undo !== null) actionFor(setup.undoActions, undo);
      goOn();
      await begin();
      const index = steps++;
      await journal.append({ type: 'step', index, name, at: at(), undo });
      const value = await act();
      await journal.append({ type: 'done', index, at: at() });
      goOn();
      return value;
    },
    async prepare(finish, forward) {
      if (!begun || committed) throw new TypeError('what is prepared belongs to a step');
      actionFor(setup.finishActions, finish);
      for (const entry of forward) actionFor(setup.forwardActions, entry);
      goOn();
      await journal.append({ type: 'prepared', at: at(), finish, forward });
    },
    async commit(forward) {
      if (committed) throw new TypeError('a saga commits once');
      for (const entry of forward) actionFor(setup.forwardActions, entry);
      goOn();
      if (!begun && forward.length === 0) return;
      await begin();
      await journal.append({ type: 'commit', at: at(), forward });
      committed = true;
      await goForward(await unfinished(), { journal, actions: setup.forwardActions, log, clock }, goOn);
    },
    async goBack() {
      if (committed || wentBack) throw new TypeError('what has ended does not go back');
      if (begun) await undoSteps(await unfinished(), { journal, actions: setup.undoActions, log, clock }, undefined);
      wentBack = true;
    },
  };

  let result: T;
  try {
    result = await work(saga);
    if (!committed && !wentBack) await saga.commit([]);
  } catch (error) {
    await fail(error);
    throw error;
  }
  if (begun) await journal.append({ type: 'end', outcome: 'done', at: at() });
  tell({ outcome: 'done' });
  return result;

  async function fail(error: unknown): Promise<void> {
    if (!begun) {
      tell({ outcome: 'failed' });
      return;
    }
    if (committed) {
      const run = await unfinished();
      // What is thrown after the last forward action leaves nothing to do.
      const isComplete = run.forward?.every(({ done }) => done) === true;
      if (isComplete) await journal.append({ type: 'end', outcome: 'done', at: at() });
      tell({ outcome: isComplete ? 'done' : 'unfinished' });
      return;
    }
    let undone: string[];
    try {
      undone = await undoSteps(await unfinished(), { journal, actions: setup.undoActions, log, clock }, error);
      await journal.append({ type: 'end', outcome: undone.length === 0 ? 'failed' : 'rolled-back', at: at() });
    } catch (failure) {
      tell({ outcome: 'unfinished' });
      throw failure;
    }
    tell(undone.length === 0 ? { outcome: 'failed' } : { outcome: 'rolled-back', undone });
  }
}
