import type { UndoEntry } from '../safety/journal.ts';
import { CaretakerError, messageOf } from '../errors.ts';
import { waitHealthy } from '../health/wait.ts';
import type { HealthReport } from '../health/health.ts';
import type { Project } from '../project/project.ts';
import type { Log } from '../report/log.ts';
import type { Container } from '../runtimes/runtime.ts';
import { bootId } from '../system/identity.ts';
import type { Tools } from './tools.ts';

/** How long to wait for health, and how long it must last; milliseconds. */
export interface Patience {
  readonly healthTimeoutMs: number;
  readonly settleMs: number;
}

/** Waits until every probe passes and stays so. Throws `unhealthy` with what was seen last. */
export async function becomeHealthy(tools: Tools, patience: Patience): Promise<HealthReport> {
  const { probes, clock, log, signal, recorder } = tools;
  const report = await recorder.step('Wait until it is healthy', () =>
    waitHealthy(probes, {
      ...{ timeoutMs: patience.healthTimeoutMs, settleMs: patience.settleMs, clock, log, signal },
      mend: () => mendNetwork(tools),
    }),
  );
  recorder.health = report;
  if (!report.healthy) {
    await noteLastWords(tools);
    const seen = report.results.filter(({ ok }) => !ok).map(({ probe, detail }) => `${probe}: ${detail}`);
    throw new CaretakerError(
      'unhealthy',
      `the application is not healthy after ${Math.round(report.seconds)} s: ${seen.join('; ')}`,
      {
        hint:
          hintOfLocale(recorder.lastWords) ??
          'Read the last log lines of the services below; raise health-timeout if the application only needs longer to start.',
      },
    );
  }
  recorder.serving(report.seconds - (report.firstHealthySeconds ?? report.seconds));
  return report;
}

/** A fault of the engine's is no fault of the version's, and none that an administrator should have to know. */
async function mendNetwork({ project, log }: Tools): Promise<void> {
  const running = async (): Promise<string[]> =>
    (await project.containers()).filter(({ state }) => state === 'running').map(({ id }) => id);
  if (await project.engine?.runtime.mendNetwork(running))
    log.info(`${project.engine?.runtime.name ?? ''} had lost its name server: the network is set up anew`);
}

/** Keeps what the services said last, before an undo takes their containers away. The first failure is the one to explain. */
export async function noteLastWords({ project, recorder }: Tools): Promise<void> {
  if (recorder.lastWords !== undefined) return;
  try {
    recorder.lastWords = await project.lastWords(LAST_LINES);
  } catch (error) {
    recorder.warn(`The services' last log lines can't be read: ${messageOf(error)}`);
  }
}

