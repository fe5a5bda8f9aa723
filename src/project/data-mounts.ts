import { realpath } from 'node:fs/promises';
import { isAbsolute, join, normalize, relative } from 'node:path';
import type { ComposeModel, ComposeService } from '../compose/compose.ts';
import type { Container, Runtime } from '../runtimes/runtime.ts';
import { hostPathReason } from './data-reasons.ts';

/** One mount of one service, from its container or, where there is none, from the compose file. */
export interface ServiceMount {
  readonly service: string;
  readonly type: 'bind' | 'volume' | 'tmpfs' | 'other';
  /** Absolute on the host; '' for tmpfs. */
  readonly source: string;
  readonly volume: string | undefined;
  /** Absolute in the container. */
  readonly target: string;
  readonly writable: boolean;
}

/** What is known of a service: by its container, or only by the compose file. */
export interface ServiceFacts {
  readonly name: string;
  readonly container: Container | undefined;
  readonly image: string;
  readonly env: Readonly<Record<string, string>>;
  readonly command: readonly string[];
}

/** Every mount of a project. */
export interface Mounts {
  readonly all: readonly ServiceMount[];
  readonly services: readonly ServiceFacts[];
  /** Volumes that the compose file names and the engine does not have yet. */
  readonly missingVolumes: readonly string[];
}

/** Where containers exist they are believed, for they show what runs; the compose file speaks for services without one. */
export async function readMounts(
  model: ComposeModel,
  containers: readonly Container[],
  runtime: Runtime,
): Promise<Mounts> {
  const all: ServiceMount[] = [];
  const missingVolumes: string[] = [];
  for (const container of containers) {
    for (const mount of container.mounts) {
      all.push({
        service: container.service,
        type: mount.type,
        source: mount.type === 'bind' ? await realSource(mount.source) : tidy(mount.source),
        volume: mount.volume,
        target: tidy(mount.target),
        writable: mount.writable,
      });
    }
  }
  const facts: ServiceFacts[] = containers.map((container) => ({
    name: container.service,
    container,
    image: container.imageName,
    env: container.env,
    command: container.command,
  }));
  for (const service of model.services) {
    if (containers.some((container) => container.service === service.name)) continue;
    facts.push({
      name: service.name,
      container: undefined,
      image: service.image ?? '',
      env: service.environment,
      command: [],
    });
    const { mounts, missing } = await mountsOfService(service, model, runtime);
    all.push(...mounts);
    missingVolumes.push(...missing);
  }
  return { all, services: facts, missingVolumes: [...new Set(missingVolumes)] };
}

async function mountsOfService(
  service: ComposeService,
  model: ComposeModel,
  runtime: Runtime,
): Promise<{ mounts: ServiceMount[]; missing: string[] }> {
  const mounts: ServiceMount[] = [];
  const missing: string[] = [];
  for (const volume of service.volumes) {
    const base = { service: service.name, target: tidy(volume.target), writable: !volume.readOnly };
    if (volume.type !== 'volume') {
      const source = volume.type === 'bind' ? await realSource(volume.source) : '';
      mounts.push({ ...base, type: volume.type, source, volume: undefined });
      continue;
    }
    // An anonymous volume of a container that does not exist has no data.
    if (volume.source === '') continue;
    const name = model.volumes[volume.source]?.name ?? volume.source;
    const info = await runtime.volume(name);
    if (info === null) missing.push(name);
    else mounts.push({ ...base, type: 'volume', source: tidy(info.mountpoint), volume: name });
  }
  return { mounts, missing };
}

/** True for the same path, too. */
export function contains(outer: string, inner: string): boolean {
  const path = relative(outer, inner);
  return path === '' || (path !== '..' && !path.startsWith('../') && !isAbsolute(path));
}

/**
 * Services that can write into this path: they mount it, something around it or something in it. A mount inside one of `apart` (absolute: what
 * other parts take, such as a database's directory in a bigger tree) makes no writer.
 */
export function writersOf(mounts: Mounts, path: string, apart: readonly string[] = []): string[] {
  const names = mounts.all
    .filter((mount) => mount.writable && mount.source !== '')
    .filter((mount) => contains(mount.source, path) || contains(path, mount.source))
    .filter((mount) => !apart.some((taken) => contains(taken, mount.source)))
    .map((mount) => mount.service);
  return [...new Set(names)];
}

/** The closest mount of a service (of any, without a name) that holds this host path; a writable one before a read-only one. */
export function mountOf(mounts: Mounts, path: string, service?: string): ServiceMount | undefined {
  return mounts.all
    .filter(
      (mount) =>
        mount.source !== '' && contains(mount.source, path) && (service === undefined || mount.service === service),
    )
    .sort((a, b) => b.source.length - a.source.length || Number(b.writable) - Number(a.writable))[0];
}

/** The path by which a container sees a host path that this mount holds. */
export function containerPathOf(mount: ServiceMount, path: string): string {
  return tidy(join(mount.target, relative(mount.source, path)));
}

/** The host path of a container's path; undefined where it lies in no mount, i.e. in the container itself. */
export function hostPathOf(mounts: Mounts, service: string, containerPath: string): string | undefined {
  const path = tidy(containerPath);
  const mount = mounts.all
    .filter((candidate) => candidate.service === service && candidate.source !== '' && contains(candidate.target, path))
    .sort((a, b) => b.target.length - a.target.length)[0];
  return mount === undefined ? undefined : tidy(join(mount.source, relative(mount.target, path)));
}

/** Links resolved, for what is behind one is exchanged where it really lies, and two links to one place are one place. */
async function realSource(path: string): Promise<string> {
  const written = tidy(path);
  // /etc/localtime is a link nearly everywhere; it is known by its name.
  return hostPathReason(written) === undefined ? realPath(written) : written;
}

/** Links resolved; what this user may not enter, or what is not there, stays as it is written. */
export async function realPath(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    if (['ENOENT', 'EACCES', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return path;
    throw error;
  }
}

function tidy(path: string): string {
  if (path === '') return '';
  const normal = normalize(path);
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}
