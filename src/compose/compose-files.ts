import { access } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { CaretakerError } from '../errors.ts';
import type { Dialect } from './compose.ts';
import type { Environment } from './read-model.ts';
import { parseComposeFile, textOf } from './compose-file.ts';
import { readComposeFile } from './read-file.ts';

/** Docker Compose takes the first of these, and the first override of the same family. */
const composeNames = ['compose.yaml', 'compose.yml', 'docker-compose.yml', 'docker-compose.yaml'];
const composeOverrides: Readonly<Record<string, readonly string[]>> = {
  compose: ['compose.override.yml', 'compose.override.yaml'],
  'docker-compose': ['docker-compose.override.yml', 'docker-compose.override.yaml'],
};

/** podman-compose takes every one of these that is there, in this order (COMPOSE_DEFAULT_LS of 1.0.3 and 1.6.0). */
const podmanComposeNames = [
  'compose.yaml',
  'compose.yml',
  'compose.override.yaml',
  'compose.override.yml',
  'podman-compose.yaml',
  'podman-compose.yml',
  'docker-compose.yml',
  'docker-compose.yaml',
  'docker-compose.override.yml',
  'docker-compose.override.yaml',
  'container-compose.yml',
  'container-compose.yaml',
  'container-compose.override.yml',
  'container-compose.override.yaml',
];

/**
 * The files that this dialect takes by itself in a directory: those of COMPOSE_FILE (`envFile`: the variables of `.env`, which counts for
 * Docker Compose only), else the default names. Empty when there are none. Throws `compose-file-missing` for one that COMPOSE_FILE names.
 */
export async function defaultComposeFiles(
  dialect: Pick<Dialect, 'runtime'>,
  directory: string,
  environment: Environment,
  envFile: Readonly<Record<string, string>>,
): Promise<string[]> {
  const docker = dialect.runtime === 'docker';
  const named = environment['COMPOSE_FILE'] ?? (docker ? envFile['COMPOSE_FILE'] : undefined);
  if (named !== undefined && named !== '') {
    const separator = environment['COMPOSE_PATH_SEPARATOR'] ?? envFile['COMPOSE_PATH_SEPARATOR'] ?? ':';
    const files = named.split(separator).filter((file) => file !== '');
    return existingComposeFiles(files, directory);
  }
  const there = async (names: readonly string[]): Promise<string[]> => {
    const paths = names.map((name) => join(directory, name));
    const found = await Promise.all(paths.map(exists));
    return paths.filter((_path, index) => found[index]);
  };
  if (!docker) return there(podmanComposeNames);
  const first = (await there(composeNames))[0];
  if (first === undefined) return [];
  const family = basename(first).replace(/\.ya?ml$/, '');
  return [first, ...(await there(composeOverrides[family] ?? [])).slice(0, 1)];
}

/** The paths made absolute. Throws `compose-file-missing` when one of them is not there. */
export async function existingComposeFiles(files: readonly string[], directory: string): Promise<string[]> {
  const paths = files.map((file) => resolve(directory, file));
  for (const path of paths) {
    if (!(await exists(path))) throw composeFileMissing(`failed to find the compose file ${path}`);
  }
  return paths;
}

export function composeFileMissing(message: string): CaretakerError {
  return new CaretakerError('compose-file-missing', message, {
    hint: 'Set project-directory to the directory of the compose file, or name the files in compose-files.',
    input: 'compose-files',
  });
}

/**
 * The name that a project gets with this dialect: as given, else COMPOSE_PROJECT_NAME, else `name:` of the files, else the directory's base
 * name; in lower case and with nothing but a–z, 0–9, `_` and `-`. podman-compose 1.0.3 knows but the last and keeps leading dashes.
 * Containers that exist have the last word: the caller asks them first.
 */
export async function projectNameOf(
  dialect: Pick<Dialect, 'runtime' | 'capabilities'>,
  files: readonly string[],
  directory: string,
  environment: Environment,
  envFile: Readonly<Record<string, string>>,
): Promise<string> {
  const old = dialect.runtime === 'podman' && dialect.capabilities.config === 'none';
  const named = old
    ? undefined
    : (environment['COMPOSE_PROJECT_NAME'] ?? envFile['COMPOSE_PROJECT_NAME'] ?? (await nameInFiles(files, dialect)));
  const wish = named === undefined || named === '' ? basename(directory).toLowerCase() : named;
  const name = normaliseProjectName(wish, dialect);
  if (name === '') {
    throw new CaretakerError('project-name-invalid', `failed to make a project name of "${wish}"`, {
      hint: 'Set project-name: lower-case letters, digits, dashes and underscores.',
      input: 'project-name',
    });
  }
  return name;
}

export function normaliseProjectName(name: string, dialect: Pick<Dialect, 'runtime'>): string {
  if (dialect.runtime === 'podman') return name.replace(/[^-_a-z0-9]/g, '');
  return name
    .toLowerCase()
    .replace(/[^-_a-z0-9]/g, '')
    .replace(/^[_-]+/, '');
}

/** Docker Compose takes the last file's `name:`, podman-compose the first file's only. */
async function nameInFiles(files: readonly string[], dialect: Pick<Dialect, 'runtime'>): Promise<string | undefined> {
  const names: (string | undefined)[] = [];
  for (const file of files) names.push(textOf(parseComposeFile(file, await readComposeFile(file), null)['name']));
  return dialect.runtime === 'docker' ? names.filter((name) => name !== undefined).at(-1) : names[0];
}

export async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw new CaretakerError('path-denied', `failed to look at ${path}: permission denied`, {
      hint: 'Run as a user who may enter the directory.',
      cause: error,
    });
  }
}
