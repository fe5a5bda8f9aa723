import { createHash } from 'node:crypto';
import { mkdtemp, open, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Artifact, ArtifactClient } from '@actions/artifact';
import { MAX_MANIFEST_BYTES } from '../archive/manifest.ts';
import {
  backupOfManifest,
  instructionsFile,
  manifestFile,
  parseBackupName,
  sanitizeProject,
} from '../archive/names.ts';
import { writeText } from '../archive/parts.ts';
import { formatProof, parseProofFile, proofFile, proofsByBackup, type ProofDocument } from '../archive/proof.ts';
import { CaretakerError, messageOf } from '../errors.ts';
import type { Log } from '../report/log.ts';
import type { Clock } from '../system/clock.ts';
import { fileError } from '../system/files.ts';
import { systemClock } from '../system/system-clock.ts';
import { uploadError } from './artifact-errors.ts';
import { createGitHubRest, type GitHubRest, type ListedArtifact } from './github-rest.ts';
import { firstLine, isNetworkError, retrying, type RetryTools } from './retry.ts';
import { STALL_MS, withoutStalls } from './stalls.ts';
import type { LocalFile, Store, StoredBackup } from './store.ts';

export interface ArtifactStoreOptions {
  readonly owner: string;
  readonly repo: string;
  /** For everything but writing. A secret: it is masked in the log, and goes into a header only. */
  readonly token: string | undefined;
  /** Undefined: as the repository is set. More than the repository allows is clamped, with a warning. */
  readonly retentionDays: number | undefined;
  /** The run that writes; undefined outside of workflows. */
  readonly runId: number | undefined;
  /** Write also where everybody can download the artifacts. */
  readonly allowPublic?: boolean;
  readonly log: Log;
  readonly signal?: AbortSignal | undefined;
  readonly clock?: Clock;
  /**
   * What is read from the job's environment: GITHUB_SERVER_URL, GITHUB_API_URL, GITHUB_RETENTION_DAYS, ACTIONS_RESULTS_URL,
   * whether ACTIONS_RUNTIME_TOKEN is there, and ACTIONS_ARTIFACT_UPLOAD_TIMEOUT_MS where somebody has less patience than a minute. The client
   * reads `process.env`, whatever is handed in here.
   */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/**
 * Backups as workflow artifacts, one raw artifact a file: its name is the file's, its digest the file's own. Written by GitHub's client
 * with the job's runtime token (no permission needed), found and read by the REST API with `token` (`actions: read`), removed by it
 * (`actions: write`).
 *
 * Further codes: `store-exists`, `artifact-public` and `artifact-visibility-unknown` (check('write') on a public repository, or one of
 * which nobody could tell).
 */
export function createArtifactStore(options: ArtifactStoreOptions): Store {
  const { token, log, env = process.env, clock = systemClock } = options;
  if (token !== undefined) log.mask(token);
  return new ArtifactStore({ ...options, env, clock });
}

class ArtifactStore implements Store {
  readonly kind = 'artifact';
  readonly name: string;
  readonly #options: ArtifactStoreOptions & Required<Pick<ArtifactStoreOptions, 'env' | 'clock'>>;
  readonly #repository: string;
  readonly #serverUrl: string;
  readonly #retry: RetryTools;
  readonly #rest: GitHubRest;
  #clamped = false;

  constructor(options: ArtifactStoreOptions & Required<Pick<ArtifactStoreOptions, 'env' | 'clock'>>) {
    const { owner, repo, token, log, clock, env, signal } = options;
    this.#options = options;
    this.#repository = `${owner}/${repo}`;
    this.name = `workflow artifacts of ${this.#repository}`;
    this.#serverUrl = (env['GITHUB_SERVER_URL'] || 'https://github.com').replace(/\/+$/, '');
    this.#retry = { clock, log, signal };
    const apiUrl = env['GITHUB_API_URL'] || 'https://api.github.com';
    this.#rest = createGitHubRest({ ...this.#retry, apiUrl, owner, repo, token });
  }

