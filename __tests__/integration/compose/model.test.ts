import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import type { ComposeModel } from '../../../src/compose/compose.ts';
import { detectDialects } from '../../../src/compose/dialects.ts';
import { readModel } from '../../../src/compose/read-model.ts';
import { hosts, Stack } from '../project/hosts.ts';

jest.setTimeout(120_000);

/** What all three must read alike: Compose's own reading is the measure of ours. */
const text = `
x-common: &common
  restart: always
  environment: &env {A: "1", PRICE: "5$$", WHO: "\${WHO:-nobody}"}
services:
  web:
    <<: *common
    image: "app:\${TAG:-latest}"
    build: {context: ./build, target: site, args: ["DATA=\${DATA}", B=2, A=1]}
    container_name: my_web
    environment: {<<: *env, B: "\${FROM_FILE}"}
    env_file: ["./web.env"]
    depends_on: [db]
    volumes:
      - ./data:/data
      - ./conf.d:/conf:ro
      - media:/media
      - {type: bind, source: ./long, target: /long, read_only: true}
      - type: volume
        source: shared
        target: /shared
  db:
    image: docker.io/library/postgres:17
    stop_grace_period: 1m30s
    healthcheck: {test: ["CMD", "pg_isready"]}
    volumes: ["\${DATA:-./database}:/var/lib/postgresql/data"]
volumes:
  media:
  shared: {external: true, name: shared-by-all}
`;

let stack: Stack;
beforeAll(async () => {
  const [docker] = hosts();
  if (docker === undefined) throw new Error('no host');
  stack = await Stack.create(docker, {
    'compose.yaml': text,
    '.env': 'FROM_FILE="from file"\nDATA=./database\n',
    'web.env': 'C=3\n',
    'build/Dockerfile': 'FROM scratch\n',
  });
});
afterAll(() => stack.remove());

/** Without what each leaves out by design: Docker Compose puts the env files' values into the environment. */
function comparable(model: ComposeModel): unknown {
  return {
    ...model,
    services: model.services
      .map((service) => {
        const { C: _fromEnvFile, ...environment } = service.environment;
        return { ...service, environment };
      })
      .sort((a, b) => a.name.localeCompare(b.name)),
  };
}

test('all dialects, and our own reading for the one without config, agree on the model', async () => {
  const models: Record<string, unknown> = {};
  for (const host of hosts()) {
    const dialect = (await detectDialects(host.processes)).find(({ name }) => name === host.dialect);
    if (dialect === undefined) throw new Error(`${host.title} is not here`);
    const project = { files: [`${stack.directory}/compose.yaml`], projectName: stack.name, profiles: [], envFiles: [] };
    models[host.title] = comparable(await readModel(dialect, project, host.processes, {}));
  }
  const [docker, ...others] = Object.values(models);
  expect(docker).toMatchObject({
    name: stack.name,
    volumes: {
      media: { name: `${stack.name}_media`, external: false },
      shared: { name: 'shared-by-all', external: true },
    },
    services: [
      { name: 'db', hasHealthCheck: true, stopGraceSeconds: 90, volumes: [{ source: `${stack.directory}/database` }] },
      {
        name: 'web',
        image: 'app:latest',
        build: true,
        buildOptions: {
          args: [
            ['A', '1'],
            ['B', '2'],
            ['DATA', './database'],
          ],
          dockerfile: 'Dockerfile',
          platforms: [],
          target: 'site',
        },
        containerName: 'my_web',
        dependsOn: ['db'],
        restart: 'always',
        environment: { A: '1', PRICE: '5$', WHO: 'nobody', B: 'from file' },
        envFiles: [`${stack.directory}/web.env`],
      },
    ],
  });
  for (const model of others) expect(model).toEqual(docker);
});
