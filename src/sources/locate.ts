import { join } from 'node:path';
import type { Part } from '../archive/manifest.ts';
import { CaretakerError } from '../errors.ts';
import type { Project } from '../project/project.ts';
import type { SourceDeps } from './sources.ts';
import { within } from './places.ts';

/** Where a part's data live now. */
export interface Place {
  readonly path: string;
  readonly service?: string;
  readonly volume?: string;
  readonly containerPath?: string;
  /** Services that can write to it, and those that hold the very directory or file that a restore exchanges: they would go on reading the old one. */
  readonly writers: readonly string[];
}

export interface Mounted {
  readonly service: string;
  readonly target: string;
  readonly writable: boolean;
  readonly volume: string | undefined;
  /** Undefined for a volume that is not there yet. */
  readonly source: string | undefined;
}

/**
 * Finds a part's place: by the service and the path in its container, then by the volume's name, then by the path relative to the project
 * directory, then by the absolute path where the project has it already (mounts, the plan). Creates the volume of a project that was never up here.
 *
 * `paths`: what inside it is exchanged; none for the whole. The manifest is not believed in: anybody who can store an artifact can write one, and `path: /etc` must not be written to. Only in a rollback
 * (`back`) it is this run's own, and the project's present state is what can't be believed.
 */
export async function locate(part: Part, deps: SourceDeps, paths: readonly string[] = []): Promise<Place> {
  const { absent, ...place } = await find(part, deps, paths);
  if (absent === undefined) return place;
  return { ...place, path: join(await createVolume(deps.project, absent, deps.run), place.path) };
}

/** Where a part's data would go, without making anything: a path, or the name of a volume that is not there yet. `part-homeless`. */
export async function lookFor(
  part: Part,
  deps: SourceDeps,
): Promise<{ readonly path: string } | { readonly volume: string }> {
  const { absent, path } = await find(part, deps, []);
  return absent === undefined ? { path } : { volume: absent };
}

/** `absent`: the volume that is to be made, in which `path` is then. */
async function find(
  part: Part,
  deps: SourceDeps,
  paths: readonly string[],
): Promise<Place & { readonly absent?: string }> {
  const { project } = deps;
  const { origin } = part;
  const mounts = await mountsOf(project, deps.anew === true);
  const place = (path: string, known: Omit<Place, 'path' | 'writers'>): Place => ({
    path,
    ...known,
    writers: writersOf(path, mounts, paths),
  });

  const inAbsent = (volume: string, rest: string, known: Omit<Place, 'path' | 'writers'>): ReturnType<typeof find> => {
    const writers = mounts.filter((mount) => mount.writable && mount.volume === volume).map(({ service }) => service);
    return Promise.resolve({ path: rest, absent: volume, ...known, writers: [...new Set(writers)] });
  };

  // A volume that somebody removed meanwhile is made anew.
  if (deps.back === true && (origin.volume === undefined || (await project.files.exists(origin.path)))) {
    const { service, containerPath, volume } = origin;
    return place(origin.path, {
      ...(service === undefined ? {} : { service }),
      ...(containerPath === undefined ? {} : { containerPath }),
      ...(volume === undefined ? {} : { volume }),
    });
  }
  if (origin.service !== undefined && origin.containerPath !== undefined) {
    const { service, containerPath } = origin;
    const found = mounts
      .filter((mount) => mount.service === service && within(mount.target, containerPath) !== undefined)
      .sort((one, other) => other.target.length - one.target.length)[0];
    if (found !== undefined) {
      const rest = within(found.target, containerPath) ?? '';
      const where = { service, containerPath, ...(found.volume === undefined ? {} : { volume: found.volume }) };
      return found.source === undefined
        ? inAbsent(found.volume ?? '', rest, where)
        : place(join(found.source, rest), where);
    }
  }
  const known = {
    ...(origin.service === undefined ? {} : { service: origin.service }),
    ...(origin.containerPath === undefined ? {} : { containerPath: origin.containerPath }),
  };
  const { volume } = origin;
  // Only a volume that the project has: the name comes from outside.
  if (volume !== undefined && mounts.some((mount) => mount.volume === volume)) {
    const info = await project.engine?.runtime.volume(volume);
    const rest = restInVolume(origin.path, volume);
    return info === undefined || info === null
      ? inAbsent(volume, rest, { ...known, volume })
      : place(join(info.mountpoint, rest), { ...known, volume });
  }
  if (volume === undefined && origin.relativePath !== undefined)
    return place(join(project.directory, origin.relativePath), known);
  const homes = [
    project.directory,
    ...mounts.flatMap(({ source }) => (source === undefined ? [] : [source])),
    ...(deps.plan?.take ?? []).map(({ path }) => path),
  ];
  if (homes.some((home) => within(home, origin.path) !== undefined)) return place(origin.path, known);
  throw new CaretakerError(
    'part-homeless',
    `failed to find where ${part.name} belongs: ${project.name} has no ${
      origin.containerPath === undefined
        ? origin.path
        : `mount at ${origin.containerPath} in ${origin.service ?? 'a service'}`
    }`,
    {
      input: 'data',
      hint: 'Check that this is the right project and that its compose file mounts the data. For data outside the project, name their path in "data", or restore by hand with the RESTORE.md of the backup.',
    },
  );
}

