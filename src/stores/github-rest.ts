import type { IncomingMessage } from 'node:http';
import { CaretakerError, messageOf } from '../errors.ts';
import { firstLine, isNetworkError, pause, retrying, type RetryTools } from './retry.ts';
import { STALL_MS } from './stalls.ts';

export interface GitHubRestOptions extends RetryTools {
  /** `https://api.github.com`. */
  readonly apiUrl: string;
  readonly owner: string;
  readonly repo: string;
  readonly token: string | undefined;
}

/** An artifact as GitHub lists it. */
export interface ListedArtifact {
  readonly id: number;
  readonly name: string;
  readonly bytes: number;
  readonly expired: boolean;
  readonly expiresAt: Date | undefined;
  /** Hex sha256 of what was uploaded; undefined for artifacts of old clients. */
  readonly sha256: string | undefined;
  readonly runId: number | undefined;
}

/**
 * The part of GitHub's REST API that the artifact store reads with, through `@actions/http-client`, which knows the runner's proxy (Node's
 * own fetch does not). The token goes into a header, and only to the API: never along the redirect to the storage.
 *
 * Connection errors, 5xx and 429 are tried five times. Throws `store-denied` (naming the permission), `store-unreachable`, `store-missing`.
 */
export interface GitHubRest {
  /** Artifacts of the repository or of one run, newest first, expired ones among them. `name`: only of exactly that name. */
  artifacts(options?: { readonly runId?: number | undefined; readonly name?: string }): Promise<ListedArtifact[]>;
  /** Throws what a listing would throw, at the cost of one short page. */
  checkListing(): Promise<void>;
  /** Who can read the repository: everybody, everybody in an enterprise, or those who were let in. */
  visibility(): Promise<'public' | 'internal' | 'private'>;
  /** One that is gone already is no error. */
  deleteArtifact(artifact: ListedArtifact): Promise<void>;
  /**
   * The artifact's bytes as they were uploaded. A connection that breaks is taken up where it broke. What is stored may be longer or
   * shorter than the listing says: the reader counts.
   */
  content(artifact: ListedArtifact): AsyncGenerator<Buffer>;
}

const AGENT = 'compose-caretaker';
const PAGE = 100;
type Permission = 'metadata: read' | 'actions: read' | 'actions: write';

interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly message: IncomingMessage;
}

/** An answer that is not a success. */
class Refused extends Error {
  readonly status: number;
  readonly mayPass: boolean;

  constructor(status: number, message: string, mayPass: boolean) {
    super(message);
    this.status = status;
    this.mayPass = mayPass;
  }
}

function mayPass(error: unknown): boolean {
  return error instanceof Refused ? error.mayPass : isNetworkError(error);
}

