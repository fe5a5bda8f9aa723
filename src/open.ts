import { realpath } from 'node:fs/promises';
import path from 'node:path';
import { createWorkflowCache } from './cache/workflow-cache.ts';
import type { FileCache } from './cache/cache.ts';
import { openCheckout, type Checkout } from './code/git.ts';
import type { GitToken } from './code/git-command.ts';
import { CaretakerError } from './errors.ts';
import { commandProbe } from './health/command.ts';
import type { Probe } from './health/health.ts';
import { httpProbe } from './health/http.ts';
import { publishedPortProbes } from './health/published-ports.ts';
import { localDirectory } from './modes/capture.ts';
import { openKeys, type Keys } from './modes/keys.ts';
import { createBareProject } from './project/bare-project.ts';
import { createCommandProject } from './project/command-project.ts';
import { discoverProject } from './project/discover.ts';
import { planData } from './project/data.ts';
import type { DataPlan, Project } from './project/project.ts';
import type { Log } from './report/log.ts';
import { secretsOf } from './report/redact.ts';
import { detectRuntimes } from './runtimes/detect.ts';
import type { ContainerNetwork } from './runtimes/container-network.ts';
import { createContainerNetwork, createHostFiles, type HostFilesOptions } from './runtimes/host-files-ways.ts';
import type { Runtime } from './runtimes/runtime.ts';
import type { HostFiles } from './runtimes/host-files.ts';
import { normalName } from './settings/parse.ts';
import type { DataSettings, RestoreSettings, Settings } from './settings/settings.ts';
import { createFolderStore } from './stores/folder.ts';
import { openStore } from './stores/stores.ts';
import type { Store } from './stores/store.ts';
import { runAuthorCommand } from './system/author-command.ts';
import { LIMITS, type Limits } from './system/limits.ts';
import { nodeProcesses } from './system/node-processes.ts';
import { systemClock } from './system/system-clock.ts';

/** Of a run that does more than look. */
export type Acting = Exclude<Settings, { mode: 'list' | 'status' }>;

/** What a run acts on, found by looking only: nothing is changed by opening it. */
export interface Opened {
  readonly project: Project;
  readonly checkout: Checkout | null;
  readonly stores: readonly Store[];
  readonly local: Store;
  readonly cache: FileCache;
  readonly keys: Keys;
  readonly plan: DataPlan | undefined;
  readonly probes: readonly Probe[];
  readonly network: ContainerNetwork;
  /** A store in any folder, for `backup: /path`. */
  readonly openFolder: (directory: string) => Store;
  /** Why there is no project yet, but a directory and a name: a restore may bring it. */
  readonly missing?: CaretakerError;
}