/** As the containers have them, and the compose file for services without one, as on an empty host; `anew`: the other way round. */
export async function mountsOf(project: Project, anew = false): Promise<Mounted[]> {
  if (!anew) {
    const mounts = await mountsOfContainers(project);
    const seen = new Set(mounts.map(({ service }) => service));
    return [...mounts, ...(await mountsOfModel(project)).filter(({ service }) => !seen.has(service))];
  }
  const mounts = await mountsOfModel(project);
  const covered = ({ service, target }: Mounted): boolean =>
    mounts.some((mount) => mount.service === service && within(mount.target, target) !== undefined);
  return [...mounts, ...(await mountsOfContainers(project)).filter((mount) => !covered(mount))];
}

async function mountsOfContainers(project: Project): Promise<Mounted[]> {
  const mounts: Mounted[] = [];
  for (const container of await project.containers()) {
    if (container.oneOff) continue;
    for (const { type, source, target, writable, volume } of container.mounts) {
      if (type === 'bind' || type === 'volume')
        mounts.push({ service: container.service, target, writable, volume, source });
    }
  }
  return mounts;
}

async function mountsOfModel({ engine }: Project): Promise<Mounted[]> {
  if (engine === null) return [];
  const mounts: Mounted[] = [];
  const model = await engine.compose.model();
  for (const service of model.services) {
    for (const { type, source, target, readOnly } of service.volumes) {
      if (type === 'bind') {
        mounts.push({ service: service.name, target, writable: !readOnly, volume: undefined, source });
      } else if (type === 'volume' && source !== '') {
        const name = model.volumes[source]?.name ?? source;
        const info = await engine.runtime.volume(name);
        mounts.push({ service: service.name, target, writable: !readOnly, volume: name, source: info?.mountpoint });
      }
    }
  }
  return mounts;
}

/** Says which run made it: what that run makes in vain it takes away again. */
export const RUN_LABEL = 'compose-caretaker.run';

/** Makes a volume of the project as Compose would; answers with its mount point. One that is there stays as it is. */
export async function createVolume(project: Project, name: string, run: string): Promise<string> {
  const engine = project.engine!;
  const { volumes } = await engine.compose.model();
  const [key, own] = Object.entries(volumes).find(([, volume]) => volume.name === name) ?? [name];
  const created = await engine.runtime.createVolume(name, {
    // Compose takes a volume for its own by these, and warns without them. An external one is nobody's.
    ...(own?.external === true ? {} : { 'com.docker.compose.project': project.name, 'com.docker.compose.volume': key }),
    [RUN_LABEL]: run,
  });
  return created.mountpoint;
}

/** `db/app.sqlite3` of `/var/lib/docker/volumes/shop_api-db/_data/db/app.sqlite3`. */
function restInVolume(path: string, volume: string): string {
  const mark = `/${volume}/_data/`;
  const at = path.indexOf(mark);
  return at === -1 ? '' : path.slice(at + mark.length);
}

function writersOf(path: string, mounts: readonly Mounted[], paths: readonly string[]): string[] {
  const exchanged = paths.length === 0 ? [path] : paths.map((one) => join(path, one));
  const touching = mounts.filter(
    ({ source, writable }) =>
      source !== undefined &&
      (exchanged.some((one) => within(one, source) !== undefined) ||
        (writable && (within(source, path) !== undefined || within(path, source) !== undefined))),
  );
  return [...new Set(touching.map(({ service }) => service))];
}
