import { isAbsolute, join, relative, resolve } from 'node:path';
import { CaretakerError } from '../errors.ts';
import { leftMounts, namesOf, projectFiles, withheldReason } from './data-context.ts';
import type { DataContext, Left } from './data-context.ts';
import { contains, hostPathOf, mountOf, realPath } from './data-mounts.ts';
import { findClusters, postgresSpec, splitDatabases, sqliteSpec } from './data-split.ts';
import type { PostgresSpec, Root, SqliteSpec } from './data-split.ts';
import type { DataPlan, SourceSpec } from './project.ts';

/** One line of `data`, split into its keys. */
export type DataLine = Readonly<Record<string, string>>;

/**
 * Resolves the lines against the project. Databases in a tree that a line names are taken out of it even where they have no line: copied as
 * files they would be torn. See planData for what is thrown.
 */
export async function dataFromLines(lines: readonly DataLine[], context: DataContext): Promise<DataPlan> {
  for (const line of lines) if (line['name'] !== undefined) context.names.claim(line['name']);

  const databases: (PostgresSpec | SqliteSpec)[] = [];
  const roots: Root[] = [];
  const others: SourceSpec[] = [];
  const leave: Left[] = [];
  for (const line of lines) {
    const type = line['type'] ?? '';
    switch (type) {
      case 'postgres':
        databases.push(await postgresOf(line, context));
        break;
      case 'sqlite':
        databases.push(await sqliteOf(line, context));
        break;
      case 'volume':
      case 'directory':
      case 'file': {
        const root = await rootOf(line, context);
        const why = withheldReason(root.path, context);
        if (why === undefined) roots.push(root);
        else leave.push({ what: root.path, why });
        break;
      }
      case 'project-files':
        others.push(...(await projectFiles(context, line['name'])));
        break;
      default:
        throw invalid(line, `there is no type "${type}"`);
    }
  }
  const once = withoutNested(roots);
  const split = await splitDatabases(once, databases, context);
  const take = [...databases, ...split.take, ...others].sort((a, b) => rank(a) - rank(b));
  if (take.length === 0) {
    throw new CaretakerError(
      'data-none',
      `failed to find any data of ${context.project.name}: nothing that data names may be in this backup`,
      {
        hint: 'Files of secrets are only in backups that are encrypted (encrypt-to) or go to folders alone.',
        input: 'data',
      },
    );
  }
  return { take, leave: [...leave, ...leftMounts(context, take), ...split.leave], notes: split.notes };
}

function rank(spec: SourceSpec): number {
  return { postgres: 0, sqlite: 1, volume: 2, directory: 2, file: 2, 'project-files': 3 }[spec.type];
}

/** A tree in another tree that has a line, too, is left out of the outer one: each path is in one part. */
function withoutNested(roots: readonly Root[]): Root[] {
  return roots.map((root) => ({
    ...root,
    exclude: [
      ...root.exclude,
      ...roots
        .filter((inner) => inner !== root && inner.path !== root.path && contains(root.path, inner.path))
        .map((inner) => relative(root.path, inner.path)),
    ],
  }));
}

