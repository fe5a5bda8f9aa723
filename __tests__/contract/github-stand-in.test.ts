/** The stand-in's contract, seen through the real clients: what a workflow's job and a REST caller notice. */
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import * as fs from 'node:fs/promises';
import * as os from 'node:os';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';

import { type JobReport, runJob, type Step } from '../fakes/github/job.ts';
import { type GitHubStandIn, startGitHub, type StoredArtifact } from '../fakes/github/stand-in.ts';

jest.setTimeout(120_000);

interface Listed {
  readonly name: string;
  readonly id: number;
  readonly size: number;
  readonly digest?: string;
  readonly createdAt?: Date;
}
interface Page {
  readonly total_count: number;
  readonly artifacts: readonly { name: string; id: number; expired: boolean; expires_at: string; digest: string }[];
}

const repository = 'octo-org/octo-app';
let github: GitHubStandIn;
let folder: string;
let nextRun = 101;

beforeAll(async () => {
  github = await startGitHub();
});
afterAll(async () => {
  await github.stop();
});
beforeEach(async () => {
  folder = await fs.mkdtemp(path.join(os.tmpdir(), 'github-stand-in-'));
  github.clearCalls();
});
afterEach(async () => {
  github.clearFaults();
  github.setQuota(null);
  await fs.rm(folder, { recursive: true, force: true });
});

function newRun(): number {
  nextRun += 1;
  return nextRun;
}

/** A job of that run, with a scratch folder as runner. */
function job(runId: number, steps: readonly Step[], attempt = 1): Promise<JobReport> {
  const env = { ...github.environment({ runId, attempt }), GITHUB_WORKSPACE: folder, RUNNER_TEMP: folder };
  return runJob(env, steps);
}

function findBy(runId: number, token = 'ghs_read') {
  return { findBy: { token, workflowRunId: runId, repositoryOwner: 'octo-org', repositoryName: 'octo-app' } };
}

function value<T>(report: JobReport, step = 0): T {
  const outcome = report.outcomes[step];
  if (outcome === undefined || !('value' in outcome)) {
    throw new Error(`step ${step} failed: ${JSON.stringify(outcome)}\n${report.log}`);
  }
  return outcome.value as T;
}

function failure(report: JobReport, step = 0): string {
  const outcome = report.outcomes[step];
  if (outcome === undefined || !('error' in outcome)) throw new Error(`step ${step} did not fail`);
  return outcome.error.message;
}

