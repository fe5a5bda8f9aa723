import { join } from 'node:path';
import { dumpSuffix } from '../archive/names.ts';
import { MAX_COUNTED_TABLES, type Part, type PartFile, type RowCounts } from '../archive/manifest.ts';
import { checkTar, type TarMember } from '../archive/tar.ts';
import { CaretakerError } from '../errors.ts';
import type { SourceSpec } from '../project/project.ts';
import type { Swap } from '../runtimes/host-files.ts';
import { originOf, placesFor, removeFresh, within } from './places.ts';
import { globalsOf, loadDump } from './postgres-load.ts';
import { orderDoubts, refuseLocale } from './postgres-locale.ts';
import { postgresProofs } from './postgres-proofs.ts';
import { countedDump } from './postgres-rows.ts';
import {
  imageMajor,
  openServer,
  serverContainer,
  serverMajor,
  type ServerAccess,
  type ServerFacts,
} from './postgres-server.ts';
import { BaseEnd, holdWal, isWalMember, noSlot, noWal, walTail } from './postgres-wal.ts';
import type { Capture, Situation, Source, WarmCapture } from './source.ts';
import type { SourceDeps } from './sources.ts';
import { checked, readHead, unpack } from './streams.ts';

/** By database. */
type Rows = Map<string, RowCounts>;

export type PostgresSpec = Extract<SourceSpec, { type: 'postgres' }>;

/**
 * A PostgreSQL server of the project. `physical`: a base backup streamed out of the running server, restored by any server of the same major
 * version. `dump`: globals and every database as archives of pg_dump, restored by any server that is not older. `files`: the data directory of a server that is down.
 */
