/**
 * GitHub's artifact, cache and REST services on this machine, for the real `@actions/artifact` and `@actions/cache` clients.
 * A library (`startGitHub`) and a program (`node stand-in.ts`); see README.md.
 */
import * as fs from 'node:fs';
import * as http from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { type BlobStore, startBlobStore } from './blobs.ts';
import { answerControl } from './control.ts';
import { type Call, type CallKind, type Fault, faultReply, Faults } from './faults.ts';
import { HttpError, readBody, type Reply, writeReply, writeStart } from './http.ts';
import { type Artifact, type CacheEntry, Records, type Visibility } from './records.ts';
import { Rest } from './rest.ts';
import { signRuntimeToken } from './runtime-token.ts';
import { Results } from './twirp.ts';

export type { Call, CallKind, Fault } from './faults.ts';
export type { Visibility } from './records.ts';

export interface GitHubOptions {
  /** 0, the default, lets the system choose. */
  readonly port?: number;
  /** Visibility by `owner/name`; without it, one private `octo-org/octo-app`. The first is the default of every call. */
  readonly repositories?: Readonly<Record<string, Visibility>>;
  /** Permissions (`actions:read`, `actions:write`) by REST token; without it `ghs_read`, `ghs_write` and `ghs_none`. */
  readonly tokens?: Readonly<Record<string, readonly string[]>>;
  /** The longest retention, and the one of an upload that names none; 90 unless told. */
  readonly maxRetentionDays?: number;
  /** No artifact may be created once so many bytes are stored; null, the default, means no limit. */
  readonly quotaBytes?: number | null;
}

export interface JobIdentity {
  readonly runId: number;
  /** `job-1` unless told. */
  readonly jobId?: string;
  /** 1 unless told. A later attempt may use an artifact name again. */
  readonly attempt?: number;
  readonly repository?: string;
}

export interface StoredArtifact {
  readonly id: number;
  readonly name: string;
  readonly repository: string;
  readonly runId: number;
  readonly attempt: number;
  readonly mimeType: string;
  /** False for an upload that never came to its end: its name is taken and no listing shows it. */
  readonly finalized: boolean;
  readonly expired: boolean;
  readonly createdAt: string;
  readonly expiresAt: string;
  /** What listings say: the client's own word. */
  readonly digest: string | null;
  /** What is really there; undefined when nothing is. */
  readonly bytes: number | undefined;
  readonly sha256: string | undefined;
}

export interface GitHubStandIn {
  /** The base of the API and of the results service. */
  readonly url: string;
  /** What every job needs, whatever its run: addresses, proxy exception, longest retention. */
  readonly env: Readonly<Record<string, string>>;
  /** `env` with a job's own variables: token, run, attempt, repository. Makes the run known. */
  environment(job: JobIdentity): Record<string, string>;
  runtimeToken(job: JobIdentity): string;
  setTokens(tokens: Readonly<Record<string, readonly string[]>>): void;
  setVisibility(repository: string, visibility: Visibility): void;
  setQuota(bytes: number | null): void;
  fault(...faults: readonly Fault[]): void;
  clearFaults(): void;
  /** Every call so far, oldest first, or those of one kind. */
  calls(kind?: CallKind): Call[];
  clearCalls(): void;
  stored(): Promise<StoredArtifact[]>;
  /** Stores a finished artifact without the client. */
  seed(artifact: {
    readonly name: string;
    readonly runId: number;
    readonly content?: string | Uint8Array;
    readonly repository?: string;
    readonly mimeType?: string;
  }): Promise<number>;
  /** Inverts one byte (the middle one unless `at` is told) or cuts the end off. By id, or the newest of that name. */
  corrupt(artifact: number | string, how?: { readonly at?: number; readonly truncateTo?: number }): Promise<void>;
  expire(artifact: number | string): Promise<void>;
  /** Keys of the finished entries of the cache, oldest first. */
  cached(): string[];
  /** The bytes of an entry of the cache, as the client stored them. */
  readCache(key: string): Promise<Buffer>;
  /** Puts other bytes in their place, or none at all: what somebody else stored, and what was lost. */
  writeCache(key: string, content: Uint8Array | null): Promise<void>;
  /** Sets the service's clock forward, so that retention ends and later artifacts are younger. */
  advance(time: { readonly days?: number; readonly hours?: number; readonly ms?: number }): Promise<void>;
  stop(): Promise<void>;
}

