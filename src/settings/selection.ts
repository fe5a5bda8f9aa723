/** What is wanted of a backup: a part, paths inside one, or databases of one. `text` as it was written, for messages. */
export type Selection = { readonly text: string; readonly part: string } & (
  | { readonly what: 'part' }
  /** Without `.`, `..`, empty components or a slash at either end; meant literally. */
  | { readonly what: 'path'; readonly path: string }
  | { readonly what: 'database'; readonly database: string }
);

/** `PART`, `PART/PATH` or `PART:DATABASE`; a text that says what is wrong with it otherwise. */
export function parseSelection(text: string): Selection | string {
  const [, part = '', mark, rest = ''] = /^([^/:]*)(?:([/:])([^]*))?$/.exec(text) ?? [];
  if (part === '') return `"${text}" does not begin with the name of a part`;
  if (mark === undefined) return { text, part, what: 'part' };
  if (rest.includes('\0')) return `"${text}" holds a NUL character`;
  if (mark === ':') {
    return rest === '' ? `"${text}" names no database` : { text, part, what: 'database', database: rest };
  }
  if (rest.startsWith('/')) return `"${text}" has an absolute path behind the part’s name`;
  const names = rest.split('/').filter((name) => name !== '' && name !== '.');
  if (names.includes('..')) return `"${text}" leads out of the part by ".."`;
  if (names.length === 0) return `"${text}" names nothing inside the part`;
  return { text, part, what: 'path', path: names.join('/') };
}

/** The first two that can't go together: a part beside something of it, databases beside paths, or a path beside one above it. */
export function conflictIn(selections: readonly Selection[]): readonly [Selection, Selection] | undefined {
  for (const [index, one] of selections.entries()) {
    for (const other of selections.slice(index + 1)) if (conflicts(one, other)) return [one, other];
  }
  return undefined;
}

function conflicts(one: Selection, other: Selection): boolean {
  if (one.part !== other.part) return false;
  if (one.what !== other.what) return true;
  if (one.what !== 'path' || other.what !== 'path' || one.path === other.path) return false;
  return `${one.path}/`.startsWith(`${other.path}/`) || `${other.path}/`.startsWith(`${one.path}/`);
}
