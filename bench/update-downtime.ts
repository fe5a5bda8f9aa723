/**
 * How long an application is away for an update: by the manual of the application, by this program, and by the mere stop and start of what
 * changed. What is measured and how: README.md.
 *
 *   node bench/update-downtime.ts [--gigabytes 0.1,1,3] [--rounds 2] [--engine docker|podman] [--directory /var/tmp]
 *
 * Exits with 1 when anything failed. Removes what it made in either case.
 */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import type { Outages } from './outages.ts';
import { caretaker, refuseUnfit, UsoStack, type Argv } from './uso-stack.ts';

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
refuseUnfit({ engine, directory: values.directory, sizes, rounds, copies: 3 });

const stack = new UsoStack(values);
const { home, instance, source, compose } = stack;
const build = './deploy/build-image.sh nginx';
let patch = 0;

try {
  await stack.create();
  await warmUp();
  console.log(stack.machine());
  console.log('GB    round  restart alone  caretaker  manual  more than restart  caretaker / manual');
  const points: { readonly gigabytes: number; readonly more: number }[] = [];
  for (const wanted of sizes) {
    const gigabytes = await stack.fill(wanted);
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
  await stack.removeAll();
}

/** What changed, the image of `web`, is there already: stop it, and bring up the new one. Nothing shorter can be. */
async function restartAlone(): Promise<void> {
  await stack.run([...compose, 'stop', 'web']);
  await stack.run([engine, 'rm', await stack.containerOf('web')]);
  await stack.run([...compose, 'up', '-d']);
}

async function caretakerUpdate(): Promise<void> {
  await stack.run([
    ...[process.execPath, caretaker, 'update', '--engine', engine, '--project-directory', instance],
    ...['--source-directory', source, '--track', 'releases', '--build', build],
    ...['--store', `type=folder,path=${path.join(home, 'backups')}`, '--settle', '2s'],
    ...['--health', `type=http,url=http://127.0.0.1:${port}/health`],
  ] as unknown as Argv);
}

/** The application's manual, line by line; `database` and `local` are what it says to back up. */
async function manualUpdate(): Promise<void> {
  await stack.run([...compose, 'down']);
  await stack.run(stack.asOwner('tar', '-czf', path.join(home, 'backup.tar.gz'), './database', './local'));
  await stack.run(['git', '-c', 'advice.detachedHead=false', 'fetch', '-q', '--tags', 'origin'], source);
  await stack.run(['git', 'checkout', '-q', 'origin/main'], source);
  await stack.run(['sh', '-c', build], source);
  await stack.run([...compose, 'up', '-d']);
}

/** The seconds of failed requests around `work`, which gets a release to go to. */
async function measured(what: string, work: () => Promise<void>): Promise<Outages> {
  patch += 1;
  await stack.make('release', `v1.0.${patch}`);
  if (what === 'restart alone') {
    await stack.run(['git', 'fetch', '-q', '--tags', 'origin'], source);
    await stack.run(['git', 'checkout', '-q', `v1.0.${patch}`], source);
    await stack.run(['sh', '-c', build], source);
  }
  const outages = await stack.outages(what, work);
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
