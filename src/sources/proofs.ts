import type { Part, RowCounts } from '../archive/manifest.ts';
import { CaretakerError } from '../errors.ts';

/** Of what is wrong, as many as a reader can use. */
const TOLD = 10;

/** `why` completes "failed to prove NAME: ". */
export function disproved(part: Part, why: string, cause?: unknown): CaretakerError {
  return new CaretakerError('drill-failed', `failed to prove ${part.name}: ${why}`, {
    hint: 'This backup does not hold what it should. Take a new one now, and look through the earlier ones with further drills.',
    ...(cause === undefined ? {} : { cause }),
  });
}

/** A line that says that `where` has as many rows in every table as were noted. Throws `drill-failed`, naming the tables. */
export function provenRows(
  part: Part,
  where: string,
  noted: RowCounts | undefined,
  found: RowCounts | undefined,
): string {
  if (noted === undefined || found === undefined)
    return `${where}: not proven: its rows were not counted when the backup was taken`;
  const wrong = Object.entries(noted).flatMap(([table, rows]) => {
    const now = Object.hasOwn(found, table) ? found[table] : undefined;
    if (now === undefined) return [`${table} is missing (${rows} rows)`];
    return now === rows ? [] : [`${table} has ${now} rows instead of ${rows}`];
  });
  if (wrong.length > 0) throw disproved(part, `${where}: ${listed(wrong)}`);
  const total = Object.values(noted).reduce((sum, rows) => sum + rows, 0);
  return `${where}: ${total} rows in ${Object.keys(noted).length} tables, as many in each as when the backup was taken`;
}

export function listed(lines: readonly string[]): string {
  const more = lines.length - TOLD;
  return [...lines.slice(0, TOLD), ...(more > 0 ? [`and ${more} more`] : [])].join('; ');
}
