import { createHash } from 'node:crypto';

import type { BlobRef, BlobStore } from './blobs.ts';
import { HttpError, type Reply } from './http.ts';
import type { Artifact, CacheEntry, Records, Repository } from './records.ts';
import { backendRun, type Job, runOfBackend, verifyRuntimeToken } from './runtime-token.ts';

type Message = Record<string, unknown>;
interface Caller extends Job {
  readonly home: Repository;
}
type Method = (caller: Caller, message: Message) => Promise<Message> | Message;

const statuses = {
  invalid_argument: 400,
  unauthenticated: 401,
  permission_denied: 403,
  not_found: 404,
  already_exists: 409,
} as const;

function refusal(code: keyof typeof statuses, msg: string): HttpError {
  return new HttpError({ status: statuses[code], body: { code, msg } });
}

/**
 * The results service's two Twirp services: snake_case JSON, int64 as strings, wrapper types as bare values, fields with the
 * default value left out by the client.
 */
export class Results {
  readonly #records: Records;
  readonly #blobs: BlobStore;
  readonly methods: Readonly<Record<string, Method>> = {
    CreateArtifact: (caller, message) => this.#createArtifact(caller, message),
    FinalizeArtifact: (caller, message) => this.#finalizeArtifact(caller, message),
    ListArtifacts: (caller, message) => this.#listArtifacts(caller, message),
    GetSignedArtifactURL: (caller, message) => this.#getSignedArtifactUrl(caller, message),
    DeleteArtifact: (caller, message) => this.#deleteArtifact(caller, message),
    CreateCacheEntry: (caller, message) => this.#createCacheEntry(caller, message),
    FinalizeCacheEntryUpload: (caller, message) => this.#finalizeCacheEntryUpload(caller, message),
    GetCacheEntryDownloadURL: (caller, message) => this.#getCacheEntryDownloadUrl(caller, message),
  };

  constructor(records: Records, blobs: BlobStore) {
    this.#records = records;
    this.#blobs = blobs;
  }

  /** Answers `POST /twirp/…/<method>`; throws an `HttpError` for what the service refuses. */
  async answer(method: string, authorization: string | undefined, body: string): Promise<Reply> {
    const job = verifyRuntimeToken(/^bearer (.+)$/i.exec(authorization ?? '')?.[1] ?? '');
    if (job === null) throw refusal('unauthenticated', 'invalid auth token');
    const home = this.#records.addRepository(job.repository, 'private');
    this.#records.addRun(job.runId, home);
    const handler = this.methods[method];
    if (handler === undefined) throw refusal('not_found', `no method ${method}`);
    return { status: 200, body: await handler({ ...job, home }, JSON.parse(body) as Message) };
  }

