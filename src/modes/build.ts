import { CaretakerError } from '../errors.ts';
import type { UpdateSettings } from '../settings/settings.ts';
import type { RunAuthorCommand } from '../system/author-command.ts';
import type { Tools } from './tools.ts';

/**
 * Gets the new images while the old version serves. `auto`: build what the compose file builds, pull what is not on the host yet; a name that is on the host is not pulled
 * anew, since a release pins its tags and a local build can't be pulled at all (`pull` asks the registries for all).
 */
export async function prepareImages(tools: Tools, settings: UpdateSettings): Promise<void> {
  const { build } = settings;
  const { engine } = tools.project;
  if (build.kind === 'command') return buildByCommand(tools, settings, build.command);
  if (engine === null || build.kind === 'none') return;
  const { compose, runtime } = engine;
  const { services } = await compose.model();
  if (build.kind === 'pull') return compose.pull();
  const built = services.filter((service) => service.build).map(({ name }) => name);
  if (built.length > 0) await compose.build(built);
  if (build.kind === 'compose') return;
  const absent: string[] = [];
  for (const { name, image, build: builds } of services) {
    if (!builds && image !== null && (await runtime.imageId(image)) === null) absent.push(name);
  }
  if (absent.length > 0) await compose.pull(absent);
}

async function buildByCommand(tools: Tools, settings: UpdateSettings, command: string): Promise<void> {
  const ended = await run(tools, settings, command, settings.sourceDirectory ?? tools.project.directory);
  if (ended.exitCode === 0) return;
  throw new CaretakerError('build-failed', `the build command ended with code ${ended.exitCode}: ${command}`, {
    input: 'build',
    hint: `Its last lines were:\n${ended.tail}`,
  });
}

/** Throws `migration-failed`: the data are undone then like everything else. */
export async function migrate(tools: Tools, settings: UpdateSettings, command: string): Promise<void> {
  const ended = await run(tools, settings, command, tools.project.directory);
  if (ended.exitCode === 0) return;
  throw new CaretakerError('migration-failed', `the migrate command ended with code ${ended.exitCode}: ${command}`, {
    input: 'migrate-command',
    hint: `Its last lines were:\n${ended.tail}`,
  });
}

function run(tools: Tools, settings: UpdateSettings, command: string, cwd: string): ReturnType<RunAuthorCommand> {
  const { log, signal } = tools;
  return tools.runAuthorCommand(command, {
    ...{ cwd, signal },
    onLine: (line) => log.info(line),
    timeoutMs: settings.buildTimeoutMs,
  });
}
