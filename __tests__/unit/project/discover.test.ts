import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { discoverProject } from '../../../src/project/discover.ts';
import type { DiscoverOptions } from '../../../src/project/discover.ts';
import type { Container } from '../../../src/runtimes/runtime.ts';
import type { Project } from '../../../src/project/project.ts';
import { fakeClock, FakeLog, FakeProcesses, FakeRuntime } from '../compose/fakes.ts';
import { container, FakeFiles } from './fakes.ts';

let directory: string;
beforeEach(async () => {
  directory = join(await realpath(await mkdtemp(join(tmpdir(), 'discover-'))), 'shop');
  await mkdir(directory);
  await writeFile(join(directory, 'compose.yaml'), 'services: {web: {image: x}, tool: {image: t, profiles: [dev]}}\n');
});
afterEach(() => rm(dirname(directory), { recursive: true }));

const programs = {
  docker: { 'docker compose version --short': '2.40.3\n' },
  podman: { 'podman-compose version': 'podman-compose version 1.6.0\n' },
  old: { 'podman-compose version': 'podman-composer version  1.0.3\n' },
};

function labelled(more: Record<string, string> = {}, state: Container['state'] = 'running'): Container {
  return container('web', {
    state,
    labels: {
      'com.docker.compose.project': 'shop',
      'com.docker.compose.project.working_dir': directory,
      'com.docker.compose.project.config_files': join(directory, 'compose.yaml'),
      ...more,
    },
  });
}

function discover(
  there: { docker?: Container[]; podman?: Container[]; answers?: Record<string, string>; log?: FakeLog },
  options: Partial<DiscoverOptions> = {},
): Promise<Project> {
  const runtimes = [
    ...(there.docker === undefined ? [] : [new FakeRuntime('docker', there.docker)]),
    ...(there.podman === undefined ? [] : [new FakeRuntime('podman', there.podman)]),
  ];
  return discoverProject(
    { directory, composeFiles: [], profiles: [], envFiles: [], engine: 'auto', ...options },
    {
      processes: new FakeProcesses(there.answers ?? { ...programs.docker, ...programs.podman }),
      log: there.log ?? new FakeLog(),
      clock: fakeClock,
      environment: {},
      runtimes: () => Promise.resolve(runtimes.map((runtime) => runtime.asRuntime())),
      hostFiles: () => Promise.resolve(new FakeFiles([]).asHostFiles()),
    },
  );
}
const engineOf = (project: Project): string | undefined => project.engine?.compose.dialect.name;

describe('choosing the engine', () => {
  test('the one that runs the project now, though the other is installed and has it stopped', async () => {
    const project = await discover({ docker: [labelled({}, 'stopped')], podman: [labelled()] });
    expect(engineOf(project)).toBe('podman-compose');
    expect(engineOf(await discover({ docker: [labelled()], podman: [] }))).toBe('docker-compose-v2');
  });

  test('both run it: asks, and takes the answer', async () => {
    const both = { docker: [labelled()], podman: [labelled()] };
    await expect(discover(both)).rejects.toMatchObject({ code: 'engine-ambiguous', input: 'engine' });
    expect(engineOf(await discover(both, { engine: 'podman-compose' }))).toBe('podman-compose');
  });

  test('nothing exists: Docker before Podman, and only what answers', async () => {
    expect(engineOf(await discover({ docker: [], podman: [] }))).toBe('docker-compose-v2');
    expect(engineOf(await discover({ podman: [] }))).toBe('podman-compose');
  });

  test('nothing answers, or not what was asked for', async () => {
    await expect(discover({})).rejects.toMatchObject({
      code: 'no-engine',
      message: expect.stringMatching(/does not answer to this user/) as unknown,
    });
    await expect(discover({ docker: [], answers: {} })).rejects.toMatchObject({ code: 'no-engine' });
    await expect(discover({ docker: [] }, { engine: 'podman-compose' })).rejects.toMatchObject({
      code: 'engine-missing',
    });
    await expect(discover({ docker: [] }, { engine: 'kubernetes' })).rejects.toMatchObject({ code: 'engine-missing' });
  });

  test("somebody else's project of the same name is not ours", async () => {
    const other = labelled({ 'com.docker.compose.project.working_dir': '/srv/other/shop' });
    expect(engineOf(await discover({ docker: [], podman: [other] }))).toBe('docker-compose-v2');
    const unlabelled = container('web', { labels: { 'com.docker.compose.project': 'shop' } });
    expect(engineOf(await discover({ docker: [], podman: [unlabelled] }))).toBe('podman-compose');
  });

  test('two projects of one directory: asks for the name', async () => {
    const two = { docker: [labelled(), { ...labelled({ 'com.docker.compose.project': 'staging' }), id: 'other' }] };
    await expect(discover(two)).rejects.toMatchObject({ code: 'project-ambiguous', input: 'project-name' });
    expect((await discover(two, { projectName: 'staging' })).name).toBe('staging');
  });
});