  #createArtifact(caller: Caller, message: Message): Message {
    requireOwnRun(caller, message);
    const name = text(message, 'name');
    if (name === '' || /[":<>|*?\r\n\\/]/.test(name)) {
      throw refusal('invalid_argument', `artifact name "${name}" is not valid`);
    }
    if (Number(message['version'] ?? 0) < 4) throw refusal('invalid_argument', 'artifact version is not supported');
    const { quotaBytes, maxRetentionDays } = this.#records;
    if (quotaBytes !== null && this.#records.usedBytes() >= quotaBytes) {
      throw refusal('permission_denied', 'insufficient usage to create artifact');
    }
    // The name is taken from here on, whether the upload succeeds or not.
    if (this.#own(caller, name).length > 0) {
      throw refusal('already_exists', 'an artifact with this name already exists on the workflow run');
    }
    const now = this.#records.now();
    const latest = now + maxRetentionDays * 86_400_000;
    const wanted = message['expires_at'] === undefined ? latest : Date.parse(text(message, 'expires_at'));
    if (!(wanted > now)) throw refusal('invalid_argument', 'expires_at is not in the future');
    const mimeType = text(message, 'mime_type') || 'application/zip';
    const id = this.#records.nextId();
    // The client unpacks whatever comes from a path that ends in .zip, so only zips may have such a path.
    const file = `${createHash('sha256').update(`${id} ${name}`).digest('hex')}${mimeType === 'application/zip' ? '.zip' : ''}`;
    const folder = `${backendRun(caller.runId, caller.attempt)}/workflow-job-run-${caller.jobId}/artifacts`;
    const blob: BlobRef = { container: 'actions-results', path: `${folder}/${file}` };
    this.#records.artifacts.push({
      ...{ id, name, mimeType, blob },
      ...{ repository: caller.home, runId: caller.runId, attempt: caller.attempt, jobId: caller.jobId },
      finalized: undefined,
      ...{ createdAt: now, updatedAt: now, expiresAt: Math.min(wanted, latest) },
    });
    return { ok: true, signed_upload_url: this.#blobs.signUpload(blob) };
  }

  async #finalizeArtifact(caller: Caller, message: Message): Promise<Message> {
    requireOwnRun(caller, message);
    const artifact = this.#own(caller, text(message, 'name'))[0];
    if (artifact === undefined) throw refusal('not_found', 'artifact not found');
    const bytes = Number(message['size'] ?? 0);
    const stored = await this.#blobs.size(artifact.blob);
    if (stored !== bytes) {
      throw refusal('invalid_argument', `the blob has ${stored ?? 'no'} bytes and the client says ${bytes}`);
    }
    const finalized = { bytes, digest: text(message, 'hash') || null };
    if (artifact.finalized !== undefined) {
      // A repeated call succeeds and leaves a second artifact of the same name (actions/upload-artifact#531).
      const twin: Artifact = { ...artifact, id: this.#records.nextId(), finalized };
      this.#records.artifacts.push(twin);
      return { ok: true, artifact_id: String(twin.id) };
    }
    artifact.finalized = finalized;
    artifact.updatedAt = this.#records.now();
    return { ok: true, artifact_id: String(artifact.id) };
  }

  #listArtifacts(caller: Caller, message: Message): Message {
    requireOwnRun(caller, message);
    const name = message['name_filter'];
    const id = message['id_filter'];
    const artifacts = this.#records.listed(
      (artifact) =>
        // Artifacts of earlier attempts are part of the run.
        artifact.repository === caller.home &&
        artifact.runId === caller.runId &&
        !this.#records.isExpired(artifact) &&
        (name === undefined || artifact.name === name) &&
        (id === undefined || String(artifact.id) === id),
    );
    if (artifacts.length === 0) return {};
    return {
      artifacts: artifacts.map((artifact) => ({
        workflow_run_backend_id: backendRun(artifact.runId, artifact.attempt),
        workflow_job_run_backend_id: artifact.jobId,
        database_id: String(artifact.id),
        name: artifact.name,
        size: String(artifact.finalized!.bytes),
        created_at: new Date(artifact.createdAt).toISOString(),
        ...(artifact.finalized!.digest === null ? {} : { digest: artifact.finalized!.digest }),
      })),
    };
  }

  #getSignedArtifactUrl(caller: Caller, message: Message): Message {
    const artifact = this.#finished(caller, message);
    return { signed_url: this.#blobs.signDownload(artifact.blob, downloadFile(artifact)) };
  }

  async #deleteArtifact(caller: Caller, message: Message): Promise<Message> {
    const artifact = this.#finished(caller, message);
    await deleteArtifact(this.#records, this.#blobs, artifact);
    return { ok: true, artifact_id: String(artifact.id) };
  }

  #createCacheEntry(caller: Caller, message: Message): Message {
    const [key, version] = [text(message, 'key'), text(message, 'version')];
    if (key === '' || version === '') throw refusal('invalid_argument', 'key and version are required');
    if (this.#caches(caller).some((entry) => entry.key === key && entry.version === version)) {
      throw refusal('already_exists', 'cache entry with the same key, version, and scope already exists');
    }
    const id = this.#records.nextId();
    const blob: BlobRef = { container: 'actions-cache', path: `${caller.home.id}/${id}` };
    this.#records.caches.push({ id, repository: caller.home, key, version, blob, bytes: undefined });
    return { ok: true, signed_upload_url: this.#blobs.signUpload(blob) };
  }

  async #finalizeCacheEntryUpload(caller: Caller, message: Message): Promise<Message> {
    const entry = this.#caches(caller).find(
      ({ key, version }) => key === message['key'] && version === message['version'],
    );
    const bytes = Number(message['size_bytes'] ?? 0);
    if (entry === undefined || (await this.#blobs.size(entry.blob)) !== bytes) {
      throw refusal('not_found', 'cache entry not found');
    }
    entry.bytes = bytes;
    return { ok: true, entry_id: String(entry.id) };
  }

  #getCacheEntryDownloadUrl(caller: Caller, message: Message): Message {
    const finished = this.#caches(caller)
      .filter(({ version, bytes }) => bytes !== undefined && version === message['version'])
      .sort((a, b) => b.id - a.id);
    const prefixes = [text(message, 'key'), ...((message['restore_keys'] as string[] | undefined) ?? [])];
    for (const prefix of prefixes) {
      const entry = finished.find(({ key }) => key === prefix) ?? finished.find(({ key }) => key.startsWith(prefix));
      if (entry !== undefined) {
        const url = this.#blobs.signDownload(entry.blob, undefined);
        return { ok: true, signed_download_url: url, matched_key: entry.key };
      }
    }
    return { ok: false };
  }

  #caches(caller: Caller): CacheEntry[] {
    return this.#records.caches.filter(({ repository }) => repository === caller.home);
  }

  /** This attempt's artifacts of that name, newest first, half-finished ones among them. */
  #own(caller: Caller, name: string): Artifact[] {
    return this.#records.artifacts
      .filter(
        (artifact) => artifact.runId === caller.runId && artifact.attempt === caller.attempt && artifact.name === name,
      )
      .sort((a, b) => b.id - a.id);
  }

  #finished(caller: Caller, message: Message): Artifact {
    const backend = text(message, 'workflow_run_backend_id');
    if (runOfBackend(backend) !== caller.runId) throw refusal('permission_denied', 'the token is for another run');
    const artifact = this.#records.listed(
      ({ runId, attempt, name }) => backendRun(runId, attempt) === backend && name === message['name'],
    )[0];
    if (artifact === undefined || this.#records.isExpired(artifact)) throw refusal('not_found', 'artifact not found');
    return artifact;
  }
}

/** Removes the record, and the bytes unless a twin still needs them. */
export async function deleteArtifact(records: Records, blobs: BlobStore, artifact: Artifact): Promise<void> {
  records.artifacts = records.artifacts.filter((other) => other !== artifact);
  if (!records.artifacts.some(({ blob }) => blob === artifact.blob)) await blobs.remove(artifact.blob);
}

/** What a download is called: a zip that the client made has the artifact's name and `.zip`, a raw file has its own. */
export function downloadFile({ name, mimeType }: Artifact): { name: string; type: string } {
  const zipped = mimeType === 'application/zip' && !name.toLowerCase().endsWith('.zip');
  return { name: zipped ? `${name}.zip` : name, type: mimeType };
}

function requireOwnRun(caller: Caller, message: Message): void {
  const same =
    message['workflow_run_backend_id'] === backendRun(caller.runId, caller.attempt) &&
    message['workflow_job_run_backend_id'] === caller.jobId;
  if (!same) throw refusal('permission_denied', 'the token is for another run or job');
}

function text(message: Message, field: string): string {
  const value = message[field];
  if (value === undefined) return '';
  if (typeof value !== 'string') throw refusal('invalid_argument', `${field} is no string`);
  return value;
}
