import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { configArgv } from '../../../src/compose/command-line.ts';
import { defaultComposeFiles, projectNameOf } from '../../../src/compose/compose-files.ts';
import { filesOfModel, readModel, readProfiles } from '../../../src/compose/read-model.ts';
import { dockerDialect, failsWith, FakeProcesses, oldPodmanDialect, podmanDialect } from './fakes.ts';

let directory: string;
beforeEach(async () => {
  directory = join(await mkdtemp(join(tmpdir(), 'compose-')), '_My.App');
  await mkdir(directory);
});
afterEach(() => rm(dirname(directory), { recursive: true }));

async function write(files: Record<string, string>): Promise<string[]> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(directory, name)), { recursive: true });
    await writeFile(join(directory, name), text);
  }
  return Object.keys(files).map((name) => join(directory, name));
}
const project = (files: readonly string[]) => ({ files, projectName: 'app', profiles: [], envFiles: [] as string[] });

describe('readModel', () => {
  test('reads by itself where the dialect has no config, .env before the environment as podman-compose 1.0.3 does', async () => {
    const [file = ''] = await write({
      'docker-compose.yml':
        'services:\n  db:\n    image: postgres:${PG:-17}\n    environment: {U: "${USERNAME}"}\n    volumes: ["${DATA:-./database}:/d"]\n',
      '.env': 'USERNAME=from-file\n',
    });
    const model = await readModel(oldPodmanDialect, project([file]), new FakeProcesses(), {
      USERNAME: 'job',
      PG: '16',
    });
    expect(model.name).toBe('app');
    expect(model.services[0]).toMatchObject({
      image: 'postgres:16',
      environment: { U: 'from-file' },
      volumes: [{ type: 'bind', source: join(directory, 'database'), target: '/d', readOnly: false }],
    });
  });

  test('includes are refused where they would be ignored', async () => {
    const [file = ''] = await write({ 'compose.yaml': 'include: [other.yaml]\nservices: {a: {image: x}}\n' });
    await expect(readModel(oldPodmanDialect, project([file]), new FakeProcesses(), {})).rejects.toMatchObject({
      code: 'compose-file-invalid',
    });
  });

  test("takes Docker Compose's word, with dollars unescaped and the env files' names from the file", async () => {
    const [file = ''] = await write({
      'compose.yaml': 'services:\n  web:\n    image: app\n    env_file: ["${DIR}/env"]\n',
      '.env': 'DIR=./envs\n',
    });
    const output = JSON.stringify({
      name: 'app',
      services: {
        web: { image: 'app', environment: { P: 'a$$b' }, depends_on: { db: { condition: 'service_started' } } },
      },
      volumes: { v: { name: 'app_v' } },
    });
    const processes = new FakeProcesses({ [configArgv(dockerDialect, project([file])).join(' ')]: output });
    const model = await readModel(dockerDialect, project([file]), processes, {});
    expect(model.services[0]).toMatchObject({
      environment: { P: 'a$b' },
      dependsOn: ['db'],
      envFiles: [join(directory, 'envs/env')],
    });
  });

  test("podman-compose's YAML has short volumes and extends in it", async () => {
    const [file = ''] = await write({ 'compose.yaml': 'services: {a: {image: x}}\n' });
    const output =
      'services:\n  base: {image: app, restart: always}\n  web:\n    extends: {service: base}\n    volumes: [./x:/y, "m:/m:ro"]\nvolumes: {m: null}\n';
    const processes = new FakeProcesses({ [configArgv(podmanDialect, project([file])).join(' ')]: output });
    const model = await readModel(podmanDialect, project([file]), processes, {});
    expect(model.services.find(({ name }) => name === 'web')).toMatchObject({
      image: 'app',
      restart: 'always',
      volumes: [
        { type: 'bind', source: join(directory, 'x') },
        { type: 'volume', source: 'm', readOnly: true },
      ],
    });
    expect(model.volumes['m']?.name).toBe('app_m');
  });

  test('a broken file is named with line and column, a wrong one in the words of the dialect', async () => {
    const [broken = '', wrong = ''] = await write({
      'broken.yaml': 'services:\n  a: [\n',
      'wrong.yaml': 'services: {a: {imagee: x}}\n',
    });
    const argv = configArgv(dockerDialect, project([wrong])).join(' ');
    const processes = new FakeProcesses({ [argv]: failsWith('services.a additional properties imagee not allowed') });
    await expect(readModel(dockerDialect, project([broken]), processes, {})).rejects.toThrow(
      /broken\.yaml at line \d+, column \d+/,
    );
    await expect(readModel(dockerDialect, project([wrong]), processes, {})).rejects.toMatchObject({
      code: 'compose-file-invalid',
      message: expect.stringContaining('imagee not allowed') as unknown,
    });
    await expect(readModel(dockerDialect, project([join(directory, 'no.yaml')]), processes, {})).rejects.toMatchObject({
      code: 'compose-file-missing',
    });
  });
});

