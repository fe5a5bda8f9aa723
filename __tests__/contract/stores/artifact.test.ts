import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs/promises';
import * as net from 'node:net';
import * as os from 'node:os';
import * as path from 'node:path';

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';

import type { ArtifactStoreOptions } from '../../../src/stores/artifact.ts';
import type { StoredBackup } from '../../../src/stores/store.ts';
import { type GitHubStandIn, startGitHub } from '../../fakes/github/stand-in.ts';
import { type ArtifactJob, startArtifactJob } from './artifact-job.ts';
import { makeBackup, type MadeBackup } from './backup-files.ts';
import { failure, putAll, storeContract } from './store-contract.ts';

jest.setTimeout(120_000);

storeContract('workflow artifacts', async () => {
  const github = await startGitHub();
  const job = await startArtifactJob(github.environment({ runId: 1 }), { token: 'ghs_write' });
  async function idOf(name: string): Promise<number> {
    return (await github.stored()).filter((artifact) => artifact.name === name).sort((a, b) => b.id - a.id)[0]!.id;
  }
  return {
    store: job.store,
    damage: async (file, how) => github.corrupt(await idOf(file), how),
    async lose(file) {
      const url = `${github.url}/repos/octo-org/octo-app/actions/artifacts/${await idOf(file)}`;
      const { status } = await fetch(url, { method: 'DELETE', headers: { authorization: 'Bearer ghs_write' } });
      expect(status).toBe(204);
    },
    async seed(files) {
      for (const { name, path: from } of files) await github.seed({ name, runId: 2, content: await fs.readFile(from) });
    },
    async close() {
      await job.end();
      await github.stop();
    },
  };
});

const UNKNOWN = 'artifact-visibility-unknown';

