import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Compose, ComposeService } from '../compose/compose.ts';
import { exists } from '../compose/compose-files.ts';
import { inStopOrder, projectLabel } from '../compose/compose-program.ts';
import { startOrder } from '../compose/order.ts';
import { filesOfModel, projectDirectoryOf, readEnvFiles, variablesOf } from '../compose/read-model.ts';
import type { Environment } from '../compose/read-model.ts';
import { CaretakerError } from '../errors.ts';
import type { ProbeResult } from '../health/health.ts';
import type { HostFiles } from '../runtimes/host-files.ts';
import type { Container, Runtime } from '../runtimes/runtime.ts';
import { inStorage } from '../runtimes/storage.ts';
import type { Project } from './project.ts';

/** Larger ones are data. */
const MAX_MOUNTED_BYTES = 1024 * 1024;

export interface ComposeProjectParts {
  readonly name: string;
  /** Absolute. */
  readonly directory: string;
  readonly files: HostFiles;
  readonly runtime: Runtime;
  readonly compose: Compose;
  /** Env files that were given in the place of `.env`; absolute. */
  readonly envFiles: readonly string[];
  readonly environment: Environment;
}

/** A project of Docker Compose or podman-compose. Reads containers and model anew at every call: updates change both. */
export function createComposeProject(parts: ComposeProjectParts): Project {
  const { runtime, compose } = parts;

  const containers = async (): Promise<Container[]> =>
    (await runtime.containers({ [projectLabel]: parts.name })).filter((container) => !container.oneOff);
  const chosen = async (services: readonly string[] | undefined): Promise<Container[]> =>
    (await containers()).filter((container) => services === undefined || services.includes(container.service));

  // A health check looks every second; the model costs a process each time and changes only by what this project does.
  let expected: Promise<readonly ComposeService[]> | undefined;
  const expectedServices = (): Promise<readonly ComposeService[]> => {
    expected ??= compose.model().then((model) => model.services);
    expected.catch(() => (expected = undefined));
    return expected;
  };

  async function views(): Promise<View[]> {
    const [existing, services] = await Promise.all([containers(), expectedServices()]);
    const result: View[] = [];
    for (const service of services) {
      const own = existing.filter((container) => container.service === service.name);
      if (own.length === 0 && service.replicas > 0) {
        result.push({
          service: service.name,
          container: undefined,
          ok: false,
          detail: `${service.name}: no container`,
          fatal: false,
        });
      }
      for (const container of own) result.push(viewOf(container, service, await healthOf(container)));
    }
    return result;
  }

  /** Podman's own timer may not be there (no systemd, no login session): its state is then the one of the last check by hand, or none. */
  async function healthOf(container: Container): Promise<Container['health']> {
    if (runtime.name !== 'podman' || container.health === null || container.state !== 'running')
      return container.health;
    let now: 'healthy' | 'unhealthy' | 'none';
    try {
      now = await runtime.runHealthCheck(container.id);
    } catch (error) {
      // It went down between two questions: the next look sees it.
      if (error instanceof CaretakerError && error.code === 'engine-failed') return 'unhealthy';
      throw error;
    }
    return now === 'none' ? null : now === 'unhealthy' && container.health === 'starting' ? 'starting' : now;
  }

  /** Those that are there of the files that make up the model. */
  async function modelFiles(): Promise<{ readonly all: readonly string[]; readonly secret: readonly string[] }> {
    const { files, dialect } = compose;
    const variables = await readEnvFiles(dialect, { files, envFiles: parts.envFiles }, parts.environment);
    const named = await filesOfModel(files, variablesOf(dialect, variables, parts.environment, parts.name));
    const given = parts.envFiles.length > 0 ? parts.envFiles : [join(projectDirectoryOf(files), '.env')];
    const there: string[] = [];
    for (const file of new Set([...named.all, ...given])) if (await exists(file)) there.push(file);
    return { all: there, secret: there.filter((file) => named.secret.includes(file) || given.includes(file)) };
  }

  /** Small files of the project directory that services only read: what an administrator writes beside the compose file. */
  async function mountedFiles(): Promise<string[]> {
    const existing = await containers();
    const sources =
      existing.length > 0
        ? existing.flatMap(({ mounts }) => mounts.filter(({ type, writable }) => type === 'bind' && !writable))
        : (await compose.model()).services.flatMap(({ volumes }) =>
            volumes.filter(({ type, readOnly }) => type === 'bind' && readOnly),
          );
    const found: string[] = [];
    for (const { source } of sources) {
      if (!source.startsWith(`${parts.directory}/`)) continue;
      const seen = await stat(source).catch(() => null);
      if (seen?.isFile() === true && seen.size <= MAX_MOUNTED_BYTES) found.push(source);
    }
    return found;
  }

  return {
    name: parts.name,
    directory: parts.directory,
    stateDirectory: join(parts.directory, '.caretaker'),
    files: parts.files,
    engine: { runtime, compose },
    async services() {
      return startOrder((await compose.model()).services);
    },
    containers,
    async running() {
      return (await containers()).some(isUp);
    },
    async stop(services) {
      const up = (await chosen(services)).filter(isUp);
      const names = [...new Set(up.map((container) => container.service))];
      if (names.length > 0) await compose.stop(names);
      return names;
    },
    async start(services) {
      expected = undefined;
      await compose.start(services);
    },
    async up(services) {
      expected = undefined;
      await inStorage(runtime, `bring up the containers of ${parts.name}`, () => compose.up(services));
    },
    async look() {
      const seen = await views();
      if (seen.length === 0) return { ok: false, detail: 'no service is defined' };
      const bad = seen.filter((view) => !view.ok);
      const detail = (bad.length > 0 ? bad : seen).map((view) => view.detail).join('; ');
      const result: ProbeResult = { ok: bad.length === 0, detail };
      return bad.some((view) => view.fatal) ? { ...result, fatal: true } : result;
    },
    async lastWords(lines) {
      const seen = await views();
      const bad = seen.filter((view) => !view.ok);
      // When the engine finds nothing wrong and yet somebody asks, the answer is in what the services print.
      const wanted = bad.length > 0 ? bad : seen;
      const ordered = inStopOrder(
        wanted.flatMap((view) => (view.container === undefined ? [] : [view.container])),
        await expectedServices(),
      ).reverse();
      const words: { service: string; state: string; text: string }[] = wanted
        .filter((view) => view.container === undefined)
        .map((view) => ({ service: view.service, state: 'missing', text: '' }));
      for (const container of ordered) {
        words.push({
          service: container.service,
          state: stateOf(container),
          text: await runtime.logTail(container.id, lines),
        });
      }
      return words;
    },
    configurationFiles: async () => [...new Set([...(await modelFiles()).all, ...(await mountedFiles())])],
    secretFiles: async () => [...(await modelFiles()).secret],
  };
}

