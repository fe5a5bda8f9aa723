/** The USO fixture (`__tests__/fixtures/README.md`) as benchmarks use it: a database of a wanted size, a web service, one engine. */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, rmSync, statfsSync } from 'node:fs';
import { cpus, loadavg, totalmem } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { watch, type Outages } from './outages.ts';
import { PostgresContainer } from './postgres-container.ts';

export type Argv = readonly [string, ...string[]];

const root = path.resolve(import.meta.dirname, '..');
export const caretaker = path.join(root, 'dist/cli/index.js');
const rootless = process.getuid?.() !== 0;

/** Ends the process with 2 and a word why where this machine or the options won't do. `copies`: how many times the data lie on the disk at most. */
export function refuseUnfit({
  engine,
  directory,
  sizes,
  rounds,
  copies,
}: {
  readonly engine: string;
  readonly directory: string;
  readonly sizes: readonly number[];
  readonly rounds: number;
  readonly copies: number;
}): void {
  const refuse = (why: string): never => {
    console.error(why);
    process.exit(2);
  };
  if (Number(process.versions.node.split('.')[0]) < 24) refuse(`Node 24 is needed, this is ${process.version}.`);
  if (engine !== 'docker' && engine !== 'podman') refuse(`--engine is docker or podman, not ${engine}.`);
  if (!sizes.every((size) => size > 0)) refuse(`--gigabytes are numbers above 0, not ${sizes.join(',')}.`);
  if (!(Number.isInteger(rounds) && rounds > 0)) refuse(`--rounds is a whole number above 0, not ${rounds}.`);
  if (engine === 'docker' && rootless) refuse('Under Docker, tar reads the data directory as root only: run as root.');
  if (!existsSync(caretaker)) refuse(`${caretaker} is missing: npm run build.`);
  const { bavail, bsize } = statfsSync(directory);
  const needed = copies * Math.max(...sizes) * 1e9 + 1e9;
  if (bavail * bsize < needed) refuse(`${directory} has less than ${(needed / 1e9).toFixed(1)} GB free.`);
}

export class UsoStack {
  readonly name = `ck-bench-${randomUUID().slice(0, 8)}`;
  readonly home: string;
  readonly instance: string;
  readonly source: string;
  readonly compose: Argv;
  readonly engine: string;
  readonly port: string;
  readonly #directory: string;
  readonly #interrupted = new AbortController();

  constructor({ engine, port, directory }: { engine: string; port: string; directory: string }) {
    this.engine = engine;
    this.port = port;
    this.#directory = directory;
    this.home = path.join(path.resolve(directory), this.name);
    this.instance = path.join(this.home, this.name);
    this.source = path.join(this.home, 'uso');
    this.compose = engine === 'docker' ? ['docker', 'compose'] : ['podman-compose'];
    for (const name of ['SIGINT', 'SIGTERM'] as const) {
      process.on(name, () => this.#interrupted.abort(new Error(`interrupted by ${name}`)));
    }
  }

  get signal(): AbortSignal {
    return this.#interrupted.signal;
  }

  async create(): Promise<void> {
    await this.make('create', '--name', this.name, '--port', this.port);
    await this.make('up');
  }

  /** The database's directory gets to so many gigabytes, and all of it into the page cache; the gigabytes that it has then. */
  async fill(gigabytes: number): Promise<number> {
    const server = new PostgresContainer({
      ...{ engine: this.engine, user: 'usonline', signal: this.signal },
      container: () => this.containerOf('database'),
      size: async () => parseInt(await this.run(this.asOwner('du', '-s', '--block-size=1', 'database')), 10),
    });
    const bytes = await server.fill(gigabytes * 1e9);
    await this.run(this.asOwner('sh', '-c', 'find database -type f -exec cat {} + >/dev/null'));
    return bytes / 1e9;
  }

  /** The line about the machine that stands above the figures. */
  machine(): string {
    return `${cpus().length} cores (load average ${loadavg()[0]!.toFixed(1)}), ${(totalmem() / 1e9).toFixed(0)} GB of memory; ${this.engine}, ${rootless ? 'rootless' : 'as root'}; Node ${process.versions.node}`;
  }

  /** The outages of the application's page during `work` and 3 s after it. */
  async outages(what: string, work: () => Promise<void>): Promise<Outages> {
    await this.run(['sync']);
    const watching = watch(`http://127.0.0.1:${this.port}/health`);
    try {
      await work();
      await this.make('wait', '/health', '120');
      // The first answer is not always the last word: workers load.
      await new Promise((resolve) => setTimeout(resolve, 3000));
    } finally {
      watching.stop();
    }
    const outages = watching.result();
    console.error(
      `${what}: ${outages.seconds.toFixed(1)} s away in ${outages.spans.map((span) => span.toFixed(1)).join(' + ')}`,
    );
    return outages;
  }

  async containerOf(service: string): Promise<string> {
    const filters = ['project', 'service'].flatMap((key) => [
      '--filter',
      `label=com.docker.compose.${key}=${key === 'project' ? this.name : service}`,
    ]);
    return (await this.run([this.engine, 'ps', '-aq', ...filters])).trim();
  }

  /** A command with the rights of the containers' root. */
  asOwner(program: string, ...args: readonly string[]): Argv {
    return [
      ...(this.engine === 'podman' && rootless ? ['podman', 'unshare'] : []),
      program,
      ...args,
    ] as unknown as Argv;
  }

  async make(...words: readonly string[]): Promise<void> {
    await this.run([path.join(root, '__tests__/fixtures/uso/make.sh'), this.home, ...words], this.#directory);
  }

  async run([program, ...args]: Argv, cwd = this.instance): Promise<string> {
    const env = { ...process.env, CONTAINER_ENGINE: this.engine, COMPOSE: this.compose.join(' ') };
    const options = { cwd, signal: this.signal, env, maxBuffer: 64 * 1024 * 1024 };
    return (await promisify(execFile)(program, args, options)).stdout;
  }

  async removeAll(): Promise<void> {
    if (!existsSync(this.home)) return;
    try {
      const argv = [path.join(root, '__tests__/fixtures/uso/make.sh'), this.home, 'destroy'];
      await promisify(execFile)(argv[0]!, argv.slice(1), { cwd: this.#directory });
      rmSync(this.home, { recursive: true, force: true });
    } catch (error) {
      console.error(`failed to clean up: ${(error as Error).message}`);
      process.exitCode = 1;
    }
  }
}
