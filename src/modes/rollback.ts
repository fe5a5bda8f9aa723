import path from 'node:path';
import { partReader, type PartReader, verifyPart } from '../archive/parts.ts';
import { backTo } from '../code/git.ts';
import { CaretakerError } from '../errors.ts';
import type { RollbackSettings } from '../settings/settings.ts';
import type { Source } from '../sources/source.ts';
import { within } from '../sources/places.ts';
import { sourceForPart } from '../sources/sources.ts';
import { keepAndDrop } from './aside.ts';
import type { Avoided } from './avoided.ts';
import { capturedIn, checkDisk, imagesNow, localDirectory, type CapturedBackup } from './capture.ts';
import { dataSources, sourceDeps } from './data.ts';
import { dataParts, exchangeData } from './exchange.ts';
import { imagesBack, protectImages, PROTECTED_VERSIONS } from './images.ts';
import { lastUpdate, type LastUpdate } from './last-update.ts';
import { warnOfSettings } from './settings-of-version.ts';
import { noteWhatServes, startAfter, switchOver } from './switch-over.ts';
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
  const update = await lastUpdate(project);
  recorder.sections = { update: { from: update.to, to: update.from, changedServices: [] } };
  const old = settings.withData ? await safetyBackup(tools, settings, update) : undefined;
  const head = (await checkout?.head()) ?? null;
  await recorder.step('Check what there is to go back to', async () => {
    refuseMoved(update, head?.commit ?? null);
    await refuseMissingImages(tools, update);
    await tools.local.check('write');
  });
  const { sources, left } = await recorder.step('Find the data', () =>
    dataSources(tools, settings.data, { stays: true }),
  );
  await checkDisk(sources, project.stateDirectory);

  const images = await imagesNow(tools);
  const defined = await project.services();
  const before = { defined, serving: await noteWhatServes(tools, settings) };
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
      { sources, left, reason: 'before-rollback', head, before },
      {
        title: 'Switch to the old version',
        forward: () => Promise.resolve([forget, tidy]),
        commit: async (taken, forward) => {
          await saga.commit(forward);
          return taken;
        },
      },
    );
    return { update, restored: undefined, captured };
  }
  // By the mounts of the version that comes back: the newer one may have its data elsewhere.
  const places = { ...sourceDeps(tools), anew: true } as const;
  const live = new Map<string, Source>();
  for (const part of old.parts) live.set(part.name, await sourceForPart(part, places));
  for (const { name, origin } of sources.filter(({ kind }) => kind !== 'project-files')) {
    if ([...live.values()].every(({ origin: { path: place } }) => within(place, origin.path) === undefined))
      recorder.warn(
        `${name} is not where ${update.from ?? 'the version before'} has it: ${origin.path} stays as it is`,
      );
  }
  const { start, forward: after } = await startAfter(tools, before);
  const keep = { run: tools.run, reason: 'before-rollback' as const, head, images };
  await exchangeData(tools, settings, {
    ...{ ...old, sources: live, run: tools.run, anew: true, start: () => start },
    forward: (aside) => [...keepAndDrop({ parts: aside, ...keep }), forget, tidy, ...after],
  });
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
    warnOfSettings(tools, update.from ?? 'the version before');
  }
  const names = await protectImages(project, tools.run);
  await saga.step('images', { undo: { action: 'images-back', data: names } }, () => imagesBack(project, update.images));
}

/** The data from before the update, whole before anything is touched. */
async function safetyBackup(
  tools: Tools,
  settings: RollbackSettings,
  update: LastUpdate,
): Promise<{ parts: CapturedBackup['manifest']['parts']; read: PartReader }> {
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
  await tools.recorder.step(`Verify ${update.backup}`, async () => {
    for (const file of parts.flatMap(({ files }) => files)) await verifyPart(path.join(directory, file.file), file);
  });
  return { parts, read: partReader(directory) };
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