describe('choosing files, name and profiles', () => {
  test('the containers know better than the defaults', async () => {
    await writeFile(join(directory, 'prod.yaml'), 'services: {web: {image: x}}\n');
    await writeFile(join(directory, 'prod.env'), 'A=1\n');
    const project = await discover({
      docker: [
        labelled({
          'com.docker.compose.project': 'elsewise',
          'com.docker.compose.project.config_files': join(directory, 'prod.yaml'),
          'com.docker.compose.project.environment_file': join(directory, 'prod.env'),
        }),
      ],
    });
    expect(project.name).toBe('elsewise');
    expect(project.engine?.compose.files).toEqual([join(directory, 'prod.yaml')]);
    expect(await project.configurationFiles()).toContain(join(directory, 'prod.env'));
  });

  test("podman-compose's label is relative to where the administrator stood", async () => {
    const project = await discover({
      podman: [labelled({ 'com.docker.compose.project.config_files': 'compose.yaml' })],
    });
    expect(project.engine?.compose.files).toEqual([join(directory, 'compose.yaml')]);
  });

  test('files that are gone, and files that were given', async () => {
    const gone = labelled({ 'com.docker.compose.project.config_files': '/srv/gone.yaml' });
    expect((await discover({ docker: [gone] })).engine?.compose.files).toEqual([join(directory, 'compose.yaml')]);
    await writeFile(join(directory, 'mine.yaml'), 'services: {web: {image: x}}\n');
    const given = await discover({ docker: [labelled()] }, { composeFiles: ['mine.yaml'] });
    expect(given.engine?.compose.files).toEqual([join(directory, 'mine.yaml')]);
    await expect(discover({ docker: [] }, { composeFiles: ['nope.yaml'] })).rejects.toMatchObject({
      code: 'compose-file-missing',
    });
  });

  test('a compose file in a folder below, whose containers carry that folder', async () => {
    await mkdir(join(directory, 'deploy'));
    await writeFile(join(directory, 'deploy/compose.yaml'), 'services: {web: {image: x}}\n');
    const below = labelled({
      'com.docker.compose.project': 'deploy',
      'com.docker.compose.project.working_dir': join(directory, 'deploy'),
    });
    const project = await discover({ docker: [], podman: [below] }, { composeFiles: ['deploy/compose.yaml'] });
    expect([project.name, engineOf(project)]).toEqual(['deploy', 'podman-compose']);
  });

  test('a directory reached by a link', async () => {
    const link = join(dirname(directory), 'link');
    await symlink(directory, link);
    const asWritten = labelled({ 'com.docker.compose.project.working_dir': link });
    const project = await discover({ docker: [], podman: [asWritten] }, { directory: link });
    expect([project.directory, engineOf(project)]).toEqual([directory, 'podman-compose']);
  });

  test('what is not there', async () => {
    await expect(discover({ docker: [] }, { directory: '/no/such/place' })).rejects.toMatchObject({
      code: 'directory-missing',
    });
    await rm(join(directory, 'compose.yaml'));
    await expect(discover({ docker: [] })).rejects.toMatchObject({ code: 'compose-file-missing' });
    await writeFile(join(directory, 'compose.yaml'), 'services: {web: {image: x}}\n');
    await expect(discover({ docker: [] }, { envFiles: ['no.env'] })).rejects.toMatchObject({
      code: 'env-file-missing',
    });
  });

  test('a profile whose service runs is active without being asked for', async () => {
    const log = new FakeLog();
    await discover({ docker: [labelled(), { ...labelled(), id: 't', service: 'tool' }], log });
    expect(log.lines.join('\n')).toMatch(/profile dev is active: its service tool runs/);
  });

  test('podman-compose 1.0.3 is not asked for what it would ignore', async () => {
    await writeFile(join(directory, 'prod.env'), '');
    const old = { podman: [] as Container[], answers: programs.old };
    await expect(discover(old, { envFiles: ['prod.env'] })).rejects.toMatchObject({ code: 'env-files-unsupported' });
    await expect(discover(old, { profiles: ['dev'] })).rejects.toMatchObject({ code: 'profiles-unsupported' });
  });
});
