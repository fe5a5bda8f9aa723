import { execFile } from 'node:child_process';
import { access, chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from '@jest/globals';
import { discoverProject } from '../../../src/project/discover.ts';
import type { DiscoverOptions } from '../../../src/project/discover.ts';
import type { Project } from '../../../src/project/project.ts';
import { detectRuntimes } from '../../../src/runtimes/detect.ts';
import type { HostFiles } from '../../../src/runtimes/host-files.ts';
import { nodeProcesses } from '../../../src/system/node-processes.ts';
import type { Argv, Command, Processes } from '../../../src/system/processes.ts';
import { systemClock } from '../../../src/system/system-clock.ts';
import { scanTree } from '../../../src/system/trees.ts';
import { FakeLog } from '../../unit/compose/fakes.ts';

const run = promisify(execFile);
const asUser = join(import.meta.dirname, '../../../scripts/test-hosts.sh');

/** One engine with one Compose, as the user to whom it belongs sees it. */
export interface Host {
  readonly title: string;
  readonly dialect: 'docker-compose-v2' | 'podman-compose';
  readonly version: RegExp;
  readonly engine: 'docker' | 'podman';
  readonly user: string | undefined;
  readonly processes: Processes;
}

function required(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set: eval "$(scripts/test-hosts.sh env)" first`);
  return value;
}

/** Every program of `processes` by another user, with one more directory in front of PATH. */
function asOther(user: string, directory: string): Processes {
  const wrap = (command: Command): Command => ({
    ...command,
    argv: [
      asUser,
      'as',
      user,
      '--',
      'env',
      `PATH=${directory}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin`,
      ...command.argv,
    ],
  });
  return {
    run: (command, options) => nodeProcesses.run(wrap(command), options),
    stream: (command, options) => nodeProcesses.stream(wrap(command), options),
  };
}

export function hosts(): Host[] {
  const user = required('CARETAKER_TEST_ROOTLESS_USER');
  const podman = { dialect: 'podman-compose', engine: 'podman', user } as const;
  return [
    {
      title: 'Docker with Compose v2',
      dialect: 'docker-compose-v2',
      engine: 'docker',
      version: /^\d+\./,
      user: undefined,
      processes: nodeProcesses,
    },
    {
      ...podman,
      title: 'rootless Podman with podman-compose 1.6.0',
      version: /^1\.6\.0/,
      processes: asOther(user, required('CARETAKER_TEST_PODMAN_COMPOSE_160_DIR')),
    },
    {
      ...podman,
      title: 'rootless Podman with podman-compose 1.0.3',
      version: /^1\.0\.3/,
      processes: asOther(user, required('CARETAKER_TEST_PODMAN_COMPOSE_103_DIR')),
    },
  ];
}

export async function engine(host: Host, ...words: string[]): Promise<string> {
  const argv: Argv = [host.engine, ...words];
  return (await host.processes.run({ argv, env: { RUNNER_TRACKING_ID: '' } }, { timeoutMs: 120_000 })).stdout;
}

/** These tests run as root, who reads everything: the ways of those who may not are host-files' own tests' affair. */
export const rootsFiles = {
  way: 'direct',
  scan: scanTree,
  exists: (path: string) =>
    access(path).then(
      () => true,
      () => false,
    ),
} as unknown as HostFiles;

export class Stack {
  readonly log = new FakeLog();
  readonly host: Host;
  readonly directory: string;

  private constructor(host: Host, directory: string) {
    this.host = host;
    this.directory = directory;
  }

  static async create(host: Host, files: Readonly<Record<string, string>>): Promise<Stack> {
    const parent = await mkdtemp('/var/tmp/caretaker-project-');
    await chmod(parent, 0o755);
    // The project's name comes from here, so it must be nobody else's.
    const directory = join(parent, `cp-${parent.slice(-6).toLowerCase()}`);
    const stack = new Stack(host, directory);
    await mkdir(directory);
    await stack.write(files);
    return stack;
  }

  get name(): string {
    return this.directory.slice(this.directory.lastIndexOf('/') + 1);
  }

  async write(files: Readonly<Record<string, string>>): Promise<void> {
    for (const [name, text] of Object.entries(files)) {
      await mkdir(join(this.directory, name, '..'), { recursive: true });
      await writeFile(join(this.directory, name), text);
    }
    if (this.host.user !== undefined) {
      // Not into a database, whose files belong to the container's user.
      await run('chown', [
        `${this.host.user}:`,
        this.directory,
        ...Object.keys(files).map((name) => join(this.directory, name)),
      ]);
    }
  }

  async makeDirectory(name: string): Promise<void> {
    await mkdir(join(this.directory, name));
    if (this.host.user !== undefined) await run('chown', [`${this.host.user}:`, join(this.directory, name)]);
  }

  discover(options: Partial<DiscoverOptions> = {}): Promise<Project> {
    return discoverProject(
      { directory: this.directory, composeFiles: [], profiles: [], envFiles: [], engine: 'auto', ...options },
      {
        processes: this.host.processes,
        log: this.log,
        clock: systemClock,
        environment: {},
        // On this machine root's Docker answers to root only, and Podman to its user.
        runtimes: async () =>
          (await detectRuntimes(this.host.processes)).filter(({ name }) => name === this.host.engine),
        hostFiles: () => Promise.resolve(rootsFiles),
      },
    );
  }

  /** Looks until the project is well; fails with what was seen last. */
  async untilWell(project: Project): Promise<void> {
    let detail = '';
    for (let attempt = 0; attempt < 90; attempt++) {
      const look = await project.look();
      if (look.ok) return;
      ({ detail } = look);
      if (look.fatal === true) break;
      await systemClock.sleep(1000);
    }
    const words = await project.lastWords(20);
    expect([detail, ...words.map(({ service, state, text }) => `${service} ${state}: ${text}`)].join('\n')).toBe(
      'well',
    );
  }

  async ids(project: Project): Promise<Record<string, string>> {
    return Object.fromEntries((await project.containers()).map(({ service, id }) => [service, id]));
  }

  async remove(): Promise<void> {
    const label = `label=com.docker.compose.project=${this.name}`;
    const list = async (...words: string[]): Promise<string[]> =>
      (await engine(this.host, ...words)).split('\n').filter((line) => line !== '');
    const containers = await list('ps', '-aq', '--filter', label);
    const dependent = this.host.engine === 'podman' ? ['--depend', '--ignore'] : [];
    for (const id of containers) await engine(this.host, 'rm', '-fv', ...dependent, id);
    if (this.host.engine === 'podman') {
      for (const pod of await list('pod', 'ls', '-q', '--filter', `name=pod_${this.name}`))
        await engine(this.host, 'pod', 'rm', '-f', pod);
    }
    for (const volume of await list('volume', 'ls', '-q')) {
      if (volume.startsWith(`${this.name}_`)) await engine(this.host, 'volume', 'rm', '-f', volume);
    }
    for (const network of await list('network', 'ls', '--format', '{{.Name}}')) {
      if (network.startsWith(`${this.name}_`)) await engine(this.host, 'network', 'rm', network);
    }
    for (const image of await list('images', '--format', '{{.Repository}}:{{.Tag}}')) {
      if (image.includes(this.name)) await engine(this.host, 'rmi', '-f', image);
    }
    await rm(join(this.directory, '..'), { recursive: true });
  }
}
