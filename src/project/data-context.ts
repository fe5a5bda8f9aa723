import { basename, relative } from 'node:path';
import type { ComposeModel } from '../compose/compose.ts';
import { isAnonymousName } from '../runtimes/volume-options.ts';
import { contains, readMounts, realPath } from './data-mounts.ts';
import type { Mounts, ServiceMount } from './data-mounts.ts';
import { Names } from './data-names.ts';
import { hostPathReason } from './data-reasons.ts';
import type { SplitDeps } from './data-split.ts';
import type { DataPlan, Project, SourceSpec } from './project.ts';

/** What the resolving of `data` needs to know of the project, read once. */
export interface DataContext extends SplitDeps {
  readonly project: Project;
  readonly model: ComposeModel;
  /** Absolute, links resolved: secrets that must not be in this backup, whatever mounts or names them. */
  readonly withheld: readonly string[];
}

/** Absolute paths that are not to get into a backup. */
export interface Unwanted {
  /** Left out of trees that hold them: a folder of backups. */
  readonly never?: readonly string[];
  /** Left out of trees that hold them, and not taken by themselves either: files of secrets. */
  readonly withheld?: readonly string[];
}

export type Left = DataPlan['leave'][number];

export async function contextOf(project: Project, { never = [], withheld = [] }: Unwanted = {}): Promise<DataContext> {
  const { engine } = project;
  const model: ComposeModel =
    engine === null ? { name: project.name, services: [], volumes: {} } : await engine.compose.model();
  const mounts: Mounts =
    engine === null
      ? { all: [], services: [], missingVolumes: [] }
      : await readMounts(model, await project.containers(), engine.runtime);
  return {
    project,
    model,
    mounts,
    runtime: engine?.runtime ?? null,
    files: project.files,
    names: new Names(),
    never: await byAllNames([project.stateDirectory, ...never, ...withheld]),
    withheld: await byAllNames(withheld),
    projectDirectory: project.directory,
  };
}

/** As they are written and where they really lie: mounts and walks tell real paths. */
async function byAllNames(paths: readonly string[]): Promise<string[]> {
  return [...new Set([...paths, ...(await Promise.all(paths.map(realPath)))])];
}

/** Why what lies there, by its real path, is not taken at all. */
export function withheldReason(path: string, { withheld }: Pick<DataContext, 'withheld'>): string | undefined {
  return withheld.some((secret) => contains(secret, path)) ? 'it holds secrets that this backup must not' : undefined;
}

/** Only what is certain: everything else is taken. */
export function staticReason(path: string, mounts: readonly ServiceMount[]): string | undefined {
  const type = mounts[0]?.type;
  if (type === 'tmpfs') return 'tmpfs: it lives in memory';
  if (type === 'other') return 'neither a bind mount nor a volume';
  if (type === 'bind') {
    const why = hostPathReason(path);
    if (why !== undefined) return why;
  }
  return mounts.some((mount) => mount.writable) ? undefined : 'mounted read-only: the application does not write it';
}

export function isAnonymous(mount: ServiceMount): boolean {
  return isAnonymousName(mount.volume);
}

/** A volume by its key in the compose file, a directory by its path in the project. */
export function namesOf(
  path: string,
  mount: ServiceMount | undefined,
  context: Pick<DataContext, 'project' | 'model'>,
): string[] {
  const { project, model } = context;
  if (mount?.volume !== undefined) {
    if (isAnonymous(mount)) return [`${mount.service}-${basename(mount.target)}`];
    const key = Object.entries(model.volumes).find(([, volume]) => volume.name === mount.volume)?.[0];
    return [
      key ?? (mount.volume.startsWith(`${project.name}_`) ? mount.volume.slice(project.name.length + 1) : mount.volume),
    ];
  }
  if (path === project.directory) return ['project-directory'];
  const inside = contains(project.directory, path);
  const name = inside ? relative(project.directory, path) : basename(path);
  return [name, `${basename(relative(project.directory, `${path}/..`)) || 'other'}-${basename(path)}`];
}

export function describe(path: string, mounts: readonly ServiceMount[]): string {
  const where = [...new Set(mounts.map((mount) => `${mount.service}:${mount.target}`))].join(', ');
  const volume = mounts[0]?.volume;
  return volume === undefined ? `${path} (${where})` : `volume ${volume} (${where})`;
}

/** The configuration as a part of its own; what lies outside the project's directory can't be in its tree and is a file by itself. */
export async function projectFiles(context: DataContext, claimed?: string): Promise<SourceSpec[]> {
  const { project, names } = context;
  const all: string[] = [];
  for (const path of await project.configurationFiles())
    if (withheldReason(await realPath(path), context) === undefined) all.push(path);
  const inside = all.filter((path) => contains(project.directory, path));
  const specs: SourceSpec[] = [];
  if (inside.length > 0) {
    specs.push({
      type: 'project-files',
      name: claimed ?? names.take(['project-files', 'configuration']),
      path: project.directory,
      members: inside,
      exclude: [],
      writers: [],
    });
  }
  for (const path of all) {
    if (inside.includes(path)) continue;
    specs.push({
      type: 'file',
      name: names.take([basename(path), `file-${basename(path)}`]),
      path,
      exclude: [],
      writers: [],
    });
  }
  return specs;
}

export function leftMounts(context: DataContext, taken: readonly SourceSpec[]): Left[] {
  const bySource = Map.groupBy(context.mounts.all, (mount) => (mount.source === '' ? mount.target : mount.source));
  return [...bySource]
    .filter(
      ([path]) =>
        !taken.some(
          (spec) => spec.type !== 'project-files' && (contains(spec.path, path) || contains(path, spec.path)),
        ),
    )
    .map(([path, own]) => ({ what: describe(path, own), why: staticReason(path, own) ?? 'not named in data' }));
}
