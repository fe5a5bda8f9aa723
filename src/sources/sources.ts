import type { Part } from '../archive/manifest.ts';
import type { DataPlan, Project, SourceSpec } from '../project/project.ts';
import type { Log } from '../report/log.ts';
import type { Swap } from '../runtimes/host-files.ts';
import type { Clock } from '../system/clock.ts';
import { filesSource } from './files.ts';
import { locate, type Place } from './locate.ts';
import { postgresSource } from './postgres.ts';
import { projectFilesSource } from './project-files.ts';
import type { Source } from './source.ts';
import { sqliteSource } from './sqlite.ts';

export interface SourceDeps {
  readonly project: Project;
  readonly log: Log;
  readonly clock: Clock;
  /** Unique among the runs on this host; in the names of staging copies. */
  readonly run: string;
  /** What the project's data are by its own settings: a restore may write there, besides the project directory and its mounts. */
  readonly plan?: DataPlan;
  /** The clone that the code comes from. */
  readonly clone?: string;
  /** The part comes out of a store: its manifest alone must not say where data go. */
  readonly fromStore?: true;
  /**
   * For a rollback: a part goes back to the very place that this host's own safety backup took it from. By then the compose file and
   * the containers are those of the version that failed, and may name another directory or another database server.
   */
  readonly back?: true;
  /**
   * For a restore that brings another version's code: the compose file that is there by now counts, and not the containers, which are those of the version
   * that is about to go.
   */
  readonly anew?: true;
}

/** Binds what was found to where it lives. Reads nothing but the project's services. */
export async function createSource(spec: SourceSpec, deps: SourceDeps): Promise<Source> {
  switch (spec.type) {
    case 'postgres':
      // Who writes to a database server can't be seen from outside: any service may be its client.
      return postgresSource(spec, deps, [...new Set([...(await deps.project.services()), spec.service])]);
    case 'sqlite':
      return sqliteSource(spec, deps);
    case 'volume':
    case 'directory':
    case 'file':
      return filesSource(spec, spec.type, deps);
    case 'project-files':
      return projectFilesSource(spec, deps);
  }
}

/**
 * The source that a part of a backup goes back to, wherever its data live in the project as it is now: a backup may come from
 * another host or directory. `paths`: what inside it is exchanged; none for the whole. Throws `part-homeless` when the project has no place for it: a manifest alone never says where to write.
 */
export async function sourceForPart(part: Part, deps: SourceDeps, paths: readonly string[] = []): Promise<Source> {
  const place = await locate(part, deps, paths);
  const source = await sourceAt(part, place, deps);
  // The project's own files go to the project, whatever place a manifest gives them.
  return part.kind === 'project-files' ? source : rooted(source, place.root);
}

/** Its exchanges follow no link that somebody made since on the way from `root` to the data. */
function rooted(source: Source, root: string | undefined): Source {
  if (root === undefined) return source;
  const guarded = (swaps: readonly Swap[]): Swap[] => swaps.map((swap) => ({ ...swap, root }));
  return {
    ...source,
    stage: async (...given) => guarded(await source.stage(...given)),
    ...(source.stagePaths === undefined
      ? {}
      : { stagePaths: async (...given) => guarded((await source.stagePaths?.(...given)) ?? []) }),
  };
}

function sourceAt(part: Part, place: Place, deps: SourceDeps): Promise<Source> {
  const { name, origin } = part;
  const common = {
    name,
    path: place.path,
    ...(place.service === undefined ? {} : { service: place.service }),
    ...(place.volume === undefined ? {} : { volume: place.volume }),
    ...(place.containerPath === undefined ? {} : { containerPath: place.containerPath }),
  };
  if (part.kind === 'postgres') {
    return createSource(
      {
        ...common,
        type: 'postgres',
        method: part.method === 'sqlite' ? 'files' : part.method,
        service: place.service ?? origin.service ?? '',
        containerPath: place.containerPath ?? '',
        user: part.postgres?.user ?? 'postgres',
      },
      deps,
    );
  }
  if (part.kind === 'sqlite') return createSource({ ...common, type: 'sqlite', writers: place.writers }, deps);
  return createSource({ ...common, type: part.kind, exclude: origin.exclude ?? [], writers: place.writers }, deps);
}
