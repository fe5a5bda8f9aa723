import { basename, join } from 'node:path';
import type { Part } from '../archive/manifest.ts';
import { CaretakerError } from '../errors.ts';
import { realPath } from '../project/data-mounts.ts';
import { hostPathReason } from '../project/data-reasons.ts';
import type { Project } from '../project/project.ts';
import type { SourceDeps } from './sources.ts';
import { isReserved, outermost, realPlace, within } from './places.ts';

/** Where a part's data live now. */
export interface Place {
  /** With no symbolic link in it but such as the administrator made above the project's directories. */
  readonly path: string;
  /** What it lies in that is the project's: a link on the way from there to the path was made since. Not where a rollback puts it. */
  readonly root?: string;
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

/** A mount with the place where its source really lies; `written`: as the engine has it. */
interface Placed extends Mounted {
  readonly written: string | undefined;
}

/**
 * Finds a part's place: by the service and the path in its container, then by the volume's name, then by the path relative to the project
 * directory, then by the absolute path where the project has it already (mounts, the plan). Creates the volume of a project that was never up here.
 *
 * Symbolic links are followed, and what they lead to is what must be the project's: an application, or an earlier backup, may have left one in its data.
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

type Known = Omit<Place, 'path' | 'root' | 'writers'>;

/** `absent`: the volume that is to be made, in which `path` is then. */
async function find(
  part: Part,
  deps: SourceDeps,
  paths: readonly string[],
): Promise<Place & { readonly absent?: string }> {
  const { project } = deps;
  const { origin } = part;
  const mounts = await placed(await mountsOf(project, deps.anew === true), project.directory);
  const place = async (home: string, rest: string, known: Known): Promise<Place> => {
    const path = join(home, rest);
    const isVolume = mounts.some(({ volume, writable }) => writable && volume !== undefined && volume === known.volume);
    const roots = [...rootsOf(mounts, deps), ...(isVolume ? [home] : [])];
    const real = await realPlace(project.files, path, roots);
    const refused =
      [path, real ?? path].some((one) => isReserved(within(project.directory, one) ?? '')) ||
      (deps.fromStore === true && (real === undefined || !(await mayReceive(part, real, roots, mounts, deps))));
    if (refused) throw homeless(real === undefined || real === path ? path : `${real}, where ${path} leads`);
    const root = outermost(real ?? path, roots);
    const found = { path: real ?? path, ...(root === undefined ? {} : { root }) };
    return { ...found, ...known, writers: writersOf(found.path, mounts, paths) };
  };

  const inAbsent = (volume: string, rest: string, known: Known): ReturnType<typeof find> => {
    const writers = mounts.filter((mount) => mount.writable && mount.volume === volume).map(({ service }) => service);
    return Promise.resolve({ path: rest, absent: volume, ...known, writers: [...new Set(writers)] });
  };

  // A volume that somebody removed meanwhile is made anew.
  if (deps.back === true && (origin.volume === undefined || (await project.files.exists(origin.path)))) {
    const { service, containerPath, volume } = origin;
    const known = {
      ...(service === undefined ? {} : { service }),
      ...(containerPath === undefined ? {} : { containerPath }),
      ...(volume === undefined ? {} : { volume }),
    };
    return { path: origin.path, ...known, writers: writersOf(origin.path, mounts, paths) };
  }
  if (origin.service !== undefined && origin.containerPath !== undefined) {
    const { service, containerPath } = origin;
    const found = mounts
      .filter((mount) => mount.service === service && within(mount.target, containerPath) !== undefined)
      .sort((one, other) => other.target.length - one.target.length)[0];
    if (found !== undefined) {
      const rest = within(found.target, containerPath) ?? '';
      const where = { service, containerPath, ...(found.volume === undefined ? {} : { volume: found.volume }) };
      return found.source === undefined ? inAbsent(found.volume ?? '', rest, where) : place(found.source, rest, where);
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
      : place(info.mountpoint, rest, { ...known, volume });
  }
  if (volume === undefined && origin.relativePath !== undefined)
    return place(project.directory, origin.relativePath, known);
  const homes = [project.directory, ...(deps.plan?.take ?? []).map(({ path }) => path)];
  for (const [home, real] of [
    ...homes.map((one) => [one, one] as const),
    ...mounts.flatMap(({ source, written = source }) =>
      source === undefined || written === undefined ? [] : [[written, source] as const, [source, source] as const],
    ),
  ]) {
    const rest = within(home, origin.path);
    if (rest !== undefined) return place(real, rest, known);
  }
  throw homeless();

  function homeless(place?: string): CaretakerError {
    const missing =
      origin.containerPath === undefined
        ? origin.path
        : `mount at ${origin.containerPath} in ${origin.service ?? 'a service'}`;
    const why = place === undefined ? `has no ${missing}` : `has no data at ${place}`;
    return new CaretakerError('part-homeless', `failed to find where ${part.name} belongs: ${project.name} ${why}`, {
      input: 'data',
      hint: 'Check that this is the right project and that its compose file mounts the data, and not read-only. For data elsewhere, and for configuration, name their path in "data"; where it was lost, make an empty one first. Or restore by hand with the RESTORE.md of the backup.',
    });
  }
}

/** What Compose and this program read by themselves, also where it is not there yet. */
const CONFIGURATION = /^(?:\.env|caretaker\.yml|(?:(?:docker|podman|container)-)?compose(?:\.override)?\.ya?ml)$/;

/**
 * Whether a part of a backup whose manifest anybody may have written may go to this place. Only what the application can write by its mounts, or the project's settings name, besides the
 * project directory. In it, what decides what runs next, and whatever holds such a thing, must be named itself, as one of those.
 */
async function mayReceive(
  part: Part,
  path: string,
  roots: readonly string[],
  mounts: readonly Placed[],
  deps: SourceDeps,
): Promise<boolean> {
  const { project, clone } = deps;
  if (outermost(path, roots) === undefined) return false;
  const isNamed =
    plannedPaths(deps).includes(path) || (writableSources(mounts).includes(path) && hostPathReason(path) === undefined);
  // The project's own files are written only where they are missing.
  if (isNamed || part.kind === 'project-files') return true;
  const configuration = await project.configurationFiles();
  const deciding = [
    project.directory,
    ...(clone === undefined ? [] : [clone]),
    ...configuration,
    ...(await Promise.all(configuration.map(realPath))),
  ];
  const isConfiguration = within(project.directory, path) !== undefined && CONFIGURATION.test(basename(path));
  return !isConfiguration && !deciding.some((file) => within(path, file) !== undefined);
}

/** Where the project has data, or may have some: the directory itself, what its settings name, and what its services write to. */
function rootsOf(mounts: readonly Placed[], deps: SourceDeps): string[] {
  return [deps.project.directory, ...plannedPaths(deps), ...writableSources(mounts)];
}

function plannedPaths({ plan }: SourceDeps): string[] {
  return (plan?.take ?? []).filter(({ type }) => type !== 'project-files').map(({ path }) => path);
}

/** The host as a whole is nobody's data, even where something may write to it. */
function writableSources(mounts: readonly Mounted[]): string[] {
  return mounts.flatMap(({ source, writable }) => (writable && source !== undefined && source !== '/' ? [source] : []));
}

/**
 * Mounts by where their sources really lie, which is how data are known; a volume's is the engine's own. A link inside of what a service may write to is not the administrator's word: a mount
 * of what is behind it stays as it is written there. Whoever may write to the project directory decides anyway what is mounted.
 */
async function placed(mounts: readonly Mounted[], projectDirectory: string): Promise<Placed[]> {
  const binds = writableSources(mounts.filter(({ volume }) => volume === undefined)).filter(
    (source) => within(source, projectDirectory) === undefined,
  );
  const outer = await Promise.all(
    [...new Set(binds)]
      .sort((one, other) => one.length - other.length)
      .map(async (written) => ({ written, real: await realPath(written) })),
  );
  const placeOf = async (source: string): Promise<string> => {
    for (const { written, real } of outer) {
      const rest = within(written, source) ?? within(real, source);
      if (rest !== undefined) return join(real, rest);
    }
    return realPath(source);
  };
  return Promise.all(
    mounts.map(async (mount) => {
      const { source, volume } = mount;
      const isBind = source !== undefined && volume === undefined;
      return { ...mount, written: source, source: isBind ? await placeOf(source) : source };
    }),
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
