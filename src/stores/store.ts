import type { Manifest, BackupName } from '../archive/manifest.ts';
import type { KeptProof, ProofDocument } from '../archive/proof.ts';

/** A finished local file that goes into a store. */
export interface LocalFile {
  /** Absolute path. Its base name equals `name`. */
  readonly path: string;
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** A backup in a store, without its manifest's content. */
export interface StoredBackup {
  readonly name: BackupName;
  readonly project: string;
  readonly createdAt: Date;
  /** Sum over its files, where the store tells without reading. */
  readonly bytes: number | undefined;
  readonly expiresAt: Date | undefined;
  /** The workflow run that stored it, for artifacts. */
  readonly runId: number | undefined;
  /** Ids of its files in the store, for artifacts. */
  readonly ids: readonly string[];
  readonly url: string | undefined;
  /** Names of its files. */
  readonly files: readonly string[];
  /** Results of drills that are kept beside it, newest first. They count neither among its bytes nor its ids. */
  readonly proofs: readonly KeptProof[];
}

/**
 * Where backups are kept. The same files everywhere: parts, then RESTORE.md, then the manifest, whose presence is the commit mark.
 * Every method throws coded errors: `store-unreachable`, `store-denied`, `store-full`, `store-missing` (no such backup or file),
 * `store-damaged` (bytes differ from the digest), `store-unsupported`.
 */
export interface Store {
  readonly kind: 'artifact' | 'folder';
  /** A folder's absolute path. */
  readonly directory?: string;
  /** For the log and the manifest's reader: `workflow artifacts of OWNER/REPO`, `folder /srv/backups`. */
  readonly name: string;
  /**
   * Throws when backups can't be written (or, with `read`, found) here: called before anything has an effect. Leaves no trace. Plain ones (`write`) are refused where more people could
   * read them than know the data.
   */
  check(purpose: 'write' | 'write-encrypted' | 'read'): Promise<void>;
  /**
   * Stores one file and verifies what the store says it has (bytes, digest). Never replaces another content under the same name (`store-exists`); the same content again is a success.
   * A put that fails leaves nothing that `list` shows.
   */
  put(file: LocalFile): Promise<{ readonly id: string | undefined; readonly url: string | undefined }>;
  /** Removes files that were put, by their names, of a backup that could not be completed: they must not use up what is left of the room. */
  takeBack(files: readonly string[]): Promise<void>;
  /** Complete backups (with a manifest), newest first; of one project, or of all. */
  list(project?: string): Promise<StoredBackup[]>;
  /** The manifest, its text not yet validated beyond JSON. */
  readManifest(backup: StoredBackup): Promise<unknown>;
  /** Writes the file's bytes to a new local path, checked against the digest: `store-damaged`, and the bad file removed. */
  fetch(
    backup: StoredBackup,
    file: { readonly file: string; readonly bytes: number; readonly sha256: string },
    toPath: string,
  ): Promise<void>;
  /**
   * Keeps the result of a drill beside the backup, where `list` finds it by its name. Earlier ones may go that it has outdone. `store-missing` where the backup is gone.
   */
  keepProof(backup: StoredBackup, proof: ProofDocument): Promise<void>;
  /** Removes the backup, manifest first, and the proofs that were listed with it. */
  delete(backup: Pick<StoredBackup, 'name' | 'runId' | 'proofs'>, manifest: Manifest | undefined): Promise<void>;
}
