import type { Part } from '../archive/manifest.ts';
import { imageNameOf } from '../compose/dialects.ts';
import { CaretakerError } from '../errors.ts';
import type { Project } from '../project/project.ts';
import type { PostgresSpec } from './postgres.ts';
import { waitReady } from './postgres-load.ts';
import { openSnapshot } from './postgres-rows.ts';
import { conninfo, lastLine, openServer, serverContainer, type ServerAccess } from './postgres-server.ts';
import { disproved, listed, provenRows } from './proofs.ts';
import type { Proofs } from './source.ts';
import type { SourceDeps } from './sources.ts';

/** For each look at a whole database: more than any takes that fits a drill. */
const LOOK_MS = 6 * 60 * 60 * 1000;

/** The shell's words for "no such program". */
const ABSENT = [126, 127];

/** The shell's code for a program that a signal ended is this and the signal's number. */
const KILLED = 128;

/**
 * A file for file comparison with what the server said when it sent them. A page of zeros, which is valid to a server, is found here and nowhere else. With `wal` all of the WAL is
 * read as well: a server takes the first record that it can't read for the end.
 */
const VERIFY = `
command -v pg_verifybackup >/dev/null || exit 127
pg_verifybackup --quiet /restored || exit 1
test "$1" = wal || exit 0
set -- $(ls /restored/pg_wal | grep -E '^[0-9A-F]{24}$' | sort | sed -n '1p;$p')
pg_waldump --quiet --path=/restored/pg_wal "$1" "\${2:-$1}"`;

/** What sorts text by rules of another version than when it was written: indexes on it may be in the wrong order. */
const COLLATIONS = (major: number): string => `
select (select count(*) from pg_collation where collversion <> pg_collation_actual_version(oid))${
  major < 15
    ? ''
    : ` + (select count(*) from pg_database where datname = current_database() and datcollversion <> pg_database_collation_actual_version(oid))`
}`;

