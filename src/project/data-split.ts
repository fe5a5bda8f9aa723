import { basename, join, relative } from 'node:path';
import type { HostFiles, TreeScan } from '../runtimes/host-files.ts';
import type { Runtime } from '../runtimes/runtime.ts';
import { containerPathOf, contains, mountOf, writersOf } from './data-mounts.ts';
import type { Mounts } from './data-mounts.ts';
import type { Names } from './data-names.ts';
import { clusterOf } from './data-postgres.ts';
import type { Cluster } from './data-postgres.ts';
import { cacheNames } from './data-reasons.ts';
import type { SourceSpec } from './project.ts';

export type PostgresSpec = Extract<SourceSpec, { type: 'postgres' }>;
export type SqliteSpec = Extract<SourceSpec, { type: 'sqlite' }>;
export type FilesSpec = Extract<SourceSpec, { type: 'volume' | 'directory' | 'file' | 'project-files' }>;

/** A tree or file to take, before its databases are taken out of it. */
export interface Root {
  readonly path: string;
  readonly type: 'volume' | 'directory' | 'file';
  readonly volume: string | undefined;
  /** Wishes for the part's name: the first free one is taken. */
  readonly names: readonly string[];
  /** A name that the user gave, already claimed. */
  readonly name?: string | undefined;
  /** What the user excluded, relative to the path. */
  readonly exclude: readonly string[];
  readonly scan: TreeScan;
}

export interface SplitDeps {
  readonly mounts: Mounts;
  /** Null for an application run by commands. */
  readonly runtime: Runtime | null;
  readonly files: HostFiles;
  readonly names: Names;
  /** Absolute paths, links resolved, that are never part of a backup: `.caretaker`, folders of backups, secrets that it must not hold. */
  readonly never: readonly string[];
  readonly projectDirectory: string;
}

export interface Split {
  readonly take: readonly SourceSpec[];
  readonly leave: readonly { readonly what: string; readonly why: string }[];
  readonly notes: readonly string[];
}

/** More databases than this in one tree are worth a word: each is a part of its own. */
const manySqliteFiles = 20;

/**
 * Takes the databases out of the trees, for a copy of their files while they are written is torn, and leaves the rest of each tree as files.
 * `already`: databases that have lines of their own.
 */
export async function splitDatabases(
  roots: readonly Root[],
  already: readonly (PostgresSpec | SqliteSpec)[],
  deps: SplitDeps,
): Promise<Split> {
  const { names, files } = deps;
  const leave: { what: string; why: string }[] = [];
  const notes: string[] = [];

  const found = await findClusters(roots, deps);
  const clusters = found.filter((cluster) => !already.some((spec) => spec.path === cluster.path));
  const postgres = clusters.map((cluster) =>
    postgresSpec(cluster, names, clusters.length + already.filter((spec) => spec.type === 'postgres').length === 1),
  );
  const postgresPaths = [...already.filter((spec) => spec.type === 'postgres'), ...postgres].map((spec) => spec.path);

  const sqlite: SqliteSpec[] = [];
  const trees: FilesSpec[] = [];
  for (const root of roots) {
    const databases = root.scan.sqliteFiles
      .map((path) => (root.type === 'file' ? root.path : join(root.path, path)))
      .filter((path) => !postgresPaths.some((cluster) => contains(cluster, path)))
      .filter((path) => !isExcluded(relative(root.path, path), root.exclude));
    const own = databases.filter((path) => !already.some((spec) => spec.path === path));
    for (const path of own)
      sqlite.push(sqliteSpec(path, own.length === 1 && root.scan.files <= 4 ? root.names : [], deps));
    if (own.length > manySqliteFiles) {
      notes.push(
        `${root.path} holds ${own.length} SQLite files: each is copied consistently, as a part of its own; exclude those that are caches or old copies with a line type=${root.type},…,exclude=…`,
      );
    }
    const inside = postgresPaths.filter((path) => contains(root.path, path));
    if ((await restOf(root, inside, databases, files)) > 0 || (inside.length === 0 && databases.length === 0)) {
      const caches = root.type === 'file' ? [] : cacheNames.filter((name) => root.scan.caches.includes(name));
      for (const name of caches) leave.push({ what: join(root.path, name), why: 'a cache, by its own mark' });
      trees.push(filesSpec(root, inside, databases, caches, deps));
    }
  }
  return { take: [...postgres, ...sqlite, ...trees], leave, notes };
}

export async function findClusters(
  roots: readonly Pick<Root, 'path' | 'scan' | 'exclude'>[],
  deps: SplitDeps,
): Promise<Cluster[]> {
  const { runtime, mounts } = deps;
  if (runtime === null) return [];
  const clusters: Cluster[] = [];
  for (const root of roots) {
    for (const path of root.scan.postgresDirectories) {
      if (isExcluded(path, root.exclude)) continue;
      const cluster = await clusterOf(tidyJoin(root.path, path), mounts, runtime);
      if (cluster !== null) clusters.push(cluster);
    }
  }
  // A server has one directory. What else lies in its mount, an old version's that pg_upgrade left, is files that nobody writes.
  const result: Cluster[] = [];
  for (const own of Map.groupBy(clusters, (cluster) => cluster.service.name).values()) {
    const most = Math.max(...own.map(({ evidence }) => evidence));
    const best = own.filter((cluster) => cluster.evidence === most);
    if (best.length === 1 || most === 0) result.push(...best);
    else result.push(...(await served(best, deps.files)));
  }
  return result;
}

