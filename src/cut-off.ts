import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Snapshot } from './code/git.ts';
import { CaretakerError } from './errors.ts';
import { giveReserve } from './modes/reserve.ts';
import { undoActions } from './modes/undo.ts';
import { open, openCode, type Acting, type Opened, type World } from './open.ts';
import type { Project } from './project/project.ts';
import { refuseUnknown, toUndo } from './safety/actions.ts';
import { takeOverCommands } from './safety/commands.ts';
import { openJournal, unfinishedRun, type UnfinishedRun } from './safety/journal.ts';
import { acquireLock, lockHolder } from './safety/lock.ts';
import { readConfig } from './settings/load.ts';
import { CONFIG_FILE } from './settings/sources.ts';
import { systemClock } from './system/system-clock.ts';

/** How the project of a run was found, in the line with which its journal begins. Missing in those of older versions. */
export interface OpenedAs {
  /** The digest of caretaker.yml; null where there was none. */
  readonly config?: string | null;
  readonly sourceDirectory?: string;
  readonly projectName?: string;
  readonly composeFiles?: readonly string[];
  readonly envFiles?: readonly string[];
  readonly profiles?: readonly string[];
}

export function openedAs({ projectDirectory, sourceDirectory }: Acting, { name, engine }: Project): OpenedAs {
  const config = configDigest(projectDirectory);
  const own = {
    ...(config === undefined ? {} : { config }),
    ...(sourceDirectory === undefined ? {} : { sourceDirectory }),
    projectName: name,
  };
  if (engine === null) return own;
  const { files, envFiles, profiles } = engine.compose;
  return { ...own, composeFiles: files, envFiles, profiles };
}

/** Whether whoever asks has the lock already. */
interface Held {
  readonly held?: boolean;
}

/**
 * Where a run was cut off on code that brought another caretaker.yml than that run had read, its code goes back before any settings are read, under the lock:
 * the other file may not be valid, and what it says of commands, files and health is not about the version that is to serve again. While another run has the
 * lock nothing is done.
 */
export async function settingsBack(
  { mode, projectDirectory }: Pick<Acting, 'mode' | 'projectDirectory'>,
  world: World,
  { held = false }: Held = {},
): Promise<void> {
  const stateDirectory = path.join(projectDirectory, '.caretaker');
  const moved = (run: UnfinishedRun | null): boolean => {
    const [was, is] = [((run?.settings ?? {}) as OpenedAs).config, configDigest(projectDirectory)];
    return was !== undefined && was !== is;
  };
  if (!existsSync(path.join(stateDirectory, 'journal.jsonl')) || !moved(await cutOff(stateDirectory))) return;
  try {
    const settings = { mode, projectDirectory, lockTimeoutMs: 0, sourceDirectory: undefined, githubToken: undefined };
    const why = 'code with another caretaker.yml than it had begun with';
    await codeBack(settings, world, stateDirectory, { when: moved, why, held });
  } catch (error) {
    if (!(error instanceof CaretakerError) || error.code !== 'locked') throw error;
  }
}

/** Null where there is none; undefined where it can't be read, so that it is another than any that a run has begun with. */
function configDigest(projectDirectory: string): string | null | undefined {
  try {
    return createHash('sha256')
      .update(readConfig(path.join(projectDirectory, CONFIG_FILE)))
      .digest('hex');
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? null : undefined;
  }
}

/**
 * As `open`, for a run that acts, after one that was cut off:
 * - What that one had learned from containers that run no longer is taken from its journal: the project's name, profiles, files.
 * - Where its project can't be opened on the code that it had checked out, that code goes back first, under the lock: nothing else of it could be undone.
 */
export async function openAfter(settings: Acting, world: World, { held = false }: Held = {}): Promise<Opened> {
  const stateDirectory = path.join(settings.projectDirectory, '.caretaker');
  const known = await learned(settings, stateDirectory);
  let opened: Opened | undefined;
  let error: unknown;
  try {
    opened = await open(known, world);
    error = opened.missing;
  } catch (thrown) {
    error = thrown;
  }
  const ofCode = error instanceof CaretakerError && /^(compose-file|env-file|project-name)-/.test(error.code);
  const why = "code whose project can't be opened";
  if (ofCode && (await codeBack(settings, world, stateDirectory, { when: () => true, why, held })))
    return open(await learned(settings, stateDirectory), world);
  if (opened === undefined) throw error;
  return opened;
}

