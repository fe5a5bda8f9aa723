import { realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { imageNameOf } from '../compose/dialects.ts';
import { projectDirectoryOf } from '../compose/read-model.ts';
import { publishedPorts, type ServicePort } from '../compose/ports.ts';
import { throwawayFile, type PathKind, type ThrowawayFile } from '../compose/throwaway-file.ts';
import { CaretakerError } from '../errors.ts';
import { createComposeProject } from './compose-project.ts';
import { contains } from './data-mounts.ts';
import type { Project } from './project.ts';

/** What a throwaway is known by: on every container and volume of it, and in the journal. */
export const THROWAWAY_LABEL = 'compose-caretaker.throwaway';
/** Whose throwaway it is. */
export const OF_LABEL = 'compose-caretaker.of';

/** Where a host has sockets, devices, and ways to those of other processes. */
const SOCKETS = ['/run', '/var/run', '/dev', '/proc'];

/** A throwaway that is not there yet: looking only. */
export interface ThrowawayPlan {
  readonly project: Project;
  /** The directory of the project that it is made of. */
  readonly base: string;
  /** Its compose file, complete by itself. */
  readonly file: string;
  readonly content: ThrowawayFile;
  readonly labels: Readonly<Record<string, string>>;
  /** The paths of `content.places` without links in them, where they have some. */
  readonly real: ReadonlyMap<string, string>;
  /** Ports that the project publishes, and its throwaway does not. */
  readonly ports: readonly ServicePort[];
}

export interface ThrowawayRequest {
  readonly name: string;
  /** Absolute; below the state directory. */
  readonly directory: string;
  /** Absolute paths at which the project has the data of the backup. */
  readonly data: readonly string[];
  /** Whether its networks lead outside. */
  readonly outside: boolean;
}

/** Throws `no-containers` for an application run by commands, and what reading the compose files throws. */
export async function planThrowaway(project: Project, request: ThrowawayRequest): Promise<ThrowawayPlan> {
  const { engine } = project;
  if (engine === null) {
    throw new CaretakerError(
      'no-containers',
      `${project.name} is run by commands, and only what runs in containers can be brought up a second time beside itself`,
      { input: 'proof', hint: 'Use proof: read, which reads every byte and checks the files of databases.' },
    );
  }
  const { compose } = engine;
  const [document, model] = await Promise.all([compose.document(), compose.model()]);
  const base = projectDirectoryOf(compose.files);
  const { name, directory } = request;
  const kinds = new Map<string, PathKind>();
  for (const { source } of model.services.flatMap(({ volumes }) => volumes)) {
    if (path.isAbsolute(source)) kinds.set(source, await kindOf(source));
  }
  const labels = { [THROWAWAY_LABEL]: name, [OF_LABEL]: project.name };
  const content = throwawayFile(document, {
    ...{ name, base, labels, data: request.data, outside: request.outside },
    directory: path.join(directory, 'data'),
    volumes: Object.fromEntries(Object.entries(model.volumes).map(([key, volume]) => [key, volume.name])),
    kindOf: (source) => kinds.get(source) ?? 'missing',
    aliases: compose.dialect.capabilities.config !== 'none',
    imageOf: (service) => imageNameOf(compose.dialect, project.name, { name: service, image: null }),
  });
  const real = new Map<string, string>();
  for (const { live } of content.places) {
    // One that can't be looked at is taken as it is written.
    real.set(live, await realpath(live).catch(() => live));
  }
  const file = path.join(directory, 'compose.yaml');
  return {
    ...{ base: project.directory, file, content, labels, real, ports: publishedPorts(document) },
    project: createComposeProject({
      ...{ name, directory, files: project.files, runtime: engine.runtime, compose: compose.of(file, name) },
      envFiles: [],
      environment: {},
    }),
  };
}

/** What lies at an absolute path. What this user may not look at is a directory: files that are mounted one by one are configuration, which he has. */
export async function kindOf(source: string): Promise<PathKind> {
  const kind = await ownKindOf(source);
  if (kind !== 'directory' && kind !== 'missing') return kind;
  const real = await realAsFarAsThere(source);
  const isOfHost = [source, real].some((one) => SOCKETS.some((tree) => contains(tree, one) || contains(one, tree)));
  return isOfHost ? 'sockets' : kind;
}

async function realAsFarAsThere(file: string): Promise<string> {
  try {
    return await realpath(file);
  } catch {
    // Not there, or not for us to see: what is above it tells where it would be.
    return file === '/' ? file : path.join(await realAsFarAsThere(path.dirname(file)), path.basename(file));
  }
}

async function ownKindOf(source: string): Promise<Exclude<PathKind, 'sockets'>> {
  try {
    const found = await stat(source);
    return found.isDirectory() ? 'directory' : found.isFile() ? 'file' : 'other';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'missing' : 'directory';
  }
}
