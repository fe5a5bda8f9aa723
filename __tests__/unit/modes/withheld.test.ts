import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { dataSources, withheldFiles } from '../../../src/modes/data.ts';
import { bind, container, fakeProject } from '../project/fakes.ts';
import { localFiles } from '../sources/local-files.ts';

/** Env files and files of secrets go where only their owner reads them, or encrypted, or where git has shown them already. */
type Given = Parameters<typeof withheldFiles>[0];
function withheld(
  kinds: readonly string[],
  more: { encrypted?: boolean; gits?: readonly string[] } = {},
): Promise<unknown> {
  return withheldFiles({
    project: {
      directory: '/srv/shop',
      secretFiles: () => Promise.resolve(['/srv/shop/.env', '/srv/shop/db.secret', '/etc/shop.env']),
    },
    stores: kinds.map((kind) => ({ kind })),
    keys: { encryption: more.encrypted === true ? {} : undefined },
    checkout: more.gits === undefined ? null : { isGits: (file: string) => Promise.resolve(more.gits?.includes(file)) },
  } as unknown as Given);
}

test('files with secrets stay out of plain workflow artifacts', async () => {
  const all = [
    { file: '/srv/shop/.env', what: '.env' },
    { file: '/srv/shop/db.secret', what: 'db.secret' },
    { file: '/etc/shop.env', what: '/etc/shop.env' },
  ];
  expect(await withheld(['artifact'])).toEqual(all);
  expect(await withheld(['folder', 'artifact'])).toEqual(all);
  expect(await withheld(['folder'])).toEqual([]);
  expect(await withheld(['artifact'], { encrypted: true })).toEqual([]);
  expect(await withheld(['artifact'], { gits: ['/srv/shop/.env'] })).toEqual(all.slice(1));
});

describe('a file with secrets is in no part of a plain backup', () => {
  let base: string;
  beforeEach(async () => {
    base = await realpath(await mkdtemp(join(tmpdir(), 'withheld-')));
    for (const directory of ['local', 'elsewhere', 'keys']) await mkdir(join(base, directory));
    await symlink('elsewhere', join(base, 'envs'));
    await symlink('local/linked.env', join(base, 'link.env'));
    for (const file of secrets) await writeFile(join(base, file), `PASSWORD=hunter2 of ${file}\n`);
    await writeFile(join(base, 'local/photo.jpg'), 'a photo\n');
    await writeFile(join(base, 'compose.yaml'), 'services: {}\n');
  });
  afterEach(() => rm(base, { recursive: true }));
  const secrets = ['.env', 'local/.env', 'local/linked.env', 'elsewhere/prod.env', 'keys/a.key'];

  /** All bytes of all parts of a backup to artifacts, as text. */
  async function backedUp(lines: Parameters<typeof dataSources>[1], kind: string, ...mounted: string[]) {
    const warnings: string[] = [];
    const project = {
      ...fakeProject({
        directory: base,
        containers: [container('web', { mounts: mounted.map((file) => bind(join(base, file), `/app/${file}`)) })],
        configuration: ['compose.yaml', '.env', 'elsewhere/prod.env'].map((file) => join(base, file)),
      }),
      files: localFiles(),
      secretFiles: () =>
        Promise.resolve(['.env', 'local/.env', 'link.env', 'envs/prod.env', 'keys'].map((file) => join(base, file))),
    };
    const tools = {
      ...{ project, run: 'r1', checkout: null, keys: { encryption: undefined }, stores: [{ kind }], local: {} },
      log: { info: () => undefined, warn: () => undefined },
      recorder: { warn: (line: string) => void warnings.push(line) },
    } as unknown as Parameters<typeof dataSources>[0];
    const { sources, left } = await dataSources(tools, lines);
    const bytes: Buffer[] = [];
    for (const source of sources) {
      for (const one of (await source.capture('stopped')).streams) {
        const stream = one.open();
        stream.stdin.end();
        bytes.push(await buffer(stream.stdout));
        await stream.done;
      }
    }
    return { text: Buffer.concat(bytes).toString('latin1'), left, warnings };
  }

  const places: readonly (readonly [string, ...string[]])[] = [
    ['mounted by itself', '.env', 'local'],
    ['in a mounted directory', 'local'],
    ['in a directory that is mounted, and named behind a link', 'elsewhere', 'local'],
    ['mounted by itself, and named behind a link', 'elsewhere/prod.env', 'local'],
    ['what a link leads to', 'local/linked.env', 'local/photo.jpg'],
    ['in a directory of secrets', 'keys/a.key', 'local'],
    ['in the project, which is mounted', '.'],
  ];
  test.each(places)('%s', async (_what, ...mounted) => {
    const { text, left, warnings } = await backedUp('auto', 'artifact', ...mounted);
    expect(text).toContain('a photo');
    expect(text).not.toContain('hunter2');
    expect(left.filter(({ secret }) => secret).map(({ what }) => what)).toEqual([
      '.env',
      'local/.env',
      'link.env',
      'envs/prod.env',
      'keys',
    ]);
    expect(warnings).toEqual([expect.stringContaining('Not in the backup: .env,')]);
    // It is the store alone that keeps it out.
    expect((await backedUp('auto', 'folder', ...mounted)).text).toContain('hunter2');
  });

  test('named by a line of data', async () => {
    const photos = { type: 'file', path: 'local/photo.jpg' };
    const files = secrets.map((path, index) => ({ type: 'file', path, name: `secret${index}` }));
    const { text, left } = await backedUp([photos, ...files], 'artifact');
    expect(text).toContain('a photo');
    expect(text).not.toContain('hunter2');
    expect(left.filter(({ secret }) => !secret).map(({ what }) => relative(base, what))).toEqual(secrets);
    expect((await backedUp([photos, ...files], 'folder')).text).toContain('hunter2 of .env');
    await expect(backedUp(files, 'artifact')).rejects.toMatchObject({ code: 'data-none' });
  });
});
