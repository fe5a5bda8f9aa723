import { spawn } from 'node:child_process';
import { appendFile, chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startGitHub, type GitHubStandIn } from '../fakes/github/stand-in.ts';

const root = path.resolve(import.meta.dirname, '../..');
const testHosts = path.join(root, 'scripts/test-hosts.sh');
const TOKEN = 'ghs_read';
/** What the runner gives each job, and looks for when it kills what a job has left. */
const TRACKING_ID = 'github_0b7c3d1e-e2e';

/** A stack as somebody runs it: which fixture, whose it is, and the lines of the templates that its owner changes. */
export interface Kind {
  readonly title: string;
  readonly fixture: 'uso' | 'medcattrainer' | 'tiny';
  /** Undefined: root. */
  readonly user: string | undefined;
  readonly engine: 'docker' | 'podman';
  readonly compose: string;
  readonly path: readonly string[];
  /** Sooner than the templates' five minutes, since a release that hangs is waited for in full. */
  readonly healthTimeout: string;
  readonly name: string;
  /** Its backups are encrypted, by the lines of the templates that say how. */
  readonly encrypted?: boolean;
}

/** A variable that scripts/test-hosts.sh sets. A machine without the engines fails these tests; it does not skip them. */
export function required(name: `CARETAKER_TEST_${string}`): string {
  const value = process.env[name];
  if (value === undefined || value === '') {
    throw new Error(`${name} is not set: eval "$(scripts/test-hosts.sh env)" first`);
  }
  return value;
}

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** One line of `act --json`. */
interface Line {
  readonly msg?: string;
  readonly stage?: string;
  readonly command?: string;
  readonly name?: string;
  readonly arg?: string;
  readonly content?: string;
  readonly jobResult?: string;
}

export interface JobResult {
  readonly result: string | undefined;
  readonly outputs: Readonly<Record<string, string>>;
  /** The job summary of the action's main and of its post. */
  readonly summary: string;
  readonly postSummary: string;
  /** What the engine prints, one line each. */
  readonly log: string;
}

export interface Event {
  readonly name: 'workflow_dispatch' | 'push' | 'schedule' | 'release';
  readonly payload?: Readonly<Record<string, unknown>>;
}

/**
 * A deployment of a fixture, with a repository beside it whose workflows are the shipped templates, changed where they say "CHANGE".
 * The action's own `uses:` line stays as shipped: the workflow engine is told that this repository is that folder.
 */
export class Site {
  readonly kind: Kind;
  readonly directory: string;
  readonly github: GitHubStandIn;
  readonly port: number;
  project!: string;
  instance!: string;
  source!: string;
  url!: string;
  secret!: string;
  /** Where its backups are encrypted. */
  key: { readonly recipient: string; readonly identity: string } | undefined;
  /** Everything that any job printed, but for the commands by which secrets are masked. */
  readonly printed: string[] = [];
  #run = 1000;

  private constructor(kind: Kind, directory: string, github: GitHubStandIn, port: number) {
    this.kind = kind;
    this.directory = directory;
    this.github = github;
    this.port = port;
  }

  static async create(kind: Kind): Promise<Site> {
    const directory = await mkdtemp('/var/tmp/caretaker-e2e-');
    await chmod(directory, 0o755);
    await cp(path.join(root, '__tests__/fixtures'), path.join(directory, 'fixtures'), { recursive: true });
    for (const name of ['action.yml', 'dist'])
      await cp(path.join(root, name), path.join(directory, 'action', name), { recursive: true });
    for (const name of ['site', 'repository/.github/workflows', 'act'])
      await mkdir(path.join(directory, name), { recursive: true });
    await exec(['chmod', '-R', 'a+rX', directory]);
    const site = new Site(kind, directory, await startGitHub(), await freePort());
    try {
      await site.#own();
      const made = await site.make(['create', '--port', String(site.port), '--name', kind.name]);
      Object.assign(site, JSON.parse(made.slice(made.lastIndexOf('{'))));
      await site.put(path.join(site.instance, 'caretaker.yml'), `health-timeout: ${kind.healthTimeout}\nsettle: 3s\n`);
      await site.make(['up']);
      if (kind.encrypted === true) site.key = await newKey();
      return site;
    } catch (error) {
      await site.remove();
      throw error;
    }
  }

  async remove(): Promise<void> {
    try {
      await this.make(['destroy']);
    } finally {
      await this.github.stop();
      await rm(this.directory, { recursive: true, force: true });
    }
  }

