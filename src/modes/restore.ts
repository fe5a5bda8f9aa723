import path from 'node:path';
import { mkdir, rm } from 'node:fs/promises';
import { verifyPart } from '../archive/parts.ts';
import type { Manifest, Part } from '../archive/manifest.ts';
import { CaretakerError } from '../errors.ts';
import type { RestoreSettings } from '../settings/settings.ts';
import { findPaths } from '../sources/paths.ts';
import type { Source } from '../sources/source.ts';
import { sourceForPart } from '../sources/sources.ts';
import { freeBytes } from '../system/disk.ts';
import type { Store } from '../stores/store.ts';
import { checkRooms, imagesNow, type Room } from './capture.ts';
import { chooseBackup, type ChosenBackup } from './choose.ts';
import { sourceDeps } from './data.ts';
import { exchangeData, partReader, startProject } from './exchange.ts';
import { PROTECTED_VERSIONS } from './images.ts';
import { choosePieces, namesOf, type Piece } from './pieces.ts';
import { bringVersion, leftBehind, upWithVersion, versionToBring } from './restore-code.ts';
import { asideOf, planDatabases, stageDatabases } from './restore-database.ts';
import { knownServices, runningServices, serveAgain } from './serving.ts';
import { noteWhatServes } from './switch-over.ts';
import type { Tools } from './tools.ts';

export interface RestoreOutcome {
  readonly chosen: ChosenBackup;
  readonly parts: readonly string[];
}

/**
 * restore: choose → confirm → fetch all and verify → code and images of the backup, where they are wanted → unpack beside the live data → stop → swap by renames → start → health → commit →
 * keep what was there as a safety backup. Everything slow comes before the stop or after the start. The data from before lie aside
 * untouched until the health check has passed, and become the safety backup only then: it holds the very last state, down to the stop.
 */