/** Of clusters between which the container does not tell: the one with a running server's pid file; all where that tells nothing either. */
async function served(clusters: readonly Cluster[], files: HostFiles): Promise<readonly Cluster[]> {
  const withPid: Cluster[] = [];
  for (const cluster of clusters) if (await files.exists(join(cluster.path, 'postmaster.pid'))) withPid.push(cluster);
  return withPid.length > 0 ? withPid : clusters;
}

/** `claimed`: a name that the user gave. */
export function postgresSpec(cluster: Cluster, names: Names, only: boolean, claimed?: string): PostgresSpec {
  const { service, mount } = cluster;
  const runs = service.container?.state === 'running' && cluster.evidence > 0;
  return {
    type: 'postgres',
    name: claimed ?? names.take(only ? ['database', service.name] : [service.name, `${service.name}-database`]),
    service: service.name,
    // Without a running server there is nobody to ask, and nobody who writes.
    method: runs ? 'physical' : 'files',
    path: cluster.path,
    containerPath: cluster.containerPath,
    ...(mount.volume === undefined ? {} : { volume: mount.volume }),
    user: service.env['POSTGRES_USER'] ?? 'postgres',
  };
}

export function sqliteSpec(
  path: string,
  rootNames: readonly string[],
  deps: Pick<SplitDeps, 'mounts' | 'names'>,
  claimed?: string,
): SqliteSpec {
  const writers = writersOf(deps.mounts, path);
  const mount = mountOf(deps.mounts, path, writers[0]);
  const base = basename(path).replace(/\.[^.]*$/, '');
  const directory = basename(join(path, '..'));
  return {
    type: 'sqlite',
    name: claimed ?? deps.names.take([base, ...rootNames, `${directory}-${base}`, `${base}-sqlite`]),
    path,
    writers,
    ...(mount === undefined ? {} : { service: mount.service, containerPath: containerPathOf(mount, path) }),
    ...(mount?.volume === undefined ? {} : { volume: mount.volume }),
  };
}

/** How many files of a root are left when the databases are taken out. */
async function restOf(
  root: Root,
  postgres: readonly string[],
  databases: readonly string[],
  files: HostFiles,
): Promise<number> {
  if (root.type === 'file') return databases.length > 0 ? 0 : 1;
  let rest = root.scan.files - databases.length;
  for (const path of postgres) {
    if (path === root.path) return 0;
    rest -= (await files.scan(path)).files;
  }
  // Asked only while it can still matter, for each question may be a process of its own.
  for (const path of databases) {
    if (rest <= 0 || rest > databases.length * 3) break;
    for (const companion of companionsOf(path)) if (await files.exists(companion)) rest--;
  }
  return rest;
}

function filesSpec(
  root: Root,
  postgres: readonly string[],
  databases: readonly string[],
  caches: readonly string[],
  deps: SplitDeps,
): FilesSpec {
  const inside = (path: string): string[] =>
    contains(root.path, path) && path !== root.path ? [relative(root.path, path)] : [];
  const mount = mountOf(deps.mounts, root.path);
  return {
    type: root.type,
    name: root.name ?? deps.names.take(root.names),
    path: root.path,
    exclude: [
      ...new Set([
        ...root.exclude,
        ...postgres.flatMap(inside),
        ...databases.flatMap((path) => [path, ...companionsOf(path)]).flatMap(inside),
        ...caches,
        ...deps.never.flatMap(inside),
        // History is git's own: a restore of files must not turn back what an update checked out. Files that are
        // changed or untracked are taken with the tree.
        ...inside(join(deps.projectDirectory, '.git')),
      ]),
    ],
    writers: writersOf(deps.mounts, root.path, [...postgres, ...databases]),
    ...(mount === undefined ? {} : { service: mount.service, containerPath: containerPathOf(mount, root.path) }),
    ...(root.volume === undefined ? {} : { volume: root.volume }),
  };
}

/** What belongs to a SQLite file and is worth nothing, or worse, without it. */
function companionsOf(path: string): string[] {
  return ['-wal', '-shm', '-journal'].map((suffix) => `${path}${suffix}`);
}

/** Whether a relative path is excluded by literal paths or patterns (`*` within a name, `**` across directories). */
export function isExcluded(path: string, patterns: readonly string[]): boolean {
  return patterns.some((pattern) => {
    const text = pattern.replace(/^\.\//, '').replace(/\/+$/, '');
    if (!text.includes('*')) return path === text || path.startsWith(`${text}/`);
    const source = text
      .split(/(\*\*|\*)/)
      .map((piece) => (piece === '**' ? '.*' : piece === '*' ? '[^/]*' : piece.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')))
      .join('');
    return new RegExp(`^${source}(/.*)?$`).test(path);
  });
}

function tidyJoin(root: string, path: string): string {
  return join(root, path).replace(/(.)\/$/, '$1');
}
