import { mkdir, rmdir } from 'node:fs/promises';
import path from 'node:path';
import type { Part } from '../archive/manifest.ts';
import type { PartReader } from '../archive/parts.ts';
import { CaretakerError } from '../errors.ts';
import type { Probe } from '../health/health.ts';
import { planThrowaway, THROWAWAY_LABEL, type ThrowawayPlan } from '../project/throwaway.ts';
import type { HostFiles } from '../runtimes/host-files.ts';
import type { HealthSettings } from '../settings/settings.ts';
import { within } from '../sources/places.ts';
import { sourceForPart } from '../sources/sources.ts';
import { formatBytes } from '../report/units.ts';
import { freeBytes } from '../system/disk.ts';
import { writeAtomic } from '../system/files.ts';
import { serversOf } from './data.ts';
import { dataParts, inSwapOrder, loadAll, type StagedPart } from './exchange.ts';
import type { Tools } from './tools.ts';

/** A copy of the project that holds a backup's data and that nothing leads to. */
export interface Throwaway {
  /** The tools of a mode, on the throwaway in the place of the project. */
  readonly tools: Tools;
  readonly plan: ThrowawayPlan;
  readonly staged: readonly StagedPart[];
}

export interface ThrowawayOptions {
  /** Of the backup; where the project's own files are among them, they are passed over. */
  readonly parts: readonly Part[];
  /** Of files that are verified. */
  readonly read: PartReader;
  readonly outside: boolean;
  readonly health: readonly HealthSettings[];
  /**
   * The parts are of this very project, and each goes where the copy of its directory or volume is, whatever the compose file says of the service now: a version that looks for
   * its data elsewhere does not find them.
   */
  readonly asItWas?: boolean;
}

/** What the journal knows of one: enough to take it away. */
export interface ThrowawayRecord {
  readonly name: string;
  readonly directory: string;
}

/**
 * Makes a throwaway with the data of a backup unpacked and nothing started, lets `work` use it, and takes it away whatever happened: here, or by the undo of the
 * journal. The project itself is only read.
 */
export async function withThrowaway<T>(
  tools: Tools,
  options: ThrowawayOptions,
  work: (throwaway: Throwaway) => Promise<T>,
): Promise<T> {
  const { project, recorder, saga, run } = tools;
  const name = `${project.name}-throwaway-${run.slice(-4)}`;
  const directory = path.join(project.stateDirectory, 'throwaway', name);
  const parts = dataParts(options.parts);
  const data = parts.flatMap(({ origin }) => origin.path);
  const plan = await planThrowaway(project, { name, directory, data, outside: options.outside });
  const record: ThrowawayRecord = { name, directory };
  return saga.step('throwaway', { undo: { action: 'drop-throwaway', data: record } }, async () => {
    for (const line of plan.content.without) tools.log.info(`In the throwaway: ${line}`);
    await make(tools, plan, directory);
    const probes = await probesOf(tools, plan, options);
    const copy: Tools = { ...tools, project: plan.project, probes, plan: undefined };
    const staged: StagedPart[] = [];
    for (const part of parts) {
      const filled = await recorder.step(`Unpack ${part.name} into the throwaway`, () =>
        fill(copy, plan, directory, part, options),
      );
      if (filled !== null) staged.push(filled);
    }
    for (const swap of inSwapOrder(staged)) await project.files.swap(swap);
    // What is mounted from inside a directory must be there, whether the backup has it or not.
    for (const copy of plan.content.nested) await makeParents(project.files, path.join(copy, '.'), [directory]);
    const result = await work({ tools: copy, plan, staged });
    await recorder.step('Remove the throwaway', () => dropThrowaway(tools, record));
    return result;
  });
}

async function make({ project }: Tools, { content, file, labels }: ThrowawayPlan, directory: string): Promise<void> {
  // The places of its staging and of its data.
  for (const one of ['.caretaker/staging', 'data'])
    await mkdir(path.join(directory, one), { recursive: true, mode: 0o700 });
  await writeAtomic(file, content.text);
  for (const { live, copy } of content.directories) {
    const like = (await project.files.exists(live)) ? live : directory;
    await project.files.makeDirectory(copy, like);
  }
  for (const name of content.volumes.values()) await project.engine?.runtime.createVolume(name, labels);
}