describe('the artifact store', () => {
  const repository = 'octo-org/octo-app';
  let github: GitHubStandIn;
  let folder: string;
  let run = 100;
  let second = 0;
  let jobs: ArtifactJob[] = [];

  beforeAll(async () => {
    github = await startGitHub();
  });
  afterAll(async () => {
    await github?.stop();
  });
  beforeEach(async () => {
    folder = await fs.mkdtemp(path.join(os.tmpdir(), 'store-artifact-'));
    github.clearCalls();
  });
  afterEach(async () => {
    for (const job of jobs) await job.end();
    jobs = [];
    github.clearFaults();
    github.setQuota(null);
    github.setVisibility(repository, 'private');
    await fs.rm(folder, { recursive: true, force: true });
  });

  /** A job of a new run. */
  async function startJob(
    options: Partial<ArtifactStoreOptions> = {},
    env: Readonly<Record<string, string>> = {},
    patient = false,
  ): Promise<ArtifactJob> {
    run += 1;
    const job = await startArtifactJob({ ...github.environment({ runId: run }), ...env }, options, patient);
    jobs.push(job);
    return job;
  }
  function made(project: string, content: Uint8Array = randomBytes(5000)): Promise<MadeBackup> {
    second += 1;
    return makeBackup(folder, project, new Date(Date.UTC(2026, 10, 24, 3, 0, second)), { database: content });
  }
  async function only(job: ArtifactJob, project: string): Promise<StoredBackup> {
    const found = await job.store.list(project);
    expect(found).toHaveLength(1);
    return found[0]!;
  }
  /** A job's log with debug output on: workflow commands unescaped, what `::add-mask::` named masked. */
  function shownByRunner(output: string): string {
    const unescape = (line: string): string =>
      line.replaceAll('%0A', '\n').replaceAll('%0D', '\r').replaceAll('%25', '%');
    const masks: string[] = [];
    const shown: string[] = [];
    for (const line of output.split('\n').map((raw) => (raw.startsWith('::') ? unescape(raw) : raw))) {
      if (line.startsWith('::add-mask::')) masks.push(line.slice('::add-mask::'.length));
      else shown.push(line);
    }
    return masks.reduce((text, mask) => text.replaceAll(mask, '***'), shown.join('\n'));
  }
  const statuses = (kind: Parameters<GitHubStandIn['calls']>[0]): number[] =>
    github.calls(kind).map(({ status }) => status);

  test('another run finds a backup by a token with actions: read, and fetches it', async () => {
    const backup = await made('shop');
    const first = await startJob();
    const runId = run;
    const results = [];
    for (const file of backup.files) results.push(await first.store.put(file));
    const url = `https://github.com/${repository}/actions/runs/${runId}/artifacts/${results[2]!.id}`;
    expect(results[2]!.url).toBe(url);
    // On a command line there is no job: no run, no runtime token.
    const { GITHUB_API_URL, GITHUB_REPOSITORY, NO_PROXY } = github.environment({ runId });
    const shell = { GITHUB_API_URL: GITHUB_API_URL!, GITHUB_REPOSITORY: GITHUB_REPOSITORY!, NO_PROXY: NO_PROXY! };
    const second = await startArtifactJob(shell);
    jobs.push(second);
    await second.store.check('read');
    const found = await only(second, 'shop');
    expect(found).toMatchObject({ name: backup.name, runId, url });
    const file = backup.manifest.parts[0]!.files[0]!;
    await second.store.fetch(found, file, path.join(folder, 'fetched'));
    expect(await fs.readFile(path.join(folder, 'fetched'))).toEqual(await fs.readFile(backup.files[0]!.path));
  });

  test('a drill in another run keeps its result beside the backup, as long as a backup is kept', async () => {
    const backup = await made('drilled');
    const first = await startJob();
    await putAll(first.store, backup.files);
    const second = await startJob({ retentionDays: 7, token: 'ghs_write' });
    await second.store.keepProof(await only(second, 'drilled'), {
      ...{ at: '2026-11-25T03:00:00.000Z', level: 'databases', ok: true, backup: backup.name },
      ...{ manifest: backup.manifest.digest, lines: [], caretaker: '1' },
    });
    const found = await only(first, 'drilled');
    expect(found.proofs).toMatchObject([{ at: '2026-11-25T03:00:00.000Z', level: 'databases', ok: true }]);
    expect(found.ids).toHaveLength(backup.files.length);
    const kept = (await github.stored()).find(({ name }) => name === found.proofs[0]!.file);
    const days = (Date.parse(kept!.expiresAt) - Date.now()) / 86_400_000;
    expect(Math.round(days)).toBe(7);
    await second.store.delete(found, backup.manifest);
    expect((await github.stored()).filter(({ name }) => name.startsWith(backup.name))).toEqual([]);
  });

  test('never prints the token and has it masked', async () => {
    const job = await startJob();
    const backup = await made('quiet');
    await job.store.check('write');
    await putAll(job.store, backup.files);
    await job.store.readManifest(await only(job, 'quiet'));
    expect(job.masked()).toEqual(['ghs_read']);
    const shown = [...job.lines(), shownByRunner(job.output())].join('\n');
    expect(shown).toContain('sig=***');
    expect(shown).not.toMatch(/ghs_read|sig=(?!\*\*\*)/);
    expect(shown).not.toContain(github.environment({ runId: run })['ACTIONS_RUNTIME_TOKEN']!);
  });

  test('keeps artifacts as long as told, at most as long as the repository allows, and says so', async () => {
    const days = async (retentionDays: number, env: Record<string, string> = {}): Promise<[number, ArtifactJob]> => {
      const job = await startJob({ retentionDays }, env);
      const backup = await made('retained');
      await job.store.check('write');
      await putAll(job.store, backup.files);
      const found = (await job.store.list('retained')).find(({ name }) => name === backup.name)!;
      return [Math.round((found.expiresAt!.getTime() - Date.now()) / 86_400_000), job];
    };
    const [short, quiet] = await days(7);
    expect(short).toBe(7);
    expect(quiet.lines()).toEqual([]);
    const [long, loud] = await days(400);
    expect(long).toBe(90);
    expect(loud.lines()).toEqual([expect.stringMatching(/^warn: retention-days=400 .* 90 days$/)]);
  });

  test.each([
    ['without a token', undefined, 401],
    ['with a token that is not valid', 'ghs_unknown', 401],
    ['with a token without the permission', 'ghs_none', 403],
  ])('%s reading is denied, naming the permission', async (_name, token, status) => {
    const job = await startJob({ token });
    for (const call of [() => job.store.check('read'), () => job.store.list()]) {
      const error = await failure(call());
      expect(error).toMatchObject({ code: 'store-denied', input: 'github-token' });
      expect(error.message).toContain(String(status));
      expect(error.hint).toContain('"actions: read"');
    }
  });

  test('deleting needs actions: write, and says so', async () => {
    const job = await startJob();
    const backup = await made('undeletable');
    await putAll(job.store, backup.files);
    const found = await only(job, 'undeletable');
    const error = await failure(job.store.delete(found, backup.manifest));
    expect(error).toMatchObject({ code: 'store-denied' });
    expect(error.hint).toContain('"actions: write"');
    expect(await only(job, 'undeletable')).toEqual(found);
  });

  test('deletes a backup wherever it was stored, the manifest first', async () => {
    const backup = await made('copied');
    await putAll((await startJob()).store, backup.files);
    const job = await startJob({ token: 'ghs_write' });
    await putAll(job.store, backup.files);
    expect((await only(job, 'copied')).runId).toBe(run);
    const manifests = (await github.stored()).filter(({ name }) => name === backup.files[2]!.name).map(({ id }) => id);
    await job.store.delete(await only(job, 'copied'), backup.manifest);
    expect((await github.stored()).filter(({ name }) => name.startsWith(backup.name))).toEqual([]);
    const order = github.calls('rest:deleteArtifact').map(({ path: at }) => Number(at.split('/').at(-1)));
    expect(order.slice(0, 2).sort()).toEqual(manifests.sort());
    expect(order).toHaveLength(6);
  });

  test('a full quota is told with the ways out', async () => {
    github.setQuota(0);
    const job = await startJob();
    const error = await failure(job.store.put((await made('full')).files[0]!));
    expect(error).toMatchObject({ code: 'store-full' });
    expect(error.hint).toMatch(/retention-days.*type=folder/s);
    expect(error.cause).toBeDefined();
  });

  test('gets over answers of 500, and tells what failed when they go on', async () => {
    const job = await startJob();
    const backup = await made('unsteady');
    github.fault({ on: 'CreateArtifact', status: 500 }, { on: 'blob:put', status: 503 });
    await putAll(job.store, backup.files);
    github.fault({ on: 'rest:listArtifacts', status: 502, times: 2 });
    github.fault({ on: 'rest:listRunArtifacts', status: 429 });
    github.fault({ on: 'rest:downloadArtifact', status: 500 }, { on: 'blob:get', status: 503, times: 2 });
    const found = await only(job, 'unsteady');
    await job.store.fetch(found, backup.manifest.parts[0]!.files[0]!, path.join(folder, 'unsteady'));
    expect(job.lines()).toContainEqual(
      expect.stringMatching(/^info: failed to list the artifacts.* 502.*again in 2 s$/),
    );

    github.fault({ on: 'rest:listArtifacts', status: 503, times: 'always' });
    const error = await failure(job.store.list());
    expect(error).toMatchObject({ code: 'store-unreachable' });
    expect(error.message).toContain('GitHub answered 503');
    expect(statuses('rest:listArtifacts').slice(-5)).toEqual([503, 503, 503, 503, 503]);
  });

  test('an answer of something between is no empty listing', async () => {
    const job = await startJob();
    github.fault({ on: 'rest:listArtifacts', status: 200, body: '<html>Please log in</html>', times: 'always' });
    expect(await failure(job.store.list())).toMatchObject({ code: 'store-unreachable' });
    github.clearFaults();
    github.fault({ on: 'rest:listArtifacts', status: 200, body: '{}' });
    expect(await failure(job.store.list())).toMatchObject({ code: 'store-unreachable' });
  });

  test('the rate limit is no lack of permission', async () => {
    const job = await startJob();
    const headers = { 'x-ratelimit-remaining': '0' };
    github.fault({ on: 'rest:listArtifacts', status: 403, headers, times: 'always' });
    const error = await failure(job.store.list());
    expect(error).toMatchObject({ code: 'store-unreachable' });
    expect(error.message).toContain('rate limit');
  });

  test('a connection that is reset is tried again, and said in the log', async () => {
    const job = await startJob();
    const backup = await made('reset');
    github.fault({ on: 'CreateArtifact', reset: true, times: 2 }, { on: 'ListArtifacts', reset: true });
    github.fault({ on: 'rest:listArtifacts', reset: true });
    await putAll(job.store, backup.files);
    await only(job, 'reset');
    expect(job.lines().filter((line) => line.includes('ECONNRESET') || line.includes('hang up'))).toHaveLength(4);
  });

  test.each([
    ['that does not come', { stall: true }, 'no answer within 0.5 s (ETIMEDOUT)'],
    ['that breaks off', { cutAfterBytes: 1 }, 'the answer broke off (ECONNRESET)'],
    ['that stands still', { stall: true, cutAfterBytes: 1 }, 'the answer broke off (ECONNRESET)'],
  ])('an answer %s is not waited for without end', async (what, fault, said) => {
    const job = await startJob({}, { ACTIONS_ARTIFACT_UPLOAD_TIMEOUT_MS: '500' });
    const backup = await made(`stalled-${what.replaceAll(' ', '-')}`);
    github.fault({ on: 'ListArtifacts', ...fault }, { on: 'FinalizeArtifact', ...fault, applied: true });
    await job.store.check('write');
    await putAll(job.store, backup.files);
    expect((await only(job, backup.manifest.project)).name).toBe(backup.name);
    expect(job.lines().filter((line) => line.includes(said))).toHaveLength(2);

    github.fault({ on: 'ListArtifacts', ...fault, times: 'always' });
    const error = await failure(job.store.check('write'));
    expect(error).toMatchObject({ code: 'store-unreachable' });
    expect(error.message).toContain(said);
    expect(statuses('ListArtifacts').slice(-5)).toEqual([0, 0, 0, 0, 0]);
  });

  test('an upload that stands still is given up, and one that breaks off goes on', async () => {
    const job = await startJob({}, { ACTIONS_ARTIFACT_UPLOAD_TIMEOUT_MS: '500' });
    const [part, instructions] = (await made('still')).files;
    github.fault({ on: 'blob:put', cutAfterBytes: 1000 });
    await job.store.put(part!);
    github.fault({ on: 'blob:put', stall: true, cutAfterBytes: 10, times: 'always' });
    const error = await failure(job.store.put(instructions!));
    expect(error).toMatchObject({ code: 'store-unreachable' });
    expect(error.message).toContain('Upload progress stalled');
  });

  test('an answer that is lost after the upload was finished is a success', async () => {
    const job = await startJob();
    const backup = await made('answer');
    github.fault({ on: 'FinalizeArtifact', reset: true, applied: true });
    await putAll(job.store, backup.files);
    expect(statuses('CreateArtifact')).toEqual([200, 409, 200, 200]);
    expect((await only(job, 'answer')).name).toBe(backup.name);
  });

  test('an upload that broke off and keeps its name is a failure that says so', async () => {
    const job = await startJob();
    const [part] = (await made('stuck')).files;
    github.fault({ on: 'FinalizeArtifact', reset: true });
    const error = await failure(job.store.put(part!));
    expect(error).toMatchObject({ code: 'store-unreachable' });
    expect(error.message).toMatch(/broke off \(.*ECONNRESET\), and its name stays taken/);
  });

  test('what the service has wrongly is removed again', async () => {
    const job = await startJob();
    const file = (await made('wrong')).files[2]!;
    // The client is told another digest than the file's: to the store that is a service that holds other bytes.
    const error = await failure(job.store.put({ ...file, sha256: '0'.repeat(64) }));
    expect(error).toMatchObject({ code: 'store-damaged' });
    expect((await github.stored()).filter(({ name }) => name === file.name)).toEqual([]);
  });

  test('a download that is cut goes on where it broke', async () => {
    const job = await startJob();
    const content = randomBytes(3_000_000);
    const backup = await made('cut', content);
    await putAll(job.store, backup.files);
    const found = await only(job, 'cut');
    github.clearCalls();
    github.fault({ on: 'blob:get', cutAfterBytes: 1_000_000 }, { on: 'blob:get', cutAfterBytes: 500_000 });
    await job.store.fetch(found, backup.manifest.parts[0]!.files[0]!, path.join(folder, 'cut'));
    expect((await fs.readFile(path.join(folder, 'cut'))).equals(content)).toBe(true);
    expect(statuses('blob:get')).toEqual([0, 0, 206]);
  });

  test('a service that refuses connections for a while is waited for', async () => {
    const port = Number(new URL(github.url).port);
    const sockets = new Set<net.Socket>();
    const relay = net.createServer((from) => {
      const to = net.connect(port, '127.0.0.1');
      for (const socket of [from, to]) sockets.add(socket.on('error', () => undefined));
      from.pipe(to).pipe(from);
    });
    await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
    const at = relay.address() as net.AddressInfo;
    await new Promise((resolve) => relay.close(resolve));
    const url = `http://127.0.0.1:${at.port}`;
    const job = await startJob({}, { ACTIONS_RESULTS_URL: url, GITHUB_API_URL: url }, true);
    const backup = await made('refused');
    let heard = '';
    job.onLine = (line) => {
      heard = line;
      if (!relay.listening) relay.listen(at.port, '127.0.0.1');
    };
    try {
      await putAll(job.store, backup.files);
      expect(heard).toMatch(/^failed to store .*ECONNREFUSED.*, trying again in 1 s$/);
      expect((await only(job, 'refused')).name).toBe(backup.name);
    } finally {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => relay.close(resolve));
    }
  });

  test('a service that refuses connections for good is unreachable, for every call', async () => {
    const url = 'http://127.0.0.1:9';
    const job = await startJob({ allowPublic: true }, { ACTIONS_RESULTS_URL: url, GITHUB_API_URL: url });
    const [file] = (await made('off')).files;
    const calls = [
      () => job.store.check('write'),
      () => job.store.check('read'),
      () => job.store.list(),
      () => job.store.put(file!),
    ];
    for (const call of calls) {
      const error = await failure(call());
      expect(error).toMatchObject({ code: 'store-unreachable' });
      expect(error.message).toContain('ECONNREFUSED');
      expect(error.cause).toBeDefined();
    }
    expect(job.lines()).toHaveLength(16);
  });

  test('what has expired is not listed, and fetching it says why not', async () => {
    const job = await startJob();
    const backup = await made('expired');
    await putAll(job.store, backup.files);
    const found = await only(job, 'expired');
    await github.expire(backup.files[0]!.name);
    expect(await job.store.list('expired')).toEqual([]);
    const error = await failure(job.store.fetch(found, backup.manifest.parts[0]!.files[0]!, path.join(folder, 'x')));
    expect(error).toMatchObject({ code: 'store-missing' });
    expect(error.message).toContain('expired');
  });

  test('two hosts that back up in one second do not mix their parts', async () => {
    const mine = await made('hosts', Buffer.from('mine'));
    await putAll((await startJob()).store, mine.files);
    await fs.rm(path.dirname(mine.files[0]!.path), { recursive: true });
    second -= 1;
    const theirs = await made('hosts', Buffer.from('theirs'));
    expect(theirs.name).toBe(mine.name);
    const job = await startJob();
    await putAll(job.store, theirs.files);
    const found = await only(job, 'hosts');
    expect(await job.store.readManifest(found)).toEqual(theirs.manifest);
    await job.store.fetch(found, theirs.manifest.parts[0]!.files[0]!, path.join(folder, 'theirs'));
    expect(await fs.readFile(path.join(folder, 'theirs'), 'utf8')).toBe('theirs');
  });

  describe('where more people could read plain backups than know the data', () => {
    const answers: [string, () => void, string | undefined][] = [
      ['public', () => github.setVisibility(repository, 'public'), 'artifact-public'],
      ['private', () => github.setVisibility(repository, 'private'), undefined],
      ['internal', () => github.setVisibility(repository, 'internal'), undefined],
      ['403', () => github.fault({ on: 'rest:getRepository', status: 403, times: 'always' }), UNKNOWN],
      ['404', () => github.fault({ on: 'rest:getRepository', status: 404, times: 'always' }), UNKNOWN],
      ['503', () => github.fault({ on: 'rest:getRepository', status: 503, times: 'always' }), 'store-unreachable'],
      ['nothing', () => github.fault({ on: 'rest:getRepository', reset: true, times: 'always' }), 'store-unreachable'],
      ['an empty object', () => github.fault({ on: 'rest:getRepository', status: 200, body: '{}', times: 'always' }), 'store-unreachable'],
    ]; // prettier-ignore

    test.each(answers)(
      'the API answers %s: plain ones are judged by it, encrypted ones are stored',
      async (answer, set, code) => {
        set();
        const job = await startJob();
        if (code === undefined) await job.store.check('write');
        else {
          const error = await failure(job.store.check('write'));
          expect(error).toMatchObject(code === 'store-unreachable' ? { code } : { code, input: 'store' });
          if (code !== 'store-unreachable') expect(error.hint).toMatch(/encrypt-to.*public-artifacts/);
        }
        expect(job.lines().filter((line) => line.includes('is internal'))).toHaveLength(answer === 'internal' ? 1 : 0);
        await job.store.check('write-encrypted');
        await (await startJob({ allowPublic: true })).store.check('write');
      },
    );

    test('without a token nobody can tell', async () => {
      const error = await failure((await startJob({ token: undefined })).store.check('write'));
      expect(error).toMatchObject({ code: UNKNOWN });
      expect(error.message).toContain('no github-token');
      const invalid = await failure((await startJob({ token: 'ghs_unknown' })).store.check('write'));
      expect(invalid).toMatchObject({ code: UNKNOWN, message: expect.stringContaining('Bad credentials') });
    });
  });

  test('says that GitHub Enterprise Server has no such artifacts', async () => {
    const job = await startJob({}, { GITHUB_SERVER_URL: 'https://github.example.com' });
    const file = (await made('ghes')).files[0]!;
    const { store } = job;
    for (const call of [
      () => store.check('write'),
      () => store.check('read'),
      () => store.put(file),
      () => store.list(),
    ]) {
      const error = await failure(call());
      expect(error).toMatchObject({ code: 'store-unsupported' });
      expect(error.hint).toContain('type=folder');
    }
    expect(github.calls()).toEqual([]);
  });

  test('says that only an action can write', async () => {
    const job = await startJob({}, { ACTIONS_RUNTIME_TOKEN: '' });
    expect(await failure(job.store.check('write'))).toMatchObject({ code: 'store-unsupported' });
  });

  test('a runtime token that is not accepted is told as what it is', async () => {
    const token = github.environment({ runId: 99 })['ACTIONS_RUNTIME_TOKEN']!;
    const job = await startJob({}, { ACTIONS_RUNTIME_TOKEN: `${token.slice(0, -4)}AAAA` });
    const error = await failure(job.store.check('write'));
    expect(error).toMatchObject({ code: 'store-denied' });
    expect(error.hint).toContain('ACTIONS_RUNTIME_TOKEN');
  });
});