  async check(purpose: 'write' | 'write-encrypted' | 'read'): Promise<void> {
    this.#refuseServer();
    if (purpose === 'read') {
      await this.#rest.checkListing();
      return;
    }
    if (purpose === 'write' && this.#options.allowPublic !== true) await this.#refusePublic();
    const [wished, kept] = [this.#options.retentionDays, this.#retentionDays()];
    if (wished !== kept && !this.#clamped) {
      this.#clamped = true;
      this.#options.log.warn(
        `retention-days=${wished} is more than ${this.#repository} allows: its artifacts are kept for ${kept} days`,
      );
    }
    const what = `reach the artifact service for ${this.#repository}`;
    const client = await this.#client();
    await this.#asking(what, () => client.listArtifacts()).catch((error: unknown) => {
      throw uploadError(what, error);
    });
  }

  async put(file: LocalFile): Promise<{ readonly id: string; readonly url: string | undefined }> {
    const client = await this.#client();
    const what = `store ${file.name} among the ${this.name}`;
    const { size } = await stat(file.path).catch((error: unknown) => {
      throw fileError(`read ${file.path}`, error);
    });
    if (size !== file.bytes) {
      throw new CaretakerError(
        'store-damaged',
        `failed to ${what}: the file has ${size} bytes instead of ${file.bytes}`,
        {
          hint: 'The file changed after it was verified. Run again; if it happens again, look at the machine’s memory and disk.',
        },
      );
    }
    const retentionDays = this.#retentionDays();
    let taken: unknown;
    let broken: unknown;
    const upload = (): Promise<unknown> =>
      client.uploadArtifact(file.name, [file.path], path.dirname(file.path), {
        skipArchive: true,
        ...(retentionDays === undefined ? {} : { retentionDays }),
      });
    try {
      await this.#asking(what, upload, (error) => (broken = isNameTaken(error) ? broken : error));
    } catch (error) {
      if (!isNameTaken(error)) throw uploadError(what, error);
      taken = error;
    }
    // Not the upload's own result: what counts is what the service says that it has.
    const stored = await this.#ownArtifact(client, file.name, what);
    if (stored === null) throw notListed(what, taken, broken);
    const wrong = difference(stored, file);
    if (wrong === undefined) return { id: String(stored.id), url: this.#url(this.#options.runId, stored.id) };
    if (taken !== undefined) {
      throw new CaretakerError('store-exists', `failed to ${what}: this run has another artifact of that name`, {
        hint: 'Two backups of one project began in the same second. Run again.',
        cause: taken,
      });
    }
    // A manifest that stayed would make the backup look complete.
    const removal: unknown = await this.#asking(what, () => client.deleteArtifact(file.name)).then(
      () => undefined,
      (error: unknown) => error,
    );
    throw new CaretakerError('store-damaged', `failed to ${what}: ${wrong}`, {
      hint:
        removal === undefined
          ? 'The damaged artifact was removed. Run again; if it happens again, look at the machine’s memory and disk.'
          : `Delete the artifact ${stored.id} by hand: removing it failed as well (${messageOf(removal)}). Then run again.`,
    });
  }