function names(report: JobReport, step = 0): string[] {
  return value<{ artifacts: Listed[] }>(report, step).artifacts.map(({ name }) => name);
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

async function file(name: string, content: string | Uint8Array): Promise<string> {
  const to = path.join(folder, name);
  await fs.writeFile(to, content);
  return to;
}

function rawUpload(from: string, options: Record<string, unknown> = {}): Step {
  return ['uploadArtifact', ['unused', [from], path.dirname(from), { skipArchive: true, ...options }]];
}

async function rest(method: string, where: string, token?: string): Promise<Response> {
  const url = where.startsWith('http') ? where : `${github.url}${where}`;
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return fetch(url, { method, redirect: 'manual', headers });
}

async function page(where: string): Promise<Page> {
  return (await (await rest('GET', where, 'ghs_read')).json()) as Page;
}

async function message(response: Response): Promise<string> {
  return ((await response.json()) as { message: string }).message;
}

describe('uploads and downloads', () => {
  test('a raw file of 20 MB arrives whole, is listed in its run and comes back in another', async () => {
    const content = randomBytes(20 * 1024 * 1024 + 7);
    const from = await file('app-2026-11-24.tar.zst', content);
    const run = newRun();
    const digest = sha256(content);

    const first = await job(run, [rawUpload(from), ['listArtifacts', []], ['getArtifact', ['app-2026-11-24.tar.zst']]]);
    const uploaded = value<{ id: number; size: number; digest: string }>(first);
    expect(uploaded).toEqual({ id: expect.any(Number), size: content.length, digest });
    const own = value<{ artifacts: Listed[] }>(first, 1).artifacts;
    const listed = {
      id: uploaded.id,
      name: 'app-2026-11-24.tar.zst',
      size: content.length,
      digest: `sha256:${digest}`,
    };
    expect(own).toEqual([{ ...listed, createdAt: expect.anything() }]);
    expect(Math.abs(Date.now() - own[0]!.createdAt!.getTime())).toBeLessThan(60_000);
    expect(value<{ artifact: Listed }>(first, 2).artifact.id).toBe(uploaded.id);
    expect(github.calls('blob:put').length).toBeGreaterThanOrEqual(4);

    const to = path.join(folder, 'restored');
    const other = await job(newRun(), [
      ['listArtifacts', [findBy(run)]],
      ['downloadArtifact', [uploaded.id, { ...findBy(run), path: to, expectedHash: `sha256:${digest}` }]],
      ['listArtifacts', []],
      ['downloadArtifact', [uploaded.id, { path: to }]],
    ]);
    expect(value<{ artifacts: Listed[] }>(other).artifacts).toEqual([{ ...listed, createdAt: expect.anything() }]);
    expect(value<{ digestMismatch: boolean }>(other, 1).digestMismatch).toBe(false);
    expect(sha256(await fs.readFile(path.join(to, 'app-2026-11-24.tar.zst')))).toBe(digest);
    expect(names(other, 2)).toEqual([]);
    expect(failure(other, 3)).toContain('No artifacts found for ID');

    const stored = (await github.stored()).find(({ id }) => id === uploaded.id);
    expect(stored).toMatchObject({ runId: run, bytes: content.length, sha256: digest, finalized: true });
  });

  test('several files travel as a zip and are unpacked; a raw zip is unpacked unless told otherwise', async () => {
    const [one, two] = [await file('one.txt', 'first'), await file('two.txt', 'second')];
    const run = newRun();
    const first = await job(run, [['uploadArtifact', ['both', [one, two], folder]]]);
    const { id } = value<{ id: number }>(first);
    const zips = path.join(folder, 'zips');
    const unpacked = path.join(folder, 'unpacked');
    const second = await job(newRun(), [
      ['downloadArtifact', [id, { ...findBy(run), path: unpacked }]],
      ['downloadArtifact', [id, { ...findBy(run), path: zips, skipDecompress: true }]],
    ]);
    value(second, 0);
    value(second, 1);
    expect(await fs.readFile(path.join(unpacked, 'two.txt'), 'utf8')).toBe('second');
    expect(await fs.readdir(zips)).toEqual(['both.zip']);

    const raw = newRun();
    const third = await job(raw, [rawUpload(path.join(zips, 'both.zip'))]);
    const rawId = value<{ id: number }>(third).id;
    const [open, closed] = [path.join(folder, 'open'), path.join(folder, 'closed')];
    const fourth = await job(newRun(), [
      ['downloadArtifact', [rawId, { ...findBy(raw), path: open }]],
      ['downloadArtifact', [rawId, { ...findBy(raw), path: closed, skipDecompress: true }]],
    ]);
    value(fourth, 0);
    expect((await fs.readdir(open)).sort()).toEqual(['one.txt', 'two.txt']);
    expect(await fs.readFile(path.join(closed, 'both.zip'))).toEqual(await fs.readFile(path.join(zips, 'both.zip')));
  });

  test('a corrupted blob is a digest mismatch against the listing, and its bytes lie on the disk', async () => {
    const run = newRun();
    const content = randomBytes(100_000);
    const { id } = value<{ id: number }>(await job(run, [rawUpload(await file('part.bin', content))]));
    await github.corrupt(id, { at: 50_000 });
    const report = await job(newRun(), [
      ['listArtifacts', [findBy(run)]],
      ['downloadArtifact', [id, { ...findBy(run), path: folder, expectedHash: `sha256:${sha256(content)}` }]],
    ]);
    expect(value<{ artifacts: Listed[] }>(report).artifacts[0]?.digest).toBe(`sha256:${sha256(content)}`);
    expect(value<{ digestMismatch: boolean }>(report, 1).digestMismatch).toBe(true);
    const bad = await fs.readFile(path.join(folder, 'part.bin'));
    expect(bad.length).toBe(content.length);
    expect([...bad.keys()].filter((at) => bad[at] !== content[at])).toEqual([50_000]);

    await github.corrupt(id, { truncateTo: 10 });
    expect((await github.stored()).find((artifact) => artifact.id === id)?.bytes).toBe(10);
  });

  test('a download address needs no token, refuses one, and is bound to its signature and its origin', async () => {
    const run = newRun();
    const id = await github.seed({ name: 'seeded.txt', runId: run, content: 'hello' });
    const redirect = await rest('GET', `/repos/${repository}/actions/artifacts/${id}/zip`, 'ghs_read');
    expect(redirect.status).toBe(302);
    const location = redirect.headers.get('location')!;
    expect(new URL(location).origin).not.toBe(github.url);
    const plain = await rest('GET', location);
    expect(plain.headers.get('content-disposition')).toBe('attachment; filename="seeded.txt"');
    expect(await plain.text()).toBe('hello');
    expect((await rest('GET', location, 'ghs_read')).status).toBe(401);
    const forged = new URL(location);
    forged.searchParams.set('sig', Buffer.alloc(32).toString('base64'));
    expect((await rest('GET', forged.href)).status).toBe(403);
    const headers = { 'x-ms-blob-type': 'BlockBlob', 'x-ms-version': '2025-01-05' };
    expect((await fetch(location, { method: 'PUT', headers, body: 'other' })).status).toBe(403);
  });
});

describe('names', () => {
  test('a name is unique within a run, in whichever job, and free in other runs and attempts', async () => {
    const run = newRun();
    const from = await file('daily.txt', 'one');
    const first = await job(run, [rawUpload(from), rawUpload(from)]);
    expect(value<{ size: number }>(first).size).toBe(3);
    expect(failure(first, 1)).toContain(
      'Failed request: (409) Conflict: an artifact with this name already exists on the workflow run',
    );
    expect(github.calls('CreateArtifact').map(({ status }) => status)).toEqual([200, 409]);
    value(await job(newRun(), [rawUpload(from)]));

    const again = await job(run, [rawUpload(from), ['listArtifacts', []], ['listArtifacts', [{ latest: true }]]], 2);
    const { id } = value<{ id: number }>(again);
    expect(names(again, 1)).toEqual(['daily.txt', 'daily.txt']);
    expect(value<{ artifacts: Listed[] }>(again, 2).artifacts.map((artifact) => artifact.id)).toEqual([id]);
  });

  test('an upload that breaks off keeps its name and shows in no listing', async () => {
    const run = newRun();
    const from = await file('broken.txt', 'content');
    github.fault({ on: 'blob:put', status: 403 });
    const report = await job(run, [rawUpload(from), ['listArtifacts', []], rawUpload(from)]);
    failure(report, 0);
    expect(names(report, 1)).toEqual([]);
    expect(failure(report, 2)).toContain('(409) Conflict');
    expect((await page(`/repos/${repository}/actions/runs/${run}/artifacts`)).total_count).toBe(0);
    expect((await github.stored()).find(({ runId }) => runId === run)).toMatchObject({
      name: 'broken.txt',
      finalized: false,
      bytes: undefined,
    });
  });

  test('the service itself refuses the characters that the client refuses', async () => {
    const runId = newRun();
    const response = await fetch(`${github.url}/twirp/github.actions.results.api.v1.ArtifactService/CreateArtifact`, {
      method: 'POST',
      headers: { authorization: `Bearer ${github.runtimeToken({ runId })}` },
      body: JSON.stringify({
        workflow_run_backend_id: String(runId),
        workflow_job_run_backend_id: 'job-1',
        name: 'at 10:30',
        version: 7,
      }),
    });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ code: 'invalid_argument' });
  });
});

