/**
 * How long an application is away for an update: by the manual of the application, by this program, and by the mere stop and start of what
 * changed. What is measured and how: README.md.
 *
 *   node bench/update-downtime.ts [--gigabytes 0.1,1,3] [--rounds 2] [--engine docker|podman] [--directory /var/tmp]
 *
 * Exits with 1 when anything failed. Removes what it made in either case.
 */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, rmSync, statfsSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import path from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { watch, type Outages } from './outages.ts';
import { PostgresContainer } from './postgres-container.ts';

type Argv = readonly [string, ...string[]];

const root = path.resolve(import.meta.dirname, '..');
const caretaker = path.join(root, 'dist/cli/index.js');
const { values } = parseArgs({
  options: {
    gigabytes: { type: 'string', default: '0.1,1,3' },
    rounds: { type: 'string', default: '2' },
    engine: { type: 'string', default: 'docker' },
    directory: { type: 'string', default: '/var/tmp' },
    port: { type: 'string', default: '18923' },
  },
});
const { engine, port } = values;
const sizes = values.gigabytes.split(',').map(Number);
const rounds = Number(values.rounds);
const rootless = process.getuid?.() !== 0;
refuseUnfit();

const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => interrupted.abort(new Error(`interrupted by ${name}`)));
}
const { signal } = interrupted;

const name = `ck-bench-${randomUUID().slice(0, 8)}`;
const home = path.join(path.resolve(values.directory), name);
const instance = path.join(home, name);
const source = path.join(home, 'uso');
const compose: Argv = engine === 'docker' ? ['docker', 'compose'] : ['podman-compose'];
const build = './deploy/build-image.sh nginx';
let patch = 0;

try {
  await make('create', '--name', name, '--port', port);
  await make('up');
  const server = new PostgresContainer({
    ...{ engine, container: () => containerOf('database'), user: 'usonline', signal },
    size: async () => parseInt(await run(asOwner('du', '-s', '--block-size=1', 'database')), 10),
  });
  await warmUp();
  console.log(
    `${cpus().length} cores (load average ${loadavg()[0]!.toFixed(1)}), ${(totalmem() / 1e9).toFixed(0)} GB of memory; ${engine}, ${rootless ? 'rootless' : 'as root'}; Node ${process.versions.node}`,
  );
  console.log('GB    round  restart alone  caretaker  manual  more than restart  caretaker / manual');
  const points: { readonly gigabytes: number; readonly more: number }[] = [];
  for (const wanted of sizes) {
    const gigabytes = (await server.fill(wanted * 1e9)) / 1e9;
    await run(asOwner('sh', '-c', 'find database -type f -exec cat {} + >/dev/null'));
    for (let round = 1; round <= rounds; round += 1) {
      const alone = await measured('restart alone', restartAlone);
      const ours = await measured('caretaker', caretakerUpdate);
      const manual = await measured('manual', manualUpdate);
      points.push({ gigabytes, more: ours.seconds - alone.seconds });
      console.log(
        [
          gigabytes.toFixed(2).padEnd(6) + String(round).padEnd(5),
          alone.seconds.toFixed(1).padStart(13),
          ours.seconds.toFixed(1).padStart(9),
          manual.seconds.toFixed(1).padStart(6),
          (ours.seconds - alone.seconds).toFixed(1).padStart(17),
          (ours.seconds / manual.seconds).toFixed(3).padStart(18),
        ].join('  '),
      );
    }
  }
  if (sizes.length > 1) console.log(`growth with the data: ${slope(points).toFixed(2)} s a GB`);
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
  if (!sizes.every((size) => size > 0)) refuse(`--gigabytes are numbers above 0, not ${values.gigabytes}.`);
  if (!(Number.isInteger(rounds) && rounds > 0)) refuse(`--rounds is a whole number above 0, not ${values.rounds}.`);
  if (engine === 'docker' && rootless) refuse('Under Docker, tar reads the data directory as root only: run as root.');
  if (!existsSync(caretaker)) refuse(`${caretaker} is missing: npm run build.`);
  const { bavail, bsize } = statfsSync(values.directory);
  const needed = 3 * Math.max(...sizes) * 1e9 + 1e9;
  if (bavail * bsize < needed) refuse(`${values.directory} has less than ${(needed / 1e9).toFixed(1)} GB free.`);
}