export function postgresSource(spec: PostgresSpec, deps: SourceDeps, writers: readonly string[]): Source {
  const { project, log } = deps;
  const { files } = project;
  const live = spec.path;

  const facts = (
    { version, major, databases, locale }: ServerFacts,
    rows: Rows = new Map(),
  ): Pick<Part, 'postgres'> => ({
    postgres: {
      ...{ version, major, databases, user: spec.user, locale },
      ...(rows.size === 0 ? {} : { rows: Object.fromEntries(rows) }),
    },
  });

  const online = async (
    situation: Situation,
    begin: (access: ServerAccess, rows: Rows) => Capture['streams'],
  ): Promise<Capture> => {
    if (situation === 'stopped') {
      throw new CaretakerError(
        'postgres-not-running',
        `failed to copy the database server ${spec.service}: it is stopped, and ${spec.method} needs it running`,
        {
          hint: `Start it, or take its data directory: type=postgres,service=${spec.service},method=files.`,
        },
      );
    }
    const access = await openServer(project, log, spec);
    const rows: Rows = new Map();
    return {
      streams: begin(access, rows),
      consistency: situation === 'serving' ? 'online' : 'quiesced',
      get facts() {
        return facts(access.facts, rows);
      },
      finish: () => Promise.resolve(),
    };
  };

  const physical = (access: ServerAccess, onMember?: (member: TarMember) => void): Capture['streams'] => {
    refuseUnfit(access.facts, spec);
    const argv = ['pg_basebackup', '-w', '-U', spec.user, '-D', '-', '-Ft', '-X', 'fetch', '-c', 'fast'] as const;
    return [
      {
        suffix: 'tar',
        open: () => checked(access.stream([...argv]), (source) => checkCluster(source, spec, onMember)),
      },
    ];
  };

  /** A base backup while the application serves, and the WAL behind it: as much as was written, however large the cluster is. */
  const warm = async (): Promise<WarmCapture | undefined> => {
    const access = await openServer(project, log, spec);
    const end = new BaseEnd();
    const streams = physical(access, (member) => end.note(member));
    let letGo: () => Promise<void>;
    try {
      if (!access.facts.switchesWal) throw noSlot('its role may not call pg_switch_wal, or it is a standby');
      letGo = await holdWal(access, `caretaker_${deps.run.replaceAll(/[^a-z0-9_]/g, '_')}`);
    } catch (error) {
      if (!(error instanceof CaretakerError && error.code === 'postgres-slot')) throw error;
      log.warn(`${spec.name}: all of it is copied while the application stands still: ${error.message}`);
      return undefined;
    }
    let tails = 0;
    return {
      streams,
      facts: facts(access.facts),
      async more() {
        if (end.member === undefined) throw noWal(spec);
        const tail = await walTail(access, end.segment, end.member, `wal${tails + 1}.tar`);
        if (tail === null) return [];
        tails++;
        end.segment = tail.last;
        return [tail.stream];
      },
      finish: letGo,
    };
  };

  const dump = (access: ServerAccess, rows: Rows): Capture['streams'] => {
    const { tablespaces } = access.facts;
    if (tablespaces.length > 0) {
      log.warn(
        `${spec.name}: ${spec.service} has tablespaces outside its data directory (${tablespaces.join(', ')}). The dump has what is in them, but a restore makes none: all goes into the data directory`,
      );
    }
    return dumps(access, rows);
  };

  const dumps = (access: ServerAccess, rows: Rows): Capture['streams'] => [
    {
      suffix: 'globals.sql',
      open: () => access.stream(['pg_dumpall', '-w', '-U', spec.user, '--globals-only', '--no-tablespaces']),
    },
    ...access.facts.databases.map((database) => ({
      suffix: dumpSuffix(database),
      // -Z0: zstd does it better, outside the server's container. --no-tablespaces: of CREATE DATABASE; pg_restore leaves out the others.
      open: () =>
        countedDump(access, database, ['pg_dump', '-w', '-U', spec.user, '-Fc', '-Z0', '--no-tablespaces'], {
          limit: () => MAX_COUNTED_TABLES - [...rows.values()].reduce((sum, one) => sum + Object.keys(one).length, 0),
          onRows: (counts) => void rows.set(database, counts),
          onUncounted: (error) => log.info(`${spec.name}: ${error.message}; the dump is complete without it`),
        }),
    })),
  ];

  const stopped = async (situation: Situation): Promise<Capture> => {
    const container = await serverContainer(project, spec.service);
    if (
      situation !== 'stopped' ||
      (container !== null && ['running', 'paused', 'restarting'].includes(container.state))
    ) {
      throw new CaretakerError(
        'postgres-running',
        `failed to copy the data directory of ${spec.service}: its server runs, and a copy of its files would be torn`,
        {
          hint: `Use method=physical, which needs no stop, or stop ${spec.service} first.`,
        },
      );
    }
    const version = (await readHead(files, join(live, 'PG_VERSION'), 16)).toString('latin1').trim();
    return {
      streams: [
        {
          suffix: 'tar',
          open: () => checked(files.tar(live, { exclude: ['postmaster.pid'] }), (source) => checkCluster(source, spec)),
        },
      ],
      consistency: 'stopped',
      facts: { postgres: { version, major: parseInt(version, 10) || 0, databases: [], user: spec.user } },
      finish: () => Promise.resolve(),
    };
  };

  /** Fulfilled with a fresh data directory beside the live one, of its owner and mode. */
  const stageCluster = async (
    part: Part,
    read: (file: PartFile) => AsyncIterable<Uint8Array>,
    fresh: string,
  ): Promise<void> => {
    let rooted = false;
    const [base, ...tails] = part.files;
    if (base === undefined) return;
    const links = new Set<string>();
    const onMember = (member: TarMember): void => {
      rooted ||= member.path === '';
    };
    await unpack(files, fresh, checkCluster(read(base), spec, onMember), { rawBytes: base.rawBytes }, { links });
    for (const file of tails) {
      const how = { over: true, rawBytes: file.rawBytes };
      await unpack(files, fresh, read(file), how, { onMember: refuseButWal, links });
    }
    // A base backup has no entry for the directory itself, and a server refuses one of another owner or mode.
    if (!rooted) await files.likeness(fresh, (await files.exists(live)) ? live : join(fresh, 'base'));
    await files.remove([join(fresh, 'postmaster.pid')]);
  };

  return {
    name: spec.name,
    kind: 'postgres',
    method: spec.method,
    origin: originOf(spec, project),
    writers,
    server: spec.service,
    loads: spec.method === 'dump',
    describe: () =>
      `${spec.name}: PostgreSQL in ${spec.service} (${
        { physical: 'base backup', dump: 'dump of every database', files: `files of ${live}` }[spec.method]
      })`,
    estimate: async () => (await files.scan(live)).bytes,

    capture: (situation) =>
      spec.method === 'files'
        ? stopped(situation)
        : online(situation, spec.method === 'physical' ? (access) => physical(access) : dump),

    ...(spec.method === 'physical' ? { warm } : {}),

    async stage(part, read, run): Promise<readonly Swap[]> {
      if (deps.back !== true) await refuseMajor(part, deps, spec);
      if (deps.back !== true && deps.anew !== true) await refuseLocale(part, deps, spec);
      // Before anything is stopped, and not only when they are loaded.
      if (part.method === 'dump') await globalsOf(part, read);
      const { fresh, aside } = await placesFor(files, live, run);
      try {
        if (part.method === 'dump') {
          // The server makes a new cluster in an empty directory; where there is none yet, it makes that too.
          if (!(await files.exists(live))) return [];
          if (within(live, fresh) !== undefined) {
            throw new CaretakerError(
              'postgres-mount-point',
              `failed to restore ${part.name}: ${live} can't be renamed, and a server makes no new cluster in a directory that is not empty`,
              {
                hint: 'A mount point or a parent directory that may not be written is in the way. Set PGDATA to a directory below the mount, or restore by hand with the RESTORE.md of the backup.',
              },
            );
          }
          await files.makeDirectory(fresh, live);
        } else {
          await stageCluster(part, read, fresh);
        }
        return [{ kind: 'directory', live, fresh, aside, carry: [] }];
      } catch (error) {
        await files.remove([fresh]);
        throw error;
      }
    },

    unstage: (run) => removeFresh(files, live, run),

    discard: () => files.empty(live, []),

    load: (part, read) => loadDump(part, read, spec, deps),

    proves: postgresProofs(spec, deps),
    doubts: async () => (spec.method === 'dump' ? [] : orderDoubts(await openServer(project, log, spec), spec.service)),
  };
}

