import type { ProcessStream } from '../system/processes.ts';

/** What a walk over a directory tree on the host found. */
export interface TreeScan {
  readonly root: string;
  readonly kind: 'directory' | 'file' | 'socket' | 'missing' | 'other';
  readonly files: number;
  /** Bytes as allocated on disk, so that sparse files count as what they hold. */
  readonly bytes: number;
  /** Paths relative to the root of files that begin with `SQLite format 3\0` and are not empty. */
  readonly sqliteFiles: readonly string[];
  /** Relative paths of directories that hold a PostgreSQL cluster (PG_VERSION beside global/pg_control). */
  readonly postgresDirectories: readonly string[];
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

/**
 * One exchange of live data for fresh data by renames inside one filesystem. Plain data: it goes into the journal, and
 * another process can complete or undo it. All paths absolute.
 */
export type Swap =
  | {
      readonly kind: 'directory' | 'file';
      readonly live: string;
      readonly fresh: string;
      readonly aside: string;
      /** Directory only: paths relative to `live` that are not part of the exchange and move along into the fresh tree. */
      readonly carry: readonly string[];
    }
  | {
      /** A database file with its -wal, -shm and -journal, which go aside with it. `aside` is a directory. */
      readonly kind: 'sqlite';
      readonly live: string;
      readonly fresh: string;
      readonly aside: string;
    };

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
  /**
   * A GNU tar (format pax: numeric owners, xattrs, ACLs, sparse, sub-second mtimes) of what is in `root`, members
   * named `./…`, `./` itself first with its owner and mode. `exclude`: paths relative to the root, taken literally, or patterns where
   * they hold `*`. A file that vanished or changed while it was read: `done` is fulfilled for a vanished or growing file when `live` is
   * set (with a call of `onWarning`), rejected otherwise. For a file as root: the one member `./BASENAME`.
   */
  tar(
    root: string,
    options: {
      readonly exclude?: readonly string[];
      readonly live?: boolean;
      readonly onWarning?: (line: string) => void;
    },
  ): ProcessStream;
  /** Unpacks such a tar from its `stdin` into the new directory `root`; refuses when it is there already. Owners, modes, xattrs and sparse files as stored. Fsynced before `done`. */
  untar(root: string): ProcessStream;
  /** An online, transactional copy of a SQLite database by its backup API, checked by `PRAGMA quick_check`, owner, group and mode of the original; `to` must not exist. */
  copySqlite(from: string, to: string): Promise<void>;
  /** `PRAGMA integrity_check`; throws `sqlite-damaged`. */
  checkSqlite(path: string): Promise<void>;
  /** An empty directory with owner and mode of `like` (missing parents are an error). */
  makeDirectory(path: string, like: string): Promise<void>;
  /** Owner, group and mode of `like` for `path` itself. */
  likeness(path: string, like: string): Promise<void>;
  /** Completes the swap, from any state that an interrupted swap or unswap may have left. Fsyncs. */
  swap(swap: Swap): Promise<void>;
  /** Puts the live data back, from any state. Nothing to do is no error. */
  unswap(swap: Swap): Promise<void>;
  /** Removes what is there, whole trees too; never follows links. Only paths with `.caretaker` in their name: `not-ours` otherwise. */
  remove(paths: readonly string[]): Promise<void>;
}