describe('deletion and retention', () => {
  test('deletes in the own run, from another run with actions: write, and not with actions: read', async () => {
    const run = newRun();
    const uploads = ['a.txt', 'b.txt'];
    const steps = await Promise.all(uploads.map(async (name) => rawUpload(await file(name, name))));
    const own = await job(run, [...steps, ['deleteArtifact', ['a.txt']], ['listArtifacts', []], steps[0]!]);
    expect(value<{ id: number }>(own, 2).id).toBe(value<{ id: number }>(own, 0).id);
    expect(names(own, 3)).toEqual(['b.txt']);
    value(own, 4);

    const other = await job(newRun(), [
      ['deleteArtifact', ['b.txt', findBy(run, 'ghs_read')]],
      ['listArtifacts', [findBy(run)]],
      ['deleteArtifact', ['b.txt', findBy(run, 'ghs_write')]],
      ['listArtifacts', [findBy(run)]],
    ]);
    expect(failure(other, 0)).toContain('Resource not accessible by integration');
    expect(names(other, 1).sort()).toEqual(['a.txt', 'b.txt']);
    value(other, 2);
    expect(names(other, 3)).toEqual(['a.txt']);
    expect((await github.stored()).filter(({ runId }) => runId === run)).toHaveLength(1);
  });

  test('retention ends: the run sees nothing, REST says expired, the download is gone', async () => {
    const fresh = await startGitHub({ maxRetentionDays: 10 });
    try {
      const env = (runId: number) => ({
        ...fresh.environment({ runId }),
        // The runner's limit is unknown to this job: the service has to clamp.
        GITHUB_RETENTION_DAYS: '',
        GITHUB_WORKSPACE: folder,
      });
      const short = await file('short.txt', 'short');
      const long = await file('long.txt', 'long');
      const { id } = value<{ id: number }>(
        await runJob(env(1), [rawUpload(short, { retentionDays: 3 }), rawUpload(long, { retentionDays: 400 })]),
      );
      const days = async (): Promise<Record<string, number>> =>
        Object.fromEntries(
          (await fresh.stored()).map(({ name, createdAt, expiresAt }) => [
            name,
            Math.round((Date.parse(expiresAt) - Date.parse(createdAt)) / 86_400_000),
          ]),
        );
      expect(await days()).toEqual({ 'short.txt': 3, 'long.txt': 10 });

      await fresh.advance({ days: 2 });
      expect(names(await runJob(env(1), [['listArtifacts', []]]))).toEqual(['long.txt', 'short.txt']);
      await fresh.advance({ days: 2 });
      const report = await runJob(env(1), [
        ['listArtifacts', []],
        ['listArtifacts', [findBy(1)]],
        ['downloadArtifact', [id, { ...findBy(1), path: folder }]],
      ]);
      expect(names(report, 0)).toEqual(['long.txt']);
      // The client passes on expired artifacts of other runs and drops the mark.
      expect(names(report, 1)).toEqual(['long.txt', 'short.txt']);
      expect(failure(report, 2)).toContain('Artifact has expired');
      expect(fresh.calls('rest:downloadArtifact').map(({ status }) => status)).toEqual([410]);
      const headers = { authorization: 'token ghs_read' };
      const response = await fetch(`${fresh.url}/repos/${repository}/actions/artifacts`, { headers });
      const { artifacts } = (await response.json()) as Page;
      expect(artifacts.map(({ name, expired }) => [name, expired])).toEqual([
        ['long.txt', false],
        ['short.txt', true],
      ]);
      expect((await fresh.stored()).find(({ name }) => name === 'short.txt')?.bytes).toBeUndefined();

      await fresh.expire('long.txt');
      expect(names(await runJob(env(1), [['listArtifacts', []]]))).toEqual([]);
    } finally {
      await fresh.stop();
    }
  });
});

