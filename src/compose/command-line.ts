import type { Argv } from '../system/processes.ts';
import type { Dialect } from './compose.ts';

/** What every call of a Compose program needs to mean this project and no other. */
export interface ProjectArguments {
  /** Absolute, in order of override. */
  readonly files: readonly string[];
  readonly projectName: string;
  readonly profiles: readonly string[];
  /** Absolute. */
  readonly envFiles: readonly string[];
}

/**
 * The argv up to the verb. Files and project name are always said: what Compose would choose by itself depends on
 * COMPOSE_* variables and on the folder's name, which differ between a job and the administrator's shell.
 */
export function composeArgv(dialect: Dialect, project: ProjectArguments, ...verb: readonly string[]): Argv {
  return [
    ...dialect.argv,
    // Cursor movements and colours have no place in a job's log.
    ...(dialect.runtime === 'docker' ? ['--ansi', 'never'] : []),
    '-p',
    project.projectName,
    ...project.files.flatMap((file) => ['-f', file]),
    ...project.profiles.flatMap((profile) => ['--profile', profile]),
    ...project.envFiles.flatMap((file) => ['--env-file', file]),
    ...verb,
  ];
}

/**
 * Podman leaves processes of its own behind, whatever was asked (the keeper of a rootless user's namespace); with the job's tracking id in their
 * environment the runner would end them, and with them the containers' network.
 */
export function composeEnv(dialect: Pick<Dialect, 'runtime'>): Record<string, string> {
  return dialect.runtime === 'podman' ? { RUNNER_TRACKING_ID: '' } : {};
}

export function configArgv(dialect: Dialect, project: ProjectArguments): Argv {
  return composeArgv(
    dialect,
    project,
    'config',
    ...(dialect.capabilities.config === 'json' ? ['--format', 'json'] : []),
  );
}

/** Never with `--yes` or `-V`: Compose would renew a volume whose definition changed, and the data with it. */
export function upArgv(dialect: Dialect, project: ProjectArguments, services: readonly string[]): Argv {
  return composeArgv(dialect, project, 'up', '-d', ...services);
}

export function startArgv(dialect: Dialect, project: ProjectArguments, services: readonly string[]): Argv {
  return composeArgv(dialect, project, 'start', ...services);
}

export function stopArgv(
  dialect: Dialect,
  project: ProjectArguments,
  graceSeconds: number,
  services: readonly string[],
): Argv {
  return composeArgv(dialect, project, 'stop', '-t', String(Math.ceil(graceSeconds)), ...services);
}

/** Volumes stay: there is no `-v` here, whatever happens. */
export function downArgv(dialect: Dialect, project: ProjectArguments): Argv {
  return composeArgv(dialect, project, 'down');
}

export function buildArgv(dialect: Dialect, project: ProjectArguments, services: readonly string[]): Argv {
  return composeArgv(dialect, project, 'build', ...services);
}

export function pullArgv(dialect: Dialect, project: ProjectArguments, services: readonly string[]): Argv {
  return composeArgv(dialect, project, 'pull', ...services);
}
