import type { Head, Snapshot, Target } from '../code/git.ts';
import { CaretakerError, messageOf } from '../errors.ts';
import { waitHealthy } from '../health/wait.ts';
import type { UpdateSettings } from '../settings/settings.ts';
import { avoid } from './avoided.ts';
import { migrate, prepareImages } from './build.ts';
import { checkDisk, type CapturedBackup } from './capture.ts';
import { dataSources } from './data.ts';
import { refuseMajorChange, refuseMajorChangeAt } from './database-major.ts';
import { warnOfUnproven } from './keys.ts';
import { sectionsOf } from './report.ts';
import { chooseTarget } from './target.ts';
import { changedImages, dropRun, protectImages, PROTECTED_VERSIONS, roomForImages } from './images.ts';
import { refuseTakenPorts } from './free-ports.ts';
import { imagesToCache } from './image-cache.ts';
import { tidy } from './keep-local.ts';
import type { LastUpdate } from './last-update.ts';
import { refuseMigrateCommand, rehearse, roomForRehearsal } from './rehearsal.ts';
import { settingsProblem } from './settings-of-version.ts';
import { noteWhatServes, switchOver } from './switch-over.ts';
import type { Tools } from './tools.ts';
import { checkStores, storeUnstored } from './unstored.ts';

export interface UpdateOutcome {
  readonly updated: boolean;
  /** Tried on a throwaway, and nothing more. */
  readonly rehearsed?: true;
  readonly from: string | null;
  readonly to: string | null;
  readonly changed: readonly {
    readonly service: string;
    readonly name: string;
    readonly from: string;
    readonly to: string;
  }[];
  readonly captured: CapturedBackup | undefined;
}

/** update: a new version, where there is one, and then its backup is stored, with what earlier runs could not store. */
export async function update(tools: Tools, settings: UpdateSettings): Promise<UpdateOutcome> {
  const outcome = await changeVersion(tools, settings);
  if (settings.rehearse === 'only') return outcome;
  await storeUnstored(tools, { own: outcome.captured?.manifest.name, onFailure: settings.onStoreFailure });
  // What waited did not count.
  if (outcome.updated) await tidy(tools, settings);
  return outcome;
}

/**
 * Choose the version and refuse what must not be → code → images and the bulk of the backup, while the old version serves → stop
 * what writes → the rest of the verified local backup → migrate → up → health → commit. Whatever fails before the commit is undone in reverse by the
 * table in undo.ts: data back, images back, code back, the old version up and healthy.
 */