describe('permissions', () => {
  test.each([
    ['GET', '', [401, 401, 200, 200]],
    ['GET', '/actions/artifacts', [401, 401, 403, 200]],
    ['GET', '/actions/runs/RUN/artifacts', [401, 401, 403, 200]],
    ['GET', '/actions/artifacts/ID', [401, 401, 403, 200]],
    ['GET', '/actions/artifacts/ID/zip', [401, 401, 403, 302]],
    ['DELETE', '/actions/artifacts/ID', [401, 401, 403, 403]],
  ])('%s %s: no token, an unknown one, one without actions, actions: read', async (method, where, expected) => {
    const run = newRun();
    const id = await github.seed({ name: 'x', runId: run });
    const full = `/repos/${repository}${where.replace('RUN', String(run)).replace('ID', String(id))}`;
    const statuses: number[] = [];
    for (const token of [undefined, 'ghs_unknown', 'ghs_none', 'ghs_read']) {
      statuses.push((await rest(method, full, token)).status);
    }
    expect(statuses).toEqual(expected);
  });

  test('says what GitHub says', async () => {
    const where = `/repos/${repository}/actions/artifacts`;
    expect(await message(await rest('GET', where))).toBe('Requires authentication');
    expect(await message(await rest('GET', where, 'nobody'))).toBe('Bad credentials');
    expect(await message(await rest('GET', where, 'ghs_none'))).toBe('Resource not accessible by integration');
    const report = await job(newRun(), [['listArtifacts', [findBy(101, 'ghs_none')]]]);
    expect(failure(report)).toContain('Resource not accessible by integration');
  });

  test('unknown repositories, runs and artifacts are 404', async () => {
    for (const where of ['/repos/octo-org/other', `/repos/${repository}/actions/runs/99/artifacts`]) {
      expect((await rest('GET', where, 'ghs_read')).status).toBe(404);
    }
    expect((await rest('DELETE', `/repos/${repository}/actions/artifacts/5`, 'ghs_write')).status).toBe(404);
  });

  test('a forged runtime token, and one of another run, are refused', async () => {
    const run = newRun();
    const good = github.environment({ runId: run });
    const forged = { ...good, ACTIONS_RUNTIME_TOKEN: `${good['ACTIONS_RUNTIME_TOKEN']!.slice(0, -4)}AAAA` };
    expect(failure(await runJob(forged, [['listArtifacts', []]]))).toContain('(401) Unauthorized');
    const response = await fetch(`${github.url}/twirp/github.actions.results.api.v1.ArtifactService/ListArtifacts`, {
      method: 'POST',
      headers: { authorization: `Bearer ${good['ACTIONS_RUNTIME_TOKEN']}` },
      body: JSON.stringify({ workflow_run_backend_id: '101', workflow_job_run_backend_id: 'job-1' }),
    });
    expect(response.status).toBe(403);
  });

  test('tells a repository’s visibility', async () => {
    const read = async () => await (await rest('GET', '/repos/Octo-Org/octo-app', 'ghs_none')).json();
    expect(await read()).toMatchObject({ full_name: repository, private: true, visibility: 'private' });
    github.setVisibility(repository, 'public');
    expect(await read()).toMatchObject({ private: false, visibility: 'public' });
    github.setVisibility(repository, 'private');
  });
});

