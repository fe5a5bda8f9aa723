import path from 'node:path';
import { rm } from 'node:fs/promises';
import {
  captureBackup,
  storeBackup,
  warmBackup,
  type CapturedBackup,
  type CaptureRequest,
  type WarmBackup,
} from './capture.ts';
import { isAnonymousName } from '../runtimes/volume-options.ts';
import type { UndoEntry } from '../safety/journal.ts';
import type { Source } from '../sources/source.ts';
import { CaretakerError } from '../errors.ts';
import { comeUp, startUp, type Up } from './bring-up.ts';
import { serversOf, writersOf } from './data.ts';
import type { KeepLocal } from './keep-local.ts';
import { giveReserve, takeReserve } from './reserve.ts';
import {
  becomeHealthy,
  knownServices,
  nowServing,
  runningOf,
  serveAgain,
  servicesOf,
  withDependents,
  type Patience,
} from './serving.ts';
import type { Tools } from './tools.ts';

/** The version that a change of version leaves. */
export interface Before {
  /** Services that run; empty when the application is down. */
  readonly serving: readonly string[];
  /** Services that its compose files have. */
  readonly defined: readonly string[];
}

/** The first steps of every change of version, undone last: what serves now will serve again, and what the run kept in case goes. Answers with the services. */
export async function noteWhatServes(
  tools: Tools,
  { keepLocal, keepLocalDays }: KeepLocal,
): Promise<readonly string[]> {
  const { project, run, saga } = tools;
  const serving = await nowServing(tools);
  const containers = await project.containers();
  const known = servicesOf(containers);
  const running = runningOf(containers);
  const existing = containers.map(({ id }) => id);
  await takeReserve(project.stateDirectory);
  await saga.step('begin', { undo: { action: 'clean-up', data: { run, keepLocal, keepLocalDays } } }, () =>
    Promise.resolve(),
  );
  const undo = serveAgain({ ...serving, by: 'up', known, running, existing, run });
  await saga.step('note what serves', { undo }, () => Promise.resolve());
  return serving.services;
}

/** How the version that is checked out now comes up after another one, and what of that one goes when it is kept. */
export async function startAfter(
  { project }: Tools,
  before: Before,
): Promise<{ readonly start: Up; readonly forward: readonly UndoEntry[] }> {
  const defined = await project.services();
  const known = await knownServices(project);
  const dropped = known.filter((service) => before.defined.includes(service) && !defined.includes(service));
  const others = before.serving.filter((service) => !before.defined.includes(service) && !defined.includes(service));
  return {
    start: { by: 'up', ...(dropped.length > 0 ? { dropped } : {}), ...(others.length > 0 ? { others } : {}) },
    forward: dropped.length > 0 ? [{ action: 'remove-services', data: { services: dropped } }] : [],
  };
}

/** The plain data of the forward action `remove-services`. */
export interface RemoveServices {
  readonly services: readonly string[];
}

/**
 * Containers of services that the version which is kept no longer has: the host would start them again when it starts, and they would write to its data.
 * What was made for one of them alone goes with nobody: an anonymous volume may be all that holds somebody's data.
 */
export async function removeServices({ project, recorder, log }: Tools, { services }: RemoveServices): Promise<void> {
  const { engine, files } = project;
  if (engine === null) return;
  const defined = await project.services();
  const doomed: string[] = [];
  for (const { id, name, service, mounts } of await project.containers()) {
    if (!services.includes(service) || defined.includes(service)) continue;
    const own = mounts.find(({ volume }) => isAnonymousName(volume));
    if (own !== undefined && (await files.scan(own.source)).files > 0) {
      recorder.warn(
        `${name} is stopped and kept, although this version has no ${service}: the anonymous volume at ${own.target} is its alone. Remove it when its data are needed no more.`,
      );
      continue;
    }
    log.info(`Removing ${name}, as this version has no ${service}`);
    doomed.push(id);
  }
  if (doomed.length === 0) return;
  try {
    await engine.runtime.stop(doomed);
    await engine.runtime.remove(doomed);
  } catch (error) {
    if (!(error instanceof CaretakerError && error.code === 'engine-failed')) throw error;
    recorder.warn(
      `Containers of ${services.join(', ')}, which this version does not have, are left. Remove them by hand: ${error.message}`,
    );
  }
}

/**
 * From one version to another on the same data: the bulk of a backup → stop what writes → the rest of it, verified, on this host → `migrate` → up → health →
 * `commit` with what `forward` lists. Whatever fails puts the data back; what changed code and images before is undone by the steps that did so.
 */
export async function switchOver<T>(
  tools: Tools,
  patience: Patience,
  { before, ...what }: Omit<CaptureRequest, 'situation' | 'directory'> & { readonly before: Before },
  {
    migrate = () => Promise.resolve(),
    ...then
  }: {
    readonly migrate?: () => Promise<void>;
    readonly title: string;
    readonly forward: (captured: CapturedBackup) => Promise<readonly UndoEntry[]>;
    readonly commit: (captured: CapturedBackup, forward: readonly UndoEntry[]) => Promise<T>;
  },
): Promise<T> {
  const { project, recorder, saga } = tools;
  const directory = path.join(project.stateDirectory, 'staging', `${tools.run}-backup`);
  const request = { ...what, directory };
  let warm: WarmBackup | undefined;
  try {
    if (before.serving.length > 0) warm = await warmBackup(tools, request);
    // Nobody waits yet.
    const { start, forward: after } = await startAfter(tools, before);
    const resting = await restingServices(tools, request.sources);
    await recorder.step('Stop the services that write', () =>
      saga.step('stop writers', { undo: null }, async () => {
        recorder.away();
        await project.stop(resting);
      }),
    );
    const situation = before.serving.length === 0 ? 'stopped' : 'quiesced';
    const captured = await captureBackup(tools, { ...request, situation }, warm);
    await storeBackup(tools, captured, tools.local);
    // A server that is told to stop might wait for a session of ours.
    await warm?.end();

    const dataBack = { action: 'data-back', data: { backup: captured.manifest.name, run: tools.run } };
    const forward = [...(await then.forward(captured)), ...after];
    await saga.step('switch', { undo: dataBack }, async () => {
      if (start.dropped !== undefined) await project.stop(start.dropped);
      await migrate();
      await saga.prepare(comeUp(start, patience), forward);
      await recorder.step(then.title, () => startUp(tools, start));
    });
    await becomeHealthy(tools, patience);
    await giveReserve(project.stateDirectory);
    return await then.commit(captured, forward);
  } finally {
    await warm?.end();
    await rm(directory, { recursive: true, force: true });
  }
}

/** What stands still for the last of a backup: what writes, and what depends on it, but not the database servers out of which it comes. */
export async function restingServices({ project }: Tools, sources: readonly Source[]): Promise<readonly string[]> {
  const servers = serversOf(sources);
  const writers = (await writersOf(project, sources)).filter((service) => !servers.includes(service));
  return (await withDependents(project, writers)).filter((service) => !servers.includes(service));
}
