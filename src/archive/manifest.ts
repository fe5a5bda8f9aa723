/** The backup format, version 1: see docs/backup-format.md and archive/manifest.schema.json. */
export const SCHEMA = 1;

/** `SHOP-20261121T220000Z`: the project's name and the UTC second at which the backup began. */
export type BackupName = string;

export interface PartFile {
  /** The file's name in every store, e.g. `uso-20261121T220000Z.database.tar.zst`. */
  readonly file: string;
  /** Bytes as stored. */
  readonly bytes: number;
  /** Bytes before compression. */
  readonly rawBytes: number;
  /** Hex sha256 of the stored bytes. */
  readonly sha256: string;
}

export type PartKind = 'postgres' | 'sqlite' | 'volume' | 'directory' | 'file' | 'project-files';

export interface Part {
  /** Lower-case letters, digits and dashes; unique in the backup. */
  readonly name: string;
  readonly kind: PartKind;
  /** `physical`: a base backup; `dump`: pg_dump and globals; `files`: a tar of files; `sqlite`: a tar with one database file. */
  readonly method: 'physical' | 'dump' | 'files' | 'sqlite';
  /** In the order in which a restore applies them. */
  readonly files: readonly PartFile[];
  /** How it was taken: `online` (nothing stopped), `quiesced` (its writers were stopped), `stopped` (the service itself was down). */
  readonly consistency: 'online' | 'quiesced' | 'stopped';
  /** Where the bytes came from, and where a restore puts them. */
  readonly origin: {
    readonly service?: string;
    readonly volume?: string;
    /** Absolute host path of the tree, directory or file. */
    readonly path: string;
    /** Path in the container, where there is one. */
    readonly containerPath?: string;
    /** Paths relative to `path` that were left to other parts or excluded. */
    readonly exclude?: readonly string[];
  };
  /** Seconds that capturing took. */
  readonly seconds: number;
  readonly postgres?: {
    readonly version: string;
    readonly major: number;
    readonly databases: readonly string[];
    readonly user: string;
    readonly locale?: string;
  };
  readonly sqlite?: { readonly pageSize: number; readonly pages: number };
}

export interface Manifest {
  readonly schema: number;
  readonly name: BackupName;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  /** Why it was made. */
  readonly reason: 'backup' | 'before-update' | 'before-restore';
  readonly project: string;
  readonly projectDirectory: string;
  readonly host: string;
  readonly caretaker: string;
  readonly version: { readonly commit: string | null; readonly tag: string | null; readonly describe: string | null };
  readonly engine: {
    readonly runtime: string;
    readonly version: string;
    readonly dialect: string;
    readonly rootless: boolean;
  } | null;
  readonly platform: string;
  readonly images: readonly {
    readonly service: string;
    readonly name: string;
    readonly id: string;
    readonly digests: readonly string[];
  }[];
  /** Whose numbers the owners in the archives are: those that containers see. */
  readonly ownership: 'direct' | 'podman-unshare' | 'helper-container';
  readonly encryption: null;
  readonly parts: readonly Part[];
  /** What was seen and not taken, with the reason, for a reader. */
  readonly left: readonly { readonly what: string; readonly why: string }[];
  /** The RESTORE.md beside it. */
  readonly instructions: { readonly file: string; readonly bytes: number; readonly sha256: string };
}