describe('files of a project', () => {
  test('Docker Compose takes the first name with its override, podman-compose all that are there', async () => {
    await write({
      'docker-compose.yml': 'services: {}',
      'docker-compose.override.yml': 'services: {}',
      'compose.yml': 'services: {}',
      'compose.override.yaml': 'services: {}',
    });
    const names = async (dialect: typeof dockerDialect, environment = {}, envFile = {}): Promise<string[]> =>
      (await defaultComposeFiles(dialect, directory, environment, envFile)).map((path) =>
        path.slice(directory.length + 1),
      );
    expect(await names(dockerDialect)).toEqual(['compose.yml', 'compose.override.yaml']);
    expect(await names(podmanDialect)).toEqual([
      'compose.yml',
      'compose.override.yaml',
      'docker-compose.yml',
      'docker-compose.override.yml',
    ]);
    expect(await names(dockerDialect, {}, { COMPOSE_FILE: 'docker-compose.yml' })).toEqual(['docker-compose.yml']);
    await expect(names(dockerDialect, { COMPOSE_FILE: 'nope.yml' })).rejects.toMatchObject({
      code: 'compose-file-missing',
    });
  });

  test('lists includes, extended files and env files, with variables filled in', async () => {
    const [file = ''] = await write({
      'compose.yaml':
        'include: [{path: "${SUB}/a.yaml", env_file: sub/a.env}]\nservices: {web: {extends: {file: base.yaml, service: b}, env_file: ./envs/env}}\n',
      'sub/a.yaml':
        'services: {a: {env_file: inner.env}}\nsecrets: {key: {file: ./key.txt}, other: {environment: X}}\n',
      'base.yaml': 'services: {b: {image: x}}\n',
    });
    const files = await filesOfModel([file], (name) => ({ SUB: 'sub' })[name]);
    expect(files.map((path) => path.slice(directory.length + 1)).sort()).toEqual([
      'base.yaml',
      'compose.yaml',
      'envs/env',
      'sub/a.env',
      'sub/a.yaml',
      'sub/inner.env',
      'sub/key.txt',
    ]);
  });

  test('profiles are read from the file as written', async () => {
    const [file = ''] = await write({
      'compose.yaml': 'services: {web: {image: "${X:?}"}, tool: {image: t, profiles: [dev]}}\n',
    });
    expect(await readProfiles([file])).toEqual(
      new Map([
        ['web', []],
        ['tool', ['dev']],
      ]),
    );
  });
});

describe('projectNameOf', () => {
  test('follows the rules of each dialect', async () => {
    const [plain = '', named = ''] = await write({ 'a.yaml': 'services: {}', 'b.yaml': 'name: Named\nservices: {}' });
    const name = (dialect: typeof dockerDialect, file: string, environment = {}, envFile = {}): Promise<string> =>
      projectNameOf(dialect, [file], directory, environment, envFile);
    expect(await name(dockerDialect, plain)).toBe('myapp');
    expect(await name(podmanDialect, plain)).toBe('_myapp');
    expect(await name(dockerDialect, named)).toBe('named');
    expect(await name(dockerDialect, named, {}, { COMPOSE_PROJECT_NAME: 'fromfile' })).toBe('fromfile');
    expect(await name(dockerDialect, named, { COMPOSE_PROJECT_NAME: 'fromjob' }, { COMPOSE_PROJECT_NAME: 'x' })).toBe(
      'fromjob',
    );
    expect(await name(oldPodmanDialect, named, { COMPOSE_PROJECT_NAME: 'ignored' })).toBe('_myapp');
    expect(await name(podmanDialect, named)).toBe('amed');
    await expect(projectNameOf(dockerDialect, [plain], '/srv/--', {}, {})).rejects.toMatchObject({
      code: 'project-name-invalid',
    });
  });
});
