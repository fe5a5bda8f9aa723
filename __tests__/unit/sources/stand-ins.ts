import { PassThrough, Readable } from 'node:stream';
import type { Project } from '../../../src/project/project.ts';
import type { HostFiles } from '../../../src/runtimes/host-files.ts';
import type { Container, Mount, Runtime } from '../../../src/runtimes/runtime.ts';
import { READING_ON } from '../../../src/sources/postgres-feed.ts';
import type { Log } from '../../../src/report/log.ts';
import type { SourceDeps } from '../../../src/sources/sources.ts';
import type { ProcessStream } from '../../../src/system/processes.ts';

export function container(service: string, more: Partial<Container> = {}): Container {
  return {
    id: `id-of-${service}`, name: service, labels: {}, service, state: 'running', exitCode: undefined, restartCount: 0, startedAt: undefined,
    health: null, imageName: 'image', imageId: 'sha256:1', mounts: [], ports: [], env: {}, command: [], user: '', oneOff: false, graceSeconds: 10, pid: undefined, ...more,
  }; // prettier-ignore
}

export function mount(source: string, target: string, more: Partial<Mount> = {}): Mount {
  return { type: 'bind', volume: undefined, source, target, writable: true, ...more };
}

/** What a program in a container does; the test answers for it. */
export interface Called {
  readonly argv: readonly string[];
  readonly user: string | undefined;
  readonly env: Readonly<Record<string, string>>;
  readonly input: string | undefined;
  /** Of a container made for this program alone. */
  readonly once?: { readonly image: string; readonly mounts: readonly { source: string; target: string }[] };
}
export interface Answer {
  readonly exitCode?: number;
  readonly stdout?: string | Buffer;
  readonly stderr?: string;
}

export interface Stage {
  readonly deps: SourceDeps;
  readonly calls: Called[];
  /** Everything that programs got on their standard input, by the call's index. */
  readonly fed: Map<number, Buffer>;
  readonly warnings: string[];
  readonly told: string[];
  readonly masked: string[];
  readonly volumes: Map<string, string>;
}

export function stage(options: {
  readonly directory: string;
  readonly files: HostFiles;
  readonly containers?: () => readonly Container[];
  readonly answer?: (call: Called) => Answer;
  readonly volumes?: Readonly<Record<string, string>>;
  readonly model?: { services: unknown[]; volumes: Record<string, { name: string; external: boolean }> };
  readonly configuration?: readonly string[];
  readonly deps?: Partial<SourceDeps>;
}): Stage {
  const calls: Called[] = [];
  const fed = new Map<number, Buffer>();
  const warnings: string[] = [];
  const told: string[] = [];
  const masked: string[] = [];
  const volumes = new Map(Object.entries(options.volumes ?? {}));
  const answer = options.answer ?? ((): Answer => ({ exitCode: 127, stderr: 'no such program' }));
  const containers = options.containers ?? ((): Container[] => []);
  let time = 0;

  const runtime = {
    name: 'docker',
    rootless: false,
    version: '20',
    exec(
      _id: string,
      argv: readonly string[],
      more: { user?: string; env?: Record<string, string>; input?: string; accept?: number[] } = {},
    ) {
      const call = { argv, user: more.user, env: more.env ?? {}, input: more.input };
      calls.push(call);
      const { exitCode = 0, stdout = '', stderr = '' } = answer(call);
      if (!(more.accept ?? [0]).includes(exitCode)) return Promise.reject(new Error(`code ${exitCode}: ${stderr}`));
      return Promise.resolve({ exitCode, stdout: stdout.toString(), stderr });
    },
    runOnce(
      image: string,
      argv: readonly string[],
      { mounts, accept = [0] }: { mounts: { source: string; target: string }[]; accept?: number[] },
    ) {
      const call = { argv, user: undefined, env: {}, input: undefined, once: { image, mounts } };
      calls.push(call);
      const { exitCode = 0, stdout = '', stderr = '' } = answer(call);
      if (!accept.includes(exitCode)) return Promise.reject(new Error(`code ${exitCode}: ${stderr}`));
      return Promise.resolve({ exitCode, stdout: stdout.toString(), stderr });
    },
    imageId: (name: string) => Promise.resolve(name === 'no-such-image' ? null : `sha256:of-${name}`),
    execStream(
      _id: string,
      argv: readonly string[],
      more: { user?: string; env?: Record<string, string> } = {},
    ): ProcessStream {
      const index = calls.length;
      // As the shell does: the program's output, then the word that says that it is over.
      const [, , script, , over = '', ...program] = argv;
      const reading = script === READING_ON;
      const call = { argv: reading ? program : argv, user: more.user, env: more.env ?? {}, input: undefined };
      calls.push(call);
      const { exitCode = 0, stdout = '', stderr = '' } = answer(call);
      const pieces: Buffer[] = [];
      const stdin = new PassThrough();
      stdin.on('data', (piece: Buffer) => pieces.push(piece));
      const done = new Promise<void>((resolve, reject) => {
        stdin.once('close', () => {
          fed.set(index, Buffer.concat(pieces));
          if (exitCode === 0) resolve();
          else reject(new Error(`the program ended with code ${exitCode}: ${stderr}`));
        });
      });
      done.catch(() => undefined);
      const printed = async function* (): AsyncGenerator<Buffer> {
        yield Buffer.from(stdout);
        if (!reading) return;
        await done.catch(() => undefined);
        yield Buffer.from(`${over}\n`);
      };
      return {
        stdin,
        stdout: Readable.from(printed(), { objectMode: false }),
        done,
        kill: () => stdin.destroy(),
      };
    },
    volume: (name: string) =>
      Promise.resolve(volumes.has(name) ? { name, mountpoint: volumes.get(name)!, driver: 'local', labels: {} } : null),
    createVolume: (name: string) => {
      volumes.set(name, `${options.directory}/new-volumes/${name}/_data`);
      return Promise.resolve({ name, mountpoint: volumes.get(name)!, driver: 'local', labels: {} });
    },
  } as unknown as Runtime;

  const model = options.model ?? { services: [], volumes: {} };
  const project = {
    name: 'shop',
    directory: options.directory,
    stateDirectory: `${options.directory}/.caretaker`,
    files: options.files,
    engine: {
      runtime,
      compose: {
        dialect: { capabilities: { imageSeparator: '-' } },
        model: () => Promise.resolve({ name: 'shop', ...model }),
      },
    },
    containers: () => Promise.resolve(containers()),
    configurationFiles: () => Promise.resolve([...(options.configuration ?? [])]),
    services: () => Promise.resolve([...new Set(containers().map(({ service }) => service))]),
  } as unknown as Project;

  const log: Log = {
    info: (line) => void told.push(line),
    warn: (line) => void warnings.push(line),
    debug: () => undefined,
    group: (_title, work) => work(),
    progress: () => undefined,
    mask: (secret) => void masked.push(secret),
    redacted: (text) => text,
  };
  const clock = {
    now: () => new Date(0),
    monotonic: () => time,
    sleep: (ms: number) => {
      time += ms;
      return Promise.resolve();
    },
  };
  return { deps: { project, log, clock, run: 'r1', ...options.deps }, calls, fed, warnings, told, masked, volumes };
}
