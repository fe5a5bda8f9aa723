import { CaretakerError, messageOf } from '../errors.ts';
import type { Project } from '../project/project.ts';
import type { Log } from '../report/log.ts';
import type { Container, ExecOptions, Runtime } from '../runtimes/runtime.ts';
import { LIMITS } from '../system/limits.ts';
import type { Argv, ProcessStream } from '../system/processes.ts';

/** What a running server says of itself. */
export interface ServerFacts {
  readonly version: string;
  readonly major: number;
  readonly walLevel: string;
  readonly walSenders: number;
  readonly replication: boolean;
  readonly tablespaces: readonly string[];
  /** Connectable databases that are no templates. */
  readonly databases: readonly string[];
  readonly locale: string;
  /** Whether `pg_switch_wal()` would work: this role may, and the server is no standby. */
  readonly switchesWal: boolean;
}

/** A way into a running server: programs run in its container, over its local socket. */
export interface ServerAccess {
  readonly container: Container;
  readonly facts: ServerFacts;
  /** The program that takes SQL on standard input or by `-c`, bare values out, ending at the first error. */
  readonly psql: Argv;
  stream(argv: Argv): ProcessStream;
  /** Of any exit code. */
  run(argv: Argv, input?: string, timeoutMs?: number): Promise<{ exitCode: number; stdout: string; stderr: string }>;
}

const FACTS = `select json_build_object(
  'version', current_setting('server_version'),
  'number', current_setting('server_version_num')::int,
  'walLevel', current_setting('wal_level'),
  'walSenders', current_setting('max_wal_senders')::int,
  'replication', (select rolsuper or rolreplication from pg_roles where rolname = current_user),
  'tablespaces', (select coalesce(json_agg(spcname order by spcname), '[]') from pg_tablespace where spcname not in ('pg_default', 'pg_global')),
  'databases', (select coalesce(json_agg(datname order by datname), '[]') from pg_database where datallowconn and not datistemplate),
  'switchesWal', has_function_privilege('pg_switch_wal()', 'execute') and not pg_is_in_recovery(),
  'locale', (select datcollate from pg_database where datname = current_database()))`;

/** The container of the service, in whatever state; null where there is none. */
export async function serverContainer(project: Project, service: string): Promise<Container | null> {
  const containers = (await project.containers()).filter((one) => one.service === service && !one.oneOff);
  return containers.find(({ state }) => state === 'running') ?? containers[0] ?? null;
}

/**
 * Opens the server by whichever local way it grants: as the image's own user (local trust, or a password from the container's
 * environment), then as the operating system's `postgres` (peer). Throws `postgres-not-running`, `postgres-denied`.
 */
export async function openServer(
  project: Project,
  log: Log,
  server: { readonly service: string; readonly user: string },
): Promise<ServerAccess> {
  const runtime = project.engine?.runtime;
  const container = await serverContainer(project, server.service);
  if (runtime === undefined || container?.state !== 'running') {
    throw new CaretakerError(
      'postgres-not-running',
      `failed to reach the database server ${server.service}: it does not run`,
      {
        hint: `Start it (its log tells why it stopped), or take its data directory as files while it is down: type=postgres,service=${server.service},method=files.`,
      },
    );
  }
  const password = await passwordOf(runtime, container);
  if (password !== undefined) log.mask(password);
  const env = {
    ...(password === undefined ? {} : { PGPASSWORD: password }),
    PGCONNECT_TIMEOUT: '30',
    LC_MESSAGES: 'C',
  };
  const refusals: string[] = [];
  for (const osUser of [undefined, 'postgres']) {
    for (const database of ['postgres', 'template1']) {
      const options: ExecOptions = { env, ...(osUser === undefined ? {} : { user: osUser }) };
      const psql: Argv = ['psql', '-X', '-w', '-At', '-v', 'ON_ERROR_STOP=1', '-U', server.user, '-d', database];
      const result = await runtime.exec(container.id, [...psql, '-c', FACTS], {
        ...options,
        timeoutMs: 60_000,
        accept: [0, 1, 2, 3, 126, 127],
      });
      if (result.exitCode === 0) {
        return {
          container,
          facts: parseFacts(result.stdout, server.service),
          psql,
          stream: (argv) => runtime.execStream(container.id, argv, options),
          run: (argv, input, timeoutMs) =>
            runtime.exec(container.id, argv, {
              ...options,
              accept: ANY_CODE,
              ...(input === undefined ? {} : { input }),
              timeoutMs: timeoutMs ?? LIMITS.act,
            }),
        };
      }
      refusals.push(lastLine(result.stderr) || `psql ended with code ${result.exitCode}`);
    }
  }
  throw new CaretakerError(
    'postgres-denied',
    `failed to log in to the database server ${server.service} as ${server.user}: ${[...new Set(refusals)].join('; ')}`,
    {
      hint: `The server must let ${server.user} in over its local socket: by trust or peer in pg_hba.conf, or with the password in the container's POSTGRES_PASSWORD.`,
    },
  );
}

