import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { openManifest } from '../archive/manifest.ts';
import { verdict } from '../archive/proof.ts';
import { CaretakerError, messageOf } from '../errors.ts';
import { planData } from '../project/data.ts';
import type { DataPlan, Project } from '../project/project.ts';
import { OF_LABEL, THROWAWAY_LABEL } from '../project/throwaway.ts';
import type { StatusReport } from '../report/status.ts';
import { unfinishedRun, type UnfinishedRun } from '../safety/journal.ts';
import { lockHolder } from '../safety/lock.ts';
import type { StatusSettings } from '../settings/settings.ts';
import { placeNamed } from '../sources/places.ts';
import type { Store } from '../stores/store.ts';
import { avoided } from './avoided.ts';
import { protectedNames } from './images.ts';
import { safetyStays } from './keep-local.ts';
import { lastUpdateOrNull } from './last-update.ts';
import { isMisdated, misdatedText } from './order.ts';
import { quoted } from './report.ts';
import type { Tools } from './tools.ts';
import { unstored, whatWaits, type Unstored } from './unstored.ts';

type Looking = Pick<Tools, 'project' | 'stores' | 'local' | 'recorder' | 'clock'>;
type What = Pick<StatusSettings, 'data' | 'keepLocal' | 'keepLocalDays'>;

/**
 * status: what lies and waits on this host, and a warning for each thing that needs a hand. Takes no lock and changes nothing, so it works while another run is at work; what
 * that run has in hand is shown and not warned of. What can't be looked at is a warning, and the rest is told all the same.
 */
export async function status(tools: Looking, settings: What): Promise<StatusReport> {
  const { project, recorder } = tools;
  const { stateDirectory } = project;
  const told = teller(tools);

  const before = await told('Who holds the lock', null, () => lockHolder(stateDirectory));
  const journal = await told('What the journal holds', null, () => unfinishedRun(stateDirectory));
  // A run may have begun or ended meanwhile: its journal is not one that was left.
  const lock = (await lockHolder(stateDirectory).catch(() => null)) ?? before;
  const update = await told('What the last update was', null, () => lastUpdateOrNull(stateDirectory));
  const waiting = await told('What waits for a store', [], () => unstored(stateDirectory));

  const report: StatusReport = {
    lock,
    unfinished: journal === null ? null : inShort(journal),
    lastUpdate: update && { at: update.at, from: update.from, to: update.to, backup: update.backup },
    avoided: await told('Which version is avoided', null, () => avoided(stateDirectory)),
    safety: await told('Which safety backups there are', [], () =>
      safetyBackups(tools, settings, update?.backup, waiting),
    ),
    unstored: waiting,
    aside: await told('What lies beside the data', [], () => aside(tools, settings, journal)),
    staging: await told('What lies in staging', [], () => entries(tools, 'staging')),
    images: await told('Which images are protected', [], () => protectedNames(project)),
    throwaways: await told('Which throwaways there are', [], () => throwaways(tools)),
    stores: await Promise.all(tools.stores.map((store) => newestIn(store, project.name))),
  };
  for (const line of whatNeedsAHand(report, tools)) recorder.warn(line);
  return report;
}

type Teller = <T>(what: string, otherwise: T, look: () => Promise<T>) => Promise<T>;

function teller({ recorder }: Looking): Teller {
  return async (what, otherwise, look) => {
    try {
      return await look();
    } catch (error) {
      if (!(error instanceof CaretakerError) || error.code === 'cancelled') throw error;
      recorder.warn(`${what} can't be told: ${messageOf(error)}`);
      return otherwise;
    }
  };
}

function inShort({ run, mode, at, steps, forward }: UnfinishedRun): StatusReport['unfinished'] {
  const undo = steps.filter((step) => step.undo !== null && step.state !== 'undone').map(({ name }) => name);
  const left = forward?.filter(({ done }) => !done).map(({ entry }) => entry.action);
  return { run, mode, at, committed: forward !== null, left: left ?? undo.reverse() };
}