/** What the files of the databases tell, what is left to load (dumps), and what the database servers tell, started alone. */
export async function proveDatabases(
  throwaway: Throwaway,
  read: PartReader,
  note: (lines: readonly string[]) => void,
): Promise<void> {
  const { staged } = throwaway;
  const { recorder } = throwaway.tools;
  for (const { part, source } of staged) {
    const { proves } = source;
    if (proves?.resting === undefined) continue;
    note(await recorder.step(`Check the files of ${part.name}`, () => proves.resting?.(part) ?? Promise.resolve([])));
  }
  await startDatabases(throwaway, read);
  for (const { part, source } of staged) {
    const { proves } = source;
    if (proves?.serving === undefined) continue;
    note(await recorder.step(`Check ${part.name}`, () => proves.serving?.(part) ?? Promise.resolve([])));
  }
}

/** The database servers alone, with what is left to load (dumps). */
export async function startDatabases({ tools, staged }: Throwaway, read: PartReader): Promise<void> {
  const { project, recorder } = tools;
  await loadAll(tools, staged, read, (part, work) => recorder.step(`Load ${part.name}`, work));
  const servers = serversOf(staged.map(({ source }) => source));
  if (servers.length > 0) await recorder.step('Start the database servers', () => project.up(servers));
}

/** One part, unpacked beside the place where the throwaway has it: nowhere else, whatever the manifest and the compose file say. */
async function fill(
  tools: Tools,
  plan: ThrowawayPlan,
  directory: string,
  part: Part,
  { read, asItWas = false }: ThrowawayOptions,
): Promise<StagedPart | null> {
  const { log, clock, run, project } = tools;
  const origin = ownOrigin(part, plan);
  if (asItWas && origin === null) {
    tools.recorder.warn(`Rehearsed without ${part.name}: no service of the new version has it mounted.`);
    return null;
  }
  const deps = { project, log, clock, run, ...(asItWas ? { back: true as const } : {}) };
  const source = await sourceForPart({ ...part, origin: origin ?? part.origin }, deps);
  const homes = [directory];
  for (const name of plan.content.volumes.values()) {
    const info = await project.engine?.runtime.volume(name);
    if (info !== undefined && info !== null) homes.push(info.mountpoint);
  }
  if (!homes.some((home) => within(home, source.origin.path) !== undefined)) {
    throw new CaretakerError(
      'part-homeless',
      `failed to find where ${part.name} belongs in a throwaway: it would go to ${source.origin.path}, which is not its own`,
      { input: 'data', hint: 'Data that no service has mounted can be checked with proof: read.' },
    );
  }
  await makeParents(project.files, source.origin.path, homes);
  return { part, source, swaps: await source.stage(part, read, run) };
}

/** A database may lie deeper than what is mounted. */
async function makeParents(files: HostFiles, place: string, homes: readonly string[]): Promise<void> {
  const missing: string[] = [];
  for (let one = path.dirname(place); !homes.includes(one) && !(await files.exists(one)); one = path.dirname(one))
    missing.unshift(one);
  for (const one of missing) await files.makeDirectory(one, path.dirname(one));
}

/** The copy's place for what a part was taken from; null where the throwaway has none. */
function ownOrigin({ origin }: Part, plan: ThrowawayPlan): Part['origin'] | null {
  const { content } = plan;
  const { volume, relativePath: _there, ...rest } = origin;
  if (volume !== undefined) {
    const own = content.volumes.get(volume);
    return own === undefined
      ? null
      : { ...rest, volume: own, path: origin.path.replace(`/${volume}/_data`, `/${own}/_data`) };
  }
  // The data's own path has no links in it; that of the compose file may.
  for (const { live, copy } of content.places) {
    for (const one of [live, plan.real.get(live) ?? live]) {
      const inside = within(one, origin.path);
      if (inside !== undefined) return { ...rest, path: path.join(copy, inside) };
    }
  }
  return null;
}

