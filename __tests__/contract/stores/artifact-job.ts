import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { CaretakerError } from '../../../src/errors.ts';
import type { ArtifactStoreOptions } from '../../../src/stores/artifact.ts';
import type { Store } from '../../../src/stores/store.ts';

type Options = Omit<ArtifactStoreOptions, 'log' | 'signal' | 'clock' | 'env'>;

export interface Begin {
  readonly options: Options;
  /** Waits between attempts as long as in real life. */
  readonly patient: boolean;
}
export interface Call {
  readonly id: number;
  readonly method: 'check' | 'put' | 'list' | 'readManifest' | 'fetch' | 'keepProof' | 'delete' | 'takeBack';
  readonly args: readonly unknown[];
}
interface Failure {
  readonly code: string;
  readonly message: string;
  readonly hint: string | undefined;
  readonly input: string | undefined;
  readonly cause: string | undefined;
}
export type Reply =
  | { readonly name: string }
  | { readonly line: string }
  | {
      readonly id: number;
      readonly value?: unknown;
      readonly error?: Failure;
      readonly lines: readonly string[];
      readonly masked: readonly string[];
    };

export interface ArtifactJob {
  /** The real store on the real client, in the job's process. */
  readonly store: Store;
  /** What the store said to its log, as of the last call that ended. */
  lines(): readonly string[];
  masked(): readonly string[];
  /** Called with each line of `info` at once. */
  onLine: (line: string) => void;
  /** What the process printed: the client's own lines. */
  output(): string;
  end(): Promise<void>;
}

/**
 * An artifact store in a process of its own with a job's environment and nothing of ours but `PATH`: the client reads `process.env`, part of it at
 * import, so two jobs can't share a process, and jest's modules can't load it.
 */
export async function startArtifactJob(
  env: Readonly<Record<string, string>>,
  options: Partial<Options> = {},
  patient = false,
): Promise<ArtifactJob> {
  const child = fork(fileURLToPath(new URL('./artifact-job-process.ts', import.meta.url)), [], {
    env: { PATH: process.env['PATH'], ...env },
    execArgv: [],
    serialization: 'advanced',
    silent: true,
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));

  const waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: unknown) => void }>();
  let lines: readonly string[] = [];
  let masked: readonly string[] = [];
  const job: { -readonly [key in keyof ArtifactJob]: ArtifactJob[key] } = {
    store: undefined as unknown as Store,
    lines: () => lines,
    masked: () => masked,
    onLine: () => undefined,
    output: () => output,
    async end() {
      child.kill('SIGKILL');
      await ended;
    },
  };
  let named: (name: string) => void;
  const name = new Promise<string>((resolve, reject) => {
    named = resolve;
    child.once('exit', (code) => {
      const error = new Error(`the job ended with code ${code}:\n${output}`);
      reject(error);
      for (const { reject: fail } of waiting.values()) fail(error);
    });
  });
  child.on('message', (message) => {
    const reply = message as unknown as Reply;
    if ('name' in reply) return named(reply.name);
    if ('line' in reply) return job.onLine(reply.line);
    ({ lines, masked } = reply);
    const call = waiting.get(reply.id);
    waiting.delete(reply.id);
    const { error } = reply;
    if (error === undefined) return call?.resolve(reply.value);
    const { code, message: text, hint, input, cause } = error;
    call?.reject(
      new CaretakerError(code, text, {
        ...(hint === undefined ? {} : { hint }),
        ...(input === undefined ? {} : { input }),
        ...(cause === undefined ? {} : { cause }),
      }),
    );
  });
  let nextId = 0;
  function call(method: Call['method'], args: readonly unknown[]): Promise<never> {
    nextId += 1;
    const message: Call = { id: nextId, method, args };
    return new Promise((resolve, reject) => {
      waiting.set(message.id, { resolve: resolve as (value: unknown) => void, reject });
      child.send(message);
    });
  }
  const [owner = '', repo = ''] = (env['GITHUB_REPOSITORY'] ?? '').split('/');
  const begin: Begin = {
    options: {
      ...{ owner, repo, token: 'ghs_read', retentionDays: undefined },
      runId: env['GITHUB_RUN_ID'] === undefined ? undefined : Number(env['GITHUB_RUN_ID']),
      ...options,
    },
    patient,
  };
  child.send(begin);
  job.store = {
    kind: 'artifact',
    name: await name,
    check: (purpose) => call('check', [purpose]),
    put: (file) => call('put', [file]),
    takeBack: (files) => call('takeBack', [files]),
    list: (project) => call('list', [project]),
    readManifest: (backup) => call('readManifest', [backup]),
    fetch: (backup, file, toPath) => call('fetch', [backup, file, toPath]),
    keepProof: (backup, proof) => call('keepProof', [backup, proof]),
    delete: (backup, manifest) => call('delete', [backup, manifest]),
  };
  return job;
}
