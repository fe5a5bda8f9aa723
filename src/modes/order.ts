import type { StoredBackup } from '../stores/store.ts';
import { messageOf } from '../errors.ts';
import type { Tools } from './tools.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
/** No clock that is right has shown less to this program: a host without one begins at 1970. */
const FIRST_DAY = Date.UTC(2026, 0, 1);
/** Clocks of two hosts differ by as much without anybody having set them. */
const DRIFT_MS = 60 * 1000;

/**
 * Dated further ahead than hours: the clock was wrong when it was made, or is wrong now. Such a one is no reason to remove another, nor to take it for the
 * latest.
 */
export function isMisdated({ createdAt }: Pick<StoredBackup, 'createdAt'>, now: Date): boolean {
  return createdAt.getTime() > now.getTime() + DAY_MS;
}

/**
 * The time that a backup gets, by which it is named: now, or the second behind the newest that this host has in folders, where the clock was set back since or both are of one second. So
 * no two have one name, and the newest is the newest, also where the clock has not been set yet. Warns where the clock went back, and of what is misdated.
 */
export async function timeOfNext({ project, stores, local, clock, recorder, log }: Tools): Promise<Date> {
  const now = clock.now();
  let newest: StoredBackup | undefined;
  // Artifacts are not asked: to list them takes requests, and a right that a run which only writes need not have.
  for (const store of [local, ...stores].filter(({ kind }) => kind === 'folder')) {
    const backups = await store.list(project.name).catch((error: unknown) => {
      log.warn(`Which is the newest backup in ${store.name} can't be told: ${messageOf(error)}`);
      return [];
    });
    const [first] = backups;
    if (first !== undefined && isMisdated(first, now)) recorder.warn(misdatedText(first, store.name, now));
    const last = now.getTime() < FIRST_DAY ? first : backups.find((backup) => !isMisdated(backup, now));
    if (last !== undefined && (newest === undefined || last.createdAt > newest.createdAt)) newest = last;
  }
  if (newest === undefined || newest.createdAt.getTime() <= now.getTime() - 1000) return now;
  const next = new Date(newest.createdAt.getTime() + 1000);
  if (next.getTime() > now.getTime() + DRIFT_MS)
    recorder.warn(
      `The clock was set back since ${newest.name} was made: this backup is dated ${next.toISOString()}, behind it.`,
    );
  return next;
}

export function misdatedText(
  { name, createdAt }: Pick<StoredBackup, 'name' | 'createdAt'>,
  store: string,
  now: Date,
): string {
  return `${name} (${store}) is dated ${createdAt.toISOString().slice(0, 10)}, and today is ${now.toISOString().slice(0, 10)}: the clock was wrong then, or is wrong now. It is kept, and not taken for the latest; remove it when nobody needs it.`;
}
