import { CaretakerError } from '../errors.ts';
import { serverMajor } from '../sources/postgres-server.ts';
import type { Source } from '../sources/source.ts';
import type { Tools } from './tools.ts';

/**
 * Refuses a new version that brings another major version of PostgreSQL for a server that has data: it would not start on them. To be called when the new
 * images are there and the old version still serves. `postgres-major-change`.
 */
export async function refuseMajorChange({ project }: Tools, sources: readonly Source[]): Promise<void> {
  const { engine } = project;
  if (engine === null) return;
  const { services } = await engine.compose.model();
  for (const { kind, server } of sources) {
    const image = services.find(({ name }) => name === server)?.image ?? null;
    if (kind !== 'postgres' || server === undefined || image === null) continue;
    const now = await serverMajor(project, server);
    const next = majorOf((await engine.runtime.imageEnvironment(image))?.['PG_MAJOR']) ?? majorInTag(image);
    if (now === undefined || next === undefined || now === next) continue;
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

function majorOf(text: string | undefined): number | undefined {
  const found = /^\d+/.exec(text ?? '')?.[0];
  return found === undefined ? undefined : Number(found);
}

/** `postgres:18-alpine`, `pgvector/pgvector:pg18`, `timescale/timescaledb:2.17.2-pg18`: where an image itself does not tell. */
export function majorInTag(image: string): number | undefined {
  const [, name = '', tag = ''] = /([^/:@]+)(?::([^@/]*))?(?:@.*)?$/.exec(image) ?? [];
  return majorOf(/(?:^|-)pg(\d+)/.exec(tag)?.[1] ?? (/^postg(?:res|is)/.test(name) ? tag : undefined));
}