/** What changed, the image of `web`, is there already: stop it, and bring up the new one. Nothing shorter can be. */
async function restartAlone(): Promise<void> {
  await run([...compose, 'stop', 'web']);
  await run([engine, 'rm', await containerOf('web')]);
  await run([...compose, 'up', '-d']);
}

async function caretakerUpdate(): Promise<void> {
  await run([
    ...[process.execPath, caretaker, 'update', '--engine', engine, '--project-directory', instance],
    ...['--source-directory', source, '--track', 'releases', '--build', build],
    ...['--store', `type=folder,path=${path.join(home, 'backups')}`, '--settle', '2s'],
    ...['--health', `type=http,url=http://127.0.0.1:${port}/health`],
  ] as unknown as Argv);
}

/** The application's manual, line by line; `database` and `local` are what it says to back up. */
async function manualUpdate(): Promise<void> {
  await run([...compose, 'down']);
  await run(asOwner('tar', '-czf', path.join(home, 'backup.tar.gz'), './database', './local'));
  await run(['git', '-c', 'advice.detachedHead=false', 'fetch', '-q', '--tags', 'origin'], source);
  await run(['git', 'checkout', '-q', 'origin/main'], source);
  await run(['sh', '-c', build], source);
  await run([...compose, 'up', '-d']);
}

/** The seconds of failed requests around `work`, which gets a release to go to. */
async function measured(what: string, work: () => Promise<void>): Promise<Outages> {
  patch += 1;
  await make('release', `v1.0.${patch}`);
  if (what === 'restart alone') {
    await run(['git', 'fetch', '-q', '--tags', 'origin'], source);
    await run(['git', 'checkout', '-q', `v1.0.${patch}`], source);
    await run(['sh', '-c', build], source);
  }
  await run(['sync']);
  const watching = watch(`http://127.0.0.1:${port}/health`);
  try {
    await work();
    await make('wait', '/health', '120');
    // The first answer is not always the last word: workers load.
    await new Promise((resolve) => setTimeout(resolve, 3000));
  } finally {
    watching.stop();
  }
  const outages = watching.result();
  console.error(
    `${what}: ${outages.seconds.toFixed(1)} s away in ${outages.spans.map((span) => span.toFixed(1)).join(' + ')}`,
  );
  rmSync(path.join(home, 'backups'), { recursive: true, force: true });
  rmSync(path.join(home, 'backup.tar.gz'), { force: true });
  return outages;
}

/** The first build pulls layers into the cache, and the first update writes what later ones find. */
async function warmUp(): Promise<void> {
  await measured('warm-up', caretakerUpdate);
}

/** Least squares. */
function slope(points: readonly { readonly gigabytes: number; readonly more: number }[]): number {
  const mean = (of: (point: (typeof points)[number]) => number): number =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const x = mean(({ gigabytes }) => gigabytes);
  const y = mean(({ more }) => more);
  const over = mean(({ gigabytes, more }) => (gigabytes - x) * (more - y));
  return over / mean(({ gigabytes }) => (gigabytes - x) ** 2);
}

async function containerOf(service: string): Promise<string> {
  const filters = ['project', 'service'].flatMap((key) => [
    '--filter',
    `label=com.docker.compose.${key}=${key === 'project' ? name : service}`,
  ]);
  return (await run([engine, 'ps', '-aq', ...filters])).trim();
}

function asOwner(program: string, ...args: readonly string[]): Argv {
  return [...(engine === 'podman' && rootless ? ['podman', 'unshare'] : []), program, ...args] as unknown as Argv;
}

async function make(...words: readonly string[]): Promise<void> {
  await run([path.join(root, '__tests__/fixtures/uso/make.sh'), home, ...words], values.directory);
}

async function run([program, ...args]: Argv, cwd = instance): Promise<string> {
  const env = { ...process.env, CONTAINER_ENGINE: engine, COMPOSE: compose.join(' ') };
  const { stdout } = await promisify(execFile)(program, args, { cwd, signal, env, maxBuffer: 64 * 1024 * 1024 });
  return stdout;
}

async function removeAll(): Promise<void> {
  if (!existsSync(home)) return;
  try {
    const argv = [path.join(root, '__tests__/fixtures/uso/make.sh'), home, 'destroy'];
    await promisify(execFile)(argv[0]!, argv.slice(1), { cwd: values.directory });
    rmSync(home, { recursive: true, force: true });
  } catch (error) {
    console.error(`failed to clean up: ${(error as Error).message}`);
    process.exitCode = 1;
  }
}
