import type { BlobStore } from './blobs.ts';
import type { CallKind } from './faults.ts';
import { HttpError, type Reply } from './http.ts';
import type { Artifact, Records, Repository } from './records.ts';
import { deleteArtifact, downloadFile } from './twirp.ts';

interface Request {
  readonly url: URL;
  readonly repository: Repository;
  readonly id: number;
}

type Handler = (request: Request) => Promise<Reply> | Reply;

interface Route {
  readonly kind: CallKind;
  readonly method: string;
  /** What follows `/repos/<owner>/<name>`. */
  readonly path: RegExp;
  readonly needs: 'metadata:read' | 'actions:read' | 'actions:write';
  readonly handle: Handler;
}

const docs = 'https://docs.github.com/rest';

function refusal(status: number, message: string): HttpError {
  return new HttpError({ status, body: { message, documentation_url: docs, status: String(status) } });
}

/** The part of GitHub's REST API that deals with a repository's artifacts. */
export class Rest {
  readonly #records: Records;
  readonly #blobs: BlobStore;
  /** `http://127.0.0.1:<port>`, for links. */
  readonly #base: string;
  readonly #routes: readonly Route[] = [
    {
      ...{ kind: 'rest:getRepository', method: 'GET', path: /^$/, needs: 'metadata:read' },
      handle: ({ repository }) => ({ status: 200, body: this.#repositoryBody(repository) }),
    },
    {
      ...{ kind: 'rest:listRunArtifacts', method: 'GET', path: /^\/actions\/runs\/(\d+)\/artifacts$/ },
      needs: 'actions:read',
      handle: ({ url, repository, id }) => {
        if (!this.#records.hasRun(id, repository)) throw refusal(404, 'Not Found');
        return this.#page(url, `actions/runs/${id}/artifacts`, repository, (artifact) => artifact.runId === id);
      },
    },
    {
      ...{ kind: 'rest:listArtifacts', method: 'GET', path: /^\/actions\/artifacts$/, needs: 'actions:read' },
      handle: ({ url, repository }) => this.#page(url, 'actions/artifacts', repository, () => true),
    },
    {
      ...{ kind: 'rest:getArtifact', method: 'GET', path: /^\/actions\/artifacts\/(\d+)$/, needs: 'actions:read' },
      handle: (request) => ({ status: 200, body: this.#artifactBody(this.#artifact(request)) }),
    },
    {
      ...{ kind: 'rest:downloadArtifact', method: 'GET', path: /^\/actions\/artifacts\/(\d+)\/zip$/ },
      needs: 'actions:read',
      handle: (request) => {
        const artifact = this.#artifact(request);
        if (this.#records.isExpired(artifact)) throw refusal(410, 'Artifact has expired');
        return { status: 302, headers: { location: this.#blobs.signDownload(artifact.blob, downloadFile(artifact)) } };
      },
    },
    {
      ...{ kind: 'rest:deleteArtifact', method: 'DELETE', path: /^\/actions\/artifacts\/(\d+)$/ },
      needs: 'actions:write',
      handle: async (request) => {
        await deleteArtifact(this.#records, this.#blobs, this.#artifact(request));
        return { status: 204 };
      },
    },
  ];

  constructor(records: Records, blobs: BlobStore, base: string) {
    this.#records = records;
    this.#blobs = blobs;
    this.#base = base;
  }

  kind(method: string, url: URL): CallKind {
    return this.#match(method, url)?.route.kind ?? 'rest:unknown';
  }

  async answer(method: string, url: URL, authorization: string | undefined): Promise<Reply> {
    const permissions = this.#permissions(authorization);
    const match = this.#match(method, url);
    if (match?.repository === undefined) throw refusal(404, 'Not Found');
    const { route, repository, id } = match;
    const granted =
      route.needs === 'metadata:read' ||
      permissions.includes('actions:write') ||
      (route.needs === 'actions:read' && permissions.includes('actions:read'));
    if (!granted) throw refusal(403, 'Resource not accessible by integration');
    return route.handle({ url, repository, id });
  }

  #permissions(authorization: string | undefined): readonly string[] {
    if (authorization === undefined) throw refusal(401, 'Requires authentication');
    const token = /^(?:token|bearer) (.+)$/i.exec(authorization)?.[1];
    const permissions = token === undefined ? undefined : this.#records.tokens[token];
    if (permissions === undefined) throw refusal(401, 'Bad credentials');
    return permissions;
  }

  #match(method: string, url: URL): { route: Route; repository: Repository | undefined; id: number } | undefined {
    // Links between pages name the repository by its id.
    const path = /^\/(?:repos\/([^/]+\/[^/]+)|repositories\/(\d+))(\/.*)?$/.exec(decodeURI(url.pathname));
    if (path === null) return undefined;
    const [, fullName, repositoryId, rest = ''] = path;
    const repository =
      fullName === undefined
        ? this.#records.repositories.find(({ id }) => id === Number(repositoryId))
        : this.#records.repository(fullName);
    for (const route of this.#routes) {
      const found = route.method === method ? route.path.exec(rest) : null;
      if (found !== null) return { route, repository, id: Number(found[1] ?? 0) };
    }
    return undefined;
  }

  #artifact({ repository, id }: Request): Artifact {
    const artifact = this.#records.listed((other) => other.repository === repository && other.id === id)[0];
    if (artifact === undefined) throw refusal(404, 'Not Found');
    return artifact;
  }

  #page(url: URL, path: string, repository: Repository, belongs: (artifact: Artifact) => boolean): Reply {
    const name = url.searchParams.get('name');
    const all = this.#records.listed(
      (artifact) =>
        artifact.repository === repository && belongs(artifact) && (name === null || artifact.name === name),
    );
    const perPage = Math.min(positive(url.searchParams.get('per_page')) ?? 30, 100);
    const page = positive(url.searchParams.get('page')) ?? 1;
    const last = Math.max(1, Math.ceil(all.length / perPage));
    const link = (to: number, relation: string): string => {
      const query = new URLSearchParams(url.searchParams);
      query.set('page', String(to));
      return `<${this.#base}/repositories/${repository.id}/${path}?${query.toString()}>; rel="${relation}"`;
    };
    const links = [
      ...(page > 1 ? [link(page - 1, 'prev')] : []),
      ...(page < last ? [link(page + 1, 'next'), link(last, 'last')] : []),
      ...(page > 1 ? [link(1, 'first')] : []),
    ];
    return {
      status: 200,
      headers: links.length === 0 ? {} : { link: links.join(', ') },
      body: {
        total_count: all.length,
        artifacts: all.slice((page - 1) * perPage, page * perPage).map((artifact) => this.#artifactBody(artifact)),
      },
    };
  }

  #repositoryBody({ id, owner, name, visibility }: Repository): unknown {
    return {
      id,
      name,
      full_name: `${owner}/${name}`,
      owner: { login: owner },
      private: visibility !== 'public',
      visibility,
      html_url: `https://github.com/${owner}/${name}`,
      url: `${this.#base}/repos/${owner}/${name}`,
      default_branch: 'main',
    };
  }

  #artifactBody(artifact: Artifact): unknown {
    const { id, name, repository, runId, finalized, createdAt, updatedAt, expiresAt } = artifact;
    const url = `${this.#base}/repos/${repository.owner}/${repository.name}/actions/artifacts/${id}`;
    return {
      id,
      node_id: Buffer.from(`Artifact${id}`).toString('base64'),
      name,
      size_in_bytes: finalized!.bytes,
      url,
      archive_download_url: `${url}/zip`,
      expired: this.#records.isExpired(artifact),
      digest: finalized!.digest,
      created_at: seconds(createdAt),
      updated_at: seconds(updatedAt),
      expires_at: seconds(expiresAt),
      workflow_run: {
        id: runId,
        repository_id: repository.id,
        head_repository_id: repository.id,
        head_branch: 'main',
        head_sha: '0'.repeat(40),
      },
    };
  }
}

/** A query's number, or undefined for anything that GitHub would ignore. */
function positive(value: string | null): number | undefined {
  return value !== null && /^[1-9]\d*$/.test(value) ? Number(value) : undefined;
}

function seconds(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z');
}
