import { describe, expect, test } from '@jest/globals';
import { mergeComposeFiles, parseComposeFile, resolveExtends } from '../../../src/compose/compose-file.ts';
import { modelOf } from '../../../src/compose/model.ts';
import { errorTexts, renderErrors } from '../../../src/report/errors-text.ts';

const lookup = (name: string): string | undefined => ({ TAG: 'v2', DATA: './data' })[name];
const parse = (text: string): ReturnType<typeof parseComposeFile> =>
  parseComposeFile('/srv/app/compose.yaml', text, lookup);

describe('parseComposeFile', () => {
  test('resolves anchors, merge keys and variables', () => {
    const content = parse(`
x-common: &common
  restart: always
  image: app:\${TAG}
services:
  web:
    <<: *common
    command: ["echo", "$$HOME"]
`);
    expect(content['services']).toEqual({
      web: { restart: 'always', image: 'app:v2', command: ['echo', '$HOME'] },
    });
  });

  test.each([
    ['services: [', /compose\.yaml at line 1, column/],
    ['services:\n  a:\n    image: x\n   b: 3\n', /at line 4, column/],
    [
      'services:\n  a:\n    image: ${NEED:?set NEED}\n',
      /at line 3, column 12: required variable NEED is missing a value: set NEED/,
    ],
    ['services:\n  a: just-text\n', /at line 2, column 6: the service a is not a mapping/],
    ['- a\n- b\n', /not a mapping with services/],
    ['services:\n  a: !reset null\n', /at line 2/],
  ])('%j is refused with its place', (text, message) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ code: 'compose-file-invalid' }));
    expect(() => parse(text)).toThrow(message);
  });

  test.each([
    ['*s3cret', /at line 3, column 13: an alias/],
    ['|s3cret', /at line 3, column 1\d: something does not belong there/],
    ['>s3cret', /at line 3, column 1\d: something does not belong there/],
    ['!s3cret', /at line 3, column 13: .* tag/],
    ['!<s3cret', /at line 3, column 13: .* tag/],
    ['"s3\\cret"', /at line 3, column \d+: an escape/],
    ['"s3cret', /at line 4, column 1: .*quote/],
    ['[s3cret', /at line \d, column \d+: /],
    ['"a" s3cret', /at line 3, column 17: something does not belong there/],
    ['@s3cret', /at line 3, column 13: .*needs quotes/],
    ['x\n  <<: s3cret', /merge/],
  ])('the password %j is not quoted where it is no YAML', (password, message) => {
    let shown = '';
    try {
      parse(`services: {}\nx-env:\n  PASSWORD: ${password}\n`);
    } catch (error) {
      shown = renderErrors(errorTexts(error));
    }
    expect(shown).toContain('[compose-file-invalid]');
    expect(shown).toMatch(message);
    expect(shown).not.toMatch(/s3|cret/);
  });
});

