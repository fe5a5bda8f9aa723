import path from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { Deployment, hostsInTurn, treeOf } from '../modes/harness.ts';

jest.setTimeout(420_000);

describe.each(hostsInTurn())('a restore with its code, on %s', (_, hostOf) => {
  let app: Deployment;
  let old: string;

  beforeAll(async () => {
    app = await Deployment.create(hostOf(), 'uso');
    await app.write(3);
  });
  afterAll(() => app?.destroy());

  const image = (): Promise<string> => app.imageId(`localhost/${app.facts.image}:latest`);
  const restore = ['--with-code', 'true', '--build', './deploy/build-image.sh nginx', '--backup'] as const;

  async function state(): Promise<object> {
    return {
      dump: await app.dump(),
      local: treeOf(path.join(app.facts.instance, 'local')),
      commit: app.git('rev-parse', 'HEAD'),
      version: (await app.get('/version')).body,
      image: await image(),
      running: (await app.containers())['web']?.image,
    };
  }

  test('brings code, image and data of before an update, and those of after it by the safety backup', async () => {
    await app.make('release', 'v1.1.0', 'good');
    const before = await state();
    const { backup } = await app.succeeds('update');
    old = backup?.name ?? '';
    await app.write(2);
    const after = await state();

    const back = await app.succeeds('restore', ...restore, old);
    expect(await state()).toEqual(before);
    // Nothing was built: the very images were on the host still.
    await app.write(1);
    expect(await app.leftovers()).toEqual([]);
    const followed = await app.succeeds('update');
    expect([followed.outcome, followed.warnings.join()]).toEqual(['no-op', expect.stringContaining('was restored')]);

    await app.succeeds('restore', ...restore, back.restore?.safetyBackup ?? '');
    expect(await state()).toEqual(after);
    expect(await app.leftovers()).toEqual([]);
  });

  test('that does not become healthy leaves code, image and data of now', async () => {
    const before = await state();
    const newer = `type=http,url=${app.facts.url}/version,contains=v1.1.0`;
    const { report } = await app.caretaker(
      'restore',
      ...[...restore, old, '--health', newer, '--health-timeout', '8s'],
    );
    expect([report.outcome, report.error?.code]).toEqual(['rolled-back', 'unhealthy']);
    expect(await state()).toEqual(before);
    await app.write(1);
    expect(await app.leftovers()).toEqual([]);
  });
});
