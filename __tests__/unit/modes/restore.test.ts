import { expect, test } from '@jest/globals';
import { refusePlatform } from '../../../src/modes/restore.ts';
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
