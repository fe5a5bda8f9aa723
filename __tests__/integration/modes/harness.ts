import { execFile, execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import path from 'node:path';
import type { RunReport } from '../../../src/report/run-report.ts';
import { oneInTurn } from '../../turn.ts';
import { lookUp, testHost } from '../as-user.ts';

const root = path.resolve(import.meta.dirname, '../../..');

/** One user of one engine, as an administrator would set him up. */
export interface Host {
  readonly user: string;
  readonly engine: 'docker' | 'podman';
  readonly compose: string;
  /** A directory whose programs come before all others of these names. */
  readonly programs?: string;
}

const composeDirectory = {
  '1.0.3': () => testHost('CARETAKER_TEST_PODMAN_COMPOSE_103_DIR'),
  '1.6.0': () => testHost('CARETAKER_TEST_PODMAN_COMPOSE_160_DIR'),
} as const;

export function rootless(version: keyof typeof composeDirectory): Host {
  const compose = path.join(composeDirectory[version](), 'podman-compose');
  return { user: testHost('CARETAKER_TEST_ROOTLESS_USER'), engine: 'podman', compose };
}

export function docker(user: 'root' | 'member-of-group-docker'): Host {
  return {
    user: user === 'root' ? user : testHost('CARETAKER_TEST_DOCKER_USER'),
    engine: 'docker',
    compose: 'docker compose',
  };
}

/** The two hosts on which a suite tells one story; in CI one of them (CONTRIBUTING.md), with `shift` 1 the other than with 0. */
export function hostsInTurn(shift = 0): (readonly [string, () => Host])[] {
  return oneInTurn(
    [
      ['Docker as root', () => docker('root')],
      ['rootless Podman with podman-compose 1.6.0', () => rootless('1.6.0')],
    ],
    shift,
  );
}

/** Output of a program and how it ended. A program that can't be started throws. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Run extends Ended {
  /** Of `--json`. */
  readonly report: RunReport;
}

/** Files below a directory that hold a text. Parts of backups, which are compressed, are none of them. */
function filesWith(text: string, directory: string): string[] {
  const found = spawnSync('grep', ['-rlF', '--exclude=*.zst', '-f', '-', directory], { input: text, encoding: 'utf8' });
  if (found.status !== 0 && found.status !== 1) throw new Error(`failed to look for the secret: ${found.stderr}`);
  return found.stdout.split('\n').filter(Boolean);
}

/** Everything that any run of the command line has printed in this suite, for the search for secrets. */
export const printed: string[] = [];

/**
 * The command line as it is shipped, and the fixtures, where every user may read them. Bundled once for each state of the source: the
 * suites of this folder share it.
 */
let made: ReturnType<typeof makeKit> | undefined;
export const kit = (): ReturnType<typeof makeKit> => (made ??= makeKit());

function makeKit(): { readonly cli: string; readonly fixtures: string } {
  const hash = createHash('sha256');
  for (const folder of ['src', '__tests__/fixtures']) {
    const entries = readdirSync(path.join(root, folder), { recursive: true, withFileTypes: true });
    for (const file of entries
      .filter((entry) => entry.isFile())
      .map((entry) => path.join(entry.parentPath, entry.name))) {
      hash.update(`${file}\0`).update(readFileSync(file)).update('\0');
    }
  }
  const name = `caretaker-modes-kit-${hash.digest('hex').slice(0, 12)}`;
  const directory = path.join('/var/tmp', name);
  if (!existsSync(directory)) {
    const work = mkdtempSync('/var/tmp/caretaker-modes-');
    for (const entry of ['cli', 'agent', 'actions-cache']) {
      execFileSync(testHost('CARETAKER_TEST_NODE24'), [
        path.join(root, 'node_modules/@vercel/ncc/dist/ncc/cli.js'),
        ...['build', path.join(root, `src/${entry}.ts`), '--out', path.join(work, 'dist', entry)],
        ...['--target', 'es2022', '--transpile-only', '--no-cache', '--quiet'],
      ]);
    }
    cpSync(path.join(root, '__tests__/fixtures'), path.join(work, 'fixtures'), { recursive: true });
    execFileSync('chmod', ['-R', 'u=rwX,go=rX', work]);
    // Another run of these suites, the whole crash matrix above all, may still use the last one.
    const dayAgo = Date.now() - 24 * 3_600_000;
    for (const old of readdirSync('/var/tmp').filter((one) => one.startsWith('caretaker-modes-kit-'))) {
      const other = path.join('/var/tmp', old);
      if (statSync(other).mtimeMs < dayAgo) rmSync(other, { recursive: true });
    }
    // Another run may have made the same one meanwhile.
    if (existsSync(directory)) rmSync(work, { recursive: true });
    else renameSync(work, directory);
  }
  return { cli: path.join(directory, 'dist/cli/index.js'), fixtures: path.join(directory, 'fixtures') };
}

