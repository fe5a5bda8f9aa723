import type { BackupChoice } from './backup-choice.ts';
import type { Selection } from './selection.ts';

/**
 * What a run was asked for, parsed and checked: nothing below this room reads a raw string. One union, told apart by `mode`.
 * All paths are absolute, all times milliseconds.
 */
export type Settings =
  | BackupSettings
  | UpdateSettings
  | RollbackSettings
  | RestoreSettings
  | VerifySettings
  | RecoverSettings
  | ListSettings
  | StatusSettings;

/** A dialect's name; `docker` and `podman` have become the dialect that goes with them. */
export type EngineChoice = 'auto' | 'docker-compose-v2' | 'podman-compose';

export type Allowance =
  | 'major'
  | 'downgrade'
  | 'prerelease'
  | 'dirty'
  | 'postgres-major'
  | 'unhealthy'
  | 'version-mismatch'
  | 'public-artifacts';

export type StoreSettings =
  | {
      readonly type: 'artifact';
      /** Undefined: as the repository is set. */
      readonly retentionDays: number | undefined;
      /** `OWNER/REPO`. */
      readonly repository: string;
    }
  | { readonly type: 'folder'; readonly path: string };

export type HealthSettings =
  | { readonly type: 'http'; readonly url: string; readonly status: number; readonly contains: string | undefined }
  | { readonly type: 'command'; readonly run: string };

/** `auto`, or the lines as key-value records, checked for types and keys; project/data.ts gives them their meaning. */
export type DataSettings = 'auto' | readonly Readonly<Record<string, string>>[];

export type BuildSettings =
  { readonly kind: 'auto' | 'compose' | 'pull' | 'none' } | { readonly kind: 'command'; readonly command: string };

export interface CommonSettings {
  readonly projectDirectory: string;
  /** Empty: as Compose finds them. */
  readonly composeFiles: readonly string[];
  readonly projectName: string | undefined;
  readonly profiles: readonly string[];
  /** Empty: as Compose reads it. */
  readonly envFiles: readonly string[];
  readonly engine: EngineChoice;
  /** An application without containers; then nothing of Compose is used. */
  readonly commands: { readonly start: string; readonly stop: string; readonly status: string } | undefined;
  readonly stores: readonly StoreSettings[];
  /** A secret: mask it before anything else. */
  readonly githubToken: string | undefined;
  /** To be shown before the run begins. */
  readonly warnings: readonly string[];
}

/** A secret, or the absolute path of the file that holds it: mask it before anything else. */
export type SecretSetting = { readonly text: string } | { readonly file: string };

/** What backups are encrypted with before they go to stores: the public keys, checked, or a passphrase. */
export type EncryptionSettings =
  { readonly recipients: readonly [string, ...string[]] } | { readonly passphrase: SecretSetting };

/** What may decrypt a backup; which of them does is its manifest's to say. */
export interface DecryptionSettings {
  readonly identity: SecretSetting | undefined;
  readonly passphrase: SecretSetting | undefined;
}

/** What every mode that touches the application needs. */
export interface ActingSettings extends CommonSettings {
  readonly data: DataSettings;
  /** The git clone, where it is not the project directory. */
  readonly sourceDirectory: string | undefined;
  readonly allow: readonly Allowance[];
  readonly health: readonly HealthSettings[];
  readonly healthTimeoutMs: number;
  readonly settleMs: number;
  /** How long to wait for another run of this project. 0: not at all. */
  readonly lockTimeoutMs: number;
}

export interface BackupSettings extends ActingSettings {
  readonly mode: 'backup';
  /** Undefined: safety backups of any age stay. */
  readonly keepLocalDays: number | undefined;
  readonly consistency: 'online' | 'stopped';
  /** Undefined: backups are not encrypted. */
  readonly encryption: EncryptionSettings | undefined;
  readonly onStoreFailure: StoreFailure;
}

/** What becomes of a run whose backup could not be stored everywhere. */
export type StoreFailure = 'fail' | 'warn';

/** How the images of a version come about. */
export interface ImageSettings {
  readonly build: BuildSettings;
  readonly buildTimeoutMs: number;
  /** Take built images from the workflow's cache (and, after an update, put them there). */
  readonly cacheImages: boolean;
}

export interface UpdateSettings extends ActingSettings, ImageSettings {
  /** `rehearse`: all is put back when it was tried. */
  readonly mode: 'update' | 'rehearse';
  /** A tag, a branch of the remote, or a commit; excludes `track`. */
  readonly ref: string | undefined;
  readonly track: 'releases' | 'branch' | undefined;
  /** The tag whose push or release started the workflow; counts where neither `ref` nor `track` is given. */
  readonly eventTag: string | undefined;
  readonly migrateCommand: string | undefined;
  /** Say what would happen, and touch nothing. */
  readonly dryRun: boolean;
  /** Try it on a throwaway first; `only`: and put everything back then, in mode rehearse. */
  readonly rehearse: 'no' | 'first' | 'only';
  readonly throwawayNetwork: 'internal' | 'open';
  /** As for a backup; a rehearsal stores none. */
  readonly encryption: EncryptionSettings | undefined;
  readonly onStoreFailure: StoreFailure;
  readonly keepLocal: number;
  readonly keepLocalDays: number | undefined;
}

export interface RollbackSettings extends ActingSettings {
  readonly mode: 'rollback';
  /** Whether the data from before the update come back, or those of now stay. */
  readonly withData: boolean;
  /** As for a restore where `withData`, else empty. */
  readonly confirm: string;
  readonly keepLocal: number;
  readonly keepLocalDays: number | undefined;
}

export interface RestoreSettings extends ActingSettings, ImageSettings {
  readonly mode: 'restore';
  readonly backup: BackupChoice;
  readonly decryption: DecryptionSettings;
  /** Empty: all parts. */
  readonly only: readonly Selection[];
  /** Where to instead of into the live application. */
  readonly to: string | undefined;
  /** Whether the backup's code and images come back too. */
  readonly withCode: boolean;
  /** What was typed; the mode compares it with the project's name. Empty where `to` is given, and perhaps on an empty host: nothing live is replaced. */
  readonly confirm: string;
  readonly keepLocal: number;
  readonly keepLocalDays: number | undefined;
}

/** The user's own check of restored data. */
export type CheckSettings =
  | {
      readonly type: 'sql';
      /** The part's name. */
      readonly part: string;
      readonly database: string | undefined;
      readonly query: string;
      readonly expect: string | undefined;
    }
  | { readonly type: 'command'; readonly run: string };

export interface VerifySettings extends ActingSettings {
  readonly mode: 'verify';
  readonly backup: BackupChoice;
  readonly decryption: DecryptionSettings;
  /** Undefined: as far as the project allows, short of bringing the application up. */
  readonly proof: 'read' | 'databases' | 'application' | undefined;
  readonly checks: readonly CheckSettings[];
  readonly throwawayNetwork: 'internal' | 'open';
}

export interface RecoverSettings extends ActingSettings {
  readonly mode: 'recover';
}

export interface ListSettings extends CommonSettings {
  readonly mode: 'list';
}

export interface StatusSettings extends CommonSettings {
  readonly mode: 'status';
  /** Where live data lie: what a run left beside them is looked for there. */
  readonly data: DataSettings;
  readonly keepLocal: number;
  readonly keepLocalDays: number | undefined;
}
