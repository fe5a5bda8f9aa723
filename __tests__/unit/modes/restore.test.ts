import { describe, expect, test } from '@jest/globals';
import { hostname } from 'node:os';
import { confirm, refusePlatform } from '../../../src/modes/restore.ts';
import { gateVersion } from '../../../src/modes/restore-code.ts';
import type { Tools } from '../../../src/modes/tools.ts';
import { sampleManifest, samplePart } from '../archive/sample-manifest.ts';

test('the files of a PostgreSQL cluster are not restored on another architecture; a dump and other files are', () => {
  const manifest = sampleManifest({ platform: 'linux/arm64' });
  const [cluster = samplePart(), site = samplePart()] = manifest.parts;
  expect(() => refusePlatform(manifest, [cluster, site], 'linux/amd64')).toThrow(
    'database of uso-20261121T220000Z are files of a PostgreSQL server on linux/arm64, and this is linux/amd64',
  );
  expect(() => refusePlatform(manifest, [cluster], 'linux/arm64')).not.toThrow();
  expect(() => refusePlatform(manifest, [samplePart({ method: 'dump' }), site], 'linux/amd64')).not.toThrow();
});

test('who confirms a restore is told whose backup it is, where it is another host’s', async () => {
  const tools = { project: { name: 'uso', directory: '/srv/uso' } } as unknown as Tools;
  const manifest = sampleManifest({ host: 'server2' });
  await expect(confirm(tools, { confirm: '' }, manifest, false)).rejects.toMatchObject({
    code: 'confirm-missing',
    message: `restoring ${manifest.name}, which was made on server2, in /srv/uso, replaces the live data of uso, and confirm does not say so`,
  });
  const own = sampleManifest({ host: hostname() });
  await expect(confirm(tools, { confirm: 'other' }, own, false)).rejects.toMatchObject({
    code: 'not-confirmed',
    message: `restoring ${manifest.name} replaces the live data of uso, and confirm does not say so`,
  });
});

describe('data of another version than the code', () => {
  const manifest = sampleManifest();
  const { commit } = manifest.version;
  const code = { commit: 'd'.repeat(40), branch: 'main', tag: null, describe: 'v1.3.0-2-gddddddd' };
  const said: string[] = [];
  const say = (line: string): number => said.push(line);
  const tools = { log: { info: say }, recorder: { warn: say } } as unknown as Tools;
  const projectFiles = samplePart({ kind: 'project-files', method: 'files' });

  test('are refused, with both versions and the ways out', () => {
    expect(() => gateVersion(tools, manifest, manifest.parts, code, [])).toThrow(
      expect.objectContaining({
        code: 'restore-version',
        message: `${manifest.name} holds the data of v1.2.3 (cccccccccccc), and the code that is checked out is v1.3.0-2-gddddddd (dddddddddddd)`,
        hint: expect.stringContaining('"version-mismatch"') as unknown,
      }),
    );
  });

  test.each([
    ['of the same commit', manifest, manifest.parts, { ...code, commit: commit ?? '' }, [], undefined],
    ['that are only the project’s own files', manifest, [projectFiles], code, [], undefined],
    ['without a clone', manifest, manifest.parts, null, [], 'no git clone'],
    [
      'of an unknown version',
      sampleManifest({ version: { commit: null, tag: null, describe: null } }),
      manifest.parts,
      code,
      [],
      'does not say',
    ],
    ['that are allowed', manifest, manifest.parts, code, ['version-mismatch'], 'as allowed'],
  ] as const)('%s are not', (_title, of, parts, head, allow, expected) => {
    said.length = 0;
    gateVersion(tools, of, parts, head, allow);
    expect(said.join()).toMatch(expected ?? /^$/);
  });
});
