import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { as, Deployment, docker, hostsInTurn, succeeded, treeOf } from '../modes/harness.ts';

/* The machine is lost: what is left is a store with backups, and the repository. */

jest.setTimeout(420_000);

/** Takes away all that a new machine would not have: containers, networks, volumes, images, the project directory, the clone. */
async function lose(app: Deployment): Promise<void> {
  const { project, instance, source } = app.facts;
  const ids = await list(app, ['ps', '-aq', '--filter', `label=com.docker.compose.project=${project}`]);
  // Podman removes several at once, and fails where one goes before another that depends on it.
  const dependent = app.host.engine === 'podman' ? ['--depend', '--ignore'] : [];
  for (const id of ids) succeeded(await app.engine('rm', '-f', ...dependent, id));
  for (const name of await ownNames(app, 'volume')) succeeded(await app.engine('volume', 'rm', name));
  if (app.host.engine === 'podman') await app.engine('pod', 'rm', '-f', `pod_${project}`);
  for (const name of await ownNames(app, 'network')) await app.engine('network', 'rm', name);
  for (const name of await images(app)) succeeded(await app.engine('rmi', '-f', name));
  for (const directory of [instance, source]) rmSync(directory, { recursive: true, force: true });
}

async function list(app: Deployment, words: readonly string[]): Promise<string[]> {
  return succeeded(await app.engine(...words))
    .split('\n')
    .filter(Boolean);
}

async function ownNames(app: Deployment, what: 'volume' | 'network'): Promise<string[]> {
  const names = await list(app, [what, 'ls', '--format', '{{.Name}}']);
  return names.filter((name) => name.startsWith(`${app.facts.project}_`));
}

/** Names of the images that are this deployment's alone, and of those that its safety copies have. */
async function images(app: Deployment): Promise<string[]> {
  const names = await list(app, ['images', '--format', '{{.Repository}}:{{.Tag}}']);
  const { image, project } = app.facts;
  return names.filter((name) => name.includes(`:${project}.`) || (image !== undefined && name.includes(`${image}:`)));
}

/** Whatever of the deployment is on the host, but for the backups, the repository and the record of runs. */
async function left(app: Deployment): Promise<object> {
  const { instance } = app.facts;
  return {
    containers: await app.containers(),
    volumes: await ownNames(app, 'volume'),
    networks: await ownNames(app, 'network'),
    images: await images(app),
    files: existsSync(instance) ? readdirSync(instance).filter((name) => name !== '.caretaker') : [],
  };
}

const nothing = { containers: {}, volumes: [], networks: [], files: [] };

