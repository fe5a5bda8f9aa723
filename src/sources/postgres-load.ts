import type { Part, PartFile } from '../archive/manifest.ts';
import { dumpSuffix } from '../archive/names.ts';
import { CaretakerError, messageOf } from '../errors.ts';
import { fileOf } from './dump-file.ts';
import { feedProgram } from './postgres-feed.ts';
import { loadAnew, readDumped } from './postgres-database.ts';
import type { PostgresSpec } from './postgres.ts';
import { checkScript } from './postgres-script.ts';
import { lastLine, openServer, serverContainer } from './postgres-server.ts';
import type { SourceDeps } from './sources.ts';

/** A first start makes the cluster, and runs the image's own scripts. */
const READY_SECONDS = 180;
/** Roles and settings; thousands of roles fit. */
const MAX_GLOBALS_BYTES = 32 * 1024 * 1024;
const DUPLICATE_OBJECT = '42710';

/**
 * Loads a dump into a server that was started alone: roles and settings first, then every database, each dropped where it is there
 * and created as it was. Throws `postgres-not-ready` and `postgres-load-failed` with the server's words.
 */
export async function loadDump(
  part: Part,
  read: (file: PartFile) => AsyncIterable<Uint8Array>,
  spec: PostgresSpec,
  deps: SourceDeps,
): Promise<void> {
  await waitReady(spec, deps);
  const server = await openServer(deps.project, deps.log, spec);

  const { script, tablespaces } = await globalsOf(part, read);
  if (tablespaces.length > 0) {
    deps.log.warn(
      `${spec.name}: the backup’s server had tablespaces (${tablespaces.join(', ')}). They are not made: all goes into the data directory, and what lies in their places is left alone`,
    );
  }
  const psql = [
    'psql',
    '-X',
    '-q',
    '-w',
    '-v',
    'VERBOSITY=verbose',
    '-U',
    spec.user,
    '-d',
    'template1',
    '-f',
    '-',
  ] as const;
  const result = await server.run([...psql], script);
  const real = result.stderr.split('\n').filter(isError);
  if (result.exitCode !== 0 || real.length > 0) {
    throw failed('roles and settings', spec, real[0] ?? lastLine(result.stderr));
  }

  for (const database of part.postgres?.databases ?? []) {
    deps.log.info(`${spec.name}: loading database ${database}`);
    try {
      // Such a dump's own CREATE DATABASE may name one of them, which pg_restore can't leave out.
      if (tablespaces.length > 0) {
        await loadAnew(server, await readDumped(server, part, database, read), read);
        continue;
      }
      // Connected to template1, since what is restored may be "postgres" itself.
      const restore = [
        ...(['pg_restore', '-w', '-U', spec.user, '--exit-on-error', '--no-tablespaces'] as const),
        ...['--clean', '--if-exists', '--create', '-d', 'template1'],
      ] as const;
      await feedProgram(server, restore, read(fileOf(part, dumpSuffix(database))));
    } catch (error) {
      if (error instanceof CaretakerError && error.code.startsWith('part-')) throw error;
      throw failed(`database ${database}`, spec, messageOf(error), error);
    }
  }
}

/**
 * psql's line for an error that counts: `psql:<stdin>:14: ERROR:  42710: role "postgres" already exists`. By its code, since
 * words may be translated. The role that the image made is in the dump as well, so what is there already is no error.
 */
function isError(line: string): boolean {
  const code = /^psql:.*?:\d+: \S+: +([0-9A-Z]{5}): /.exec(line)?.[1];
  return code !== undefined && code !== DUPLICATE_OBJECT && !code.startsWith('00') && !code.startsWith('01');
}

/** A first start runs a server for the set-up that listens on no port: only a port that answers is the real one. */
export async function waitReady(
  spec: Pick<PostgresSpec, 'service'>,
  { project, clock, log }: Pick<SourceDeps, 'project' | 'clock' | 'log'>,
): Promise<void> {
  const until = clock.monotonic() + READY_SECONDS * 1000;
  let seen = 'it does not run';
  for (;;) {
    const container = await serverContainer(project, spec.service);
    if (container?.state === 'running' && project.engine !== null) {
      const { exitCode, stdout, stderr } = await project.engine.runtime.exec(
        container.id,
        ['pg_isready', '-h', '127.0.0.1', '-t', '5'],
        {
          accept: [0, 1, 2, 3, 126, 127, 137],
          timeoutMs: 30_000,
        },
      );
      if (exitCode === 0) return;
      seen = lastLine(stdout) || lastLine(stderr);
    } else if (container !== null) {
      seen = `its container is ${container.state}`;
    }
    if (clock.monotonic() > until) break;
    log.debug(`${spec.service}: ${seen}`);
    await clock.sleep(1000);
  }
  throw new CaretakerError(
    'postgres-not-ready',
    `failed to reach the new server of ${spec.service} within ${READY_SECONDS} s: ${seen}`,
    {
      hint: 'Its log tells what it waits for. It must listen on 127.0.0.1 in its container.',
    },
  );
}

/**
 * Roles and settings of a dump, as they may be given to psql; and the names of the tablespaces that it would make, as SQL writes them. Those are left out: their directories may be missing, or hold the
 * files of the cluster before. Dumps that this program makes today have none. `part-hostile`, `part-missing`, `part-damaged`.
 */
export async function globalsOf(
  part: Part,
  read: (file: PartFile) => AsyncIterable<Uint8Array>,
): Promise<{ readonly script: string; readonly tablespaces: readonly string[] }> {
  const given = await text(read(fileOf(part, 'globals.sql')));
  const left: string[] = [];
  const script = checkScript(given, `the roles and settings of ${part.name}`, left);
  const names = left.map((statement) => /^CREATE TABLESPACE ("(?:[^"]|"")+"|\S+)/.exec(statement)?.[1]);
  return { script, tablespaces: names.filter((name) => name !== undefined) };
}

async function text(bytes: AsyncIterable<Uint8Array>): Promise<string> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of bytes) {
    pieces.push(Buffer.from(piece));
    size += piece.length;
    if (size > MAX_GLOBALS_BYTES) {
      throw new CaretakerError(
        'part-damaged',
        'failed to read the roles and settings: there is more than any server has',
        {
          hint: 'Choose another backup.',
        },
      );
    }
  }
  return Buffer.concat(pieces).toString('utf8');
}

function failed(what: string, spec: PostgresSpec, why: string, cause?: unknown): CaretakerError {
  return new CaretakerError('postgres-load-failed', `failed to load ${what} into ${spec.service}: ${why}`, {
    hint: 'The data from before are put back. Load the dump by hand into a server of your own to see more: RESTORE.md has the commands.',
    cause,
  });
}
