/**
 * Encrypting and decrypting one large file, beside the real `age` and beside the library's own payload. What is measured and how: README.md.
 *
 *   node bench/encryption.ts [--gibibytes 1] [--rounds 3] [--age age] [--directory /var/tmp]
 *
 * Exits with 1 when ours took more memory than the limit, or anything failed. Removes what it made in either case.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { cpus, loadavg, totalmem } from 'node:os';
import path from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { generateIdentity } from '../src/encryption/keys.ts';
import { measuredRun, type MeasuredRun } from './measured-run.ts';

const LIMIT_MIB = 250;
const MIB = 2 ** 20;

type Argv = readonly [string, ...string[]];

const { values } = parseArgs({
  options: {
    gibibytes: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '3' },
    age: { type: 'string', default: 'age' },
    directory: { type: 'string', default: '/var/tmp' },
  },
});
const { age } = values;
const bytes = Math.round(Number(values.gibibytes) * 1024) * MIB;
const rounds = Number(values.rounds);
refuseUnfit();

const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => interrupted.abort(new Error(`interrupted by ${name}`)));
}
const { signal } = interrupted;

const home = mkdtempSync(path.join(path.resolve(values.directory), 'ck-bench-'));
const file = (name: string): string => path.join(home, name);
const [plain, sealed, opened, keys] = ['plain', 'sealed', 'opened', 'keys'].map(file) as [
  string,
  string,
  string,
  string,
];

try {
  const { text, recipient } = await generateIdentity(new Date());
  writeFileSync(keys, text, { mode: 0o600 });
  await fill();
  const version = (await run([age, '--version'])).trim();
  console.log(
    `${cpus().length} cores (load average ${loadavg()[0]!.toFixed(1)}), ${(totalmem() / 1e9).toFixed(0)} GB of memory; age ${version}; Node ${process.versions.node}`,
  );
  const ways = {
    encrypt: {
      age: [age, '--recipient', recipient.text, '--output', sealed, plain],
      ours: child('encrypt', plain, sealed),
      library: [...child('encrypt', plain, sealed), '--library'],
    },
    decrypt: {
      age: [age, '--decrypt', '--identity', keys, '--output', opened, sealed],
      ours: child('decrypt', sealed, opened),
      library: [...child('decrypt', sealed, opened), '--library'],
    },
  } as const;
  console.log('wall and processor time, ours beside age and beside the library');
  for (let round = 1; round <= rounds; round += 1) {
    for (const [way, programs] of Object.entries(ways)) {
      const byAge = await measured(programs.age);
      const byUs = await measured(programs.ours);
      const byLibrary = await measured(programs.library);
      if (way === 'decrypt') await run(['cmp', plain, opened]);
      if (byUs.peakBytes > LIMIT_MIB * MIB) process.exitCode = 1;
      const seconds = (one: MeasuredRun): string =>
        `${one.seconds.toFixed(2)} (${one.processorSeconds.toFixed(2)}) s, ${(one.peakBytes / MIB).toFixed(0)} MiB`;
      const ratio = (other: MeasuredRun): string =>
        `${(byUs.seconds / other.seconds).toFixed(2)} (${(byUs.processorSeconds / other.processorSeconds).toFixed(2)})`;
      console.log(`${way} ${round}: age ${seconds(byAge)}; ours ${seconds(byUs)}; library ${seconds(byLibrary)}`);
      console.log(`           ours / age ${ratio(byAge)}; ours / library ${ratio(byLibrary)}`);
    }
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  rmSync(home, { recursive: true, force: true });
}

function refuseUnfit(): void {
  const refuse = (why: string): never => {
    console.error(why);
    process.exit(2);
  };
  if (Number(process.versions.node.split('.')[0]) < 24) refuse(`Node 24 is needed, this is ${process.version}.`);
  if (!(bytes > 0)) refuse(`--gibibytes is a number above 0, not ${values.gibibytes}.`);
  if (!(Number.isInteger(rounds) && rounds > 0)) refuse(`--rounds is a whole number above 0, not ${values.rounds}.`);
  const { bavail, bsize } = statfsSync(values.directory);
  if (bavail * bsize < 3.5 * bytes)
    refuse(`${values.directory} has less than ${((3.5 * bytes) / 1e9).toFixed(1)} GB free.`);
}

/** What compressed data look like. In the page cache afterwards. */
async function fill(): Promise<void> {
  const handle = await open(plain, 'w');
  for (let at = 0; at < bytes; at += MIB) await handle.write(randomBytes(MIB));
  await handle.close();
}

function child(...args: readonly [string, string, string]): Argv {
  const [way, from, to] = args;
  return [process.execPath, path.join(import.meta.dirname, 'age-file.ts'), way, keys, from, to];
}

async function measured(argv: Argv): Promise<MeasuredRun> {
  await run(['sync']);
  return measuredRun(argv, { cwd: home, signal });
}

async function run([program, ...args]: Argv): Promise<string> {
  const { stdout } = await promisify(execFile)(program, args, { cwd: home, signal });
  return stdout;
}
