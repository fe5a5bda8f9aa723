import { closeSync, openSync, writeSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { Deployment, docker, hostsInTurn, rootless, succeeded } from '../modes/harness.ts';
import { changeArchive, tamper } from '../tampered.ts';

jest.setTimeout(300_000);

const levels = ['read', 'databases', 'application'] as const;

describe.each(hostsInTurn(1))('A drill of USO on %s', (_, hostOf) => {
  let app: Deployment;
  let physical: string;
  let dump: string;

  beforeAll(async () => {
    app = await Deployment.create(hostOf(), 'uso');
    await app.write(20);
    physical = (await app.succeeds('backup')).backup?.name ?? '';
    const lines = 'type=postgres,service=database,method=dump';
    dump = (await app.succeeds('backup', '--data', lines)).backup?.name ?? '';
  });
  afterAll(() => app.destroy());

  /** What an engine has of this project: what a drill adds, it takes away. */
  async function everything(): Promise<Record<string, string[]>> {
    const of = async (...words: string[]): Promise<string[]> =>
      succeeded(await app.engine(...words))
        .split('\n')
        .filter((line) => line.includes(app.facts.project))
        .sort();
    return {
      containers: await of('ps', '-a', '--format', '{{.Names}} {{.ID}}'),
      volumes: await of('volume', 'ls', '-q'),
      networks: await of('network', 'ls', '--format', '{{.Name}}'),
      images: await of('images', '--format', '{{.Repository}}:{{.Tag}} {{.ID}}'),
    };
  }

  test.each(levels)('that proves %s touches nothing that serves', async (level) => {
    const [before, containers] = [await everything(), await app.containers()];
    const writer = app.writer(20);
    const report = await app.succeeds('verify', '--backup', physical, '--proof', level);
    const written = await writer.stop();

    expect(report).toMatchObject({ outcome: 'done', verify: { backup: physical, level } });
    expect(report.downtimeSeconds).toBeUndefined();
    // Under Podman one request of some 4,000 failed once, beside three other suites; why is not known yet.
    expect(written.failed).toBeLessThanOrEqual(app.host.engine === 'podman' ? 1 : 0);
    const proven = report.verify?.proven.join('\n') ?? '';
    if (level !== 'read') expect(proven).toMatch(/pg_verifybackup[^]*every row/);
    if (level === 'application') expect(proven).toMatch(/came up on it, healthy after .*\/health: 200/);
    expect(await app.containers()).toEqual(containers);
    expect(await everything()).toEqual(before);
    expect(await app.leftovers()).toEqual([]);
    const listed = (await app.succeeds('list')).backups?.find(({ name }) => name === physical);
    expect(listed).toMatchObject({ proven: { level, ok: true } });
  });

  test('asks what its user asks of the data', async () => {
    const asks = (query: string, expected: string): string =>
      `type=sql,part=database,"query=${query}"${expected === '' ? '' : `,expect=${expected}`}`;
    const command = `type=command,run=test "$COMPOSE_PROJECT_NAME" = "$CARETAKER_THROWAWAY" && grep -q 'internal: true' "$COMPOSE_FILE"`;
    const good = await app.succeeds(
      'verify',
      '--backup',
      dump,
      '--check',
      asks('select 1, 2', '1|2'),
      '--check',
      command,
    );
    expect(good.verify?.proven.join('\n')).toMatch(/rows in \d+ tables[^]*select 1, 2: 1\|2[^]*ended with code 0/);

    const { code, report } = await app.caretaker(
      'verify',
      '--backup',
      dump,
      '--check',
      asks('select 1 where false', ''),
    );
    expect([code, report.outcome, report.error?.code]).toEqual([1, 'failed', 'check-failed']);
    expect(await app.leftovers()).toEqual([]);
  });

  test('finds a heap page that is empty, behind digests that fit', async () => {
    const relation = await sql(`select pg_relation_filepath('documents')`);
    tamper(app.backups, physical, 'database.tar.zst', (raw) =>
      changeArchive(raw, (directory) => {
        const file = openSync(path.join(directory, relation), 'r+');
        writeSync(file, Buffer.alloc(8192), 0, 8192, 0);
        closeSync(file);
      }),
    );
    await fails(physical, new RegExp(`checksum mismatch.*${path.basename(relation)}`));
  });

  test('finds a table that is missing in a dump, behind digests that fit', async () => {
    const { stdout } = await app.engine(
      'exec',
      await database(),
      'sh',
      '-c',
      'pg_dump -U usonline -Fc -Z0 -T documents -d usonline | base64',
    );
    tamper(app.backups, dump, 'database.usonline.dump.zst', () => Buffer.from(stdout, 'base64'));
    await fails(dump, /public\.documents is missing/);
  });

  /** Fails with what is wrong, leaves nothing behind, and the list tells. */
  async function fails(backup: string, reason: RegExp): Promise<void> {
    const before = await everything();
    const { code, report } = await app.caretaker('verify', '--backup', backup);
    expect([code, report.outcome, report.error?.code]).toEqual([1, 'failed', 'drill-failed']);
    expect(report.error?.message).toMatch(reason);
    expect(await everything()).toEqual(before);
    expect(await app.leftovers()).toEqual([]);
    const listed = (await app.succeeds('list')).backups?.find(({ name }) => name === backup);
    expect(listed).toMatchObject({ proven: { level: 'databases', ok: false } });
  }

  async function database(): Promise<string> {
    return Object.entries(await app.containers()).find(([service]) => service === 'database')?.[1].id ?? '';
  }

  async function sql(query: string): Promise<string> {
    return succeeded(
      await app.engine('exec', await database(), 'psql', '-U', 'usonline', '-d', 'usonline', '-Atc', query),
    ).trim();
  }
});

describe.each([
  ['USO on rootless Podman with podman-compose 1.0.3', () => rootless('1.0.3'), 'uso'],
  ['MedCATtrainer on Docker as a member of group docker', () => docker('member-of-group-docker'), 'medcattrainer'],
] as const)('A drill of %s', (_, hostOf, fixture) => {
  test('brings the application up beside itself', async () => {
    const app = await Deployment.create(hostOf(), fixture);
    try {
      await app.write(5);
      await app.succeeds('backup');
      const containers = await app.containers();
      const { verify } = await app.succeeds('verify', '--proof', 'application', '--health-timeout', '90s');
      expect(verify?.proven.join('\n')).toMatch(
        fixture === 'uso' ? /amcheck[^]*\/health: 200/ : /rows in \d+ tables[^]*\/health: 200/,
      );
      expect(await app.containers()).toEqual(containers);
      expect(await app.leftovers()).toEqual([]);
    } finally {
      await app.destroy();
    }
  });
});
