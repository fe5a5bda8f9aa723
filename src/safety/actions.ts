import { CaretakerError, messageOf } from '../errors.ts';
import type { Log } from '../report/log.ts';
import type { Clock } from '../system/clock.ts';
import { newer, type Journal, type UndoEntry, type UnfinishedRun } from './journal.ts';

/**
 * Does, from plain data and in whatever process, one undo or one forward action. Idempotent: it may be called for a step that
 * never acted, that acted half, or that is undone already.
 */
export type Action = (data: unknown) => Promise<void>;
export type Actions = Readonly<Record<string, Action>>;

/**
 * Brings up, from plain data and in whatever process, what a killed run had prepared. Idempotent. Answers with null when it is well, or with why it is not; throws
 * when that can't be told now.
 */
export type Finish = (data: unknown) => Promise<string | null>;
export type Finishes = Readonly<Record<string, Finish>>;

/** An engine that was busy for a moment must not leave an application down until the next run. */
const BETWEEN_TRIES_MS = 1000;

/**
 * Undoes what `run` began and has not undone, last first. Throws `rollback-failed` at the first that fails twice, and does none before it; `journal-newer`, and does nothing, where one of the
 * actions is not known.
 */
export async function undoSteps(
  run: UnfinishedRun,
  tools: { readonly journal: Journal; readonly actions: Actions; readonly log: Log; readonly clock: Clock },
  cause?: unknown,
): Promise<string[]> {
  const { journal, actions, log, clock } = tools;
  const left = toUndo(run);
  refuseUnknown(
    run,
    tools,
    left.map(({ undo }) => undo),
  );
  if (run.prepared !== null) await journal.append({ type: 'withdrawn', at: clock.now().toISOString() });
  const undone: string[] = [];
  for (let step = left.at(-1); step !== undefined; left.pop(), step = left.at(-1)) {
    log.info(`Undo "${step.name}"`);
    const { name, undo } = step;
    const action = actionFor(actions, undo);
    try {
      await action(undo.data).catch(async (error: unknown) => {
        log.warn(`failed to undo "${name}": ${messageOf(error)}; trying once more`);
        await clock.sleep(BETWEEN_TRIES_MS);
        await action(undo.data);
      });
    } catch (error) {
      const remaining = left
        .toReversed()
        .map(({ name, undo }) => `"${name}" by ${undo.action} ${JSON.stringify(undo.data)}`)
        .join('; ');
      const first = cause === undefined ? '' : ` It rolled back because: ${messageOf(cause)}`;
      throw new CaretakerError(
        'rollback-failed',
        `failed to undo "${step.name}": ${messageOf(error)}.${first} Still to be undone, in this order: ${remaining}`,
        {
          hint: `The next run of any mode tries it again, as ${journal.file} says. Mend first what the message names.`,
          cause: cause === undefined ? error : new AggregateError([cause, error], messageOf(cause), { cause }),
        },
      );
    }
    try {
      await journal.append({ type: 'undone', index: step.index, at: clock.now().toISOString() });
    } catch (error) {
      // A full disk is a reason to roll back, and none to stop rolling back: at worst this is undone twice.
      if (!(error instanceof CaretakerError && error.code === 'disk-full')) throw error;
      log.warn(`${messageOf(error)}; going on with the rollback`);
    }
    undone.push(step.name);
  }
  return undone;
}

/** Does what is left to do after the commit, in order. Throws `cleanup-failed` at the first that fails; `journal-newer` as above. */
export async function goForward(
  run: UnfinishedRun,
  tools: { readonly journal: Journal; readonly actions: Actions; readonly log: Log; readonly clock: Clock },
  proceed: () => void = () => undefined,
): Promise<void> {
  const { journal, actions, log, clock } = tools;
  refuseUnknown(
    run,
    tools,
    (run.forward ?? []).filter(({ done }) => !done).map(({ entry }) => entry),
  );
  for (const [index, { entry, done }] of (run.forward ?? []).entries()) {
    if (done) continue;
    proceed();
    log.debug(`After the commit: ${entry.action}`);
    try {
      await actionFor(actions, entry)(entry.data);
    } catch (error) {
      const hint = error instanceof CaretakerError && error.hint ? `${error.hint} ` : '';
      const code = error instanceof CaretakerError ? ` (${error.code})` : '';
      throw new CaretakerError(
        'cleanup-failed',
        `the ${run.mode} is in place, but "${entry.action}" after it failed: ${messageOf(error)}${code}`,
        {
          hint: `${hint}The next run of any mode does it again.`,
          cause: error,
        },
      );
    }
    await journal.append({ type: 'forwarded', index, at: clock.now().toISOString() });
  }
}

/** Steps that have an undo which is not done, in their order. */
export function toUndo(run: UnfinishedRun): { index: number; name: string; undo: UndoEntry }[] {
  return run.steps.flatMap(({ index, name, undo, state }) =>
    undo !== null && state !== 'undone' ? [{ index, name, undo }] : [],
  );
}

/** Before the first is done: an application half undone serves nobody. Throws `journal-newer`. */
export function refuseUnknown(
  run: UnfinishedRun,
  { journal, actions }: { readonly journal: Journal; readonly actions: Readonly<Record<string, unknown>> },
  entries: readonly UndoEntry[],
): void {
  const unknown = entries.find(({ action }) => !Object.hasOwn(actions, action));
  if (unknown !== undefined) throw newer(journal.file, run, `the action "${unknown.action}"`);
}

export function actionFor<T>(actions: Readonly<Record<string, T>>, entry: UndoEntry): T {
  const action = Object.hasOwn(actions, entry.action) ? actions[entry.action] : undefined;
  if (action === undefined)
    throw new CaretakerError('unknown-action', `this version does not know the action "${entry.action}"`);
  return action;
}