async function changeVersion(tools: Tools, settings: UpdateSettings): Promise<UpdateOutcome> {
  const { project, checkout, recorder, saga } = tools;
  const { migrateCommand } = settings;

  refuseMigrateCommand(settings);
  const head = (await checkout?.head()) ?? null;
  const target = await recorder.step('Look for a new version', () => chooseTarget(tools, settings));
  const from = versionOf(head);
  const unchanged: UpdateOutcome = { updated: false, from, to: from, changed: [], captured: undefined };
  if (target === 'nothing-new') return unchanged;
  recorder.sections = { update: { from, to: labelOf(target), changedServices: [] } };

  const { sources, left } = await recorder.step('Find the data', () => dataSources(tools, settings.data));
  await recorder.step('Check health, stores and disk before anything is touched', async () => {
    await refuseUnhealthy(tools, settings);
    if (settings.rehearse !== 'only') {
      await warnOfUnproven(tools);
      await checkStores(tools, { wait: settings.onStoreFailure === 'warn' });
    }
    await tools.local.check('write');
    await checkDisk(sources, project.stateDirectory, [
      ...(await roomForImages(project, settings.build)),
      ...(settings.rehearse === 'no' ? [] : await roomForRehearsal(sources, project.stateDirectory)),
    ]);
    await refuseMajorChangeAt(tools, sources, target, settings.allow);
  });

  const modelBefore = JSON.stringify(await project.engine?.compose.model());
  const defined = await project.services();
  const before = { defined, serving: await noteWhatServes(tools, settings) };

  let code: Snapshot | null = null;
  if (checkout !== null && target !== 'as-it-is') {
    code = await checkout.snapshot(target);
    await recorder.step(`Check out ${target.label}`, async () => {
      await saga.step('check out', { undo: { action: 'code-back', data: code } }, () =>
        checkout.checkout(target, settings.allow),
      );
      const problem = settingsProblem(tools, target.label);
      if (problem !== null) throw problem;
    });
  }
  const names = await protectImages(project, tools.run);
  await recorder.step('Build or pull the images while the old version serves', () =>
    saga.step('images', { undo: { action: 'images-back', data: names } }, () => prepareImages(tools, settings)),
  );

  await refuseMajorChange(tools, sources, settings.allow);
  await refuseTakenPorts(tools);
  const changed = await changedImages(project);
  const modelChanged = JSON.stringify(await project.engine?.compose.model()) !== modelBefore;
  if (project.engine !== null && changed.length === 0 && !modelChanged) {
    if (target === 'as-it-is') {
      await dropRun(project, tools.run);
      await saga.commit([]);
      return unchanged;
    }
    recorder.warn(
      `${labelOf(target)} changes no image and no configuration of the stack: what serves is what served before. Is "build" right?`,
    );
  }

  try {
    if (settings.rehearse !== 'no') await rehearse(tools, settings, { sources, left, head });
    if (settings.rehearse === 'only') {
      await recorder.step('Put code and images back', () => saga.goBack());
      return { ...unchanged, rehearsed: true, to: labelOf(target), changed };
    }
    const outcome = await switchOver(
      tools,
      settings,
      { sources, left, reason: 'before-update', head, before },
      {
        ...(migrateCommand === undefined
          ? {}
          : { migrate: () => recorder.step('Migrate', () => migrate(tools, settings, migrateCommand)) }),
        title: 'Switch to the new version',
        forward: async (captured) => {
          const done: LastUpdate = {
            ...{
              run: tools.run,
              project: project.name,
              from,
              to: labelOf(target),
              code,
              images: names,
              backup: captured.manifest.name,
            },
            at: tools.clock.now().toISOString(),
            commit: (await checkout?.head())?.commit ?? null,
          };
          const { keepLocal, keepLocalDays } = settings;
          return [
            { action: 'remember-update', data: done },
            {
              action: 'store-backup',
              data: {
                backup: captured.manifest.name,
                stores: tools.stores.map((store) => store.name),
                encrypted: tools.keys.encryption !== undefined,
              },
            },
            { action: 'tidy', data: { keepLocal, keepLocalDays, keepVersions: PROTECTED_VERSIONS } },
          ];
        },
        commit: async (captured, forward) => {
          const outcome: UpdateOutcome = { updated: true, from, to: labelOf(target), changed, captured };
          recorder.sections = { ...recorder.sections, ...sectionsOf({ mode: 'update', ...outcome }, tools) };
          await saga.commit(forward);
          return outcome;
        },
      },
    );
    if (settings.cacheImages) {
      await recorder.step('Keep the images for other hosts', () => imagesToCache(tools, settings));
    }
    return outcome;
  } catch (error) {
    if (target !== 'as-it-is' && error instanceof CaretakerError && isOfVersion(error)) {
      const bad = { commit: target.commit, label: target.label, at: tools.clock.now().toISOString(), why: error.code };
      await avoid(project.stateDirectory, bad).catch((failure: unknown) => {
        recorder.warn(`The next run that follows releases will try ${target.label} again: ${messageOf(failure)}`);
      });
    }
    throw error;
  }
}

/** Whether it says something of the version itself. */
function isOfVersion(error: CaretakerError): boolean {
  if (error.code === 'rehearsal-failed') return error.cause instanceof CaretakerError && isOfVersion(error.cause);
  return ['unhealthy', 'migration-failed'].includes(error.code);
}

export function versionOf(head: Head | null): string | null {
  return head === null ? null : (head.tag ?? head.describe ?? head.commit);
}

export function labelOf(target: Target | 'as-it-is'): string {
  return target === 'as-it-is' ? 'the images’ newest versions' : target.label;
}

/** An update of an application that is ill already can't tell its own failure from the old one. */
export async function refuseUnhealthy(tools: Tools, settings: UpdateSettings): Promise<void> {
  if (settings.allow.includes('unhealthy') || !(await tools.project.running())) return;
  const report = await waitHealthy(tools.probes, {
    ...tools,
    timeoutMs: Math.min(settings.healthTimeoutMs, 60_000),
    settleMs: 0,
  });
  if (report.healthy) return;
  const seen = report.results.filter(({ ok }) => !ok).map(({ probe, detail }) => `${probe}: ${detail}`);
  throw new CaretakerError('unhealthy-before', `the application is not healthy before the update: ${seen.join('; ')}`, {
    input: 'allow',
    hint: 'Mend it first, or add "unhealthy" to allow if the update is the mending.',
  });
}
