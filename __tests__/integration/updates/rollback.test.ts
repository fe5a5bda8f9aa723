import path from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { Deployment, hostsInTurn, treeOf } from '../modes/harness.ts';

jest.setTimeout(300_000);

describe.each(hostsInTurn(1))('going back after an update, on %s', (_, hostOf) => {
  let app: Deployment;

  beforeAll(async () => {
    app = await Deployment.create(hostOf(), 'uso');
    await app.write(3);
  });
  afterAll(() => app?.destroy());

  async function state(): Promise<object> {
    return {
      dump: await app.dump(),
      local: treeOf(path.join(app.facts.instance, 'local')),
      checkout: app.checkout(),
      version: (await app.get('/version')).body,
      image: await app.imageId(`localhost/${app.facts.image}:latest`),
    };
  }

  test('with the data: everything is as at the update, and what was written since is a backup', async () => {
    await app.make('release', 'v1.1.0', 'good');
    const before = await state();
    await app.succeeds('update');
    await app.write(2);
    const newer = { dump: await app.dump(), local: treeOf(path.join(app.facts.instance, 'local')) };

    const { outcome, restore } = await app.succeeds('rollback', '--with-data', 'true', '--confirm', app.facts.project);
    expect(outcome).toBe('done');
    expect(await state()).toEqual(before);
    await app.write(1);
    expect(await app.leftovers()).toEqual([]);

    // And forward again, from what the rollback kept.
    await app.succeeds('update', '--ref', 'v1.1.0');
    await app.succeeds('restore', '--backup', restore?.safetyBackup ?? '');
    expect({ dump: await app.dump(), local: treeOf(path.join(app.facts.instance, 'local')) }).toEqual(newer);
  });

  test('without the data: the old version serves what was written since', async () => {
    await app.make('release', 'v1.1.1', 'good');
    const { checkout } = { checkout: app.checkout() };
    await app.succeeds('update');
    const { database } = await app.containers();
    await app.write(2);
    const dump = await app.dump();

    const { outcome, outages } = await app.succeeds('rollback', '--with-data', 'false');
    expect([outcome, outages?.length]).toEqual(['done', 1]);
    expect(JSON.parse((await app.get('/version')).body)).toMatchObject({ version: 'v1.1.0' });
    expect(app.checkout()).toEqual(checkout);
    expect(await app.dump()).toBe(dump);
    expect((await app.containers())['database']).toEqual(database);
    expect(await app.leftovers()).toEqual([]);
  });
});