export interface World {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** Finds the project and opens everything around it. Throws the coded errors of the rooms. */
export async function open(settings: Settings, world: World): Promise<Opened> {
  const keys = await openKeys(settings, world.log);
  const { project, missing } = await openOrMiss(settings, world);
  await maskSecrets(project, world.log);
  const around = { keys, ...openRest(settings, world, project) };
  if (settings.mode === 'list' || settings.mode === 'status') {
    return { project, checkout: null, plan: undefined, probes: [], ...around };
  }
  const checkout = await openCode(settings, world, project.directory);
  const [plan, probes] = await Promise.all([resolvable(project, settings.data), probesFor(settings, project)]);
  return { project, checkout, plan, probes, ...around, ...(missing === undefined ? {} : { missing }) };
}

/** The clone whose code is deployed; null where there is none. */
export function openCode(
  settings: Pick<Acting, 'sourceDirectory' | 'githubToken'>,
  { env, log }: World,
  projectDirectory: string,
): Promise<Checkout | null> {
  return openCheckout(
    settings.sourceDirectory ?? projectDirectory,
    { processes: nodeProcesses, log, clock: systemClock, ...tokenFor(settings.githubToken, env) },
    { named: settings.sourceDirectory !== undefined },
  );
}

/** A drill that only reads a backup needs nothing of the application; a restore may bring its compose files (`missing`: why there is no project yet). */
async function openOrMiss(
  settings: Settings,
  world: World,
): Promise<{ readonly project: Project; readonly missing?: CaretakerError }> {
  const bare = async (): Promise<Project> => bareProject(settings, world, await filesOf(null));
  try {
    return { project: await openProject(settings, world, filesOf) };
  } catch (error) {
    if (!(error instanceof CaretakerError)) throw error;
    if (
      ['restore', 'recover'].includes(settings.mode) &&
      ['compose-file-missing', 'env-file-missing'].includes(error.code)
    )
      return { project: await bare(), missing: error };
    const needless = settings.mode === 'verify' && settings.proof === undefined;
    if (!needless || !['no-engine', 'engine-missing', 'compose-file-missing'].includes(error.code)) throw error;
    world.log.warn(`The backup is only read, and nothing started on it: ${error.message}`);
    return { project: await bare() };
  }
}

/**
 * For a restore into another place, which needs no application and no engine: what is found of them says whose backups are meant, and
 * which directories are in use. Files are written by this very user.
 */
export async function openElsewhere(settings: RestoreSettings, world: World): Promise<Opened> {
  const { log } = world;
  const keys = await openKeys(settings, log);
  const direct = await filesOf(null);
  const isRoot = process.getuid?.() === 0;
  if (!isRoot) log.info('Owners are not kept: only root could give files to others. Modes are');
  const files: HostFiles = isRoot
    ? direct
    : { ...direct, untar: (root, options) => direct.untar(root, { ...options, owners: false }) };
  const project = await openProject(settings, world, () => Promise.resolve(files)).catch(async (error: unknown) => {
    if (!(error instanceof CaretakerError) || error.code === 'cancelled') throw error;
    const bare = await bareProject(settings, world, files);
    log.info(
      `No application is found here, and none is needed; its name is taken to be ${bare.name} (${error.message})`,
    );
    return bare;
  });
  await maskSecrets(project, log);
  return { project, checkout: null, plan: undefined, probes: [], keys, ...openRest(settings, world, project) };
}

function openRest(
  settings: Settings,
  { env, log, signal }: World,
  project: Project,
): Pick<Opened, 'stores' | 'local' | 'cache' | 'network' | 'openFolder'> {
  const storeTools = {
    log,
    env,
    githubToken: settings.githubToken,
    allowPublic: 'allow' in settings && settings.allow.includes('public-artifacts'),
    mounts: path.join(project.stateDirectory, 'mounts.json'),
    clock: systemClock,
    signal,
  };
  const openFolder = (directory: string): Store => createFolderStore({ directory, log });
  const local = createFolderStore({
    directory: localDirectory(project.stateDirectory),
    name: 'safety backups on this host',
    log,
  });
  const stores = settings.stores.map((store) => openStore(store, storeTools));
  const cache = createWorkflowCache({
    ...{ processes: nodeProcesses, env, signal, node: process.execPath, client: programPath('actions-cache') },
    timeoutMs: limitsOf(settings).build,
  });
  const network = createContainerNetwork(hostFilesOptions(project.engine?.runtime ?? null));
  return { stores, local, cache, network, openFolder };
}

/** What the lines name. Data that a restore is to bring back may be missing: then the part's own origin decides. */
async function resolvable(project: Project, data: DataSettings): Promise<DataPlan | undefined> {
  if (data === 'auto') return undefined;
  try {
    return await planData(project, data);
  } catch (error) {
    if (error instanceof CaretakerError) return undefined;
    throw error;
  }
}

async function bareProject(settings: Settings, { env }: World, files: HostFiles): Promise<Project> {
  const directory = await realpath(settings.projectDirectory);
  const name = settings.projectName ?? env['COMPOSE_PROJECT_NAME'] ?? normalName(path.basename(directory));
  return createBareProject(name, directory, files);
}

function filesOf(runtime: Runtime | null): Promise<HostFiles> {
  return createHostFiles(hostFilesOptions(runtime));
}

async function openProject(
  settings: Settings,
  world: World,
  hostFiles: (runtime: Runtime | null) => Promise<HostFiles>,
): Promise<Project> {
  const { env, log } = world;
  if (settings.mode === 'verify' && settings.proof === 'read') return bareProject(settings, world, await filesOf(null));
  const { commands } = settings;
  if (commands !== undefined) {
    const { start: startCommand, stop: stopCommand, status: statusCommand } = commands;
    const directory = await realpath(settings.projectDirectory);
    return createCommandProject(
      { directory, name: settings.projectName, startCommand, stopCommand, statusCommand },
      { run: runAuthorCommand, files: await hostFiles(null), log },
    );
  }
  return discoverProject(
    { ...settings, directory: settings.projectDirectory },
    {
      processes: nodeProcesses,
      log,
      clock: systemClock,
      environment: env,
      limits: limitsOf(settings),
      runtimes: () => detectRuntimes(nodeProcesses, limitsOf(settings)),
      hostFiles: hostFiles,
    },
  );
}

function limitsOf(settings: Settings): Limits {
  return 'buildTimeoutMs' in settings ? { ...LIMITS, build: settings.buildTimeoutMs } : LIMITS;
}

function hostFilesOptions(runtime: Runtime | null): HostFilesOptions {
  return {
    ...{ processes: nodeProcesses, runtime, node: process.execPath, agent: programPath('agent') },
    root: process.getuid?.() === 0,
  };
}

/** A program beside this very one: dist/agent for the bundles, src/agent.ts for the sources. */
function programPath(entry: 'agent' | 'actions-cache'): string {
  const program = process.argv[1] ?? '';
  const name = program.endsWith('.ts') ? `${entry}.ts` : `../${entry}/index.js`;
  return path.resolve(path.dirname(program), name);
}

/** Whatever a container, a build or a database prints: the application's secrets stay out of the log. */
async function maskSecrets(project: Project, log: Log): Promise<void> {
  for (const { env } of await project.containers()) for (const secret of secretsOf(env)) log.mask(secret);
}

async function probesFor(settings: Acting, project: Project): Promise<Probe[]> {
  const states: Probe = { name: 'services', shallow: true, check: () => project.look() };
  const told = settings.health.map((probe) =>
    probe.type === 'http'
      ? httpProbe(probe)
      : commandProbe({ run: probe.run, cwd: project.directory, runAuthorCommand }),
  );
  return [states, ...told, ...(told.length > 0 ? [] : await publishedPortProbes(await project.containers()))];
}

function tokenFor(token: string | undefined, env: World['env']): { token?: GitToken } {
  const serverUrl = env['GITHUB_SERVER_URL'] ?? 'https://github.com';
  return token === undefined ? {} : { token: { value: token, serverUrl } };
}