export function createGitHubRest(options: GitHubRestOptions): GitHubRest {
  const { apiUrl, owner, repo, token } = options;
  const repository = `${owner}/${repo}`;
  const root = `${apiUrl.replace(/\/+$/, '')}/repos/${encodeURIComponent(owner)}/${encodeURIComponent(repo)}`;

  async function send(verb: string, url: string, headers: Record<string, string>): Promise<IncomingMessage> {
    const { HttpClient } = await import('@actions/http-client');
    const client = new HttpClient(AGENT, [], { allowRedirects: false, socketTimeout: STALL_MS });
    let message: IncomingMessage;
    try {
      ({ message } = await client.request(verb, url, null, headers));
    } catch (error) {
      // The client's own text holds the path, and with it the signature of a storage address.
      if (/^Request timeout/.test(messageOf(error))) {
        throw new Refused(0, `no answer within ${STALL_MS / 1000} s (ETIMEDOUT)`, true);
      }
      throw error;
    }
    message.setTimeout(STALL_MS, () => message.destroy(new Refused(0, `nothing came for ${STALL_MS / 1000} s`, true)));
    return message;
  }

  async function ask(verb: string, path: string): Promise<Answer> {
    const message = await send(verb, root + path, {
      accept: 'application/vnd.github+json',
      'x-github-api-version': '2022-11-28',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    });
    const status = message.statusCode ?? 0;
    // Not the client's readBody: it never ends when the connection breaks in the middle.
    const text = await textOf(message);
    if (status >= 300 && status < 400) return { status, body: undefined, message };
    const body = parse(text);
    if (status >= 200 && status < 300) {
      if (body === undefined && status !== 204) throw new Refused(status, 'the answer is not JSON', true);
      return { status, body, message };
    }
    const said = (body as { message?: unknown } | null | undefined)?.message;
    const limited = status === 429 || (status === 403 && message.headers['x-ratelimit-remaining'] === '0');
    throw new Refused(
      status,
      `GitHub answered ${status}${typeof said === 'string' ? `, ${firstLine(said)}` : ''}${limited ? ' (rate limit)' : ''}`,
      status >= 500 || limited,
    );
  }

  async function answer(verb: string, path: string, what: string, needs: Permission): Promise<Answer> {
    try {
      return await retrying(what, options, mayPass, () => ask(verb, path));
    } catch (error) {
      throw coded(error, what, needs);
    }
  }

  function coded(error: unknown, what: string, needs: Permission): unknown {
    const refused = error instanceof Refused;
    if (refused && !error.mayPass) {
      if (error.status === 410) {
        return new CaretakerError('store-missing', `failed to ${what}: it has expired`, {
          hint: 'Take a younger backup, or one from another store. A longer retention-days keeps artifacts longer.',
          cause: error,
        });
      }
      if ([401, 403, 404].includes(error.status)) {
        return new CaretakerError('store-denied', `failed to ${what}: ${error.message}`, {
          input: 'github-token',
          hint: `${token === undefined ? 'Give a token' : 'The token must be valid and'} ${
            token === undefined ? 'with' : 'have'
          } the permission "${needs}" on ${repository}: in a workflow by "permissions: ${needs}" for the job.${
            error.status === 404 ? ' GitHub answers 404 also for what a token may not see.' : ''
          }`,
          cause: error,
        });
      }
    } else if (!refused && !isNetworkError(error)) return error;
    return new CaretakerError('store-unreachable', `failed to ${what}: ${firstLine(messageOf(error))}`, {
      hint: 'Look at https://www.githubstatus.com and at the machine’s connection, then run again.',
      cause: error,
    });
  }

  /** Opens the stored bytes from `at` on. The redirect is asked for anew each time: its signature is good for minutes only. */
  async function open(artifact: ListedArtifact, at: number): Promise<IncomingMessage> {
    const { status, message } = await ask('GET', `/actions/artifacts/${artifact.id}/zip`);
    const { location } = message.headers;
    if (status < 300 || location === undefined)
      throw new Refused(status, 'GitHub names no address to download from', true);
    const blob = await send('GET', location, at === 0 ? {} : { range: `bytes=${at}-` });
    if (blob.statusCode === 200 || blob.statusCode === 206) return blob;
    blob.resume();
    // 404 and 403 come by themselves when a signature is too old or the copy that answers lags behind.
    throw new Refused(blob.statusCode ?? 0, `the storage answered ${blob.statusCode}`, true);
  }

  const list = { what: `list the artifacts of ${repository}`, needs: 'actions: read' } as const;

  return {
    async artifacts({ runId, name } = {}) {
      const base = runId === undefined ? '/actions/artifacts' : `/actions/runs/${runId}/artifacts`;
      const filter = name === undefined ? '' : `&name=${encodeURIComponent(name)}`;
      // By id: an artifact that comes into being meanwhile shifts the pages.
      const found = new Map<number, ListedArtifact>();
      for (let page = 1; ; page += 1) {
        const { body } = await answer('GET', `${base}?per_page=${PAGE}&page=${page}${filter}`, list.what, list.needs);
        const { artifacts: items, total_count: total } = (body ?? {}) as { artifacts?: unknown; total_count?: unknown };
        if (!Array.isArray(items)) {
          throw new CaretakerError('store-unreachable', `failed to ${list.what}: the answer holds no artifacts`, {
            hint: 'Something between this machine and GitHub may answer in its place: look at proxy settings.',
          });
        }
        for (const item of items) {
          const artifact = listedArtifact(item);
          if (artifact !== null) found.set(artifact.id, artifact);
        }
        const last = typeof total === 'number' ? page * PAGE >= total : items.length < PAGE;
        if (last || items.length === 0) return [...found.values()].sort((one, other) => other.id - one.id);
      }
    },
    async checkListing() {
      await answer('GET', '/actions/artifacts?per_page=1', list.what, list.needs);
    },
    async visibility() {
      const what = `find out whether ${repository} is public`;
      const { body } = await answer('GET', '', what, 'metadata: read');
      const { private: isPrivate, visibility } = (body ?? {}) as { private?: unknown; visibility?: unknown };
      if (typeof isPrivate !== 'boolean') {
        throw new CaretakerError('store-unreachable', `failed to ${what}: the answer does not say`);
      }
      if (!isPrivate || visibility === 'public') return 'public';
      return visibility === 'internal' ? 'internal' : 'private';
    },
    async deleteArtifact(artifact) {
      const what = `delete the artifact ${artifact.name} of ${repository}`;
      try {
        await answer('DELETE', `/actions/artifacts/${artifact.id}`, what, 'actions: write');
      } catch (error) {
        const { cause } = error as CaretakerError;
        if (!(cause instanceof Refused && cause.status === 404)) throw error;
      }
    },
    async *content(artifact) {
      const what = `download the artifact ${artifact.name} of ${repository}`;
      let at = 0;
      for (let attempt = 0; ; attempt += 1) {
        options.signal?.throwIfAborted();
        try {
          const message = await open(artifact, at);
          let skip = message.statusCode === 206 ? 0 : at;
          for await (const piece of message as AsyncIterable<Buffer>) {
            const fresh = piece.subarray(skip);
            skip -= piece.length - fresh.length;
            if (fresh.length === 0) continue;
            at += fresh.length;
            attempt = 0;
            yield fresh;
          }
          return;
        } catch (error) {
          if (!mayPass(error) || !(await pause(what, options, attempt, error)))
            throw coded(error, what, 'actions: read');
        }
      }
    },
  };
}

async function textOf(message: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of message as AsyncIterable<Buffer>) pieces.push(piece);
  return Buffer.concat(pieces).toString('utf8');
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined; // The caller tells what that means for its status.
  }
}

/** Null for an entry that lacks what every artifact has. */
function listedArtifact(item: unknown): ListedArtifact | null {
  const { id, name, size_in_bytes, expired, expires_at, digest, workflow_run } = (item ?? {}) as Record<
    string,
    unknown
  >;
  if (typeof id !== 'number' || typeof name !== 'string') return null;
  const runId = (workflow_run as { id?: unknown } | null | undefined)?.id;
  return {
    id,
    name,
    bytes: typeof size_in_bytes === 'number' ? size_in_bytes : 0,
    expired: expired === true,
    expiresAt: typeof expires_at === 'string' ? new Date(expires_at) : undefined,
    sha256: typeof digest === 'string' && digest.startsWith('sha256:') ? digest.slice('sha256:'.length) : undefined,
    runId: typeof runId === 'number' ? runId : undefined,
  };
}
