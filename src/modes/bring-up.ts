import { CaretakerError, messageOf } from '../errors.ts';
import type { UndoEntry } from '../safety/journal.ts';
import { becomeHealthy, noteLastWords, startOthers, upOrStart, type Patience } from './serving.ts';
import type { Tools } from './tools.ts';

/** As the compose file says. */
export interface Up {
  readonly by: 'up';
  /** Services of the version before that this one has no more. */
  readonly dropped?: readonly string[];
  /** Services that ran, and that no compose file has. */
  readonly others?: readonly string[];
}

/** How an application comes up on what is live now. Plain data for the journal. */
export type Start =
  | Up
  /** As the compose file of another version says, which may not know all services that have containers. */
  | { readonly by: 'version' }
  /** What was stopped; all of it where `services` are missing. */
  | { readonly by: 'start'; readonly services?: readonly string[] | undefined };

export async function startUp(tools: Tools, start: Start): Promise<void> {
  const { project } = tools;
  // What a killed run has started already: its start-command would start it a second time.
  if (project.engine === null && (await project.running())) return;
  if (start.by === 'start') await startProject(tools, start.services);
  else if (start.by === 'version') await upWithVersion(tools);
  else {
    // Where they ran on beside the new ones, two servers could write to the same data.
    if (start.dropped !== undefined && start.dropped.length > 0) await project.stop(start.dropped);
    await bringUp(tools);
    await startOthers(tools, start.others ?? []);
  }
}

/** The plain data of the finish action `come-up`. */
export type ComeUp = Start & Patience;

export function comeUp(start: Start, { healthTimeoutMs, settleMs }: Patience): UndoEntry {
  return { action: 'come-up', data: { ...start, healthTimeoutMs, settleMs } };
}

/** An engine that was busy for a moment says nothing of a version. */
const BETWEEN_TRIES_MS = 1000;

/**
 * What a killed run was about to bring up, or had brought up. Null when it is healthy; otherwise why it is not. Throws where that can't be told, since the engine does not answer.
 */
export async function finishComingUp(tools: Tools, data: ComeUp): Promise<string | null> {
  const { project, recorder, log, clock, signal } = tools;
  const up = (): Promise<void> => startUp(tools, data);
  try {
    await recorder.step('Bring up what was prepared', () =>
      up().catch(async (error: unknown) => {
        if (signal.aborted) throw error;
        log.warn(`${messageOf(error)}; trying once more`);
        await clock.sleep(BETWEEN_TRIES_MS, signal);
        await up();
      }),
    );
    await becomeHealthy(tools, data);
    return null;
  } catch (error) {
    if (signal.aborted || !(error instanceof CaretakerError)) throw error;
    await project.containers();
    return error.message;
  }
}

/** A container that dies at once makes Compose itself fail: what it said is worth as much as after a failed health check. */
export async function bringUp(tools: Tools): Promise<void> {
  try {
    await tools.project.up();
  } catch (error) {
    await noteLastWords(tools);
    throw error;
  }
}

/** Starts the containers that are there; brings the project up where it has none. */
export async function startProject(tools: Tools, services: readonly string[] | undefined): Promise<void> {
  const { project } = tools;
  const present = new Set((await project.containers()).map(({ service }) => service));
  const complete = project.engine === null || (services ?? []).every((service) => present.has(service));
  if (services === undefined) await project.up();
  else await (complete ? project.start(services) : upOrStart(tools, services));
}

/** Up with it. Services that it does not know would come back when the host starts, and write to its data. */
async function upWithVersion(tools: Tools): Promise<void> {
  const { project } = tools;
  const { engine } = project;
  if (engine !== null) {
    const known = await project.services();
    const strangers = (await project.containers()).filter(({ service }) => !known.includes(service));
    if (strangers.length > 0) {
      tools.log.info(
        `Removed, as this version does not have them: ${strangers.map(({ service }) => service).join(', ')}`,
      );
      await engine.runtime.remove(strangers.map(({ id }) => id));
    }
  }
  await bringUp(tools);
}
