import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { formatManifest, type Manifest, type Part, type PartFile } from '../../../src/archive/manifest.ts';
import { renderInstructions } from '../../../src/archive/instructions.ts';
import { partFile } from '../../../src/archive/names.ts';
import { readPart, verifyPart, writePart } from '../../../src/archive/parts.ts';
import type { Project } from '../../../src/project/project.ts';
import type { Log } from '../../../src/report/log.ts';
import { createDocker } from '../../../src/runtimes/docker.ts';
import { createHostFiles } from '../../../src/runtimes/host-files-ways.ts';
import type { HostFiles } from '../../../src/runtimes/host-files.ts';
import { createPodman } from '../../../src/runtimes/podman.ts';
import type { Container, Runtime } from '../../../src/runtimes/runtime.ts';
import type { Capture, RawStream, Situation, Source } from '../../../src/sources/source.ts';
import type { SourceDeps } from '../../../src/sources/sources.ts';
import { nodeProcesses } from '../../../src/system/node-processes.ts';
import type { Argv, Command, Processes } from '../../../src/system/processes.ts';
import { systemClock } from '../../../src/system/system-clock.ts';

export const IMAGE = 'localhost/caretaker-test/base:1';

function environment(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: eval "$(scripts/test-hosts.sh env)"`);
  return value;
}

/** Every program runs as this user, from a directory that he may enter. */
function asUser(user: string): Processes {
  const home = `/home/${user}`;
  const id = execFileSync('id', ['-u', user]).toString().trim();
  const path = `${environment('CARETAKER_TEST_PODMAN_COMPOSE_160_DIR')}:${process.env['PATH']}`;
  const wrap = ({ argv, env, cwd }: Command): Command => ({
    argv: [
      'setpriv', `--reuid=${user}`, `--regid=${user}`, '--init-groups', 'env', `HOME=${home}`, `USER=${user}`,
      `XDG_RUNTIME_DIR=/run/user/${id}`, `PATH=${path}`, ...argv,
    ],
    ...(env && { env }),
    cwd: cwd ?? home,
  }); // prettier-ignore
  return {
    run: (command, options) => nodeProcesses.run(wrap(command), options),
    stream: (command, options) => nodeProcesses.stream(wrap(command), options),
  };
}

/** One application of Compose on one engine, and what the modes would do with it. */
export class Host {
  readonly warnings: string[] = [];
  readonly processes: Processes;
  readonly runtime: Runtime;
  readonly files: HostFiles;
  readonly directory: string;
  readonly backups: string;
  readonly name: string;
  private readonly user: string | undefined;

  private constructor(
    options: Pick<Host, 'processes' | 'runtime' | 'files' | 'directory'> & { user: string | undefined },
  ) {
    this.processes = options.processes;
    this.runtime = options.runtime;
    this.files = options.files;
    this.directory = options.directory;
    this.user = options.user;
    this.name = options.directory.split('/').at(-1)!.toLowerCase();
    this.backups = join(this.directory, 'backup files');
  }

  static async create(engine: 'docker' | 'podman', composeFile: string): Promise<Host> {
    const user = engine === 'podman' ? environment('CARETAKER_TEST_ROOTLESS_USER') : undefined;
    const processes = user === undefined ? nodeProcesses : asUser(user);
    const runtime = await (engine === 'docker' ? createDocker(processes) : createPodman(processes));
    if (runtime === null) throw new Error(`${engine} does not answer`);
    const files = await createHostFiles({
      processes,
      runtime,
      node: environment('CARETAKER_TEST_NODE24'),
      agent: new URL('../../../src/agent.ts', import.meta.url).pathname,
      root: user === undefined,
    });
    const parent = user === undefined ? '/var/tmp' : `/home/${user}`;
    // A project's name is lower-case, and Compose takes it from the directory.
    const directory = join(parent, `ck-src-${randomUUID().slice(0, 8)}`);
    mkdirSync(directory);
    for (const below of ['.caretaker', 'backup files', 'database']) mkdirSync(join(directory, below));
    writeFileSync(join(directory, 'compose.yml'), composeFile);
    const host = new Host({ processes, runtime, files, directory, user });
    host.own();
    return host;
  }

  /** What this process wrote belongs to the user, as if he had. */
  own(): void {
    if (this.user !== undefined) execFileSync('chown', ['-R', '-h', `${this.user}:${this.user}`, this.directory]);
  }

  ownBackups(): void {
    if (this.user !== undefined) execFileSync('chown', ['-R', '-h', `${this.user}:${this.user}`, this.backups]);
  }

  async compose(...args: string[]): Promise<void> {
    const program = this.user === undefined ? ['docker', 'compose'] : ['podman-compose'];
    await this.processes.run({
      argv: [...program, '-p', this.name, '-f', 'compose.yml', ...args] as unknown as Argv,
      cwd: this.directory,
    });
  }

  containers(): Promise<Container[]> {
    return this.runtime.containers({ 'com.docker.compose.project': this.name });
  }

  async in(service: string, argv: readonly string[], input?: string): Promise<string> {
    const found = (await this.containers()).find((one) => one.service === service && one.state === 'running');
    if (found === undefined) throw new Error(`${service} does not run`);
    const { stdout } = await this.runtime.exec(found.id, argv as Argv, input === undefined ? {} : { input });
    return stdout.trim();
  }

  psql(sql: string, database = 'shop'): Promise<string> {
    return this.in('db', ['psql', '-X', '-At', '-v', 'ON_ERROR_STOP=1', '-U', 'shop', '-d', database, '-c', sql]);
  }

  async ready(): Promise<void> {
    for (let i = 0; i < 120; i += 1) {
      const up = await this.in('db', ['pg_isready', '-h', '127.0.0.1']).then(
        () => true,
        () => false,
      );
      if (up) return;
      await systemClock.sleep(500);
    }
    throw new Error('the server is not ready');
  }

  /** The tree as the containers' root sees it: names, owners, modes, contents. */
  async tree(path: string): Promise<string> {
    const script =
      'cd "$1" && find . -printf "%p %u:%g %U:%G %m %y %l %s\\n" | sort && find . -type f -print0 | sort -z | xargs -0r sha256sum';
    const argv = [
      ...(this.user === undefined ? [] : ['podman', 'unshare']),
      'bash',
      '-c',
      script,
      'bash',
      path,
    ] as unknown as Argv;
    return (await this.processes.run({ argv })).stdout;
  }

  async asRoot(...argv: string[]): Promise<void> {
    await this.processes.run({
      argv: [...(this.user === undefined ? [] : ['podman', 'unshare']), ...argv] as unknown as Argv,
    });
  }

  get deps(): SourceDeps {
    const log: Log = {
      info: () => undefined,
      warn: (line) => void this.warnings.push(line),
      debug: () => undefined,
      group: (_title, work) => work(),
      progress: () => undefined,
      mask: () => undefined,
      redacted: (text) => text,
    };
    const project = {
      name: this.name,
      directory: this.directory,
      stateDirectory: join(this.directory, '.caretaker'),
      files: this.files,
      engine: {
        runtime: this.runtime,
        compose: { model: () => Promise.resolve({ name: this.name, services: [], volumes: {} }) },
      },
      containers: () => this.containers(),
      services: async () => [...new Set((await this.containers()).map(({ service }) => service))],
    } as unknown as Project;
    return { project, log, clock: systemClock, run: `r${process.pid}` };
  }

  get backupName(): string {
    return `${this.name}-20261121T220000Z`;
  }

  async take(source: Source, situation: Situation = 'serving'): Promise<Part> {
    const capture = await source.capture(situation);
    try {
      return this.part(source, await this.write(source, capture.streams), capture.consistency, capture.facts);
    } finally {
      await capture.finish();
    }
  }

  /** In two passes, with `between` after the first and before the writers are said to stand still. 'anew': the first was for nothing. */
  async takeInTwoPasses(source: Source, between: () => Promise<void>): Promise<Part | 'anew'> {
    const capture = await source.warm?.();
    if (capture === undefined) throw new Error(`${source.name} has one pass only`);
    try {
      const files = await this.write(source, capture.streams);
      const caughtUp = await capture.more('serving');
      if (caughtUp !== 'anew') files.push(...(await this.write(source, caughtUp)));
      await between();
      const rest = await capture.more('quiesced');
      if (rest === 'anew') return 'anew';
      files.push(...(await this.write(source, rest)));
      return this.part(source, files, 'quiesced', capture.facts);
    } finally {
      await capture.finish();
    }
  }

  private async write(source: Source, streams: readonly RawStream[]): Promise<PartFile[]> {
    const files: PartFile[] = [];
    for (const one of streams) {
      const file = partFile(this.backupName, source.name, one.suffix);
      files.push(await writePart({ directory: this.backups, file, stream: one.open() }));
    }
    for (const file of files) await verifyPart(join(this.backups, file.file), file);
    return files;
  }

  private part(
    { name, kind, method, origin }: Source,
    files: PartFile[],
    consistency: Part['consistency'],
    facts: Capture['facts'],
  ): Part {
    return { name, kind, method, origin, files, consistency, seconds: 1, ...facts };
  }

  read = (file: PartFile): AsyncIterable<Uint8Array> => readPart(join(this.backups, file.file), file);

  /** As the restore mode does, in place. */
  async restore(source: Source, part: Part): Promise<void> {
    const swaps = await source.stage(part, this.read, 'r2');
    await this.compose('stop');
    for (const swap of swaps) await this.files.swap(swap);
    if (source.loads && source.load !== undefined) {
      await this.start(source.server!);
      await source.load(part, this.read);
    }
    await this.start();
    await this.files.remove(swaps.map(({ aside }) => aside));
    await source.unstage('r2');
  }

  async start(...services: string[]): Promise<void> {
    const found = await this.containers();
    await this.runtime.start(
      found.filter(({ service }) => services.length === 0 || services.includes(service)).map(({ id }) => id),
    );
  }

  manifest(parts: readonly Part[]): Omit<Manifest, 'instructions' | 'digest'> {
    return {
      schema: 1,
      name: this.backupName,
      createdAt: '2026-11-21T22:00:00Z',
      reason: 'backup',
      project: this.name,
      projectDirectory: this.directory,
      host: 'test',
      caretaker: '0',
      version: { commit: null, tag: null, describe: null },
      engine: {
        runtime: this.runtime.name,
        version: this.runtime.version,
        dialect: this.user === undefined ? 'docker-compose-v2 2.40' : 'podman-compose 1.6.0',
        rootless: this.runtime.rootless,
        composeFiles: ['compose.yml'],
      },
      platform: 'linux/amd64',
      images: [],
      ownership: this.files.way,
      encryption: null,
      parts,
      left: [],
    };
  }

  /** The commands of RESTORE.md by bash alone, without any of this program, as the user would run them. */
  async restoreByHand(parts: readonly Part[], ...names: string[]): Promise<void> {
    const text = renderInstructions(this.manifest(parts));
    writeFileSync(join(this.backups, `${this.backupName}.RESTORE.md`), text);
    writeFileSync(
      join(this.backups, `${this.backupName}.manifest.json`),
      formatManifest(this.manifest(parts) as Manifest),
    );
    this.ownBackups();
    const sections = text.split(/^## /m);
    const wanted = sections.filter(
      (section) => !section.startsWith('Part `') || names.some((name) => section.startsWith(`Part \`${name}\``)),
    );
    const script = wanted
      .flatMap((section) => [...section.matchAll(/^(`{3,})sh\n([\s\S]*?)^\1$/gm)].map(([, , body]) => body!))
      .join('\n');
    await this.processes.run({ argv: ['bash', '-e', '-s'], cwd: this.backups }, { input: script });
  }

  /** Whatever state a test left. */
  async remove(): Promise<void> {
    const ids = (await this.containers()).map(({ id }) => id);
    await this.runtime.stop(ids);
    await this.compose('down', '-v').catch(() => undefined);
    await this.runtime.remove((await this.containers()).map(({ id }) => id));
    await this.asRoot('rm', '-rf', this.directory);
  }
}
