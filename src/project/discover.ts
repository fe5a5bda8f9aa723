import { realpath } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import type { Dialect } from '../compose/compose.ts';
import {
  composeFileMissing,
  defaultComposeFiles,
  exists,
  existingComposeFiles,
  projectNameOf,
} from '../compose/compose-files.ts';
import { createCompose, projectLabel } from '../compose/compose-program.ts';
import { detectDialects, dialectNames } from '../compose/dialects.ts';
import { projectDirectoryOf, readEnvFiles, readProfiles } from '../compose/read-model.ts';
import type { Environment } from '../compose/read-model.ts';
import { CaretakerError, messageOf } from '../errors.ts';
import type { Log } from '../report/log.ts';
import type { HostFiles } from '../runtimes/host-files.ts';
import type { Container, Runtime } from '../runtimes/runtime.ts';
import type { Clock } from '../system/clock.ts';
import type { Limits } from '../system/limits.ts';
import type { Processes } from '../system/processes.ts';
import { createComposeProject } from './compose-project.ts';
import type { Project } from './project.ts';

export interface DiscoverOptions {
  readonly directory: string;
  /** Relative to the directory or absolute; empty: those of the running project, else Compose's defaults. */
  readonly composeFiles: readonly string[];
  readonly projectName?: string | undefined;
  readonly profiles: readonly string[];
  /** Relative to the directory or absolute; empty: `.env`. */
  readonly envFiles: readonly string[];
  /** `auto`, or a dialect's name. */
  readonly engine: string;
}

export interface DiscoverDeps {
  readonly processes: Processes;
  readonly log: Log;
  readonly clock: Clock;
  readonly environment: Environment;
  readonly limits?: Limits;
  /** The engines that answer to this user. */
  readonly runtimes: () => Promise<readonly Runtime[]>;
  /** The way to the project's data on the host. */
  readonly hostFiles: (runtime: Runtime, directory: string) => Promise<HostFiles>;
}

/** A dialect whose program and whose engine both answer. */
interface Engine {
  readonly dialect: Dialect;
  readonly runtime: Runtime;
}

/** The containers of one project name under one engine. */
interface Found extends Engine {
  readonly name: string;
  readonly containers: readonly Container[];
  readonly running: boolean;
}

const workingDirectoryLabel = 'com.docker.compose.project.working_dir';
const configFilesLabel = 'com.docker.compose.project.config_files';
const environmentFileLabel = 'com.docker.compose.project.environment_file';

/**
 * Finds the project of a directory and the engine that runs it now. Looks, and has no effect. Throws `directory-missing`, `no-engine`,
 * `engine-missing`, `engine-ambiguous`, `project-ambiguous`, `compose-file-missing`, `compose-file-invalid`, `env-file-missing`,
 * `env-files-unsupported`, `profiles-unsupported`, `project-name-invalid`.
 */
export async function discoverProject(options: DiscoverOptions, deps: DiscoverDeps): Promise<Project> {
  const directory = await realDirectory(options.directory);
  const engines = await enginesFor(options.engine, deps);
  const given = await existingComposeFiles(options.composeFiles, directory);
  const envFiles = options.envFiles.map((file) => resolve(directory, file));

  const found = await findContainers(engines, directory, given, envFiles, options, deps);
  const chosen = choose(found, options.projectName);
  const { dialect, runtime } = chosen ?? (await engineOfFiles(engines, directory, given, deps));

  const files =
    given.length > 0
      ? given
      : ((await filesOfContainers(chosen?.containers ?? [], directory)) ??
        (await defaultFiles(dialect, directory, deps.environment)));
  if (files.length === 0) throw composeFileMissing(`failed to find a compose file in ${directory}`);

  const envFilesNow =
    envFiles.length > 0 ? envFiles : await envFilesOfContainers(chosen?.containers ?? [], projectDirectoryOf(files));
  refuseUnsupported(dialect, envFilesNow, options.profiles);
  const variables = await readEnvFiles(dialect, { files, envFiles: envFilesNow }, deps.environment);
  const name =
    chosen?.name ??
    options.projectName ??
    (await projectNameOf(dialect, files, projectDirectoryOf(files), deps.environment, variables));
  const profiles =
    options.profiles.length > 0
      ? options.profiles
      : await profilesInUse(dialect, files, chosen?.containers ?? [], deps.log);

  const compose = createCompose(
    dialect,
    { files, projectName: name, profiles, envFiles: envFilesNow },
    { ...deps, runtime },
  );
  deps.log.info(
    `Project ${name} in ${directory}: ${dialect.name} ${dialect.version}, ${files.map((file) => file.replace(`${directory}/`, '')).join(', ')}`,
  );
  return createComposeProject({
    name,
    directory,
    files: await deps.hostFiles(runtime, directory),
    runtime,
    compose,
    envFiles: envFilesNow,
    environment: deps.environment,
  });
}