  /** A verb of the fixture's make.sh; answers with what it printed. */
  async make(words: readonly string[]): Promise<string> {
    const script = path.join(this.directory, 'fixtures', this.kind.fixture, 'make.sh');
    return (await this.as([script, path.join(this.directory, 'site/app'), ...words])).stdout;
  }

  /** Something as the user who owns the stack. */
  as(argv: readonly string[]): Promise<Ended> {
    return exec(this.#argv(argv));
  }

  async put(file: string, text: string): Promise<void> {
    await writeFile(file, text);
    await this.#own(file);
  }

  // ---------------------------------------------------------------------------------------------------------- the application

  async get<T>(where: string): Promise<T> {
    const answer = await fetch(this.url + where, { signal: AbortSignal.timeout(20_000) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${where}: ${answer.status} ${text}`);
    return (answer.headers.get('content-type')?.includes('json') ? JSON.parse(text) : text) as T;
  }

  dump(): Promise<string> {
    return this.get('/dump');
  }

  async version(): Promise<string> {
    return (await this.get<{ version: string }>('/version')).version;
  }

  async whole(): Promise<{ ok: boolean; counts: { ledger: number } }> {
    return this.get('/invariant');
  }

  /** Writes rows and one uploaded file. */
  async write(times: number): Promise<void> {
    for (let index = 0; index < times; index++) {
      const answer = await fetch(`${this.url}/write`, {
        method: 'POST',
        body: index === 0 ? `upload ${Date.now()}` : '',
      });
      if (!answer.ok) throw new Error(`/write: ${answer.status} ${await answer.text()}`);
    }
  }

  /** Id and start of each container: equal before and after means that nothing was stopped. */
  async containers(): Promise<string[]> {
    const { engine } = this.kind;
    const filter = `label=com.docker.compose.project=${this.project}`;
    const ids = (await this.as([engine, 'ps', '-aq', '--filter', filter])).stdout.split('\n').filter((id) => id !== '');
    if (ids.length === 0) return [];
    const format = '{{.Name}} {{.Id}} {{.State.StartedAt}} {{.State.Status}}';
    return (await this.as([engine, 'inspect', '--format', format, ...ids])).stdout.trim().split('\n').sort();
  }

  /** The machine is lost; on a new one are the engine, the runner, an empty project directory and a clone of the repository. */
  async lose(): Promise<void> {
    const { engine, fixture } = this.kind;
    const list = async (...words: readonly string[]): Promise<string[]> =>
      (await this.as([engine, ...words])).stdout.split('\n').filter((line) => line !== '');
    const ids = await list('ps', '-aq', '--filter', `label=com.docker.compose.project=${this.project}`);
    // Podman removes several at once, and fails where one goes before another that depends on it.
    const dependent = engine === 'podman' ? ['--depend', '--ignore'] : [];
    for (const id of ids) await this.as([engine, 'rm', '-f', ...dependent, id]);
    if (engine === 'podman') await this.as([engine, 'pod', 'rm', '-f', `pod_${this.project}`]).catch(() => undefined);
    for (const what of ['volume', 'network']) {
      const names = (await list(what, 'ls', '--format', '{{.Name}}')).filter((name) =>
        name.startsWith(`${this.project}_`),
      );
      if (names.length > 0) await this.as([engine, what, 'rm', ...names]);
    }
    const images = await list('images', '--format', '{{.Repository}}:{{.Tag}}');
    for (const name of images.filter(
      (one) => one.includes(`:${this.project}.`) || one.includes(`usonline-${this.project}`),
    ))
      await this.as([engine, 'rmi', '-f', name]);
    const origin = path.join(this.directory, 'site/app/origin.git');
    for (const place of [this.instance, this.source]) await rm(place, { recursive: true, force: true });
    await this.as(['git', 'clone', '-q', origin, this.source]);
    if (fixture === 'uso') {
      for (const [key, value] of [
        ['engine', engine],
        ['image', `usonline-${this.project}`],
      ])
        // prettier-ignore
        await this.as(['git', '-C', this.source, 'config', `usonline.${key}`, value ?? '']);
      await this.as(['mkdir', this.instance]);
    }
    await this.put(
      path.join(this.instance, 'caretaker.yml'),
      `health-timeout: ${this.kind.healthTimeout}\nsettle: 3s\n`,
    );
  }

  /** What an administrator keeps a copy of: files with secrets, which git does not have. */
  async secretFiles(): Promise<{ readonly file: string; readonly text: string }[]> {
    const found: { file: string; text: string }[] = [];
    for (const name of ['.env', 'envs/env']) {
      const file = path.join(this.instance, name);
      const text = await readFile(file, 'utf8').catch(() => undefined);
      if (text !== undefined) found.push({ file, text });
    }
    return found;
  }

  /** A file of the state directory that is there or not. */
  async state(name: string): Promise<string | undefined> {
    try {
      return await readFile(path.join(this.instance, '.caretaker', name), 'utf8');
    } catch {
      return undefined;
    }
  }

  // ---------------------------------------------------------------------------------------------------------- jobs

  /** A free run id. */
  nextRun(): number {
    return ++this.#run;
  }

  async job(workflow: string, event: Event, runId = this.nextRun()): Promise<JobResult> {
    return (await this.start(workflow, event, runId)).done;
  }

  /** Starts a workflow; `text` instead of the shipped template of that name where it is given. */
  async start(workflow: string, event: Event, runId: number, text?: string): Promise<{ done: Promise<JobResult> }> {
    const repository = path.join(this.directory, 'repository');
    const file = path.join(repository, '.github/workflows', `${workflow}.yml`);
    const template = await readFile(path.join(root, 'workflows-templates', `${workflow}.yml`), 'utf8').catch(() => '');
    await this.put(file, text ?? changed(template, this));
    const environment = path.join(this.directory, 'act', `${runId}.env`);
    const payload = path.join(this.directory, 'act', `${runId}.json`);
    const variables = { ...this.github.environment({ runId }), RUNNER_TRACKING_ID: TRACKING_ID };
    await this.put(
      environment,
      Object.entries(variables)
        .map(([name, value]) => `${name}=${value}\n`)
        .join(''),
    );
    await this.put(payload, JSON.stringify({ ref: 'refs/heads/main', ...event.payload }));
    await this.as(['sh', '-ec', COMMIT, 'sh', repository]);
    const action = `OWNER/compose-caretaker@${'0'.repeat(40)}=${path.join(this.directory, 'action')}`;
    const argv = this.#argv([
      ...['env', '-C', repository, required('CARETAKER_TEST_ACT'), event.name, '--workflows', file],
      ...['--eventpath', payload, '--env-file', environment, '--secret', `GITHUB_TOKEN=${TOKEN}`],
      ...(this.key === undefined ? [] : ['--secret', `CARETAKER_IDENTITY=${this.key.identity}`]),
      ...['--platform', 'self-hosted=-self-hosted', '--local-repository', action, '--no-cache-server'],
      // Not masked by act: the action itself must keep secrets out of what it prints.
      ...['--action-cache-path', path.join(this.directory, 'act/cache'), '--json', '--insecure-secrets'],
    ]);
    return { done: exec(argv, true).then((ended) => this.#read(ended)) };
  }

  /** Waits until a running job has journaled a step; answers with the process that holds the lock then. */
  async untilStep(name: string, job: Promise<JobResult>): Promise<number> {
    let ended: JobResult | undefined;
    void job.then((result) => (ended = result));
    while (ended === undefined) {
      const journal = (await this.state('journal.jsonl')) ?? '';
      const lock = await this.state('lock');
      if (lock !== undefined && journal.includes(`"name":"${name}"`)) {
        return (JSON.parse(lock) as { holder: { pid: number } }).holder.pid;
      }
      await sleep(50);
    }
    throw new Error(`the job never came to the step ${name}:\n${ended.log}`);
  }

  /** What nobody may have printed. */
  secrets(): string[] {
    const tokens = Array.from({ length: this.#run - 1000 }, (_, at) => this.github.runtimeToken({ runId: 1001 + at }));
    return [this.secret, TOKEN, ...tokens, ...(this.key === undefined ? [] : [this.key.identity])];
  }

  /** A stored artifact as the REST API hands it out. */
  async download(id: number): Promise<string> {
    const address = `${this.github.url}/repos/octo-org/octo-app/actions/artifacts/${id}/zip`;
    const moved = await fetch(address, { headers: { authorization: `Bearer ${TOKEN}` }, redirect: 'manual' });
    return (await fetch(moved.headers.get('location') ?? '')).text();
  }

  #argv(argv: readonly string[]): string[] {
    const { user, engine, compose, path: first } = this.kind;
    const search = [
      path.dirname(required('CARETAKER_TEST_NODE24')),
      ...first,
      '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin',
    ];
    const environment = [`PATH=${search.join(':')}`, `CONTAINER_ENGINE=${engine}`, `COMPOSE=${compose}`];
    return [...(user === undefined ? [] : [testHosts, 'as', user, '--']), 'env', ...environment, ...argv];
  }

  async #own(file?: string): Promise<void> {
    const { user } = this.kind;
    if (user === undefined) return;
    const files =
      file === undefined ? ['site', 'repository', 'act'].map((name) => path.join(this.directory, name)) : [file];
    await exec(['chown', '-R', `${user}:`, ...files]);
  }

  #read({ stdout, stderr }: Ended): JobResult {
    const lines = stdout
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Line);
    this.printed.push(
      ...lines.filter(({ command }) => command !== 'add-mask').map((line) => JSON.stringify(line)),
      stderr,
    );
    const summaryOf = (stage: string): string =>
      lines
        .filter((line) => line.command === 'summary' && line.stage === stage)
        .map(({ content }) => content)
        .join('\n');
    const outputs = lines.filter(({ command, stage }) => command === 'set-output' && stage === 'Main');
    return {
      result: lines.find(({ jobResult }) => jobResult !== undefined)?.jobResult,
      outputs: Object.fromEntries(outputs.map(({ name = '', arg = '' }) => [name, arg])),
      summary: summaryOf('Main'),
      postSummary: summaryOf('Post'),
      log: [...lines.map(({ msg = '' }) => msg.trimEnd()), stderr].join('\n'),
    };
  }
}

/** act reads the commit of the repository in which it runs. */
const COMMIT = `cd "$1"; [ -d .git ] || git init -q -b main; git add -A
git -c user.name=e2e -c user.email=e2e@example.org commit -q --allow-empty -m workflows`;

/** By age's own tool. */
async function newKey(): Promise<NonNullable<Site['key']>> {
  const { stdout, stderr } = await exec(['age-keygen']);
  const [recipient] = /age1\w+/.exec(stdout + stderr) ?? [];
  const [identity] = /AGE-SECRET-KEY-1\w+/.exec(stdout) ?? [];
  if (recipient === undefined || identity === undefined) throw new Error(`no key in: ${stdout} ${stderr}`);
  // As the makers of stacks do: it is searched for in all output, and in the command lines of all processes.
  const noted = process.env['CARETAKER_TEST_SECRETS'];
  if (noted !== undefined && noted !== '') await appendFile(noted, `${identity}\n`);
  return { recipient, identity };
}

/** The shipped template as the owner of this site would change it. Throws where that needs a line which does not say so. */
export function changed(template: string, site: Pick<Site, 'kind' | 'instance' | 'source' | 'port' | 'key'>): string {
  const before = template.split('\n');
  const after = before.map((line) => {
    const text = line
      .replace('project-directory: /srv/application', `project-directory: ${site.instance}`)
      .replace(
        '# health: type=http,url=http://localhost:8000/',
        `health: type=http,url=http://localhost:${site.port}/`,
      );
    const own = site.key === undefined ? text : text.replace('# encrypt-to: age1…', `encrypt-to: ${site.key.recipient}`).replace('# identity: ', 'identity: '); // prettier-ignore
    if (site.kind.fixture !== 'uso') return own;
    return own
      .replace('# source-directory: /srv/application-source', `source-directory: ${site.source}`)
      .replace('# build: ./deploy', 'build: ./deploy');
  });
  for (const [at, line] of before.entries()) {
    if (line === after[at] || mayChange(before, at)) continue;
    throw new Error(`a user must change line ${at + 1}, which does not say so: ${line}`);
  }
  return after.join('\n');
}

/** A line that says CHANGE, or one of the commented lines right below a comment that says so. */
export function mayChange(lines: readonly string[], at: number): boolean {
  const line = lines[at] ?? '';
  if (line.includes('# CHANGE')) return true;
  return /^ *# [a-z-]+: /.test(line) && mayChange(lines, at - 1);
}

/** Processes whose environment carries the tracking id: those that the runner would kill after the job. */
export async function tracked(): Promise<string[]> {
  const found: string[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^[0-9]+$/.test(pid)) continue;
    if (await isTracked(Number(pid))) {
      found.push(`${pid} ${(await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ')}`);
    }
  }
  return found;
}

export async function isTracked(pid: number): Promise<boolean> {
  const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '');
  return environment.includes(`RUNNER_TRACKING_ID=${TRACKING_ID}`);
}

function exec(argv: readonly string[], anyCode = false): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const [program = '', ...args] = argv;
    // Containers' helpers inherit descriptors: the end of the program counts, not that of its pipes.
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.once('error', reject);
    child.once('exit', (code) => {
      setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
        if (code === 0 || anyCode) resolve({ code, stdout, stderr });
        else reject(new Error(`${argv.join(' ')}: exit code ${code}\n${stdout}\n${stderr}`));
      }, 200);
    });
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
