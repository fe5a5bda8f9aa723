/**
 * A backup of a PostgreSQL directory, plain and encrypted, beside `tar -czf` of the same: seconds, bytes, and the memory of this program.
 * What is measured and how: README.md.
 *
 *   node bench/backup-postgres.ts [--gigabytes 3] [--pairs 2] [--engine docker|podman] [--directory /var/tmp]
 *
 * Exits with 1 when a backup took more memory than the limit, or anything failed. Removes what it made in either case.
 */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import path from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { measuredRun, type MeasuredRun } from './measured-run.ts';
import { PostgresContainer } from './postgres-container.ts';

const LIMIT_MIB = 250;
const IMAGE = 'docker.io/library/postgres:17-alpine';

type Argv = readonly [string, ...string[]];
type Measured = MeasuredRun & { readonly storedBytes: number; readonly copySeconds?: number };

const caretaker = path.resolve(import.meta.dirname, '../dist/cli/index.js');
const { values } = parseArgs({
  options: {
    gigabytes: { type: 'string', default: '3' },
    pairs: { type: 'string', default: '2' },
    engine: { type: 'string', default: 'docker' },
    directory: { type: 'string', default: '/var/tmp' },
  },
});
const { engine } = values;
const wantedBytes = Number(values.gigabytes) * 1e9;
const pairs = Number(values.pairs);
const rootless = process.getuid?.() !== 0;
refuseUnfit();

const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => interrupted.abort(new Error(`interrupted by ${name}`)));
}
const { signal } = interrupted;

const project = `ck-bench-${randomUUID().slice(0, 8)}`;
const home = path.join(path.resolve(values.directory), project);
const backups = path.join(home, 'backups');
const container = `${project}-database`;
const server = new PostgresContainer({
  ...{ engine, container: () => Promise.resolve(container), user: 'bench', signal },
  size: async () => parseInt(await run(owner('du', '-s', '--block-size=1', 'database')), 10),
});
const compose: Argv = engine === 'docker' ? ['docker', 'compose', '-p', project] : ['podman-compose', '-p', project];
/** The data directory is the server's own, with mode 700: only the containers' root reads it. */
const asOwner = engine === 'podman' && rootless ? ['podman', 'unshare'] : [];

try {
  await bringUp();
  const directoryBytes = await server.fill(wantedBytes);
  console.log(await machine(directoryBytes));

  const rows: [string, Measured][] = [];
  const note = (name: string, measured: Measured): Measured => {
    rows.push([name, measured]);
    console.error(`${name.padEnd(28)} ${measured.seconds.toFixed(1)} s`);
    return measured;
  };
  const recipient = await newRecipient();
  const took: { readonly a: Measured; readonly e: Measured; readonly b: Measured }[] = [];
  // Everything into the page cache: the first to read would pay for the others.
  await run(owner('sh', '-c', 'find database -type f -exec cat {} + >/dev/null'));
  for (let pair = 1; pair <= pairs; pair += 1) {
    const a = note(`A${pair} compose-caretaker backup`, await caretakerBackup());
    const e = note(`E${pair} the same, encrypted`, await caretakerBackup('--encrypt-to', recipient));
    const b = note(`B${pair} tar -czf`, await coldTar(['-czf'], 'tar.gz'));
    took.push({ a, e, b });
  }
  note('C  tar -I "zstd -T0 -1" -cf', await coldTar(['-I', 'zstd -T0 -1', '-cf'], 'tar.zst'));

  const peak = Math.max(...took.flatMap(({ a, e }) => [a.peakBytes, e.peakBytes])) / 2 ** 20;
  const ratios = (of: (one: Measured) => number, top: 'a' | 'e' = 'a', bottom: 'a' | 'b' = 'b'): string =>
    took.map((pair) => (of(pair[top]) / of(pair[bottom])).toFixed(2)).join(', ');
  console.log(table(rows));
  console.log(
    `A / B pair by pair: wall time ${ratios((one) => one.seconds)}; stored ${ratios((one) => one.storedBytes)}`,
  );
  console.log(`E / A pair by pair: wall time ${ratios((one) => one.seconds, 'e', 'a')}`);
  console.log(`peak memory ${peak.toFixed(0)} MiB (limit ${LIMIT_MIB})`);
  if (peak > LIMIT_MIB) process.exitCode = 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  await removeAll();
}

function refuseUnfit(): void {
  const refuse = (why: string): never => {
    console.error(why);
    process.exit(2);
  };
  if (Number(process.versions.node.split('.')[0]) < 24) refuse(`Node 24 is needed, this is ${process.version}.`);
  if (engine !== 'docker' && engine !== 'podman') refuse(`--engine is docker or podman, not ${engine}.`);
  if (!(wantedBytes > 0)) refuse(`--gigabytes is a number above 0, not ${values.gigabytes}.`);
  if (!(Number.isInteger(pairs) && pairs > 0)) refuse(`--pairs is a whole number above 0, not ${values.pairs}.`);
  if (engine === 'docker' && rootless) refuse('Under Docker, tar reads the data directory as root only: run as root.');
  if (!existsSync(caretaker)) refuse(`${caretaker} is missing: npm run build.`);
  const { bavail, bsize } = statfsSync(values.directory);
  // The directory, a backup of it, and the room for raw data that a backup wants to see before it begins.
  const needed = 2.5 * wantedBytes + 1e9;
  if (bavail * bsize < needed) refuse(`${values.directory} has less than ${(needed / 1e9).toFixed(1)} GB free.`);
}

