import path from 'node:path';
import { rm } from 'node:fs/promises';
import type { Manifest, Part } from '../archive/manifest.ts';
import { partReader, type PartReader } from '../archive/parts.ts';
import { CaretakerError } from '../errors.ts';
import type { RestoreSettings } from '../settings/settings.ts';
import { findPaths } from '../sources/paths.ts';
import type { Source } from '../sources/source.ts';
import { sourceForPart } from '../sources/sources.ts';
import { freeBytes } from '../system/disk.ts';
import type { Store } from '../stores/store.ts';
import { keepAndDrop } from './aside.ts';
import { checkRooms, imagesNow, type Room } from './capture.ts';
import type { ChosenBackup } from './choose.ts';
import { sourceDeps } from './data.ts';
import { chooseAndOpen, lookAtGround, makeGround, type Reopen } from './empty-host.ts';
import { exchangeData } from './exchange.ts';
import { fetchParts } from './fetch.ts';
import { PROTECTED_VERSIONS } from './images.ts';
import { noteProven } from './keys.ts';
import { madeElsewhere } from './made-at.ts';
import { choosePieces, namesOf, type Piece } from './pieces.ts';
import { bringVersion, leftBehind, versionToBring } from './restore-code.ts';
import { asideOf, planDatabases, stageDatabases } from './restore-database.ts';
import { knownServices, nowServing, serveAgain } from './serving.ts';
import { noteWhatServes } from './switch-over.ts';
import type { Tools } from './tools.ts';

export interface RestoreOutcome {
  readonly chosen: ChosenBackup;
  readonly parts: readonly string[];
}

/**
 * restore: choose → on an empty host, its compose files → confirm → fetch all and verify → code and images of the backup, where they are wanted → unpack beside the live data → stop → swap by renames → start → health → commit →
 * keep what was there as a safety backup. Everything slow comes before the stop or after the start. The data from before lie aside
 * untouched until the health check has passed, and become the safety backup only then: it holds the very last state, down to the stop.
 */
