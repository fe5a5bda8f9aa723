/**
 * How long an application is away for a restore, beside the mere stop and start of its services; and how long a backup takes to be unpacked and verified,
 * beside `tar -xzf` of the same data. What is measured and how: README.md.
 *
 *   node bench/restore.ts [--gigabytes 1] [--rounds 2] [--engine docker|podman] [--directory /var/tmp]
 *
 * Exits with 1 when anything failed. Removes what it made in either case.
 */
import path from 'node:path';
import { parseArgs } from 'node:util';
import { measuredRun } from './measured-run.ts';
import { caretaker, refuseUnfit, UsoStack, type Argv } from './uso-stack.ts';

const { values } = parseArgs({
  options: {
    gigabytes: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '2' },
    engine: { type: 'string', default: 'docker' },
    directory: { type: 'string', default: '/var/tmp' },
    port: { type: 'string', default: '18924' },
  },
});
const { engine, port, directory } = values;
const gigabytes = Number(values.gigabytes);
const rounds = Number(values.rounds);
refuseUnfit({ engine, directory, sizes: [gigabytes], rounds, copies: 5 });

const stack = new UsoStack(values);
const { home, instance, source, compose } = stack;
const archive = path.join(home, 'by-hand.tar.gz');
const elsewhere = path.join(home, 'elsewhere');
const store = ['--store', `type=folder,path=${path.join(home, 'backups')}`];

try {
  await stack.create();
  const filled = await stack.fill(gigabytes);
  await stack.run(ours('backup', ...store));
  await stack.run([...compose, 'stop']);
  await stack.run(stack.asOwner('tar', '-czf', archive, './database', './local'));
  await stack.run([...compose, 'start']);
  await stack.make('wait', '/health', '120');
  console.log(stack.machine());
  console.log(`${filled.toFixed(2)} GB`);
  console.log('round  stop and start alone  restore  more     unpack and verify  tar -xzf  ratio');
  for (let round = 1; round <= rounds; round += 1) {
    const alone = await stack.outages('stop and start', stopAndStart);
    const restored = await stack.outages('restore', restore);
    const unpacked = await unpack(ours('restore', '--backup', 'latest', '--to', elsewhere, ...store));
    await stack.run(['mkdir', elsewhere]);
    const byHand = await unpack(stack.asOwner('tar', '-xzf', archive, '-C', elsewhere));
    console.log(
      [
        String(round).padEnd(5),
        `${alone.seconds.toFixed(1)} s`.padStart(20),
        `${restored.seconds.toFixed(1)} s`.padStart(7),
        `${(restored.seconds - alone.seconds).toFixed(1)} s`.padStart(5),
        `${unpacked.toFixed(1)} s`.padStart(20),
        `${byHand.toFixed(1)} s`.padStart(8),
        (unpacked / byHand).toFixed(2).padStart(5),
      ].join('  '),
    );
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  await stack.removeAll();
}

/** What a restore can't do without: all services stop, and start again. */
async function stopAndStart(): Promise<void> {
  await stack.run([...compose, 'stop']);
  await stack.run([...compose, 'start']);
}

async function restore(): Promise<void> {
  const health = ['--settle', '2s', '--health', `type=http,url=http://127.0.0.1:${port}/health`];
  // The one backup of the fixture's only version: the safety backups that restores make are no candidates.
  await stack.run(ours('restore', '--backup', 'latest', '--confirm', stack.name, ...store, ...health));
}

/** The seconds of a command that fills `elsewhere`, which is removed. */
async function unpack(argv: Argv): Promise<number> {
  await stack.run(['sync']);
  const { seconds } = await measuredRun(argv, { cwd: instance, signal: stack.signal });
  await stack.run(stack.asOwner('rm', '-rf', elsewhere));
  return seconds;
}

function ours(mode: string, ...flags: readonly string[]): Argv {
  return [
    ...[process.execPath, caretaker, mode, '--engine', engine, '--project-directory', instance],
    ...['--source-directory', source, ...flags],
  ] as unknown as Argv;
}
