import { dirname, join } from 'node:path';
import { checkTar, TAR_END, tarHeader, tarPadding, type TarMember } from '../archive/tar.ts';
import type { Part, PartFile } from '../archive/manifest.ts';
import { CaretakerError } from '../errors.ts';
import { fileError } from '../system/files.ts';
import type { SourceSpec } from '../project/project.ts';
import type { HostFiles, Swap } from '../runtimes/host-files.ts';
import { beside, isReserved, originOf, realPlace, within } from './places.ts';
import type { Capture, Situation, Source } from './source.ts';
import type { SourceDeps } from './sources.ts';
import { streamOf, unpack } from './streams.ts';
import { warmUnlessChanged } from './two-passes.ts';

/** Below it lie, by their absolute paths, the files from outside the project directory. */
export const OUTSIDE = '.caretaker-outside';
/** Compose and env files are small; what is larger was listed by mistake, and is not held in memory. */
export const MAX_FILE_BYTES = 64 * 1024 * 1024;

/** The project's own files: compose files, env files. The tar's root is the project directory. */
export function projectFilesSource(
  spec: Extract<SourceSpec, { type: 'volume' | 'directory' | 'file' | 'project-files' }>,
  deps: SourceDeps,
): Source {
  const { project, log } = deps;
  const { files } = project;
  const root = project.directory;
  const tree = join(root, 'project-files'); // The fresh ones lie in the project directory itself.
  const members = spec.members ?? [];

  const capture = (situation: Situation): Promise<Capture> =>
    Promise.resolve({
      streams: [{ suffix: 'tar', open: () => streamOf(tarOf(files, root, members)) }],
      consistency: situation === 'serving' ? 'online' : situation,
      facts: {},
      finish: () => Promise.resolve(),
    } as const);

  return {
    name: spec.name,
    kind: 'project-files',
    method: 'files',
    origin: originOf({ ...spec, path: root }, project),
    writers: [],
    server: undefined,
    loads: false,
    describe: () => `${spec.name}: ${members.length} configuration files of ${root}`,
    estimate: async () => {
      const scans = await Promise.all(members.map((path) => files.scan(path)));
      return scans.reduce((sum, { bytes }) => sum + bytes, 0);
    },

    capture,
    warm: () => warmUnlessChanged(files, members, {}, () => capture('serving')),

    async stage(part, read, run) {
      const { fresh, aside } = beside(tree, run);
      const found = new Set<string>();
      try {
        for (const file of part.files) {
          const { rawBytes } = file;
          await unpack(
            files,
            fresh,
            read(file),
            { rawBytes },
            {
              onMember: (member) => {
                refuseSetId(member);
                // A link that takes the place of a file is no file.
                if (member.type === 'file') found.add(member.path);
                else found.delete(member.path);
              },
            },
          );
        }
        const missing = await missingFiles([...found], (path) => files.exists(join(root, path)));
        for (const path of [...found].filter((one) => one.startsWith(`${OUTSIDE}/`))) {
          log.warn(
            `${spec.name}: /${path.slice(OUTSIDE.length + 1)} lies outside the project directory, and is not restored`,
          );
        }
        const places: [string, string][] = [];
        for (const path of missing) places.push([path, await placeInProject(files, root, path)]);
        const swaps: Swap[] = [];
        for (const [path, place] of places) {
          await makeParents(files, root, dirname(place));
          swaps.push({
            kind: 'file',
            live: join(root, place),
            fresh: join(fresh, path),
            aside: `${aside}-${swaps.length}`,
            carry: [],
            root,
          });
        }
        if (swaps.length === 0) await files.remove([fresh]);
        return swaps;
      } catch (error) {
        await files.remove([fresh]);
        throw error;
      }
    },

    unstage: (run) => files.remove([beside(tree, run).fresh]),
  };
}

/** One of the project's own files out of a backup. */
export interface ProjectFile {
  /** Relative to the project directory. */
  readonly path: string;
  readonly mode: number;
  readonly content: Buffer;
}

