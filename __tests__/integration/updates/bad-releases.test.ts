import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { nextMajor, releases, thingsOf, type Things, type Trouble } from './bad-releases.ts';
import { inTurn } from '../../turn.ts';
import { as, Deployment, docker, rootless, treeOf } from '../modes/harness.ts';

jest.setTimeout(300_000);

describe.each([
  ['Docker as root', () => docker('root'), 0],
  ['rootless Podman', () => rootless('1.6.0'), 1],
] as const)('USO on %s: of a release', (_, hostOf, shift) => {
  let app: Deployment;
  let port: Server;
  let trouble: Trouble;
  let found: Things;
  const spool = (): string => path.join(app.facts.instance, 'spool');

  beforeAll(async () => {
    app = await Deployment.create(hostOf(), 'uso', ['--clone']);
    port = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => port.once('listening', resolve));
    trouble = { taken: (port.address() as AddressInfo).port, nextMajor: `localhost/${app.facts.image}-postgres:18` };
    await nextMajor(app, trouble.nextMajor);
    // A disk of its own, so that a full one hurts nobody else.
    await app.make('down');
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m,mode=777', 'tmpfs', spool()]);
    await as(app.host, ['sh', '-c', 'head -c 2000000 /dev/urandom >"$1"/queue', 'sh', spool()]);
    await app.make('up');
    await app.write(5);
    found = await thingsOf(app);
  });
  afterAll(async () => {
    port?.close();
    if (app === undefined) return;
    await app.engine('rmi', '--force', trouble.nextMajor);
    await app.make('down');
    execFileSync('umount', [spool()]);
    await app.destroy();
  });

  /** What a user would find of his application: data, files, code, and what serves. */
  async function stateOf(): Promise<object> {
    return {
      dump: await app.dump(),
      local: treeOf(path.join(app.facts.instance, 'local')),
      // Its entries are exchanged inside it, since a mount point can't be renamed: its own time is that of the exchange.
      spool: treeOf(spool()).replace(/^(\.\|d\|.*\|)[\d.]+\|$/m, '$1'),
      checkout: app.checkout(),
      version: (await app.get('/version')).body,
      health: (await app.get('/health')).status,
      serving: Object.entries(await app.containers()).map(([service, { image, running }]) => [service, image, running]),
    };
  }

  let number = 0;
  const tried = inTurn(Object.entries(releases), shift);
  test.each(tried)('that %s, nothing is left but the reason', async (_title, release) => {
    const tag = `v1.1.${number++}`;
    await app.make('release', tag, 'edit', release.edit(trouble));
    const [before, containers] = [await stateOf(), await app.containers()];
    const { code, report } = await app.caretaker(
      'update',
      ...[
        '--ref',
        tag,
        '--health-timeout',
        release.online === true && app.host.engine === 'podman' ? '30s' : '8s',
        ...(release.flags ?? ['--build', 'auto']),
      ],
    );

    expect([code, report.outcome, report.error?.code]).toEqual([
      1,
      release.untouched === true ? 'refused' : 'rolled-back',
      release.code,
    ]);
    expect(JSON.stringify([report.error, report.lastWords]).replaceAll('\\"', '"')).toMatch(release.reason);
    expect(await stateOf()).toEqual(before);
    if (release.early === true) expect([await app.containers(), report.downtimeSeconds ?? 0]).toEqual([containers, 0]);
    await app.write(1);
    expect(await app.leftovers()).toEqual([]);
  });

  test('nothing is left behind by all of them together', async () => {
    const { volumes = [], networks = [], files = [], ...others } = await thingsOf(app);
    const { project } = app.facts;
    // Only one of the releases brings things of its own, and it may not have been its turn.
    const its = (name: string): string[] =>
      tried.some(([, { edit }]) => edit(trouble).includes('queue: {}')) ? [name] : [];
    expect({ ...others, volumes, networks, files }).toEqual({
      ...found,
      // What holds data, or did, is never removed. Docker keeps an empty network as well.
      volumes: [...(found['volumes'] ?? []), ...its(`${project}_queue`)].sort(),
      // podman-compose removes one that nothing uses, with the containers.
      networks: [
        ...(found['networks'] ?? []),
        ...(app.host.engine === 'podman' ? [] : its(`${project}_backend`)),
      ].sort(),
      files: [...(found['files'] ?? []), ...its('pgdata')].sort(),
    });
    // The newest three of the safety backups, which those make that are found out only when the old version is stopped.
    const made = tried.filter(([, { early }]) => early !== true).length;
    const safety = path.join(app.state, 'safety');
    expect(readdirSync(safety).filter((name) => name.endsWith('.manifest.json'))).toHaveLength(Math.min(3, made));
    expect(existsSync(app.backups)).toBe(false);
  });

  test('a good one serves after all of them', async () => {
    await app.make('release', 'v1.2.0', 'good');
    const { outcome, update } = await app.succeeds('update', '--build', 'auto');
    expect([outcome, update?.from, update?.to]).toEqual(['done', 'v1.0.0', 'v1.2.0']);
    expect(JSON.parse((await app.get('/invariant')).body)).toMatchObject({ ok: true, version: 'v1.2.0' });
  });
});
