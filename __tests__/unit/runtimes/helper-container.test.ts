import { mkdir, mkdtemp, realpath, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { helperArgv, helperContainer, outermost } from '../../../src/runtimes/helper-container.ts';
import type { Runtime } from '../../../src/runtimes/runtime.ts';
import type { Processes } from '../../../src/system/processes.ts';

describe('the helper’s command', () => {
  const argv = helperArgv(
    'helper-1',
    'sha256:1',
    [
      { source: '/usr', target: '/usr', writable: false },
      { source: '/srv/a,b "c"', target: '/srv/a,b "c"', writable: true },
      { source: '/srv', target: '/usr', writable: true },
    ],
    ['tar', '--create', '.'],
  );

  test('has no network, no image from elsewhere, no log of the data, and few rights', () => {
    const words = argv.join(' ');
    for (const part of [
      '--pull never',
      '--network none',
      '--read-only',
      '--log-driver none',
      '--cap-drop ALL',
      '--rm',
    ]) {
      expect(words).toContain(part);
    }
    expect(words).not.toContain('--privileged');
    expect(argv.slice(-4)).toEqual(['sha256:1', 'tar', '--create', '.']);
  });

  test('mounts each place once, whatever its name', () => {
    expect(argv.filter((word) => word.startsWith('type=bind'))).toEqual([
      'type=bind,source=/srv,target=/usr',
      'type=bind,"source=/srv/a,b ""c""","target=/srv/a,b ""c"""',
    ]);
  });
});

test('of places that lie in each other only the outer one is mounted: no rename crosses a mount', () => {
  expect(outermost(['/srv/app/data', '/srv/app', '/srv/app', '/srv/application', '/mnt'])).toEqual([
    '/mnt',
    '/srv/app',
    '/srv/application',
  ]);
});

describe('what is mounted for a path', () => {
  let root: string;
  beforeAll(async () => {
    root = await realpath(await mkdtemp(path.join(tmpdir(), 'helper-')));
    await mkdir(path.join(root, 'app/data'), { recursive: true });
    await mkdir(path.join(root, 'disk/data'), { recursive: true });
    await symlink(path.join(root, 'disk/data'), path.join(root, 'app/link'));
  });
  afterAll(() => rm(root, { recursive: true }));

  const idle: Processes = {
    run: () => Promise.reject(new Error('not to be run')),
    stream: () => {
      throw new Error('not to be run');
    },
  };
  const mountsFor = async (paths: string[], absent: string[] = []): Promise<string[]> => {
    const runtime = { imageId: () => Promise.resolve('sha256:1') } as unknown as Runtime;
    const { command } = await helperContainer(runtime, idle, []).wrap(['true'], paths, new Set(absent));
    return command.argv
      .filter((word) => word.startsWith('type=bind') && !word.endsWith('readonly'))
      .map((word) => /target=(.*)$/.exec(word)![1]!);
  };

  test('its parent, so that it can be renamed', async () => {
    const app = path.join(root, 'app');
    expect(await mountsFor([path.join(app, 'data'), path.join(app, '.caretaker-fresh-1-db/db')])).toEqual([app]);
  });
  test('the parent of what it leads to as well', async () => {
    expect(await mountsFor([path.join(root, 'app/link')])).toEqual([path.join(root, 'app'), path.join(root, 'disk')]);
  });
  test('the nearest directory that is there', async () => {
    expect(await mountsFor([path.join(root, 'none/such/thing')])).toEqual([root]);
    expect(await mountsFor([path.join(root, 'app/data/x')], [path.join(root, 'app')])).toEqual([root]);
  });
  test('never the root directory', async () => {
    expect(await mountsFor(['/no-such-place', '/no-such-place/x/y'])).toEqual([]);
    expect(await mountsFor([`/${root.split('/')[1]}`])).toEqual([`/${root.split('/')[1]}`]);
  });
});
