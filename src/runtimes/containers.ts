import { CaretakerError } from '../errors.ts';
import type { Container, Mount, PublishedPort, RuntimeName } from './runtime.ts';

/** What both engines answer to `inspect`, as far as it is read here. Lists may be null in both. */
interface Inspected {
  readonly Id: string;
  readonly Name: string;
  readonly Path?: string;
  readonly Args?: readonly string[] | null;
  /** `sha256:…` from Docker, the bare digits from Podman. */
  readonly Image: string;
  /** Podman only; its Config.Image may be an id. */
  readonly ImageName?: string;
  readonly RestartCount?: number;
  readonly State: {
    readonly Status: string;
    readonly ExitCode?: number;
    readonly Pid?: number;
    readonly StartedAt?: string;
    readonly Health?: { readonly Status?: string } | null;
    /** The name before Podman 4. */
    readonly Healthcheck?: { readonly Status?: string } | null;
  };
  readonly Config: {
    readonly Image: string;
    readonly User?: string;
    readonly Env?: readonly string[] | null;
    readonly Labels?: Readonly<Record<string, string>> | null;
    readonly Shell?: readonly string[] | null;
    readonly StopTimeout?: number | null;
    readonly Healthcheck?: { readonly Test?: readonly string[] | null; readonly Timeout?: number } | null;
  };
  readonly HostConfig?: { readonly PortBindings?: Ports | null; readonly RestartPolicy?: { readonly Name?: string } };
  readonly NetworkSettings?: { readonly Ports?: Ports | null };
  readonly Mounts?:
    | readonly {
        readonly Type: string;
        readonly Name?: string;
        readonly Source: string;
        readonly Destination: string;
        readonly RW: boolean;
      }[]
    | null;
}

/** Both engines' default. */
const GRACE_SECONDS = 10;

type Ports = Readonly<Record<string, readonly { readonly HostIp: string; readonly HostPort: string }[] | null>>;

/** The JSON list that `docker container inspect` or `podman container inspect` prints. Throws `engine-failed` for anything else. */
export function parseContainers(json: string, engine: RuntimeName): Container[] {
  return parseInspected(json, engine).map(toContainer);
}

/** A container's own health check as an argv to run in it, with its timeout; null where it has none. */
export function parseHealthCheck(
  json: string,
  engine: RuntimeName,
): { readonly argv: readonly string[]; readonly timeoutMs: number } | null {
  const config = parseInspected(json, engine)[0]?.Config;
  const [kind, ...words] = config?.Healthcheck?.Test ?? [];
  const nanoseconds = config?.Healthcheck?.Timeout ?? 0;
  // 0 stands for Docker's default.
  const timeoutMs = nanoseconds > 0 ? Math.ceil(nanoseconds / 1e6) : 30_000;
  if (kind === 'CMD') return { argv: words, timeoutMs };
  if (kind === 'CMD-SHELL') return { argv: [...(config?.Shell ?? ['/bin/sh', '-c']), words.join(' ')], timeoutMs };
  return null;
}

function parseInspected(json: string, engine: RuntimeName): readonly Inspected[] {
  try {
    return JSON.parse(json) as readonly Inspected[];
  } catch (error) {
    throw new CaretakerError('engine-failed', `failed to read what ${engine} says of its containers: it is not JSON`, {
      hint: `Run "${engine} inspect" of one of them by hand; a wrapper around ${engine} may print texts of its own.`,
      cause: error,
    });
  }
}

