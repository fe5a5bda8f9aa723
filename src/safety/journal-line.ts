/** What is wrong with the shape of a line of the journal, null where nothing is. A type that is not known here is a newer version's affair. */
export function faultOf(line: unknown): string | null {
  if (typeof line !== 'object' || line === null) return 'is no object';
  const { type, ...fields } = line as Readonly<Record<string, unknown>>;
  if (typeof type !== 'string') return 'has no type';
  const lacking = Object.entries(SHAPES[type] ?? {}).find(([name, fits]) => !fits(fields[name]));
  return lacking === undefined ? null : `is of the type ${type} and has no ${lacking[0]}`;
}

type Fits = (value: unknown) => boolean;
const text: Fits = (value) => typeof value === 'string';
const index: Fits = (value) => Number.isInteger(value);
const entry: Fits = (value) =>
  typeof value === 'object' && value !== null && text((value as { action?: unknown }).action);

/** What recovery acts on. Fields that older versions did not write are not among them. */
const SHAPES: Readonly<Record<string, Readonly<Record<string, Fits>>>> = {
  begin: { run: text, mode: text },
  step: { index, name: text, undo: (value) => value === null || entry(value) },
  done: { index },
  undone: { index },
  prepared: { finish: entry, forward: (value) => Array.isArray(value) && value.every(entry) },
  withdrawn: {},
  commit: { forward: (value) => Array.isArray(value) && value.every(entry) },
  forwarded: { index },
};

const BEGIN = '{"type":"begin"';

/** True for what a power cut may leave of the first line: its beginning, and zeros where its content has not reached the disk. */
export function isTornBegin(line: string): boolean {
  const rest = line.replace(/\0*\n?$/, '');
  return BEGIN.startsWith(rest) || rest.startsWith(BEGIN);
}
