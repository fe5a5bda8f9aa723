import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { manifestFile, parseBackupName } from '../archive/names.ts';
import { CaretakerError } from '../errors.ts';
import type { StoredBackup } from '../stores/store.ts';
import { fileError } from '../system/files.ts';
import { localDirectory } from './capture.ts';
import { dropProtections } from './images.ts';
import { lastUpdateOrNull, type LastUpdate } from './last-update.ts';
import { isMisdated } from './order.ts';
import type { Tools } from './tools.ts';
import { unstored } from './unstored.ts';

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
 * would need (`needed`): updates that fail must not take that away. What is dated in the future neither goes nor counts: where the clock jumped, it would take the place of the newest. A count of 0
 * keeps nothing at all.
 */
export function safetyStays(
  backups: readonly StoredBackup[],
  { keepLocal = Infinity, keepLocalDays }: KeepLocal,
  needed: string | undefined,
  now: Date,
): readonly SafetyStay[] {
  const counted = backups.filter((backup) => !isMisdated(backup, now));
  return backups.map((backup) => {
    const at = counted.indexOf(backup);
    const ends =
      keepLocalDays === undefined ? undefined : new Date(backup.createdAt.getTime() + keepLocalDays * DAY_MS);
    if (backup.name === needed && keepLocal > 0) {
      return { backup, goes: undefined, kept: 'for a rollback of the last update' };
    }
    if (at === -1 && keepLocal > 0) return { backup, goes: undefined, kept: 'as it is dated in the future' };
    const why =
      at >= keepLocal || keepLocal === 0
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

/**
 * Removes old safety backups and, with `keepVersions`, names of old images, but not what a rollback of the last update needs: nothing at all where that can't be told. A
 * backup that waits for a store stays, and does not count.
 */
export async function tidy(
  tools: Tools,
  { keepVersions, ...keep }: KeepLocal & { readonly keepVersions?: number | undefined },
): Promise<void> {
  const { local, project, log, clock, recorder } = tools;
  let last: LastUpdate | null;
  try {
    last = await lastUpdateOrNull(project.stateDirectory);
  } catch (error) {
    if (!(error instanceof CaretakerError) || error.code !== 'state-damaged') throw error;
    recorder.warn(`No safety backup and no image is removed: ${error.message}. ${error.hint ?? ''}`);
    return;
  }
  const waiting = (await unstored(project.stateDirectory)).map(({ backup }) => backup);
  const backups = (await local.list(project.name)).filter(({ name }) => !waiting.includes(name));
  for (const { backup, goes } of safetyStays(backups, keep, last?.backup, clock.now())) {
    if (goes === undefined) continue;
    log.info(`${backup.name}, of the ${local.name}: ${goes}`);
    await local.delete(backup, undefined);
  }
  if (keepVersions !== undefined) await dropProtections(project, keepVersions, last?.run);
}

/** Removes what a killed run left of a backup that has no manifest, yet or any more. The lock must be held, and nothing wait to be undone. */
export async function dropHalfBackups(stateDirectory: string): Promise<void> {
  const directory = localDirectory(stateDirectory);
  try {
    const names = await readdir(directory);
    for (const name of names) {
      const [backup = ''] = name.split('.', 1);
      const isHalf = parseBackupName(backup) !== null && !names.includes(manifestFile(backup));
      if (isHalf || /^\..+\.caretaker-tmp$/.test(name)) await rm(path.join(directory, name));
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw fileError(`clear ${directory}`, error);
  }
}
