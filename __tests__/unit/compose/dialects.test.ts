import { describe, expect, test } from '@jest/globals';
import { detectDialects } from '../../../src/compose/dialects.ts';
import { failsWith, FakeProcesses } from './fakes.ts';

const docker = 'docker compose version --short';
const podman = 'podman-compose version';

describe('detectDialects', () => {
  test('finds what answers, in the order of preference', async () => {
    const found = await detectDialects(
      new FakeProcesses({
        [podman]: 'podman-compose version 1.6.0\npodman version 4.3.1\n',
        [docker]: '2.40.3-3\n',
      }),
    );
    expect(found.map(({ name, version }) => `${name} ${version}`)).toEqual([
      'docker-compose-v2 2.40.3-3',
      'podman-compose 1.6.0',
    ]);
  });

  test('docker without the plugin, and no program at all, are no dialect', async () => {
    expect(
      await detectDialects(new FakeProcesses({ [docker]: failsWith("'compose' is not a docker command") })),
    ).toEqual([]);
  });

  test.each(['v5.0.1', '2.3.3'])('Compose %s counts as v2', async (version) => {
    const [found] = await detectDialects(new FakeProcesses({ [docker]: `${version}\n` }));
    expect(found?.version).toBe(version.replace('v', ''));
  });

  test.each([
    ['1.0.6', { config: 'yaml', envFiles: 'one', profiles: false, comparesConfiguration: true }],
    ['1.1.0', { config: 'yaml', profiles: true, reliableExitCodes: true }],
    ['1.10.2', { profiles: true, upRecreatesChanged: false }],
  ])('podman-compose %s', async (version, capabilities) => {
    const [found] = await detectDialects(new FakeProcesses({ [podman]: `podman-compose version ${version}\n` }));
    expect(found?.capabilities).toMatchObject(capabilities);
  });

  test("Debian 12's podman-compose knows no config, profiles or env files", async () => {
    const output = "['podman', '--version', '']\nusing podman version: 4.3.1\npodman-composer version  1.0.3\n";
    const [found] = await detectDialects(new FakeProcesses({ [podman]: output }));
    expect(found?.version).toBe('1.0.3');
    expect(found?.capabilities).toMatchObject({
      config: 'none',
      profiles: false,
      envFiles: 'none',
      comparesConfiguration: false,
    });
  });
});