export function postgresProofs(spec: PostgresSpec, deps: SourceDeps): Proofs {
  const { project, log } = deps;

  return {
    async resting(part) {
      if (part.method === 'dump') return [];
      const said = (line: string): string[] => [`${part.name}: ${line}`];
      if (part.method !== 'physical')
        return said('not proven: files of a stopped server have no list of checksums beside them');
      if ((part.postgres?.major ?? 0) < 13)
        return said('not proven: a base backup has a list of checksums from PostgreSQL 13 on');
      const image = await imageOf(project, spec.service);
      if (image === null) return said(`not proven: the image of ${spec.service} is not on this host`);
      // Without a tail the last segment of a standby need not be whole, and pg_verifybackup reads what is needed of it.
      const wal = part.files.length > 1;
      const result = await project.engine!.runtime.runOnce(image, ['sh', '-c', VERIFY, 'sh', wal ? 'wal' : ''], {
        mounts: [{ source: spec.path, target: '/restored' }],
        accept: [0, 1, ...ABSENT],
        timeoutMs: LOOK_MS,
      });
      if (ABSENT.includes(result.exitCode))
        return said(`not proven: the image of ${spec.service} has no pg_verifybackup`);
      if (result.exitCode !== 0) throw disproved(part, wrongIn(result));
      return said(
        `every file is what the server sent (pg_verifybackup)${wal ? ', and all of its WAL can be read' : ''}`,
      );
    },

    async serving(part) {
      await waitReady(spec, deps);
      const server = await openServer(project, log, spec);
      const noted = part.postgres?.databases ?? [];
      const databases = noted.length > 0 ? noted : server.facts.databases;
      const missing = databases.filter((database) => !server.facts.databases.includes(database));
      if (missing.length > 0) throw disproved(part, `database ${listed(missing)} is missing`);
      const lines: string[] = [];
      for (const database of databases) {
        log.info(`${part.name}: looking through database ${database}`);
        lines.push(...(await look(part, server, database)));
      }
      return lines;
    },
  };

  async function look(part: Part, server: ServerAccess, database: string): Promise<string[]> {
    const where = `${part.name}, database ${database}`;
    const ask = async (sql: string): Promise<string> => {
      const psql = [...server.psql, '-d', conninfo(database), '-c', sql] as const;
      const result = whole(await server.run(psql, undefined, LOOK_MS), where);
      if (result.exitCode !== 0) throw disproved(part, `${where}: ${wrongIn(result)}`);
      return result.stdout.trim();
    };
    const others = Number(await ask(COLLATIONS(server.facts.major)));
    const lines =
      others === 0
        ? []
        : [
            `${where}: ${others} collations are of another version than when the data were written; indexes on text may need REINDEX`,
          ];

    const dump = ['pg_dump', '-w', '-U', spec.user, '-f', '/dev/null', '-d', conninfo(database)] as const;
    const read = whole(await server.run(dump, undefined, LOOK_MS), where);
    if (read.exitCode !== 0) throw disproved(part, `${where} can't be read: ${wrongIn(read)}`);
    const sums = (await ask('show data_checksums')) === 'on';
    lines.push(`${where}: every row can be read${sums ? ', and every page read has the right checksum' : ''}`);

    const rows = part.postgres?.rows;
    const counts = rows !== undefined && Object.hasOwn(rows, database) ? rows[database] : undefined;
    if (counts !== undefined) lines.push(provenRows(part, where, counts, await count(part, server, database)));
    else if (part.method === 'dump') lines.push(provenRows(part, where, undefined, undefined));

    lines.push(await amcheck(part, server, database, where));
    return lines;
  }

  async function amcheck(part: Part, server: ServerAccess, database: string, where: string): Promise<string> {
    const argv = [
      'pg_amcheck',
      '-w',
      '-U',
      spec.user,
      '--install-missing',
      '--heapallindexed',
      conninfo(database),
    ] as const;
    const result = await server.run(argv, undefined, LOOK_MS);
    if (result.exitCode === 0) return `${where}: tables and indexes fit each other (amcheck)`;
    // Its own code for what it found.
    if (result.exitCode === 2) throw disproved(part, `${where}: ${wrongIn(result)}`);
    const why = ABSENT.includes(result.exitCode) ? 'the image has no pg_amcheck' : lastLine(result.stderr);
    return `${where}: not proven by amcheck: ${why}`;
  }
}

async function count(part: Part, server: ServerAccess, database: string): Promise<Readonly<Record<string, number>>> {
  try {
    const snapshot = await openSnapshot(server, database);
    try {
      return await snapshot.count(Number.MAX_SAFE_INTEGER);
    } finally {
      await snapshot.end();
    }
  } catch (error) {
    if (error instanceof CaretakerError && error.code === 'postgres-rows') throw disproved(part, error.message, error);
    throw error;
  }
}

/** A program that was killed, by a lack of memory perhaps, found nothing: `engine-failed`. */
export function whole<Result extends { readonly exitCode: number }>(result: Result, where: string): Result {
  if (result.exitCode <= KILLED) return result;
  throw new CaretakerError(
    'engine-failed',
    `failed to look through ${where}: ended by signal ${result.exitCode - KILLED}`,
    {
      hint: 'Nothing was found wrong with the backup. Has the host enough memory for a throwaway? Run the drill again.',
    },
  );
}

/** What a program found, in its own words. */
function wrongIn({ exitCode, stdout, stderr }: { exitCode: number; stdout: string; stderr: string }): string {
  const lines = `${stdout}\n${stderr}`.split('\n').map((line) => line.trim()).filter((line) => line !== ''); // prettier-ignore
  return lines.length === 0 ? `exit code ${exitCode}` : listed(lines);
}

/** The image that serves these data, or would; null where this host has none. */
async function imageOf(project: Project, service: string): Promise<string | null> {
  const { engine } = project;
  if (engine === null) return null;
  const container = await serverContainer(project, service);
  if (container !== null) return container.imageId;
  const found = (await engine.compose.model()).services.find(({ name }) => name === service);
  if (found === undefined) return null;
  return engine.runtime.imageId(imageNameOf(engine.compose.dialect, project.name, found));
}
