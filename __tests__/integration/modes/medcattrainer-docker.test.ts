import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { Deployment, docker, ledgerOf, succeeded, treeOf, type Written } from './harness.ts';

jest.setTimeout(300_000);

describe.each(['root', 'member-of-group-docker'] as const)('MedCATtrainer on Docker as %s', (user) => {
  let app: Deployment;
  const repository = '127.0.0.1:5000/cogstacksystems/medcat-trainer';

  beforeAll(async () => {
    app = await Deployment.create(docker(user), 'medcattrainer');
    await app.write(5);
  });
  afterAll(() => app?.destroy());

  /** Volumes as they lie on the disk, but for the database's own files and what the application writes anew at each start. */
  async function media(): Promise<string> {
    const trees = ['api-media', 'solr-data'].map(async (name) => treeOf(await app.volume(name)));
    return (await Promise.all(trees)).join('\n');
  }

  /** While a run does its work somebody writes; `work` is what the user asks for. */
  async function underWrites<T>(work: () => Promise<T>): Promise<{ result: T; written: Written }> {
    const writer = app.writer(5);
    try {
      const result = await work();
      return { result, written: await writer.stop() };
    } catch (error) {
      await writer.stop();
      throw error;
    }
  }

  /** Everything that was acknowledged, under any version, is there. */
  async function expectWhole(written: Written): Promise<void> {
    const ledger = ledgerOf(await app.dump());
    expect(written.ids.length).toBeGreaterThan(5);
    expect(written.ids.filter((id) => !ledger.has(id))).toEqual([]);
    expect(JSON.parse((await app.get('/invariant')).body)).toMatchObject({ ok: true });
  }

  test('a backup stops and restarts nothing, and refuses nobody', async () => {
    const before = await app.containers();
    const { result, written } = await underWrites(() => app.succeeds('backup'));

    expect(await app.containers()).toEqual(before);
    expect([result.downtimeSeconds ?? 0, written.failed]).toEqual([0, 0]);
    const parts = result.backup?.parts.map(({ name, kind, consistency }) => `${name} ${kind} ${consistency}`);
    expect(parts).toContain('db sqlite online');
    expect(parts?.filter((part) => part.includes(' volume '))).toHaveLength(3);
    await expectWhole(written);
    expect(await app.leftovers()).toEqual([]);
  });

  test('status tells what was left, also where this user may not look, and touches nothing', async () => {
    const before = await app.containers();
    const drill = `${app.facts.project}-drill`;
    const labels = [`compose-caretaker.throwaway=${drill}`, `compose-caretaker.of=${app.facts.project}`];
    const labelled = labels.flatMap((label) => ['--label', label]);
    const volume = await app.volume('api-media');
    const aside = path.join(path.dirname(volume), '.caretaker-aside-20261123t060000z-4f2a-_data');
    try {
      mkdirSync(aside);
      writeFileSync(path.join(aside, 'picture'), 'x'.repeat(50_000));
      succeeded(await app.engine('volume', 'create', ...labelled, `${drill}_db`));
      const image = Object.values(before)[0]?.image ?? '';
      succeeded(await app.engine('create', '--name', `${drill}-web-1`, ...labelled, image, 'true'));
      const { status, warnings, outcome } = await app.succeeds('status');

      expect(outcome).toBe('done');
      expect(status).toMatchObject({
        ...{ lock: null, unfinished: null, lastUpdate: null, safety: [], staging: [] },
        aside: [{ path: aside, kind: 'aside', run: '20261123t060000z-4f2a' }],
        throwaways: [{ name: drill, containers: [`${drill}-web-1`], volumes: [`${drill}_db`], directory: null }],
        stores: [{ backups: 1, newest: { proven: null } }],
      });
      expect(status?.aside[0]?.bytes).toBeGreaterThanOrEqual(50_000);
      expect(warnings).toEqual([
        expect.stringContaining(aside),
        expect.stringContaining(`docker rm --force --volumes ${drill}-web-1; docker volume rm ${drill}_db`),
      ]);
      expect(await app.containers()).toEqual(before);
    } finally {
      rmSync(aside, { recursive: true, force: true });
      await app.engine('rm', '--force', `${drill}-web-1`);
      await app.engine('volume', 'rm', '--force', `${drill}_db`);
    }
    expect(await app.leftovers()).toEqual([]);
  });

  test('an update with nothing new touches no container', async () => {
    const before = [await app.containers(), app.checkout()];
    const { outcome } = await app.succeeds('update');
    expect([outcome, await app.containers(), app.checkout()]).toEqual(['no-op', ...before]);
  });

  test('a release whose images are not there leaves the version that serves alone', async () => {
    await app.make('release', 'v2.11.3', 'missing');
    const before = [await app.containers(), app.checkout()];
    const { result, written } = await underWrites(() => app.caretaker('update'));

    expect([result.code, result.report.downtimeSeconds ?? 0, written.failed]).toEqual([1, 0, 0]);
    expect(JSON.stringify(result.report.error)).toMatch(/v2\.11\.3|manifest unknown|not found/);
    expect([await app.containers(), app.checkout()]).toEqual(before);
    expect(await app.leftovers()).toEqual([]);
  });

  test('a good release is pulled and serves, and the administrator’s own changes are still there', async () => {
    await app.make('release', 'v2.12.0', 'good');
    const { changes } = app.checkout();
    const { result, written } = await underWrites(() => app.succeeds('update'));

    const { outcome, update } = result;
    expect([outcome, update?.from, update?.to]).toEqual(['done', 'v2.11.2', 'v2.12.0']);
    expect(JSON.parse((await app.get('/version')).body)).toEqual({ version: 'v2.12.0', schema: 2 });
    expect((await app.containers())['medcattrainer']?.image).toBe(await app.imageId(`${repository}:v2.12.0`));
    // Blob ids in a diff's header are those of the content around it.
    const lines = (diff: string): string[] => diff.split('\n').filter((line) => /^[+-](?![+-])/.test(line));
    expect(lines(app.checkout().changes)).toEqual(lines(changes));
    await expectWhole(written);
    expect(await app.leftovers()).toEqual([]);
  });

  test('a release that destroys the data and never answers is undone whole, and no acknowledged write is lost', async () => {
    await app.make('release', 'v2.13.0', 'bad');
    const before = [app.checkout(), await app.imageId(`${repository}:v2.12.0`)];
    const { result, written } = await underWrites(() => app.caretaker('update'));

    const { code, report } = result;
    expect([code, report.outcome, report.error?.code]).toEqual([1, 'rolled-back', 'unhealthy']);
    const words = report.lastWords?.find(({ service }) => service === 'medcattrainer')?.text;
    expect(words).toContain('ERROR: migration 0003 left the schema broken');
    expect([app.checkout(), await app.imageId(`${repository}:v2.12.0`)]).toEqual(before);
    expect((await app.containers())['medcattrainer']?.image).toBe(before[1]);
    expect(JSON.parse((await app.get('/version')).body)).toEqual({ version: 'v2.12.0', schema: 2 });
    await expectWhole(written);
    expect(await app.leftovers()).toEqual([]);
  });

  test('an older backup goes back, and the safety backup of that restore goes back again', async () => {
    const { backup } = await app.succeeds('backup');
    const old = [await app.dump(), await media()];
    await app.write(4);
    const later = [await app.dump(), await media()];

    const back = await app.succeeds('restore', '--backup', backup?.name ?? '');
    expect([await app.dump(), await media()]).toEqual(old);
    expect(await app.leftovers()).toEqual([]);

    await app.succeeds('restore', '--backup', back.restore?.safetyBackup ?? '');
    expect([await app.dump(), await media()]).toEqual(later);
    await app.write(1);
    expect(existsSync(path.join(app.backups, `${backup?.name}.manifest.json`))).toBe(true);
    expect(await app.leftovers()).toEqual([]);
  });
});
