import { CaretakerError } from '../errors.ts';
import { LIMITS, type Limits } from '../system/limits.ts';
import { ANY_CODE, type Processes } from '../system/processes.ts';
import { parseHealthCheck } from './containers.ts';
import { commonRuntime, engineCommand, parsed } from './engine.ts';
import type { Runtime } from './runtime.ts';

/**
 * Docker as this user reaches it; null where there is no `docker`, where its daemon does not answer or refuses this user, and where
 * `docker` is Podman's alias.
 */
export async function createDocker(processes: Processes, limits: Limits = LIMITS): Promise<Runtime | null> {
  const engine = engineCommand('docker', processes, limits);
  const server = await answer(processes, limits);
  if (server === null) return null;
  const format = '{{json .SecurityOptions}}\n{{.DockerRootDir}}';
  const { stdout } = await engine.run(['info', '--format', format], 'ask docker how it runs');
  const facts = {
    name: 'docker',
    version: server.Version,
    rootless: stdout.includes('name=rootless'),
    platform: `${server.Os}/${server.Arch}`,
    storage: stdout.trim().split('\n').at(-1) ?? '',
  } as const;
  const common = commonRuntime(facts, engine, processes, limits);

  return {
    ...common,

    async remove(ids, { anonymousVolumes = false } = {}) {
      const volumes = anonymousVolumes ? ['--volumes'] : [];
      for (const id of ids) await engine.find(['rm', '--force', ...volumes, id], `remove the container ${id}`);
    },

    async runHealthCheck(id) {
      const inspected = await engine.run(['container', 'inspect', '--', id], `look at the container ${id}`);
      const check = parseHealthCheck(inspected.stdout, 'docker');
      const [program, ...args] = check?.argv ?? [];
      if (check === null || program === undefined) return 'none';
      // Docker's daemon runs the checks and has no command to run one now.
      try {
        const options = { timeoutMs: check.timeoutMs, accept: ANY_CODE };
        const result = await common.exec(id, [program, ...args], options);
        return result.exitCode === 0 ? 'healthy' : 'unhealthy';
      } catch (error) {
        if (error instanceof CaretakerError && error.code === 'command-timeout') return 'unhealthy';
        throw error;
      }
    },

    // Its name server is a part of the daemon.
    mendNetwork: () => Promise.resolve(false),

    async imageDigests(nameOrId) {
      const args = ['image', 'inspect', '--format', '{{json .RepoDigests}}', '--', nameOrId];
      const digests = await engine.find(args, `look at the image ${nameOrId}`);
      return digests === null
        ? []
        : ((parsed(digests, 'docker', `look at the image ${nameOrId}`) as string[] | null) ?? []);
    },

    async untag(name) {
      // --force: where it is the only name of an image in use. The image itself stays then.
      await engine.find(['rmi', '--force', '--no-prune', name], `remove the image name ${name}`);
    },
  };
}

interface Server {
  readonly Version: string;
  readonly Os: string;
  readonly Arch: string;
}

async function answer(processes: Processes, limits: Limits): Promise<Server | null> {
  try {
    const { stdout } = await processes.run(
      { argv: ['docker', 'version', '--format', '{{json .Server}}'] },
      { timeoutMs: limits.answer },
    );
    // Podman's alias has a client's half only: it prints null, `<no value>`, or fails.
    const server = JSON.parse(stdout) as Server | null;
    return typeof server?.Version === 'string' ? server : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    if (error instanceof CaretakerError && error.code !== 'cancelled') return null;
    throw error;
  }
}
