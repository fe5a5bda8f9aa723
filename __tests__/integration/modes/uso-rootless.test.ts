import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { Deployment, rootless, treeOf } from './harness.ts';

jest.setTimeout(300_000);

/** What a user would find of his application: data, files, code, and what serves. */
async function stateOf(app: Deployment): Promise<object> {
  return {
    dump: await app.dump(),
    local: treeOf(path.join(app.facts.instance, 'local')),
    checkout: app.checkout(),
    version: (await app.get('/version')).body,
    image: await app.imageId(`localhost/${app.facts.image}:latest`),
  };
}

describe('USO on rootless Podman with podman-compose 1.6.0', () => {
  let app: Deployment;
  let first: string;

  beforeAll(async () => {
    app = await Deployment.create(rootless('1.6.0'), 'uso');
    await app.write(5);
  });
  afterAll(() => app?.destroy());

  test('a backup stops and restarts nothing', async () => {
    const before = await app.containers();
    const { backup, downtimeSeconds, left } = await app.succeeds('backup');

    expect(await app.containers()).toEqual(before);
    expect(downtimeSeconds ?? 0).toBe(0);
    first = backup?.name ?? '';
    expect(backup?.parts.map(({ name, method, consistency }) => `${name} ${method} ${consistency}`)).toEqual([
      'database physical online',
      'local files online',
      'project-files files online',
    ]);
    expect(left?.map(({ what }) => what).join()).toContain('podman.sock');
    expect(readdirSync(app.backups).filter((name) => name.startsWith(first))).toHaveLength(5);
    expect(await app.leftovers()).toEqual([]);
  });

  test('an update with nothing new touches no container', async () => {
    const before = [await app.containers(), await stateOf(app)];
    const { outcome, update, downtimeSeconds } = await app.succeeds('update');

    expect([outcome, update?.from, update?.to, downtimeSeconds ?? 0]).toEqual(['no-op', 'v1.0.0', 'v1.0.0', 0]);
    expect([await app.containers(), await stateOf(app)]).toEqual(before);
    expect(await app.leftovers()).toEqual([]);
  });

  test('a good release serves with its migration done, and the backup from before is stored', async () => {
    await app.make('release', 'v1.1.0', 'good');
    const { database } = await app.containers();
    const { outcome, update, backup } = await app.succeeds('update');

    // What did not change runs on.
    expect((await app.containers())['database']).toEqual(database);
    expect([outcome, update?.from, update?.to, update?.changedServices]).toEqual(['done', 'v1.0.0', 'v1.1.0', ['web']]);
    expect(JSON.parse((await app.get('/version')).body)).toEqual({ version: 'v1.1.0', schema: 2 });
    await app.write(3);
    expect(JSON.parse((await app.get('/invariant')).body)).toMatchObject({ ok: true, counts: { ledger: 8 } });
    expect(app.git('describe', '--tags')).toBe('v1.1.0');
    expect(existsSync(path.join(app.backups, `${backup?.name}.manifest.json`))).toBe(true);
    expect(await app.leftovers()).toEqual([]);
  });

  test('a release that destroys the data and never answers is undone whole', async () => {
    await app.make('release', 'v1.2.0', 'bad');
    const before = await stateOf(app);
    const { code, report } = await app.caretaker('update');

    expect([code, report.outcome, report.error?.code]).toEqual([1, 'rolled-back', 'unhealthy']);
    const words = report.lastWords?.find(({ service }) => service === 'web')?.text;
    expect(words).toContain('ERROR: migration 0003 left the schema broken');
    expect(await stateOf(app)).toEqual(before);
    expect((await app.get('/health')).status).toBe(200);
    expect((await app.containers())['web']?.image).toBe(await app.imageId(`localhost/${app.facts.image}:latest`));
    await app.write(1);
    expect(await app.leftovers()).toEqual([]);
  });

  test('a build that fails changes nothing and stops nothing', async () => {
    await app.make('release', 'v1.3.0', 'unbuildable');
    const before = [await app.containers(), await stateOf(app)];
    const { code, report } = await app.caretaker('update', '--ref', 'v1.3.0');

    expect([code, report.downtimeSeconds ?? 0]).toEqual([1, 0]);
    expect(JSON.stringify(report.error)).toContain('no wheel for usonline');
    expect([await app.containers(), await stateOf(app)]).toEqual(before);
    expect(await app.leftovers()).toEqual([]);
  });

  test('an older backup goes back, and the safety backup of that restore goes back again', async () => {
    const local = path.join(app.facts.instance, 'local');
    const { backup } = await app.succeeds('backup');
    const old = [await app.dump(), treeOf(local)];
    await app.write(4);
    const later = [await app.dump(), treeOf(local)];

    const back = await app.succeeds('restore', '--backup', backup?.name ?? '');
    expect([await app.dump(), treeOf(local)]).toEqual(old);
    expect(await app.leftovers()).toEqual([]);
    const safety = back.restore?.safetyBackup;
    expect(safety).toBeDefined();

    const forth = await app.succeeds('restore', '--backup', safety ?? '');
    expect([await app.dump(), treeOf(local)]).toEqual(later);
    expect(forth.restore?.safetyBackup).not.toBe(safety);
    await app.write(1);
    expect(await app.leftovers()).toEqual([]);
  });

  test('a restore that is not confirmed touches nothing', async () => {
    const before = [await app.containers(), await stateOf(app)];
    const { code, report } = await app.caretaker('restore', '--backup', first, '--confirm', 'other');
    expect([code, report.outcome, report.error?.code]).toEqual([1, 'refused', 'not-confirmed']);
    expect([await app.containers(), await stateOf(app)]).toEqual(before);
  });
});

