import { expect, test } from '@jest/globals';
import * as argv from '../../../src/compose/command-line.ts';
import { dockerDialect, oldPodmanDialect, podmanDialect } from './fakes.ts';

const project = {
  files: ['/srv/app/compose.yaml', '/srv/app/prod.yaml'],
  projectName: 'app',
  profiles: ['a', 'b'],
  envFiles: ['/srv/app/prod.env'],
};
const bare = { ...project, files: ['/srv/app/compose.yaml'], profiles: [], envFiles: [] };

test('docker compose says files, project, profiles and env files before the verb', () => {
  expect(argv.upArgv(dockerDialect, project, ['web']).join(' ')).toBe(
    'docker compose --ansi never -p app -f /srv/app/compose.yaml -f /srv/app/prod.yaml --profile a --profile b --env-file /srv/app/prod.env up -d web',
  );
  expect(argv.configArgv(dockerDialect, bare).slice(-3)).toEqual(['config', '--format', 'json']);
});

test('podman-compose has no colours to switch off and no format to ask for', () => {
  expect(argv.configArgv(podmanDialect, bare).join(' ')).toBe('podman-compose -p app -f /srv/app/compose.yaml config');
  expect(argv.upArgv(oldPodmanDialect, bare, []).join(' ')).toBe(
    'podman-compose -p app -f /srv/app/compose.yaml up -d',
  );
  expect(argv.stopArgv(podmanDialect, bare, 1.5, ['db']).slice(-4)).toEqual(['stop', '-t', '2', 'db']);
});

test('no verb ever takes volumes away', () => {
  for (const dialect of [dockerDialect, podmanDialect, oldPodmanDialect]) {
    const down = argv.downArgv(dialect, bare);
    expect(down.at(-1)).toBe('down');
    for (const flag of ['-v', '--volumes', '-V', '--renew-anon-volumes', '-y', '--yes']) {
      expect([...down, ...argv.upArgv(dialect, bare, [])]).not.toContain(flag);
    }
  }
});
