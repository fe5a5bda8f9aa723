import { CaretakerError } from '../errors.ts';
import type { StoredBackup } from '../stores/store.ts';
import { lastUpdate } from './last-update.ts';
import type { Tools } from './tools.ts';

/** How long safety backups stay on the host. Plain data for the journal. */
export interface KeepLocal {
  /** How many. Missing: any number. */
  readonly keepLocal?: number | undefined;
  /** Missing, also in the journals of older versions: of any age. */
  readonly keepLocalDays?: number | undefined;
}

/** What becomes of one safety backup. */
export interface SafetyStay {
  readonly backup: StoredBackup;
  /** Undefined: it stays; otherwise why it goes, to follow its name. */
  readonly goes: string | undefined;
  /** How long it stays, for a reader. */
  readonly kept: string;
}

const DAY_MS = 24 * 60 * 60 * 1000;

/**
 * `backups`: newest first. The count takes all but the newest so many, age all that are older; but age never takes the newest, and neither what mode rollback
 * would need (`needed`): updates that fail must not take that away. A count of 0 keeps nothing at all.
 */
export function safetyStays(
  backups: readonly StoredBackup[],
  { keepLocal = Infinity, keepLocalDays }: KeepLocal,
  needed: string | undefined,
  now: Date,
): readonly SafetyStay[] {
  return backups.map((backup, at) => {
    const ends =
      keepLocalDays === undefined ? undefined : new Date(backup.createdAt.getTime() + keepLocalDays * DAY_MS);
    if (backup.name === needed && keepLocal > 0) {
      return { backup, goes: undefined, kept: 'for a rollback of the last update' };
    }
    const why =
      at >= keepLocal
        ? `removed: ${keepLocal} are kept`
        : at > 0 && ends !== undefined && ends < now
          ? `removed: older than ${keepLocalDays} days`
          : undefined;
    if (why !== undefined) return { backup, goes: why, kept: 'until the next update, rollback or restore' };
    const limits = [
      ...(Number.isFinite(keepLocal)
        ? [`until ${keepLocal - at} more ${keepLocal - at === 1 ? 'is' : 'are'} made`]
        : []),
      ...(ends === undefined
        ? []
        : [`until ${ends.toISOString().slice(0, 10)}${at === 0 ? ', as the newest longer' : ''}`]),
    ];
    return { backup, goes: undefined, kept: limits.length === 0 ? 'for ever' : limits.join(', or ') };
  });
}

/** The safety backup that a rollback of the last update needs; undefined where there is nothing to roll back. */
export async function neededByRollback(stateDirectory: string): Promise<string | undefined> {
  try {
    return (await lastUpdate(stateDirectory)).backup;
  } catch (error) {
    if (error instanceof CaretakerError || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

export async function dropSafetyBackups(tools: Tools, keep: KeepLocal): Promise<void> {
  const { local, project, log, clock } = tools;
  const needed = await neededByRollback(project.stateDirectory);
  for (const { backup, goes } of safetyStays(await local.list(project.name), keep, needed, clock.now())) {
    if (goes === undefined) continue;
    log.info(`${backup.name}, of the ${local.name}: ${goes}`);
    await local.delete(backup, undefined);
  }
}
