import { existsSync } from 'node:fs';
import path from 'node:path';
import { formatBytes } from '../report/units.ts';
import { openJournal } from '../safety/journal.ts';
import type { UpdateSettings } from '../settings/settings.ts';
import { freeBytes } from '../system/disk.ts';
import { checkDisk, rawBytes } from './capture.ts';
import { dataSources } from './data.ts';
import { refuseMajorChangeAt } from './database-major.ts';
import { roomForImages } from './images.ts';
import { runningServices } from './serving.ts';
import { restingServices } from './switch-over.ts';
import { chooseTarget } from './target.ts';
import type { Tools } from './tools.ts';
import { checkStores } from './unstored.ts';
import { labelOf, refuseUnhealthy, versionOf } from './update.ts';

export interface UpdatePlan {
  readonly from: string | null;
  readonly to: string | null;
  /** What would happen, one sentence each, in order. */
  readonly plan: readonly string[];
}

/**
 * update with `dry-run`: all that refuses is asked, and what would follow is said. Touches nothing but the clone's knowledge of its remote (`git fetch`). What the new
 * version's compose file changes can't be known before it is checked out.
 */
export async function planUpdate(tools: Tools, settings: UpdateSettings): Promise<UpdatePlan> {
  const { project, checkout, recorder, stores } = tools;
  const from = versionOf((await checkout?.head()) ?? null);
  const target = await recorder.step('Look for a new version', () => chooseTarget(tools, settings));
  if (target === 'nothing-new') return { from, to: from, plan: ['Nothing: there is nothing newer.'] };
  const { sources, left } = await recorder.step('Find the data', () => dataSources(tools, settings.data));
  await recorder.step('Check health, stores and disk', async () => {
    await refuseUnhealthy(tools, settings);
    // The state directory is made by the first run that does something.
    const there = stores.filter(
      ({ directory }) =>
        directory === undefined ||
        path.dirname(directory) !== project.stateDirectory ||
        existsSync(project.stateDirectory),
    );
    await checkStores({ ...tools, stores: there }, { wait: settings.onStoreFailure === 'warn' });
    await checkDisk(sources, project.directory, await roomForImages(project, settings.build));
    await refuseMajorChangeAt(tools, sources, target, settings.allow);
  });

  const plan: string[] = [];
  if (existsSync(path.join(project.stateDirectory, 'journal.jsonl'))) {
    const cutOff = await (await openJournal(project.stateDirectory)).unfinished();
    if (cutOff !== null)
      plan.push(`Finish or undo the ${cutOff.mode} ${cutOff.run} of ${cutOff.at}, which was cut off.`);
  }
  if (checkout !== null && target !== 'as-it-is') {
    const dirty = await checkout.dirtyFiles();
    const carried = dirty.length === 0 ? '' : `, carrying along the local changes of ${dirty.join(', ')}`;
    plan.push(`Check out ${target.label} (${target.commit}) in ${checkout.directory}${carried}.`);
  }
  plan.push(await imagesOf(tools, settings));
  const sizes = await Promise.all(sources.map(rawBytes));
  for (const [index, source] of sources.entries()) {
    const passes =
      source.warm === undefined
        ? 'while it stands still'
        : 'while it serves, and what changed since while it stands still';
    plan.push(`Back up ${source.describe()}, ${formatBytes(sizes[index] ?? 0)} before compression, ${passes}.`);
  }
  for (const { what, why } of left) plan.push(`Leave out ${what}: ${why}.`);
  const serving = await runningServices(project);
  const resting = (await restingServices(tools, sources)).filter((service) => serving.includes(service));
  plan.push(
    serving.length === 0
      ? 'Stop nothing: nothing runs.'
      : `Stop ${resting.join(', ')}; ${listed(serving.filter((service) => !resting.includes(service)))} until the switch.`,
  );
  if (settings.migrateCommand !== undefined) plan.push(`Migrate: ${settings.migrateCommand}`);
  plan.push(
    `Bring up the new version, wait up to ${settings.healthTimeoutMs / 1000} s for health and ${settings.settleMs / 1000} s for it to last; on failure all goes back.`,
    `Store the backup in ${stores.map(({ name }) => name).join(', ')}. ${formatBytes(await freeBytes(project.directory))} are free in ${project.directory}.`,
  );
  return { from, to: labelOf(target), plan };
}

function listed(others: readonly string[]): string {
  return others.length === 0 ? 'nothing runs on' : `${others.join(', ')} run${others.length === 1 ? 's' : ''} on`;
}

async function imagesOf({ project }: Tools, { build }: UpdateSettings): Promise<string> {
  if (build.kind === 'command') return `Build: ${build.command}`;
  if (project.engine === null || build.kind === 'none') return 'Build and pull nothing.';
  const { services } = await project.engine.compose.model();
  const built = services.filter((service) => service.build).map(({ name }) => name);
  const others = services.filter((service) => !service.build).map(({ name }) => name);
  const pulled =
    build.kind === 'pull'
      ? `pull those of ${others.join(', ') || 'no service'}`
      : build.kind === 'auto'
        ? 'pull what is not on the host yet'
        : 'pull nothing';
  return `Build the images of ${built.join(', ') || 'no service'}, ${pulled}; the old version serves meanwhile.`;
}
