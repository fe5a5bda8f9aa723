import { basename, dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import type { Part, PartFile } from '../archive/manifest.ts';
import type { TarMember } from '../archive/tar.ts';
import { CaretakerError } from '../errors.ts';
import type { SourceSpec } from '../project/project.ts';
import type { HostFiles } from '../runtimes/host-files.ts';
import { memberName, membersOf } from '../runtimes/tar-command.ts';
import type { ProcessStream } from '../system/processes.ts';
import { beside, originOf, placesFor, removeFresh, stagingFor, within } from './places.ts';
import type { Capture, RawStream, Situation, Source, WarmCapture } from './source.ts';
import type { SourceDeps } from './sources.ts';
import { streamOf, unpack } from './streams.ts';
import { warmUnlessChanged } from './two-passes.ts';

type FilesSpec = Extract<SourceSpec, { type: 'volume' | 'directory' | 'file' | 'project-files' }>;

/** Leftovers of interrupted restores. */
const OWN = '.caretaker-*';

/** A volume, a directory or a single file, as plain files. */
export function filesSource(spec: FilesSpec, kind: 'volume' | 'directory' | 'file', deps: SourceDeps): Source {
  const { project, log } = deps;
  const { files } = project;
  const live = spec.path;
  // What this program keeps for itself lies in the project directory, which may be the part.
  const state = within(live, project.stateDirectory);
  const own = kind === 'file' ? [] : [OWN, ...(state === undefined || state === '' ? [] : [state])];

  const archive = (serving: boolean, more: { readonly only?: readonly string[] } = {}): ProcessStream =>
    files.tar(live, {
      ...more,
      exclude: [...spec.exclude, ...own],
      live: serving,
      onWarning: (line) => log.warn(`${spec.name}: ${line}`),
    });

  const capture = (situation: Situation): Promise<Capture> =>
    Promise.resolve({
      streams: [
        {
          suffix: 'tar',
          open: () => archive(situation === 'serving'),
        },
      ],
      consistency: situation === 'serving' ? 'online' : situation,
      facts: {},
      finish: () => Promise.resolve(),
    } as const);

  /** The whole while the application serves, and then what came, was written to, or went. */
  const warm = async (): Promise<WarmCapture> => {
    // A pattern that leaves something out is not applied: at worst a change is seen where there was none.
    const exclude = carried([...spec.exclude, ...own], '').carry;
    const directory = await stagingFor(project, `${deps.run}-files-${spec.name}`);
    const note = join(directory, 'entries');
    try {
      await files.changes(live, { exclude, note, settle: true });
    } catch (error) {
      await files.remove([directory]);
      throw error;
    }
    const { streams, facts } = await capture('serving');
    let rounds = 0;
    // The note goes on with each call: what it could not tell once is lost to every later one.
    let lost = false;
    return {
      streams,
      facts,
      async more(situation) {
        const serving = situation === 'serving';
        const changes = await files.changes(live, { exclude, note, settle: serving });
        lost ||= changes === null;
        if (changes === null || lost) return 'anew';
        const { changed, removed } = changes;
        if (changed.length + removed.length === 0) return [];
        rounds++;
        const more: RawStream[] = [];
        if (removed.length > 0)
          more.push({ suffix: `removed${rounds}`, open: () => streamOf(Readable.from([membersOf(removed)])) });
        if (changed.length > 0)
          more.push({ suffix: `changed${rounds}.tar`, open: () => archive(serving, { only: changed }) });
        return more;
      },
      finish: () => files.remove([directory]),
    };
  };

  return {
    name: spec.name,
    kind,
    method: 'files',
    origin: originOf(spec, project),
    writers: spec.writers,
    server: undefined,
    loads: false,
    describe: () => `${spec.name}: ${kind === 'volume' ? `volume ${spec.volume ?? ''}` : `${kind} ${live}`}`,
    estimate: async () => (await files.scan(live)).bytes,

    capture,

    warm: kind === 'file' ? () => warmUnlessChanged(files, [live], {}, () => capture('serving')) : warm,

    async stage(part, read, run) {
      const { fresh, aside } = kind === 'file' ? beside(live, run) : await placesFor(files, live, run);
      try {
        const members: string[] = [];
        const onMember = kind === 'file' ? (member: TarMember) => members.push(member.path) : undefined;
        await unpackPasses(files, fresh, part, read, onMember);
        if (kind === 'file') {
          const [member] = members;
          if (members.length !== 1 || member === undefined || member.includes('/')) {
            throw new CaretakerError(
              'part-damaged',
              `failed to unpack ${part.name}: it is not the archive of one file`,
              {
                hint: 'Choose another backup.',
              },
            );
          }
          return [{ kind, live, fresh: join(fresh, member), aside, carry: [] }];
        }
        const excludes = [...new Set([...spec.exclude, ...(part.origin.exclude ?? []), ...own])];
        const { carry, patterns } = carried(excludes, run);
        for (const pattern of patterns) {
          log.warn(
            `${spec.name}: what matches ${pattern} is not in the backup; what of it lies in ${live} now goes aside with the rest`,
          );
        }
        // Where the archive has an empty directory in the place of what is carried, there must be none.
        await files.remove(carry.map((path) => join(fresh, path)));
        return [{ kind: 'directory', live, fresh, aside, carry }];
      } catch (error) {
        await files.remove([fresh]);
        throw error;
      }
    },

    discard: () =>
      kind === 'file'
        ? files.removeMembers(dirname(live), [memberName(basename(live))])
        : files.empty(live, carried([...spec.exclude, ...own], '').carry),

    unstage: (run) => (kind === 'file' ? files.remove([beside(live, run).fresh]) : removeFresh(files, live, run)),
  };
}

/**
 * Unpacks the files of a part into the new directory `root`, in their order: `tar`; then, where it was taken in several passes, for each of those `removed1`, whose members go, and
 * `changed1.tar`, which is unpacked over what is there.
 */
async function unpackPasses(
  files: HostFiles,
  root: string,
  part: Part,
  read: (file: PartFile) => AsyncIterable<Uint8Array>,
  onMember: ((member: TarMember) => void) | undefined,
): Promise<void> {
  const links = new Set<string>();
  for (const [index, file] of part.files.entries()) {
    const over = index > 0;
    if (over && /\.removed\d+\.zst$/.test(file.file)) {
      const removed = await membersIn(read(file), part);
      await files.removeMembers(root, removed);
      for (const link of links)
        if (removed.some((name) => link === name || link.startsWith(`${name}/`))) links.delete(link);
    } else {
      await unpack(files, root, read(file), { links, ...(onMember && { onMember }) }, { over });
    }
  }
}

/** More than any list that was written here. */
const MAX_LIST_BYTES = 4 * 1024 * 1024;

/** The names of a list of members, as `membersOf` made it. */
async function membersIn(bytes: AsyncIterable<Uint8Array>, part: Part): Promise<string[]> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of bytes) {
    size += piece.length;
    if (size > MAX_LIST_BYTES) break;
    pieces.push(piece);
  }
  const names = Buffer.concat(pieces).toString('latin1').split('\0');
  if (size > MAX_LIST_BYTES || names.pop() !== '' || names.some((name) => !name.startsWith('./'))) {
    throw new CaretakerError('part-damaged', `failed to unpack ${part.name}: its list of what went is none`, {
      hint: 'Choose another backup.',
    });
  }
  return names.map((name) => name.slice(2));
}

/**
 * What a part leaves out belongs to other parts (a database file in the tree) or was excluded, and must survive an exchange of the
 * tree if it is there then: now does not matter, a `-wal` comes and goes. With it goes what waits beside it to be exchanged for it.
 * `dir/**` and `dir/*` stand for `dir`; other patterns can't be told from here.
 */
export function carried(excludes: readonly string[], run: string): { carry: string[]; patterns: string[] } {
  const carry = new Set<string>();
  const patterns: string[] = [];
  for (const exclude of excludes) {
    const path = exclude
      .replace(/(?:\/\*\*?)+$/, '')
      .replace(/^\.\//, '')
      .replace(/\/+$/, '');
    if (exclude === OWN) continue;
    if (path.includes('*')) patterns.push(exclude);
    else if (path !== '' && within('/', join('/', path)) === path) carry.add(path);
  }
  // What lies below something that is carried goes with it.
  const roots = [...carry].filter(
    (path) => ![...carry].some((other) => other !== path && within(other, path) !== undefined),
  );
  return { carry: roots.flatMap((path) => [path, beside(path, run).fresh]).sort(), patterns };
}