  async takeBack(files: readonly string[]): Promise<void> {
    const what = `take back what this run stored among the ${this.name}`;
    const client = await this.#client();
    for (const file of files) {
      await this.#asking(what, () => client.deleteArtifact(file)).catch((error: unknown) => {
        throw uploadError(what, error);
      });
    }
  }

  async list(project?: string): Promise<StoredBackup[]> {
    this.#refuseServer();
    const wanted = project === undefined ? undefined : sanitizeProject(project);
    const found = new Map<string, StoredBackup>();
    const artifacts = (await this.#rest.artifacts()).filter(({ expired }) => !expired);
    // A drill is another run than the one that took the backup.
    const proofs = proofsByBackup(artifacts.map(({ name }) => name));
    for (const [, files] of groups(artifacts)) {
      const backup = this.#complete(files, proofs);
      // Newest first: of several with one name the first that is complete.
      if (backup === null || (wanted !== undefined && backup.project !== wanted) || found.has(backup.name)) continue;
      found.set(backup.name, backup);
    }
    return [...found.values()].sort((one, other) => other.createdAt.getTime() - one.createdAt.getTime());
  }

  async readManifest(backup: StoredBackup): Promise<unknown> {
    this.#refuseServer();
    const what = `read the manifest of ${backup.name} from the ${this.name}`;
    const artifact = await this.#find(backup, manifestFile(backup.name), undefined, what);
    const pieces: Buffer[] = [];
    let bytes = 0;
    for await (const piece of this.#rest.content(artifact)) {
      bytes += piece.length;
      if (bytes > MAX_MANIFEST_BYTES) throw damaged(what, 'it is larger than any manifest');
      pieces.push(piece);
    }
    const content = Buffer.concat(pieces);
    const sha256 = createHash('sha256').update(content).digest('hex');
    if (artifact.sha256 !== undefined && sha256 !== artifact.sha256) {
      throw damaged(what, 'its SHA-256 is not the one that it was stored with');
    }
    try {
      return JSON.parse(content.toString('utf8')) as unknown;
    } catch (error) {
      throw damaged(what, 'it is not JSON', error);
    }
  }

  async fetch(
    backup: StoredBackup,
    file: { readonly file: string; readonly bytes: number; readonly sha256: string },
    toPath: string,
  ): Promise<void> {
    this.#refuseServer();
    const what = `fetch ${file.file} from the ${this.name}`;
    const artifact = await this.#find(backup, file.file, file.sha256, what);
    if (artifact.bytes !== file.bytes) {
      throw damaged(what, `it has ${artifact.bytes} bytes, the manifest says ${file.bytes}`);
    }
    const target = await open(toPath, 'wx', 0o600).catch((error: unknown) => {
      throw fileError(`write ${toPath}`, error);
    });
    try {
      const hash = createHash('sha256');
      let bytes = 0;
      for await (const piece of this.#rest.content(artifact)) {
        hash.update(piece);
        bytes += piece.length;
        if (bytes > file.bytes) throw damaged(what, `more comes than the ${file.bytes} bytes of the manifest`);
        await target.writeFile(piece).catch((error: unknown) => {
          throw fileError(`write ${toPath}`, error, { place: toPath, bytes: file.bytes });
        });
        this.#options.log.progress(file.file, bytes, file.bytes);
      }
      if (bytes !== file.bytes) throw damaged(what, `${bytes} bytes came, the manifest says ${file.bytes}`);
      if (hash.digest('hex') !== file.sha256) throw damaged(what, 'its SHA-256 is not the one in the manifest');
      await target.close();
    } catch (error) {
      await target.close();
      await rm(toPath, { force: true });
      throw error;
    }
  }

  async keepProof(backup: StoredBackup, proof: ProofDocument): Promise<void> {
    const file = proofFile(backup.name, proof);
    this.#refuseServer();
    await this.#find(backup, manifestFile(backup.name), undefined, `store ${file} among the ${this.name}`);
    const directory = await mkdtemp(path.join(tmpdir(), 'caretaker-'));
    try {
      await this.put(await writeText(directory, file, formatProof(proof)));
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }

  async delete(backup: Pick<StoredBackup, 'name' | 'runId' | 'proofs'>): Promise<void> {
    this.#refuseServer();
    // A run that was taken up again may have stored the same backup a second time.
    const manifests = await this.#rest.artifacts({ name: manifestFile(backup.name) });
    for (const manifest of manifests) await this.#rest.deleteArtifact(manifest);
    const runs = new Set([...manifests.map(({ runId }) => runId), backup.runId]);
    let removed = manifests.length;
    for (const runId of runs) {
      const files = (await this.#rest.artifacts({ runId })).filter(({ name }) => name.startsWith(`${backup.name}.`));
      for (const file of files) await this.#rest.deleteArtifact(file);
      removed += files.length;
    }
    for (const { file } of backup.proofs) {
      for (const proof of await this.#rest.artifacts({ name: file })) await this.#rest.deleteArtifact(proof);
    }
    if (removed === 0) throw missing(`delete ${backup.name} from the ${this.name}`, 'there is no such backup');
  }

  /** The backup that the files of one run and one backup's name make up; null while something is missing. */
  #complete(
    files: readonly ListedArtifact[],
    proofs: ReadonlyMap<string, StoredBackup['proofs']>,
  ): StoredBackup | null {
    const manifest = files.find(({ name }) => backupOfManifest(name) !== null);
    const name = manifest === undefined ? null : backupOfManifest(manifest.name);
    if (manifest === undefined || name === null) return null;
    const { project, at } = parseBackupName(name)!;
    const hasInstructions = files.some((file) => file.name === instructionsFile(name));
    // Which parts there must be stands in the manifest, and that costs a download: a part that expired before it is found by the fetch.
    if (!hasInstructions || !files.some((file) => /\.zst(\.age)?$/.test(file.name))) return null;
    const distinct = new Map(files.toReversed().map((file) => [file.name, file]));
    const ends = [...distinct.values()].flatMap(({ expiresAt }) =>
      expiresAt === undefined ? [] : [expiresAt.getTime()],
    );
    return {
      name,
      project,
      createdAt: at,
      bytes: [...distinct.values()].reduce((sum, { bytes }) => sum + bytes, 0),
      expiresAt: ends.length === 0 ? undefined : new Date(Math.min(...ends)),
      runId: manifest.runId,
      ids: files.map(({ id }) => String(id)),
      url: this.#url(manifest.runId, manifest.id),
      files: [...distinct.keys()],
      proofs: proofs.get(name) ?? [],
    };
  }

  /** The artifact of that name that belongs to the backup: the one with the digest, else the newest. */
  async #find(backup: StoredBackup, name: string, sha256: string | undefined, what: string): Promise<ListedArtifact> {
    const all = await this.#rest.artifacts({ runId: backup.runId, name });
    const there = all.filter(({ expired }) => !expired);
    const artifact = there.find((candidate) => candidate.sha256 === sha256) ?? there[0];
    if (artifact !== undefined) return artifact;
    throw missing(what, all.length === 0 ? 'there is no such artifact' : 'it has expired');
  }

  /** Null when this run has none that is finished. */
  async #ownArtifact(client: ArtifactClient, name: string, what: string): Promise<Artifact | null> {
    try {
      const { artifact } = await this.#asking(what, () => client.getArtifact(name));
      return artifact;
    } catch (error) {
      if (error instanceof Error && error.name === 'ArtifactNotFoundError') return null;
      throw uploadError(what, error);
    }
  }

  /** Something of GitHub's client, again where the connection fails. `heard` is told of each failure. */
  async #asking<T>(what: string, work: () => Promise<T>, heard?: (error: unknown) => void): Promise<T> {
    const { env } = this.#options;
    const { host } = new URL(env['ACTIONS_RESULTS_URL'] ?? '');
    const limitMs = Math.min(STALL_MS, Number(env['ACTIONS_ARTIFACT_UPLOAD_TIMEOUT_MS']) || STALL_MS);
    const mayPass = (error: unknown): boolean => {
      heard?.(error);
      return isNetworkError(error);
    };
    return retrying(what, this.#retry, mayPass, () => withoutStalls(host, limitMs, work));
  }

  /** GitHub's client, loaded when it is needed: it costs 100 MiB. It prints its progress to standard output by itself. */
  async #client(): Promise<ArtifactClient> {
    this.#refuseServer();
    const { env } = this.#options;
    if (!env['ACTIONS_RUNTIME_TOKEN'] || !env['ACTIONS_RESULTS_URL']) {
      throw new CaretakerError(
        'store-unsupported',
        'failed to write artifacts: this process is not an action’s step in a workflow',
        {
          input: 'store',
          hint: 'Use store: type=folder,path=… here. A run: step lacks what an action has: call the action by uses: instead.',
        },
      );
    }
    const { DefaultArtifactClient } = await import('@actions/artifact');
    return new DefaultArtifactClient();
  }

  /** The client's own rule, earlier and with a way out. */
  #refuseServer(): void {
    const host = new URL(this.#serverUrl).hostname.toLowerCase();
    if (host === 'github.com' || host.endsWith('.ghe.com') || host.endsWith('.localhost')) return;
    throw new CaretakerError(
      'store-unsupported',
      `failed to use workflow artifacts: ${host} is a GitHub Enterprise Server`,
      {
        input: 'store',
        hint: 'GitHub Enterprise Server has no artifacts of this kind: use store: type=folder,path=…',
      },
    );
  }

  /** Asked of the API, which knows it now: the event may be of a day when the repository was private. */
  async #refusePublic(): Promise<void> {
    const ways =
      'Encrypt the backups (encrypt-to), use store: type=folder,path=…, keep the workflow in a private repository, or accept it by allow: public-artifacts.';
    const visibility = await this.#visibility().catch((error: unknown) => {
      // Whoever can't ask now asks later: that is no answer that needs a hand.
      if (error instanceof CaretakerError && ['store-unreachable', 'cancelled'].includes(error.code)) throw error;
      throw new CaretakerError(
        'artifact-visibility-unknown',
        `failed to find out whether ${this.#repository} is public, where anybody could download its backups: ${messageOf(error)}`,
        { input: 'store', hint: `Give a github-token that may read the repository. ${ways}`, cause: error },
      );
    });
    if (visibility === 'public') {
      throw new CaretakerError('artifact-public', `${this.#repository} is public: anybody could download its backups`, {
        input: 'store',
        hint: ways,
      });
    }
    if (visibility === 'internal') {
      this.#options.log.warn(
        `${this.#repository} is internal: everybody in the enterprise can download its backups. To encrypt them, set encrypt-to.`,
      );
    }
  }

  #visibility(): Promise<'public' | 'internal' | 'private'> {
    if (this.#options.token === undefined) return Promise.reject(new Error('there is no github-token'));
    return this.#rest.visibility();
  }

  /** What the client would do as well, in every upload anew and with a warning each time. */
  #retentionDays(): number | undefined {
    const { retentionDays, env } = this.#options;
    const longest = Number.parseInt(env['GITHUB_RETENTION_DAYS'] ?? '', 10);
    return retentionDays !== undefined && longest < retentionDays ? longest : retentionDays;
  }

  #url(runId: number | undefined, artifactId: number): string | undefined {
    return runId === undefined
      ? undefined
      : `${this.#serverUrl}/${this.#repository}/actions/runs/${runId}/artifacts/${artifactId}`;
  }
}

