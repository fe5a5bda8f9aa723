import type { RowCounts } from '../archive/manifest.ts';
import { CaretakerError, messageOf } from '../errors.ts';
import type { Argv, ProcessStream } from '../system/processes.ts';
import { conninfo, lastLine, type ServerAccess } from './postgres-server.ts';
import { streamOf } from './streams.ts';

/**
 * A transaction in a session of its own that sees its database as it was at one moment, however long it takes and whatever others write.
 * It holds no lock on any table until it counts.
 */
export interface Snapshot {
  /** For `pg_dump --snapshot`: what sees the same. */
  readonly id: string;
  /**
   * The rows of every table whose rows a dump holds, by `schema.table`. Where a dump of this snapshot is being made, only once its output
   * has begun: it has all its locks then, and can't come to wait behind somebody who waits for ours. Throws `postgres-rows`, also where there are more tables than `limit`.
   */
  count(limit: number): Promise<RowCounts>;
  /** Always called; ends a count that is under way. */
  end(): Promise<void>;
}

/** Not the role's or the server's own limits: a dump takes its time. A lock that is not to be had soon is not waited for. */
const BEGIN = `
set client_encoding = 'UTF8'; set search_path = pg_catalog; set row_security = off;
set idle_in_transaction_session_timeout = 0; set lock_timeout = '1min'; set statement_timeout = '6h';
select set_config('transaction_timeout', '0', false) where current_setting('server_version_num')::int >= 170000;
begin transaction isolation level repeatable read read only;
select 'session ' || pg_backend_pid();
select 'snapshot ' || pg_export_snapshot();
`;

/** Not what comes with an extension, nor a materialized view: a restore makes their rows anew. */
const TABLES = `
with tables as (
  select nspname, relname from pg_class c join pg_namespace n on n.oid = relnamespace
  where relkind = 'r' and nspname !~ '^pg_' and nspname <> 'information_schema'
    and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'))`;

/**
 * Locked at once, so that no table is emptied before it is counted (TRUNCATE empties it for old snapshots too), or not at all. What a count
 * locks besides, the indexes of each table, is let go of after it: a server has room for so many locks only.
 */
const countSql = (limit: number): string => `
${TABLES} select format('lock table only %I.%I in access share mode nowait', nspname, relname) from tables
  where (select count(*) from tables) <= ${limit} \\gexec
${TABLES} select 'savepoint one', format('select json_build_array(%L, count(*)) from only %I.%I', nspname || '.' || relname, nspname, relname),
    'rollback to one', 'release one' from tables
  where (select count(*) from tables) <= ${limit} \\gexec
${TABLES} select 'tables ' || count(*) from tables;
`;

/** Throws `postgres-rows` where the server lets none be taken. */
export async function openSnapshot(access: ServerAccess, database: string): Promise<Snapshot> {
  const session = access.stream([...access.psql, '-q', '-d', conninfo(database)]);
  session.done.catch(() => undefined);
  session.stdin.on('error', () => undefined); // It has ended: its output tells.
  const lines = linesOf(session.stdout as AsyncIterable<Uint8Array>);

  /** What comes before the line that begins with `mark`, and the rest of that. */
  const until = async (mark: string): Promise<[string[], string]> => {
    const before: string[] = [];
    for (;;) {
      const next = await lines.next();
      if (next.done === true) break;
      if (next.value.startsWith(mark)) return [before, next.value.slice(mark.length)];
      before.push(next.value);
    }
    session.stdin.end();
    const why = await session.done.then(
      () => 'the session ended',
      (error: unknown) => {
        const words = messageOf(error);
        return /(?:ERROR|FATAL): .*/.exec(words)?.[0] ?? lastLine(words);
      },
    );
    throw notCounted(database, why);
  };
  let pid = '';
  let isCounting = false;
  const end = async (): Promise<void> => {
    session.stdin.end();
    if (isCounting) {
      // Neither the end of its input nor that of the engine's client ends a program that waits for the server.
      await access.run([...access.psql, '-c', `select pg_terminate_backend(${pid})`]).catch(() => undefined);
      session.kill();
    }
    await session.done.catch(() => undefined);
  };

  try {
    session.stdin.write(BEGIN);
    [, pid] = await until('session ');
    const [, id] = await until('snapshot ');
    return {
      id,
      async count(limit) {
        session.stdin.write(countSql(limit));
        isCounting = true;
        const [counted, tables] = await until('tables ');
        isCounting = false;
        if (Number(tables) > limit)
          throw notCounted(database, `it has ${tables} tables, and there is room for ${limit}`);
        return Object.fromEntries(counted.map((line) => JSON.parse(line) as [string, number]));
      },
      end,
    };
  } catch (error) {
    await end();
    throw error;
  }
}

function notCounted(database: string, why: string): CaretakerError {
  return new CaretakerError('postgres-rows', `failed to count the rows of database ${database}: ${why}`, {
    hint: 'A dump is complete without it; a drill can prove less of it.',
  });
}

/**
 * A dump of one database by `argv`, and beside it the rows of all that it dumps. Where they can't be counted (a standby may not, or a role), it is a
 * dump without.
 */
export function countedDump(
  access: ServerAccess,
  database: string,
  argv: Argv,
  counting: {
    /** How many tables there is room for; asked when the dump has begun. */
    limit(): number;
    onRows(rows: RowCounts): void;
    onUncounted(error: CaretakerError): void;
  },
): ProcessStream {
  let dump: ProcessStream | undefined;
  let isWanted = true;
  const unlessUncounted = async <T>(work: Promise<T>): Promise<T | undefined> => {
    try {
      return await work;
    } catch (error) {
      if (!(error instanceof CaretakerError && error.code === 'postgres-rows')) throw error;
      if (isWanted) counting.onUncounted(error);
      return undefined;
    }
  };
  const bytes = async function* (): AsyncGenerator<Uint8Array> {
    const snapshot = await unlessUncounted(openSnapshot(access, database));
    let rows: Promise<RowCounts | undefined> | undefined;
    try {
      if (!isWanted) return;
      const same = snapshot === undefined ? [] : [`--snapshot=${snapshot.id}`];
      dump = access.stream([...argv, ...same, '-d', conninfo(database)]);
      dump.stdin.end();
      for await (const chunk of dump.stdout as AsyncIterable<Uint8Array>) {
        rows ??= snapshot && unlessUncounted(snapshot.count(counting.limit()));
        // Whatever it is, it is awaited below, or the dump's own failure counts.
        rows?.catch(() => undefined);
        yield chunk;
      }
      await dump.done;
      const counted = await rows;
      if (counted !== undefined) counting.onRows(counted);
    } finally {
      isWanted = false;
      dump?.kill();
      await snapshot?.end();
    }
  };
  const stream = streamOf(bytes());
  const kill = (): void => {
    isWanted = false;
    dump?.kill();
    stream.kill();
  };
  return { ...stream, kill };
}

async function* linesOf(output: AsyncIterable<Uint8Array>): AsyncGenerator<string, undefined> {
  const decoder = new TextDecoder();
  let rest = '';
  try {
    for await (const chunk of output) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      yield* lines;
    }
  } catch {
    // How the program ended tells why.
  }
  return undefined;
}