/** Takes a throwaway away, in whatever state it is. Nothing there is no error. */
export async function dropThrowaway({ project }: Tools, { name, directory }: ThrowawayRecord): Promise<void> {
  const { engine, files } = project;
  if (engine !== null) {
    const { runtime } = engine;
    const containers = await runtime.containers({ 'com.docker.compose.project': name });
    const foreign = containers.find(({ labels }) => labels[THROWAWAY_LABEL] !== name);
    if (foreign !== undefined) {
      throw new CaretakerError('not-ours', `refused to remove the container ${foreign.name}: it is no throwaway's`);
    }
    await runtime.remove(
      containers.map(({ id }) => id),
      { anonymousVolumes: true },
    );
    await runtime.removeRest(name);
    // Not by whose it is: a new version may name the project otherwise.
    const labels = { [THROWAWAY_LABEL]: name };
    for (const volume of await runtime.volumes(labels)) await runtime.removeVolume(volume.name, labels);
  }
  await files.remove([directory]);
  // The last of them takes the place of all along.
  await rmdir(path.dirname(directory)).catch((error: unknown) => {
    if (!['ENOENT', 'ENOTEMPTY'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  });
}

/** The project's checks, as far as they can be made of a throwaway. */
async function probesOf(tools: Tools, plan: ThrowawayPlan, { health, parts }: ThrowawayOptions): Promise<Probe[]> {
  const { log, network } = tools;
  const states: Probe = { name: 'services', shallow: true, check: () => plan.project.look() };
  const probes: Probe[] = [states, await roomProbe(tools, parts)];
  const told = health.length > 0;
  const urls = told
    ? health.flatMap((line) => (line.type === 'http' ? [line] : []))
    : tools.probes.flatMap(({ name }) => (name.startsWith('http') ? [{ url: name, status: '<500' as const }] : []));
  for (const line of health) {
    if (line.type === 'command') log.info(`In the throwaway: not asked: ${line.run}: a command asks what serves`);
  }
  for (const question of urls) {
    const { url } = question;
    const { port, protocol, hostname } = new URL(url);
    const hostPort = Number(port === '' ? (protocol === 'https:' ? 443 : 80) : port);
    const published = plan.ports.find((one) => one.hostPort === hostPort);
    const byName = !/^(localhost|127\..*|\[::1\])$/.test(hostname);
    if (published === undefined || byName) {
      const why = byName
        ? 'the name leads elsewhere; give an address of localhost as well'
        : `no service publishes the port ${hostPort}`;
      log.info(`In the throwaway: not asked: ${url}: ${why}`);
      continue;
    }
    probes.push({
      name: url,
      ...(told ? {} : { shallow: true }),
      async check() {
        const containers = await plan.project.containers();
        const serving = containers.find(({ service, pid }) => service === published.service && pid !== undefined);
        if (serving?.pid === undefined) return { ok: false, detail: `${published.service} does not run` };
        return network.http({ id: serving.id, pid: serving.pid }, published.containerPort, question);
      },
    });
  }
  return probes;
}

/** By its name a failure is known that says nothing of the data. */
export const DISK_PROBE = 'disk';

/** What brings the data of a backup up may write as much again, and so much besides. */
const WORKING_BYTES = 2 * 1024 ** 3;
const LEAST_FREE_BYTES = 1024 ** 3;

/** A version that writes without end must not fill the disk of what serves. */
async function roomProbe({ project }: Tools, parts: readonly Part[]): Promise<Probe> {
  const { stateDirectory } = project;
  const data = parts.flatMap(({ files }) => files).reduce((sum, { rawBytes }) => sum + rawBytes, 0);
  const before = await freeBytes(stateDirectory);
  const least = Math.max(before - data - WORKING_BYTES, Math.min(LEAST_FREE_BYTES, before / 2));
  return {
    name: DISK_PROBE,
    shallow: true,
    async check() {
      const free = await freeBytes(stateDirectory);
      return free >= least
        ? { ok: true, detail: `${formatBytes(free)} free` }
        : {
            ok: false,
            fatal: true,
            detail: `${formatBytes(before - free)} were written since it began, ${formatBytes(free)} are free`,
          };
    },
  };
}