describe('USO on rootless Podman with podman-compose 1.0.3', () => {
  let app: Deployment;

  beforeAll(async () => {
    app = await Deployment.create(rootless('1.0.3'), 'uso');
    await app.write(2);
  });
  afterAll(() => app?.destroy());

  test('backup, good update, and the way back by restore', async () => {
    const local = path.join(app.facts.instance, 'local');
    const before = await app.containers();
    await app.succeeds('backup');
    expect(await app.containers()).toEqual(before);

    await app.make('release', 'v1.1.0', 'good');
    const { update, backup } = await app.succeeds('update');
    expect(update?.to).toBe('v1.1.0');
    const updated = [await app.dump(), treeOf(local)];
    await app.write(3);
    await app.succeeds('backup');
    const written = [await app.dump(), treeOf(local)];

    // Data of before the update under the new code: it migrates them again.
    const { report } = await app.caretaker('restore', '--backup', backup?.name ?? '');
    expect([report.outcome, report.error?.code]).toEqual(['refused', 'restore-version']);
    expect(await app.dump()).toBe(written[0]);
    await app.succeeds('restore', '--backup', backup?.name ?? '', '--allow', 'version-mismatch');
    expect((await app.get('/version')).body).toContain('"schema": 2');
    expect(JSON.parse((await app.get('/invariant')).body)).toMatchObject({ ok: true, counts: { ledger: 2 } });
    expect(treeOf(local)).toBe(updated[1]);
    await app.succeeds('restore', '--backup', 'latest');
    expect([await app.dump(), treeOf(local)]).toEqual(written);
    expect(await app.leftovers()).toEqual([]);
  });

  test('a build that fails changes nothing and stops nothing', async () => {
    await app.make('release', 'v1.3.0', 'unbuildable');
    const before = [await app.containers(), await stateOf(app)];
    const { code, report } = await app.caretaker('update');

    expect([code, report.downtimeSeconds ?? 0, report.error?.code]).toEqual([1, 0, 'build-failed']);
    expect([await app.containers(), await stateOf(app)]).toEqual(before);
    expect(await app.leftovers()).toEqual([]);
  });
});
