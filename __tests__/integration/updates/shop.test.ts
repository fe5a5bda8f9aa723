import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Shop } from '../../../demo/shop.ts';
import { formatManifest, sealManifest, type Manifest } from '../../../src/archive/manifest.ts';
import type { RunReport } from '../../../src/report/run-report.ts';

/* The whole program on a machine with nothing but Node: what an update can do besides, and the way back later. */

jest.setTimeout(300_000);

let shop: Shop;

beforeEach(async () => {
  shop = await Shop.open();
  for (const item of ['tea', 'bread', 'honey']) await shop.order(item);
});

afterEach(() => {
  shop.close();
});

async function run(
  mode: string,
  ...flags: string[]
): Promise<{ readonly code: number | null; readonly report: RunReport }> {
  const child = shop.caretaker(mode, ['--json', ...flags], 'pipe');
  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, report: JSON.parse(output) as RunReport };
}

const follow = (...flags: string[]): ReturnType<typeof run> => run('update', '--track', 'releases', ...flags);
const state = (name: string): string => path.join(shop.directory, '.caretaker', name);
const receipts = (): string[] => readdirSync(path.join(shop.directory, 'data', 'receipts')).sort();
const safetyBackups = (): string[] => readdirSync(state('safety')).filter((name) => name.endsWith('.manifest.json'));

test('what start-command starts does not carry the tracking id, by which the runner would end it with the job', async () => {
  shop.publish('v1.1.0');
  process.env['RUNNER_TRACKING_ID'] = 'github_of_this_job';
  try {
    expect((await follow()).code).toBe(0);
  } finally {
    delete process.env['RUNNER_TRACKING_ID'];
  }
  const pid = readFileSync(path.join(shop.directory, 'server.pid'), 'utf8').trim();
  const variables = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  expect(variables.filter((one) => one.startsWith('RUNNER_TRACKING_ID='))).toEqual(['RUNNER_TRACKING_ID=']);
  expect(await shop.look()).toEqual({ version: 'v1.1.0', orders: 3, receipts: 3 });
});

describe('migrate-command', () => {
  test('runs when the old version has stopped and its backup is there, and before the new one starts', async () => {
    shop.publish('v1.1.0');
    const look =
      '! sh control status || exit 9; ls .caretaker/safety > data/receipts/seen; git describe --tags >> data/receipts/seen';
    const { code, report } = await follow('--migrate-command', look);
    expect(code).toBe(0);
    const seen = readFileSync(path.join(shop.directory, 'data/receipts/seen'), 'utf8');
    expect(seen).toContain('.manifest.json\n');
    expect(seen).toMatch(/v1\.1\.0\n$/);
    const names = report.steps.map(({ name }) => name);
    expect(names.indexOf('Migrate')).toBe(names.indexOf('Switch to the new version') - 1);
    expect(report.outages).toHaveLength(1);
  });

  test('that fails half way takes back what it did', async () => {
    shop.publish('v1.1.0');
    const before = receipts();
    const { code, report } = await follow(
      '--migrate-command',
      'rm -r data/receipts; echo no table of that name >&2; exit 3',
    );
    expect(code).toBe(1);
    expect(report).toMatchObject({
      outcome: 'rolled-back',
      error: { code: 'migration-failed', hint: expect.stringContaining('no table of that name') },
    });
    expect(receipts()).toEqual(before);
    expect(await shop.look()).toEqual({ version: 'v1.0.0', orders: 3, receipts: 3 });
  });
});

test('a version that did not do is passed over by what only follows, until there is another or it is asked for', async () => {
  shop.publish('v1.1.0');
  const failing = ['--migrate-command', 'exit 1'];
  expect((await follow(...failing)).code).toBe(1);
  const again = await follow();
  expect(again).toMatchObject({ code: 0, report: { outcome: 'no-op' } });
  expect(again.report.warnings.join()).toMatch(/v1\.1\.0 was tried on .* \(migration-failed\)/);
  expect((await shop.look()).version).toBe('v1.0.0');

  const asked = await run('update', '--ref', 'v1.1.0');
  expect(asked.code).toBe(0);
  expect((await shop.look()).version).toBe('v1.1.0');
  expect(existsSync(state('avoided.json'))).toBe(false);
});

