import { basename, dirname } from 'node:path';
import type { Argv } from '../system/processes.ts';

const KEEP = ['--numeric-owner', '--xattrs', '--xattrs-include=*', '--acls'] as const;

/**
 * GNU tar's command for what is in a directory (`./` first), for one file (`./BASENAME`), or for the members of a directory that standard input names
 * (ended by NUL each, without what is in them), to standard output.
 *
 * - pax: long names, big ids, times below a second, and anybody's tar reads it. Its headers keep neither access and change times,
 *   which nobody restores, nor this process's number.
 * - `exclude`: relative to the root, anchored there. A text without `*` is a name. `*` stands for anything within one name, `**` for
 *   any number of directories.
 */
export function createArgv(root: string, kind: 'directory' | 'file' | 'members', exclude: readonly string[]): Argv {
  const place = {
    directory: [root, '.'],
    file: [dirname(root), `./${basename(root)}`],
    // After the patterns, which must still stand for what lies below a directory.
    members: [root, '--no-recursion', '--null', '--verbatim-files-from', '--files-from=-'],
  }[kind];
  return [
    'tar',
    '--create',
    '--file=-',
    '--format=pax',
    '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime',
    ...KEEP,
    '--sparse',
    '--anchored',
    ...(kind === 'file' ? [] : exclude.flatMap(excludeOptions)),
    '--directory',
    ...place,
  ];
}

/** A name as a walk over a tree gives it. */
export function memberName(name: string): string {
  return Buffer.from(name).toString('latin1');
}

/** Names as a walk over a tree gives them (a character for each byte), as `--files-from` reads them. */
export function membersOf(names: readonly string[]): Buffer {
  return Buffer.from(names.map((name) => `./${name}\0`).join(''), 'latin1');
}

/** GNU tar's command that unpacks standard input into an existing directory, all as it was stored; without `owners`, as this user's own. */
export function extractArgv(root: string, owners = true): Argv {
  return [
    'tar',
    '--extract',
    '--file=-',
    owners ? '--same-owner' : '--no-same-owner',
    '--preserve-permissions',
    ...KEEP,
    // A directory may be stored as read-only, and files come into it later.
    '--delay-directory-restore',
    '--directory',
    root,
  ];
}

function excludeOptions(path: string): string[] {
  const plain = path.replace(/^(?:\.\/)+/, '').replace(/\/+$/, '');
  if (plain === '' || plain === '.') return [];
  if (!plain.includes('*')) return ['--no-wildcards', `--exclude=./${plain}`];
  const pattern = plain.replaceAll(/[\\?[\]]/g, '\\$&');
  if (!pattern.includes('**')) return ['--wildcards', '--no-wildcards-match-slash', `--exclude=./${pattern}`];
  // To tar `**` is `*`: here it stands for any depth, none included.
  const forms = pattern.includes('**/') ? [pattern.replaceAll('**/', ''), pattern] : [pattern];
  return forms.flatMap((form) => [
    '--wildcards',
    '--wildcards-match-slash',
    `--exclude=./${form.replaceAll('**', '*')}`,
  ]);
}

/** What tar says, with exit code 1, of files that lived on while they were read. */
const LIVED_ON = /^tar: .*(?:file changed as we read it|file removed before we read it|file shrank by \d+ bytes)/i;

/**
 * The lines of warning in the message of a failed tar, if it failed for no other reason than that files changed or vanished meanwhile;
 * undefined where it is a real failure. (`ProcessStream` tells exit code and last words in its message only.)
 */
export function onlyLivedOn(message: string): string[] | undefined {
  // The first counts: a file's name may look like another.
  const match = /: exit code (\d+): ([^]*)$/.exec(message);
  if (match?.[1] !== '1') return undefined;
  // The words are the last of many: the first line may be cut. Anything else, e.g. a word of the engine's, is no warning of tar's.
  const lines = match[2]!.split('\n').filter((line) => line !== '');
  const told = lines.filter((line) => !/: socket ignored$/.test(line));
  const warnings = told.filter((line) => LIVED_ON.test(line));
  const foreign = told.slice(1).filter((line) => !LIVED_ON.test(line));
  return warnings.length > 0 && foreign.length === 0 ? warnings : undefined;
}
