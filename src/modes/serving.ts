import type { UndoEntry } from '../safety/journal.ts';
import { CaretakerError, messageOf } from '../errors.ts';
import { waitHealthy } from '../health/wait.ts';
import type { HealthReport } from '../health/health.ts';
import type { Project } from '../project/project.ts';
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

/** Ids of the containers that run now. */
export async function runningContainers(project: Project): Promise<string[]> {
  const containers = await project.containers();
  return containers.filter(({ state, oneOff }) => state === 'running' && !oneOff).map(({ id }) => id);
}

/** Services that have a container, of any state. */
export async function knownServices(project: Project): Promise<string[]> {
  return [...new Set((await project.containers()).map(({ service }) => service))];
}

/** The plain data of the undo action `serve-again`. */
export interface ServeAgain {
  /** Services that ran before anything was touched; empty when the application was down. */
  readonly services: readonly string[];
  /** `up`: what is deployed may have changed meanwhile; `start`: only stopped. */
  readonly by: 'start' | 'up';
  /** Services that had a container before: others were added by a version that failed. */
  readonly known: readonly string[];
  /** Ids of the containers that ran: while all of them still do, nothing was stopped, and there is nothing to bring up. */
  readonly running?: readonly string[];
}

export function serveAgain(data: ServeAgain): UndoEntry {
  return { action: 'serve-again', data };
}

/** Brings back what served before, and waits until it does. Nothing to do is no error. */
export async function bringBack(tools: Tools, patience: Patience, data: ServeAgain): Promise<void> {
  const { project } = tools;
  if (data.services.length === 0) return;
  const { engine } = project;
  if (engine !== null) {
    const containers = await project.containers();
    const strangers = containers.filter(({ service }) => !data.known.includes(service)).map(({ id }) => id);
    if (strangers.length > 0) {
      await engine.runtime.stop(strangers);
      await engine.runtime.remove(strangers);
    }
    // podman-compose 1.0.3 makes all containers anew on every `up`: a build that failed would cost the old version an outage.
    const untouched =
      data.running !== undefined &&
      data.running.length > 0 &&
      data.running.every((id) => containers.some((container) => container.id === id && container.state === 'running'));
    if (untouched) {
      await becomeHealthy(tools, patience);
      return;
    }
    const present = new Set(containers.map(({ service }) => service));
    const complete = data.services.every((service) => present.has(service));
    await (data.by === 'start' && complete ? project.start(data.services) : project.up(data.services));
  } else if (!(await project.running())) {
    await project.start(data.services);
  }
  await becomeHealthy(tools, patience);
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