interface Facts {
  readonly project: string;
  readonly instance: string;
  readonly source: string;
  readonly origin: string;
  readonly url: string;
  readonly secret: string;
  readonly image?: string;
}

export type Fixture = 'uso' | 'medcattrainer' | 'tiny';

/** A fixture application, deployed and served for real, and the command line run on it by the user who owns it. */
export class Deployment {
  readonly facts: Facts;
  readonly host: Host;
  readonly directory: string;
  /** The folder store that the runs are told to use. */
  readonly backups: string;
  /** `NAME=value` of each run of the command line, besides the user's own. */
  environment: readonly string[] = [];
  readonly #fixture: Fixture;
  readonly #kit = kit();

  private constructor(host: Host, fixture: Fixture, directory: string, facts: Facts) {
    this.host = host;
    this.#fixture = fixture;
    this.directory = directory;
    this.backups = path.join(directory, 'backups');
    this.facts = facts;
  }

  get fixture(): Fixture {
    return this.#fixture;
  }

  /** Laid out and up, at its first release. `options` are those of the fixture's `create`. */
  static async create(host: Host, fixture: Fixture, options: readonly string[] = []): Promise<Deployment> {
    const parent = mkdtempSync('/var/tmp/caretaker-modes-');
    chmodSync(parent, 0o755);
    const { uid, gid } = lookUp(host.user);
    chownSync(parent, uid, gid);
    // The name of the directory is the Compose project's: several suites and other users of the machine may run side by side.
    const name = `${fixture}-${path.basename(parent).slice('caretaker-modes-'.length).toLowerCase()}`;
    const directory = path.join(parent, 'app');
    const port = String(await freePort());
    const made = await as(host, [make(fixture), directory, 'create', '--name', name, '--port', port, ...options]);
    const deployment = new Deployment(host, fixture, directory, JSON.parse(succeeded(made)) as Facts);
    try {
      await deployment.make('up');
    } catch (error) {
      await deployment.destroy();
      throw error;
    }
    return deployment;
  }

