import { expect, test } from '@jest/globals';

import type { StoreSettings } from '../../../src/settings/settings.ts';
import { openStore, type StoreSpec } from '../../../src/stores/stores.ts';
import { silentLog } from '../../contract/stores/silent-log.ts';

test('opens what the settings name', () => {
  const { log, masked } = silentLog();
  const tools = { log, env: { GITHUB_RUN_ID: '7' }, githubToken: 'ghs_x', allowPublic: false, mounts: '/none' };
  const specs: readonly StoreSettings[] = [
    { type: 'artifact', retentionDays: 30, repository: 'octo-org/octo-app' },
    { type: 'folder', path: '/srv/backups' },
  ];
  const stores = specs.map((spec: StoreSpec) => openStore(spec, tools));
  expect(stores.map(({ kind, name }) => [kind, name])).toEqual([
    ['artifact', 'workflow artifacts of octo-org/octo-app'],
    ['folder', 'folder /srv/backups'],
  ]);
  expect(masked).toEqual(['ghs_x']);
});