describe('listings over more than one page', () => {
  const run = 7001;
  beforeAll(async () => {
    for (let at = 1; at <= 125; at += 1)
      await github.seed({ name: `part-${at}`, runId: run, content: `content ${at}` });
    await github.seed({ name: 'part-7', runId: run + 1 });
  });

  test('the client collects all of a run', async () => {
    const report = await job(newRun(), [['listArtifacts', [findBy(run)]]]);
    expect(new Set(names(report)).size).toBe(125);
    expect(names(report)).toHaveLength(125);
    expect(github.calls('rest:listRunArtifacts')).toHaveLength(2);
  });

  test('the client finds a name wherever it lies', async () => {
    const report = await job(newRun(), [['getArtifact', ['part-1', findBy(run)]]]);
    expect(value<{ artifact: Listed }>(report).artifact).toMatchObject({ name: 'part-1', size: 9 });
  });

  test('links lead through all pages, newest first, and the name filter holds on all runs', async () => {
    let next: string | undefined = `/repos/${repository}/actions/runs/${run}/artifacts`;
    const pages: number[] = [];
    const found: string[] = [];
    while (next !== undefined) {
      const response = await rest('GET', next, 'ghs_read');
      const { total_count, artifacts } = (await response.json()) as Page;
      expect(total_count).toBe(125);
      pages.push(artifacts.length);
      found.push(...artifacts.map(({ name }) => name));
      next = /<([^>]+)>; rel="next"/.exec(response.headers.get('link') ?? '')?.[1];
    }
    expect(pages).toEqual([30, 30, 30, 30, 5]);
    expect(found).toEqual(Array.from({ length: 125 }, (_, at) => `part-${125 - at}`));

    const last = await rest('GET', `/repos/${repository}/actions/runs/${run}/artifacts?per_page=50&page=2`, 'ghs_read');
    const relations = [...(last.headers.get('link') ?? '').matchAll(/[?&]page=(\d+)[^>]*>; rel="(\w+)"/g)];
    expect(Object.fromEntries(relations.map(([, number, relation]) => [relation, Number(number)]))).toEqual({
      prev: 1,
      next: 3,
      last: 3,
      first: 1,
    });
    const named = await rest('GET', `/repos/${repository}/actions/artifacts?name=part-7`, 'ghs_read');
    expect(named.headers.get('link')).toBeNull();
    expect(((await named.json()) as Page).artifacts.map(({ name }) => name)).toEqual(['part-7', 'part-7']);
    expect((await page(`/repos/${repository}/actions/artifacts?per_page=500`)).artifacts).toHaveLength(100);
    expect((await page(`/repos/${repository}/actions/runs/${run}/artifacts?page=99`)).artifacts).toEqual([]);
  });
});

