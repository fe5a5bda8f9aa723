import { rm } from 'node:fs/promises';
import path from 'node:path';
import { openManifest, type Part } from '../archive/manifest.ts';
import { manifestFile } from '../archive/names.ts';
import { partReader, verifyPart } from '../archive/parts.ts';
import { projectLabel } from '../compose/compose-program.ts';
import { CaretakerError } from '../errors.ts';
import type { Swap } from '../runtimes/host-files.ts';
import { readStateFile } from '../safety/state-directory.ts';
import type { Source } from '../sources/source.ts';
import { sourceForPart } from '../sources/sources.ts';
import { readText, writeAtomic } from '../system/files.ts';
import { bootId } from '../system/identity.ts';
import { localDirectory } from './capture.ts';
import { sourceDeps } from './data.ts';
import { dataParts, inSwapOrder, loadAll, type StagedPart } from './exchange.ts';
import type { ServeAgain } from './serving.ts';
import type { Tools } from './tools.ts';

/** The plain data of the undo action `data-back`. */
export interface DataBack {
  /** Name of the safety backup taken before the switch. */
  readonly backup: string;
  readonly run: string;
}

/** `staging/RUN-back.json`: which attempts unpacked something, and, once all is unpacked, the exchanges that put it back. */
interface BackRecord {
  readonly attempts: readonly string[];
  readonly parts: readonly Part[];
  readonly swaps: readonly (readonly Swap[])[] | null;
  /** What exchanges that were done in vain have put aside. */
  readonly spent?: readonly string[];
  /** How it all stood when the exchanges began. Missing before that, and in the records of older versions. */
  readonly stood?: Stood;
}

interface Stood {
  readonly backup: string;
  readonly boot: string;
  /** By the container's id: when it had last been started, as the engine says it. */
  readonly started: Readonly<Record<string, string | null>>;
  /** `served`: the old version may have been brought up since, and users may have written. */
  readonly state: 'exchanging' | 'back' | 'served';
}

const recordFile = (tools: Tools, run: string): string =>
  path.join(tools.project.stateDirectory, 'staging', `${run}-back.json`);

async function readRecord(tools: Tools, run: string): Promise<BackRecord> {
  const record = await readStateFile<BackRecord>(
    recordFile(tools, run),
    ({ attempts, parts, swaps }) =>
      Array.isArray(attempts) && Array.isArray(parts) && (swaps === null || Array.isArray(swaps)),
    'Without it all data are unpacked anew from the safety backup, and what earlier attempts left beside them stays: status names it.',
  );
  return record ?? { attempts: [], parts: [], swaps: null };
}

const writeRecord = (tools: Tools, run: string, record: BackRecord): Promise<void> =>
  writeAtomic(recordFile(tools, run), JSON.stringify(record));

/**
 * Puts the data of the safety backup back after a version that may have changed everything. Killed while it unpacks, it unpacks anew under another name;
 * killed while it exchanges, it completes the same exchanges: the record tells which. Where something was started on the data since the exchanges began, it
 * does all of it once more.
 */
export async function dataBack(tools: Tools, { backup, run }: DataBack): Promise<void> {
  const record = await readRecord(tools, run);
  await putBack(tools, { backup, run }, await disturbed(tools, record));
}

/**
 * Between the return of the data and that of the old version, the host (after a power cut) or an engine that is started anew may start containers of the
 * failed version, which migrate the data that have just come back. They are put back once more then. What the old version itself has been brought up
 * with is never put back: users may have written.
 */
export async function dataBackAgain(
  tools: Tools,
  { run, existing }: Pick<ServeAgain, 'run' | 'existing'>,
): Promise<void> {
  if (run === undefined) return;
  let record = await readRecord(tools, run);
  if (record.stood === undefined) return;
  const again = await disturbed(tools, record, existing);
  const { backup } = record.stood;
  if (again) {
    tools.recorder.warn(
      `Something of ${tools.project.name} was started on the data that had just come back, by the host after a power cut or by its engine. They are put back once more, from ${backup}.`,
    );
  }
  if (again || record.stood.state === 'exchanging') record = await putBack(tools, { backup, run }, again);
  await writeRecord(tools, run, { ...record, stood: { ...record.stood, state: 'served' } as Stood });
}

/** Undone last: what the failed version wrote goes, and what was unpacked in vain. */
export async function dropBack(tools: Tools, run: string): Promise<void> {
  await dropAttempts(tools, await readRecord(tools, run));
  await rm(recordFile(tools, run), { force: true });
}

async function dropAttempts(tools: Tools, record: BackRecord): Promise<void> {
  await tools.project.files.remove(record.spent ?? []);
  for (const { source, swaps } of await stagedOf(tools, record)) {
    await tools.project.files.remove(swaps.map(({ aside }) => aside));
    for (const attempt of record.attempts) await source.unstage(attempt);
  }
}

