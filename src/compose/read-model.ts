import { stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { CaretakerError, messageOf } from '../errors.ts';
import { LIMITS } from '../system/limits.ts';
import type { Processes } from '../system/processes.ts';
import type { ComposeModel, Dialect } from './compose.ts';
import { composeEnv, configArgv } from './command-line.ts';
import type { ProjectArguments } from './command-line.ts';
import {
  asList,
  asMapping,
  invalidComposeFile,
  isMapping,
  mergeComposeFiles,
  parseComposeFile,
  resolveExtends,
  textOf,
} from './compose-file.ts';
import type { Mapping } from './compose-file.ts';
import { parseEnvFile } from './env-file.ts';
import type { EnvFileStyle } from './env-file.ts';
import type { Lookup } from './interpolate.ts';
import { interpolate, InterpolationError } from './interpolate.ts';
import { envFilesOf, modelOf } from './model.ts';
import { isEndless, readComposeFile, readEnvFile } from './read-file.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The model of a project in the words of its own dialect: by `config` where there is one (Compose knows best what it is going to do), else
 * by our own reading. Throws `compose-file-missing`, `compose-file-invalid` (with line and column for what is no YAML),
 * `env-file-invalid`.
 */
export async function readModel(
  dialect: Dialect,
  project: ProjectArguments,
  processes: Processes,
  environment: Environment,
): Promise<ComposeModel> {
  const directory = projectDirectoryOf(project.files);
  const { content, raw, lookup } = await readFiles(dialect, project, processes, environment);
  const model = modelOf(content, project.projectName, directory);
  if (dialect.capabilities.config !== 'json') return model;
  // Its output holds the env files' values in the place of their names.
  return {
    ...model,
    services: model.services.map((service) => ({
      ...service,
      envFiles: raw
        .flatMap((file) => envFilesOf(asMapping(asMapping(file['services'])[service.name])))
        .map((path) => resolve(directory, lenient(path, lookup))),
    })),
  };
}

/** The compose files as one: merged, extended, variables filled in; services of active profiles only. Throws as `readModel` does. */
export async function readDocument(
  dialect: Dialect,
  project: ProjectArguments,
  processes: Processes,
  environment: Environment,
): Promise<Mapping> {
  const { content } = await readFiles(dialect, project, processes, environment);
  if (!dialect.capabilities.profiles) return content;
  const active = Object.entries(asMapping(content['services'])).filter(([, service]) => {
    const profiles = asList(asMapping(service)['profiles']).map(textOf);
    return profiles.length === 0 || profiles.some((profile) => project.profiles.includes(profile ?? ''));
  });
  return { ...content, services: Object.fromEntries(active) };
}

async function readFiles(
  dialect: Dialect,
  project: ProjectArguments,
  processes: Processes,
  environment: Environment,
): Promise<{ readonly content: Mapping; readonly raw: readonly Mapping[]; readonly lookup: Lookup }> {
  const directory = projectDirectoryOf(project.files);
  // Also where Compose reads the files itself: its errors name no column, and podman-compose's are Python tracebacks.
  const raw: Mapping[] = [];
  for (const file of project.files) raw.push(parseComposeFile(file, await readComposeFile(file), null));
  const lookup = variablesOf(
    dialect,
    await readEnvFiles(dialect, project, environment),
    environment,
    project.projectName,
  );
  const found = (content: Mapping): { content: Mapping; raw: Mapping[]; lookup: Lookup } => ({ content, raw, lookup });
  await refuseEndless(project.files, raw, lookup);
  if (dialect.capabilities.config === 'none') return found(await readByOurselves(project.files, lookup));
  const output = await config(dialect, project, processes, directory);
  if (dialect.capabilities.config === 'json') return found(unescapeDollars(parsed(output, project)) as Mapping);
  const content = parseComposeFile('the output of podman-compose config', output, null);
  return found(
    await resolveExtends(content, async (file) =>
      parseComposeFile(file, await readComposeFile(resolve(directory, file)), lookup),
    ),
  );
}

async function config(dialect: Dialect, project: ProjectArguments, processes: Processes, cwd: string): Promise<string> {
  try {
    return (
      await processes.run(
        { argv: configArgv(dialect, project), cwd, env: composeEnv(dialect) },
        { timeoutMs: LIMITS.look },
      )
    ).stdout;
  } catch (error) {
    if (error instanceof CaretakerError && error.code === 'command-failed') {
      const what = `failed to read ${project.files.join(', ')}`;
      // The line after it is the value, which may be a secret.
      const place = /invalid interpolation format for (\S+?)\.?$/m.exec(error.message)?.[1];
      if (place !== undefined)
        throw invalidComposeFile(`${what}: ${place} is an invalid template (write $$ for a dollar)`);
      const said = error.message.replace(/^failed to run .*?: exit code \d+: /, '');
      const envFile = ofEnvFile(said);
      if (envFile !== null) throw envFile;
      // What follows it in quotes is the file's text.
      const yaml = /^(.*\byaml: [^'"`\n]*)['"`]/m.exec(said)?.[1];
      if (yaml !== undefined) throw invalidComposeFile(`${what}: ${yaml.trim()}`);
      throw invalidComposeFile(`${what}: ${lastLine(error.message)}`, error);
    }
    throw error;
  }
}

/** What Compose says of a service's env file, without the text that it quotes of it; null where it speaks of something else. */
function ofEnvFile(message: string): CaretakerError | null {
  const [, file, rest = ''] = /^failed to (?:read|parse env_file) (.+?): (.*)$/m.exec(message) ?? [];
  if (file === undefined) return null;
  const [, line, kind] = ENV_FILE_FAULT.exec(rest) ?? [];
  const why = [line, kind].filter((part) => part !== undefined).join(': ');
  return new CaretakerError(
    'env-file-invalid',
    `failed to read the env file ${file}: ${why === '' ? 'Compose does not take it' : why}`,
    {
      hint: 'Write one KEY=VALUE a line, and quote values that hold spaces, # or $. The user who runs this must be able to read the file.',
    },
  );
}

/** A line, and the beginning of those of Compose's words that are its own. */
const ENV_FILE_FAULT =
  /^(?:(line \d+): )?(unterminated quoted value|key cannot contain a space|unexpected character|Invalid template|required variable \w+ is missing a value|(?:open|read|stat) \S+: [a-z ]+$)?/;

function parsed(output: string, project: ProjectArguments): unknown {
  try {
    return JSON.parse(output) as unknown;
  } catch {
    // Its own words would quote the output, which has all values in it.
    throw invalidComposeFile(`failed to read ${project.files.join(', ')}: what Compose makes of them is not JSON`);
  }
}

/** A Python traceback and Compose's own message have this in common: the last line says what is wrong. */
function lastLine(message: string): string {
  return message.trim().split('\n').at(-1)?.trim() ?? message;
}

async function readByOurselves(files: readonly string[], lookup: Lookup): Promise<Mapping> {
  const contents: Mapping[] = [];
  for (const file of files) {
    const content = parseComposeFile(file, await readComposeFile(file), lookup);
    if (content['include'] !== undefined) {
      throw invalidComposeFile(
        `failed to read ${file}: this podman-compose does not know include and would leave those services out`,
      );
    }
    contents.push(content);
  }
  const directory = projectDirectoryOf(files);
  return resolveExtends(mergeComposeFiles(contents), async (file) => {
    const path = resolve(directory, file);
    return parseComposeFile(path, await readComposeFile(path), lookup);
  });
}

/** Compose prints a dollar as `$$`, so that its output is a compose file again. */
function unescapeDollars(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll('$$', '$');
  if (Array.isArray(value)) return value.map(unescapeDollars);
  if (isMapping(value))
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, unescapeDollars(item)]));
  return value;
}

