import path from 'node:path';
import { rm } from 'node:fs/promises';
import type { Snapshot } from '../code/git.ts';
import { openManifest, type Part } from '../archive/manifest.ts';
import { manifestFile } from '../archive/names.ts';
import { partReader, verifyPart } from '../archive/parts.ts';
import { projectLabel } from '../compose/compose-program.ts';
import { CaretakerError } from '../errors.ts';
import type { Actions, Finishes } from '../safety/actions.ts';
import { readStateFile } from '../safety/state-directory.ts';
import type { Swap } from '../runtimes/host-files.ts';
import type { Source } from '../sources/source.ts';
import { sourceForPart } from '../sources/sources.ts';
import { readText, writeAtomic } from '../system/files.ts';
import { dropAside, keepAside, type DropAside, type KeepAside } from './aside.ts';
import { finishComingUp, type ComeUp } from './bring-up.ts';
import { avoid, avoidNothing, type Avoided } from './avoided.ts';
import { localDirectory } from './capture.ts';
import { sourceDeps } from './data.ts';
import { groundAway, type MadeGround } from './empty-host.ts';
import { filesAway, type WrittenFiles } from './project-files-back.ts';
import { dropRun, imagesBack, type ImageName } from './images.ts';
import { tidy, type KeepLocal } from './keep-local.ts';
import { forgetUpdate, rememberUpdate, type LastUpdate } from './last-update.ts';
import { dataParts, inSwapOrder, loadAll, type StagedPart, type Unswap } from './exchange.ts';
import { undoDrop, undoSwap } from './restore-database.ts';
import { dropThrowaway, type ThrowawayRecord } from './throwaway.ts';
import { bringBack, type Patience, type ServeAgain } from './serving.ts';
import { removeServices, type RemoveServices } from './switch-over.ts';
import type { Tools } from './tools.ts';
import { dropLocal, queueBackup } from './unstored.ts';

/** How each step of update and restore is undone. The journal names these keys: renaming one breaks the recovery of older runs. */
export function undoActions(tools: () => Tools, patience: Patience): Actions {
  return {
    'serve-again': (data) => bringBack(tools(), patience, data as ServeAgain),
    'code-back': async (data) => {
      await tools().checkout?.restoreSnapshot(data as Snapshot);
    },
    'images-back': (data) => imagesBack(tools().project, data as readonly ImageName[], { failed: true }),
    'names-away': async (data) => {
      const { engine } = tools().project;
      for (const name of data as readonly string[]) await engine?.runtime.untag(name);
    },
    'files-away': (data) => filesAway(tools(), data as WrittenFiles),
    'ground-away': (data) => groundAway(tools(), data as MadeGround),
    'data-back': (data) => dataBack(tools(), data as DataBack),
    'clean-up': (data) => cleanUp(tools(), data as CleanUp),
    'drop-backup': (data) => dropLocal(tools(), (data as { backup: string }).backup),
    'drop-throwaway': (data) => dropThrowaway(tools(), data as ThrowawayRecord),
    unswap: (data) => unswap(tools(), data as Unswap),
    unstage: async (data) => {
      const { part, run, anew } = data as { part: Part; run: string; anew?: true };
      await (await sourceForPart(part, { ...sourceDeps(tools()), ...(anew ? { anew } : {}) })).unstage(run);
    },
    'drop-db': (data) => undoDrop(tools(), data as Parameters<typeof undoDrop>[1]),
    'unswap-db': (data) => undoSwap(tools(), data as Parameters<typeof undoSwap>[1]),
    stop: async (data) => {
      await tools().project.stop((data as { services: readonly string[] }).services);
    },
  };
}

/**
 * Stops first what uses the data: a host that was switched off has started it again, and it would go on with what is renamed below it.
 */
async function unswap({ project }: Tools, { services, ...swap }: Unswap): Promise<void> {
  if (services !== undefined && services.length > 0) await project.stop(services);
  await project.files.unswap(swap);
}

/** How what a killed run had prepared is brought up and judged. */
export function finishActions(tools: () => Tools): Finishes {
  return { 'come-up': (data) => finishComingUp(tools(), data as ComeUp) };
}

