import type { Git } from './git-command.ts';

/** A submodule as a commit records it. */
export interface Submodule {
  readonly name: string;
  readonly url: string;
  /** `submodule.NAME.update` of .gitmodules: `none` is not to be checked out. */
  readonly update: string | undefined;
  /** What of it belongs to that commit. */
  readonly commit: string;
}

/** The submodules of a commit by path; none where the commit is not in the clone. */
export async function submodulesOf(git: Git, commit: string): Promise<ReadonlyMap<string, Submodule>> {
  const lines = await git.fields(
    ['config', '-z', '--blob', `${commit}:.gitmodules`, '--get-regexp', '^submodule\\..*\\.(path|url|update)$'],
    { accept: [1, 128] },
  );
  const named = new Map<string, Record<string, string>>();
  for (const line of lines) {
    // KEY, a line end, the value.
    const [, name = '', key = '', value = ''] = /^submodule\.(.*)\.([a-z]+)\n(.*)$/s.exec(line) ?? [];
    named.set(name, { ...named.get(name), [key]: value.replace(/\/$/, '') });
  }
  const found = new Map<string, Submodule>();
  for (const [name, { path, url = '', update }] of named) {
    if (path === undefined) continue;
    const [mode, , recorded] = (await git.text(['ls-tree', commit, '--', path])).split(/[ \t]/);
    if (mode === '160000' && recorded !== undefined) found.set(path, { name, url, update, commit: recorded });
  }
  return found;
}
