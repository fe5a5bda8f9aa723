import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { BackupSettings } from '../settings/settings.ts';
import { captureBackup, checkDisk, storeBackup, warmBackup, type CapturedBackup, type WarmBackup } from './capture.ts';
import { dataSources, serversOf, writersOf } from './data.ts';
import { becomeHealthy, knownServices, runningServices, serveAgain } from './serving.ts';
import type { Tools } from './tools.ts';

export interface BackupOutcome {
  readonly captured: CapturedBackup;
}

/**
 * backup: find the data → copy it while the application serves → verify the copy → store it.
 * With `consistency=stopped` the services that write stand still while what changed since the first copy is copied, and only then.
 */
export async function backup(tools: Tools, settings: BackupSettings): Promise<BackupOutcome> {
  const { project, recorder, saga } = tools;
  const directory = path.join(project.stateDirectory, 'staging', `${tools.run}-backup`);

  const { sources, left } = await recorder.step('Find the data', () => dataSources(tools, settings.data));
  await recorder.step('Check the stores and the disk', async () => {
    for (const store of tools.stores) await store.check('write');
    await checkDisk(sources, project.stateDirectory);
  });

  const head = (await tools.checkout?.head()) ?? null;
  let warm: WarmBackup | undefined;
  try {
    let captured: CapturedBackup;
    const request = { sources, left, reason: 'backup', head, directory } as const;
    if (settings.consistency === 'online' || !(await project.running())) {
      captured = await captureBackup(tools, { ...request, situation: 'serving' });
    } else {
      warm = await warmBackup(tools, request);
      const servers = serversOf(sources);
      const running = await runningServices(project);
      const resting = (await writersOf(project, sources)).filter(
        (service) => running.includes(service) && !servers.includes(service),
      );
      const undo = serveAgain({ services: resting, by: 'start', known: await knownServices(project) });
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
      await becomeHealthy(tools, settings);
    }

    for (const store of tools.stores) recorder.stored.push(await storeBackup(tools, captured, store));
    const { keepLocalDays } = settings;
    await saga.commit(keepLocalDays === undefined ? [] : [{ action: 'tidy', data: { keepLocalDays } }]);
    return { captured };
  } finally {
    await warm?.end();
    await rm(directory, { recursive: true, force: true });
  }
}
