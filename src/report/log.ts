/**
 * What the rooms may say while they work. Errors are thrown, not logged; the entry shows them once.
 * Implementations: `actions.ts` (groups, annotations), `terminal.ts`, `silent.ts` (tests, --json).
 */
export interface Log {
  info(line: string): void;
  /** Something the user should look at although the run goes on. Repeated in the job summary. */
  warn(line: string): void;
  debug(line: string): void;
  /** Runs `work` in a group of its own, titled, timed, closed also when it throws. */
  group<T>(title: string, work: () => Promise<T>): Promise<T>;
  /** A line that replaces the last one on a terminal; elsewhere at most one line every ten seconds. */
  progress(what: string, doneBytes: number, totalBytes?: number): void;
  /** From now on `secret` is masked in everything that is printed. */
  mask(secret: string): void;
  /** The text without what is masked: for what is kept where others than the log's readers see it. */
  redacted(text: string): string;
}
