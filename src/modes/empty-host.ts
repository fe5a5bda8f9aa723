import path from 'node:path';
import type { Manifest, Part } from '../archive/manifest.ts';
import { CaretakerError } from '../errors.ts';
import type { Project } from '../project/project.ts';
import type { RestoreSettings } from '../settings/settings.ts';
import { createVolume, lookFor, RUN_LABEL } from '../sources/locate.ts';
import type { Store } from '../stores/store.ts';
import { chooseBackup, type ChosenBackup } from './choose.ts';
import { sourceDeps } from './data.ts';
import { dataParts } from './exchange.ts';
import { imageNameOf } from '../compose/dialects.ts';
import { choosePieces } from './pieces.ts';
import { bringProjectFiles, missingDirectories, removeEmpty } from './project-files-back.ts';
import type { Tools } from './tools.ts';

/** What the parts of a backup would be put upon. */
export interface Ground {
  /** No container, nothing that runs, and no file where any part belongs but what git has: there is nothing to lose. */
  readonly empty: boolean;
  /** Where each part goes, by its name; missing for one whose volume or place is not there yet. */
  readonly places: ReadonlyMap<string, string>;
}

/**
 * Touches nothing. All parts of the backup count, also those that are not restored. `needed`: those that must have a place; where another version of the compose file
 * is going to count, there is none yet that must.
 */
export async function lookAtGround(
  tools: Tools,
  parts: readonly Part[],
  { needed }: { readonly needed: readonly Part[] },
): Promise<Ground> {
  const { project } = tools;
  let empty = (await project.containers()).length === 0 && !(await project.running());
  const places = new Map<string, string>();
  for (const part of dataParts(parts)) {
    try {
      const place = await lookFor(part, { ...sourceDeps(tools), fromStore: true });
      if ('volume' in place) continue;
      places.set(part.name, place.path);
      empty &&= await holdsNothing(tools, place.path);
    } catch (error) {
      const mayLack =
        error instanceof CaretakerError &&
        error.code === 'part-homeless' &&
        !needed.some(({ name }) => name === part.name);
      if (!mayLack) throw error;
    }
  }
  return { empty, places };
}

/** A fresh clone may bring directories that are mounted, and git has them still. */
async function holdsNothing({ project: { files }, checkout }: Tools, place: string): Promise<boolean> {
  if (!(await files.exists(place))) return true;
  const scan = await files.scan(place);
  return (scan.kind === 'directory' && scan.files === 0) || (await checkout?.isGits(scan.root)) === true;
}

/** How a run opens the project anew, when its files have come; from then on undo acts on that one. */
export type Reopen = (composeFiles: readonly string[]) => Promise<Tools>;

/**
 * The first of a restore: the backup, and a project that it can go to. On a host that has no containers of it, compose files and `.env` come out of the backup where they are not there, and
 * the project is opened by them. `missing`: why there is no project yet.
 */
export async function chooseAndOpen(
  tools: Tools,
  settings: RestoreSettings,
  openFolder: (directory: string) => Store,
  { reopen, missing }: { readonly reopen: Reopen; readonly missing: CaretakerError | undefined },
): Promise<{ readonly tools: Tools; readonly chosen: ChosenBackup }> {
  const { project, recorder } = tools;
  const chosen = await recorder.step('Choose the backup', () =>
    chooseBackup(tools, settings.backup, openFolder, { anywhere: missing !== undefined, inPlace: true }),
  );
  if (missing === undefined && (project.engine === null || !(await seemsEmpty(tools, chosen.manifest))))
    return { tools, chosen };
  // What `only` can't mean is told before anything is written.
  choosePieces(chosen.manifest, settings.only);
  await refuseWithoutSecrets(tools, chosen.manifest);
  const written = await bringProjectFiles(tools, chosen);
  if (written === 0 && missing !== undefined) throw missing;
  const files = settings.composeFiles.length > 0 ? [] : await composeFilesOf(project, chosen.manifest);
  const others = files.length > 0 && files.join('\n') !== project.engine?.compose.files.join('\n');
  return { tools: written > 0 || others ? await reopen(files) : tools, chosen };
}

/** By what is there now; without its `.env` a compose file may not even be read. What is certain is looked at when the files are there. */
async function seemsEmpty(tools: Tools, manifest: Manifest): Promise<boolean> {
  if ((await tools.project.containers()).length > 0) return false;
  try {
    return (await lookAtGround(tools, manifest.parts, { needed: [] })).empty;
  } catch (error) {
    // Missing: what a killed run had written was taken away again just now.
    const unread = ['compose-file-invalid', 'compose-file-missing', 'env-file-missing'];
    if (error instanceof CaretakerError && unread.includes(error.code)) return true;
    throw error;
  }
}