/** A backup's own files by the run that stored them, each group in the given order. Other artifacts are left out. */
function groups(artifacts: readonly ListedArtifact[]): Map<string, ListedArtifact[]> {
  const byBackup = new Map<string, ListedArtifact[]>();
  for (const artifact of artifacts) {
    const backup = artifact.name.split('.', 1)[0] ?? '';
    if (parseBackupName(backup) === null || parseProofFile(artifact.name) !== null) continue;
    const key = `${artifact.runId}/${backup}`;
    const group = byBackup.get(key);
    if (group === undefined) byBackup.set(key, [artifact]);
    else group.push(artifact);
  }
  return byBackup;
}

function difference(stored: Artifact, file: LocalFile): string | undefined {
  if (stored.size !== file.bytes) return `the service has ${stored.size} bytes, the file has ${file.bytes}`;
  if (stored.digest === undefined || stored.digest === `sha256:${file.sha256}`) return undefined;
  return `the service has SHA-256 ${stored.digest.replace('sha256:', '')}, the file had ${file.sha256}`;
}

function isNameTaken(error: unknown): boolean {
  return /\(409\)/.test(messageOf(error));
}

/** `broken`: how an earlier attempt ended; undefined where another process made it. */
function notListed(what: string, taken: unknown, broken: unknown): CaretakerError {
  if (taken === undefined) {
    return new CaretakerError('store-missing', `failed to ${what}: GitHub took it and does not have it`, {
      hint: 'Look at https://www.githubstatus.com, then run again.',
    });
  }
  return new CaretakerError(
    'store-unreachable',
    `failed to ${what}: an upload of it broke off${broken === undefined ? '' : ` (${firstLine(messageOf(broken))})`}, and its name stays taken`,
    {
      hint: 'Run again: a new run, or another attempt of this one, begins with free names.',
      cause: broken ?? taken,
    },
  );
}

function damaged(what: string, why: string, cause?: unknown): CaretakerError {
  return new CaretakerError('store-damaged', `failed to ${what}: ${why}`, {
    hint: 'Take another backup: this one is not what was stored. RESTORE.md beside it still fits the parts that are whole.',
    cause,
  });
}

function missing(what: string, why: string): CaretakerError {
  return new CaretakerError('store-missing', `failed to ${what}: ${why}`, {
    hint: 'List the backups again: artifacts end with their retention, and can be deleted by hand.',
  });
}
