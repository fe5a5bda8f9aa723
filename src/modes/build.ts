import { CaretakerError } from '../errors.ts';
import { formatBytes } from '../report/units.ts';
import { storageFull } from '../runtimes/storage.ts';
import type { ActingSettings, ImageSettings } from '../settings/settings.ts';
import { codeWords, type AuthorCommandOptions, type RunAuthorCommand } from '../system/author-command.ts';
import { isNoSpace } from '../system/disk.ts';
import { imagesFromCache } from './image-cache.ts';
import { bytesOfImages } from './images.ts';
import type { Tools } from './tools.ts';

/** What building needs to know. */
export type Building = ImageSettings & Pick<ActingSettings, 'sourceDirectory'>;

/**
 * Gets the new images while the old version serves. `auto`: build what the compose file builds, pull what is not on the host yet; a name that is on the host is not pulled
 * anew, since a release pins its tags and a local build can't be pulled at all (`pull` asks the registries for all). Whatever the way: an image that
 * nothing has brought is pulled now, since `up` would do it when nobody is served any more, and fail then. Throws `image-missing` when that is in vain too, `disk-full`.
 * `wanted`: only for these services; a command or the cache may bring more.
 */
export async function prepareImages(tools: Tools, settings: Building, wanted?: readonly string[]): Promise<void> {
  const { project } = tools;
  try {
    await getImages(tools, settings, wanted);
  } catch (error) {
    if (project.engine === null || !isNoSpace(error)) throw error;
    const now = formatBytes(await bytesOfImages(project));
    const what = `build or pull the new images, where those that run now take ${now}`;
    throw await storageFull(project.engine.runtime, what, error);
  }
}

async function getImages(tools: Tools, settings: Building, wanted: readonly string[] | undefined): Promise<void> {
  const { build } = settings;
  const { engine } = tools.project;
  const cached = settings.cacheImages && (await imagesFromCache(tools, settings));
  if (build.kind === 'command' && !cached) await buildByCommand(tools, settings, build.command);
  if (engine === null) return;
  const { compose, runtime } = engine;
  const services = (await compose.model()).services.filter(({ name }) => wanted?.includes(name) ?? true);
  if (build.kind === 'pull') await compose.pull(wanted);
  if ((build.kind === 'auto' || build.kind === 'compose') && !cached) {
    const built = services.filter((service) => service.build).map(({ name }) => name);
    if (built.length > 0) await compose.build(built);
  }
  const absent = async (): Promise<{ service: string; image: string }[]> => {
    const found: { service: string; image: string }[] = [];
    for (const { name: service, image, build: builds } of services) {
      if (!builds && image !== null && (await runtime.imageId(image)) === null) found.push({ service, image });
    }
    return found;
  };
  const missing = await absent();
  if (missing.length === 0) return;
  try {
    await compose.pull(missing.map(({ service }) => service));
  } catch (error) {
    if (!(error instanceof CaretakerError && ['compose-failed', 'command-failed'].includes(error.code))) throw error;
    throw isNoSpace(error) ? error : imageMissing(missing, error);
  }
  // podman-compose and names of `localhost/` are not asked for.
  const still = await absent();
  if (still.length > 0) throw imageMissing(still);
}

function imageMissing(missing: readonly { service: string; image: string }[], cause?: unknown): CaretakerError {
  const names = missing.map(({ service, image }) => `${image} (${service})`).join(', ');
  return new CaretakerError(
    'image-missing',
    `the new version needs ${names}, which ${missing.length === 1 ? 'is' : 'are'} not on this host and can't be pulled`,
    {
      input: 'build',
      hint: 'Look whether the release names a tag that was published, and whether this host may pull it. An image that is built here needs a "build" that makes it.',
      ...(cause === undefined ? {} : { cause }),
    },
  );
}

async function buildByCommand(tools: Tools, settings: Building, command: string): Promise<void> {
  const ended = await run(tools, settings, command, { cwd: settings.sourceDirectory ?? tools.project.directory });
  if (ended.exitCode === 0) return;
  throw new CaretakerError('build-failed', `the build command ended with ${codeWords(ended.exitCode)}: ${command}`, {
    input: 'build',
    hint: `Its last lines were:\n${ended.tail}`,
  });
}

/** `env`: in a rehearsal, what leads Compose to the throwaway. Throws `migration-failed`: the data are undone then like everything else. */
export async function migrate(
  tools: Tools,
  settings: Building,
  command: string,
  env: Readonly<Record<string, string>> = {},
): Promise<void> {
  // Under rootless Podman it may be what starts the database, which `up` then finds running.
  const ended = await run(tools, settings, command, { cwd: tools.project.directory, env, outlivesJob: true });
  if (ended.exitCode === 0) return;
  throw new CaretakerError(
    'migration-failed',
    `the migrate command ended with ${codeWords(ended.exitCode)}: ${command}`,
    {
      input: 'migrate-command',
      hint: `Its last lines were:\n${ended.tail}`,
    },
  );
}

function run(
  tools: Tools,
  settings: Building,
  command: string,
  options: Pick<AuthorCommandOptions, 'cwd' | 'env' | 'outlivesJob'>,
): ReturnType<RunAuthorCommand> {
  const { log, signal } = tools;
  return tools.runAuthorCommand(command, {
    ...options,
    signal,
    onLine: (line) => log.info(line),
    timeoutMs: settings.buildTimeoutMs,
  });
}
