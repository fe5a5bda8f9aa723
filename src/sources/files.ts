import { basename, dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import type { SourceSpec } from '../project/project.ts';
import type { Swap } from '../runtimes/host-files.ts';
import { memberName, membersOf } from '../runtimes/tar-command.ts';
import type { ProcessStream } from '../system/processes.ts';
import { oneFile, unpackPasses } from './passes.ts';
import { pathUnfit } from './paths.ts';
import { beside, isMountPoint, originOf, placesFor, removeFresh, stagingFor, within } from './places.ts';
import type { Part } from '../archive/manifest.ts';
import type { Capture, RawStream, Situation, Source, WarmCapture } from './source.ts';
import type { SourceDeps } from './sources.ts';
import { streamOf } from './streams.ts';
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

  const staying = (part: Part, run: string, place: string): string[] => {
    const excludes = [...new Set([...spec.exclude, ...(part.origin.exclude ?? []), ...own])];
    const { carry, patterns } = carried(excludes, run);
    for (const pattern of patterns) {
      log.warn(
        `${spec.name}: what matches ${pattern} is not in the backup; what of it lies in ${place} now goes aside with the rest`,
      );
    }
    return carry;
  };

  /** What to exchange for a path: itself, or the uppermost directory above it that is not there now. '' for the part's root. */
  const exchanged = async (part: Part, path: string): Promise<string> => {
    const names = path.split('/');
    const tops = ['', ...names.map((_, index) => names.slice(0, index + 1).join('/'))];
    const kinds = await files.kinds(live, tops);
    for (const [index, top] of tops.entries()) {
      const found = kinds[index];
      if (found === null) return top;
      if (index === 0) continue;
      const where = top === path ? 'is' : `lies behind ${top},`;
      if (found === 'link') throw pathUnfit(part, path, `${where} a symbolic link now`);
      if (top !== path && found !== 'directory') throw pathUnfit(part, path, `${where} no directory now`);
      if (await isMountPoint(join(live, top))) throw pathUnfit(part, path, `${where} a mount point now`);
    }
    return path;
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
        if (kind === 'file') {
          const one = oneFile(part, 'file');
          await unpackPasses(files, fresh, part, read, one);
          return [{ kind, live, fresh: join(fresh, one.name()), aside, carry: [] }];
        }
        await unpackPasses(files, fresh, part, read);
        const carry = staying(part, run, live);
        // Where the archive has an empty directory in the place of what is carried, there must be none.
        await files.removeMembers(fresh, carry.map(memberName));
        return [{ kind: 'directory', live, fresh, aside, carry }];
      } catch (error) {
        await files.remove([fresh]);
        throw error;
      }
    },

    ...(kind === 'file'
      ? {}
      : {
          async stagePaths(part, read, run, found): Promise<readonly Swap[]> {
            const { fresh, aside } = await placesFor(files, live, run);
            const tops = new Map<string, Swap['kind']>();
            for (const { path, type } of found.paths) {
              const top = await exchanged(part, path);
              tops.set(top, top === path ? type : 'directory');
            }
            const swaps: Swap[] = [];
            try {
              await unpackPasses(files, fresh, part, read, { keep: found.keep });
              await files.removeMembers(fresh, found.extras.map(memberName));
              const stays = staying(part, run, found.paths.map(({ path }) => join(live, path)).join(', '));
              for (const [top, type] of tops) {
                const carry = stays.flatMap((path) => within(top, path) || []);
                await files.removeMembers(
                  fresh,
                  carry.map((path) => memberName(join(top, path))),
                );
                swaps.push({
                  ...{ kind: type === 'file' ? type : 'directory', live: join(live, top), fresh: join(fresh, top) },
                  ...{ aside: top === '' ? aside : `${aside}-${swaps.length + 1}`, carry, root: live, within: live },
                });
              }
              return swaps;
            } catch (error) {
              await files.remove([fresh]);
              throw error;
            }
          },
        }),

    discard: () =>
      kind === 'file'
        ? files.removeMembers(dirname(live), [memberName(basename(live))])
        : files.empty(live, carried([...spec.exclude, ...own], '').carry),

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