const ANY_CODE = Array.from({ length: 256 }, (_, code) => code);

/** Of the image's environment; a secret mounted as a file is read where it is. */
async function passwordOf(runtime: Runtime, container: Container): Promise<string | undefined> {
  const { env } = container;
  const plain = env['POSTGRES_PASSWORD'] ?? env['POSTGRESQL_PASSWORD'] ?? env['PGPASSWORD'];
  if (plain !== undefined && plain !== '') return plain;
  const file = env['POSTGRES_PASSWORD_FILE'] ?? env['POSTGRESQL_PASSWORD_FILE'];
  if (file === undefined || file === '') return undefined;
  const { exitCode, stdout } = await runtime.exec(container.id, ['cat', '--', file], {
    accept: ANY_CODE,
    timeoutMs: 30_000,
  });
  // Without it the other ways may still work; the server's own refusal is what is reported.
  return exitCode === 0 && stdout.trim() !== '' ? stdout.replace(/\n$/, '') : undefined;
}

function parseFacts(stdout: string, service: string): ServerFacts {
  try {
    const { number, ...facts } = JSON.parse(stdout) as ServerFacts & { number: number };
    return { ...facts, major: Math.floor(number / 10_000) };
  } catch (error) {
    throw new CaretakerError(
      'postgres-denied',
      `failed to ask the database server ${service} what it is: ${messageOf(error)}`,
      {
        hint: 'PostgreSQL 10 or newer is needed.',
        cause: error,
      },
    );
  }
}

/**
 * The major version of the server that a service's container runs or would run; undefined where nothing tells.
 * Works on a stopped container, or none, too as long as the image says it (`PG_MAJOR`, as the official one does).
 */
export async function serverMajor(project: Project, service: string): Promise<number | undefined> {
  const container = await serverContainer(project, service);
  if (container === null) {
    const model = await project.engine?.compose.model();
    const image = model?.services.find(({ name }) => name === service)?.image ?? null;
    return image === null ? undefined : imageMajor(project, image);
  }
  if (container.state === 'running' && project.engine !== null) {
    const { exitCode, stdout } = await project.engine.runtime.exec(container.id, ['postgres', '--version'], {
      accept: ANY_CODE,
      timeoutMs: 30_000,
    });
    const major = /\b(\d+)(?:\.|devel|beta|rc)/.exec(stdout)?.[1];
    if (exitCode === 0 && major !== undefined) return Number(major);
  }
  return majorOf(container.env['PG_MAJOR']);
}

/** The major version of the server in an image that is here; by its name where the image does not tell. Undefined where nothing does. */
export async function imageMajor(project: Project, image: string): Promise<number | undefined> {
  const environment = await project.engine?.runtime.imageEnvironment(image);
  return majorOf(environment?.['PG_MAJOR']) ?? majorInTag(image);
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

/** A database's name as libpq takes it whole: a bare name with `=` in it would be read as connection settings. */
export function conninfo(database: string): string {
  return `dbname='${database.replaceAll(/[\\']/g, String.raw`\$&`)}'`;
}

export function lastLine(text: string): string {
  return text.trim().split('\n').at(-1)?.trim() ?? '';
}
