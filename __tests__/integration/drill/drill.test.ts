import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { Deployment, docker, rootless, succeeded } from '../modes/harness.ts';

jest.setTimeout(300_000);

describe.each([
  ['Docker as root', () => docker('root')],
  ['rootless Podman', () => rootless('1.6.0')],
] as const)('A drill of USO on %s', (_, hostOf) => {
  let app: Deployment;

  beforeAll(async () => {
    app = await Deployment.create(hostOf(), 'uso');
    await app.write(20);
    await app.succeeds('backup');
  });
  afterAll(() => app.destroy());

  /** All that an engine has: what a drill adds, it takes away. */
  async function everything(): Promise<Record<string, string[]>> {
    const of = async (...words: string[]): Promise<string[]> =>
      succeeded(await app.engine(...words))
        .split('\n')
        .filter(Boolean)
        .sort();
    return {
      containers: await of('ps', '-aq', '--no-trunc'),
      volumes: await of('volume', 'ls', '-q'),
      networks: await of('network', 'ls', '--format', '{{.Name}}'),
      images: await of('images', '-q', '--no-trunc'),
    };
  }

  test.each(['read', 'databases', 'application'] as const)(
    'that proves %s touches nothing that serves',
    async (level) => {
      const [before, containers, dump] = [await everything(), await app.containers(), await app.dump()];
      const writer = app.writer(20);
      const report = await app.succeeds('verify', '--proof', level);
      const written = await writer.stop();

      expect(report).toMatchObject({ outcome: 'done', verify: { level } });
      expect(report.downtimeSeconds).toBeUndefined();
      console.log(report.verify?.proven.join('\n'), written);
      expect(await app.containers()).toEqual(containers);
      expect(await everything()).toEqual(before);
      expect(await app.leftovers()).toEqual([]);
      void dump;
      const [listed] = (await app.succeeds('list')).backups ?? [];
      expect(listed).toMatchObject({ proven: { level, ok: true } });
    },
  );
});
