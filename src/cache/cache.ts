/** What a cache answered: it is always allowed to say no, and says why where something was wrong. */
export interface CacheAnswer {
  readonly ok: boolean;
  /** What failed, in the words of whoever failed; undefined where there was simply nothing. */
  readonly problem?: string;
}

/**
 * A place beyond this host that may hold files made by another run, and may lose them at any time. Nothing here throws but `cancelled`. What comes out of it was written by
 * somebody else and has been checked by nobody: it is to be looked at as what it is before anything is done with it.
 */
export interface FileCache {
  /** Whether this run can reach it at all. */
  readonly available: boolean;
  has(entry: CacheEntry): Promise<CacheAnswer>;
  /** Puts the entry's files into the folder. Where the answer is no, whatever lies in the folder is worth nothing. */
  find(entry: CacheEntry): Promise<CacheAnswer>;
  /** Stores the entry's files, which lie in the folder. An entry is never changed: a second one under the same key is answered with no. */
  keep(entry: CacheEntry): Promise<CacheAnswer>;
}

export interface CacheEntry {
  /** At most 512 characters, none of them a comma. */
  readonly key: string;
  /** Absolute path of an empty folder on a filesystem with room for twice the files, which nobody else may enter. */
  readonly folder: string;
  /** Names of files directly in the folder. The same list finds what it stored. */
  readonly files: readonly string[];
}
