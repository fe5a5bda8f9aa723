import type { Manifest } from '../archive/manifest.ts';
import { CaretakerError } from '../errors.ts';
import type { Runtime } from '../runtimes/runtime.ts';
import { prepareImages, type Building } from './build.ts';
import { imageNameOf } from '../compose/dialects.ts';
import type { Tools } from './tools.ts';

type Image = Manifest['images'][number];

/**
 * Puts the very images that the backup names under the names that the compose file uses: those that are on this host still (an update protects the last ones), those of a registry
 * by their digest. For what is left: the cache, a build or a pull, as for an update. Nothing that runs is touched.
 */
export async function bringImages(tools: Tools, settings: Building, manifest: Manifest): Promise<void> {
  const { project, log, recorder } = tools;
  const { engine } = project;
  if (engine === null) return prepareImages(tools, settings);
  const { runtime, compose } = engine;
  const known: { readonly name: string; readonly id: string }[] = [];
  const lacking: {
    readonly service: string;
    readonly name: string;
    readonly builds: boolean;
    readonly image: Image | undefined;
  }[] = [];
  for (const service of (await compose.model()).services) {
    const name = imageNameOf(engine.compose.dialect, project.name, service);
    const image = manifest.images.find((one) => one.service === service.name);
    const id = image === undefined ? null : await imageOf(tools, runtime, image, name);
    if (id === null) lacking.push({ service: service.name, name, builds: service.build, image });
    else known.push({ name, id });
  }
  if (lacking.length > 0) {
    const services = lacking.map(({ service }) => service);
    log.info(`To be built, pulled or loaded: ${services.join(', ')}`);
    await prepareImages(tools, settings, services);
  }
  for (const { name, id } of known) {
    // A name by digest stands for this image for ever.
    if (!name.includes('@') && (await runtime.imageId(name)) !== id) await runtime.tag(id, name);
  }
  const others = settings.build.kind === 'command' ? [] : lacking.filter(({ image, builds }) => image && !builds);
  if (others.length > 0) {
    const names = others.map(({ service, name }) => `${name} (${service})`).join(', ');
    recorder.warn(`Not the image of the backup, which nothing brings any more, but what has its name now: ${names}`);
  }
}

/** The id of the backup's image on this host, fetched where a registry has it; null where it is to be made otherwise. */
async function imageOf({ log }: Tools, runtime: Runtime, image: Image, name: string): Promise<string | null> {
  // Of what a manifest says only an id, which stands for this very content, and what the compose file itself would fetch.
  if (/^sha256:[0-9a-f]{64}$/.test(image.id) && (await runtime.imageId(image.id)) !== null) return image.id;
  for (const digest of image.digests.filter((one) => isOfRepository(one, name))) {
    try {
      await runtime.pull(digest);
      return await runtime.imageId(digest);
    } catch (error) {
      if (!(error instanceof CaretakerError && error.code === 'engine-failed')) throw error;
      log.info(`${digest} can't be pulled: ${error.message}`);
    }
  }
  return null;
}

/** `docker.io/library/postgres@sha256:…` is of the repository of `postgres:17`. */
export function isOfRepository(digest: string, name: string): boolean {
  const [repository = '', sum = ''] = digest.split('@');
  return /^sha256:[0-9a-f]{64}$/.test(sum) && whole(repository) === whole(name.split('@')[0] ?? '');
}

function whole(name: string): string {
  const bare = name.replace(/:[^:/]*$/, '');
  const [first = '', ...rest] = bare.split('/');
  const hasHost = rest.length > 0 && /[.:]|^localhost$/.test(first);
  if (!hasHost) return `docker.io/${rest.length === 0 ? 'library/' : ''}${bare}`;
  return first === 'index.docker.io' ? `docker.io/${rest.join('/')}` : bare;
}