describe.each(hostsInTurn())('USO from an empty directory and a clone, on %s', (_, hostOf) => {
  const host = hostOf();
  let app: Deployment;
  let lost: object;
  const build = ['--build', './deploy/build-image.sh nginx'] as const;

  beforeAll(async () => {
    app = await Deployment.create(host, 'uso', ['--megabytes', '1']);
    await app.write(3);
    await app.succeeds('backup');
    lost = await state();
    // The repository has gone on since.
    await app.make('release', 'v1.1.0', 'good');
    await lose(app);
    const { source, origin, instance, image } = app.facts;
    await own(['git', 'clone', '-q', origin, source]);
    await own(['git', '-C', source, 'config', 'usonline.engine', host.engine]);
    await own(['git', '-C', source, 'config', 'usonline.image', image ?? '']);
    await own(['mkdir', instance]);
  });
  afterAll(() => app?.destroy());

  const own = async (argv: readonly string[]): Promise<string> => succeeded(await as(host, argv));

  async function state(): Promise<object> {
    const { instance } = app.facts;
    return {
      dump: await app.dump(),
      version: (await app.get('/version')).body,
      local: treeOf(path.join(instance, 'local')),
      files: ['docker-compose.yml', '.env', 'site.conf'].map((name) => readFileSync(path.join(instance, name), 'utf8')),
    };
  }

  test('what only can not mean is told before anything is written', async () => {
    const before = await left(app);
    const { report } = await app.caretaker('restore', '--confirm', '', ...build, '--only', 'nonsense');
    expect([report.outcome, report.error?.code]).toEqual(['refused', 'part-unknown']);
    expect(report.steps.map(({ name }) => name)).toEqual(['Choose the backup']);
    expect(await left(app)).toEqual(before);
  });

  test('a restore that does not become healthy leaves nothing', async () => {
    const before = await left(app);
    expect(before).toMatchObject(nothing);
    const commit = app.git('rev-parse', 'HEAD');
    const { report } = await app.caretaker(
      'restore',
      ...['--confirm', '', ...build, '--health', 'type=command,run=exit 1', '--health-timeout', '15s'],
    );
    expect([report.outcome, report.error?.code]).toEqual(['rolled-back', 'unhealthy']);
    // The build script gives its image a second name of its own.
    const { images: names, ...rest } = (await left(app)) as { images: string[] };
    expect(rest).toEqual(nothing);
    expect(names.filter((name) => !name.endsWith(':v1.0.0'))).toEqual([]);
    expect(app.git('rev-parse', 'HEAD')).toBe(commit);
    expect(await app.leftovers()).toEqual([]);
  });

  test('a restore brings all of it up: files, code, image, data', async () => {
    const report = await app.succeeds('restore', '--confirm', '', ...build);
    expect(report.restore?.safetyBackup).toBeUndefined();
    expect(await state()).toEqual(lost);
    expect(app.git('describe', '--tags')).toBe('v1.0.0');
    await app.write(1);
    expect(await app.leftovers()).toEqual([]);
    // And from now on there is something to lose.
    const again = await app.caretaker('restore', '--confirm', '', '--with-code', 'true');
    expect([again.report.outcome, again.report.error?.code]).toEqual(['refused', 'confirm-missing']);
    // The next release comes as if nothing had been.
    expect((await app.succeeds('update')).update).toMatchObject({ from: 'v1.0.0', to: 'v1.1.0' });
  });
});

describe('MedCATtrainer from a fresh clone, on Docker', () => {
  let app: Deployment;

  beforeAll(async () => {
    app = await Deployment.create(docker('root'), 'medcattrainer');
    await app.write(3);
  });
  afterAll(() => app?.destroy());

  test('code at the backup’s commit, .env, images by their digests, volumes that are Compose’s own', async () => {
    const { instance, origin, project } = app.facts;
    await app.succeeds('backup');
    const lost = [await app.dump(), treeOf(await app.volume('api-media'))];
    const environment = readFileSync(path.join(instance, '.env'), 'utf8');
    const used = Object.values(await app.containers()).map(({ image }) => image);
    await app.make('release', 'v2.12.0', 'good');
    await lose(app);
    for (const image of new Set(used)) await app.engine('rmi', '-f', image);
    succeeded(await as(app.host, ['git', 'clone', '-q', origin, instance]));

    const report = await app.succeeds('restore', '--confirm', '');
    expect([await app.dump(), treeOf(await app.volume('api-media'))]).toEqual(lost);
    expect(readFileSync(path.join(instance, '.env'), 'utf8')).toBe(environment);
    expect((await app.get('/version')).body).toContain('v2.11.2');
    expect(Object.values(await app.containers()).map(({ image }) => image)).toEqual(used);
    // What the administrator had changed in a tracked file is not git's, and not overwritten.
    expect(report.warnings.join()).toContain('envs/env is here with another content');
    const up = await as(app.host, ['docker', 'compose', 'up', '-d'], instance);
    expect([up.code, up.stderr]).toEqual([0, expect.not.stringContaining('not created by Docker Compose')]);
    expect(await app.leftovers()).toEqual([]);
    expect(project).toBe(report.project);
  });
});
