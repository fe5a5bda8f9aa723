import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import type { CaretakerErrors } from '../../../src/errors.ts';
import { installRecovery, type InstallWorld } from '../../../src/install-recovery.ts';
import { bootUnit } from '../../../src/safety/boot-unit.ts';
import { temporaryDirectories } from '../system/temporary.ts';

const temporary = temporaryDirectories();

function worldIn(home: string, env: InstallWorld['env'] = {}): InstallWorld {
  const program = ['/opt/node/bin/node', '/opt/caretaker/dist/cli/index.js'] as const;
  return { env: { PATH: '/opt/bin:/usr/bin', ...env }, cwd: home, uid: 1000, userName: 'nobody-here', home, program };
}

test('words of a command reach it as they are', () => {
  const { text } = bootUnit({
    argv: ['/bin/node', '--health=type=command,run=echo "50 %" $HOME \\ \n next'],
    environment: { PATH: '/a b' },
    ...{ projectDirectory: '/srv/100% shop', places: ['/srv/100% shop', '/srv/100% shop'] },
    ...{ scope: 'system', directory: '/etc/systemd/system' },
  });
  const lines = text.split('\n');
  expect(lines).toContain('ExecStart="/bin/node" "--health=type=command,run=echo \\"50 %%\\" $$HOME \\\\ \\n next"');
  expect(lines).toContain('RequiresMountsFor="/srv/100%% shop"');
  expect(lines).toContain('ConditionPathExists=/srv/100%% shop/.caretaker/journal.jsonl');
  expect(lines).toContain('Environment="PATH=/a b"');
  expect(lines).toContain('After=network-online.target docker.service podman.service');
  expect(lines).toContain('WantedBy=multi-user.target');
});

test('a unit of the host runs as the user whose runs keep the state', () => {
  const request = { argv: ['x'], environment: {}, projectDirectory: '/srv/shop', places: [], directory: '/u' };
  const lines = bootUnit({ ...request, scope: 'system', user: 1001 }).text.split('\n');
  expect(lines).toEqual(expect.arrayContaining(['User=1001', 'Environment="XDG_RUNTIME_DIR=/run/user/1001"']));
  expect(bootUnit({ ...request, scope: 'system' }).text).not.toContain('User=');
});

test('projects in directories of one name have units of their own', () => {
  const names = ['/srv/a/shop', '/srv/b/shop'].map(
    (projectDirectory) =>
      bootUnit({ argv: ['x'], environment: {}, projectDirectory, places: [], scope: 'user', directory: '/u' }).name,
  );
  expect(names[0]).toMatch(/^compose-caretaker-recover-shop-[0-9a-f]{8}\.service$/);
  expect(new Set(names).size).toBe(2);
});

test('install-recovery writes and enables a unit of the user, and may be repeated', async () => {
  const home = temporary();
  const project = path.join(home, 'shop');
  mkdirSync(project);
  const words = ['--project-directory', 'shop', '--health', 'type=http,url=http://localhost:1/', '--settle', '3s'];
  const units = path.join(home, '.config/systemd/user');
  for (const again of [false, true]) {
    const lines = await installRecovery(words, worldIn(home, { GITHUB_TOKEN: 'ghp_secret' }));
    expect([again, readdirSync(units).sort()]).toEqual([
      again,
      [expect.stringMatching(/^compose-caretaker-recover-shop-/), 'default.target.wants'],
    ]);
    expect(lines.join('\n')).toContain('loginctl enable-linger nobody-here');
    expect(lines.join('\n')).toContain('systemctl --user daemon-reload');
  }
  const file = path.join(units, readdirSync(units)[0] ?? '');
  const link = path.join(units, 'default.target.wants', path.basename(file));
  expect([statSync(file).mode & 0o777, lstatSync(link).isSymbolicLink(), readlinkSync(link)]).toEqual([
    0o644,
    true,
    file,
  ]);
  const text = readFileSync(file, 'utf8');
  expect(text).toContain(
    `ExecStart="/opt/node/bin/node" "/opt/caretaker/dist/cli/index.js" "recover" "--project-directory=${project}" "--health=type=http,url=http://localhost:1/" "--settle=3s"\n`,
  );
  expect(text).not.toContain('ghp_secret');
});

test('what has no effect on a recovery is said, and not written', async () => {
  const home = temporary();
  const lines = await installRecovery(['--keep-local', '5'], worldIn(home));
  expect(lines[0]).toBe('"keep-local" has no effect in mode recover.');
  const units = path.join(home, '.config/systemd/user');
  expect(readFileSync(path.join(units, readdirSync(units)[0] ?? ''), 'utf8')).not.toContain('keep-local');
});

test('a program that lies where a runner may remove it is warned of', async () => {
  const home = temporary();
  const program = ['/home/r/externals/node24/bin/node', '/home/r/_work/_actions/x/dist/cli/index.js'] as const;
  expect((await installRecovery([], { ...worldIn(home), program })).join()).toContain('may remove');
});

test.each([
  [['--projekt-name', 'x'], 'input-unknown'],
  [['update'], 'argument-unknown'],
  [['--project-directory', '/none'], 'project-directory-missing'],
])('%j is refused, and nothing is written', async (words, code) => {
  const home = temporary();
  const error = await installRecovery(words, worldIn(home)).catch((thrown: unknown) => thrown);
  expect((error as CaretakerErrors).problems.map((one) => one.code)).toEqual([code]);
  expect(readdirSync(home)).toEqual([]);
});

test('a place that can’t be written is told', async () => {
  const home = temporary();
  writeFileSync(path.join(home, '.config'), '');
  await expect(installRecovery([], worldIn(home))).rejects.toMatchObject({ code: 'boot-unit-failed' });
});