/** Relative paths in compose files, and `.env`, are those of the first file's directory, also in a second file elsewhere. */
export function projectDirectoryOf(files: readonly string[]): string {
  return dirname(files[0] ?? '.');
}

/**
 * The variables of `.env` beside the first compose file, or of the env files given in its place. Throws `env-file-missing` for a file that
 * was asked for, `env-file-invalid`.
 */
export async function readEnvFiles(
  dialect: Pick<Dialect, 'runtime'>,
  project: Pick<ProjectArguments, 'files' | 'envFiles'>,
  environment: Environment,
): Promise<Record<string, string>> {
  const style: EnvFileStyle = dialect.runtime === 'podman' ? 'python-dotenv' : 'compose';
  const values: Record<string, string> = {};
  const given = project.envFiles.length > 0;
  for (const file of given ? project.envFiles : [join(projectDirectoryOf(project.files), '.env')]) {
    let text: string;
    try {
      text = await readEnvFile(file);
    } catch (error) {
      if (error instanceof CaretakerError) throw error;
      if (!given && (error as NodeJS.ErrnoException).code === 'ENOENT') continue;
      throw new CaretakerError('env-file-missing', `failed to read the env file ${file}: ${messageOf(error)}`, {
        hint: 'Check the path and that the user who runs this may read the file.',
        input: 'env-files',
        cause: error,
      });
    }
    Object.assign(
      values,
      parseEnvFile(file, text, (name) => environment[name] ?? values[name], style),
    );
  }
  return values;
}