interface View {
  readonly service: string;
  readonly container: Container | undefined;
  readonly ok: boolean;
  readonly detail: string;
  readonly fatal: boolean;
}

/** What one container's state means for its service. Pure, so that every state can be tested. */
export function viewOf(container: Container, service: ComposeService, health: Container['health']): View {
  const base = { service: service.name, container };
  const say = (ok: boolean, detail: string, fatal = false): View => ({
    ...base,
    ok,
    detail: `${service.name}: ${detail}`,
    fatal,
  });
  const comesBack = service.restart !== undefined && service.restart !== 'no';
  switch (container.state) {
    case 'running':
      if (health === null) return say(true, 'running');
      return say(health === 'healthy', `running, ${health}`);
    case 'stopped':
      if (container.exitCode === 0 && !comesBack) return say(true, 'done (exit code 0)');
      // Nobody will start it again: waiting can't help.
      return say(false, `exited with code ${container.exitCode ?? 'unknown'}`, container.exitCode !== 0 && !comesBack);
    case 'restarting':
      return say(
        false,
        `restarting (${container.restartCount} restarts so far, last exit code ${container.exitCode ?? 'unknown'})`,
      );
    case 'created':
    case 'paused':
    case 'dead':
      return say(false, container.state);
  }
}

function stateOf(container: Container): string {
  if (container.state === 'running' && container.health !== null) return `running, ${container.health}`;
  return container.state === 'stopped' ? `exited with code ${container.exitCode ?? 'unknown'}` : container.state;
}

/** A container that restarts or is paused comes back by itself or with its memory: whoever wants silence must stop it too. */
function isUp(container: Container): boolean {
  return ['running', 'restarting', 'paused'].includes(container.state);
}
