import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { as, Deployment, docker, kit, rootless, succeeded } from '../modes/harness.ts';

/*
 * What recovery finds around the journal of a run that was cut off: an application that was ill before, a compose file that nobody can read, services that
 * are known only while they run, data aside that are half removed, a command that still runs.
 */

jest.setTimeout(300_000);

describe.each([
  ['Docker', () => docker('root'), 'run node'],
  ['rootless Podman', () => rootless('1.6.0'), 'run podman unshare'],
] as const)('on %s', (_, hostOf, agent) => {
  let app: Deployment;
  let version = 0;
  const ill = ['--health', 'type=command,run=false', '--health-timeout', '4s', '--settle', '0'];
  const quick = ['--settle', '0', '--build', 'none'];

  beforeAll(async () => {
    app = await Deployment.create(hostOf(), 'tiny');
    await app.write(3);
    await app.succeeds('backup');
  });
  afterAll(() => app?.destroy());

  async function release(script = ':'): Promise<void> {
    version += 1;
    await app.make('release', `v1.0.${version}`, 'edit', script);
  }

  /** A run that is killed right after this effect (fixtures/tiny/fault.mjs), or before it. */
  async function cutOff(point: string, kind: 'kill' | 'killed-after', ...words: [string, ...string[]]): Promise<void> {
    const trace = path.join(app.directory, 'trace');
    for (const end of ['', '.there', '.pid']) rmSync(trace + end, { force: true });
    const fault = JSON.stringify({ trace, point, kind });
    app.environment = [
      `CARETAKER_FAULT=${fault}`,
      `NODE_OPTIONS=--import=${path.join(kit().fixtures, 'tiny/fault.mjs')}`,
    ];
    const ended = await app
      .command(...words)
      // Where no other user's shell lies between, it is killed before our eyes.
      .catch((error: unknown) => ({ code: null, stdout: '', stderr: String((error as Error).cause) }))
      .finally(() => (app.environment = []));
    if (!existsSync(`${trace}.there`)) throw new Error(`it never came to ${point}: ${ended.stdout}${ended.stderr}`);
  }

  const whole = 'git checkout -q v1.0.0 -- docker-compose.yml; rm -f caretaker.yml other.yml';

  const served = async (): Promise<string> => (await app.get('/version')).body.trim();

  test('an application that was ill before is stopped for a backup, and the backup is kept', async () => {
    const { outcome, warnings } = await app.succeeds('backup', '--consistency', 'stopped', ...ill);
    expect([outcome, warnings.join()]).toEqual(['done', expect.stringContaining('not healthy before this run either')]);
  });

  test('a restore into it that fails is undone, and the next run is not held up', async () => {
    await app.write(1);
    const before = await app.dump();
    const { code, report } = await app.caretaker('restore', '--backup', 'latest', ...ill);
    expect([code, report.outcome, report.error?.code]).toEqual([1, 'rolled-back', 'unhealthy']);
    await cutOff(
      'swap notes.db | writeFile journal: done # | 1',
      'killed-after',
      'restore',
      '--backup',
      'latest',
      ...ill,
    );
    const { recovery } = await app.succeeds('backup');
    expect(recovery?.outcome).toBe('rolled-back');
    expect(await app.dump()).toBe(before);
    expect(await app.leftovers()).toEqual([]);
  });

  test.each([
    ['was emptied', ': >docker-compose.yml', 'backup'],
    ['is gone', 'git rm -q --cached docker-compose.yml; rm docker-compose.yml', 'recover'],
    ['is no YAML', 'echo "services: [" >docker-compose.yml', 'backup'],
    ['is another', 'git mv docker-compose.yml other.yml; echo "compose-files: other.yml" >caretaker.yml', 'recover'],
    ['never ends', 'ln -sf /dev/zero docker-compose.yml', 'backup'],
    ['is beside a caretaker.yml that is none', 'echo "health-timeout: soon" >caretaker.yml', 'backup'],
  ] as const)('a compose file that %s in what a killed update had checked out', async (_what, script, mode) => {
    const before = await served();
    await release(script);
    const point = 'check out | writeFile journal: done # | 1';
    await cutOff(point, 'killed-after', 'update', ...quick);
    const { recovery } = await app.succeeds(mode);
    expect([recovery?.outcome, await served(), app.git('status', '--porcelain')]).toEqual(['rolled-back', before, '']);
    await app.make('release', `v1.0.${version}-again`, 'edit', whole);
    expect(await app.leftovers()).toEqual([]);
  });

  test('a version that was coming up is kept, though it has another caretaker.yml', async () => {
    await release('echo "keep-local: 4" >caretaker.yml');
    await cutOff('switch | writeFile journal: prepared  | 1', 'killed-after', 'update', ...quick);
    // Looks only, and leaves it.
    const { outcome } = await app.succeeds('update', '--dry-run', 'true');
    const { recovery } = await app.succeeds('recover');
    expect([outcome, recovery?.outcome]).toEqual(['no-op', 'completed']);
    expect(await served()).toContain(`v1.0.${version}`);
    await release(whole);
    await app.succeeds('update', ...quick);
  });

  test('who waits for the lock of a run that is killed puts its code back', async () => {
    const before = await served();
    await release(': >docker-compose.yml; echo "health-timeout: soon" >caretaker.yml');
    const lock = path.join(app.state, 'lock');
    const cut = cutOff('check out | writeFile journal: done # | 1', 'killed-after', 'update', ...quick);
    app.environment = [];
    while (!existsSync(lock)) await new Promise((resolve) => setTimeout(resolve, 10));
    const { recovery } = await app.succeeds('backup', '--lock-timeout', '60s');
    await cut;
    expect([recovery?.outcome, await served(), app.git('status', '--porcelain')]).toEqual(['rolled-back', before, '']);
    await app.make('release', `v1.0.${version}-again`, 'edit', whole);
    expect(await app.leftovers()).toEqual([]);
  });

  test('the migration of a run that is killed alone acts no longer when it is undone', async () => {
    const before = await served();
    await release();
    const [trace, begun, late] = ['trace', 'begun', 'late'].map((name) => path.join(app.directory, name)) as [string, string, string]; // prettier-ignore
    app.environment = [
      `CARETAKER_FAULT=${JSON.stringify({ trace })}`,
      `NODE_OPTIONS=--import=${path.join(kit().fixtures, 'tiny/fault.mjs')}`,
    ];
    const migration = `touch ${begun}; (sleep 120; touch ${late}) & wait`;
    const running = app.command('update', ...quick, '--migrate-command', migration).catch(() => undefined);
    while (!existsSync(begun)) await new Promise((resolve) => setTimeout(resolve, 20));
    app.environment = [];
    process.kill(Number(readFileSync(`${trace}.pid`, 'utf8')), 'SIGKILL');
    await running;
    const processes = (): number | null => spawnSync('pgrep', ['-f', late]).status;
    expect(processes()).toBe(0);
    const { recovery, warnings } = await app.succeeds('backup');
    expect([recovery?.outcome, await served(), processes()]).toEqual(['rolled-back', before, 1]);
    expect(warnings.join()).toMatch(/had left commands running: ended bash \(process \d+\)/);
    expect(await app.leftovers()).toEqual([]);
  });

  test('a version with whose caretaker.yml no run could follow is not brought up', async () => {
    const before = await app.containers();
    await release('echo "modes: backup" >caretaker.yml');
    const { code, report } = await app.caretaker('update', ...quick);
    await app.make('release', `v1.0.${version}-again`, 'edit', whole);
    expect([code, report.outcome, report.error?.code]).toEqual([1, 'rolled-back', 'settings-of-version']);
    expect(report.error?.message).toContain('"modes" is no setting');
    expect([await app.containers(), app.git('status', '--porcelain')]).toEqual([before, '']);
  });

  test('a version that includes what never ends is not brought up', async () => {
    const before = await app.containers();
    await release('ln -s /dev/zero endless.yml; echo "include: [endless.yml]" >>docker-compose.yml');
    const { code, report } = await app.caretaker('update', ...quick);
    await app.make('release', `v1.0.${version}-again`, 'edit', `${whole}; rm endless.yml`);
    expect([code, report.outcome, report.error?.code]).toEqual([1, 'rolled-back', 'compose-file-invalid']);
    expect(report.error?.message).toContain('endless.yml');
    expect([await app.containers(), app.git('status', '--porcelain')]).toEqual([before, '']);
  });

  test('a service of a profile that only ran comes up again with the others', async () => {
    const worker =
      'sed -i "s|^volumes:|  worker:\\n    image: localhost/caretaker-test/plain:1\\n    command: [sleep, infinity]\\n    stop_signal: SIGKILL\\n    profiles: [extra]\\n    volumes: [\'files:/files\']\\nvolumes:|" docker-compose.yml';
    await release(`git checkout -q v1.0.0 -- docker-compose.yml; ${worker}`);
    await app.succeeds('update', ...quick);
    const compose = app.host.engine === 'docker' ? ['docker', 'compose'] : [app.host.compose];
    const up = [...compose, '--profile', 'extra', 'up', '-d', 'worker'];
    succeeded(await as(app.host, ['env', '-C', app.facts.instance, ...up]));
    expect(Object.keys(await app.containers()).sort()).toEqual(['web', 'worker']);

    await release();
    await cutOff('switch | writeFile journal: prepared  | 1', 'killed-after', 'update', ...quick);
    const { recovery } = await app.succeeds('recover');
    const running = Object.entries(await app.containers()).filter(([, container]) => container.running);
    expect([recovery?.outcome, running.map(([service]) => service).sort()]).toEqual(['completed', ['web', 'worker']]);
  });

  test('data aside that are half removed are not taken for data', async () => {
    const safety = path.join(app.state, 'safety');
    const kept = (): string[] =>
      readdirSync(safety).filter(
        (name) =>
          name.endsWith('.manifest.json') &&
          /"reason": "before-restore"/.test(readFileSync(path.join(safety, name), 'utf8')),
      );
    const earlier = kept().length;
    const restore = ['restore', '--backup', 'latest', '--allow', 'version-mismatch', '--settle', '0'] as const;
    await cutOff(`forwarded 0 | ${agent} remove | 1`, 'kill', ...restore);
    const data = path.join(app.facts.instance, 'data');
    const aside = readdirSync(data).filter((name) => name.startsWith('.caretaker-aside-'));
    expect(aside).toHaveLength(1);
    rmSync(path.join(data, aside[0] as string, 'notes.db'));
    const { recovery } = await app.succeeds('backup');
    expect([recovery?.outcome, kept().length - earlier]).toEqual(['completed', 1]);
    expect(await app.leftovers()).toEqual([]);
  });
});