export async function restore(
  opened: Tools,
  settings: RestoreSettings,
  openFolder: (directory: string) => Store,
  host: { readonly reopen: Reopen; readonly missing: CaretakerError | undefined },
): Promise<RestoreOutcome> {
  const { tools, chosen } = await chooseAndOpen(opened, settings, openFolder, host);
  const { project, recorder, run } = tools;
  const { manifest } = chosen;
  const directory = path.join(project.stateDirectory, 'staging', `${run}-fetched`);

  const pieces = choosePieces(manifest, settings.only);
  const parts = pieces.map(({ part }) => part);
  const names = pieces.flatMap(namesOf);
  recorder.sections = { restore: { backup: manifest.name, parts: names } };
  const head = (await tools.checkout?.head()) ?? null;
  const moves = manifest.version.commit !== (head?.commit ?? null);
  const { empty, places } = await lookAtGround(tools, manifest.parts, { needed: moves ? [] : parts });
  const single = pieces.find(({ databases }) => databases.length > 0);
  if (empty && single !== undefined) {
    throw new CaretakerError(
      'postgres-not-running',
      `there is no server of ${single.part.name} on this host yet to restore single databases into`,
      { input: 'only', hint: 'Restore all of a backup first, which brings the server up.' },
    );
  }
  await confirm(tools, settings, manifest, empty);
  const version = await versionToBring(tools, settings, manifest, parts, { empty });
  if (version !== null && !empty && settings.only.length > 0) {
    throw new CaretakerError(
      'settings-conflict',
      `the code of ${manifest.name} belongs to all of its data, and only ${names.join(', ')} would go back`,
      {
        input: 'with-code',
        hint: 'Restore all of it with its code; or a part without, by "version-mismatch" in allow, or into another place by to.',
      },
    );
  }
  const images = await imagesNow(tools);

  refusePlatform(manifest, parts, (await project.engine?.runtime.platform()) ?? `${process.platform}/${process.arch}`);
  await checkRooms(await roomsFor(tools, pieces, places));

  const read = partReader(directory, chosen.decrypt);
  // What of it can't be restored is told before anything is stopped.
  const bind = async (how: { readonly anew?: true }): Promise<Bound> => {
    await makeGround(tools, parts, { empty, how });
    const sources = await sourcesFor(tools, pieces, how);
    const live = await bindPaths(tools, pieces, sources, read);
    return { live, planned: await planDatabases(tools, pieces, sources, read) };
  };
  try {
    await recorder.step(`Fetch and verify ${manifest.name}`, () => fetchParts(tools, chosen, parts, directory));
    let bound: Bound;
    let serving: readonly string[];
    if (version === null) {
      bound = await bind({});
      serving = await noteWhatIsStopped(tools);
    } else {
      serving = await noteWhatServes(tools, settings);
      await bringVersion(tools, settings, manifest, version);
      bound = await bind({ anew: true });
    }
    const { live, planned } = bound;
    const databases = await stageDatabases(tools, planned, read);
    const { keepLocal, keepLocalDays } = settings;
    const versions = version === null ? {} : { keepVersions: PROTECTED_VERSIONS };
    const left = version?.target && !empty ? await leftBehind(tools, head, version.target) : null;
    const keep = { databases: asideOf(planned), run, reason: 'before-restore' as const, head, images };
    await exchangeData(tools, settings, {
      ...{ parts: parts.filter(({ name }) => live.has(name)), sources: live, databases, read, run },
      ...(version === null
        ? { start: (services) => ({ by: 'start', services: serving.length > 0 ? services : undefined }) }
        : { anew: true, start: () => ({ by: 'version' }) }),
      forward: (aside) => [
        ...keepAndDrop({ parts: aside, ...keep }),
        ...(version?.target ? [{ action: 'forget-update', data: left }] : []),
        { action: 'tidy', data: { keepLocal, keepLocalDays, ...versions } },
      ],
    });
    await noteProven(tools, manifest);
    return { chosen, parts: names };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** What goes where. */
interface Bound {
  readonly live: ReadonlyMap<string, Source>;
  readonly planned: Awaited<ReturnType<typeof planDatabases>>;
}

/** Where each part goes. */
async function sourcesFor(
  tools: Tools,
  pieces: readonly Piece[],
  how: { readonly anew?: true },
): Promise<ReadonlyMap<string, Source>> {
  const sources = new Map<string, Source>();
  for (const { part, paths } of pieces)
    sources.set(part.name, await sourceForPart(part, { ...sourceDeps(tools), ...how, fromStore: true }, paths));
  return sources;
}

async function noteWhatIsStopped(tools: Tools): Promise<readonly string[]> {
  const { project, saga } = tools;
  const serving = await nowServing(tools);
  const known = await knownServices(project);
  await saga.step('note what serves', { undo: serveAgain({ ...serving, by: 'start', known }) }, () =>
    Promise.resolve(),
  );
  return serving.services;
}

/** Nothing is asked where nothing is lost. `confirm-missing`, `not-confirmed`. */
export async function confirm(
  { project, recorder, log }: Pick<Tools, 'project' | 'recorder' | 'log'>,
  settings: Pick<RestoreSettings, 'confirm'>,
  manifest: Manifest,
  empty: boolean,
): Promise<void> {
  const typed = settings.confirm;
  if (typed !== project.name && !(empty && typed === '')) {
    const elsewhere = await madeElsewhere(project, manifest);
    const made = elsewhere === null ? '' : `, which was made ${elsewhere},`;
    throw new CaretakerError(
      typed === '' ? 'confirm-missing' : 'not-confirmed',
      `restoring ${manifest.name}${made} replaces the live data of ${project.name}, and confirm does not say so`,
      {
        input: 'confirm',
        hint: `Set confirm to the project's name: ${project.name}`,
      },
    );
  }
  if (empty) log.info(`There is nothing of ${project.name} on this host yet: the backup brings all of it up`);
  if (manifest.project !== project.name) {
    recorder.warn(`The backup was made of ${manifest.project} on ${manifest.host}, and goes into ${project.name}.`);
  }
}

/** What is fetched, and each part beside its live data. */
async function roomsFor(
  { project }: Tools,
  pieces: readonly Piece[],
  places: ReadonlyMap<string, string>,
): Promise<Room[]> {
  const parts = pieces.map(({ part }) => part);
  const fetched = { directory: project.stateDirectory, bytes: sizeOf(parts, 'bytes'), what: 'the files of the backup' };
  // How much lies at a path is known when its part is here.
  const whole = pieces.filter(({ paths }) => paths.length === 0);
  const unpacked = whole.map(async ({ part }): Promise<Room> => {
    const directory = await roomBeside(places.get(part.name), project.directory);
    return { directory, bytes: sizeOf([part], 'rawBytes'), what: `${part.name}, unpacked` };
  });
  return [fetched, ...(await Promise.all(unpacked))];
}

/** Where this user may not look (another's volume), it is reckoned to be on the project's filesystem. */
async function roomBeside(place: string | undefined, otherwise: string): Promise<string> {
  const beside = path.dirname(place ?? otherwise);
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
  read: PartReader,
): Promise<ReadonlyMap<string, Source>> {
  const bound = new Map<string, Source>();
  for (const { part, paths, databases } of pieces) {
    const source = sources.get(part.name) as Source;
    if (databases.length > 0) continue;
    bound.set(part.name, source);
    if (paths.length === 0) continue;
    const found = await findPaths(part, read, paths);
    const room = await roomBeside(source.origin.path, project.directory);
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
