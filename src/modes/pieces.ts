import path from 'node:path';
import type { Manifest, Part } from '../archive/manifest.ts';
import { dumpSuffix } from '../archive/names.ts';
import { CaretakerError, CaretakerErrors } from '../errors.ts';
import type { Selection } from '../settings/selection.ts';
import { dataParts } from './exchange.ts';

/** What is restored of one part. */
export interface Piece {
  /** Its files are those that are needed, and no others. */
  readonly part: Part;
  /** Paths inside it; empty: not by paths. */
  readonly paths: readonly string[];
  /** Single databases, that are exchanged in a server which goes on running; empty: the part as it is. */
  readonly databases: readonly string[];
}

/**
 * What `only` means for this backup. Without it, all parts but the project's own files: code and configuration are what git and the
 * administrator say. `part-unknown`, `part-indivisible`, `database-unknown`.
 */
export function choosePieces(
  manifest: Manifest,
  only: readonly Selection[],
  where: 'live' | 'elsewhere' = 'live',
): readonly Piece[] {
  if (only.length === 0 && where === 'elsewhere')
    return manifest.parts.map((part) => ({ part, paths: [], databases: [] }));
  if (only.length === 0) return dataParts(manifest.parts).map((part) => pieceOf(part, [], where));
  const problems: CaretakerError[] = [];
  const unknown = [...new Set(only.map(({ part }) => part))].filter(
    (name) => !manifest.parts.some((part) => part.name === name),
  );
  if (unknown.length > 0) {
    problems.push(
      new CaretakerError('part-unknown', `backup ${manifest.name} has no part ${unknown.join(', ')}`, {
        input: 'only',
        hint: `Its parts are: ${manifest.parts.map(({ name }) => name).join(', ')}.`,
      }),
    );
  }
  const pieces: Piece[] = [];
  for (const part of manifest.parts) {
    const wanted = only.filter((selection) => selection.part === part.name);
    problems.push(...wanted.flatMap((selection) => problemWith(part, selection) ?? []));
    if (wanted.length > 0) pieces.push(pieceOf(part, wanted, where));
  }
  const [first] = problems;
  if (first !== undefined) throw problems.length === 1 ? first : new CaretakerErrors(problems);
  return pieces;
}

/** As `only` says it. */
export function namesOf({ part, paths, databases }: Piece): string[] {
  if (paths.length > 0) return paths.map((path) => `${part.name}/${path}`);
  return databases.length > 0 ? databases.map((database) => `${part.name}:${database}`) : [part.name];
}

/** What a part's one file is called. A manifest may say that it lies at the root, which has no name. */
export function fileNameOf({ name, origin }: Part): string {
  const base = path.basename(path.resolve(origin.path));
  return base === '' ? name : base;
}

function pieceOf(part: Part, wanted: readonly Selection[], where: 'live' | 'elsewhere'): Piece {
  const paths = wanted.flatMap((selection) => (selection.what === 'path' ? [selection.path] : []));
  const named = wanted.flatMap((selection) => (selection.what === 'database' ? [selection.database] : []));
  const databases =
    named.length === 0 && where === 'live' && isOfDatabases(part) ? (part.postgres?.databases ?? []) : named;
  if (databases.length === 0) return { part, paths, databases };
  const ends = databases.map((database) => `.${part.name}.${dumpSuffix(database)}.zst`);
  // Whoever loads it into a server of his own needs the roles, too.
  if (where === 'elsewhere') ends.push(`.${part.name}.globals.sql.zst`);
  return {
    part: { ...part, files: part.files.filter(({ file }) => ends.some((end) => file.endsWith(end))) },
    paths,
    databases,
  };
}

/** Without roles and settings no server can be made of it: single databases, taken when a restore replaced them. */
function isOfDatabases(part: Part): boolean {
  return part.method === 'dump' && !part.files.some(({ file }) => file.endsWith('.globals.sql.zst'));
}

function problemWith(part: Part, selection: Selection): CaretakerError | undefined {
  if (selection.what === 'part') return undefined;
  const indivisible = (why: string, hint: string): CaretakerError =>
    new CaretakerError('part-indivisible', `"${selection.text}" can’t be taken out of ${part.name}: ${why}`, {
      input: 'only',
      hint,
    });
  if (selection.what === 'path') {
    if (part.kind === 'volume' || part.kind === 'directory') return undefined;
    const why =
      part.kind === 'postgres'
        ? 'it is a database server'
        : part.kind === 'sqlite'
          ? 'it is one database'
          : 'it is no tree of data';
    return indivisible(
      why,
      `Write only: ${part.name}${part.method === 'dump' ? `, or only: ${part.name}:DATABASE` : ''}.`,
    );
  }
  if (part.kind !== 'postgres') {
    return indivisible('it is no database server', `Write only: ${part.name}, or a path inside it: ${part.name}/PATH.`);
  }
  if (part.method !== 'dump') {
    return indivisible(
      'it is a copy of the whole server’s files',
      `Restore the part elsewhere (only: ${part.name}, to: DIRECTORY), start a server of PostgreSQL ${part.postgres?.version ?? 'the same major version'} on it, and dump the database from there. Backups with method=dump give single databases back.`,
    );
  }
  const databases = part.postgres?.databases ?? [];
  if (databases.includes(selection.database)) return undefined;
  return new CaretakerError('database-unknown', `${part.name} has no database ${selection.database}`, {
    input: 'only',
    hint: databases.length === 0 ? 'It holds none.' : `Its databases are: ${databases.join(', ')}.`,
  });
}
