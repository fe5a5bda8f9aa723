import { createHash } from 'node:crypto';
import { chmod, lstat, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { checkImageArchive } from '../archive/image-archive.ts';
import type { CacheEntry } from '../cache/cache.ts';
import { messageOf } from '../errors.ts';
import { removeNameless } from '../runtimes/nameless.ts';
import type { ComposeService } from '../compose/compose.ts';
import { imageNameOf } from '../compose/dialects.ts';
import type { Project } from '../project/project.ts';
import { formatBytes as inUnits } from '../report/units.ts';
import type { ImageSettings } from '../settings/settings.ts';
import { freeBytes } from '../system/disk.ts';
import type { Tools } from './tools.ts';

const LIST = 'images.json';
const ARCHIVE = 'images.tar';
const FILES = [LIST, ARCHIVE] as const;

/** Contents of `images.json`. */
interface ImageList {
  readonly format: 1;
  readonly key: string;
  readonly sha256: string;
  /** `sha256:…` of the image by the service that runs it: names are the host's own matter. */
  readonly images: Readonly<Record<string, string>>;
}

const MAX_LIST_BYTES = 64 * 1024;

/**
 * Takes what an earlier run built of this very commit, on whatever host, out of the cache; false where it is to be built. Whatever is wrong with the cache or the
 * entry is a warning, and nothing of the entry reaches a name before all of it was found to be what it says.
 */
export async function imagesFromCache(tools: Tools, settings: ImageSettings): Promise<boolean> {
  return withEntry(tools, settings, 'build', async (entry, engine) => {
    const found = await tools.cache.find(entry);
    if (!found.ok) {
      if (found.problem !== undefined) throw new NotUsable(found.problem);
      tools.log.info(`The cache has nothing under ${entry.key}`);
      return false;
    }
    const { runtime, compose } = engine;
    const services = (await compose.model()).services.filter((service) => mayBeBuilt(settings, service));
    const list = await readList(entry, await runtime.platform());
    const unknown = Object.keys(list.images).filter((name) => !services.some((service) => service.name === name));
    const missing = services.filter(({ name, build }) => build && list.images[name] === undefined);
    if (unknown.length + missing.length > 0) throw new NotUsable('it holds the images of other services');

    const ids = [...new Set(Object.values(list.images))];
    const absent: string[] = [];
    for (const id of ids) if ((await runtime.imageId(id)) === null) absent.push(id);
    try {
      if (absent.length > 0) await runtime.loadImages(path.join(entry.folder, ARCHIVE));
      for (const id of ids) if ((await runtime.imageId(id)) === null) throw new NotUsable(`it has not brought ${id}`);
    } catch (error) {
      for (const id of absent) await removeNameless(runtime, id);
      throw error;
    }
    for (const [name, id] of Object.entries(list.images)) {
      const service = services.find((one) => one.name === name);
      if (service !== undefined)
        await runtime.tag(id, imageNameOf(engine.compose.dialect, tools.project.name, service));
    }
    tools.log.info(`Loaded ${Object.keys(list.images).join(', ')} from the cache (${entry.key})`);
    return true;
  });
}

/** Stores what serves now for other hosts, unless it is there already. */
export async function imagesToCache(tools: Tools, settings: ImageSettings): Promise<void> {
  await withEntry(tools, settings, 'go without', async (entry, engine) => {
    if ((await tools.cache.has(entry)).ok) return true;
    const { runtime, compose } = engine;
    const images: Record<string, string> = {};
    let size = 0;
    for (const service of (await compose.model()).services) {
      if (!mayBeBuilt(settings, service)) continue;
      const id = await runtime.imageId(imageNameOf(engine.compose.dialect, tools.project.name, service));
      // A command may build what it likes; what came from a registry comes from there again.
      if (id === null || (!service.build && (await runtime.imageDigests(id)).length > 0)) continue;
      if (!Object.values(images).includes(id)) size += (await runtime.imageBytes(id)) ?? 0;
      images[service.name] = id;
    }
    if (size === 0) return true;
    const free = await freeBytes(entry.folder);
    // The archive, and the client's compressed one of it.
    if (free < 2 * size)
      throw new NotUsable(`saving needs ${inUnits(2 * size)} of disk, and ${inUnits(free)} are free`);

    const archive = path.join(entry.folder, ARCHIVE);
    await runtime.saveImages([...new Set(Object.values(images))], archive);
    // Podman writes for everybody to read.
    await chmod(archive, 0o600);
    const sha256 = await sameImages(archive, images, await runtime.platform());
    const list: ImageList = { format: 1, key: entry.key, sha256, images };
    await writeFile(path.join(entry.folder, LIST), JSON.stringify(list), { mode: 0o600 });
    const kept = await tools.cache.keep(entry);
    if (!kept.ok) throw new NotUsable(kept.problem ?? 'another run may have stored the same');
    tools.log.info(`Stored ${Object.keys(images).join(', ')} in the cache (${entry.key})`);
    return true;
  });
}

export type Engine = NonNullable<Project['engine']>;

/** What the cache may bring: what the compose file builds, and with a command of the user's own whatever that may have made. */
function mayBeBuilt({ build }: ImageSettings, service: ComposeService): boolean {
  if (build.kind === 'command') return service.build || service.image !== null;
  return service.build && (build.kind === 'auto' || build.kind === 'compose');
}

/** Does the work in a folder of its own with the entry of what is checked out. False, with a warning, for whatever goes wrong. */
async function withEntry(
  tools: Tools,
  settings: ImageSettings,
  otherwise: 'build' | 'go without',
  work: (entry: CacheEntry, engine: Engine) => Promise<boolean>,
): Promise<boolean> {
  const { project, recorder } = tools;
  const { engine } = project;
  if (engine === null || settings.build.kind === 'pull' || settings.build.kind === 'none') return false;
  const folder = path.join(project.stateDirectory, 'staging', `${tools.run}.images`);
  let key: string | undefined;
  try {
    if (!tools.cache.available) throw new NotUsable('this is no job of a workflow that has one');
    key = await keyOf(tools, settings, engine);
    await mkdir(folder, { mode: 0o700 });
    return await work({ key, folder, files: FILES }, engine);
  } catch (error) {
    // What serves already is not given up for the sake of others.
    if (tools.signal.aborted && otherwise === 'build') throw error;
    const which = key === undefined ? '' : ` (${key})`;
    const then =
      otherwise === 'build' ? 'The images are built' : 'The next host builds the images, instead of loading them';
    recorder.warn(`The cache of images is of no use${which}: ${messageOf(error)}. ${then}`);
    return false;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * What a build depends on: the commit, the platform, how it is built, and the arguments that the compose file hands in (whoever may read the key may read the image, which
 * shows them as well). Throws where the commit does not tell what the files are.
 */
async function keyOf(tools: Tools, { build }: ImageSettings, engine: Engine): Promise<string> {
  const { checkout, project } = tools;
  if (checkout === null) throw new NotUsable('without a git clone nothing tells which version the images are of');
  const changed = await checkout.dirtyFiles();
  if (changed.length > 0) throw new NotUsable(`the clone has local changes: ${changed.slice(0, 5).join(', ')}`);
  const { commit } = await checkout.head();
  const { services } = await engine.compose.model();
  const options = services.filter((service) => service.build).map(({ name, buildOptions }) => [name, buildOptions]);
  const how = createHash('sha256')
    .update(JSON.stringify([build, options]))
    .digest('hex')
    .slice(0, 16);
  const platform = (await engine.runtime.platform()).replaceAll('/', '-');
  return `compose-caretaker-images-1-${project.name}-${platform}-${commit}-${how}`;
}

/** The entry's own list, after all of the entry was found to be what the list says. */
async function readList({ key, folder }: CacheEntry, platform: string): Promise<ImageList> {
  for (const name of FILES) {
    const found = await lstat(path.join(folder, name)).catch(() => null);
    if (found?.isFile() !== true) throw new NotUsable(`it has no file ${name}`);
    if (name === LIST && found.size > MAX_LIST_BYTES) throw new NotUsable(`${name} has ${inUnits(found.size)}`);
  }
  let list: ImageList;
  try {
    list = JSON.parse(await readFile(path.join(folder, LIST), 'utf8')) as ImageList;
  } catch {
    throw new NotUsable(`${LIST} is not JSON`);
  }
  const images: unknown = list?.images;
  const whole =
    list?.format === 1 &&
    typeof images === 'object' &&
    images !== null &&
    Object.values(images).every((id) => typeof id === 'string' && /^sha256:[0-9a-f]{64}$/.test(id));
  if (!whole || Object.keys(list.images).length === 0) throw new NotUsable(`${LIST} is no list of images`);
  if (list.key !== key) throw new NotUsable('it was stored for something else');
  const sha256 = await sameImages(path.join(folder, ARCHIVE), list.images, platform);
  if (sha256 !== list.sha256) throw new NotUsable('its digest is not the one that was written down');
  return list;
}

/** The SHA-256 of an archive that was found to hold exactly these images. */
async function sameImages(file: string, images: ImageList['images'], platform: string): Promise<string> {
  const { sha256, ids } = await checkImageArchive(file, platform).catch((error: unknown) => {
    throw new NotUsable(messageOf(error));
  });
  const wanted = new Set(Object.values(images));
  if (ids.size !== wanted.size || [...ids].some((id) => !wanted.has(id)))
    throw new NotUsable('it does not hold the images that it lists');
  return sha256;
}

/** Never leaves this file: its text becomes a warning. */
class NotUsable extends Error {}