async function safetyBackups(
  { project, local, clock }: Looking,
  keep: What,
  needed: string | undefined,
  waiting: readonly Unstored[],
): Promise<StatusReport['safety']> {
  const all = await local.list(project.name);
  const waits = (name: string): Unstored | undefined => waiting.find(({ backup }) => backup === name);
  const stays = safetyStays(
    all.filter(({ name }) => waits(name) === undefined),
    keep,
    needed,
    clock.now(),
  );
  return Promise.all(
    all.map(async (backup) => {
      const kept =
        stays.find((one) => one.backup === backup)?.kept ??
        `until it is stored in ${waits(backup.name)?.stores.join(', ') ?? ''}`;
      const reason = await local.readManifest(backup).then(
        (manifest) => openManifest(manifest, backup.name).reason,
        (error: unknown) => `its manifest can't be read (${messageOf(error)})`,
      );
      const { name, createdAt, bytes } = backup;
      return { name, createdAt: createdAt.toISOString(), bytes, reason, kept };
    }),
  );
}

/** What runs have made beside the live data, and in them, of this project and no other. */
async function aside(tools: Looking, { data }: What, journal: UnfinishedRun | null): Promise<StatusReport['aside']> {
  const { project, stores, local } = tools;
  const folders = [...stores, local].flatMap(({ directory }) => (directory === undefined ? [] : [directory]));
  const nothing: DataPlan = { take: [], leave: [] };
  const plan = await teller(tools)('Where the data lie', nothing, () => planData(project, data, { never: folders }));
  const roots = [
    ...plan.take.flatMap((spec) => (spec.type === 'project-files' ? [] : [spec.path])),
    // Data that a half done exchange has taken out of sight.
    ...livePathsIn(journal),
  ];
  if (roots.length === 0) return [];
  const found: StatusReport['aside'][number][] = [];
  for (const place of await project.files.oursAt([...new Set(roots)])) {
    const [named] = roots
      .filter((root) => [path.dirname(root), root].includes(path.dirname(place)))
      .flatMap((root) => placeNamed(path.basename(place), root) ?? []);
    if (named === undefined) continue;
    found.push({ path: place, ...named, bytes: (await project.files.scan(place)).bytes });
  }
  return found;
}

function livePathsIn(journal: UnfinishedRun | null): string[] {
  const undos = (journal?.steps ?? []).map(({ undo }) => undo);
  return undos.flatMap((undo) => {
    const live = undo?.action === 'unswap' ? (undo.data as { live?: unknown }).live : undefined;
    return typeof live === 'string' ? [live] : [];
  });
}

/** What lies directly in a folder of the state directory. */
async function entries({ project }: Looking, folder: string): Promise<{ path: string; bytes: number }[]> {
  const directory = path.join(project.stateDirectory, folder);
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new CaretakerError('file-operation-failed', `failed to list ${directory}: ${messageOf(error)}`, {
      cause: error,
    });
  });
  const found: { path: string; bytes: number }[] = [];
  for (const name of names.sort()) {
    const place = path.join(directory, name);
    found.push({ path: place, bytes: (await project.files.scan(place)).bytes });
  }
  return found;
}

async function throwaways(tools: Looking): Promise<StatusReport['throwaways']> {
  const { name: of, engine } = tools.project;
  const labels = { [OF_LABEL]: of };
  const containers = (await engine?.runtime.containers(labels)) ?? [];
  const volumes = (await engine?.runtime.volumes(labels)) ?? [];
  const directories = await entries(tools, 'throwaway');
  const nameOf = (one: { labels: Readonly<Record<string, string>> }): string =>
    one.labels[THROWAWAY_LABEL] ?? 'unnamed';
  const names = new Set([
    ...[...containers, ...volumes].map(nameOf),
    ...directories.map((one) => path.basename(one.path)),
  ]);
  return [...names].sort().map((name) => {
    const directory = directories.find((one) => path.basename(one.path) === name);
    return {
      name,
      containers: containers.filter((one) => nameOf(one) === name).map((one) => one.name),
      volumes: volumes.filter((one) => nameOf(one) === name).map((one) => one.name),
      directory: directory?.path ?? null,
      bytes: directory?.bytes ?? 0,
    };
  });
}