describe('several files', () => {
  test('merge by the rules of Compose', () => {
    const merged = mergeComposeFiles([
      parse(`
services:
  web:
    image: app:1
    environment: {A: "1", B: "2"}
    volumes: ["./a:/data", "media:/media"]
    depends_on: [db]
    profiles: [x]
    healthcheck: {test: ["CMD", "true"], interval: 5s}
  db: {image: postgres}
volumes:
  media: {name: real-media}
`),
      parse(`
services:
  web:
    image: app:2
    environment: ["B=3", "C=4"]
    volumes: ["./b:/data:ro"]
    depends_on: {cache: {condition: service_healthy}}
    healthcheck: {interval: 9s}
  cache: {image: redis}
volumes:
  media:
`),
    ]);
    const model = modelOf(merged, 'app', '/srv/app');
    const web = model.services.find((service) => service.name === 'web');
    expect(web).toMatchObject({
      image: 'app:2',
      environment: { A: '1', B: '3', C: '4' },
      dependsOn: ['db', 'cache'],
      hasHealthCheck: true,
      profiles: ['x'],
    });
    expect(web?.volumes).toEqual([
      { type: 'bind', source: '/srv/app/b', target: '/data', readOnly: true },
      { type: 'volume', source: 'media', target: '/media', readOnly: false },
    ]);
    expect(model.volumes).toEqual({ media: { name: 'real-media', external: false } });
  });

  test('a volume that is a directory of the host by its driver_opts is that directory', () => {
    const volumes = ['local:/a', 'quota:/b', 'export:/c', 'other:/d', 'apart:/e:ro'];
    const none = { type: 'none', o: 'bind', device: '/srv/media' };
    const model = modelOf(
      {
        services: { web: { image: 'app', volumes } },
        volumes: {
          local: { driver: 'local', driver_opts: none },
          quota: { driver_opts: { size: '10G' } },
          export: { driver_opts: { type: 'nfs', o: 'addr=10.0.0.1,rw', device: ':/media' } },
          other: { driver: 'plugin', driver_opts: none },
          apart: { driver_opts: { ...none, o: 'rw,rbind' } },
        },
      },
      'app',
      '/srv/app',
    );
    expect(model.services[0]?.volumes).toEqual([
      { type: 'bind', source: '/srv/media', target: '/a', readOnly: false },
      { type: 'volume', source: 'quota', target: '/b', readOnly: false },
      { type: 'volume', source: 'export', target: '/c', readOnly: false },
      { type: 'volume', source: 'other', target: '/d', readOnly: false },
      { type: 'bind', source: '/srv/media', target: '/e', readOnly: true },
    ]);
  });

  test('extends takes over from this file and from another, and refuses a circle', async () => {
    const content = parse(`
services:
  base: {image: app, environment: {A: "1"}}
  web: {extends: base, environment: {B: "2"}}
  job: {extends: {file: common.yaml, service: worker}, restart: "no"}
`);
    const load = (): Promise<ReturnType<typeof parse>> =>
      Promise.resolve(parse('services: {worker: {image: worker, restart: always}}'));
    const model = modelOf(await resolveExtends(content, load), 'app', '/srv/app');
    expect(
      model.services.map(({ name, image, restart, environment }) => ({ name, image, restart, environment })),
    ).toEqual([
      { name: 'base', image: 'app', restart: undefined, environment: { A: '1' } },
      { name: 'web', image: 'app', restart: undefined, environment: { A: '1', B: '2' } },
      { name: 'job', image: 'worker', restart: 'no', environment: {} },
    ]);
    const circle = parse('services:\n  a: {extends: b}\n  b: {extends: a}\n');
    await expect(resolveExtends(circle, load)).rejects.toMatchObject({ code: 'compose-file-invalid' });
  });
});

describe('modelOf', () => {
  test('reads every way to write a volume', () => {
    const model = modelOf(
      parse(`
services:
  web:
    build: .
    restart: no
    stop_grace_period: 1m30s
    deploy: {replicas: 2}
    env_file: [a.env, {path: /etc/b.env, required: false}]
    tmpfs: /run/x:size=1m
    healthcheck: {disable: true, test: ["CMD", "true"]}
    volumes:
      - \${DATA}/x:/a
      - /abs:/b:ro,z
      - ~/home:/c
      - named:/d:rw
      - /anonymous
      - {type: bind, source: ./long, target: /e, read_only: true}
      - {type: volume, source: shared, target: /f}
      - {type: tmpfs, target: /g}
volumes:
  named:
  shared: {external: true}
  old: {external: {name: older}}
`),
      'app',
      '/srv/app',
    );
    const [web] = model.services;
    expect(web).toMatchObject({
      image: null,
      build: true,
      restart: 'no',
      stopGraceSeconds: 90,
      replicas: 2,
      hasHealthCheck: false,
      envFiles: ['/srv/app/a.env', '/etc/b.env'],
    });
    expect(web?.volumes.map(({ type, source, target, readOnly }) => `${type} ${source} ${target} ${readOnly}`)).toEqual(
      [
        'bind /srv/app/data/x /a false',
        'bind /abs /b true',
        expect.stringMatching(/^bind \/.+\/home \/c false$/) as unknown as string,
        'volume named /d false',
        'volume  /anonymous false',
        'bind /srv/app/long /e true',
        'volume shared /f false',
        'tmpfs  /g false',
        'tmpfs  /run/x false',
      ],
    );
    expect(model.volumes).toEqual({
      named: { name: 'app_named', external: false },
      shared: { name: 'shared', external: true },
      old: { name: 'older', external: true },
    });
  });

  test("podman-compose's YAML 1.1 makes false of an unquoted no", () => {
    expect(modelOf(parse('services: {job: {image: x, restart: false}}'), 'app', '/srv/app').services[0]?.restart).toBe(
      'no',
    );
  });

  test('a file without services is refused', () => {
    expect(() => modelOf({}, 'app', '/srv/app')).toThrow(/no service|find a service/);
  });
});
