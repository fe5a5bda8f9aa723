import type { BlobRef } from './blobs.ts';

export type Visibility = 'public' | 'private' | 'internal';

export interface Repository {
  readonly id: number;
  readonly owner: string;
  readonly name: string;
  visibility: Visibility;
}

export interface Artifact {
  readonly id: number;
  readonly name: string;
  readonly repository: Repository;
  readonly runId: number;
  readonly attempt: number;
  readonly jobId: string;
  readonly mimeType: string;
  readonly blob: BlobRef;
  /** What the client said at the end; undefined until then. */
  finalized: { readonly bytes: number; readonly digest: string | null } | undefined;
  readonly createdAt: number;
  updatedAt: number;
  expiresAt: number;
}

export interface CacheEntry {
  readonly id: number;
  readonly repository: Repository;
  readonly key: string;
  readonly version: string;
  readonly blob: BlobRef;
  /** Undefined until finalized. */
  bytes: number | undefined;
}

/** Everything the stand-in knows besides the blobs. Its clock can be set forward, so that retention can be seen to end. */
export class Records {
  readonly repositories: Repository[] = [];
  artifacts: Artifact[] = [];
  readonly caches: CacheEntry[] = [];
  /** Permissions by token. */
  tokens: Record<string, readonly string[]>;
  quotaBytes: number | null;
  readonly maxRetentionDays: number;
  #runs = new Map<number, Repository>();
  #clockMs = 0;
  // Ids of today's size: over 2^31, so that a 32-bit slip shows.
  #nextId = 4_000_000_000;

  constructor(settings: {
    readonly tokens: Record<string, readonly string[]>;
    readonly quotaBytes: number | null;
    readonly maxRetentionDays: number;
  }) {
    this.tokens = settings.tokens;
    this.quotaBytes = settings.quotaBytes;
    this.maxRetentionDays = settings.maxRetentionDays;
  }

  now(): number {
    return Date.now() + this.#clockMs;
  }

  advance(ms: number): void {
    this.#clockMs += ms;
  }

  nextId(): number {
    this.#nextId += 1;
    return this.#nextId;
  }

  /** `owner/name`, in any case, or undefined. */
  repository(fullName: string): Repository | undefined {
    const wanted = fullName.toLowerCase();
    return this.repositories.find(({ owner, name }) => `${owner}/${name}`.toLowerCase() === wanted);
  }

  addRepository(fullName: string, visibility: Visibility): Repository {
    const known = this.repository(fullName);
    if (known !== undefined) return known;
    const match = /^([^/\s]+)\/([^/\s]+)$/.exec(fullName);
    if (match === null) throw new Error(`${fullName} is no owner/name`);
    const repository = { id: 700_000_001 + this.repositories.length, owner: match[1]!, name: match[2]!, visibility };
    this.repositories.push(repository);
    return repository;
  }

  /** A run belongs to one repository for good. */
  addRun(runId: number, repository: Repository): void {
    const known = this.#runs.get(runId);
    if (known !== undefined && known !== repository) {
      throw new Error(
        `run ${runId} belongs to ${known.owner}/${known.name}, not to ${repository.owner}/${repository.name}`,
      );
    }
    this.#runs.set(runId, repository);
  }

  hasRun(runId: number, repository: Repository): boolean {
    return this.#runs.get(runId) === repository;
  }

  isExpired(artifact: Artifact): boolean {
    return artifact.expiresAt <= this.now();
  }

  /** Finalized artifacts, newest first, expired ones among them. */
  listed(filter: (artifact: Artifact) => boolean): Artifact[] {
    return this.artifacts
      .filter((artifact) => artifact.finalized !== undefined && filter(artifact))
      .sort((a, b) => b.id - a.id);
  }

  /** Bytes that count against the quota. */
  usedBytes(): number {
    return this.listed((artifact) => !this.isExpired(artifact)).reduce(
      (sum, { finalized }) => sum + finalized!.bytes,
      0,
    );
  }

  /** By id, or the newest of that name, half-finished uploads among them. */
  find(artifact: number | string): Artifact {
    const found = this.artifacts
      .filter(({ id, name }) => id === artifact || name === artifact)
      .sort((a, b) => b.id - a.id)[0];
    if (found === undefined) throw new Error(`no artifact ${artifact}`);
    return found;
  }
}
