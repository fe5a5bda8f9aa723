import { CaretakerError, messageOf } from '../errors.ts';
import type { Log } from '../report/log.ts';
import { secretsOf } from '../report/redact.ts';
import { removeNameless } from '../runtimes/nameless.ts';
import { isAnonymousName } from '../runtimes/volume-options.ts';
import type { Container, Runtime } from '../runtimes/runtime.ts';
import type { Clock } from '../system/clock.ts';
import { saysNoSpace } from '../system/disk.ts';
import { LIMITS, type Limits } from '../system/limits.ts';
import { ANY_CODE, type Argv, type Processes } from '../system/processes.ts';
import { buildArgv, composeEnv, downArgv, pullArgv, startArgv, stopArgv, upArgv } from './command-line.ts';
import type { ProjectArguments } from './command-line.ts';
import type { Compose, ComposeModel, ComposeService, Dialect } from './compose.ts';
import { exists } from './compose-files.ts';
import { parseEnvFile } from './env-file.ts';
import { startOrder, withDependents } from './order.ts';
import { readEnvFile } from './read-file.ts';
import { projectDirectoryOf, readDocument, readEnvFiles, readModel } from './read-model.ts';
import type { Environment } from './read-model.ts';

export const projectLabel = 'com.docker.compose.project';

export interface ComposeDeps {
  readonly processes: Processes;
  readonly runtime: Runtime;
  readonly log: Log;
  readonly clock: Clock;
  /** The process environment: Compose's variables are filled in from it. */
  readonly environment: Environment;
  readonly limits?: Limits;
}

/** How often a container that could not be started because of its dependencies is tried again, and how long apart. */
const startTries = 5;
const startPauseMs = 3_000;

/** Of what a program printed, in an error. */
const LAST_LINES = 15;

/** Characters of a line in an error: of its beginning and of its end, where a runtime says why. */
const LINE_ENDS = [150, 350] as const;

/** Drops the oldest line, but one that tells of no space: others follow it, and say nothing of that. */
function dropOldest(lines: string[]): void {
  const other = lines.findIndex((line) => !saysNoSpace(line));
  lines.splice(Math.max(0, other), 1);
}