export async function startGitHub(options: GitHubOptions = {}): Promise<GitHubStandIn> {
  const records = new Records({
    tokens: options.tokens ?? {
      ghs_read: ['actions:read'],
      ghs_write: ['actions:read', 'actions:write'],
      ghs_none: [],
    },
    quotaBytes: options.quotaBytes ?? null,
    maxRetentionDays: options.maxRetentionDays ?? 90,
  });
  const repositories: Readonly<Record<string, Visibility>> = options.repositories ?? { 'octo-org/octo-app': 'private' };
  for (const [name, visibility] of Object.entries(repositories)) {
    records.addRepository(name, visibility);
  }
  const faults = new Faults();
  let calls: Call[] = [];
  function note(kind: CallKind, request: http.IncomingMessage, status: number): void {
    // The query of a blob's address is its signature.
    const path = kind.startsWith('blob:') ? (request.url ?? '').replace(/\?.*/, '') : (request.url ?? '');
    calls.push({ kind, method: request.method ?? '', path, status });
  }

  const blobs = await startBlobStore({ take: (kind) => faults.take(kind), note });
  const server = http.createServer((request, response) => {
    serve(request, response).catch((error: unknown) => {
      writeReply(response, { status: 500, body: { message: `the stand-in failed: ${String(error)}` } });
    });
  });
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(options.port ?? 0, '127.0.0.1', resolve);
    });
  } catch (error) {
    await blobs.stop();
    throw error;
  }
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const results = new Results(records, blobs);
  const rest = new Rest(records, blobs, url);

  async function serve(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const target = new URL(request.url ?? '/', url);
    const body = await readBody(request);
    if (target.pathname.startsWith('/_control/')) {
      writeReply(response, await answerControl(standIn, request.method ?? '', target, body));
      return;
    }
    const { authorization } = request.headers;
    const twirp = /^\/twirp\/github\.actions\.results\.api\.v1\.(?:Artifact|Cache)Service\/(\w+)$/.exec(
      target.pathname,
    );
    const method = twirp?.[1];
    const isMethod = method !== undefined && Object.hasOwn(results.methods, method);
    const kind = isMethod ? (method as CallKind) : rest.kind(request.method ?? '', target);
    const work = (): Promise<Reply> =>
      isMethod ? results.answer(method, authorization, body) : rest.answer(request.method ?? '', target, authorization);

    const fault = faults.take(kind);
    if (fault?.delayMs !== undefined) await sleep(fault.delayMs);
    const spoiled = fault === undefined ? null : faultReply(fault);
    const cut = fault?.cutAfterBytes;
    const silent = fault?.reset === true || (fault?.stall === true && cut === undefined);
    if (fault?.applied === true || (spoiled === null && !silent)) {
      const reply = await work().catch((error: unknown) => {
        if (error instanceof HttpError) return error.reply;
        throw error;
      });
      if (spoiled === null && !silent) {
        note(kind, request, cut === undefined ? reply.status : 0);
        const answer = {
          ...reply,
          headers: { 'x-github-request-id': `STANDIN:${calls.length}`, ...reply.headers },
        };
        if (cut === undefined) writeReply(response, answer);
        else writeStart(response, answer, cut, fault?.stall === true);
        return;
      }
    }
    note(kind, request, spoiled?.status ?? 0);
    if (spoiled !== null) writeReply(response, spoiled);
    else if (fault?.stall !== true) response.destroy();
  }

  const env = {
    ACTIONS_RESULTS_URL: `${url}/`,
    GITHUB_API_URL: url,
    GITHUB_SERVER_URL: 'https://github.com',
    GITHUB_RETENTION_DAYS: String(records.maxRetentionDays),
    ACTIONS_CACHE_SERVICE_V2: 'true',
    NO_PROXY: '127.0.0.1,localhost',
    no_proxy: '127.0.0.1,localhost',
  };
  const standIn = control(records, blobs, faults, {
    url,
    env,
    calls: (kind?: CallKind) => calls.filter((call) => kind === undefined || call.kind === kind),
    clearCalls: () => {
      calls = [];
    },
    async stop() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      await blobs.stop();
    },
  });
  return standIn;
}