/** A PostgreSQL server says this when it starts on data of a locale that its image lacks. */
function hintOfLocale(words: Tools['recorder']['lastWords']): string | undefined {
  const pattern = /"([^"]+)", which is not recognized by setlocale\(\)|invalid value for parameter "lc_\w+": "([^"]+)"/;
  for (const { service, text } of words ?? []) {
    const found = pattern.exec(text);
    if (found !== null)
      return `The image of ${service} does not know the locale ${found[1] ?? found[2] ?? ''} of its data. Use the image that they were made with (a restore: with-code: true), or one that has the locale.`;
  }
  return undefined;
}

const LAST_LINES = 40;

/** Services of which a container runs now. */
export async function runningServices(project: Project): Promise<string[]> {
  if (project.engine === null) return (await project.running()) ? await project.services() : [];
  const containers = await project.containers();
  return [
    ...new Set(
      containers
        .filter(({ state, oneOff }) => (state === 'running' || state === 'restarting') && !oneOff)
        .map(({ service }) => service),
    ),
  ];
}

/** Ids of those that run. */
export function runningOf(containers: readonly Container[]): string[] {
  return containers.filter(({ state, oneOff }) => state === 'running' && !oneOff).map(({ id }) => id);
}

/** Services that have a container, of any state. */
export async function knownServices(project: Project): Promise<string[]> {
  return servicesOf(await project.containers());
}

export function servicesOf(containers: readonly Container[]): string[] {
  return [...new Set(containers.map(({ service }) => service))];
}

/** What serves before anything is touched. */
interface Serving {
  /** Services that run; empty when the application is down. */
  readonly services: readonly string[];
  /** It was not healthy: going back can't make it so, and must not be held up by it. */
  readonly ill?: true | undefined;
  /** The boot of the host in which they ran. Missing in the journals of older versions. */
  readonly boot?: string;
}

/** What serves now, by one look at its health. */
export async function nowServing({ project, probes, clock, log, signal }: Tools): Promise<Serving> {
  const services = await runningServices(project);
  const boot = bootId();
  if (services.length === 0) return { services, boot };
  const quiet: Log = { ...log, info: (line) => log.debug(line) };
  const { healthy } = await waitHealthy(probes, { timeoutMs: 0, settleMs: 0, clock, log: quiet, signal });
  return { services, boot, ...(healthy ? {} : { ill: true }) };
}

/** The plain data of the undo action `serve-again`. */
export interface ServeAgain extends Serving {
  /** `up`: what is deployed may have changed meanwhile; `start`: only stopped. */
  readonly by: 'start' | 'up';
  /** Services that had a container before: others were added by a version that failed. */
  readonly known: readonly string[];
  /** Ids of all containers that were there, in whatever state. Missing where no version changes, and in the journals of older versions. */
  readonly existing?: readonly string[];
  /** The run that changes the version, whose undo may have put data back. Missing in the journals of older versions. */
  readonly run?: string;
  /** Ids of the containers that ran: while all of them still do, nothing was stopped, and there is nothing to bring up. */
  readonly running?: readonly string[];
}

export function serveAgain(data: ServeAgain): UndoEntry {
  return { action: 'serve-again', data };
}

/** For what was ill before, which nothing says will be well. */
const ILL_MS = 10_000;

/** Waits until it is healthy. Where it was ill before, not for long, and only warns if it is so again. */
export async function becomeAsBefore(tools: Tools, patience: Patience, ill: true | undefined): Promise<void> {
  const healthTimeoutMs = Math.min(patience.healthTimeoutMs, ill === undefined ? Infinity : ILL_MS);
  try {
    await becomeHealthy(tools, { ...patience, healthTimeoutMs });
  } catch (error) {
    if (ill === undefined || !(error instanceof CaretakerError && error.code === 'unhealthy')) throw error;
    tools.recorder.warn(`${error.message}. It was not healthy before this run either.`);
  }
}

/** Brings back what served before, and waits until it does. Where nothing did, nothing of a version that failed stays to be started by hand or by the host. */
export async function bringBack(tools: Tools, patience: Patience, data: ServeAgain): Promise<void> {
  if (data.services.length === 0) {
    await removeNewer(tools, data);
    return;
  }
  await bringUpAgain(tools, data);
  await becomeAsBefore(tools, patience, data.ill);
}

async function removeNewer({ project }: Tools, { existing }: ServeAgain): Promise<void> {
  const { engine } = project;
  if (engine === null || existing === undefined) return;
  const newer = (await project.containers()).map(({ id }) => id).filter((id) => !existing.includes(id));
  if (newer.length === 0) return;
  await engine.runtime.stop(newer);
  await engine.runtime.remove(newer);
}

/** Compose refuses to bring up a service that its files do not have: such a container is started as it is. */
export async function upOrStart(tools: Tools, services: readonly string[]): Promise<void> {
  const { project } = tools;
  const defined = await project.services();
  const wanted = services.filter((service) => defined.includes(service));
  if (wanted.length > 0) await project.up(wanted);
  await startOthers(
    tools,
    services.filter((service) => !defined.includes(service)),
  );
}

/** What runs under the project's name and is not in its compose files is nothing that a version is judged by. */
export async function startOthers({ project, recorder }: Tools, services: readonly string[]): Promise<void> {
  if (services.length === 0) return;
  try {
    await project.start(services);
  } catch (error) {
    if (error instanceof CaretakerError && error.code === 'cancelled') throw error;
    recorder.warn(
      `${services.join(', ')}, which ran under the name of ${project.name} and is not in its compose files, can't be started again: ${messageOf(error)}`,
    );
  }
}

async function bringUpAgain(tools: Tools, data: ServeAgain): Promise<void> {
  const { project, recorder } = tools;
  const { engine } = project;
  if (engine !== null) {
    // Since a reboot it runs on whatever code was checked out then, where containers mount it.
    if (data.by === 'up' && data.boot !== undefined && data.boot !== bootId()) await project.stop(data.services);
    const containers = await project.containers();
    const strangers = containers.filter(({ service }) => !data.known.includes(service)).map(({ id }) => id);
    if (strangers.length > 0) await engine.runtime.stop(strangers);
    // podman-compose 1.0.3 makes all containers anew on every `up`: a build that failed would cost the old version an outage.
    const untouched =
      data.running !== undefined &&
      data.running.length > 0 &&
      data.running.every((id) => containers.some((container) => container.id === id && container.state === 'running'));
    if (untouched) {
      await engine.runtime.remove(strangers);
      return;
    }
    const present = new Set(containers.map(({ service }) => service));
    const complete = data.services.every((service) => present.has(service));
    try {
      await (data.by === 'start' && complete ? project.start(data.services) : upOrStart(tools, data.services));
    } catch (error) {
      // Compose itself fails where one service waits for another one's health.
      const running = data.ill === undefined ? [] : await runningServices(project);
      if (!data.services.every((service) => running.includes(service))) throw error;
      recorder.warn(`${messageOf(error)}. It was not healthy before this run either.`);
    }
    // Podman removes no container that another one requires: those of the failed version, until they are made anew.
    await engine.runtime.remove(strangers);
    return;
  }
  if (await project.running()) {
    if (data.boot === undefined || data.boot === bootId()) return;
    // The host has started it meanwhile, on whatever code was checked out then.
    await project.stop(data.services);
  }
  await project.start(data.services);
}

/** These services and all that depend on them: a proxy resolves an address once, and a stopped service may come back with another. */
export async function withDependents(project: Project, services: readonly string[]): Promise<string[]> {
  if (project.engine === null) return [...services];
  const { services: all } = await project.engine.compose.model();
  const closed = new Set(services);
  for (let grown = true; grown;) {
    grown = false;
    for (const { name, dependsOn } of all) {
      if (!closed.has(name) && dependsOn.some((dependency) => closed.has(dependency))) {
        closed.add(name);
        grown = true;
      }
    }
  }
  return [...closed];
}
