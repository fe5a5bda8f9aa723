import path from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { as, Deployment, hostsInTurn, succeeded, treeOf } from '../modes/harness.ts';

jest.setTimeout(300_000);

const stack = 'docker-compose.yml';
const server = 'usonline/server.py';
/** The database is the service `postgres`, on the same data. */
const renamed = `sed -i -e 's/^  database:/  postgres:/' -e 's/- database$/- postgres/' -e 's/^      BAD_RELEASE:/      DATABASE_HOST: postgres\\n&/' ${stack}`;
const moved = `sed -i 's|./database:|./pgdata:|' ${stack}`;
const worker = `printf '  queue:\\n    image: localhost/caretaker-test/base:1\\n    restart: always\\n    depends_on: [postgres]\\n    command: ["sleep", "1000"]\\n' >>${stack}`;

describe.each(hostsInTurn())('a version with other services, on %s', (_, hostOf) => {
  const host = hostOf();
  let app: Deployment;
  /** Runs under the project's name, and no compose file has it. */
  const orphan = (): string => `${app.facts.project}_leftover`;

  beforeAll(async () => {
    app = await Deployment.create(host, 'uso', ['--clone']);
    const labels = [
      ['com.docker.compose.project', app.facts.project],
      ['com.docker.compose.service', 'leftover'],
      ['com.docker.compose.oneoff', 'False'],
    ].flatMap(([name, value]) => ['--label', `${name}=${value}`]);
    succeeded(
      await as(host, [
        ...[host.engine, 'run', '--detach', '--name', orphan(), ...labels, '--restart', 'always'],
        ...['--volume', `${path.join(app.facts.instance, 'local')}:/seen`],
        ...['--entrypoint', 'sleep', 'localhost/caretaker-test/base:1', '100000'],
      ]),
    );
    await app.write(3);
  });
  afterAll(async () => {
    if (app === undefined) return;
    await app.engine('rm', '--force', orphan());
    await app.destroy();
  });

  const serving = async (): Promise<readonly string[]> =>
    Object.entries(await app.containers()).map(([service, { running }]) => `${service} ${running ? 'runs' : 'rests'}`).sort(); // prettier-ignore

  async function stateOf(): Promise<object> {
    return {
      dump: await app.dump(),
      local: treeOf(path.join(app.facts.instance, 'local')),
      checkout: app.checkout(),
      serving: await serving(),
    };
  }
  const whole = async (version: string): Promise<void> =>
    expect(JSON.parse((await app.get('/invariant')).body)).toMatchObject({ ok: true, version });

  test('that is not healthy leaves the old ones serving, and what is nobody’s', async () => {
    await app.make(
      'release',
      'v1.1.0',
      'edit',
      `${renamed}; ${worker}; sed -i '1i raise SystemExit("no settings")' ${server}`,
    );
    const before = await stateOf();
    expect(await serving()).toEqual(['database runs', 'leftover runs', 'web runs']);
    const { report } = await app.caretaker('update', '--ref', 'v1.1.0', '--health-timeout', '8s', '--build', 'auto');
    expect([report.outcome, report.error?.code]).toEqual(['rolled-back', 'unhealthy']);
    expect(await stateOf()).toEqual(before);
    await whole('v1.0.0');
    expect(await app.leftovers()).toEqual([]);
  });

  test('that is not healthy is left for a dump of the old database server', async () => {
    const before = await stateOf();
    const lines = 'type=postgres,service=database,method=dump\ntype=directory,path=local';
    const { report } = await app.caretaker('update', '--ref', 'v1.1.0', '--health-timeout', '8s', '--build', 'auto', '--data', lines); // prettier-ignore
    expect([report.outcome, report.error?.code]).toEqual(['rolled-back', 'unhealthy']);
    expect(await stateOf()).toEqual(before);
    await whole('v1.0.0');
  });

  test('never runs beside those that it has no more, which go when it is kept', async () => {
    await app.make('release', 'v1.1.1', 'edit', renamed);
    const dump = await app.dump();
    await app.succeeds('update', '--ref', 'v1.1.1', '--build', 'auto');
    expect(await serving()).toEqual(['leftover runs', 'postgres runs', 'web runs']);
    expect(await app.dump()).toBe(dump);
    await whole('v1.1.1');
    await app.write(1);
  });

  test('is left by a rollback, with its data, for the old services', async () => {
    await app.succeeds('rollback', '--with-data', 'true', '--confirm', app.facts.project);
    expect(await serving()).toEqual(['database runs', 'leftover runs', 'web runs']);
    await whole('v1.0.0');
    await app.write(1);
    expect(await app.leftovers()).toEqual([]);
  });

  test('and other places for its data is left for the old places', async () => {
    await app.make('release', 'v1.1.2', 'edit', `${renamed}; ${moved}; ${worker}`);
    const before = await stateOf();
    await app.succeeds('update', '--ref', 'v1.1.2', '--build', 'auto', '--migrate-command', 'mv database pgdata');
    expect(await serving()).toEqual(['leftover runs', 'postgres runs', 'queue runs', 'web runs']);
    await app.write(2);
    const { warnings } = await app.succeeds('rollback', '--with-data', 'true', '--confirm', app.facts.project);
    expect(warnings).toContainEqual(expect.stringMatching(/pgdata stays as it is/));
    expect(await stateOf()).toEqual(before);
    await whole('v1.0.0');
    await app.write(1);
  });

  test('that fails where the application was down leaves nothing that would be started by hand', async () => {
    await app.make('down');
    await app.engine('stop', orphan());
    await app.make('release', 'v1.1.3', 'edit', `sed -i '1i raise SystemExit("no settings")' ${server}`);
    const { report } = await app.caretaker('update', '--ref', 'v1.1.3', '--health-timeout', '8s', '--build', 'auto');
    expect([report.outcome, report.error?.code]).toEqual(['rolled-back', 'unhealthy']);
    expect((await serving()).filter((line) => !line.startsWith('leftover'))).toEqual([]);
    await app.make('up');
    await whole('v1.0.0');
  });
});
