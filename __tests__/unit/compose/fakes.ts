import { CaretakerError, messageOf } from '../../../src/errors.ts';
import type { Log } from '../../../src/report/log.ts';
import type { Container, Runtime, VolumeInfo } from '../../../src/runtimes/runtime.ts';
import type { Clock } from '../../../src/system/clock.ts';
import type { Command, Processes, RunOptions, RunResult } from '../../../src/system/processes.ts';
import type { Dialect } from '../../../src/compose/compose.ts';

/** Programs that answer from a table of "argv joined by spaces" → output, or a function; everything else is not installed. */
export class FakeProcesses implements Processes {
  readonly calls: { readonly argv: string; readonly options: RunOptions }[] = [];
  readonly answers: Record<string, string | ((options: RunOptions) => string)>;

  constructor(answers: Record<string, string | ((options: RunOptions) => string)> = {}) {
    this.answers = answers;
  }

  run(command: Command, options: RunOptions = {}): Promise<RunResult> {
    const argv = command.argv.join(' ');
    this.calls.push({ argv, options });
    const answer = this.answers[argv];
    if (answer === undefined) {
      return Promise.reject(new CaretakerError('command-missing', `failed to run ${command.argv[0]}: no such program`));
    }
    try {
      const stdout = typeof answer === 'string' ? answer : answer(options);
      for (const line of stdout.split('\n')) options.onLine?.(line);
      return Promise.resolve({ exitCode: 0, stdout, stderr: '' });
    } catch (error) {
      const { exitCode } = error as { exitCode?: number };
      if (exitCode !== undefined && options.accept?.includes(exitCode) === true)
        return Promise.resolve({ exitCode, stdout: '', stderr: messageOf(error) });
      return Promise.reject(error instanceof Error ? error : new Error(String(error)));
    }
  }

  stream(): never {
    throw new Error('no stream is expected');
  }
}

export function failsWith(...lines: string[]): (options: RunOptions) => string {
  return (options) => {
    for (const line of lines) options.onLine?.(line);
    const error = new CaretakerError('command-failed', `failed to run it: exit code 1: ${lines.join('\n')}`);
    throw Object.assign(error, { exitCode: 1 });
  };
}

/** An engine in memory: what stops, starts and goes is remembered in `did`. */
export class FakeRuntime {
  readonly name: 'docker' | 'podman';
  readonly did: string[] = [];
  existing: Container[];
  volumes: Record<string, Partial<VolumeInfo>>;
  images: Record<string, string>;
  health: Record<string, 'healthy' | 'unhealthy' | 'none'> = {};
  /** Containers in which a program `pg_isready` answers. */
  postgresIn: string[] = [];
  /** Called before a start; may throw. */
  onStart: (id: string) => void = () => undefined;

  constructor(
    name: 'docker' | 'podman',
    existing: Container[] = [],
    more: { volumes?: Record<string, Partial<VolumeInfo>>; images?: Record<string, string> } = {},
  ) {
    this.name = name;
    this.existing = existing;
    this.volumes = more.volumes ?? {};
    this.images = more.images ?? {};
  }

  asRuntime(): Runtime {
    return this as unknown as Runtime;
  }

