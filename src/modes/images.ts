import { existsSync } from 'node:fs';
import { imageNameOf } from '../compose/dialects.ts';
import type { Project } from '../project/project.ts';
import { inStorage } from '../runtimes/storage.ts';
import type { BuildSettings } from '../settings/settings.ts';
import type { Room } from './capture.ts';

/** A name and the image that ran under it before the update. Plain data for the journal. */
export interface ImageName {
  readonly name: string;
  readonly id: string;
  /** What the name stood for, which somebody may have moved since the start; null for nothing. Missing in the journals of older versions. */
  readonly was?: string | null;
}

// A full name (with `localhost/`), since Podman gives short names one and Docker does not. Project names hold no dot.
const protection = (project: string): string => `localhost/compose-caretaker/protected:${project}.`;
const failure = (project: string): string => `localhost/compose-caretaker/failed:${project}.`;

/**
 * The images that run now get a name of ours, so that a build that reuses their tag, and a prune after it (USO's own script does both),
 * can't take away the way back; so do those of services that have no container. Answers with the names to put back on failure.
 */
export async function protectImages(project: Project, run: string): Promise<readonly ImageName[]> {
  if (project.engine === null) return [];
  const { runtime, compose } = project.engine;
  const names: ImageName[] = [];
  const containers = await project.containers();
  for (const { service, imageId, imageName, oneOff } of containers) {
    if (oneOff || names.some(({ name }) => name === imageName)) continue;
    const name = `${protection(project.name)}${service}.${run}`;
    await inStorage(runtime, `protect the image of ${service}`, () => runtime.tag(imageId, name));
    // A name by digest can't be moved, and an image without a name has none to go back to.
    if (imageName !== '' && !imageName.includes('@') && !imageName.startsWith('sha256:'))
      names.push({ name: imageName, id: imageId, was: await runtime.imageId(imageName) });
  }
  for (const defined of (await compose.model()).services) {
    const service = defined.name;
    if (containers.some((container) => container.service === service)) continue;
    const name = imageNameOf(compose.dialect, project.name, defined);
    if (name.includes('@') || names.some((one) => one.name === name)) continue;
    const id = await runtime.imageId(name);
    if (id === null) continue;
    await inStorage(runtime, `protect the image of ${service}`, () =>
      runtime.tag(id, `${protection(project.name)}${service}.${run}`),
    );
    names.push({ name, id, was: id });
  }
  return names;
}

/** All names of ours that images have because of this project. */
export async function protectedNames(project: Project): Promise<string[]> {
  if (project.engine === null) return [];
  const { runtime } = project.engine;
  const names = await Promise.all([protection, failure].map((prefix) => runtime.imageNames(prefix(project.name))));
  return names.flat().sort();
}

/** Versions whose images stay protected: the one before the last update, and one more. */
export const PROTECTED_VERSIONS = 2;

/**
 * Puts the old names back where a build or a pull moved them. `failed`: what they stood for meanwhile gets a name of ours until `dropRun`; nameless, the images
 * of every version that failed would stay for ever.
 */
export async function imagesBack(
  project: Project,
  names: readonly ImageName[],
  { failed = false }: { readonly failed?: boolean } = {},
): Promise<void> {
  if (project.engine === null) return;
  const { runtime } = project.engine;
  for (const [index, { name, id, was }] of names.entries()) {
    const now = await runtime.imageId(name);
    if (now === id) continue;
    if (failed && now !== null && was !== undefined && now !== was)
      await runtime.tag(now, `${failure(project.name)}${index}`);
    await runtime.tag(id, name);
  }
}

/**
 * After a rollback: what serves has its own names again, and needs no protection of this run's. Images of the failed version that have no other name go with
 * theirs.
 */
export async function dropRun(project: Project, run: string): Promise<void> {
  if (project.engine === null) return;
  const { runtime } = project.engine;
  const kept = await runtime.imageNames(protection(project.name));
  const failed = await runtime.imageNames(failure(project.name));
  for (const name of [...kept.filter((one) => one.endsWith(`.${run}`)), ...failed]) await runtime.untag(name);
}

/** Removes the protections of all runs but the newest `keep`, and that of the run `needed`, whatever the clock said. The images stay as long as they have other names or run. */
export async function dropProtections(project: Project, keep: number, needed?: string): Promise<void> {
  if (project.engine === null) return;
  const { runtime } = project.engine;
  const names = await runtime.imageNames(protection(project.name));
  const runOf = (name: string): string => name.slice(name.lastIndexOf('.') + 1);
  const runs = [...new Set(names.map(runOf))].sort();
  const old = new Set(keep === 0 ? runs : runs.slice(0, -keep).filter((run) => run !== needed));
  for (const name of names) if (old.has(runOf(name))) await runtime.untag(name);
}

/** Services whose running image is not the one that their name in the compose file stands for now. */
export async function changedImages(
  project: Project,
): Promise<{ service: string; name: string; from: string; to: string }[]> {
  if (project.engine === null) return [];
  const { runtime, compose } = project.engine;
  const containers = await project.containers();
  const changes: { service: string; name: string; from: string; to: string }[] = [];
  for (const { name: service, image } of (await compose.model()).services) {
    const running = containers.find((container) => container.service === service && !container.oneOff);
    if (running === undefined) continue;
    const name = image ?? running.imageName;
    const to = await runtime.imageId(name);
    if (to !== null && to !== running.imageId) changes.push({ service, name, from: running.imageId, to });
  }
  return changes;
}

/** What the images that run now take, each once. */
export async function bytesOfImages(project: Project): Promise<number> {
  const ids = new Set((await project.containers()).flatMap(({ imageId, oneOff }) => (oneOff ? [] : [imageId])));
  let bytes = 0;
  for (const id of ids) bytes += (await project.engine?.runtime.imageBytes(id)) ?? 0;
  return bytes;
}

/**
 * The room that building or pulling takes, reckoned as the size of today's images of the services that are made anew: those that the compose file builds, with a command
 * those that came from no registry, with `pull` the others. Layers that old and new share are counted all the same. Nothing where the engine's storage can't be seen
 * from here.
 */
export async function roomForImages(project: Project, build: BuildSettings): Promise<readonly Room[]> {
  if (project.engine === null || build.kind === 'none') return [];
  const { runtime, compose } = project.engine;
  const directory = await runtime.storage();
  if (!existsSync(directory)) return [];
  const { services } = await compose.model();
  const sizes = new Map<string, number>();
  for (const { service, imageId, oneOff } of await project.containers()) {
    const builds = services.some(({ name, build: builds }) => name === service && builds);
    const anew =
      build.kind === 'command'
        ? (await runtime.imageDigests(imageId)).length === 0
        : build.kind === 'pull'
          ? !builds
          : builds;
    if (anew && !oneOff) sizes.set(imageId, (await runtime.imageBytes(imageId)) ?? 0);
  }
  const bytes = [...sizes.values()].reduce((sum, size) => sum + size, 0);
  return bytes === 0
    ? []
    : [{ directory, bytes, what: 'the new images, if they are as large as those that they replace' }];
}
