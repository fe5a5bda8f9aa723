import type { ProcessStream, Argv } from '../system/processes.ts';
import type { VolumeDevice } from './volume-options.ts';

export type RuntimeName = 'docker' | 'podman';

export interface Mount {
  readonly type: 'bind' | 'volume' | 'tmpfs' | 'other';
  /** The volume's name for `volume`. */
  readonly volume: string | undefined;
  /** Absolute path on the host (for a volume: its mount point, e.g. `…/volumes/NAME/_data`). */
  readonly source: string;
  /** Absolute path in the container. */
  readonly target: string;
  readonly writable: boolean;
}

export interface PublishedPort {
  readonly hostIp: string;
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol: 'tcp' | 'udp';
}

export interface Container {
  readonly id: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** The Compose service (label `com.docker.compose.service`), or the name where there is no label. */
  readonly service: string;
  /** `restarting` counts as not running. */
  readonly state: 'created' | 'running' | 'paused' | 'restarting' | 'stopped' | 'dead';
  readonly exitCode: number | undefined;
  readonly restartCount: number;
  /** ISO 8601, the last start; undefined where it never started. */
  readonly startedAt: string | undefined;
  /** Null where the container has no health check. */
  readonly health: 'starting' | 'healthy' | 'unhealthy' | null;
  /** The image as the compose file names it. */
  readonly imageName: string;
  /** `sha256:…` of the image that runs. */
  readonly imageId: string;
  readonly mounts: readonly Mount[];
  readonly ports: readonly PublishedPort[];
  /** Secrets are among them: never log it whole. */
  readonly env: Readonly<Record<string, string>>;
  /** As the image and compose file say: `postgres`, `docker-entrypoint.sh postgres`, … */
  readonly command: readonly string[];
  /** The user that the container's process runs as; '' for the image's default root. */
  readonly user: string;
  readonly oneOff: boolean;
  /** Seconds that it has to end when it is told to, before it is killed. */
  readonly graceSeconds: number;
  /** Of its first process on the host; undefined where none runs. */
  readonly pid: number | undefined;
}

export interface VolumeInfo {
  readonly name: string;
  /** Where its files lie on this host. Of one with a device that is no directory of this host, only while a container uses it. */
  readonly mountpoint: string;
  /** Undefined for a plain one. */
  readonly device?: VolumeDevice;
  readonly driver: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface ExecOptions {
  readonly user?: string;
  /** Reaches the program by the environment of the engine's command, never by argv (`--env NAME` without a value). */
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

/**
 * A container engine as this user reaches it. Every method throws `engine-failed` with the engine's own last words;
 * what is not there is null or an empty list, not an error. Nothing here stops or changes a container unless its name says so.
 */
export interface Runtime {
  readonly name: RuntimeName;
  /** True where container root is not the host's root (rootless). */
  readonly rootless: boolean;
  readonly version: string;
  /** Containers of any state with all these labels, with everything above read in one or two calls. */
  containers(labels: Readonly<Record<string, string>>): Promise<Container[]>;
  /** The container's state anew, null when it is gone. */
  container(id: string): Promise<Container | null>;
  /** Runs a program in a running container; its output as text. */
  exec(
    containerId: string,
    argv: Argv,
    options?: ExecOptions & { readonly input?: string; readonly accept?: readonly number[] },
  ): Promise<{ exitCode: number; stdout: string; stderr: string }>;
  /** Likewise, with both ends open for data of any size. */
  execStream(containerId: string, argv: Argv, options?: ExecOptions): ProcessStream;
  /**
   * Runs a program once, in the place of an image's own, in a container of its own that is gone afterwards: as root, without network, and able to write nothing but
   * /tmp. The image is never pulled. 126 and 127, where accepted, mean that the image has no such program; more than the last MiB of output is lost.
   */
  runOnce(
    image: string,
    argv: Argv,
    options: {
      /** Directories of the host (the way an engine's daemon sees them), read-only. */
      readonly mounts: readonly { readonly source: string; readonly target: string }[];
      readonly accept?: readonly number[];
      readonly timeoutMs?: number;
    },
  ): Promise<{ exitCode: number; stdout: string; stderr: string }>;
  /** Stops with the containers' own grace period; those that do not run are left. In the given order. */
  stop(ids: readonly string[]): Promise<void>;
  /** Starts containers that exist; survives the job. In the given order. */
  start(ids: readonly string[]): Promise<void>;
  pause(ids: readonly string[]): Promise<void>;
  unpause(ids: readonly string[]): Promise<void>;
  /** Removes containers, running ones too. `anonymousVolumes`: with the volumes that were made for them alone, which may be all that holds somebody's data. */
  remove(ids: readonly string[], options?: { readonly anonymousVolumes?: boolean }): Promise<void>;
  /** The container's own health check, run now, also where nothing runs it by itself (Podman without systemd). */
  runHealthCheck(id: string): Promise<'healthy' | 'unhealthy' | 'none'>;
  /** The last lines of the container's log, never the whole. */
  logTail(id: string, lines: number): Promise<string>;
  /** `sha256:…` of a name or id, null where there is none. */
  imageId(nameOrId: string): Promise<string | null>;
  /** The environment that an image gives its containers; null where there is no such image. */
  imageEnvironment(nameOrId: string): Promise<Readonly<Record<string, string>> | null>;
  /** What an image takes with all its layers, in bytes; null where there is no such image. */
  imageBytes(nameOrId: string): Promise<number | null>;
  /** The directory on this host that holds images, containers and volumes. */
  storage(): Promise<string>;
  /** Registry digests (`name@sha256:…`) of an image; empty for a local build. */
  imageDigests(nameOrId: string): Promise<string[]>;
  /** Fetches an image from its registry by `name@sha256:…`. */
  pull(reference: string): Promise<void>;
  tag(imageId: string, name: string): Promise<void>;
  /** Removes exactly this one name. The image stays when it has others or is in use. */
  untag(name: string): Promise<void>;
  /** Writes images as one tar archive without any of their names, in the format of `docker save`, which either engine loads. */
  saveImages(ids: readonly string[], file: string): Promise<void>;
  /** Takes the images of such an archive in, and gives what names it holds: look into it first. */
  loadImages(file: string): Promise<void>;
  /** Names (`repository:tag`) that begin with the prefix. */
  imageNames(prefix: string): Promise<string[]>;
  /**
   * Where the engine itself has lost what its containers find each other by (the name server of Podman's networks dies now and then, and is missed until the next start), it is set up anew under the containers
   * of `running`, asked for only then; true where that was so. Nothing is restarted.
   */
  mendNetwork(running: () => Promise<readonly string[]>): Promise<boolean>;
  volume(name: string): Promise<VolumeInfo | null>;
  /** Volumes with all these labels. */
  volumes(labels: Readonly<Record<string, string>>): Promise<VolumeInfo[]>;
  createVolume(name: string, labels: Readonly<Record<string, string>>): Promise<VolumeInfo>;
  /** Removes what Compose makes of a project besides containers and volumes: its networks and, under podman-compose, its pod. Nothing there is no error; what is in use is. */
  removeRest(project: string): Promise<void>;
  /** Removes a volume that has all these labels, and no other: false where one of that name lacks them. Nothing there is no error. */
  removeVolume(name: string, labels: Readonly<Record<string, string>>): Promise<boolean>;
  /** `linux/amd64`, … */
  platform(): Promise<string>;
}