async function realDirectory(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch (error) {
    throw new CaretakerError(
      'directory-missing',
      `failed to enter the project directory ${path}: ${messageOf(error)}`,
      {
        hint: 'Set project-directory to the directory that holds the compose file on this machine.',
        input: 'project-directory',
        cause: error,
      },
    );
  }
}

async function enginesFor(wanted: string, deps: DiscoverDeps): Promise<Engine[]> {
  if (wanted !== 'auto' && !dialectNames.some((name) => name === wanted)) {
    throw new CaretakerError('engine-missing', `failed to use the engine ${wanted}: there is no such engine`, {
      hint: `Set engine to auto or one of ${dialectNames.join(', ')}.`,
      input: 'engine',
    });
  }
  const [dialects, runtimes] = await Promise.all([detectDialects(deps.processes), deps.runtimes()]);
  const engines = dialects.flatMap((dialect) => {
    const runtime = runtimes.find((candidate) => candidate.name === dialect.runtime);
    return runtime === undefined ? [] : [{ dialect, runtime }];
  });
  if (wanted !== 'auto') {
    const asked = engines.filter(({ dialect }) => dialect.name === wanted);
    if (asked.length > 0) return asked;
    throw new CaretakerError(
      'engine-missing',
      `failed to use the engine ${wanted}: it does not answer on this machine`,
      {
        hint: 'Install it, start its daemon, and let the user who runs this reach it.',
        input: 'engine',
      },
    );
  }
  if (engines.length > 0) return engines;
  const programs = dialects.map((dialect) => dialect.name);
  throw new CaretakerError(
    'no-engine',
    programs.length > 0
      ? `failed to reach a container engine: ${programs.join(' and ')} is here, but the engine below does not answer to this user`
      : `failed to find a Compose implementation: neither docker compose nor podman-compose answers (${runtimes.length} engines do)`,
    {
      hint: 'Install Docker Compose or podman-compose, let the runner’s user reach the engine, or set start-command and stop-command for an application without containers.',
      input: 'engine',
    },
  );
}

/**
 * Containers carry the directory they were made in: as the user wrote it under Docker, resolved under podman-compose, and that of the compose
 * file when it lies deeper. Where there is no such label the project's name counts.
 */
async function findContainers(
  engines: readonly Engine[],
  directory: string,
  given: readonly string[],
  envFiles: readonly string[],
  options: DiscoverOptions,
  deps: DiscoverDeps,
): Promise<Found[]> {
  const directories = [
    ...new Set([directory, resolve(options.directory), ...given.slice(0, 1).flatMap((file) => [dirname(file)])]),
  ];
  const result: Found[] = [];
  for (const engine of engines) {
    let containers: Container[] = [];
    for (const path of directories)
      containers.push(...(await engine.runtime.containers({ [workingDirectoryLabel]: path })));
    if (containers.length === 0) {
      const name =
        options.projectName ?? (await likelyName(engine.dialect, directory, given, envFiles, deps.environment));
      if (name !== undefined) {
        const named = await engine.runtime.containers({ [projectLabel]: name });
        // With the label, and another directory in it, it is somebody else's project of the same name, unless the user said this name.
        containers = named.filter(
          (container) => options.projectName !== undefined || container.labels[workingDirectoryLabel] === undefined,
        );
      }
    }
    const byName = Map.groupBy(
      containers.filter((container) => !container.oneOff),
      (container) => container.labels[projectLabel] ?? '',
    );
    for (const [name, own] of byName) {
      if (name === '') continue;
      result.push({
        ...engine,
        name,
        containers: own,
        running: own.some((container) => ['running', 'restarting', 'paused'].includes(container.state)),
      });
    }
  }
  return result;
}

async function likelyName(
  dialect: Dialect,
  directory: string,
  given: readonly string[],
  envFiles: readonly string[],
  environment: Environment,
): Promise<string | undefined> {
  const files = given.length > 0 ? given : await defaultFiles(dialect, directory, environment);
  if (files.length === 0) return undefined;
  const variables = await readEnvFiles(dialect, { files, envFiles }, environment);
  return projectNameOf(dialect, files, projectDirectoryOf(files), environment, variables);
}