describe('faults', () => {
  test('the client gets over 500, 429 and a page that is no JSON', async () => {
    github.fault({ on: 'CreateArtifact', status: 500 });
    github.fault({ on: 'ListArtifacts', status: 200, body: '<html>proxy</html>' });
    github.fault({ on: 'FinalizeArtifact', status: 429 });
    const report = await job(newRun(), [rawUpload(await file('late.txt', 'late')), ['listArtifacts', []]]);
    value(report, 0);
    expect(names(report, 1)).toEqual(['late.txt']);
    const statuses = (['CreateArtifact', 'FinalizeArtifact', 'ListArtifacts'] as const).map((kind) =>
      github.calls(kind).map(({ status }) => status),
    );
    expect(statuses).toEqual([
      [500, 200],
      [429, 200],
      [200, 200],
    ]);
  });

  test('a blob request is repeated on 500, after the harmless ones that were asked to pass', async () => {
    const content = randomBytes(10 * 1024 * 1024);
    github.fault({ on: 'blob:put', skip: 1, status: 500 });
    const run = newRun();
    value(await job(run, [rawUpload(await file('two-blocks.bin', content))]));
    expect(github.calls('blob:put').map(({ status }) => status)).toEqual([201, 500, 201, 201]);
    expect((await github.stored()).find(({ runId }) => runId === run)?.sha256).toBe(sha256(content));
  });

  test('a full quota stops the next upload at once, with the client’s own words', async () => {
    github.setQuota(0);
    const report = await job(newRun(), [rawUpload(await file('big.txt', 'big'))]);
    expect(failure(report)).toContain('Artifact storage quota has been hit');
    expect(github.calls('CreateArtifact').map(({ status }) => status)).toEqual([403]);
    expect(github.calls('blob:put')).toEqual([]);
  });

  test('a reset connection ends the call without another try', async () => {
    github.fault({ on: 'CreateArtifact', reset: true });
    const report = await job(newRun(), [rawUpload(await file('reset.txt', 'reset'))]);
    expect(failure(report)).toContain('Unable to make request: ECONNRESET');
    expect(github.calls('CreateArtifact').map(({ status }) => status)).toEqual([0]);
  });

  test('an answer lost after the work was done leaves two artifacts of one name', async () => {
    github.fault({ on: 'FinalizeArtifact', status: 502, applied: true });
    const run = newRun();
    const report = await job(run, [rawUpload(await file('twice.txt', 'twice')), ['listArtifacts', []]]);
    const { id } = value<{ id: number }>(report);
    expect(value<{ artifacts: Listed[] }>(report, 1).artifacts.map((artifact) => artifact.id)).toEqual([id, id - 1]);
    // The twins share their bytes: one of them may go.
    expect((await rest('DELETE', `/repos/${repository}/actions/artifacts/${id}`, 'ghs_write')).status).toBe(204);
    expect((await github.stored()).find(({ runId }) => runId === run)?.sha256).toBe(sha256(Buffer.from('twice')));
  });

  test('a download can be cut, and delayed', async () => {
    const id = await github.seed({ name: 'cut.bin', runId: newRun(), content: randomBytes(300_000) });
    const redirect = await rest('GET', `/repos/${repository}/actions/artifacts/${id}/zip`, 'ghs_read');
    const location = redirect.headers.get('location')!;
    github.fault({ on: 'blob:get', cutAfterBytes: 1000 }, { on: 'blob:get', skip: 0, delayMs: 300 });
    const cut = await rest('GET', location);
    expect(cut.headers.get('content-length')).toBe('300000');
    await expect(cut.arrayBuffer()).rejects.toThrow();
    const before = Date.now();
    expect((await (await rest('GET', location)).arrayBuffer()).byteLength).toBe(300_000);
    expect(Date.now() - before).toBeGreaterThanOrEqual(290);
    expect(() => github.fault({ on: 'Nonsense' as 'blob:get' })).toThrow('no call is named Nonsense');
  });

  test('an answer can be cut, and can stand still before or in its body', async () => {
    const ask = (): Promise<Response> =>
      fetch(`${github.url}/repos/${repository}`, {
        headers: { authorization: 'Bearer ghs_read' },
        signal: AbortSignal.timeout(300),
      });
    github.fault({ on: 'rest:getRepository', cutAfterBytes: 5 }, { on: 'rest:getRepository', stall: true });
    github.fault({ on: 'rest:getRepository', stall: true, cutAfterBytes: 5 });
    await expect((await ask()).text()).rejects.toThrow('terminated');
    await expect(ask()).rejects.toThrow('timeout');
    const still = await ask();
    expect(still.status).toBe(200);
    await expect(still.text()).rejects.toThrow('timeout');
    expect((await ask()).status).toBe(200);
  });

  test('an upload that is cut is taken up again by the client', async () => {
    github.fault({ on: 'blob:put', cutAfterBytes: 1000 });
    const content = randomBytes(5000);
    const report = await job(newRun(), [rawUpload(await file('cut.txt', content))]);
    expect(value<{ size: number }>(report).size).toBe(5000);
    expect(github.calls('blob:put')[0]?.status).toBe(0);
  });
});

