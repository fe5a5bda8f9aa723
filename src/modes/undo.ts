import type { Snapshot } from '../code/git.ts';
import type { Part } from '../archive/manifest.ts';
import type { Actions, Finishes } from '../safety/actions.ts';
import { sourceForPart } from '../sources/sources.ts';
import { dropAside, keepAside, type DropAside, type KeepAside } from './aside.ts';
import { finishComingUp, type ComeUp } from './bring-up.ts';
import { avoid, avoidNothing, type Avoided } from './avoided.ts';
import { sourceDeps } from './data.ts';
import { dataBack, dataBackAgain, dropBack, type DataBack } from './data-back.ts';
import { groundAway, type MadeGround } from './empty-host.ts';
import { filesAway, type WrittenFiles } from './project-files-back.ts';
import { dropRun, imagesBack, type ImageName } from './images.ts';
import { tidy, type KeepLocal } from './keep-local.ts';
import { forgetUpdate, rememberUpdate, type LastUpdate } from './last-update.ts';
import type { Unswap } from './exchange.ts';
import { undoDrop, undoSwap } from './restore-database.ts';
import { dropThrowaway, type ThrowawayRecord } from './throwaway.ts';
import { bringBack, type Patience, type ServeAgain } from './serving.ts';
import { removeServices, type RemoveServices } from './switch-over.ts';
import type { Tools } from './tools.ts';
import { dropLocal, queueBackup } from './unstored.ts';

/** How each step of update and restore is undone. The journal names these keys: renaming one breaks the recovery of older runs. */
export function undoActions(tools: () => Tools, patience: Patience): Actions {
  return {
    'serve-again': async (data) => {
      await dataBackAgain(tools(), data as ServeAgain);
      await bringBack(tools(), patience, data as ServeAgain);
    },
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

/** Without `keepLocal`, in the journals of older versions, all safety backups stay. */
interface CleanUp extends KeepLocal {
  readonly run: string;
}

/** Undone last, when the old version serves again: what the failed version wrote goes, and what this run kept in case. */
async function cleanUp(tools: Tools, { run, ...keep }: CleanUp): Promise<void> {
  const { project } = tools;
  await dropBack(tools, run);
  await dropRun(project, run);
  if (keep.keepLocal !== undefined) await tidy(tools, keep);
}