/** Compose for every dialect: what they do differently is asked of their capabilities. */
export function createCompose(dialect: Dialect, project: ProjectArguments, deps: ComposeDeps): Compose {
  const { processes, runtime, log, clock, limits = LIMITS } = deps;
  const { capabilities } = dialect;
  const directory = projectDirectoryOf(project.files);

  /** podman-compose prints the commands that it runs, with the values of variables and build arguments in them. */
  async function model(): Promise<ComposeModel> {
    const found = await readModel(dialect, project, processes, deps.environment);
    const given = found.services.flatMap(({ environment, buildOptions }) => [
      environment,
      Object.fromEntries(buildOptions.args ?? []),
    ]);
    for (const values of [await readEnvFiles(dialect, project, deps.environment), ...given]) {
      for (const secret of secretsOf(values)) log.mask(secret);
    }
    return found;
  }

  const containers = async (services: readonly string[]): Promise<Container[]> => {
    const all = await runtime.containers({ [projectLabel]: project.projectName });
    return all.filter(
      (container) => !container.oneOff && (services.length === 0 || services.includes(container.service)),
    );
  };

  /** Runs a Compose program with its lines in the log, and returns the last ones. Throws `compose-failed` with them, `command-timeout`, `cancelled`. */
  async function run(
    title: string,
    argv: Argv,
    options: {
      /** `build-timeout` unless told. */
      readonly timeoutMs?: number;
      readonly outlivesJob?: boolean;
      readonly isFailure?: (line: string) => boolean;
      readonly onLine?: (line: string) => void;
    } = {},
  ): Promise<readonly string[]> {
    return log.group(title, async () => {
      const tail: string[] = [];
      let failed = false;
      const onLine = (line: string): void => {
        if (line.trim() === '') return;
        log.info(line);
        options.onLine?.(line);
        tail.push(line);
        if (tail.length > LAST_LINES) dropOldest(tail);
        if (options.isFailure?.(line) === true) failed = true;
      };
      const { outlivesJob = false, timeoutMs = limits.build } = options;
      let exitCode: number;
      try {
        ({ exitCode } = await processes.run(
          { argv, cwd: directory, env: composeEnv(dialect) },
          { accept: ANY_CODE, onLine, outlivesJob, timeoutMs },
        ));
      } catch (error) {
        // A signal ended it, or it could not be started.
        if (error instanceof CaretakerError && error.code === 'command-failed')
          throw composeFailed(title, [error.message], error);
        throw error;
      }
      if (exitCode !== 0) throw composeFailed(title, [`exit code ${exitCode}`, ...tail]);
      if (failed) throw composeFailed(title, tail);
      return tail;
    });
  }

  function composeFailed(title: string, tail: readonly string[], cause?: unknown): CaretakerError {
    const words = tail.length === 0 ? '' : `: ${tail.map((line) => endsOf(log.redacted(line))).join('\n')}`;
    return new CaretakerError('compose-failed', `failed to ${title.toLowerCase()} of ${project.projectName}${words}`, {
      hint: 'The lines above are the Compose program’s own; run it by hand in the project directory to see more.',
      cause,
    });
  }

  async function up(services: readonly string[] = []): Promise<void> {
    if (!capabilities.upRecreatesChanged) await removeChanged(services);
    const said = await run('Bring up the containers', upArgv(dialect, project, services), { outlivesJob: true });
    if (dialect.runtime === 'podman') await startCreated(services, said);
  }

  /**
   * podman-compose leaves a container whose image was rebuilt under the same tag, and before 1.3 every container that exists. So those that
   * changed go first, with all that depend on them: Podman ties a container to the very one that it requires.
   */
  async function removeChanged(services: readonly string[]): Promise<void> {
    const { services: defined } = await model();
    const existing = await containers([]);
    const wanted = services.length === 0 ? new Set(defined.map((service) => service.name)) : closure(defined, services);
    const changed = new Set<string>();
    for (const container of existing) {
      const service = defined.find((candidate) => candidate.name === container.service);
      if (service === undefined || !wanted.has(service.name)) continue;
      // Without a hash nothing tells that the configuration is the same, and the wrong one that goes on running is worse than a restart.
      if (
        !capabilities.comparesConfiguration ||
        (await imageChanged(service, container)) ||
        (await envFilesChanged(service, container))
      ) {
        changed.add(service.name);
      }
    }
    if (changed.size === 0) return;
    const affected = withDependents(defined, changed);
    log.info(`Recreating ${[...affected].join(', ')}: the image or the configuration is another one`);
    const doomed = inStopOrder(
      existing.filter((container) => affected.has(container.service)),
      defined,
    );
    for (const { service, mounts } of doomed) {
      for (const { volume, target } of mounts) {
        // Docker Compose hands them on; under Podman a new container begins with an empty one, and the old one stays behind.
        if (isAnonymousName(volume)) log.info(`${service} gets a new anonymous volume at ${target}; ${volume} is kept`);
      }
    }
    await stopContainers(doomed, defined);
    await runtime.remove(doomed.map((container) => container.id));
    // Dependents that were not asked for were taken away above: they come back as well.
    const others = [...affected].filter((name) => !wanted.has(name));
    if (others.length > 0) {
      await run('Bring up the dependent containers', upArgv(dialect, project, [...wanted, ...others]), {
        outlivesJob: true,
      });
    }
  }

  async function imageChanged(service: ComposeService, container: Container): Promise<boolean> {
    const now = await runtime.imageId(service.image ?? container.imageName);
    // No such image here: `up` is going to build or pull it, and a container of another image is then another one.
    return now !== container.imageId;
  }

  /** podman-compose's hash covers the names of env files, not what is in them. A variable that was taken out is not noticed. */
  async function envFilesChanged(service: ComposeService, container: Container): Promise<boolean> {
    const wanted: Record<string, string> = {};
    for (const file of service.envFiles) {
      if (!(await exists(file))) continue;
      const text = await readEnvFile(file);
      Object.assign(
        wanted,
        parseEnvFile(file, text, (name) => wanted[name] ?? deps.environment[name], 'python-dotenv'),
      );
    }
    return Object.entries({ ...wanted, ...service.environment }).some(([name, value]) => container.env[name] !== value);
  }

  /**
   * What podman-compose left created but not started. Podman 4.3 refuses to start a container while one that it requires is restarting, and
   * 1.0.3 answers 0 whatever happened: `said` is what `up` has printed. Whether what runs is healthy is not asked here.
   */
  async function startCreated(services: readonly string[], said: readonly string[]): Promise<void> {
    const { services: defined } = await model();
    const expected = defined.filter(
      (service) => service.replicas > 0 && (services.length === 0 || services.includes(service.name)),
    );
    for (let attempt = 1; ; attempt++) {
      const existing = await containers([]);
      const missing = expected.filter((service) => !existing.some((container) => container.service === service.name));
      if (missing.length > 0) {
        throw composeFailed('bring up the containers', [
          `no container was created for ${missing.map((service) => service.name).join(', ')}`,
          ...said,
        ]);
      }
      const waiting = inStopOrder(
        existing.filter(
          (container) =>
            container.state === 'created' && expected.some((service) => service.name === container.service),
        ),
        defined,
      ).reverse();
      if (waiting.length === 0) return;
      try {
        await runtime.start(waiting.map((container) => container.id));
      } catch (error) {
        if (attempt >= startTries) throw error;
        log.debug(`not started yet: ${error instanceof Error ? error.message : String(error)}`);
        await clock.sleep(startPauseMs);
      }
    }
  }

  async function stopContainers(ordered: readonly Container[], defined: readonly ComposeService[]): Promise<void> {
    for (const container of ordered) {
      // A frozen process can't shut down: it would be killed when the grace is over.
      if (container.state === 'paused') await runtime.unpause([container.id]);
      const grace = defined.find((service) => service.name === container.service)?.stopGraceSeconds;
      if (dialect.runtime === 'podman' && grace !== undefined && ['running', 'paused'].includes(container.state)) {
        // podman-compose does not hand the grace period to the container, so podman alone would kill after 10 s.
        await run('Stop the containers', stopArgv(dialect, project, grace, [container.service]), {
          timeoutMs: grace * 1000 + limits.act,
        });
      }
      await runtime.stop([container.id]);
    }
  }

  /** By the model where it can be read; the order must not keep an application from being stopped while a compose file is broken. */
  async function definedServices(): Promise<readonly ComposeService[]> {
    try {
      return (await model()).services;
    } catch (error) {
      log.warn(
        `The compose file can't be read, so the containers' own order is used: ${error instanceof Error ? error.message : String(error)}`,
      );
      return [];
    }
  }

  return {
    dialect,
    files: project.files,
    envFiles: project.envFiles,
    profiles: project.profiles,
    model,
    document: () => readDocument(dialect, project, processes, deps.environment),
    of: (file, projectName) => createCompose(dialect, { files: [file], projectName, profiles: [], envFiles: [] }, deps),
    up,
    async start(services = []) {
      const still = (await containers(services)).filter((container) => container.state !== 'running');
      const paused = still.filter((container) => container.state === 'paused');
      if (paused.length > 0) await runtime.unpause(paused.map((container) => container.id));
      const existing = still.filter((container) => container.state !== 'paused');
      if (existing.length === 0) return;
      if (dialect.runtime === 'docker') {
        try {
          // By name, so that services of profiles which are not active start as well.
          const names = [...new Set(existing.map((container) => container.service))];
          await run('Start the containers', startArgv(dialect, project, names), { outlivesJob: true });
          return;
        } catch (error) {
          if (!(error instanceof CaretakerError && error.code === 'compose-failed')) throw error;
          // The containers are there whatever became of the compose file: starting them is what keeps users served.
          log.warn(`Compose could not start the containers, so they are started one by one: ${error.message}`);
        }
      }
      const ordered = inStopOrder(existing, await definedServices()).reverse();
      await startInOrder(ordered);
    },
    async stop(services = []) {
      const defined = await definedServices();
      const running = (await containers(services)).filter((container) =>
        ['running', 'restarting', 'paused'].includes(container.state),
      );
      await stopContainers(inStopOrder(running, defined), defined);
    },
    async down() {
      const defined = await definedServices();
      const existing = inStopOrder(await containers([]), defined);
      // With each container's own grace: podman-compose 1.0.3's `down` kills after one second.
      await stopContainers(existing, defined);
      await run('Remove the containers', downArgv(dialect, project), { timeoutMs: limits.act });
      // Also those that are gone by now: the engine may have kept something of them.
      const left = [...existing, ...(await containers([]))].map((container) => container.id);
      if (left.length > 0) await runtime.remove([...new Set(left)]);
    },
    async build(services = []) {
      // For what it masks: the version that is built may have secrets of its own.
      if (dialect.runtime === 'podman') await model();
      // podman-compose 1.0.3 prints the exit codes of its children and answers 0.
      const isFailure = (line: string): boolean => /^exit code: [1-9]/.test(line);
      // Podman keeps each step as an image, and of a build that fails the last one without a name; it prints their ids.
      const steps: string[] = [];
      const onLine = (line: string): void => {
        const [, id] = /--> ([0-9a-f]{11,64})$/.exec(line.trimEnd()) ?? [];
        if (id !== undefined) steps.push(id);
      };
      try {
        await run('Build the images', buildArgv(dialect, project, services), {
          onLine,
          ...(capabilities.reliableExitCodes ? {} : { isFailure }),
        });
      } catch (error) {
        for (const id of steps.reverse()) {
          await removeNameless(runtime, id).catch((left: unknown) => log.warn(`A step of the build is left: ${messageOf(left)}`)); // prettier-ignore
        }
        throw error;
      }
    },
    async pull(services = []) {
      const wanted = (await model()).services.filter(
        (service) =>
          service.image !== null && (services.length === 0 ? !service.build : services.includes(service.name)),
      );
      if (wanted.length === 0) return;
      if (dialect.runtime === 'docker') {
        await run(
          'Pull the images',
          pullArgv(
            dialect,
            project,
            wanted.map((service) => service.name),
          ),
        );
        return;
      }
      // podman-compose answers 0 when one of several pulls failed (1.0.3 and 1.6.0), so Podman itself is asked, image by image.
      for (const image of new Set(wanted.map((service) => service.image ?? ''))) {
        if (!image.startsWith('localhost/')) await run(`Pull the image ${image}`, ['podman', 'pull', image]);
      }
    },
  };

  async function startInOrder(ordered: readonly Container[]): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await runtime.start(ordered.map((container) => container.id));
        return;
      } catch (error) {
        // A dependency that restarts just now keeps Podman from starting what requires it.
        if (attempt >= startTries || dialect.runtime !== 'podman') throw error;
        await clock.sleep(startPauseMs);
      }
    }
  }
}