/** Files that the backup was not given for their secrets: without them the application would come up with other settings, or not at all. `secrets-missing`. */
export async function refuseWithoutSecrets(
  { project, checkout, recorder }: Pick<Tools, 'project' | 'checkout' | 'recorder'>,
  manifest: Pick<Manifest, 'name' | 'left'>,
): Promise<void> {
  const missing: string[] = [];
  for (const { what, secret } of manifest.left) {
    if (secret !== true) continue;
    const file = path.resolve(project.directory, what);
    if (!(await project.files.exists(file))) missing.push(what);
    // It was left out since it differed from that.
    else if ((await checkout?.isGits(file)) === true)
      recorder.warn(`${what} is as git has it. Where the backup was made it was not, and is not in the backup.`);
  }
  if (missing.length === 0) return;
  throw new CaretakerError(
    'secrets-missing',
    `failed to restore ${manifest.name}: it does not hold ${missing.join(', ')}, and this host has none`,
    {
      hint: `Put your copy there (mode 600), then run again. Backups hold such files where they are encrypted (encrypt-to) or go to folders alone.`,
    },
  );
}

/** The backup's own, where all of them are here. */
async function composeFilesOf(project: Project, manifest: Manifest): Promise<string[]> {
  const names = manifest.engine?.composeFiles ?? [];
  const files: string[] = [];
  for (const name of names) {
    const file = path.resolve(project.directory, name);
    if (!file.startsWith(`${project.directory}/`) || !(await project.files.exists(file))) return [];
    files.push(file);
  }
  return files;
}

/** Plain data of the undo action `ground-away`. */
export interface MadeGround {
  readonly run: string;
  readonly volumes: readonly string[];
  /** Directories that were not there; absolute, outer ones first. */
  readonly directories: readonly string[];
  /** Whether there was no container before. */
  readonly containers: boolean;
}

/** Makes the volumes and the directories that the parts are put into. `how`: as for their sources. */
export async function makeGround(
  tools: Tools,
  parts: readonly Part[],
  { empty, how }: { readonly empty: boolean; readonly how: { readonly anew?: true } },
): Promise<void> {
  const { project, saga, run, log } = tools;
  const deps = { ...sourceDeps(tools), ...how, fromStore: true } as const;
  const volumes = new Set<string>();
  const parents: string[] = [];
  const places: string[] = [];
  for (const part of dataParts(parts)) {
    const place = await lookFor(part, deps);
    if ('volume' in place) volumes.add(place.volume);
    else {
      places.push(place.path);
      parents.push(path.dirname(place.path));
    }
  }
  const mounted = empty ? await bindsOf(project, places, tools) : [];
  const inProject = (one: string): string[] => {
    const rest = path.relative(project.directory, one);
    return rest === '' || rest.startsWith('..') ? [] : [rest];
  };
  const wanted = await missingDirectories(project.directory, parents.flatMap(inProject));
  const mayCome = await missingDirectories(project.directory, [...wanted, ...mounted.flatMap(inProject)]);
  if (!empty && volumes.size === 0 && wanted.length === 0) return;
  const absolute = mayCome.map((one) => path.join(project.directory, one));
  const made: MadeGround = { run, volumes: [...volumes], directories: absolute, containers: !empty };
  await saga.step('make volumes and directories', { undo: { action: 'ground-away', data: made } }, async () => {
    for (const volume of volumes) {
      log.info(`Volume ${volume}: made`);
      await createVolume(project, volume, run);
    }
    for (const one of wanted) {
      const place = path.join(project.directory, one);
      await project.files.makeDirectory(place, path.dirname(place));
    }
  });
}

/** Bind mounts whose source is not there: Docker makes a directory in its place, and no application finds the file that it wants. */
async function bindsOf({ engine, files }: Project, places: readonly string[], { recorder }: Tools): Promise<string[]> {
  const missing = new Set<string>();
  for (const { name, volumes } of (await engine?.compose.model())?.services ?? []) {
    for (const { type, source } of volumes) {
      if (type !== 'bind' || (await files.exists(source))) continue;
      missing.add(source);
      if (!places.some((place) => place === source || place.startsWith(`${source}/`)))
        recorder.warn(`${source}, which ${name} has mounted, is not here, and the backup does not have it.`);
    }
  }
  return [...missing];
}

/** Undo: what only this run has made goes, the containers first. */
export async function groundAway({ project, log }: Tools, made: MadeGround): Promise<void> {
  const { engine } = project;
  if (!made.containers) {
    if (engine === null) await project.stop();
    else if ((await project.containers()).length > 0) await engine.compose.down();
  }
  // A container of the version that failed still has a volume that was not there before it.
  const last = (await project.containers()).filter(({ mounts }) =>
    mounts.some(({ volume }) => volume !== undefined && made.volumes.includes(volume)),
  );
  if (engine !== null && last.length > 0) {
    const ids = last.map(({ id }) => id);
    await engine.runtime.stop(ids);
    await engine.runtime.remove(ids);
  }
  for (const volume of made.volumes) {
    if ((await engine?.runtime.removeVolume(volume, { [RUN_LABEL]: made.run })) === false)
      log.warn(`The volume ${volume} is not of this run, and stays.`);
  }
  await removeEmpty('/', made.directories);
}

/** Names of images that stand for nothing: what a restore that fails brings under them goes again. */
export async function absentImages(project: Project): Promise<string[]> {
  const { engine } = project;
  if (engine === null) return [];
  const names: string[] = [];
  for (const service of (await engine.compose.model()).services) {
    const name = imageNameOf(engine.compose.dialect, project.name, service);
    if ((await engine.runtime.imageId(name)) === null) names.push(name);
  }
  return [...new Set(names)];
}