async function postgresOf(line: DataLine, context: DataContext): Promise<PostgresSpec> {
  const { mounts } = context;
  const service = line['service'];
  if (context.runtime === null)
    throw invalid(line, 'a PostgreSQL server is found by its service, and this application is run by commands');
  if (service !== undefined) requireService(service, line, context);
  const sources = mounts.all.filter(
    (mount) => mount.writable && mount.source !== '' && (service === undefined || mount.service === service),
  );
  const roots: Pick<Root, 'path' | 'scan' | 'exclude'>[] = [];
  for (const path of new Set(sources.map((mount) => mount.source))) {
    // A cluster in a mount is found by the walk of the outermost one.
    if (sources.some((mount) => mount.source !== path && contains(mount.source, path))) continue;
    roots.push({ path, exclude: [], scan: await context.files.scan(path) });
  }
  const clusters = (await findClusters(roots, context)).filter(
    (cluster) => service === undefined || cluster.service.name === service,
  );
  const [cluster, second] = clusters;
  if (cluster === undefined) {
    throw new CaretakerError(
      'postgres-not-found',
      `failed to find a PostgreSQL data directory ${service === undefined ? 'in the project' : `that the service ${service} mounts writable`}`,
      {
        hint: 'Name the service that runs the server. A server elsewhere, or one whose data is in no mount, is not supported.',
        input: 'data',
      },
    );
  }
  if (second !== undefined) {
    throw new CaretakerError(
      'postgres-ambiguous',
      `failed to choose a PostgreSQL server: ${clusters.map(({ path }) => path).join(' and ')} are data directories`,
      {
        hint: 'Add service=… to the line; old data directories of the same service must be moved away.',
        input: 'data',
      },
    );
  }
  const method = line['method'];
  if (method !== undefined && method !== 'physical' && method !== 'dump' && method !== 'files') {
    throw invalid(line, `there is no method ${method}`);
  }
  const name = line['name'];
  const spec = postgresSpec(cluster, context.names, name === undefined, name);
  return method === undefined ? spec : { ...spec, method };
}

async function sqliteOf(line: DataLine, context: DataContext): Promise<SqliteSpec> {
  const path = await pathOf(line, context);
  const scan = await context.files.scan(path);
  await refuseLedOut(line, path, scan.root, context);
  if (scan.kind !== 'file' || scan.sqliteFiles.length === 0) {
    throw new CaretakerError('data-not-sqlite', `failed to read ${path}: it is not a SQLite database`, {
      hint: 'Name the database file itself; a directory is taken by type=directory, its databases are found there.',
      input: 'data',
    });
  }
  return sqliteSpec(scan.root, [], context, line['name']);
}

async function rootOf(line: DataLine, context: DataContext): Promise<Root> {
  const type = line['type'] as Root['type'];
  const path = await pathOf(line, context);
  const scan = await context.files.scan(path);
  await refuseLedOut(line, path, scan.root, context);
  if (type === 'file' ? scan.kind !== 'file' : scan.kind !== 'directory') {
    throw invalid(line, `${path} is a ${scan.kind}, not a ${type === 'file' ? 'file' : 'directory'}`);
  }
  const volume = type === 'volume' ? await volumeName(line, context) : undefined;
  // The real place, as the mounts are told: a link would be exchanged instead of what it leads to.
  const mount = mountOf(context.mounts, scan.root);
  return {
    path: scan.root,
    type,
    volume,
    names:
      type === 'volume'
        ? [line['volume'] ?? '']
        : namesOf(path, mount?.source === scan.root ? mount : undefined, context),
    name: line['name'],
    exclude: (line['exclude'] ?? '')
      .split(';')
      .map((item) => item.trim())
      .filter((item) => item !== ''),
    scan,
  };
}

/** The host path that a line means. Throws when it is not there. */
async function pathOf(line: DataLine, context: DataContext): Promise<string> {
  const path = await wantedPath(line, context);
  if (await context.files.exists(path)) return path;
  throw new CaretakerError('data-path-missing', `failed to find ${path} of the line ${text(line)}`, {
    hint: 'Check the path: relative ones count from the project directory, with service= from the container’s root, with volume= from the volume’s.',
    input: 'data',
  });
}

/**
 * Whatever a service may write to may hold a symbolic link that it made, to anything on the host: what that leads to would get into the backup, and be replaced by a restore.
 * `real`: where `path` leads. A service that may write to the whole project decides by itself what is mounted.
 */