/** What runs wins over what stands still. Two that are equal are the user's to choose from: a guess would stop or start the wrong one. */
function choose(found: readonly Found[], projectName: string | undefined): Found | undefined {
  const named = found.filter((candidate) => projectName === undefined || candidate.name === projectName);
  const running = named.filter((candidate) => candidate.running);
  const candidates = running.length > 0 ? running : named;
  const [first, second] = candidates;
  if (first === undefined || second === undefined) return first;
  const what = `${running.length > 0 ? 'running' : 'stopped'} containers`;
  const engines = [...new Set(candidates.map(({ dialect }) => dialect.name))];
  if (engines.length > 1) {
    throw new CaretakerError(
      'engine-ambiguous',
      `failed to choose an engine: ${engines.join(' and ')} both have ${what} of this project`,
      {
        hint: 'Set engine to the one that serves, or remove the containers of the other.',
        input: 'engine',
      },
    );
  }
  const names = candidates.map((candidate) => candidate.name);
  throw new CaretakerError(
    'project-ambiguous',
    `failed to choose a project: ${names.join(' and ')} both have ${what} made in this directory`,
    {
      hint: 'Set project-name to the one that is meant.',
      input: 'project-name',
    },
  );
}

/** Nothing exists yet: the first engine that finds a compose file here. */
async function engineOfFiles(
  engines: readonly Engine[],
  directory: string,
  given: readonly string[],
  deps: DiscoverDeps,
): Promise<Engine> {
  for (const engine of engines) {
    if (given.length > 0 || (await defaultFiles(engine.dialect, directory, deps.environment)).length > 0) return engine;
  }
  throw composeFileMissing(`failed to find a compose file in ${directory}`);
}

async function defaultFiles(dialect: Dialect, directory: string, environment: Environment): Promise<string[]> {
  const variables = await readEnvFiles(
    dialect,
    { files: [resolve(directory, 'compose.yaml')], envFiles: [] },
    environment,
  );
  return defaultComposeFiles(dialect, directory, environment, variables);
}

/** The files that the containers were made from, when they are all still there; the running ones' word counts first. */
async function filesOfContainers(containers: readonly Container[], directory: string): Promise<string[] | undefined> {
  const container = containers.find((candidate) => candidate.state === 'running') ?? containers[0];
  const label = container?.labels[configFilesLabel];
  if (container === undefined || label === undefined || label === '') return undefined;
  // podman-compose writes them as they were given, relative to where the administrator stood.
  for (const base of [container.labels[workingDirectoryLabel] ?? directory, directory]) {
    const paths = label.split(',').map((file) => resolve(base, file));
    const there = await Promise.all(paths.map(exists));
    if (there.every(Boolean)) return paths;
  }
  return undefined;
}

/** Docker Compose notes the env files that it was given; `.env` is no news. */
async function envFilesOfContainers(containers: readonly Container[], directory: string): Promise<string[]> {
  const container = containers.find((candidate) => candidate.state === 'running') ?? containers[0];
  const files = (container?.labels[environmentFileLabel] ?? '').split(',').filter((file) => file !== '');
  // Not `resolve(directory, '.env')`: ncc takes that for an asset of the bundle, and rewrites it.
  const isStandard = (file: string): boolean =>
    basename(file) === '.env' && dirname(resolve(directory, file)) === directory;
  if (files.every(isStandard)) return [];
  const paths = files.map((file) => resolve(directory, file));
  const there = await Promise.all(paths.map(exists));
  return there.every(Boolean) ? paths : [];
}

function refuseUnsupported(dialect: Dialect, envFiles: readonly string[], profiles: readonly string[]): void {
  const most = { none: 0, one: 1, many: Infinity }[dialect.capabilities.envFiles];
  if (envFiles.length > most) {
    throw new CaretakerError(
      'env-files-unsupported',
      `failed to use ${envFiles.length} env files: ${dialect.name} ${dialect.version} takes ${most === 0 ? 'none but .env' : 'only one'}`,
      {
        hint: 'Put the variables into .env beside the compose file, or install a newer podman-compose.',
        input: 'env-files',
      },
    );
  }
  if (profiles.length > 0 && !dialect.capabilities.profiles) {
    throw new CaretakerError(
      'profiles-unsupported',
      `failed to use profiles: ${dialect.name} ${dialect.version} does not know them and starts every service`,
      {
        hint: 'Leave profiles empty, or install a newer podman-compose.',
        input: 'profiles',
      },
    );
  }
}

/** The profiles without which `up` would leave services standing that run now. */
async function profilesInUse(
  dialect: Dialect,
  files: readonly string[],
  containers: readonly Container[],
  log: Log,
): Promise<string[]> {
  if (!dialect.capabilities.profiles) return [];
  const profiles = new Set<string>();
  for (const [service, own] of await readProfiles(files)) {
    const [first] = own;
    const runs = containers.some((container) => container.service === service && container.state === 'running');
    if (first === undefined || !runs || own.some((profile) => profiles.has(profile))) continue;
    log.info(`The profile ${first} is active: its service ${service} runs`);
    profiles.add(first);
  }
  return [...profiles];
}
