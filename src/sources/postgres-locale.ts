import type { Part } from '../archive/manifest.ts';
import { CaretakerError, messageOf } from '../errors.ts';
import type { PostgresSpec } from './postgres.ts';
import { openServer, serverContainer, type ServerAccess } from './postgres-server.ts';
import type { SourceDeps } from './sources.ts';

/** PostgreSQL makes these itself. */
const EVERYWHERE = ['C', 'POSIX'];

/**
 * A server whose operating system does not know the locale of its databases lets nobody in. The one that runs is of the image that is going to run on the
 * restored data; where none runs, only the start tells. `postgres-locale`.
 */
export async function refuseLocale(part: Part, { project, log }: SourceDeps, spec: PostgresSpec): Promise<void> {
  const locale = part.postgres?.locale;
  if (locale === undefined || EVERYWHERE.includes(locale)) return;
  if ((await serverContainer(project, spec.service))?.state !== 'running') return;
  const server = await openServer(project, log, spec).catch((error: unknown) => {
    log.info(
      `${part.name}: nobody can be asked whether ${spec.service} knows the locale ${locale}: ${messageOf(error)}`,
    );
    return null;
  });
  if (server === null) return;
  // A setting that takes what the operating system knows and nothing else.
  const sql = "begin; set local lc_monetary = :'locale'; rollback;";
  const { exitCode, stderr } = await server.run([...server.psql, '-q', '-v', `locale=${locale}`], sql);
  if (exitCode === 0 || !stderr.includes('lc_monetary')) return;
  throw new CaretakerError(
    'postgres-locale',
    `failed to restore ${part.name}: its databases have the locale ${locale}, which the image of ${spec.service} does not know`,
    {
      hint: 'Its server would let nobody in. Use the image that the backup was taken with (with-code: true brings it), or one that has the locale.',
    },
  );
}

interface Mismatch {
  readonly database: string;
  readonly was: string | null;
  readonly is: string | null;
}

const MISMATCHES = `select coalesce(json_agg(json_build_object(
  'database', datname, 'was', datcollversion, 'is', pg_database_collation_actual_version(oid)) order by datname), '[]')
  from pg_database where datallowconn and datcollversion is distinct from pg_database_collation_actual_version(oid)`;

/**
 * Files of a server carry its order of texts in their indexes. Where the operating system orders otherwise (another version of glibc; musl in the place of glibc), a server
 * starts on them and gives wrong answers. Before PostgreSQL 15 nothing tells.
 */
export async function orderDoubts(server: ServerAccess, service: string): Promise<readonly string[]> {
  if (server.facts.major < 15) return [];
  const { exitCode, stdout } = await server.run([...server.psql, '-c', MISMATCHES]);
  if (exitCode !== 0) return [];
  const found = (JSON.parse(stdout) as readonly Mismatch[]).filter(({ database }) => database !== 'template1');
  return found.map(({ database, was, is }) => {
    const name = `"${database.replaceAll('"', '""')}"`;
    return `${service}: the indexes on texts of the database ${database} were made with ${versionOf(was)}, and the image has ${versionOf(is)}: they may miss rows or let duplicates in. In it: REINDEX DATABASE ${name}; ALTER DATABASE ${name} REFRESH COLLATION VERSION;`;
  });
}

/** musl's order has no version. */
function versionOf(version: string | null): string {
  return version === null ? 'an order without a version (of musl)' : `version ${version} of the system's order`;
}