test('a dry run says what an update would do, refuses what it would refuse, and touches nothing', async () => {
  const tree = (): string[] =>
    readdirSync(shop.directory, { recursive: true, encoding: 'utf8' })
      .filter((name) => name !== '.git' && !name.startsWith('.git/'))
      .map((name) => `${name} ${statSync(path.join(shop.directory, name), { bigint: true }).mtimeNs}`)
      .sort();
  shop.publish('v1.1.0');
  const before = tree();
  const { code, report } = await follow('--dry-run', 'true', '--migrate-command', 'touch migrated');
  expect({ code, error: report.error }).toEqual({ code: 0, error: undefined });
  expect(report).toMatchObject({ outcome: 'no-op', update: { from: 'v1.0.0', to: 'v1.1.0' } });
  const plan = report.plan!.join('\n');
  for (const words of [
    /^Check out v1\.1\.0/,
    /SQLite database .* while it serves/,
    /^Stop application;/m,
    /^Migrate: touch migrated$/m,
  ])
    expect(plan).toMatch(words);
  expect(tree()).toEqual(before);
  expect((await shop.look()).version).toBe('v1.0.0');

  expect(
    await follow('--dry-run', 'true', '--health', 'type=command,run=exit 1', '--health-timeout', '1s'),
  ).toMatchObject({
    code: 1,
    report: { outcome: 'refused', error: { code: 'unhealthy-before' } },
  });
  expect(tree()).toEqual(before);
  expect((await follow()).code).toBe(0);
  expect((await follow('--dry-run', 'true')).report.plan).toEqual(['Nothing: there is nothing newer.']);
});

describe('a backup of another version', () => {
  test('is refused before anything is touched, or goes under the code that is there where that is allowed', async () => {
    expect((await run('backup')).code).toBe(0);
    shop.publish('v1.1.0');
    expect((await follow()).code).toBe(0);
    await shop.order('cheese');
    const before = readdirSync(shop.directory, { recursive: true });
    const restore = ['restore', '--backup', 'version=v1.0.0', '--confirm', 'shop'] as const;
    expect((await run(...restore)).report).toMatchObject({
      outcome: 'refused',
      error: { code: 'restore-version', message: expect.stringContaining('v1.1.0') as unknown },
    });
    expect(readdirSync(shop.directory, { recursive: true })).toEqual(before);
    expect(await shop.look()).toEqual({ version: 'v1.1.0', orders: 4, receipts: 4 });

    const allowed = await run(...restore, '--allow', 'version-mismatch');
    expect(allowed.report).toMatchObject({ outcome: 'done' });
    expect(allowed.report.warnings.join()).toContain('as allowed');
    expect(await shop.look()).toEqual({ version: 'v1.1.0', orders: 3, receipts: 3 });
  });

  test('comes back with its code, is not updated again to what it went back from, and goes forth the same way', async () => {
    expect((await run('backup')).code).toBe(0);
    shop.publish('v1.1.0');
    expect((await follow()).code).toBe(0);
    await shop.order('cheese');
    const restore = ['restore', '--confirm', 'shop', '--with-code', 'true', '--backup'] as const;

    // What does not become healthy brings nothing.
    const ill = ['--health', 'type=command,run=grep v1.1.0 release.mjs', '--health-timeout', '2s'];
    const failed = await run(...restore, 'version=v1.0.0', ...ill);
    expect(failed.report).toMatchObject({ outcome: 'rolled-back', error: { code: 'unhealthy' } });
    expect(await shop.look()).toEqual({ version: 'v1.1.0', orders: 4, receipts: 4 });
    expect(existsSync(state('last-update.json'))).toBe(true);

    const back = await run(...restore, 'version=v1.0.0');
    expect(back.report).toMatchObject({ outcome: 'done' });
    expect(await shop.look()).toEqual({ version: 'v1.0.0', orders: 3, receipts: 3 });
    expect(readdirSync(state('staging'))).toEqual([]);
    expect((await run('rollback', '--with-data', 'false')).report.error?.code).toBe('nothing-to-roll-back');
    expect((await follow()).report.warnings.join()).toContain('v1.0.0 was restored');
    expect((await shop.look()).version).toBe('v1.0.0');

    const forth = await run(...restore, back.report.restore?.safetyBackup ?? '');
    expect(forth.report).toMatchObject({ outcome: 'done' });
    expect(await shop.look()).toEqual({ version: 'v1.1.0', orders: 4, receipts: 4 });
  });

  test('of a commit that neither the clone nor its remote has is refused', async () => {
    expect((await run('backup')).code).toBe(0);
    const [manifest = ''] = readdirSync(state('backups')).filter((name) => name.endsWith('.manifest.json'));
    const file = path.join(state('backups'), manifest);
    const { digest: _, ...stored } = JSON.parse(readFileSync(file, 'utf8')) as Manifest;
    const version = { commit: 'f'.repeat(40), tag: 'v0.9.0', describe: null };
    writeFileSync(file, formatManifest(sealManifest({ ...stored, version })));
    const { report } = await run('restore', '--confirm', 'shop', '--with-code', 'true');
    expect(report).toMatchObject({ outcome: 'refused', error: { code: 'restore-commit-missing' } });
  });
});