function control(
  records: Records,
  blobs: BlobStore,
  faults: Faults,
  base: Pick<GitHubStandIn, 'url' | 'env' | 'calls' | 'clearCalls' | 'stop'>,
): GitHubStandIn {
  function identity(job: JobIdentity) {
    if (!Number.isSafeInteger(job.runId) || job.runId < 1) throw new Error(`${job.runId} is no run id`);
    const first = records.repositories[0];
    const repository = job.repository ?? (first === undefined ? '' : `${first.owner}/${first.name}`);
    records.addRun(job.runId, records.addRepository(repository, 'private'));
    return { repository, runId: job.runId, attempt: job.attempt ?? 1, jobId: job.jobId ?? 'job-1' };
  }
  function cacheOf(key: string): CacheEntry {
    const found = records.caches.find((entry) => entry.key === key);
    if (found === undefined) throw new Error(`no cache entry ${key}`);
    return found;
  }
  async function dropExpired(): Promise<void> {
    for (const artifact of records.artifacts) if (records.isExpired(artifact)) await blobs.remove(artifact.blob);
  }
  async function describe(artifact: Artifact): Promise<StoredArtifact> {
    return {
      id: artifact.id,
      name: artifact.name,
      repository: `${artifact.repository.owner}/${artifact.repository.name}`,
      runId: artifact.runId,
      attempt: artifact.attempt,
      mimeType: artifact.mimeType,
      finalized: artifact.finalized !== undefined,
      expired: records.isExpired(artifact),
      createdAt: new Date(artifact.createdAt).toISOString(),
      expiresAt: new Date(artifact.expiresAt).toISOString(),
      digest: artifact.finalized?.digest ?? null,
      bytes: await blobs.size(artifact.blob),
      sha256: await blobs.sha256(artifact.blob),
    };
  }
  return {
    ...base,
    environment(job) {
      const { repository, runId, attempt } = identity(job);
      return {
        ...base.env,
        ACTIONS_RUNTIME_TOKEN: this.runtimeToken(job),
        GITHUB_REPOSITORY: repository,
        GITHUB_REPOSITORY_OWNER: repository.split('/')[0] ?? '',
        GITHUB_RUN_ID: String(runId),
        GITHUB_RUN_ATTEMPT: String(attempt),
      };
    },
    runtimeToken: (job) => signRuntimeToken(identity(job)),
    setTokens(tokens) {
      records.tokens = { ...tokens };
    },
    setVisibility(repository, visibility) {
      records.addRepository(repository, visibility).visibility = visibility;
    },
    setQuota(bytes) {
      records.quotaBytes = bytes;
    },
    fault(...list) {
      for (const fault of list) faults.add(fault);
    },
    clearFaults: () => faults.clear(),
    async stored() {
      const all: StoredArtifact[] = [];
      for (const artifact of records.artifacts) all.push(await describe(artifact));
      return all;
    },
    async seed({ name, runId, content = name, repository, mimeType = 'application/octet-stream' }) {
      const job = identity({ runId, ...(repository === undefined ? {} : { repository }) });
      const home = records.addRepository(job.repository, 'private');
      const id = records.nextId();
      const blob = { container: 'actions-results', path: `seeded/${id}` } as const;
      const bytes = Buffer.from(content as Uint8Array);
      await blobs.write(blob, bytes, mimeType);
      const now = records.now();
      records.artifacts.push({
        ...{ id, name, repository: home, runId, attempt: 1, jobId: job.jobId, mimeType, blob },
        finalized: { bytes: bytes.length, digest: `sha256:${(await blobs.sha256(blob)) ?? ''}` },
        ...{ createdAt: now, updatedAt: now, expiresAt: now + records.maxRetentionDays * 86_400_000 },
      });
      return id;
    },
    async corrupt(which, how = {}) {
      const artifact = records.find(which);
      let content = await blobs.read(artifact.blob);
      if (how.truncateTo === undefined) {
        const at = how.at ?? Math.floor(content.length / 2);
        if (at >= content.length) throw new Error(`${artifact.name} has no byte ${at}`);
        content[at]! ^= 0xff;
      } else content = content.subarray(0, how.truncateTo);
      await blobs.write(artifact.blob, content, artifact.mimeType);
    },
    cached: () => records.caches.filter(({ bytes }) => bytes !== undefined).map(({ key }) => key),
    readCache: (key) => blobs.read(cacheOf(key).blob),
    async writeCache(key, content) {
      const entry = cacheOf(key);
      if (content === null) return blobs.remove(entry.blob);
      await blobs.write(entry.blob, content, 'application/octet-stream');
      entry.bytes = content.length;
    },
    async expire(which) {
      records.find(which).expiresAt = records.now();
      await dropExpired();
    },
    async advance({ days = 0, hours = 0, ms = 0 }) {
      records.advance(days * 86_400_000 + hours * 3_600_000 + ms);
      await dropExpired();
    },
  };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '0' },
      'state-file': { type: 'string' },
      repository: { type: 'string', default: 'octo-org/octo-app' },
      visibility: { type: 'string', default: 'private' },
      token: { type: 'string', multiple: true },
      'quota-bytes': { type: 'string' },
      'max-retention-days': { type: 'string', default: '90' },
    },
  });
  const tokens = values.token?.map((text) => {
    const [name = '', permissions = ''] = text.split('=');
    return [name, permissions.split(',').filter((permission) => permission !== '')] as const;
  });
  const standIn = await startGitHub({
    port: Number(values.port),
    repositories: { [values.repository]: values.visibility as Visibility },
    ...(tokens === undefined ? {} : { tokens: Object.fromEntries(tokens) }),
    quotaBytes: values['quota-bytes'] === undefined ? null : Number(values['quota-bytes']),
    maxRetentionDays: Number(values['max-retention-days']),
  });
  const stateFile = values['state-file'];
  const end = new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
  });
  const line = JSON.stringify({
    url: standIn.url,
    control: `${standIn.url}/_control`,
    pid: process.pid,
    env: standIn.env,
  });
  if (stateFile !== undefined) {
    fs.writeFileSync(`${stateFile}.new`, `${line}\n`);
    fs.renameSync(`${stateFile}.new`, stateFile);
  }
  console.log(line);
  await end;
  await standIn.stop();
  if (stateFile !== undefined) fs.rmSync(stateFile, { force: true });
}

if (process.argv[1] !== undefined && fs.realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) await main();
