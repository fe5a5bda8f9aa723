import { parseDuration } from './durations.ts';

/** Which backup is meant. `text` as it was written, for messages. */
export type BackupChoice = { readonly text: string } & (
  | { readonly by: 'latest' }
  | { readonly by: 'name' }
  /** Of a workflow run or of an artifact. */
  | { readonly by: 'id' }
  /** The newest made before that instant. */
  | { readonly by: 'before'; readonly at: Date }
  /** The newest that is at least so old, in milliseconds. */
  | { readonly by: 'age'; readonly ms: number }
  /** The newest of that version: a tag, what `git describe` says, or the beginning of a commit. */
  | { readonly by: 'version'; readonly version: string }
  /** A folder or manifest file, absolute. */
  | { readonly by: 'path'; readonly path: string }
);

/**
 * What stands in `backup`, paths left out: `latest`, a backup's name, digits, `before=2026-11-20` (its beginning, in UTC) or `before=2026-11-20T18:30` (with `Z` or an offset at the end for another
 * time than UTC), `2d`, `36h`, `1w`, `version=TAG`, and without `version=` what begins as a version does (`v25.09`, `1.4`). Null for anything else.
 */
export function parseBackupChoice(text: string): BackupChoice | null {
  if (text === 'latest') return { text, by: 'latest' };
  if (/^[1-9]\d*$/.test(text)) return { text, by: 'id' };
  if (/^[a-z0-9][a-z0-9_-]*-\d{8}T\d{6}Z$/.test(text)) return { text, by: 'name' };
  const [, key, value = ''] = /^(before|version)=(.+)$/.exec(text) ?? [];
  if (key === 'before') {
    const at = instantOf(value);
    return at === null ? null : { text, by: 'before', at };
  }
  if (key === 'version') return { text, by: 'version', version: value };
  const ms = ageOf(text);
  if (ms !== null) return { text, by: 'age', ms };
  return /^(?:v\d|\d+\.\d)[\w.+-]*$/i.test(text) ? { text, by: 'version', version: text } : null;
}

function instantOf(text: string): Date | null {
  const match = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(Z|[+-]\d\d:\d\d)?)?$/.exec(text);
  if (match === null) return null;
  const [, day = '', time = '00:00', zone = 'Z'] = match;
  const at = new Date(`${day}T${time}${zone}`);
  // The 31st of February is well-formed and no day.
  const isDay = !Number.isNaN(at.getTime()) && new Date(`${day}T00:00Z`).toISOString().startsWith(day);
  return isDay ? at : null;
}

function ageOf(text: string): number | null {
  const [, amount, unit] = /^(\d+)([dw])$/.exec(text) ?? [];
  if (amount !== undefined) return Number(amount) * (unit === 'w' ? 7 : 1) * 86_400_000;
  const ms = /^\d/.test(text) ? parseDuration(text) : undefined;
  return ms === undefined || ms === 0 ? null : ms;
}