function toContainer(raw: Inspected): Container {
  const labels = raw.Config.Labels ?? {};
  // Docker puts a slash before it.
  const name = raw.Name.replace(/^\//, '');
  const state = stateOf(raw.State.Status, raw.HostConfig?.RestartPolicy?.Name ?? '');
  return {
    id: raw.Id,
    name,
    labels,
    service: labels['com.docker.compose.service'] ?? name,
    state,
    // Both say 0 while it runs and where it never ran.
    exitCode: ['stopped', 'restarting', 'dead'].includes(state) ? raw.State.ExitCode : undefined,
    restartCount: raw.RestartCount ?? 0,
    startedAt: instant(raw.State.StartedAt),
    health: healthOf(raw),
    imageName: raw.ImageName ?? raw.Config.Image,
    imageId: withAlgorithm(raw.Image),
    mounts: (raw.Mounts ?? []).map((mount): Mount => {
      const type = mount.Type === 'bind' || mount.Type === 'volume' || mount.Type === 'tmpfs' ? mount.Type : 'other';
      return {
        type,
        volume: type === 'volume' ? mount.Name : undefined,
        source: mount.Source,
        target: mount.Destination,
        writable: mount.RW,
      };
    }),
    ports: portsOf(raw),
    env: Object.fromEntries((raw.Config.Env ?? []).map(splitVariable)),
    command: [...(raw.Path === undefined || raw.Path === '' ? [] : [raw.Path]), ...(raw.Args ?? [])],
    user: raw.Config.User ?? '',
    // Docker Compose writes True and False.
    oneOff: labels['com.docker.compose.oneoff']?.toLowerCase() === 'true',
    graceSeconds: raw.Config.StopTimeout ?? GRACE_SECONDS,
    pid: (raw.State.Pid ?? 0) > 0 ? raw.State.Pid : undefined,
  };
}

/**
 * The last lines of the end of a log file that conmon writes: `TIME STREAM P|F TEXT`, where P is a piece of a line that was not complete yet.
 * `whole`: false where the beginning was cut off, and with it the first line.
 */
export function parseLogFile(text: string, lines: number, whole: boolean): string {
  const found: string[] = [];
  const unfinished = new Map<string, string>();
  for (const entry of text.split('\n').slice(whole ? 0 : 1)) {
    const [, stream, flag, said] = /^\S+ (stdout|stderr) ([FP]) ?([^]*)$/.exec(entry) ?? [];
    if (stream === undefined || said === undefined) continue;
    const line = (unfinished.get(stream) ?? '') + said;
    unfinished.delete(stream);
    if (flag === 'P') unfinished.set(stream, line);
    else found.push(line);
  }
  return [...found, ...unfinished.values()].slice(-lines).join('\n');
}

/** Podman gives ids without the algorithm. */
export function withAlgorithm(id: string): string {
  return id.includes(':') ? id : `sha256:${id}`;
}

function stateOf(status: string, restartPolicy: string): Container['state'] {
  switch (status) {
    case 'running':
    case 'paused':
    case 'restarting':
      return status;
    // On its way down, but its processes still write.
    case 'stopping':
      return 'running';
    case 'created':
    case 'configured':
    case 'initialized':
      return 'created';
    case 'dead':
    case 'removing':
      return 'dead';
    // Podman's word for the moment between a process's end and what follows; at last it is `exited`. It has no `restarting`.
    case 'stopped':
      return ['', 'no'].includes(restartPolicy) ? 'stopped' : 'restarting';
    default:
      return 'stopped';
  }
}

function healthOf(raw: Inspected): Container['health'] {
  const test = raw.Config.Healthcheck?.Test ?? [];
  if (test.length === 0 || test[0] === 'NONE') return null;
  const status = (raw.State.Health ?? raw.State.Healthcheck)?.Status;
  // Podman says '' before the first start, and for ever where nothing runs its checks.
  return status === 'healthy' || status === 'unhealthy' ? status : 'starting';
}

/** Docker forgets the ports of a container that does not run; they come back with it, so its configuration tells them. */
function portsOf(raw: Inspected): PublishedPort[] {
  const now = publishedPorts(raw.NetworkSettings?.Ports ?? {});
  return now.length > 0 ? now : publishedPorts(raw.HostConfig?.PortBindings ?? {});
}

function publishedPorts(ports: Ports): PublishedPort[] {
  return Object.entries(ports).flatMap(([key, bindings]) => {
    const [port, protocol = 'tcp'] = key.split('/');
    if (protocol !== 'tcp' && protocol !== 'udp') return [];
    return (bindings ?? [])
      .filter((binding) => Number(binding.HostPort) > 0)
      .map((binding) => ({
        hostIp: binding.HostIp === '' ? '0.0.0.0' : binding.HostIp,
        hostPort: Number(binding.HostPort),
        containerPort: Number(port),
        protocol,
      }));
  });
}

function splitVariable(variable: string): [string, string] {
  const at = variable.indexOf('=');
  return at === -1 ? [variable, ''] : [variable.slice(0, at), variable.slice(at + 1)];
}

function instant(text: string | undefined): string | undefined {
  // Go's zero time: never.
  if (text === undefined || text === '' || text.startsWith('0001-')) return undefined;
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}
