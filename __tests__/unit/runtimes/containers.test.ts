import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { parseContainers, parseHealthCheck, parseLogFile } from '../../../src/runtimes/containers.ts';
import type { RuntimeName } from '../../../src/runtimes/runtime.ts';

const recorded = (engine: RuntimeName): string =>
  readFileSync(
    new URL(`fixtures/inspect-${{ docker: 'docker-20.10', podman: 'podman-4.3' }[engine]}.json`, import.meta.url),
    'utf8',
  );

interface Raw {
  State: { Status: string };
  HostConfig: { RestartPolicy: { Name: string } };
  Config: { Labels: Record<string, string> };
}

/** The first recorded container with something changed. */
function changed(engine: RuntimeName, change: (raw: Raw) => void): ReturnType<typeof parseContainers>[number] {
  const [raw] = JSON.parse(recorded(engine)) as [Raw];
  change(raw);
  return parseContainers(JSON.stringify([raw]), engine)[0]!;
}

describe.each(['docker', 'podman'] as const)('%s’s inspect', (engine) => {
  test('a running container, whole', () => {
    const [db] = parseContainers(recorded(engine), engine);
    expect(db).toMatchObject({
      id: expect.stringMatching(/^[0-9a-f]{64}$/),
      name: `rtfix-${engine}`,
      service: 'db',
      state: 'running',
      exitCode: undefined,
      restartCount: 0,
      startedAt: expect.stringMatching(/^2026-11-24T07:\d\d:\d\d\.\d{3}Z$/),
      health: 'starting',
      imageName: 'localhost/caretaker-test/base:1',
      imageId: 'sha256:d67d3cc398f609edb5287f1509136452e8176ef6ed70c70fbf46817c5ec544d9',
      command: ['/usr/bin/tini', '--', 'sleep', '1000'],
      user: '70:70',
      oneOff: false,
    });
    expect(db!.env).toMatchObject({ POSTGRES_PASSWORD: 'not-a-secret', GREETING: 'a=b' });
    expect(db!.mounts).toHaveLength(2);
    expect(db!.mounts).toEqual(
      expect.arrayContaining([
        {
          type: 'volume',
          volume: `rtfixvol-${engine}`,
          source: expect.stringMatching(/\/volumes\/rtfixvol-\w+\/_data$/),
          target: '/var/lib/postgresql/data',
          writable: true,
        },
        { type: 'bind', volume: undefined, source: '/etc/hostname', target: '/etc/shop-name', writable: false },
      ]),
    );
    expect(db!.ports).toContainEqual({
      hostIp: '127.0.0.1',
      hostPort: expect.any(Number),
      containerPort: 5432,
      protocol: 'tcp',
    });
    expect(db!.ports).toContainEqual({
      hostIp: '0.0.0.0',
      hostPort: expect.any(Number),
      containerPort: 53,
      protocol: 'udp',
    });
  });

  test('one that ended keeps its code and its ports; one that never ran has neither code nor start', () => {
    const [, ended, created] = parseContainers(recorded(engine), engine);
    expect(ended).toMatchObject({
      service: `rtfix2-${engine}`,
      state: 'stopped',
      exitCode: 3,
      health: null,
      ports: [{ hostIp: '127.0.0.1', hostPort: 18999, containerPort: 80, protocol: 'tcp' }],
    });
    expect(created).toMatchObject({ state: 'created', exitCode: undefined, startedAt: undefined, health: null });
  });

  test('its health check is the command that the engine would run', () => {
    expect(parseHealthCheck(recorded(engine), engine)).toEqual({
      argv: ['/bin/sh', '-c', 'test -e /tmp/ok'],
      timeoutMs: 3000,
    });
  });

  test('what is not JSON is said to be no answer', () => {
    expect(() => parseContainers('Emulate Docker CLI', engine)).toThrow(
      expect.objectContaining({ code: 'engine-failed' }),
    );
  });
});

test('Podman’s moment between two starts is restarting, its end is stopped', () => {
  const stateWith = (status: string, policy: string): string =>
    changed('podman', (raw) => {
      raw.State.Status = status;
      raw.HostConfig.RestartPolicy.Name = policy;
    }).state;
  expect(stateWith('stopped', 'always')).toBe('restarting');
  expect(stateWith('stopped', '')).toBe('stopped');
  expect(stateWith('exited', 'always')).toBe('stopped');
  expect(stateWith('stopping', '')).toBe('running');
});

test('a container of "compose run" is a one-off', () => {
  const withLabel = (value: string): boolean =>
    changed('docker', (raw) => (raw.Config.Labels['com.docker.compose.oneoff'] = value)).oneOff;
  expect([withLabel('True'), withLabel('False')]).toEqual([true, false]);
});

describe('the end of a log file', () => {
  const log = [
    '2026-11-24T06:55:27.3+00:00 stdout F one',
    '2026-11-24T06:55:27.3+00:00 stdout P rea',
    '2026-11-24T06:55:27.4+00:00 stderr F oh  no',
    '2026-11-24T06:55:27.6+00:00 stdout F dy',
    '2026-11-24T06:55:28.1+00:00 stdout F ',
    '2026-11-24T06:55:28.1+00:00 stdout P unfinished',
    '',
  ].join('\n');

  test('joins the pieces of a line, each output for itself', () => {
    expect(parseLogFile(log, 10, true)).toBe('one\noh  no\nready\n\nunfinished');
  });
  test('keeps the last lines only, and not a line whose beginning was cut off', () => {
    expect(parseLogFile(log, 3, true)).toBe('ready\n\nunfinished');
    expect(parseLogFile(`55:27.3+00:00 stdout F half\n${log}`, 10, false)).toBe(parseLogFile(log, 10, true));
  });
});
