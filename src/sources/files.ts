import { join } from 'node:path';
import type { TarMember } from '../archive/tar.ts';
import { CaretakerError } from '../errors.ts';
import type { SourceSpec } from '../project/project.ts';
import { beside, originOf, placesFor, removeFresh, within } from './places.ts';
import type { Capture, Situation, Source } from './source.ts';
import type { SourceDeps } from './sources.ts';
import { unpack } from './streams.ts';
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

  const capture = (situation: Situation): Promise<Capture> =>
    Promise.resolve({
      streams: [
        {
          suffix: 'tar',
          open: () =>
            files.tar(live, {
              exclude: [...spec.exclude, ...own],
              live: situation === 'serving',
              onWarning: (line) => log.warn(`${spec.name}: ${line}`),
            }),
        },
      ],
      consistency: situation === 'serving' ? 'online' : situation,
      facts: {},
      finish: () => Promise.resolve(),
    } as const);

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

    warm: () => {
      // A pattern that leaves something out is not applied: at worst a change is seen where there was none.
      const exclude = carried([...spec.exclude, ...own], '').carry;
      return warmUnlessChanged(files, [live], { exclude }, () => capture('serving'));
    },

    async stage(part, read, run) {
      const { fresh, aside } = kind === 'file' ? beside(live, run) : await placesFor(files, live, run);
      try {
        const members: string[] = [];
        const onMember = kind === 'file' ? (member: TarMember) => members.push(member.path) : undefined;
        for (const file of part.files) await unpack(files, fresh, read(file), { ...(onMember && { onMember }) });
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

    ...(kind === 'file' ? {} : { discard: () => files.empty(live, carried([...spec.exclude, ...own], '').carry) }),

    unstage: (run) => (kind === 'file' ? files.remove([beside(live, run).fresh]) : removeFresh(files, live, run)),
  };
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
