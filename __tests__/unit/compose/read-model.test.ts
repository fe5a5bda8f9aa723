import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { configArgv } from '../../../src/compose/command-line.ts';
import { defaultComposeFiles, projectNameOf } from '../../../src/compose/compose-files.ts';
import { errorTexts, renderErrors } from '../../../src/report/errors-text.ts';
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

  test('a value that is no template stays out of the message: it may be a password', async () => {
    const [file = ''] = await write({ 'compose.yaml': 'services: {a: {environment: {PASSWORD: "sesame${open"}}}\n' });
    const docker = new FakeProcesses({
      [configArgv(dockerDialect, project([file])).join(' ')]: failsWith(
        'invalid interpolation format for services.a.environment.PASSWORD.',
        'You may need to escape any $ with another $.',
        'sesame${open',
      ),
    });
    const failures = [
      await readModel(dockerDialect, project([file]), docker, {}).catch((error: unknown) => error),
      await readModel(oldPodmanDialect, project([file]), new FakeProcesses(), {}).catch((error: unknown) => error),
    ];
    const [byDocker = '', byUs = ''] = failures.map((error) => renderErrors(errorTexts(error)));
    expect(byDocker).toContain('services.a.environment.PASSWORD is an invalid template');
    expect(byUs).toMatch(/compose\.yaml at line 1, column \d+: invalid template/);
    expect(byDocker + byUs).not.toContain('sesame');
  });

  test.each([
    ['line 3: unterminated quoted value "sesame', 'line 3: unterminated quoted value'],
    ['line 3: unexpected character "@" in variable name "sesame@x=y"', 'line 3: unexpected character'],
    ['line 3: key cannot contain a space', 'line 3: key cannot contain a space'],
    ['line 3: something of "sesame" that is new', 'line 3'],
    ['Invalid template: "${sesame"', 'Invalid template'],
    ['required variable NEED is missing a value', 'required variable NEED is missing a value'],
    ['open /srv/app/envs/env: permission denied', 'open /srv/app/envs/env: permission denied'],
  ])('of an env file that says %j only the place and the kind of mistake are told', async (said, told) => {
    const [file = ''] = await write({ 'compose.yaml': 'services: {a: {image: x, env_file: envs/env}}\n' });
    const processes = new FakeProcesses({
      [configArgv(dockerDialect, project([file])).join(' ')]: failsWith(`failed to read /srv/app/envs/env: ${said}`),
    });
    const error = await readModel(dockerDialect, project([file]), processes, {}).catch((one: unknown) => one);
    expect(error).toMatchObject({
      code: 'env-file-invalid',
      message: `failed to read the env file /srv/app/envs/env: ${told}`,
    });
    expect(renderErrors(errorTexts(error))).not.toContain('sesame');
  });

  test('nor is quoted what Compose says of the YAML of a file that another includes', async () => {
    const [file = ''] = await write({ 'compose.yaml': 'include: [other.yaml]\nservices: {a: {image: x}}\n' });
    const processes = new FakeProcesses({
      [configArgv(dockerDialect, project([file])).join(' ')]: failsWith(
        "failed to parse /srv/app/other.yaml: yaml: unknown anchor 'sesame' referenced",
      ),
    });
    const error = await readModel(dockerDialect, project([file]), processes, {}).catch((one: unknown) => one);
    const shown = renderErrors(errorTexts(error));
    expect(shown).toContain('failed to parse /srv/app/other.yaml: yaml: unknown anchor [compose-file-invalid]');
    expect(shown).not.toContain('sesame');
  });
});

describe('what would be read without end is refused before Compose reads it', () => {
  const text = 'services: {web: {image: app}}\n';
  const endless = async (name: string): Promise<void> => {
    await mkdir(dirname(join(directory, name)), { recursive: true });
    await symlink('/dev/zero', join(directory, name));
  };
  const refused = async (files: readonly string[], code: string, named: string): Promise<void> => {
    for (const dialect of [dockerDialect, podmanDialect]) {
      const processes = new FakeProcesses();
      await expect(readModel(dialect, project(files), processes, {})).rejects.toMatchObject({
        code,
        message: expect.stringContaining(join(directory, named)) as unknown,
      });
      expect(processes.calls).toEqual([]);
    }
  };

  test.each<[string, (file: string) => unknown]>([
    ['a device', (file) => symlink('/dev/zero', file)],
    ['a pipe', (file) => execFileSync('mkfifo', [file])],
    ['a huge file', async (file) => (await writeFile(file, text), await truncate(file, 2 ** 32))],
  ])('a compose file that is %s', async (_what, make) => {
    const [file = ''] = await write({ 'compose.yaml': text });
    const override = join(directory, 'compose.override.yaml');
    await make(override);
    await refused([file, override], 'compose-file-invalid', 'compose.override.yaml');
    await expect(readProfiles([override])).rejects.toMatchObject({ code: 'compose-file-invalid' });
    await expect(projectNameOf(dockerDialect, [override], directory, {}, {})).rejects.toMatchObject({
      code: 'compose-file-invalid',
    });
  });

  test.each([
    ['include: [other/part.yaml]\n'],
    ['include: [{path: other/part.yaml}]\n'],
    ['services: {web: {extends: {file: other/part.yaml, service: a}}}\n'],
  ])('a file that it names: %s', async (more) => {
    const [file = ''] = await write({ 'compose.yaml': more });
    await endless('other/part.yaml');
    await refused([file], 'compose-file-invalid', 'other/part.yaml');
  });

  test.each([
    ['services: {web: {image: app, env_file: other/env}}\n', 'other/env'],
    ['services: {web: {image: app, label_file: other/labels}}\n', 'other/labels'],
    ['include: [{path: other/part.yaml, env_file: other/env}]\n', 'other/env'],
    ['include: [other/part.yaml]\n', 'other/.env'],
    [text, '.env'],
  ])('a file of variables: %s', async (content, named) => {
    const [file = ''] = await write({ 'compose.yaml': content, 'other/part.yaml': text });
    await endless(named);
    await refused([file], 'env-file-invalid', named);
  });

  test('but not a device that ends, a pipe of variables, and what only Compose knows to read', async () => {
    const [file = ''] = await write({
      'compose.yaml':
        'include: ["https://example.org/part.git"]\nservices: {web: {image: app, env_file: [/dev/null, pipe, missing]}}\n',
    });
    execFileSync('mkfifo', [join(directory, 'pipe')]);
    const argv = configArgv(dockerDialect, project([file])).join(' ');
    const processes = new FakeProcesses({ [argv]: '{"services": {"web": {"image": "app"}}}' });
    const model = await readModel(dockerDialect, project([file]), processes, {});
    expect(model.services.map(({ image }) => image)).toEqual(['app']);
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
    const { all: files } = await filesOfModel([file], (name) => ({ SUB: 'sub' })[name]);
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
