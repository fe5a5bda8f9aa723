import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { BackupSettings } from '../settings/settings.ts';
import { captureBackup, checkDisk, warmBackup, type CapturedBackup, type WarmBackup } from './capture.ts';
import { dataSources, serversOf, writersOf } from './data.ts';
import { warnOfUnproven } from './keys.ts';
import { sectionsOf } from './report.ts';
import { giveReserve, takeReserve } from './reserve.ts';
import { becomeAsBefore, knownServices, nowServing, serveAgain } from './serving.ts';
import type { Tools } from './tools.ts';
import { checkStores, storeUnstored } from './unstored.ts';

export interface BackupOutcome {
  readonly captured: CapturedBackup;
}

/**
 * backup: find the data → copy it while the application serves → verify the copy → keep it on this host → commit → store it, and what earlier runs could not.
 * With `consistency=stopped` the services that write stand still while what changed since the first copy is copied, and only then.
 */
export async function backup(tools: Tools, settings: BackupSettings): Promise<BackupOutcome> {
  const { project, recorder, saga } = tools;
  const directory = path.join(project.stateDirectory, 'staging', `${tools.run}-backup`);

  const { sources, left } = await recorder.step('Find the data', () => dataSources(tools, settings.data));
  await recorder.step('Check the stores and the disk', async () => {
    await warnOfUnproven(tools);
    await checkStores(tools, { wait: true });
    await tools.local.check('write');
    await checkDisk(sources, project.stateDirectory);
  });

  const head = (await tools.checkout?.head()) ?? null;
  let warm: WarmBackup | undefined;
  try {
    let captured: CapturedBackup;
    const { encryption } = tools.keys;
    const request = { sources, left, reason: 'backup', head, directory, encryption } as const;
    if (settings.consistency === 'online' || !(await project.running())) {
      captured = await captureBackup(tools, { ...request, situation: 'serving' });
    } else {
      warm = await warmBackup(tools, request);
      const servers = serversOf(sources);
      const { services: running, ill } = await nowServing(tools);
      const resting = (await writersOf(project, sources)).filter(
        (service) => running.includes(service) && !servers.includes(service),
      );
      const undo = serveAgain({ services: resting, by: 'start', known: await knownServices(project), ill });
      await takeReserve(project.stateDirectory);
      await recorder.step('Stop the services that write', () =>
        saga.step('stop writers', { undo }, async () => {
          recorder.away();
          await project.stop(resting);
        }),
      );
      captured = await captureBackup(tools, { ...request, situation: 'quiesced' }, warm);
      await recorder.step('Start them again', () =>
        saga.step('start writers', { undo: null }, () => project.start(resting)),
      );
      await becomeAsBefore(tools, settings, ill);
      await giveReserve(project.stateDirectory);
    }

    const { name } = captured.manifest;
    await recorder.step('Keep it on this host', () =>
      saga.step('keep', { undo: { action: 'drop-backup', data: { backup: name } } }, () => keep(tools, captured)),
    );
    const { keepLocalDays } = settings;
    await saga.commit([
      { action: 'store-backup', data: { backup: name, stores: tools.stores.map((store) => store.name) } },
      ...(keepLocalDays === undefined ? [] : [{ action: 'tidy', data: { keepLocalDays } }]),
    ]);
    recorder.sections = sectionsOf({ mode: 'backup', captured }, tools);
    await storeUnstored(tools, { own: name, onFailure: settings.onStoreFailure });
    return { captured };
  } finally {
    await warm?.end();
    await rm(directory, { recursive: true, force: true });
  }
}

/** Moves it to where it waits for its stores. Where no links can be made, that takes room for one file more, not for all. */
async function keep({ local }: Tools, { files }: CapturedBackup): Promise<void> {
  for (const file of files) {
    await local.put(file);
    await rm(file.path);
  }
}