describe('a restore where nothing is', () => {
  test('asks for no confirmation, brings the version of the data, and leaves nothing when it fails', async () => {
    expect((await run('backup')).code).toBe(0);
    shop.publish('v1.1.0');
    execFileSync('git', ['-C', shop.directory, 'pull', '--quiet']);
    expect((await run('restore')).report).toMatchObject({ outcome: 'refused', error: { code: 'confirm-missing' } });
    shop.control('stop');
    expect((await run('restore')).report).toMatchObject({ outcome: 'refused', error: { code: 'confirm-missing' } });
    rmSync(path.join(shop.directory, 'data'), { recursive: true });
    const code = (): string => execFileSync('git', ['-C', shop.directory, 'describe', '--tags'], { encoding: 'utf8' });

    const failed = await run('restore', '--health', 'type=command,run=exit 1', '--health-timeout', '2s');
    expect(failed.report).toMatchObject({ outcome: 'rolled-back', error: { code: 'unhealthy' } });
    expect([existsSync(path.join(shop.directory, 'data')), code()]).toEqual([false, 'v1.1.0\n']);
    expect(() => shop.control('status')).toThrow();

    const { report } = await run('restore');
    expect(report).toMatchObject({ outcome: 'done', restore: {} });
    expect(report.restore?.safetyBackup).toBeUndefined();
    expect([await shop.look(), code()]).toEqual([{ version: 'v1.0.0', orders: 3, receipts: 3 }, 'v1.0.0\n']);
    expect(readdirSync(state('staging'))).toEqual([]);
    // The version that the clone had gone on to is none that was left.
    expect((await follow()).report).toMatchObject({ outcome: 'done', update: { to: 'v1.1.0' } });
  });
});

describe('rollback', () => {
  async function updated(): Promise<void> {
    shop.publish('v1.1.0');
    expect((await follow()).code).toBe(0);
    await shop.order('cheese');
  }

  test('with the data: as it was at the update, and the newer data are kept', async () => {
    await updated();
    const { code, report } = await run('rollback', '--with-data', 'true', '--confirm', 'shop');
    expect(code).toBe(0);
    expect(report).toMatchObject({ outcome: 'done', update: { from: 'v1.1.0', to: 'v1.0.0' } });
    expect(await shop.look()).toEqual({ version: 'v1.0.0', orders: 3, receipts: 3 });
    expect(existsSync(state('last-update.json'))).toBe(false);
    expect(readdirSync(state('staging'))).toEqual([]);

    // The way back from the way back: what was there is a backup.
    const kept = report.restore!.safetyBackup!;
    expect(JSON.parse(readFileSync(state(`safety/${kept}.manifest.json`), 'utf8'))).toMatchObject({
      reason: 'before-rollback',
      version: { tag: 'v1.1.0' },
    });
    expect((await follow()).report.warnings.join()).toContain('rolled back by hand');
    expect((await run('update', '--ref', 'v1.1.0')).code).toBe(0);
    expect((await run('restore', '--backup', state('safety'), '--confirm', 'shop')).code).not.toBeNull();
  });

  test('without the data: the old version serves what was written since', async () => {
    await updated();
    const { code, report } = await run('rollback', '--with-data', 'false');
    expect(code).toBe(0);
    expect(report.outcome).toBe('done');
    expect(await shop.look()).toEqual({ version: 'v1.0.0', orders: 4, receipts: 4 });
    expect(safetyBackups()).toHaveLength(2);
  });

  test('that fails brings the newer version and its data back', async () => {
    await updated();
    // Passes for the newer version only.
    const ill = ['--health', 'type=command,run=grep v1.1.0 release.mjs', '--health-timeout', '2s'];
    for (const data of [
      ['--with-data', 'true', '--confirm', 'shop'],
      ['--with-data', 'false'],
    ]) {
      const { code, report } = await run('rollback', ...data, ...ill);
      expect([code, report.outcome, report.error?.code]).toEqual([1, 'rolled-back', 'unhealthy']);
      expect(await shop.look()).toEqual({ version: 'v1.1.0', orders: 4, receipts: 4 });
      expect(readdirSync(state('staging'))).toEqual([]);
    }
    expect((await run('rollback', '--with-data', 'false')).code).toBe(0);
  });

  test('is refused where there is nothing to go back to, or not to that', async () => {
    expect(await run('rollback', '--with-data', 'false')).toMatchObject({
      code: 1,
      report: { outcome: 'refused', error: { code: 'nothing-to-roll-back' } },
    });
    await updated();
    expect((await run('rollback')).report.error?.code).toBe('with-data-missing');
    expect((await run('rollback', '--with-data', 'true', '--confirm', 'shpo')).report).toMatchObject({
      outcome: 'refused',
      error: { code: 'not-confirmed' },
    });
    execFileSync('git', ['checkout', '--quiet', 'v1.0.0'], { cwd: shop.directory });
    expect((await run('rollback', '--with-data', 'false')).report.error?.code).toBe('rollback-moved');
    expect((await shop.look()).orders).toBe(4);
  });
});
