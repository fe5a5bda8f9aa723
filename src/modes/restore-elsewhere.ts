import { createWriteStream } from 'node:fs';
import { mkdir, readdir, realpath, rename, rm, rmdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Manifest, Part } from '../archive/manifest.ts';
import { partReader, type PartReader } from '../archive/parts.ts';
import { CaretakerError, messageOf } from '../errors.ts';
import type { Project, SourceSpec } from '../project/project.ts';
import type { RestoreSettings } from '../settings/settings.ts';
import { mountsOf } from '../sources/locate.ts';
import { findPaths } from '../sources/paths.ts';
import { within } from '../sources/places.ts';
import { createSource, type SourceDeps } from '../sources/sources.ts';
import { fileError } from '../system/files.ts';
import { isStrangers, isStrangersLink } from '../system/strangers.ts';
import { removeOwnTree } from '../system/trees.ts';
import type { Store } from '../stores/store.ts';
import { checkRooms } from './capture.ts';
import { chooseBackup } from './choose.ts';
import { choosePieces, fileNameOf, namesOf, type Piece } from './pieces.ts';
import { fetchParts } from './fetch.ts';
import { sizeOf, type RestoreOutcome } from './restore.ts';
import type { Tools } from './tools.ts';

/**
 * restore with `to`: choose → look at the place → fetch all → unpack each part, verified on the way, into a directory of its own. Nothing of the live application is
 * touched, so that there is nothing to confirm, to lock, to journal or to undo: a failure removes what was made.
 */
export async function restoreElsewhere(
  tools: Tools,
  settings: RestoreSettings & { readonly to: string },
  openFolder: (directory: string) => Store,
): Promise<RestoreOutcome> {
  const { recorder, log } = tools;
  const chosen = await recorder.step('Choose the backup', () =>
    chooseBackup(tools, settings.backup, openFolder, { anywhere: tools.project.bare === true }),
  );
  const { manifest } = chosen;
  const pieces = choosePieces(manifest, settings.only, 'elsewhere');
  const parts = pieces.map(({ part }) => part);
  const names = pieces.flatMap(namesOf);
  recorder.sections = { restore: { backup: manifest.name, parts: names, to: settings.to } };

  await refuseStrangers(settings.to);
  const { to, missing } = await realPlace(settings.to);
  await refusePlace(tools, manifest, to);
  const whole = pieces.filter(({ paths }) => paths.length === 0).map(({ part }) => part);
  await checkRooms([
    { directory: to, bytes: sizeOf(parts, 'bytes'), what: 'the files of the backup' },
    { directory: to, bytes: sizeOf(whole, 'rawBytes'), what: 'the same, unpacked' },
  ]);

  const undo = await makePlace(to, missing);
  const fetched = path.join(to, `.caretaker-fetched-${tools.run}`);
  const read = partReader(fetched, chosen.decrypt);
  try {
    await recorder.step(`Fetch ${manifest.name}`, () => fetchParts(tools, chosen, parts, fetched, { walk: false }));
    for (const piece of pieces) {
      await recorder.step(`Unpack and verify ${namesOf(piece).join(', ')}`, async () => {
        tools.signal.throwIfAborted();
        await unpackPiece(tools, piece, to, read);
        for (const line of usage(piece, path.join(to, piece.part.name))) log.info(line);
      });
    }
    await rm(fetched, { recursive: true });
  } catch (error) {
    await undo().catch((left: unknown) => log.warn(`What was made in ${to} is not all removed: ${messageOf(left)}`));
    throw error;
  }
  log.info(`Restored into ${to}; the live application was not touched`);
  return { chosen, parts: names };
}

/** The place by its real path, as far as it is there; `missing`: the uppermost directory of it that is not. */
async function realPlace(to: string): Promise<{ readonly to: string; readonly missing: string | undefined }> {
  for (let up = to, rest = ''; ; rest = path.join(path.basename(up), rest), up = path.dirname(up)) {
    try {
      const real = await realpath(up);
      const [first] = rest.split('/').filter((name) => name !== '');
      return { to: path.join(real, rest), missing: first === undefined ? undefined : path.join(real, first) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || up === '/') throw unusable(to, messageOf(error), error);
    }
  }
}

/** Whoever may write there while the backup is unpacked could lead it elsewhere, or read what has no other guard than the directory. */
async function refuseStrangers(to: string): Promise<void> {
  if (isStrangersLink(to)) throw unusable(to, 'it is a symbolic link that another user has made');
  const stats = await stat(to).catch(() => undefined);
  if (stats === undefined) return;
  if (isStrangers(stats, { uid: 0 })) throw unusable(to, `it belongs to user ${stats.uid}`);
  if ((stats.mode & 0o002) !== 0) throw unusable(to, 'every user may write to it');
}

/** It must be new, and lie in no data that live: they would carry it along, and the application would see it. */
async function refusePlace({ project, log }: Tools, manifest: Manifest, to: string): Promise<void> {
  await refuseFull(to);
  const data = manifest.parts.filter(({ kind }) => kind !== 'project-files' && kind !== 'sqlite' && kind !== 'file');
  const origins = data.flatMap(({ origin }) => [
    origin.path,
    ...(origin.relativePath === undefined ? [] : [path.join(project.directory, origin.relativePath)]),
  ]);
  const mounted = await mountsOf(project).catch((error: unknown) => {
    log.warn(`Whether ${to} lies in what a service mounts can't be told: ${messageOf(error)}`);
    return [];
  });
  const mounts = mounted.flatMap(({ source, writable }) => (writable && source !== undefined ? [source] : []));
  for (const live of [...origins, ...mounts, project.stateDirectory]) {
    const real = await realpath(live).catch(() => live);
    if (within(real, to) !== undefined) throw unusable(to, `it lies in ${live}, which is in use`);
  }
}