async function putBack(tools: Tools, { backup, run }: DataBack, again: boolean): Promise<BackRecord> {
  const { project, log } = tools;
  await project.stop();
  await stopOneOffs(tools);
  const directory = localDirectory(project.stateDirectory);
  let record = await readRecord(tools, run);
  if (again && record.swaps !== null) {
    // An exchange that was cut off has left no live data: it is completed before what it put aside goes.
    await swapBack(tools, record);
    const spent = [...(record.spent ?? []), ...record.swaps.flat().map(({ aside }) => aside)];
    record = { ...record, swaps: null, spent };
    await writeRecord(tools, run, record);
    await dropAttempts(tools, record);
  }
  if (record.swaps === null) {
    const text = await readText(path.join(directory, manifestFile(backup)));
    if (text === null) {
      throw new CaretakerError(
        'safety-backup-missing',
        `the backup ${backup} taken before the update is not in ${directory}`,
        {
          hint: 'The data on disk are those that the failed version left. Restore a backup from the store: mode restore.',
        },
      );
    }
    const parts = dataParts(openManifest(text, backup).parts);
    try {
      record = await stageBack(tools, run, parts);
    } catch (error) {
      if (!(error instanceof CaretakerError && error.code === 'disk-full')) throw error;
      log.warn(`${error.message}; making room: what the failed version left of the data goes first`);
      await makeRoom(tools, run, parts);
      record = await stageBack(tools, run, parts);
    }
  }
  record = await noteStood(tools, { backup, run }, record, 'exchanging');
  const staged = await swapBack(tools, record);
  await loadAll(tools, staged, partReader(directory), (_name, work) => work());
  return noteStood(tools, { backup, run }, record, 'back');
}

async function swapBack(tools: Tools, record: BackRecord): Promise<readonly StagedPart[]> {
  const staged = await stagedOf(tools, record);
  for (const swap of inSwapOrder(staged)) await tools.project.files.swap(swap);
  return staged;
}

async function noteStood(
  tools: Tools,
  { backup, run }: DataBack,
  before: BackRecord,
  state: Stood['state'],
): Promise<BackRecord> {
  const containers = await tools.project.containers();
  const started = Object.fromEntries(containers.map(({ id, startedAt }) => [id, startedAt ?? null]));
  const record = { ...before, stood: { backup, boot: bootId(), started, state } };
  await writeRecord(tools, run, record);
  return record;
}

/** Whether anything but the old version (what was there before the update: `existing`) has been started since the exchanges began, or all was to be done once more. */
async function disturbed(
  { project }: Tools,
  { stood, swaps }: BackRecord,
  existing?: readonly string[],
): Promise<boolean> {
  if (stood === undefined) return false;
  if (swaps === null) return true;
  const { boot, started, state } = stood;
  const served = state === 'served';
  if (project.engine === null) return !served && boot !== bootId();
  if (served && existing === undefined) return false;
  return (await project.containers()).some(
    ({ id, startedAt }) =>
      started[id] !== undefined && started[id] !== (startedAt ?? null) && !(served && existing?.includes(id)),
  );
}

/** A migration that was cut off may live on in a container of its own, and write to the data that come back. */
async function stopOneOffs({ project }: Tools): Promise<void> {
  if (project.engine === null) return;
  const { runtime } = project.engine;
  const containers = await runtime.containers({ [projectLabel]: project.name });
  await runtime.stop(containers.filter(({ oneOff }) => oneOff).map(({ id }) => id));
}

/** Unpacks all parts beside what the failed version left, under a name of its own for each attempt. */
async function stageBack(tools: Tools, run: string, parts: readonly Part[]): Promise<BackRecord> {
  const { project, log } = tools;
  const before = await readRecord(tools, run);
  const attempt = `${run}-back${before.attempts.length + 1}`;
  const record = { ...before, attempts: [...before.attempts, attempt], parts, swaps: null };
  await writeRecord(tools, run, record);
  const swaps: (readonly Swap[])[] = [];
  for (const part of parts) {
    log.info(`${part.name}: unpacking the data from before the update`);
    const source = await sourceBack(part, tools);
    swaps.push(await source.stage(part, partReader(localDirectory(project.stateDirectory)), attempt));
  }
  await writeRecord(tools, run, { ...record, swaps });
  return { ...record, swaps };
}

/**
 * The failed version filled the disk, or it never had room for the data twice. The live data are about to be replaced anyway, by the safety backup, which is
 * read whole once more before they go. What the parts leave out stays. Killed anywhere, it can be done again.
 */
async function makeRoom(tools: Tools, run: string, parts: readonly Part[]): Promise<void> {
  const sources = await Promise.all(parts.map((part) => sourceBack(part, tools)));
  const directory = localDirectory(tools.project.stateDirectory);
  for (const file of parts.flatMap(({ files }) => files)) await verifyPart(path.join(directory, file.file), file);
  const { attempts } = await readRecord(tools, run);
  for (const source of sources) for (const attempt of attempts) await source.unstage(attempt);
  for (const source of sources) await source.discard?.();
}

const sourceBack = (part: Part, tools: Tools): Promise<Source> =>
  sourceForPart(part, { ...sourceDeps(tools), back: true });

async function stagedOf(tools: Tools, record: BackRecord): Promise<StagedPart[]> {
  const staged: StagedPart[] = [];
  for (const [index, part] of dataParts(record.parts).entries()) {
    staged.push({ part, source: await sourceBack(part, tools), swaps: record.swaps?.[index] ?? [] });
  }
  return staged;
}