/** Before a byte is read: what would make pg_basebackup fail, or succeed with less than everything. */
function refuseUnfit(facts: ServerFacts, spec: PostgresSpec): void {
  const dump = `Use the portable way: type=postgres,service=${spec.service},method=dump.`;
  if (facts.tablespaces.length > 0) throw tablespaces(spec, facts.tablespaces);
  if (facts.walLevel === 'minimal' || facts.walSenders < 1) {
    throw new CaretakerError(
      'postgres-wal-level',
      `failed to copy ${spec.service}: its server has wal_level=${facts.walLevel} and max_wal_senders=${facts.walSenders}, and a base backup needs replica and 1`,
      { hint: `Set both in its configuration and restart it. ${dump}` },
    );
  }
  if (!facts.replication) {
    throw new CaretakerError(
      'postgres-role',
      `failed to copy ${spec.service}: the role ${spec.user} may not replicate`,
      {
        hint: `Grant it: ALTER ROLE … REPLICATION. ${dump}`,
      },
    );
  }
}

function tablespaces(spec: PostgresSpec, names: readonly string[]): CaretakerError {
  return new CaretakerError(
    'postgres-tablespaces',
    `failed to copy ${spec.service}: its server has tablespaces outside its data directory (${names.join(', ')})`,
    {
      hint: `Use the portable way: type=postgres,service=${spec.service},method=dump. Its restore makes no tablespaces: all goes into the data directory.`,
    },
  );
}

/** A cluster's archive must hold a cluster, the whole of it. */
async function* checkCluster(
  source: AsyncIterable<Uint8Array>,
  spec: PostgresSpec,
  onMember?: (member: TarMember) => void,
): AsyncGenerator<Uint8Array> {
  const needed = new Set(['PG_VERSION', 'global/pg_control']);
  const check = (member: TarMember): void => {
    needed.delete(member.path);
    if (/^pg_tblspc\/[^/]+$/.test(member.path)) throw tablespaces(spec, [member.path]);
    onMember?.(member);
  };
  yield* checkTar(source, { onMember: check });
  if (needed.size > 0) {
    throw new CaretakerError(
      'part-damaged',
      `failed to find a PostgreSQL cluster in the archive of ${spec.name}: ${[...needed].join(' and ')} missing`,
      {
        hint: `Check that ${spec.path} is the server's data directory.`,
      },
    );
  }
}

function refuseButWal(member: TarMember): void {
  if (isWalMember(member)) return;
  throw new CaretakerError('part-hostile', `refused to unpack ${member.name}: what follows a base backup is WAL only`, {
    hint: 'This backup was not made by this program, or it was changed. Use another.',
  });
}

/** A server of another major version does not start on a physical copy; it would only tell after the swap. */
async function refuseMajor(part: Part, { project, log, anew }: SourceDeps, spec: PostgresSpec): Promise<void> {
  const stored = part.postgres?.major;
  if (stored === undefined) return;
  const major =
    anew === true
      ? await majorToCome(project, spec.service)
      : ((await serverMajor(project, spec.service)) ??
        (await majorToCome(project, spec.service)) ??
        (await majorOnDisk(project.files, spec.path)));
  if (major === undefined) {
    log.warn(`${spec.name}: nothing tells which PostgreSQL ${spec.service} runs; the backup needs ${stored}`);
    return;
  }
  const fits = part.method === 'dump' ? major >= stored : major === stored;
  if (fits) return;
  throw new CaretakerError(
    'postgres-major',
    `failed to restore ${part.name}: it was taken from PostgreSQL ${stored}, and ${spec.service} runs ${major}`,
    {
      hint:
        part.method === 'dump'
          ? `Use an image of PostgreSQL ${stored} or newer for ${spec.service}.`
          : `Use an image of PostgreSQL ${stored} for ${spec.service}, restore, and then upgrade; a backup with method=dump goes into newer ones.`,
    },
  );
}

/** That of the server that the compose file would start. */
async function majorToCome(project: SourceDeps['project'], service: string): Promise<number | undefined> {
  const services = (await project.engine?.compose.model())?.services;
  const image = services?.find(({ name }) => name === service)?.image ?? null;
  return image === null ? undefined : imageMajor(project, image);
}

async function majorOnDisk(files: SourceDeps['project']['files'], path: string): Promise<number | undefined> {
  const file = join(path, 'PG_VERSION');
  if (!(await files.exists(file))) return undefined;
  const text = (await readHead(files, file, 16)).toString('latin1').trim();
  const major = parseInt(text, 10);
  return Number.isNaN(major) ? undefined : major;
}