  /** A verb of the fixture's make.sh. */
  async make(...words: readonly string[]): Promise<string> {
    return succeeded(await as(this.host, [make(this.#fixture), this.directory, ...words]));
  }

  /** Throws where the secret stands in what is kept of the runs: journals, manifests, results of drills. */
  async destroy(): Promise<void> {
    const kept = [this.state, this.backups].filter((place) => existsSync(place));
    const holders = kept.flatMap((place) => filesWith(this.facts.secret, place));
    await this.make('destroy');
    rmSync(path.dirname(this.directory), { recursive: true, force: true });
    if (holders.length > 0) throw new Error(`the secret stands in ${holders.join(', ')}`);
  }

  get healthUrl(): string {
    return `${this.facts.url}/health`;
  }

  get state(): string {
    return path.join(this.facts.instance, '.caretaker');
  }

  /** The command line, with the flags that all runs on this deployment share. */
  async command(mode: string, ...flags: readonly string[]): Promise<Ended> {
    const given = (flag: string): boolean => flags.includes(flag);
    const health = [
      ...['--health', `type=http,url=${this.healthUrl}`],
      ...(given('--settle') ? [] : ['--settle', '2s']),
      ...(given('--health-timeout') ? [] : ['--health-timeout', '25s']),
    ];
    const looks = mode === 'list' || mode === 'status';
    const source =
      looks || this.#fixture !== 'uso' || given('--source-directory') ? [] : ['--source-directory', this.facts.source];
    const ended = await as(this.host, [
      ...this.environment,
      process.env['CARETAKER_TEST_NODE24'] as string,
      this.#kit.cli,
      mode,
      ...['--project-directory', this.facts.instance],
      ...['--store', `type=folder,path=${this.backups}`],
      ...(looks ? [] : health),
      ...source,
      ...((mode === 'update' || mode === 'rehearse') && !given('--ref') && !given('--track')
        ? ['--track', 'releases']
        : []),
      ...((mode === 'update' || mode === 'rehearse') && !given('--build') ? this.#build() : []),
      ...(mode === 'restore' && !given('--confirm') ? ['--confirm', this.facts.project] : []),
      ...flags,
    ]);
    printed.push(ended.stdout, ended.stderr);
    // Here and not in a test of its own: no run of any suite may get around it.
    for (const text of [ended.stdout, ended.stderr]) {
      if (text.includes(this.facts.secret)) throw new Error(`the secret was printed by ${mode} ${flags.join(' ')}`);
    }
    return ended;
  }

  /** The same with `--json`. */
  async caretaker(mode: string, ...flags: readonly string[]): Promise<Run> {
    const ended = await this.command(mode, '--json', ...flags);
    try {
      return { ...ended, report: JSON.parse(ended.stdout) as RunReport };
    } catch {
      throw new Error(`${mode} ended with ${ended.code} and without a report:\n${ended.stdout}${ended.stderr}`);
    }
  }

  /** One that must succeed; its error is shown otherwise. */
  async succeeds(mode: string, ...flags: readonly string[]): Promise<RunReport> {
    const { code, report } = await this.caretaker(mode, ...flags);
    if (code !== 0) throw new Error(`${mode} failed: ${JSON.stringify({ ...report, steps: undefined }, null, 2)}`);
    return report;
  }

  #build(): readonly string[] {
    return this.#fixture === 'uso' ? ['--build', './deploy/build-image.sh nginx'] : [];
  }

  engine(...words: readonly string[]): Promise<Ended> {
    return as(this.host, [this.host.engine, ...words]);
  }

  /** Id, start and image of each container of the project, by service: what changes if anything was touched. */
  async containers(): Promise<Record<string, { id: string; startedAt: string; running: boolean; image: string }>> {
    const filter = ['--filter', `label=com.docker.compose.project=${this.facts.project}`];
    const ids = succeeded(await this.engine('ps', '-aq', ...filter))
      .split('\n')
      .filter(Boolean);
    if (ids.length === 0) return {};
    const inspected = JSON.parse(succeeded(await this.engine('inspect', ...ids))) as {
      Id: string;
      Image: string;
      State: { StartedAt: string; Running: boolean };
      Config: { Labels: Record<string, string> };
    }[];
    return Object.fromEntries(
      inspected
        .map(({ Id, Image, State, Config }) => {
          const seen = { id: Id, startedAt: State.StartedAt, running: State.Running, image: Image };
          return [Config.Labels['com.docker.compose.service'] ?? Id, seen] as const;
        })
        .sort(([one], [other]) => (one < other ? -1 : 1)),
    );
  }

  /** What a name stands for now, '' where it stands for nothing. */
  async imageId(name: string): Promise<string> {
    const { code, stdout } = await this.engine('image', 'inspect', '--format', '{{.Id}}', name);
    return code === 0 ? stdout.trim() : '';
  }

  async get(where: string): Promise<{ status: number; body: string }> {
    const response = await fetch(`${this.facts.url}${where}`, { signal: AbortSignal.timeout(10_000) });
    return { status: response.status, body: await response.text() };
  }

  /** All tables as text; throws where the application can't give them. */
  async dump(): Promise<string> {
    const { status, body } = await this.get('/dump');
    if (status !== 200) throw new Error(`/dump answers ${status}: ${body}`);
    return body;
  }

  /** Writes so many transactions, each with an uploaded file. */
  async write(count: number): Promise<void> {
    for (let number = 0; number < count; number++) {
      const response = await fetch(`${this.facts.url}/write`, {
        method: 'POST',
        body: `upload ${number} `.repeat(500),
      });
      if (response.status !== 200) throw new Error(`/write answers ${response.status}: ${await response.text()}`);
    }
  }

  git(...words: readonly string[]): string {
    const safe = ['-c', 'safe.directory=*', '-C', this.facts.source];
    return execFileSync('git', [...safe, ...words], { encoding: 'utf8' }).trim();
  }

  /** Where the clone stands: commit, branch (or HEAD), and the local changes themselves. */
  checkout(): { commit: string; branch: string; changes: string } {
    return {
      commit: this.git('rev-parse', 'HEAD'),
      branch: this.git('rev-parse', '--abbrev-ref', 'HEAD'),
      changes: this.git('status', '--porcelain', '--untracked-files=no') + this.git('diff', 'HEAD'),
    };
  }

  /** What a run must not leave behind: data aside, staged files, a lock or a journal, helpers. Empty when all is well. */
  async leftovers(): Promise<string[]> {
    const found: string[] = [];
    for (const place of [this.facts.instance, this.facts.source, ...(await this.volumes())]) {
      const below = execFileSync('find', [path.dirname(place), '-name', '.caretaker-*'], { encoding: 'utf8' });
      found.push(...below.split('\n').filter((file) => file !== '' && file.includes(this.facts.project)));
    }
    if (existsSync(this.state)) {
      // The journals of runs that have ended stay as a record; `journal.jsonl` is one that has not.
      const stays =
        /^(\.gitignore|safety|backups|staging|journal-.*\.jsonl|last-update\.json|avoided\.json|mounts\.json|outgoing|proven-keys\.json)$/;
      found.push(...readdirSync(this.state).filter((name) => !stays.test(name)));
    }
    found.push(...this.#strandedBackups());
    for (const place of ['staging', 'outgoing']) {
      const directory = path.join(this.state, place);
      if (existsSync(directory)) found.push(...readdirSync(directory).map((name) => `${place}/${name}`));
    }
    if (existsSync(this.backups)) found.push(...readdirSync(this.backups, { recursive: true }).map(String).filter((name) => name.endsWith('.caretaker-tmp'))); // prettier-ignore
    const labelled = ['--filter', 'label=compose-caretaker.helper', '--no-trunc', '--format', '{{.Mounts}}'];
    const helpers = await this.engine('ps', '-a', ...labelled);
    found.push(
      ...helpers.stdout
        .split('\n')
        .filter((mounts) => mounts.includes(this.facts.project) || mounts.includes(this.directory)),
    );
    found.push(...(await this.namesOfGone()));
    return found;
  }

  /** Files among the safety backups that belong to none: half a backup, or one that should only be in a store. */
  #strandedBackups(): string[] {
    const safety = path.join(this.state, 'safety');
    const names = existsSync(safety) ? readdirSync(safety) : [];
    const stays = (name: string): boolean => {
      const manifest = `${name.split('.', 1)[0]}.manifest.json`;
      if (!names.includes(manifest)) return false;
      const { reason } = JSON.parse(readFileSync(path.join(safety, manifest), 'utf8')) as { reason: string };
      return reason !== 'backup';
    };
    return names.filter((name) => !stays(name)).map((name) => `safety/${name}`);
  }

  /** Containers of this project's networks that Podman's name server is to know though they are gone: it would fail the next network with the same addresses. */
  private async namesOfGone(): Promise<string[]> {
    const runRoot = await this.engine('info', '--format', '{{.Store.RunRoot}}');
    const lists = path.join(runRoot.stdout.trim(), 'networks/aardvark-dns');
    if (runRoot.code !== 0 || !existsSync(lists)) return [];
    const known = succeeded(await this.engine('ps', '--all', '--quiet', '--no-trunc')).split('\n');
    return readdirSync(lists)
      .filter((network) => network.startsWith(this.facts.project))
      .flatMap((network) => readFileSync(path.join(lists, network), 'utf8').split('\n').slice(1))
      .filter((line) => line !== '' && !known.includes(line.split(' ')[0] ?? ''))
      .map((line) => `name server: ${line}`);
  }

  /** Mount points of the project's volumes, on the host. */
  async volumes(): Promise<string[]> {
    const names = succeeded(await this.engine('volume', 'ls', '-q')).split('\n');
    const ours = names.filter((name) => name.startsWith(`${this.facts.project}_`));
    return Promise.all(ours.map((name) => this.volume(name.slice(this.facts.project.length + 1))));
  }

  async volume(name: string): Promise<string> {
    const full = `${this.facts.project}_${name}`;
    return succeeded(await this.engine('volume', 'inspect', '--format', '{{.Mountpoint}}', full)).trim();
  }

  /** Writes over HTTP from another process until `stop`, which tells what was acknowledged. */
  writer(rate: number): { started(): Promise<void>; stop(): Promise<Written> } {
    const log = path.join(path.dirname(this.directory), 'acknowledged');
    const child = spawn('python3', [
      path.join(this.#kit.fixtures, 'uso/writer.py'),
      this.facts.url,
      ...['--rate', String(rate), '--upload', '2000', '--log', log],
    ]);
    return {
      async started() {
        while (!existsSync(log) && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 10));
      },
      stop: () => stopWriter(child, log),
    };
  }
}

export interface Written {
  readonly ok: number;
  readonly failed: number;
  readonly longest_outage: number;
  /** Ids of the ledger entries that the application said it has. */
  readonly ids: readonly number[];
}

async function stopWriter(child: ChildProcess, log: string): Promise<Written> {
  let text = '';
  child.stdout?.on('data', (data: Buffer) => (text += data.toString()));
  const ended = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGTERM');
  await ended;
  const ids = readFileSync(log, 'utf8').split('\n').filter(Boolean).map(Number);
  rmSync(log);
  return { ...(JSON.parse(text) as Omit<Written, 'ids'>), ids };
}

/** Ids of the ledger entries in a dump. */
export function ledgerOf(dump: string): Set<number> {
  return new Set([...dump.matchAll(/^ledger: \[(\d+),/gm)].map(([, id]) => Number(id)));
}

/**
 * Every entry below a directory with type, mode, owner, size, time, links and target, its attributes and ACL, and its content's digest:
 * as root and outside the containers, so that nothing is hidden by a mapping. The directory itself counts too.
 */
export function treeOf(directory: string): string {
  const run = (argv: readonly string[]): string =>
    execFileSync(argv[0] as string, argv.slice(1), { cwd: directory, encoding: 'utf8', maxBuffer: 2 ** 28 });
  const entries = run(['find', '.', '-printf', '%p|%y|%m|%U:%G|%T@|%l\\0']);
  // The number of links of a directory, and its size, are the filesystem's own matter.
  const files = run(['find', '.', '!', '-type', 'd', '-printf', '%p|%n|%s\\0']);
  const sums = run(['sh', '-c', 'find . -type f -print0 | sort -z | xargs -0r sha256sum -z']);
  const attributes = run(['getfattr', '--recursive', '--physical', '--no-dereference', '--dump', '--match=-', '.']);
  const acls = run(['getfacl', '--recursive', '--physical', '--numeric', '--skip-base', '.']);
  const sorted = (text: string): string => text.split('\0').sort().join('\n');
  return [entries, files, sums].map(sorted).concat(attributes, acls).join('\n');
}

/** Runs a program as the host's user, in his environment and with his Compose. */
export function as(host: Host, argv: readonly string[], cwd = '/'): Promise<Ended> {
  const bin = path.dirname(testHost('CARETAKER_TEST_NODE24'));
  const compose = host.compose.startsWith('/') ? `${path.dirname(host.compose)}:` : '';
  const programs = host.programs === undefined ? '' : `${host.programs}:`;
  const environment = [
    `PATH=${programs}${compose}${bin}:/usr/local/bin:/usr/bin:/bin`,
    `CONTAINER_ENGINE=${host.engine}`,
    `COMPOSE=${host.compose.startsWith('/') ? 'podman-compose' : host.compose}`,
  ];
  const become = host.user === 'root' ? [] : [path.join(root, 'scripts/test-hosts.sh'), 'as', host.user, '--'];
  const [program, ...rest] = [...become, 'env', ...environment, ...argv] as [string, ...string[]];
  return new Promise((resolve, reject) => {
    execFile(program, rest, { cwd, maxBuffer: 2 ** 26, encoding: 'utf8' }, (error, stdout, stderr) => {
      if (error === null) resolve({ code: 0, stdout, stderr });
      else if (typeof error.code === 'number') resolve({ code: error.code, stdout, stderr });
      else reject(new Error(`failed to run ${program}`, { cause: error }));
    });
  });
}

export function succeeded({ code, stdout, stderr }: Ended): string {
  if (code !== 0) throw new Error(`exit code ${code}:\n${stdout}${stderr}`);
  return stdout;
}

function make(fixture: string): string {
  return path.join(kit().fixtures, fixture, 'make.sh');
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
