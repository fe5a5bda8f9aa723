import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { checkImageArchive } from '../../../src/archive/image-archive.ts';
import { temporaryDirectories } from '../system/temporary.ts';

const temporaryDirectory = temporaryDirectories();

const config = JSON.stringify({ os: 'linux', architecture: 'amd64', rootfs: { diff_ids: [] } });
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const hex = sha256(config);

/** An archive of these files, each name as often as it is told. */
function archiveOf(files: readonly (readonly [string, string])[]): string {
  const folder = temporaryDirectory();
  const file = path.join(folder, 'images.tar');
  for (const [name, text] of files) {
    mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
    writeFileSync(path.join(folder, name), text);
    execFileSync('tar', ['-rf', file, name], { cwd: folder });
  }
  return file;
}

const old = { Config: `${hex}.json`, RepoTags: null, Layers: [] };
const manifest = (...images: readonly object[]): [string, string] => ['manifest.json', JSON.stringify(images)];
const configuration: [string, string] = [`${hex}.json`, config];

test.each([
  ["Docker's older form", [configuration, ['layer.tar', 'x'], manifest(old)]],
  ["Podman's form", [['repositories', '{}'], configuration, manifest({ ...old, RepoTags: [] })]],
  [
    'the newer form',
    [
      [`blobs/sha256/${hex}`, config],
      [`blobs/sha256/${'0'.repeat(64)}`, 'x'.repeat(2 ** 21)],
      ['index.json', JSON.stringify({ manifests: [{ digest: `sha256:${'1'.repeat(64)}` }] })],
      manifest({ ...old, Config: `blobs/sha256/${hex}` }),
    ],
  ],
] as [string, [string, string][]][])('%s, without names, is what it says', async (_form, files) => {
  const { ids, sha256: digest } = await checkImageArchive(archiveOf(files), 'linux/amd64');
  expect([...ids]).toEqual([`sha256:${hex}`]);
  expect(digest).toMatch(/^[0-9a-f]{64}$/);
});

const twice = JSON.stringify([{ ...old, RepoTags: ['postgres:17'] }]).replace('"Layers"', '"RepoTags":null,"Layers"');
const annotated = (named: string, more: string): string => `{"manifests":[{"annotations":{"${named}":"postgres:17"},${more}}]}`; // prettier-ignore
const otherPlatform = '{"os":"linux","architecture":"amd64","Architecture":"arm64"}';
test('labels that look alike, and what engines escape, are taken', async () => {
  const labelled = JSON.stringify(
    { os: 'linux', architecture: 'amd64', config: { Labels: { a: '{"a":1,"a":2}', A: '\\"' }, Env: ['os', 'os'] }, history: [{ a: 1 }, { a: 2 }] },
    null,
    2,
  ).replace('"A"', '"A\\u003c"'); // prettier-ignore
  const name = `${sha256(labelled)}.json`;
  const { ids } = await checkImageArchive(archiveOf([[name, labelled], manifest({ ...old, Config: name })]), 'linux/amd64'); // prettier-ignore
  expect(ids.size).toBe(1);
});

const index = (annotation: string): [string, string] => [
  'index.json',
  JSON.stringify({ manifests: [{ annotations: { [annotation]: 'docker.io/library/postgres:17' } }] }),
];
test.each([
  ['a name', [configuration, manifest({ ...old, RepoTags: ['postgres:17'] })], 'would move the name ["postgres:17"]'],
  ['a name that is no list', [configuration, manifest({ ...old, RepoTags: 'postgres:17' })], 'would move the name'],
  ['a name of old', [configuration, ['repositories', '{"postgres":{"17":"x"}}'], manifest(old)], 'would move a name'],
  ["a name of containerd's", [configuration, index('io.containerd.image.name'), manifest(old)], 'would move a name'],
  ['a name of the layout', [configuration, index('org.opencontainers.image.ref.name'), manifest(old)], 'would move a name'], // prettier-ignore
  ['a name in other letters', [configuration, manifest({ ...old, repotags: ['postgres:17'] })], 'a field "repotags"'],
  ['a name in letters that are folded', [configuration, manifest({ ...old, RepoTagſ: ['postgres:17'] })], 'a field "RepoTagſ"'], // prettier-ignore
  ['a name that is taken back', [configuration, ['manifest.json', twice]], 'manifest.json says "RepoTags" twice'],
  ['a name of containerd’s that is taken back', [configuration, ['index.json', annotated('io.containerd.image.name', '"annotations":{}')], manifest(old)], 'index.json says "annotations" twice'], // prettier-ignore
  ['a name that is taken back under an escaped key', [configuration, ['index.json', annotated('io.containerd.image.name', '"\\u0061nnotations" : {}')], manifest(old)], 'twice'], // prettier-ignore
  ['another platform in other letters', [[`${sha256(otherPlatform)}.json`, otherPlatform], manifest({ ...old, Config: `${sha256(otherPlatform)}.json` })], 'a field "Architecture"'], // prettier-ignore
  [
    'depths',
    [configuration, ['index.json', `${'['.repeat(200_000)}${']'.repeat(200_000)}`], manifest(old)],
    'too deeply',
  ],
  ['two lists', [configuration, manifest({ ...old, RepoTags: ['postgres:17'] }), manifest(old)], 'there twice'],
  ['no list', [configuration], 'lists no image'],
  ['a list of nothing', [configuration, manifest()], 'lists no image'],
  ['a list that is no JSON', [configuration, ['manifest.json', '[{']], 'not JSON'],
  ['a list of nulls', [configuration, ['manifest.json', '[null]']], 'lacks the configuration'],
  ['no configuration', [manifest(old)], 'lacks the configuration'],
  ['another configuration', [[`${hex}.json`, `${config} `], manifest(old)], 'is another one'],
  ['a configuration elsewhere', [configuration, manifest({ ...old, Config: '../x.json' })], 'lacks the configuration'],
  ['a list without an end', [configuration, ['manifest.json', ' '.repeat(2 ** 21)]], 'too long'],
] as [string, [string, string][], string][])('%s is refused', async (_what, files, words) => {
  await expect(checkImageArchive(archiveOf(files), 'linux/amd64')).rejects.toMatchObject({
    code: 'image-archive-bad',
    message: expect.stringContaining(words) as unknown,
  });
});

test('another platform is refused', async () => {
  await expect(checkImageArchive(archiveOf([configuration, manifest(old)]), 'linux/arm64')).rejects.toMatchObject({
    message: 'it is for linux/amd64, and this is linux/arm64',
  });
});