async function newestIn(store: Store, project: string): Promise<StatusReport['stores'][number]> {
  try {
    await store.check('read');
    const backups = await store.list(project);
    const newest = backups[0];
    if (newest === undefined) return { store: store.name, backups: 0, newest: null, problem: undefined };
    const { name, createdAt, bytes, proofs } = newest;
    return {
      ...{ store: store.name, backups: backups.length, problem: undefined },
      newest: { name, createdAt: createdAt.toISOString(), bytes, proven: verdict(proofs) },
    };
  } catch (error) {
    if (!(error instanceof CaretakerError) || error.code === 'cancelled') throw error;
    return { store: store.name, backups: 0, newest: null, problem: `${error.message} [${error.code}]` };
  }
}

/** In the order of urgency. What a run has in hand is its own affair. */
function whatNeedsAHand(report: StatusReport, { project, clock }: Looking): string[] {
  const { lock, unfinished, lastUpdate: update, safety, aside: left, throwaways: made, stores } = report;
  const lines: string[] = [];
  const atWork = lock !== null && lock.state !== 'dead';
  if (lock?.state === 'elsewhere') {
    lines.push(
      `Whether the ${lock.mode} that holds the lock still runs can't be seen from here: if it is certainly over, remove ${path.join(project.stateDirectory, 'lock')}.`,
    );
  }
  if (!atWork && unfinished !== null) {
    const rest = unfinished.committed
      ? 'after it was in place: what is left is done'
      : 'before it was in place: it is undone';
    lines.push(
      `The ${unfinished.mode} ${unfinished.run} was cut off ${rest} by the next run that acts. Run "compose-caretaker backup", or follow docs/recovery-by-hand.md.`,
    );
  }
  if (!atWork && unfinished === null) {
    for (const { path: place, kind } of left) {
      lines.push(
        `${place} (${kind}) was left beside live data, and no run will come back for it: look at it, then remove it by hand. See docs/recovery-by-hand.md.`,
      );
    }
  }
  if (!atWork) lines.push(...whatWaits(report.unstored));
  if (update !== null && !safety.some(({ name }) => name === update.backup)) {
    lines.push(`The safety backup ${update.backup} is not there: the last update can't be rolled back with its data.`);
  }
  for (const { store, newest, problem } of stores) {
    if (problem !== undefined) lines.push(`What ${store} holds can't be told: ${problem}`);
    else if (newest === null) lines.push(`There is no backup of ${project.name} in ${store}.`);
    else if (isMisdated({ createdAt: new Date(newest.createdAt) }, clock.now())) {
      lines.push(misdatedText({ ...newest, createdAt: new Date(newest.createdAt) }, store, clock.now()));
    } else if (newest.proven?.ok === false) {
      lines.push(
        `The drill of ${newest.name} (${store}) failed on ${newest.proven.at.slice(0, 10)}: do not rely on it.`,
      );
    }
  }
  if (!atWork && unfinished === null) for (const one of made) lines.push(removal(one, project));
  return lines;
}

function removal(
  { name, containers, volumes, directory }: StatusReport['throwaways'][number],
  { engine: of, files }: Project,
): string {
  const engine = of?.runtime.name ?? '';
  const as = { direct: '', 'podman-unshare': 'podman unshare ', 'helper-container': 'sudo ' }[files.way];
  const commands = [
    ...(containers.length === 0 ? [] : [`${engine} rm --force --volumes ${containers.join(' ')}`]),
    ...(volumes.length === 0 ? [] : [`${engine} volume rm ${volumes.join(' ')}`]),
    ...(directory === null ? [] : [`${as}rm -rf ${quoted(directory)}`]),
  ];
  return `The throwaway ${name} is left of a drill that was cut off. To remove it: ${commands.join('; ')}`;
}
