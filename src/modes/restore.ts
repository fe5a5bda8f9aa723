import path from 'node:path';
import { mkdir, rm } from 'node:fs/promises';
import { verifyPart } from '../archive/parts.ts';
import type { Manifest, Part } from '../archive/manifest.ts';
import { CaretakerError } from '../errors.ts';
import type { RestoreSettings } from '../settings/settings.ts';
import type { Source } from '../sources/source.ts';
import { sourceForPart } from '../sources/sources.ts';
import { freeBytes } from '../system/disk.ts';
import type { Store } from '../stores/store.ts';
import { checkRooms, type Room } from './capture.ts';
import { chooseBackup, type ChosenBackup } from './choose.ts';
import { sourceDeps } from './data.ts';
import { dataParts, exchangeData, startProject } from './exchange.ts';
import { knownServices, runningServices, serveAgain } from './serving.ts';
import type { Tools } from './tools.ts';

export interface RestoreOutcome {
  readonly chosen: ChosenBackup;
  readonly parts: readonly string[];
}

/**
 * restore: choose → confirm → fetch all and verify → unpack beside the live data → stop → swap by renames → start → health → commit →
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
  const parts = chooseParts(chosen.manifest, settings.only);
  recorder.sections = { restore: { backup: chosen.manifest.name, parts: parts.map(({ name }) => name) } };
  confirm(tools, settings, chosen.manifest);
  const sources = new Map<string, Source>();
  for (const part of parts) sources.set(part.name, await sourceForPart(part, sourceDeps(tools)));

  refusePlatform(
    chosen.manifest,
    parts,
    (await project.engine?.runtime.platform()) ?? `${process.platform}/${process.arch}`,
  );
  await checkRooms(await roomsFor(tools, parts, sources));

  try {
    await recorder.step(`Fetch and verify ${chosen.manifest.name}`, () => fetchParts(tools, chosen, parts, directory));

    const serving = await runningServices(project);
    const known = await knownServices(project);
    await saga.step('note what serves', { undo: serveAgain({ services: serving, by: 'start', known }) }, () =>
      Promise.resolve(),
    );

    const aside = await exchangeData(tools, settings, {
      ...{ parts, sources, directory, run: tools.run },
      start: (services) => startProject(tools, serving.length > 0 ? services : undefined),
    });
    const head = (await tools.checkout?.head()) ?? null;
    const { keepLocal, keepLocalDays } = settings;
    await saga.commit([
      { action: 'keep-aside', data: { parts: aside, run: tools.run, reason: 'before-restore', head } },
      { action: 'tidy', data: { keepLocal, keepLocalDays } },
    ]);
    return { chosen, parts: parts.map(({ name }) => name) };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Without `only`, all parts but the project's own files: code and configuration are what git and the administrator say. */
function chooseParts(manifest: Manifest, only: readonly string[]): readonly Part[] {
  if (only.length === 0) return dataParts(manifest.parts);
  const unknown = only.filter((name) => !manifest.parts.some((part) => part.name === name));
  if (unknown.length > 0) {
    throw new CaretakerError('part-unknown', `backup ${manifest.name} has no part ${unknown.join(', ')}`, {
      input: 'only',
      hint: `Its parts are: ${manifest.parts.map(({ name }) => name).join(', ')}.`,
    });
  }
  return manifest.parts.filter(({ name }) => only.includes(name));
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
  parts: readonly Part[],
  sources: ReadonlyMap<string, Source>,
): Promise<Room[]> {
  const fetched = { directory: project.stateDirectory, bytes: sizeOf(parts, 'bytes'), what: 'the files of the backup' };
  const unpacked = parts.map(async (part): Promise<Room> => {
    const beside = path.dirname(sources.get(part.name)?.origin.path ?? project.directory);
    // Where this user may not look (another's volume), it is reckoned to be on the project's filesystem.
    const directory = await freeBytes(beside).then(
      () => beside,
      () => project.directory,
    );
    return { directory, bytes: sizeOf([part], 'rawBytes'), what: `${part.name}, unpacked` };
  });
  return [fetched, ...(await Promise.all(unpacked))];
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