/** A line of a runtime's error ends with its cause. */
function endsOf(line: string): string {
  const [first, last] = LINE_ENDS;
  return line.length <= first + last ? line : `${line.slice(0, first)} … ${line.slice(-last)}`;
}

/** These services and what they depend on, as `up SERVICE` brings them up. */
function closure(defined: readonly ComposeService[], names: readonly string[]): Set<string> {
  const result = new Set<string>();
  const visit = (name: string): void => {
    if (result.has(name)) return;
    result.add(name);
    defined.find((service) => service.name === name)?.dependsOn.forEach(visit);
  };
  names.forEach(visit);
  return result;
}

/**
 * Dependents first. What each depends on is said by the model, for services that it does not know by the label of Docker Compose; where neither
 * says anything, what was started last stops first.
 */
export function inStopOrder(containers: readonly Container[], defined: readonly ComposeService[]): Container[] {
  const byStart = [...containers].sort((a, b) => (a.startedAt ?? '').localeCompare(b.startedAt ?? ''));
  const services = [...new Set(byStart.map((container) => container.service))].map((name) => ({
    name,
    dependsOn:
      defined.find((service) => service.name === name)?.dependsOn ??
      labelled(byStart.find((container) => container.service === name)),
  }));
  const order = startOrder(services);
  return byStart
    .map((container, index) => ({ container, index }))
    .sort((a, b) => order.indexOf(b.container.service) - order.indexOf(a.container.service) || b.index - a.index)
    .map(({ container }) => container);
}

/** `database:service_healthy:false,cache:service_started:true` */
function labelled(container: Container | undefined): string[] {
  const label = container?.labels['com.docker.compose.depends_on'] ?? '';
  return label
    .split(',')
    .map((entry) => entry.split(':')[0] ?? '')
    .filter((name) => name !== '');
}
