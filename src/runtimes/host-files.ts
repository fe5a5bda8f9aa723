import type { ProcessStream } from '../system/processes.ts';
import type { SqliteProof, SqliteRows } from '../system/sqlite.ts';
import type { Swap } from '../system/swaps.ts';
import type { FingerprintOptions, TreeChanges, TreeScan } from '../system/trees.ts';

export type { SqliteProof, SqliteRows, TreeChanges, TreeScan, Swap };

export type PathKind = 'directory' | 'file' | 'link' | 'other' | null;

/**
 * Files on the host as the containers' root sees them: also where the runner's user may not read them, with owners that
 * come back as they were. Three ways, chosen once by probing: `direct` (the user is root, or owns all), `podman-unshare`
 * (rootless Podman's user namespace), `helper-container` (a member of group docker: a container without network made of
 * nothing but the host's own /usr, mounted read-only). Throws `host-files-denied` when no way works.
 *
 * Owners in archives are the numbers that this way sees, i.e. those inside the containers.
 */
export interface HostFiles {
  readonly way: 'direct' | 'podman-unshare' | 'helper-container';
  scan(root: string): Promise<TreeScan>;
  exists(path: string): Promise<boolean>;
  /** Paths of what the caretaker has put beside these trees and files, and directly in them, whatever run or project it was for. */
  oursAt(roots: readonly string[]): Promise<string[]>;
  /** What lies at relative paths below a root ('' for itself), links not followed; null for nothing, and for what would be behind a link that is listed before it. */
  kinds(root: string, paths: readonly string[]): Promise<readonly PathKind[]>;
  /** A digest over all that lies in these trees or files (missing ones count as such). Two that are equal: nothing was written in between. */
  fingerprint(roots: readonly string[], options: Partial<FingerprintOptions>): Promise<string>;
  /**
   * What changed in a directory since the last call with the same `note` (an absolute path in the staging directory, kept by this). Null where nothing tells: the first time, another
   * directory, more than half a MiB of names. `exclude`, `settle` as for a fingerprint.
   */
  changes(
    root: string,
    options: { readonly note: string; readonly exclude: readonly string[]; readonly settle: boolean },
  ): Promise<TreeChanges | null>;
  /** Removes members of a directory, named as `changes` does; nothing there is no error, and links are not followed. Throws `part-hostile`, before any is removed, where a name leads elsewhere. */
  removeMembers(root: string, names: readonly string[]): Promise<void>;
  /**
   * A GNU tar (format pax: numeric owners, xattrs, ACLs, sparse, sub-second mtimes) of what is in `root`, members
   * named `./…`, `./` itself first with its owner and mode. `exclude`: paths relative to the root, taken literally, or patterns where
   * they hold `*`. A file that vanished or changed while it was read: `done` is fulfilled for a vanished or growing file when `live` is
   * set (with a call of `onWarning`), rejected otherwise. For a file as root: the one member `./BASENAME`. `only`: these members of a directory, named as `changes` does, without what is
   * in them.
   */
  tar(
    root: string,
    options: {
      readonly exclude?: readonly string[];
      readonly only?: readonly string[];
      readonly live?: boolean;
      readonly onWarning?: (line: string) => void;
    },
  ): ProcessStream;
  /**
   * Unpacks such a tar from its `stdin` into the new directory `root`; refuses when it is there already, and removes it on failure. `over`: into one that is there, over
   * what it holds. Owners (but for `owners: false`, where all becomes this user's), modes, xattrs and sparse files as stored. Fsynced before `done`.
   */
  untar(root: string, options?: { readonly over?: boolean; readonly owners?: boolean }): ProcessStream;
  /** An online, transactional copy of a SQLite database by its backup API, checked by `PRAGMA quick_check`, owner, group and mode of the original; `to` must not exist. Answers with its rows by table, null where there are too many tables to tell. */
  copySqlite(from: string, to: string): Promise<SqliteRows | null>;
  /** `PRAGMA integrity_check`; throws `sqlite-damaged`. */
  checkSqlite(path: string): Promise<void>;
  /** The first value of a query's first row as text, '' for none; nothing is written. Throws `sqlite-failed`, `sqlite-damaged`. */
  querySqlite(path: string, query: string): Promise<string>;
  /** Likewise, and what it holds. Changes nothing. */
  proveSqlite(path: string): Promise<SqliteProof>;
  /** An empty directory with owner and mode of `like` (missing parents are an error). */
  makeDirectory(path: string, like: string): Promise<void>;
  /** Owner, group and mode of `like` for `path` itself. */
  likeness(path: string, like: string): Promise<void>;
  /** Completes the swap, from any state that an interrupted swap or unswap may have left. Fsyncs. */
  swap(swap: Swap): Promise<void>;
  /** Puts the live data back, from any state. Nothing to do is no error. */
  unswap(swap: Swap): Promise<void>;
  /**
   * Removes what is in a directory, but for what lies at or below the relative paths of `keep`, the caretaker's own files and other filesystems. For data that are
   * about to be replaced. Needs no room; nothing there is no error.
   */
  empty(root: string, keep: readonly string[]): Promise<void>;
  /** Removes what is there, whole trees too; never follows links. Only paths with `.caretaker` in their name: `not-ours` otherwise. */
  remove(paths: readonly string[]): Promise<void>;
}
