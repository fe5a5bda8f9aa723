import path from 'node:path';
import { verifyPart } from '../archive/parts.ts';
import { backTo } from '../code/git.ts';
import { CaretakerError } from '../errors.ts';
import type { RollbackSettings } from '../settings/settings.ts';
import type { Source } from '../sources/source.ts';
import { sourceForPart } from '../sources/sources.ts';
import type { Avoided } from './avoided.ts';
import { capturedIn, checkDisk, imagesNow, localDirectory, type CapturedBackup } from './capture.ts';
import { dataSources, sourceDeps } from './data.ts';
import { dataParts, exchangeData } from './exchange.ts';
import { imagesBack, protectImages, PROTECTED_VERSIONS } from './images.ts';
import { lastUpdate, type LastUpdate } from './last-update.ts';
import { bringUp, noteWhatServes, switchOver } from './switch-over.ts';
import type { Tools } from './tools.ts';

export interface RollbackOutcome {
  readonly update: LastUpdate;
  /** The safety backup whose data are live again; undefined where the data were kept. */
  readonly restored: string | undefined;
  /** The backup of what was there before the rollback, where it is made before the switch. */
  readonly captured: CapturedBackup | undefined;
}

/**
 * rollback: back before the last update, once the new version has turned out bad after all. Code and image names back, and then either the new version's data stay
 * (backup → switch → health) or those from before the update return (unpack beside → stop → swap → start → health; what was there becomes a safety backup).
 * Whatever fails brings the newer version and its data back.
 */
export async function rollback(tools: Tools, settings: RollbackSettings): Promise<RollbackOutcome> {
  const { project, checkout, recorder, saga } = tools;
  const update = await lastUpdate(project.stateDirectory);
  recorder.sections = { update: { from: update.to, to: update.from, changedServices: [] } };
  const old = settings.withData ? await safetyBackup(tools, settings, update) : undefined;
  const head = (await checkout?.head()) ?? null;
  await recorder.step('Check what there is to go back to', async () => {
    refuseMoved(update, head?.commit ?? null);
    await refuseMissingImages(tools, update);
    await tools.local.check('write');
  });
  const { sources, left } = await recorder.step('Find the data', () => dataSources(tools, settings.data));
  await checkDisk(sources, project.stateDirectory);

  const images = await imagesNow(tools);
  const serving = await noteWhatServes(tools, settings);
  await recorder.step(`Code and images of ${update.from ?? 'the version before'}`, () =>
    codeAndImagesBack(tools, update),
  );

  const { keepLocal, keepLocalDays } = settings;
  const tidy = { action: 'tidy', data: { keepLocal, keepLocalDays, keepVersions: PROTECTED_VERSIONS } };
  const label = update.to ?? update.commit ?? '';
  const avoided: Avoided | null =
    update.commit === null
      ? null
      : { commit: update.commit, label, at: tools.clock.now().toISOString(), why: 'rolled back by hand' };
  const forget = { action: 'forget-update', data: avoided };
  if (old === undefined) {
    const captured = await switchOver(
      tools,
      settings,
      { sources, left, reason: 'before-rollback', head, serving },
      () => recorder.step('Switch to the old version', () => bringUp(tools)),
      async (taken) => {
        await saga.commit([forget, tidy]);
        return taken;
      },
    );
    return { update, restored: undefined, captured };
  }
  const aside = await exchangeData(tools, settings, { ...old, run: tools.run, start: () => bringUp(tools) });
  const keep = {
    action: 'keep-aside',
    data: { parts: aside, run: tools.run, reason: 'before-rollback', head, images },
  };
  await saga.commit([keep, forget, tidy]);
  return { update, restored: update.backup, captured: undefined };
}

async function codeAndImagesBack(tools: Tools, update: LastUpdate): Promise<void> {
  const { project, checkout, saga } = tools;
  if (checkout !== null && update.code !== null) {
    const now = await checkout.snapshot();
    const then = backTo(update.code, now);
    await saga.step('check out', { undo: { action: 'code-back', data: { ...now, target: then.commit } } }, () =>
      checkout.restoreSnapshot(then),
    );
  }
  const names = await protectImages(project, tools.run);
  await saga.step('images', { undo: { action: 'images-back', data: names } }, () => imagesBack(project, update.images));
}

/** The data from before the update, whole and with a place to go to, before anything is touched. */
async function safetyBackup(
  tools: Tools,
  settings: RollbackSettings,
  update: LastUpdate,
): Promise<{ parts: CapturedBackup['manifest']['parts']; sources: ReadonlyMap<string, Source>; directory: string }> {
  const { project } = tools;
  if (settings.confirm !== project.name) {
    throw new CaretakerError(
      'not-confirmed',
      `going back with the data loses what was written since ${update.at}, and confirm does not say so`,
      { input: 'confirm', hint: `Set confirm to the project's name: ${project.name}` },
    );
  }
  const directory = localDirectory(project.stateDirectory);
  const { manifest } = await capturedIn(directory, update.backup);
  const parts = dataParts(manifest.parts);
  const sources = new Map<string, Source>();
  await tools.recorder.step(`Verify ${update.backup}`, async () => {
    for (const part of parts) {
      for (const file of part.files) await verifyPart(path.join(directory, file.file), file);
      sources.set(part.name, await sourceForPart(part, sourceDeps(tools)));
    }
  });
  return { parts, sources, directory };
}

function refuseMoved(update: LastUpdate, commit: string | null): void {
  if (update.commit === commit) return;
  throw new CaretakerError(
    'rollback-moved',
    `the last update went to ${update.to ?? update.commit ?? 'no commit'}, and ${commit ?? 'no clone'} is checked out now`,
    {
      hint: 'Somebody has moved the code since. Check out what the update went to, or update to an older ref with allow: downgrade.',
    },
  );
}

async function refuseMissingImages({ project }: Tools, update: LastUpdate): Promise<void> {
  const { engine } = project;
  if (engine === null) return;
  const missing: string[] = [];
  for (const { name, id } of update.images)
    if ((await engine.runtime.imageId(id)) === null) missing.push(`${name} (${id})`);
  if (missing.length === 0) return;
  throw new CaretakerError('rollback-image-missing', `images from before the update are gone: ${missing.join(', ')}`, {
    hint: 'Somebody removed them. Update to the older ref with allow: downgrade, which builds or pulls them anew.',
  });
}