export async function restore(
  tools: Tools,
  settings: RestoreSettings,
  openFolder: (directory: string) => Store,
): Promise<RestoreOutcome> {
  const { project, recorder, saga } = tools;
  const directory = path.join(project.stateDirectory, 'staging', `${tools.run}-fetched`);

  const chosen = await recorder.step('Choose the backup', () => chooseBackup(tools, settings.backup, openFolder));
  const pieces = choosePieces(chosen.manifest, settings.only);
  const parts = pieces.map(({ part }) => part);
  const names = pieces.flatMap(namesOf);
  recorder.sections = { restore: { backup: chosen.manifest.name, parts: names } };
  confirm(tools, settings, chosen.manifest);
  const version = await versionToBring(tools, settings, chosen.manifest, parts);
  const head = (await tools.checkout?.head()) ?? null;
  const images = await imagesNow(tools);
  let sources = await sourcesFor(tools, pieces);

  refusePlatform(
    chosen.manifest,
    parts,
    (await project.engine?.runtime.platform()) ?? `${process.platform}/${process.arch}`,
  );
  await checkRooms(await roomsFor(tools, pieces, sources));

  try {
    await recorder.step(`Fetch and verify ${chosen.manifest.name}`, () => fetchParts(tools, chosen, parts, directory));
    let live = await bindPaths(tools, pieces, sources, directory);
    let planned = await planDatabases(tools, pieces, sources, directory);

    const serving = version === null ? await noteWhatIsStopped(tools) : await noteWhatServes(tools, settings);
    if (version !== null) {
      await bringVersion(tools, settings, chosen.manifest, version);
      sources = await sourcesFor(tools, pieces, { anew: true });
      live = await bindPaths(tools, pieces, sources, directory);
      planned = await planDatabases(tools, pieces, sources, directory);
    }
    const databases = await stageDatabases(tools, planned, directory);
    const aside = await exchangeData(tools, settings, {
      ...{ parts: parts.filter(({ name }) => live.has(name)), sources: live, databases, directory, run: tools.run },
      ...(version === null
        ? { start: (services) => startProject(tools, serving.length > 0 ? services : undefined) }
        : { anew: true, start: () => upWithVersion(tools) }),
    });
    const { keepLocal, keepLocalDays } = settings;
    const keep = { parts: aside, databases: asideOf(planned), run: tools.run, reason: 'before-restore', head, images };
    const versions = version === null ? {} : { keepVersions: PROTECTED_VERSIONS };
    await saga.commit([
      { action: 'keep-aside', data: keep },
      ...(version?.target ? [{ action: 'forget-update', data: await leftBehind(tools, head, version.target) }] : []),
      { action: 'tidy', data: { keepLocal, keepLocalDays, ...versions } },
    ]);
    return { chosen, parts: names };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Where each part goes. */
async function sourcesFor(
  tools: Tools,
  pieces: readonly Piece[],
  how: { readonly anew?: true } = {},
): Promise<ReadonlyMap<string, Source>> {
  const sources = new Map<string, Source>();
  for (const { part, paths } of pieces)
    sources.set(part.name, await sourceForPart(part, { ...sourceDeps(tools), ...how }, paths));
  return sources;
}

async function noteWhatIsStopped({ project, saga }: Tools): Promise<readonly string[]> {
  const services = await runningServices(project);
  const known = await knownServices(project);
  await saga.step('note what serves', { undo: serveAgain({ services, by: 'start', known }) }, () => Promise.resolve());
  return services;
}

function confirm(tools: Tools, settings: RestoreSettings, manifest: Manifest): void {
  const { project, recorder } = tools;
  if (settings.confirm !== project.name) {
    throw new CaretakerError(
      'not-confirmed',
      `restoring ${manifest.name} replaces the live data of ${project.name}, and confirm does not say so`,
      {
        input: 'confirm',
        hint: `Set confirm to the project's name: ${project.name}`,
      },
    );
  }
  if (manifest.project !== project.name) {
    recorder.warn(`The backup was made of ${manifest.project} on ${manifest.host}, and goes into ${project.name}.`);
  }
}

/** What is fetched, and each part beside its live data. */
async function roomsFor(
  { project }: Tools,
  pieces: readonly Piece[],
  sources: ReadonlyMap<string, Source>,
): Promise<Room[]> {
  const parts = pieces.map(({ part }) => part);
  const fetched = { directory: project.stateDirectory, bytes: sizeOf(parts, 'bytes'), what: 'the files of the backup' };
  // How much lies at a path is known when its part is here.
  const whole = pieces.filter(({ paths }) => paths.length === 0);
  const unpacked = whole.map(async ({ part }): Promise<Room> => {
    const directory = await roomBeside(sources.get(part.name), project.directory);
    return { directory, bytes: sizeOf([part], 'rawBytes'), what: `${part.name}, unpacked` };
  });
  return [fetched, ...(await Promise.all(unpacked))];
}

/** Where this user may not look (another's volume), it is reckoned to be on the project's filesystem. */
async function roomBeside(source: Source | undefined, otherwise: string): Promise<string> {
  const beside = path.dirname(source?.origin.path ?? otherwise);
  return freeBytes(beside).then(
    () => beside,
    () => otherwise,
  );
}

/** The sources of what is unpacked beside the live data, those of single paths bound to them. `path-unknown`, `disk-full`. */
async function bindPaths(
  { project }: Tools,
  pieces: readonly Piece[],
  sources: ReadonlyMap<string, Source>,
  directory: string,
): Promise<ReadonlyMap<string, Source>> {
  const bound = new Map<string, Source>();
  for (const { part, paths, databases } of pieces) {
    const source = sources.get(part.name) as Source;
    if (databases.length > 0) continue;
    bound.set(part.name, source);
    if (paths.length === 0) continue;
    const found = await findPaths(part, partReader(directory), paths);
    const room = await roomBeside(source, project.directory);
    await checkRooms([{ directory: room, bytes: found.bytes, what: `${paths.join(', ')} of ${part.name}, unpacked` }]);
    bound.set(part.name, {
      ...source,
      stage: (one, read, run) => source.stagePaths?.(one, read, run, found) ?? source.stage(one, read, run),
    });
  }
  return bound;
}

/** Bytes of these parts, as stored or unpacked. */
export function sizeOf(parts: readonly Part[], which: 'bytes' | 'rawBytes'): number {
  return parts.flatMap(({ files }) => files).reduce((sum, file) => sum + file[which], 0);
}

/** The files of a PostgreSQL cluster fit the processor architecture that wrote them. https://www.postgresql.org/docs/current/backup-file.html */
export function refusePlatform(manifest: Manifest, parts: readonly Part[], platform: string): void {
  const tied = parts.filter(({ kind, method }) => kind === 'postgres' && method !== 'dump');
  if (tied.length === 0 || manifest.platform === platform) return;
  throw new CaretakerError(
    'restore-platform',
    `${tied.map(({ name }) => name).join(', ')} of ${manifest.name} are files of a PostgreSQL server on ${manifest.platform}, and this is ${platform}`,
    {
      input: 'backup',
      hint: 'A server here can not read them. Choose a backup with method=dump, or restore on a machine of that kind and take a dump there.',
    },
  );
}

/** All that is needed of the backup in a new local directory, each file whole and its archive walked: `store-damaged`, `part-damaged`, `part-hostile`, `disk-full`. */
export async function fetchParts(
  tools: Tools,
  chosen: ChosenBackup,
  parts: readonly Part[],
  directory: string,
): Promise<void> {
  const { instructions } = chosen.manifest;
  const files = parts.flatMap((part) => part.files);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  // Nothing here reads it. But who has to restore by hand one day should not be the one to find out that it is damaged.
  await chosen.store.fetch(chosen.backup, instructions, path.join(directory, instructions.file));
  for (const file of files) {
    tools.signal.throwIfAborted();
    const target = path.join(directory, file.file);
    await chosen.store.fetch(chosen.backup, file, target);
    await verifyPart(target, file);
    tools.log.info(`${file.file}: ${file.bytes} bytes, digest and archive are whole`);
  }
}