/** What a `${NAME}` is worth: the process environment before `.env`, but the other way round in podman-compose 1.0.3. */
export function variablesOf(
  dialect: Pick<Dialect, 'capabilities'>,
  envFile: Readonly<Record<string, string>>,
  environment: Environment,
  projectName: string,
): Lookup {
  return (name) => {
    if (name === 'COMPOSE_PROJECT_NAME') return projectName;
    return dialect.capabilities.envFiles === 'none'
      ? (envFile[name] ?? environment[name])
      : (environment[name] ?? envFile[name]);
  };
}

/**
 * Profiles that each service asks for, from the files as they are written. For choosing profiles before a dialect is asked for its model,
 * which shows the services of active profiles only.
 */
export async function readProfiles(files: readonly string[]): Promise<Map<string, readonly string[]>> {
  const result = new Map<string, readonly string[]>();
  for (const file of files) {
    for (const [name, service] of Object.entries(
      asMapping(parseComposeFile(file, await readComposeFile(file), null)['services']),
    )) {
      const profiles = asList(asMapping(service)['profiles']).map(textOf);
      result.set(name, [...(result.get(name) ?? []), ...profiles.filter((profile) => profile !== undefined)]);
    }
  }
  return result;
}

/**
 * Every file that makes up the model: the compose files and what they include or extend, env files, files of secrets and configs. `secret`: those of them that are made
 * for secrets. `read`: what Compose reads besides the compose files to make the model. Absolute; may be missing.
 */
export async function filesOfModel(
  files: readonly string[],
  lookup: Lookup,
  contentOf = asWritten,
): Promise<{ readonly all: readonly string[]; readonly secret: readonly string[]; readonly read: readonly string[] }> {
  const directory = projectDirectoryOf(files);
  const all = new Set<string>();
  const secret = new Set<string>();
  const read = new Set<string>();
  const secretRead = (file: string): void => {
    secret.add(file);
    read.add(file);
  };
  const visit = async (file: string, base: string): Promise<void> => {
    if (all.has(file)) return;
    all.add(file);
    const content = await contentOf(file);
    const fill = (path: string): string => lenient(path, lookup);
    for (const entry of asList(content['include'])) {
      const parts = isMapping(entry) ? entry : { path: entry };
      const paths = asList(parts['path']).map(textOf);
      for (const path of paths) {
        const included = resolve(base, fill(path ?? ''));
        await visit(included, dirname(included));
        if (parts['env_file'] === undefined) read.add(join(dirname(included), '.env'));
      }
      for (const path of asList(parts['env_file']).map(textOf)) secretRead(resolve(base, fill(path ?? '')));
    }
    for (const kind of ['secrets', 'configs']) {
      for (const entry of Object.values(asMapping(content[kind]))) {
        const path = textOf(asMapping(entry)['file']);
        if (path !== undefined) (kind === 'secrets' ? secret : all).add(resolve(base, fill(path)));
      }
    }
    for (const service of Object.values(asMapping(content['services']))) {
      const fields = asMapping(service);
      const other = textOf(asMapping(fields['extends'])['file']);
      if (other !== undefined) {
        const path = resolve(base, fill(other));
        await visit(path, dirname(path));
      }
      for (const path of envFilesOf(fields)) secretRead(resolve(base, fill(path)));
      for (const path of asList(fields['label_file']).map(textOf)) read.add(resolve(base, fill(path ?? '')));
    }
  };
  for (const file of files) await visit(file, directory);
  return { all: [...new Set([...all, ...secret])], secret: [...secret], read: [...read] };
}

/**
 * What comes with a version of the code may be a link to a device that never ends: Compose would read it until the memory is full. Throws `compose-file-invalid`, `env-file-invalid`.
 * `raw`: the `files` as they are written. Other faults are left to Compose: it knows files of elsewhere, and says more. A pipe of variables is left to it, too, since whoever writes into it counts the readers.
 */
async function refuseEndless(files: readonly string[], raw: readonly Mapping[], lookup: Lookup): Promise<void> {
  const { read } = await filesOfModel(files, lookup, async (file) => {
    try {
      return raw[files.indexOf(file)] ?? (await asWritten(file));
    } catch (error) {
      if (!(error instanceof CaretakerError) || isEndless(error)) throw error;
      return {};
    }
  });
  for (const file of read) {
    const found = await stat(file).catch(() => null);
    if (found === null || found.isFIFO()) continue;
    await readEnvFile(file).catch((error: unknown) => {
      if (isEndless(error)) throw error;
    });
  }
}

async function asWritten(file: string): Promise<Mapping> {
  return parseComposeFile(file, await readComposeFile(file), null);
}

/** A list of files must not fail for a variable that only matters elsewhere. */
function lenient(path: string, lookup: Lookup): string {
  try {
    return interpolate(path, lookup);
  } catch (error) {
    if (error instanceof InterpolationError) return path;
    throw error;
  }
}