async function bringUp(): Promise<void> {
  mkdirSync(path.join(home, 'database'), { recursive: true });
  writeFileSync(
    path.join(home, 'docker-compose.yml'),
    `services:
  database:
    image: ${IMAGE}
    container_name: ${container}
    environment:
      POSTGRES_USER: bench
      POSTGRES_PASSWORD: bench
    volumes:
      - ./database:/var/lib/postgresql/data
`,
  );
  await run([...compose, 'up', '-d']);
  await server.ready();
}

/** A, as its user runs it: nothing is stopped. */
async function caretakerBackup(...more: readonly string[]): Promise<Measured> {
  const argv: Argv = [
    process.execPath,
    caretaker,
    'backup',
    '--engine',
    engine,
    '--store',
    `type=folder,path=${backups}`,
    ...more,
  ];
  const measured = await measuredRun(argv, { cwd: home, signal });
  const files = readdirSync(backups);
  const manifest = files.find((file) => file.endsWith('.manifest.json'));
  if (manifest === undefined) throw new Error('the backup has no manifest');
  const { parts } = JSON.parse(readFileSync(path.join(backups, manifest), 'utf8')) as {
    parts: { kind: string; seconds: number }[];
  };
  const part = parts.find(({ kind }) => kind === 'postgres');
  if (part === undefined) throw new Error('the backup holds no PostgreSQL');
  const storedBytes = files.reduce((sum, file) => sum + statSync(path.join(backups, file)).size, 0);
  rmSync(backups, { recursive: true });
  await run(['sync']);
  return { ...measured, storedBytes, copySeconds: part.seconds };
}

/** `age1…` of a key of its own, whose file goes with the directory. */
async function newRecipient(): Promise<string> {
  const file = path.join(home, 'identity.txt');
  await run([process.execPath, caretaker, 'keygen', file]);
  const [recipient] = /age1[a-z0-9]+/.exec(readFileSync(file, 'utf8')) ?? [];
  if (recipient === undefined) throw new Error(`${file} names no recipient`);
  return recipient;
}

/** B and C, as the manual does: the application is stopped, tar reads the directory, the application is started. Only tar's time is taken. */
async function coldTar(create: readonly string[], suffix: string): Promise<Measured> {
  const file = path.join(home, `database.${suffix}`);
  await run([engine, 'stop', container]);
  const measured = await measuredRun(owner('tar', ...create, file, './database'), { cwd: home, signal });
  await run([engine, 'start', container]);
  await server.ready();
  const storedBytes = statSync(file).size;
  rmSync(file);
  await run(['sync']);
  return { ...measured, storedBytes };
}

function owner(program: string, ...args: readonly string[]): Argv {
  return [...asOwner, program, ...args] as unknown as Argv;
}

async function run([program, ...args]: Argv): Promise<string> {
  const { stdout } = await promisify(execFile)(program, args, { cwd: home, signal, maxBuffer: 16 * 1024 * 1024 });
  return stdout;
}

async function machine(directoryBytes: number): Promise<string> {
  const format = engine === 'docker' ? '{{.Server.Version}}' : '{{.Client.Version}}';
  const version = (await run([engine, 'version', '--format', format])).trim();
  const load = loadavg()[0]!.toFixed(1);
  return [
    `${cpus().length} cores (load average ${load}), ${(totalmem() / 1e9).toFixed(0)} GB of memory; ${engine} ${version}; Node ${process.versions.node}`,
    `PostgreSQL directory: ${(directoryBytes / 1e9).toFixed(2)} GB on disk, in the page cache`,
  ].join('\n');
}

function table(rows: readonly (readonly [string, Measured])[]): string {
  const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(0);
  const lines = rows.map(([name, { seconds, copySeconds, storedBytes, peakBytes, largestChild }]) => [
    name,
    seconds.toFixed(1),
    copySeconds?.toFixed(1) ?? '',
    (storedBytes / 1e6).toFixed(0),
    mib(peakBytes),
    largestChild === null ? '' : `${mib(largestChild.peakBytes)} (${largestChild.name})`,
  ]);
  const all = [['', 'seconds', 'of which copying', 'MB stored', 'peak MiB', 'largest child'], ...lines];
  const widths = all[0]!.map((_, column) => Math.max(...all.map((line) => line[column]!.length)));
  return all
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

async function removeAll(): Promise<void> {
  const quietly = async ([program, ...args]: Argv): Promise<void> => {
    try {
      await promisify(execFile)(program, args, { cwd: values.directory });
    } catch (error) {
      console.error(`failed to clean up: ${(error as Error).message}`);
      process.exitCode = 1;
    }
  };
  if (!existsSync(home)) return;
  await quietly([...compose, '-f', path.join(home, 'docker-compose.yml'), 'down', '-v', '--remove-orphans'] as Argv);
  await quietly(owner('rm', '-rf', home));
}
