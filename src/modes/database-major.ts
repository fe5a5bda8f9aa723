import { realpath } from 'node:fs/promises';
import path from 'node:path';
import type { Target } from '../code/git.ts';
import { asMapping, mergeComposeFiles, parseComposeFile, textOf, type Mapping } from '../compose/compose-file.ts';
import { CaretakerError } from '../errors.ts';
import { imageMajor, serverMajor } from '../sources/postgres-server.ts';
import type { Allowance } from '../settings/settings.ts';
import type { Source } from '../sources/source.ts';
import { readText } from '../system/files.ts';
import type { Tools } from './tools.ts';

/**
 * Refuses a new version that brings another major version of PostgreSQL for a server that has data: it would not start on them. To be called when the new
 * images are there and the old version still serves. Where that is allowed, `postgres-major-dump` for data that could not go back. `postgres-major-change`.
 */
export async function refuseMajorChange(
  tools: Tools,
  sources: readonly Source[],
  allow: readonly Allowance[],
): Promise<void> {
  const { engine } = tools.project;
  if (engine === null || serversIn(sources).length === 0) return;
  const { services } = await engine.compose.model();
  await compare(tools, sources, allow, (server) => services.find(({ name }) => name === server)?.image ?? undefined);
}

/**
 * The same before anything is touched, as far as the compose files tell as git has them at the target (those outside of the clone: as they are). An image that
 * depends on variables, or that only the build makes, is left to `refuseMajorChange`. `postgres-major-change`, `compose-file-invalid`.
 */
export async function refuseMajorChangeAt(
  tools: Tools,
  sources: readonly Source[],
  target: Target | 'as-it-is',
  allow: readonly Allowance[],
): Promise<void> {
  const { project, checkout } = tools;
  if (project.engine === null || serversIn(sources).length === 0) return;
  const files: Mapping[] = [];
  for (const file of project.engine.compose.files) {
    const found = await at(file);
    // What takes its place, or comes out of local changes and the target's, is known when it is checked out.
    if (found.text === null) return;
    files.push(parseComposeFile(found.name, found.text, null));
  }
  const services = asMapping(mergeComposeFiles(files)['services']);
  await compare(tools, sources, allow, (server) => {
    const image = textOf(asMapping(services[server])['image']);
    return image?.includes('$') ? undefined : image;
  });

  async function at(file: string): Promise<{ readonly name: string; readonly text: string | null }> {
    const inside = checkout === null ? '..' : path.relative(checkout.directory, await realpath(file));
    if (checkout === null || target === 'as-it-is' || inside.startsWith('..'))
      return { name: file, text: await readText(file) };
    const changed = (await checkout.dirtyFiles()).includes(inside);
    const text = changed ? null : await checkout.show(target.commit, inside);
    return { name: `${inside} of ${target.label}`, text };
  }
}

async function compare(
  { project }: Tools,
  sources: readonly Source[],
  allow: readonly Allowance[],
  imageOf: (server: string) => string | undefined,
): Promise<void> {
  for (const server of serversIn(sources)) {
    const image = imageOf(server);
    if (image === undefined) continue;
    const now = await serverMajor(project, server);
    const next = await imageMajor(project, image);
    if (now === undefined || next === undefined || now === next) continue;
    if (allow.includes('postgres-major')) {
      const dump = sources.find((source) => source.server === server && source.loads);
      if (dump === undefined) continue;
      throw new CaretakerError(
        'postgres-major-dump',
        `the new version runs PostgreSQL ${next} (${image}) as ${server}, and the way back for ${dump.name} would be a dump, which only a running server takes`,
        {
          input: 'data',
          hint: `If PostgreSQL ${next} fails, its server is no place for the dump of PostgreSQL ${now}. Set method=physical for ${dump.name}: its directory comes back as it was.`,
        },
      );
    }
    throw new CaretakerError(
      'postgres-major-change',
      `the new version runs PostgreSQL ${next} (${image}) as ${server}, whose data are of PostgreSQL ${now}`,
      {
        input: 'allow',
        hint: `PostgreSQL ${next} does not start on them. Take a dump (mode backup, data: type=postgres,service=${server},method=dump), update, and restore it; or keep an image of PostgreSQL ${now}. If that image upgrades its data by itself, add "postgres-major" to allow.`,
      },
    );
  }
}

function serversIn(sources: readonly Source[]): string[] {
  return sources.flatMap(({ kind, server }) => (kind === 'postgres' && server !== undefined ? [server] : []));
}