/** The regular files of the part, held in memory: for a host that has no project yet. Links and files from outside the project directory are left out. */
export async function readProjectFiles(
  part: Part,
  read: (file: PartFile) => AsyncIterable<Uint8Array>,
): Promise<ProjectFile[]> {
  const found: { path: string; mode: number; pieces: Buffer[] }[] = [];
  for (const file of part.files) {
    const walk = checkTar(read(file), {
      onMember: (member) => {
        if (member.size > MAX_FILE_BYTES) throw tooLarge(member.path, member.size);
        if (member.type === 'file') found.push({ path: member.path, mode: member.mode & 0o777, pieces: [] });
      },
      onContent: (bytes) => found.at(-1)?.pieces.push(Buffer.from(bytes)),
    });
    for await (const chunk of walk) void chunk;
  }
  return found
    .filter(({ path }) => !path.startsWith(`${OUTSIDE}/`))
    .map(({ pieces, ...file }) => ({ ...file, content: Buffer.concat(pieces) }));
}

/**
 * What a restore writes of the project's own files when it is asked to: those that are not there, and nothing else. The files that are there are the
 * administrator's newest will, and git's; on an empty host all are missing.
 */
export async function missingFiles(
  paths: readonly string[],
  exists: (path: string) => Promise<boolean>,
): Promise<string[]> {
  const missing: string[] = [];
  for (const path of paths) {
    // Never git's own files (its hooks are programs) nor this program's, whatever the archive holds.
    if (!isReserved(path) && !(await exists(path))) missing.push(path);
  }
  return missing;
}

/** A directory of the project may be a link, and `path` comes from outside: what it leads to, the answer, must be in the project, and neither git's nor this program's. */
async function placeInProject(files: HostFiles, root: string, path: string): Promise<string> {
  const real = await realPlace(files, join(root, path), [root]);
  const inProject = real === undefined ? undefined : within(root, real);
  if (inProject !== undefined && !isReserved(inProject)) return inProject;
  const why = real === undefined ? 'it lies behind a symbolic link' : `it leads to ${real}`;
  throw fileError(`write ${join(root, path)}`, new Error(why));
}

async function makeParents(files: HostFiles, root: string, directory: string): Promise<void> {
  if (directory === '.' || (await files.exists(join(root, directory)))) return;
  await makeParents(files, root, dirname(directory));
  await files.makeDirectory(join(root, directory), root);
}

/** One archive of single files, each read as the containers' root may read it, under its path in the project. */
async function* tarOf(files: HostFiles, root: string, members: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const path of [...new Set(members)].sort()) {
    const { member, content } = await readFile(files, path);
    const name = within(root, path) ?? join(OUTSIDE, path);
    yield tarHeader({ ...member, name: `./${name}`, path: name, size: content.length });
    yield content;
    yield tarPadding(content.length);
  }
  yield TAR_END;
}

/** Compose and env files are read, not run. */
function refuseSetId(member: TarMember): void {
  if (member.type !== 'file' || (member.mode & 0o6000) === 0) return;
  throw new CaretakerError('part-hostile', `refused to unpack ${member.name}: it would run with its owner's rights`, {
    hint: 'No configuration file is set-user-id or set-group-id. Find out where the file comes from.',
  });
}

function tooLarge(path: string, size: number): CaretakerError {
  return new CaretakerError(
    'project-file-large',
    `failed to keep ${path}: it holds ${size} bytes, too much for a configuration file`,
    { hint: 'Back it up as type=file.' },
  );
}

async function readFile(files: HostFiles, path: string): Promise<{ member: TarMember; content: Buffer }> {
  const stream = files.tar(path, {});
  stream.stdin.end();
  const pieces: Buffer[] = [];
  let member: TarMember | undefined;
  const walk = checkTar(stream.stdout as AsyncIterable<Uint8Array>, {
    onMember: (found) => {
      if (found.size > MAX_FILE_BYTES) throw tooLarge(path, found.size);
      member = found;
    },
    onContent: (bytes) => pieces.push(Buffer.from(bytes)),
  });
  try {
    for await (const chunk of walk) void chunk;
  } catch (error) {
    stream.kill();
    await stream.done.catch(() => undefined);
    throw error;
  }
  await stream.done;
  if (member?.type !== 'file') {
    throw new CaretakerError('project-file-unreadable', `failed to keep ${path}: it is no regular file`, {
      hint: 'A symbolic link’s target can be listed instead of the link.',
    });
  }
  return { member, content: Buffer.concat(pieces) };
}