test('the cache client saves and restores by key and prefix, and a key is taken once', async () => {
  const kept = path.join(folder, 'kept');
  await fs.mkdir(kept);
  await fs.writeFile(path.join(kept, 'image.txt'), 'layers');
  const saved = await job(newRun(), [
    ['saveCache', [[kept], 'image-v1']],
    ['saveCache', [[kept], 'image-v1']],
  ]);
  expect(value<number>(saved)).toBeGreaterThan(0);
  expect(value<number>(saved, 1)).toBe(-1);
  expect(saved.log).toContain('another job may be creating this cache');

  await fs.rm(kept, { recursive: true });
  const restored = await job(newRun(), [
    ['restoreCache', [[kept], 'absent']],
    ['restoreCache', [[kept], 'image-v2', ['image-']]],
  ]);
  expect(value(restored, 0)).toBeUndefined();
  expect(value(restored, 1)).toBe('image-v1');
  expect(await fs.readFile(path.join(kept, 'image.txt'), 'utf8')).toBe('layers');
});

describe('as a program', () => {
  const program = fileURLToPath(new URL('../fakes/github/stand-in.ts', import.meta.url));

  async function start() {
    const state = path.join(folder, 'state.json');
    const options = ['--state-file', state, '--repository', 'acme/erp', '--token', 'ghs_x=actions:read,actions:write'];
    const child = spawn(process.execPath, [program, ...options], { stdio: ['ignore', 'pipe', 'inherit'] });
    const line = await new Promise<string>((resolve, reject) => {
      child.stdout.once('data', (chunk: Buffer) => resolve(chunk.toString()));
      child.once('exit', (code) => reject(new Error(`it ended with ${code}`)));
    });
    const told = JSON.parse(line) as { url: string; control: string; env: Record<string, string> };
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
    return { child, state, told, ended };
  }

  async function control(url: string, body?: unknown): Promise<unknown> {
    const response = await fetch(url, body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) });
    const text = await response.text();
    if (!response.ok) throw new Error(text);
    return response.headers.get('content-type') === 'text/plain' ? text : (JSON.parse(text) as unknown);
  }

  test('serves several runs from a shell, obeys its controls and ends clean', async () => {
    const { child, state, told, ended } = await start();
    try {
      expect(JSON.parse(await fs.readFile(state, 'utf8'))).toEqual(told);
      const envOf = async (query: string): Promise<Record<string, string>> => {
        const text = (await control(`${told.control}/env?${query}`)) as string;
        return Object.fromEntries(
          text
            .trim()
            .split('\n')
            .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
        );
      };
      const one = await envOf('run=1&job=backup');
      expect(one).toMatchObject({ ...told.env, GITHUB_RUN_ID: '1', GITHUB_REPOSITORY: 'acme/erp' });
      value(await runJob(one, [rawUpload(await file('from-run-1.txt', 'kept'))]));

      const find = {
        findBy: { token: 'ghs_x', workflowRunId: 1, repositoryOwner: 'acme', repositoryName: 'erp' },
      };
      const second = await runJob(await envOf('run=2'), [['listArtifacts', [find]]]);
      const { id } = value<{ artifacts: Listed[] }>(second).artifacts[0]!;
      value(
        await runJob(await envOf('run=2'), [['downloadArtifact', [id, { ...find, path: path.join(folder, 'got') }]]]),
      );
      expect(await fs.readFile(path.join(folder, 'got', 'from-run-1.txt'), 'utf8')).toBe('kept');

      await control(`${told.control}/corrupt`, { artifact: 'from-run-1.txt', at: 0 });
      const [stored] = (await control(`${told.control}/stored`)) as StoredArtifact[];
      expect(stored).toMatchObject({ name: 'from-run-1.txt', runId: 1, bytes: 4 });
      expect(stored?.digest).toBe(`sha256:${sha256(Buffer.from('kept'))}`);
      expect(stored?.sha256).toBe(sha256(Buffer.from([0x6b ^ 0xff, 0x65, 0x70, 0x74])));
      await control(`${told.control}/fault`, { on: 'rest:getRepository', status: 503 });
      await control(`${told.control}/visibility`, { repository: 'acme/erp', visibility: 'public' });
      const ask = () => fetch(`${told.url}/repos/acme/erp`, { headers: { authorization: 'Bearer ghs_x' } });
      expect((await ask()).status).toBe(503);
      expect(await (await ask()).json()).toMatchObject({ visibility: 'public' });
      await expect(control(`${told.control}/expire`, { artifact: 'nothing' })).rejects.toThrow('no artifact nothing');
      await control(`${told.control}/expire`, { artifact: id });
      expect(await control(`${told.control}/stored`)).toEqual([expect.objectContaining({ expired: true })]);
    } finally {
      child.kill('SIGTERM');
    }
    expect(await ended).toBe(0);
    await expect(fs.access(state)).rejects.toThrow('ENOENT');
  });

  test.each(['SIGTERM', 'SIGKILL'] as const)('leaves no Azurite behind after %s', async (signal) => {
    const { child, ended } = await start();
    const children = (await fs.readFile(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')).trim().split(' ');
    expect(children).toHaveLength(1);
    const alive = async (): Promise<boolean> =>
      fs.readFile(`/proc/${children[0]}/stat`, 'utf8').then(
        (stat) => !/\) Z /.test(stat),
        () => false,
      );
    expect(await alive()).toBe(true);
    child.kill(signal);
    await ended;
    for (let tries = 0; tries < 50 && (await alive()); tries += 1)
      await new Promise((resolve) => setTimeout(resolve, 100));
    expect(await alive()).toBe(false);
  });
});
