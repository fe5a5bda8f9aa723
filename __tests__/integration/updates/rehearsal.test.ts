import { execFileSync } from 'node:child_process';
import { createServer, type AddressInfo, type Server } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { inTurn } from '../../turn.ts';
import { as, Deployment, docker, rootless } from '../modes/harness.ts';
import { nextMajor, releases, thingsOf, type Things, type Trouble } from './bad-releases.ts';

jest.setTimeout(300_000);

/** On a copy there is no small disk: it is ended before it has filled the large one, or never serves. */
const found = {
  'writes until the disk of its data is full': /disk: .* were written since it began|\/health: /,
} as const;

describe.each([
  ['Docker as root', () => docker('root'), 0],
  ['rootless Podman', () => rootless('1.6.0'), 1],
] as const)('USO on %s: rehearsed, a release', (engine, hostOf, shift) => {
  let app: Deployment;
  let port: Server;
  let trouble: Trouble;
  let before: Things;

  beforeAll(async () => {
    app = await Deployment.create(hostOf(), 'uso', ['--clone']);
    port = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => port.once('listening', resolve));
    trouble = { taken: (port.address() as AddressInfo).port, nextMajor: `localhost/${app.facts.image}-postgres:18` };
    await nextMajor(app, trouble.nextMajor);
    await as(app.host, [
      'sh',
      '-c',
      'head -c 2000000 /dev/urandom >"$1"/queue',
      'sh',
      path.join(app.facts.instance, 'spool'),
    ]);
    await app.write(5);
    before = await thingsOf(app);
  });
  afterAll(async () => {
    port.close();
    await app.destroy();
  });

  // Podman's network alone takes up to 40 s, and what differs between the engines is how a throwaway is made.
  const all = inTurn(Object.entries(releases), shift).filter(
    ([, { online }]) => online !== true || engine === 'Docker as root',
  );
  let number = 0;
  test.each(all)('that %s is refused, and nobody notices', async (title, release) => {
    const tag = `v1.1.${number++}`;
    await app.make('release', tag, 'edit', release.edit(trouble));
    const [containers, checkout] = [await app.containers(), app.checkout()];
    const writer = app.writer(20);
    const flags = release.flags ?? ['--build', 'auto'];
    const { code, report } = await app.caretaker(
      'update',
      '--rehearse',
      'true',
      '--ref',
      tag,
      '--health-timeout',
      '8s',
      ...flags,
    );
    const written = await writer.stop();

    const early = release.early === true;
    expect([code, report.outcome, report.error?.code]).toEqual([
      1,
      early && release.untouched !== true ? 'rolled-back' : 'refused',
      early ? release.code : 'rehearsal-failed',
    ]);
    const reason = title in found ? found[title as keyof typeof found] : release.reason;
    expect(JSON.stringify([report.error, report.lastWords]).replaceAll('\\"', '"')).toMatch(reason);
    expect(report.downtimeSeconds ?? 0).toBe(0);
    // As in a drill: seen once under Podman.
    expect(written.failed).toBeLessThanOrEqual(app.host.engine === 'podman' ? 1 : 0);
    expect(await app.containers()).toEqual(containers);
    expect(app.checkout()).toEqual(checkout);
    expect(await app.leftovers()).toEqual([]);
  });

  test('that is good passes, alone and before an update', async () => {
    await app.make('release', 'v1.2.0', 'good');
    const containers = await app.containers();
    const tried = await app.succeeds('rehearse', '--build', 'auto');
    expect([tried.outcome, tried.update?.to, tried.downtimeSeconds]).toEqual(['done', 'v1.2.0', undefined]);
    expect(tried.rehearsal?.seen.join('\n')).toMatch(/the start took .*\n(.*\n)*.*\/health: 200/);
    expect(await app.containers()).toEqual(containers);
    expect(await thingsOf(app)).toEqual(before);

    const { outcome, update, rehearsal } = await app.succeeds('update', '--rehearse', 'true', '--build', 'auto');
    expect([outcome, update?.from, update?.to]).toEqual(['done', 'v1.0.0', 'v1.2.0']);
    expect(rehearsal?.seen.length).toBeGreaterThan(2);
    expect(JSON.parse((await app.get('/invariant')).body)).toMatchObject({ ok: true, version: 'v1.2.0' });
    expect(execFileSync('find', [app.state, '-name', '*throwaway*'], { encoding: 'utf8' })).toBe('');
  });
});