async function refuseLedOut(
  line: DataLine,
  path: string,
  real: string,
  { project, mounts }: DataContext,
): Promise<void> {
  const directory = await realPath(project.directory);
  const homes = mounts.all.filter(({ writable, source }) => writable && source !== '' && !contains(source, directory));
  for (let at = path.indexOf('/', 1); at !== -1; at = path.indexOf('/', at + 1)) {
    const above = await realPath(path.slice(0, at));
    const home = homes.find(({ source }) => contains(source, above));
    if (home === undefined) continue;
    if (contains(home.source, real)) return;
    throw outside(line, `${home.source}, where ${home.service} may have made a link to ${real}`);
  }
}

async function wantedPath(line: DataLine, context: DataContext): Promise<string> {
  const { project, mounts } = context;
  const path = line['path'];
  if (line['volume'] !== undefined) {
    const info = await context.runtime?.volume((await volumeName(line, context)) ?? '');
    if (info?.device !== undefined && !info.device.bound)
      throw invalid(line, `the engine mounts ${info.device.source} there only while a container uses it`);
    const mountpoint = info?.mountpoint ?? '';
    const inside = join(mountpoint, path ?? '.').replace(/(.)\/$/, '$1');
    if (!contains(mountpoint, inside)) throw outside(line, `the volume ${line['volume']}`);
    return inside;
  }
  if (path === undefined) throw invalid(line, 'it has neither path= nor volume=');
  if (line['service'] !== undefined) {
    requireService(line['service'], line, context);
    if (!isAbsolute(path)) throw invalid(line, 'with service= the path is the container’s and begins with /');
    const host = hostPathOf(mounts, line['service'], path);
    if (host !== undefined) return host;
    throw new CaretakerError(
      'data-path-missing',
      `failed to find ${path} of the service ${line['service']} on the host: it lies in none of its mounts`,
      {
        hint: 'Data in a container itself is lost with the container: mount a volume or directory there.',
        input: 'data',
      },
    );
  }
  const resolved = resolve(project.directory, path);
  // An absolute path is meant as written; a relative one that climbs out is more likely a mistake than a wish.
  if (!isAbsolute(path) && !contains(project.directory, resolved)) throw outside(line, 'the project directory');
  return resolved;
}

/** The engine's name of a volume that a line gives by its key in the compose file or by its own name. */
async function volumeName(line: DataLine, context: DataContext): Promise<string | undefined> {
  const wanted = line['volume'];
  if (wanted === undefined) throw invalid(line, 'it names no volume=');
  const name = context.model.volumes[wanted]?.name ?? wanted;
  for (const candidate of [name, `${context.project.name}_${wanted}`]) {
    const info = await context.runtime?.volume(candidate);
    if (info !== undefined && info !== null) return candidate;
  }
  const known = Object.keys(context.model.volumes);
  throw new CaretakerError('data-volume-unknown', `failed to find the volume ${wanted} of the line ${text(line)}`, {
    hint:
      known.length > 0
        ? `The compose file names ${known.join(', ')}.`
        : 'The compose file names no volumes; type=directory takes a bind mount.',
    input: 'data',
  });
}

function requireService(name: string, line: DataLine, context: DataContext): void {
  const known = context.mounts.services.map((service) => service.name);
  if (known.includes(name)) return;
  throw new CaretakerError('data-service-unknown', `failed to find the service ${name} of the line ${text(line)}`, {
    hint: known.length > 0 ? `The services are ${[...new Set(known)].join(', ')}.` : 'This project has no services.',
    input: 'data',
  });
}

function outside(line: DataLine, what: string): CaretakerError {
  return new CaretakerError(
    'data-path-outside',
    `failed to use the line ${text(line)}: its path leads out of ${what}`,
    {
      hint: 'Write an absolute path if a place outside is meant.',
      input: 'data',
    },
  );
}

function invalid(line: DataLine, why: string): CaretakerError {
  return new CaretakerError('data-line-invalid', `failed to use the line ${text(line)}: ${why}`, {
    hint: 'See the table of data lines in the README.',
    input: 'data',
  });
}

function text(line: DataLine): string {
  return Object.entries(line)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
}