  containers(labels: Readonly<Record<string, string>>): Promise<Container[]> {
    return Promise.resolve(
      this.existing.filter((item) => Object.entries(labels).every(([key, value]) => item.labels[key] === value)),
    );
  }
  stop(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      this.did.push(`stop ${id}`);
      this.#change(id, { state: 'stopped', exitCode: 0 });
    }
    return Promise.resolve();
  }
  unpause(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      this.did.push(`unpause ${id}`);
      this.#change(id, { state: 'running' });
    }
    return Promise.resolve();
  }
  start(ids: readonly string[]): Promise<void> {
    try {
      for (const id of ids) {
        this.onStart(id);
        this.did.push(`start ${id}`);
        this.#change(id, { state: 'running' });
      }
      return Promise.resolve();
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new Error(String(error)));
    }
  }
  remove(ids: readonly string[]): Promise<void> {
    for (const id of ids) this.did.push(`remove ${id}`);
    this.existing = this.existing.filter((item) => !ids.includes(item.id));
    return Promise.resolve();
  }
  tag(id: string, name: string): Promise<void> {
    this.did.push(`tag ${id}`);
    this.images[name] = id;
    return Promise.resolve();
  }

  untag(name: string): Promise<void> {
    this.did.push(`untag ${this.images[name] ?? ''}`);
    delete this.images[name];
    return Promise.resolve();
  }

  imageId(name: string): Promise<string | null> {
    return Promise.resolve(this.images[name] ?? null);
  }
  volume(name: string): Promise<VolumeInfo | null> {
    const known = this.volumes[name];
    return Promise.resolve(
      known === undefined
        ? null
        : { name, mountpoint: `/volumes/${name}/_data`, driver: 'local', labels: {}, ...known },
    );
  }
  runHealthCheck(id: string): Promise<'healthy' | 'unhealthy' | 'none'> {
    this.did.push(`health ${id}`);
    return Promise.resolve(this.health[id] ?? 'none');
  }
  logTail(id: string, lines: number): Promise<string> {
    return Promise.resolve(`last ${lines} of ${id}`);
  }
  exec(id: string): Promise<{ exitCode: number; stdout: string; stderr: string }> {
    if (this.postgresIn.includes(id)) return Promise.resolve({ exitCode: 0, stdout: '', stderr: '' });
    return Promise.reject(new CaretakerError('engine-failed', 'no such program'));
  }
  #change(id: string, change: Partial<Container>): void {
    this.existing = this.existing.map((item) => (item.id === id ? { ...item, ...change } : item));
  }
}

export function container(service: string, more: Partial<Container> = {}): Container {
  return {
    id: `${service}-id`,
    name: `app-${service}-1`,
    service,
    state: 'running',
    exitCode: undefined,
    restartCount: 0,
    startedAt: '2026-11-21T22:00:00Z',
    health: null,
    imageName: `${service}:latest`,
    imageId: `sha256:${service}`,
    mounts: [],
    ports: [],
    env: {},
    command: [],
    user: '',
    pid: undefined,
    oneOff: false,
    graceSeconds: 10,
    ...more,
    labels: { 'com.docker.compose.project': 'app', 'com.docker.compose.service': service, ...more.labels },
  };
}

export class FakeLog implements Log {
  readonly lines: string[] = [];
  info(line: string): void {
    this.lines.push(line);
  }
  warn(line: string): void {
    this.lines.push(`warning: ${line}`);
  }
  debug(): void {}
  group<T>(_title: string, work: () => Promise<T>): Promise<T> {
    return work();
  }
  progress(): void {}
  readonly masked: string[] = [];
  mask(secret: string): void {
    this.masked.push(secret);
  }
  redacted(text: string): string {
    return this.masked.reduce((shown, secret) => shown.replaceAll(secret, '***'), text);
  }
}

export const fakeClock: Clock = {
  now: () => new Date(0),
  monotonic: () => 0,
  sleep: () => Promise.resolve(),
};

export const dockerDialect: Dialect = {
  name: 'docker-compose-v2',
  runtime: 'docker',
  argv: ['docker', 'compose'],
  version: '2.40.3',
  capabilities: {
    config: 'json',
    upRecreatesChanged: true,
    pull: true,
    build: true,
    profiles: true,
    envFiles: 'many',
    comparesConfiguration: true,
    imageSeparator: '-',
    reliableExitCodes: true,
  },
};

export const podmanDialect: Dialect = {
  name: 'podman-compose',
  runtime: 'podman',
  argv: ['podman-compose'],
  version: '1.6.0',
  capabilities: {
    ...dockerDialect.capabilities,
    config: 'yaml',
    upRecreatesChanged: false,
    envFiles: 'one',
  },
};

export const oldPodmanDialect: Dialect = {
  ...podmanDialect,
  version: '1.0.3',
  capabilities: {
    ...podmanDialect.capabilities,
    config: 'none',
    profiles: false,
    envFiles: 'none',
    comparesConfiguration: false,
    reliableExitCodes: false,
  },
};
