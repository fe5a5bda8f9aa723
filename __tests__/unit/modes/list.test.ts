import { expect, test } from '@jest/globals';
import { hostname } from 'node:os';
import { sealManifest, type Manifest } from '../../../src/archive/manifest.ts';
import { list } from '../../../src/modes/list.ts';
import { listSection } from '../../../src/modes/report.ts';
import type { Tools } from '../../../src/modes/tools.ts';
import type { Store, StoredBackup } from '../../../src/stores/store.ts';
import { NAME, sampleManifest } from '../archive/sample-manifest.ts';

const here = { host: hostname(), projectDirectory: '/srv/uso' };
const manifests: Readonly<Record<string, Partial<Manifest> | null>> = {
  'uso-20261124T220000Z': here,
  'uso-20261123T220000Z': { ...here, host: 'server2' },
  'uso-20261121T220000Z': null,
};

function storeOf(name: string, backups: readonly string[]): Store {
  return {
    name,
    check: () => Promise.resolve(),
    list: () =>
      Promise.resolve(
        backups.map((backup) => ({
          ...{
            name: backup,
            project: 'uso',
            bytes: 1,
            expiresAt: undefined,
            runId: undefined,
            ids: [],
            url: undefined,
          },
          ...{ files: [], proofs: [], createdAt: new Date(`2026-11-${backup.slice(10, 12)}T22:00:00Z`) },
        })),
      ),
    readManifest: ({ name: backup }: StoredBackup) => {
      const overrides = manifests[backup];
      if (overrides === null) return Promise.resolve({});
      const text = JSON.stringify(sampleManifest(overrides)).replaceAll(NAME, backup);
      return Promise.resolve(sealManifest(JSON.parse(text) as Manifest));
    },
  } as unknown as Store;
}

test('says of each backup that was not made here where it was made: its name is what a restore needs', async () => {
  const tools = {
    project: { name: 'uso', directory: '/srv/uso' } as Tools['project'],
    stores: [storeOf('artifacts', Object.keys(manifests))],
    local: storeOf('safety', []),
  };
  const { backups = [] } = listSection(await list(tools));
  expect(backups.map(({ name, elsewhere }) => [name, elsewhere])).toEqual([
    ['uso-20261124T220000Z', null],
    ['uso-20261123T220000Z', 'on server2, in /srv/uso'],
    ['uso-20261121T220000Z', null],
  ]);
  expect(backups.at(-1)?.problem).toContain('manifest');
});
