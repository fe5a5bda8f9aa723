import { formatBytes } from './units.ts';

/** `database: 412 MB of 835 MB (49 %)`. The total is an estimate: more than that is shown without it. */
export function progressText(what: string, doneBytes: number, totalBytes?: number): string {
  if (totalBytes === undefined || totalBytes === 0 || doneBytes > totalBytes)
    return `${what}: ${formatBytes(doneBytes)}`;
  return `${what}: ${formatBytes(doneBytes)} of ${formatBytes(totalBytes)} (${Math.floor((doneBytes / totalBytes) * 100)} %)`;
}

/** True at most once in `intervalMs`, for each thing by itself, and not before the first interval is over: what is quick needs no progress. */
export function throttle(intervalMs: number, now: () => number): (what: string) => boolean {
  const last = new Map<string, number>();
  return (what) => {
    const before = last.get(what);
    if (before === undefined) last.set(what, now());
    else if (now() - before >= intervalMs) {
      last.set(what, now());
      return true;
    }
    return false;
  };
}
