import { join, relative } from 'node:path';
import type { Compose, ComposeModel, ComposeService } from '../../../src/compose/compose.ts';
import type { HostFiles, TreeScan } from '../../../src/runtimes/host-files.ts';
import type { Container, Mount } from '../../../src/runtimes/runtime.ts';
import type { Project } from '../../../src/project/project.ts';
import { container, dockerDialect, FakeRuntime } from '../compose/fakes.ts';

/** A host made of a list of paths. `x.sqlite3` and `x.db` are SQLite files, `x.sock` sockets, `x/` empty directories. */
export class FakeFiles {
  readonly way = 'direct';
  readonly paths: string[];

  constructor(paths: readonly string[]) {
    this.paths = [...paths];
  }

  asHostFiles(): HostFiles {
    return this as unknown as HostFiles;
  }

  exists(path: string): Promise<boolean> {
    return Promise.resolve(this.paths.some((item) => item === path || item.startsWith(`${path}/`)));
  }

  scan(root: string): Promise<TreeScan> {
    const below = this.paths.filter((item) => item.startsWith(`${root}/`));
    const isFile = this.paths.includes(root);
    const files = below.filter((item) => !item.endsWith('/') && !item.endsWith('.sock'));
    const base = { root, bytes: 4096 * files.length, uid: 0, gid: 0, mode: 0o755 };
    const sqlite = /\.(sqlite3|db)$/;
    if (isFile) {
      const kind = root.endsWith('.sock') ? 'socket' : 'file';
      return Promise.resolve({
        ...base,
        kind,
        files: 1,
        sqliteFiles: sqlite.test(root) ? [''] : [],
        postgresDirectories: [],
        caches: [],
      });
    }
    if (below.length === 0) {
      return Promise.resolve({
        ...base,
        kind: 'missing',
        files: 0,
        sqliteFiles: [],
        postgresDirectories: [],
        caches: [],
      });
    }
    return Promise.resolve({
      ...base,
      kind: 'directory',
      files: files.length,
      sqliteFiles: files.filter((item) => sqlite.test(item)).map((item) => relative(root, item)),
      postgresDirectories: files
        .filter((item) => item.endsWith('/global/pg_control'))
        .map((item) => relative(root, join(item, '../..'))),
      caches: [
        ...new Set(
          files
            .map((item) => relative(root, item))
            .filter((item) => /^[^/]+\/CACHEDIR\.TAG$|^__pycache__\//.test(item))
            .map((item) => item.split('/')[0] ?? ''),
        ),
      ],
    });
  }
}

export function cluster(path: string): string[] {
  return [`${path}/PG_VERSION`, `${path}/global/pg_control`, `${path}/base/1/1259`];
}

export function bind(source: string, target: string, writable = true): Mount {
  return { type: 'bind', volume: undefined, source, target, writable };
}

export function volume(name: string, target: string, writable = true): Mount {
  return { type: 'volume', volume: name, source: `/volumes/${name}/_data`, target, writable };
}

export function service(name: string, more: Partial<ComposeService> = {}): ComposeService {
  return {
    name,
    image: `${name}:latest`,
    build: false,
    buildOptions: {},
    containerName: undefined,
    dependsOn: [],
    restart: 'always',
    volumes: [],
    envFiles: [],
    environment: {},
    hasHealthCheck: false,
    profiles: [],
    replicas: 1,
    stopGraceSeconds: undefined,
    ...more,
  };
}

export function fakeProject(
  parts: {
    readonly directory?: string;
    readonly containers?: readonly Container[];
    readonly model?: Partial<ComposeModel>;
    readonly paths?: readonly string[];
    readonly configuration?: readonly string[];
    readonly volumes?: FakeRuntime['volumes'];
    readonly postgresIn?: readonly string[];
    readonly byCommands?: boolean;
  } = {},
): Project {
  const directory = parts.directory ?? '/srv/app';
  const containers = [...(parts.containers ?? [])];
  const runtime = new FakeRuntime('docker', containers, { volumes: parts.volumes ?? {} });
  for (const mount of containers.flatMap((item) => item.mounts)) {
    if (mount.volume !== undefined) runtime.volumes[mount.volume] ??= {};
  }
  runtime.postgresIn = [...(parts.postgresIn ?? [])];
  const model: ComposeModel = {
    name: 'app',
    services: containers.map((item) => service(item.service)),
    volumes: {},
    ...parts.model,
  };
  const compose = { dialect: dockerDialect, files: [`${directory}/compose.yaml`], model: () => Promise.resolve(model) };
  return {
    name: 'app',
    directory,
    stateDirectory: `${directory}/.caretaker`,
    files: new FakeFiles(parts.paths ?? []).asHostFiles(),
    engine: parts.byCommands === true ? null : { runtime: runtime.asRuntime(), compose: compose as unknown as Compose },
    containers: () => Promise.resolve(parts.byCommands === true ? [] : containers),
    configurationFiles: () => Promise.resolve([...(parts.configuration ?? [])]),
  } as unknown as Project;
}

export { container };