async function learned<S extends Acting>(settings: S, stateDirectory: string): Promise<S> {
  const run = await cutOff(stateDirectory);
  const { projectName, composeFiles = [], envFiles = [], profiles = [] } = (run?.settings ?? {}) as OpenedAs;
  const there = (given: readonly string[], files: readonly string[]): readonly string[] =>
    given.length === 0 && files.every((file) => existsSync(file)) ? files : given;
  return {
    ...settings,
    projectName: settings.projectName ?? projectName,
    composeFiles: there(settings.composeFiles, composeFiles),
    envFiles: there(settings.envFiles, envFiles),
    profiles: settings.profiles.length > 0 ? settings.profiles : profiles,
  };
}

/** A journal that can't be read is told of where it is to be recovered from. */
async function cutOff(stateDirectory: string): Promise<UnfinishedRun | null> {
  try {
    return await unfinishedRun(stateDirectory);
  } catch (error) {
    if (error instanceof CaretakerError) return null;
    throw error;
  }
}

/**
 * False where no code waits to go back. It is no step less to undo: in its turn it is undone again. Not once the run was prepared: then its project was opened on that code, users may have
 * written to what came up, and health decides; what can't be read now was changed by hand.
 */
async function codeBack(
  settings: Pick<Acting, 'mode' | 'projectDirectory' | 'sourceDirectory' | 'githubToken' | 'lockTimeoutMs'>,
  world: World,
  stateDirectory: string,
  how: { readonly when: (run: UnfinishedRun) => boolean; readonly why: string; readonly held: boolean },
): Promise<boolean> {
  const codeOf = (run: UnfinishedRun | null): unknown =>
    run === null || run.forward !== null || run.prepared !== null
      ? undefined
      : toUndo(run).find(({ undo }) => undo.action === 'code-back')?.undo.data;
  if (codeOf(await cutOff(stateDirectory)) === undefined) return false;
  const putBack = async (): Promise<void> => {
    const journal = await openJournal(stateDirectory);
    // Whoever had the lock may have put it right.
    const run = await journal.unfinished();
    const code = codeOf(run);
    if (run === null || code === undefined || !how.when(run)) return;
    refuseUnknown(
      run,
      { journal, actions: undoActions(noTools, NO_PATIENCE) },
      toUndo(run).map(({ undo }) => undo),
    );
    world.log.warn(`The ${run.mode} ${run.run} was cut off on ${how.why}: that goes back first`);
    const { sourceDirectory = settings.sourceDirectory } = (run.settings ?? {}) as OpenedAs;
    const checkout = await openCode({ ...settings, sourceDirectory }, world, settings.projectDirectory);
    await checkout?.restoreSnapshot(code as Snapshot);
  };
  if (how.held) await putBack();
  else await underLock(settings, world, stateDirectory, putBack);
  return true;
}

/** As a run takes it. */
async function underLock(
  { mode, lockTimeoutMs: timeoutMs }: Pick<Acting, 'mode' | 'lockTimeoutMs'>,
  world: World,
  stateDirectory: string,
  work: () => Promise<void>,
): Promise<void> {
  // On a full disk even the lock may want what the killed run has kept.
  const holder = await lockHolder(stateDirectory);
  if (holder === null || holder.state === 'dead') await giveReserve(stateDirectory);
  const lock = await acquireLock(stateDirectory, { mode }, { timeoutMs, clock: systemClock, ...world });
  try {
    const commandsOver = await takeOverCommands(stateDirectory, world.log);
    try {
      await giveReserve(stateDirectory);
      await work();
    } finally {
      commandsOver();
    }
  } finally {
    await lock.release();
  }
}

const NO_PATIENCE = { healthTimeoutMs: 0, settleMs: 0 };
const noTools = (): never => {
  throw new TypeError('only the names of actions are wanted');
};
