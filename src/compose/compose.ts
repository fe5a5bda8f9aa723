import type { Mapping } from './compose-file.ts';

/**
 * A Compose implementation. What differs between them is data (see dialects.ts), not code.
 */
export interface Dialect {
  /** As the input `engine` and the log name it. */
  readonly name: 'docker-compose-v2' | 'podman-compose';
  readonly runtime: 'docker' | 'podman';
  readonly argv: readonly [string, ...string[]];
  readonly version: string;
  readonly capabilities: {
    /** `config` prints the resolved model. */
    readonly config: 'json' | 'yaml' | 'none';
    /** `up -d` recreates containers whose image or configuration changed, and leaves the others. */
    readonly upRecreatesChanged: boolean;
    readonly pull: boolean;
    readonly build: boolean;
    readonly profiles: boolean;
    /** How many `--env-file`s it takes. */
    readonly envFiles: 'none' | 'one' | 'many';
    /** Its `up` compares a hash of each service's configuration with the container's label. Without it a change can't be told. */
    readonly comparesConfiguration: boolean;
    /** Between project and service in the name of an image that is built and has no name in the file. */
    readonly imageSeparator: '-' | '_';
    /** Its exit codes tell a failure. Where not, what it was asked for is verified afterwards. */
    readonly reliableExitCodes: boolean;
  };
}

export interface BuildOptions extends Readonly<Record<string, unknown>> {
  readonly args?: readonly (readonly [name: string, value: string | null])[];
}

export interface ComposeService {
  readonly name: string;
  /** Null where it is only built and has no name of its own. */
  readonly image: string | null;
  readonly build: boolean;
  /** What besides the files of the build's context decides what is built: arguments, target, file. Empty where nothing is built. */
  readonly buildOptions: BuildOptions;
  readonly containerName: string | undefined;
  readonly dependsOn: readonly string[];
  readonly restart: string | undefined;
  readonly volumes: readonly ComposeVolume[];
  readonly envFiles: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly hasHealthCheck: boolean;
  readonly profiles: readonly string[];
  /** Containers that should run; 1 where the file says nothing. */
  readonly replicas: number;
  /** `stop_grace_period` in seconds; undefined for the engine's 10. podman-compose does not hand it to the container. */
  readonly stopGraceSeconds: number | undefined;
}

export interface ComposeVolume {
  readonly type: 'bind' | 'volume' | 'tmpfs' | 'other';
  /** Absolute path for bind, the volume's key for volume ('' for an anonymous one). */
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

/** The compose file(s), resolved: variables filled in, relative paths absolute. */
export interface ComposeModel {
  readonly name: string;
  readonly services: readonly ComposeService[];
  /** Key in the file → name in the engine, and whether it is external. */
  readonly volumes: Readonly<Record<string, { readonly name: string; readonly external: boolean }>>;
}

/**
 * Compose on one project. `up`, `build` and `pull` print to the log as they go. Throws `compose-failed` with the last lines,
 * `compose-file-invalid` when the file can't be read as a model.
 */
export interface Compose {
  readonly dialect: Dialect;
  /** The compose files, absolute, in order of override. */
  readonly files: readonly string[];
  /** Absolute; empty for `.env`. */
  readonly envFiles: readonly string[];
  readonly profiles: readonly string[];
  model(): Promise<ComposeModel>;
  /** The compose files as one, variables filled in: what a throwaway is made of. */
  document(): Promise<Mapping>;
  /** The same program on another project, of one compose file that is complete by itself. */
  of(file: string, projectName: string): Compose;
  /** Brings the deployed configuration up: creates, recreates what changed (image or configuration), starts what is stopped. The containers survive the job. */
  up(services?: readonly string[]): Promise<void>;
  /** Starts the containers that exist in the order that dependencies ask for, creating none anew. */
  start(services?: readonly string[]): Promise<void>;
  /** Stops with each container's grace period; without names all. */
  stop(services?: readonly string[]): Promise<void>;
  /** Removes the containers and networks of the project, keeps volumes. */
  down(): Promise<void>;
  build(services?: readonly string[]): Promise<void>;
  pull(services?: readonly string[]): Promise<void>;
}