async function refuseFull(to: string): Promise<void> {
  const entries = await readdir(to).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw unusable(to, error.code === 'ENOTDIR' ? 'it is a file' : error.message, error);
  });
  if (entries.length > 0) throw unusable(to, 'it is there already, and not empty');
}

function unusable(to: string, why: string, cause?: unknown): CaretakerError {
  return new CaretakerError('to-unusable', `failed to restore into ${to}: ${why}`, {
    input: 'to',
    hint: 'Give a directory that is not there yet, or an empty one, outside of the application’s data.',
    cause,
  });
}

/**
 * Makes the directory; answers with what removes all that was made there. `missing`: the uppermost directory of it that was not there when it was looked at. What has come since, where other
 * users may write, is not used.
 */
export async function makePlace(to: string, missing?: string): Promise<() => Promise<void>> {
  const first = await mkdir(to, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw unusable(to, messageOf(error), error);
  });
  // Above it others may have put something since.
  const removeMade = async (): Promise<void> => {
    for (let made = to; first !== undefined && within(first, made) !== undefined; made = path.dirname(made))
      if (!(await removeEmpty(made))) return;
  };
  try {
    if (first !== missing) throw unusable(to, `${missing ?? to} was made or removed by somebody else meanwhile`);
    await refuseStrangers(to);
    await refuseFull(to);
  } catch (error) {
    await removeMade();
    throw error;
  }
  return async () => {
    for (const name of await readdir(to)) await removeOwnTree(path.join(to, name));
    await removeMade();
  };
}

/** False where it is not empty. */
async function removeEmpty(directory: string): Promise<boolean> {
  try {
    await rmdir(directory);
    return true;
  } catch (error) {
    if (['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}

async function unpackPiece(tools: Tools, { part, paths }: Piece, to: string, read: PartReader): Promise<void> {
  const directory = path.join(to, part.name);
  if (part.method === 'dump') {
    await mkdir(directory, { mode: 0o700 });
    for (const file of part.files) {
      const name = file.file.slice(file.file.indexOf(`.${part.name}.`) + part.name.length + 2, -'.zst'.length);
      await pipeline(read(file), createWriteStream(path.join(directory, name), { flags: 'wx', mode: 0o600 }));
    }
    return;
  }
  const single = part.kind === 'file' || part.kind === 'sqlite';
  if (single) await mkdir(directory, { mode: 0o700 });
  const place = single ? path.join(directory, fileNameOf(part)) : directory;
  const source = await createSource(specFor(part, place), depsFor(tools, to));
  // What the part left out is nowhere here, and does not have to stay.
  const plain: Part = { ...part, origin: { path: place } };
  const found = paths.length === 0 ? undefined : await findPaths(part, read, paths);
  if (found !== undefined) {
    await checkRooms([{ directory: to, bytes: found.bytes, what: `${paths.join(', ')} of ${part.name}` }]);
  }
  const swaps = await (found === undefined
    ? source.stage(plain, read, tools.run)
    : source.stagePaths?.(plain, read, tools.run, found));
  // Nothing is there that the new could be exchanged for.
  for (const { fresh, live } of swaps ?? []) {
    await rename(fresh, live).catch((error: unknown) => {
      throw fileError(`put ${part.name} into ${live}`, error);
    });
  }
  await source.unstage(tools.run);
}

/** Where a part would live if it lived there. */
function specFor({ name, kind, method, postgres }: Part, place: string): SourceSpec {
  if (kind === 'postgres') {
    const user = postgres?.user ?? 'postgres';
    return {
      type: 'postgres',
      name,
      path: place,
      method: method === 'sqlite' ? 'files' : method,
      user,
      service: '',
      containerPath: '',
    };
  }
  if (kind === 'sqlite') return { type: 'sqlite', name, path: place, writers: [] };
  return { type: kind === 'file' ? 'file' : 'directory', name, path: place, exclude: [], writers: [] };
}

/** No service, no engine: only files. */
function depsFor({ project, log, clock, run }: Tools, to: string): SourceDeps {
  const bare: Project = { ...project, directory: to, engine: null, services: () => Promise.resolve([]) };
  return { project: bare, log, clock, run, back: true };
}

/** What to do with it, for the log. */
function usage({ part, databases: chosen }: Piece, directory: string): string[] {
  const { postgres } = part;
  if (part.method === 'dump') {
    const databases = chosen.length > 0 ? chosen : (postgres?.databases ?? []);
    return [
      `${directory}: dumps of PostgreSQL ${postgres?.version ?? ''} (${databases.join(', ')}), for this major version or a newer one.`,
      `Into a server of your own: psql -U ${postgres?.user ?? 'postgres'} -d template1 -f globals.sql (it may say that roles exist already); createdb NEW; pg_restore -d NEW --exit-on-error --no-tablespaces FILE.dump`,
    ];
  }
  if (part.kind === 'postgres') {
    return [
      `${directory}: a data directory of PostgreSQL ${postgres?.version ?? ''}. A server of major version ${postgres?.major ?? 'the same'} starts on it: mount it as PGDATA in a container of its own, owned by the user that the server runs as, mode 0700.`,
    ];
  }
  return [`${directory}: ${part.kind === 'sqlite' ? 'a SQLite database' : 'files'}, as in ${part.origin.path}`];
}