/** What is left to do after a commit. Each can be repeated, and is until it has succeeded. */
export function forwardActions(tools: () => Tools): Actions {
  return {
    // It only queues the backup, and so can't fail for want of a store. Journals of older versions name no stores.
    'store-backup': async (data) => {
      const { stores: ours, project } = tools();
      const { backup, stores = ours.map(({ name }) => name), encrypted } = data as StoreBackup;
      await queueBackup(project.stateDirectory, { backup, stores, ...(encrypted ? { encrypted } : {}) });
    },
    'keep-aside': (data) => keepAside(tools(), data as KeepAside),
    'drop-aside': (data) => dropAside(tools(), data as DropAside),
    'remember-update': async (data) => {
      const { stateDirectory } = tools().project;
      await rememberUpdate(stateDirectory, data as LastUpdate);
      await avoidNothing(stateDirectory);
    },
    'forget-update': async (data) => {
      const { stateDirectory } = tools().project;
      if (data !== null) await avoid(stateDirectory, data as Avoided);
      await forgetUpdate(stateDirectory);
    },
    tidy: (data) => tidy(tools(), data as Parameters<typeof tidy>[1]),
    'remove-services': (data) => removeServices(tools(), data as RemoveServices),
  };
}

/** What is to be stored, and in which stores, by their names. */
interface StoreBackup {
  readonly backup: string;
  readonly stores?: readonly string[];
  /** Whether only an encrypted copy of it may leave this host. */
  readonly encrypted?: boolean;
}

interface DataBack {
  /** Name of the safety backup taken before the switch. */
  readonly backup: string;
  readonly run: string;
}

/** `staging/RUN-back.json`: which attempts unpacked something, and, once all is unpacked, the exchanges that put it back. */
interface BackRecord {
  readonly attempts: readonly string[];
  readonly parts: readonly Part[];
  readonly swaps: readonly (readonly Swap[])[] | null;
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

/**
 * Puts the data of the safety backup back after a version that may have changed everything. Killed while it unpacks, it unpacks anew under another name;
 * killed while it exchanges, it completes the same exchanges: the record tells which.
 */
async function dataBack(tools: Tools, { backup, run }: DataBack): Promise<void> {
  const { project, log } = tools;
  await project.stop();
  await stopOneOffs(tools);
  const directory = localDirectory(project.stateDirectory);
  let record = await readRecord(tools, run);
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
  const staged = await stagedOf(tools, record);
  for (const swap of inSwapOrder(staged)) await project.files.swap(swap);
  await loadAll(tools, staged, partReader(directory), (_name, work) => work());
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
  const { attempts } = await readRecord(tools, run);
  const attempt = `${run}-back${attempts.length + 1}`;
  const record = { attempts: [...attempts, attempt], parts, swaps: null };
  await writeAtomic(recordFile(tools, run), JSON.stringify(record));
  const swaps: (readonly Swap[])[] = [];
  for (const part of parts) {
    log.info(`${part.name}: unpacking the data from before the update`);
    const source = await sourceBack(part, tools);
    swaps.push(await source.stage(part, partReader(localDirectory(project.stateDirectory)), attempt));
  }
  await writeAtomic(recordFile(tools, run), JSON.stringify({ ...record, swaps }));
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

/** Without `keepLocal`, in the journals of older versions, all safety backups stay. */
interface CleanUp extends KeepLocal {
  readonly run: string;
}

/** Undone last, when the old version serves again: what the failed version wrote goes, and what this run kept in case. */
async function cleanUp(tools: Tools, { run, ...keep }: CleanUp): Promise<void> {
  const { project } = tools;
  const record = await readRecord(tools, run);
  for (const { source, swaps } of await stagedOf(tools, record)) {
    await project.files.remove(swaps.map(({ aside }) => aside));
    for (const attempt of record.attempts) await source.unstage(attempt);
  }
  await rm(recordFile(tools, run), { force: true });
  await dropRun(project, run);
  if (keep.keepLocal !== undefined) await tidy(tools, keep);
}
