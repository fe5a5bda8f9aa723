import { readdirSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { Deployment, hostsInTurn, treeOf } from '../modes/harness.ts';

jest.setTimeout(300_000);

describe.each(hostsInTurn(1))('volumes that are directories of the host by their driver_opts, on %s', (_, hostOf) => {
  let app: Deployment;
  const at = (name: string): string => path.join(app.facts.instance, name);
  /** The engine mounts them on the volumes only while a container uses those. */
  const bound = (): string =>
    [
      `sed -i -e 's|- ./database:|- base:|' -e 's|- ./local:|- local:|' docker-compose.yml`,
      `sed -i '/^volumes:/d' docker-compose.yml`,
      `printf 'volumes:\\n  base:\\n    driver: local\\n    driver_opts: {type: none, o: bind, device: "%s"}\\n' ${at('database')} >>docker-compose.yml`,
      `printf '  local:\\n    driver_opts: {type: none, o: bind, device: "%s"}\\n' ${at('local')} >>docker-compose.yml`,
    ].join('\n');

  beforeAll(async () => {
    app = await Deployment.create(hostOf(), 'uso', ['--clone']);
    await app.write(3);
    await app.make('release', 'v1.1.0', 'edit', bound());
    await app.succeeds('update', '--ref', 'v1.1.0', '--build', 'auto');
  });
  afterAll(() => app?.destroy());

  const stateOf = async (): Promise<object> => ({ dump: await app.dump(), local: treeOf(at('local')) });
  const whole = async (): Promise<void> =>
    expect(JSON.parse((await app.get('/invariant')).body)).toMatchObject({ ok: true, version: 'v1.1.0' });

  test('are taken while nothing uses them, and restored', async () => {
    const before = await stateOf();
    await app.succeeds('backup', '--consistency', 'stopped');
    await app.write(2);
    await app.succeeds('restore', '--backup', 'latest', '--confirm', app.facts.project);
    expect(await stateOf()).toEqual(before);
    await whole();
    await app.write(1);
    expect(await app.leftovers()).toEqual([]);
  });

  test('go back with a version that fails', async () => {
    const ruin = `sed -i '/^exec/i rm -rf media/*; echo ruined >settings.py; exit 1' deploy/entrypoint.sh`;
    await app.make('release', 'v1.1.1', 'edit', `${bound()}\n${ruin}`);
    const before = await stateOf();
    const { report } = await app.caretaker('update', '--ref', 'v1.1.1', '--build', 'auto', '--health-timeout', '8s');
    expect([report.outcome, report.error?.code]).toEqual(['rolled-back', 'unhealthy']);
    expect(await stateOf()).toEqual(before);
    await whole();
    expect(readdirSync(at('local')).filter((name) => name.includes('.caretaker'))).toEqual([]);
    await app.write(1);
  });
});
