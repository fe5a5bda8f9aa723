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
import type { Source } from '../sources/source.ts';
import { serversOf, writersOf } from './data.ts';
import type { KeepLocal } from './keep-local.ts';
import {
  becomeHealthy,
  knownServices,
  noteLastWords,
  runningContainers,
  runningServices,
  serveAgain,
  withDependents,
  type Patience,
} from './serving.ts';
import type { Tools } from './tools.ts';

/** The first steps of every change of version, undone last: what serves now will serve again, and what the run kept in case goes. Answers with the services. */
export async function noteWhatServes(
  tools: Tools,
  { keepLocal, keepLocalDays }: KeepLocal,
): Promise<readonly string[]> {
  const { project, run, saga } = tools;
  const services = await runningServices(project);
  const known = await knownServices(project);
  const running = await runningContainers(project);
  await saga.step('begin', { undo: { action: 'clean-up', data: { run, keepLocal, keepLocalDays } } }, () =>
    Promise.resolve(),
  );
  await saga.step('note what serves', { undo: serveAgain({ services, by: 'up', known, running }) }, () =>
    Promise.resolve(),
  );
  return services;
}

/**
 * From one version to another on the same data: the bulk of a backup → stop what writes → the rest of it, verified, on this host → `change`, which brings
 * up the other version → health → `commit`. Whatever fails puts the data back; what changed code and images before is undone by the steps that did so.
 */
export async function switchOver<T>(
  tools: Tools,
  patience: Patience,
  { serving, ...what }: Omit<CaptureRequest, 'situation' | 'directory'> & { readonly serving: readonly string[] },
  change: () => Promise<void>,
  commit: (captured: CapturedBackup) => Promise<T>,
): Promise<T> {
  const { project, recorder, saga } = tools;
  const directory = path.join(project.stateDirectory, 'staging', `${tools.run}-backup`);
  const request = { ...what, directory };
  let warm: WarmBackup | undefined;
  try {
    if (serving.length > 0) warm = await warmBackup(tools, request);
    const resting = await restingServices(tools, request.sources);
    await recorder.step('Stop the services that write', () =>
      saga.step('stop writers', { undo: null }, async () => {
        recorder.away();
        await project.stop(resting);
      }),
    );
    const situation = serving.length === 0 ? 'stopped' : 'quiesced';
    const captured = await captureBackup(tools, { ...request, situation }, warm);
    await storeBackup(tools, captured, tools.local);
    // A server that is told to stop might wait for a session of ours.
    await warm?.end();

    const dataBack = { action: 'data-back', data: { backup: captured.manifest.name, run: tools.run } };
    await saga.step('switch', { undo: dataBack }, change);
    await becomeHealthy(tools, patience);
    return await commit(captured);
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

/** A container that dies at once makes Compose itself fail: what it said is worth as much as after a failed health check. */
export async function bringUp(tools: Tools): Promise<void> {
  try {
    await tools.project.up();
  } catch (error) {
    await noteLastWords(tools);
    throw error;
  }
}
