import type { Compose } from '../compose/compose.ts';
import type { HostFiles } from '../runtimes/host-files.ts';
import type { Container, Runtime } from '../runtimes/runtime.ts';
import type { ProbeResult } from '../health/health.ts';

/**
 * The application as it stands on this host, whatever runs it. Modes know only this. Implementations: `compose-project.ts`,
 * `command-project.ts` (start-command, stop-command, status-command: a machine without containers).
 */
export interface Project {
  readonly name: string;
  /** Absolute. */
  readonly directory: string;
  /** `.caretaker` in the project directory: lock, journal, local backups, protections. */
  readonly stateDirectory: string;
  readonly files: HostFiles;
  /** True for one that is known by its name alone: what runs of it is not looked at. */
  readonly bare?: true;
  /** Null for a project run by commands. */
  readonly engine: { readonly runtime: Runtime; readonly compose: Compose } | null;
  /** Services in the order in which they start. One named `application` for a project run by commands. */
  services(): Promise<string[]>;
  /** The containers that exist now, read anew. Empty for a project run by commands. */
  containers(): Promise<readonly Container[]>;
  /** True when anything of it runs. */
  running(): Promise<boolean>;
  /** Stops these services (all by default), and answers with those that ran before. */
  stop(services?: readonly string[]): Promise<readonly string[]>;
  /** Starts the containers of these services again as they were, none created anew. */
  start(services?: readonly string[]): Promise<void>;
  /** Brings up what is deployed now: new images, new configuration. */
  up(services?: readonly string[]): Promise<void>;
  /** What the engine itself says of every service. */
  look(): Promise<ProbeResult>;
  /** The last lines of the services that are not well, for a report. */
  lastWords(
    lines: number,
  ): Promise<readonly { readonly service: string; readonly state: string; readonly text: string }[]>;
  /** What a backup keeps of the configuration: compose files, env files, .env, small files that are mounted read-only; absolute paths that exist. */
  configurationFiles(): Promise<string[]>;
  /** Those of them that are made for secrets: env files, and the files of Compose's `secrets`. */
  secretFiles(): Promise<string[]>;
}

/** What has data, decided by `data:` lines or by looking. Plain data: printed, tested, turned into sources by sources/. */
export type SourceSpec =
  | {
      readonly type: 'postgres';
      readonly name: string;
      readonly service: string;
      readonly method: 'physical' | 'dump' | 'files';
      /** Absolute host path of the data directory (PGDATA). */
      readonly path: string;
      readonly containerPath: string;
      readonly volume?: string;
      readonly user: string;
    }
  | {
      readonly type: 'sqlite';
      readonly name: string;
      readonly path: string;
      readonly writers: readonly string[];
      readonly service?: string;
      readonly volume?: string;
      readonly containerPath?: string;
    }
  | {
      readonly type: 'volume' | 'directory' | 'file' | 'project-files';
      readonly name: string;
      readonly path: string;
      /** For project-files: absolute files; the tar's root is the project directory. */
      readonly members?: readonly string[];
      readonly exclude: readonly string[];
      readonly writers: readonly string[];
      readonly service?: string;
      readonly volume?: string;
      readonly containerPath?: string;
    };

export interface DataPlan {
  readonly take: readonly SourceSpec[];
  /** `isData`: for want of a way to take it. */
  readonly leave: readonly { readonly what: string; readonly why: string; readonly isData?: true }[];
  /** What the user should know of the choice although nothing is left out by it. */
  readonly notes?: readonly string[];
}
