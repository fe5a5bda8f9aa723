import { CaretakerError } from '../errors.ts';
import { LIMITS } from '../system/limits.ts';
import type { Argv, Processes } from '../system/processes.ts';
import { composeEnv } from './command-line.ts';
import type { Dialect } from './compose.ts';

/** How one Compose implementation is found, and what its versions can do. A new one is a new row. */
interface DialectRow {
  readonly name: Dialect['name'];
  readonly runtime: Dialect['runtime'];
  readonly argv: Argv;
  readonly versionArgv: Argv;
  /** The version in the output of `versionArgv`, undefined when it's another program's. */
  readonly version: (output: string) => string | undefined;
  readonly capabilities: (version: string) => Dialect['capabilities'];
}

/** In the order of preference where a project tells nothing. */
const table: readonly DialectRow[] = [
  {
    name: 'docker-compose-v2',
    runtime: 'docker',
    argv: ['docker', 'compose'],
    versionArgv: ['docker', 'compose', 'version', '--short'],
    // v1 has no such subcommand of docker; whatever counts on from 2 keeps its command line.
    version: (output) => /^v?((?:[2-9]|\d{2,})\.\d+\.\d+\S*)/m.exec(output)?.[1],
    capabilities: () => ({
      config: 'json',
      upRecreatesChanged: true,
      pull: true,
      build: true,
      profiles: true,
      envFiles: 'many',
      comparesConfiguration: true,
      imageSeparator: '-',
      reliableExitCodes: true,
    }),
  },
  {
    name: 'podman-compose',
    runtime: 'podman',
    argv: ['podman-compose'],
    versionArgv: ['podman-compose', 'version'],
    // 1.0.3 calls itself "podman-composer version".
    version: (output) => /podman-composer? version\s+v?(\d+\.\d+\.\d+\S*)/.exec(output)?.[1],
    // Read in the sources of 1.0.3, 1.0.6, 1.1.0 and later up to 1.6.0. The hash is the whole project's before 1.6, so that `up` makes
    // everything anew; before 1.0.6 it is the constant 123. No version puts the contents of an env_file into it.
    capabilities: (version) => {
      const since106 = atLeast(version, [1, 0, 6]);
      const since110 = atLeast(version, [1, 1, 0]);
      return {
        config: since106 ? 'yaml' : 'none',
        upRecreatesChanged: false,
        pull: true,
        build: true,
        profiles: since110,
        envFiles: since106 ? 'one' : 'none',
        comparesConfiguration: since106,
        imageSeparator: '_',
        reliableExitCodes: since110,
      };
    },
  },
];

export const dialectNames: readonly Dialect['name'][] = table.map((row) => row.name);

/**
 * The dialects whose program answers on this machine, in the order of preference. Asks programs for their version and
 * nothing else; whether the engine below answers is the runtimes' affair.
 */
export async function detectDialects(processes: Processes): Promise<Dialect[]> {
  const found = await Promise.all(table.map((row) => detect(row, processes)));
  return found.filter((dialect) => dialect !== undefined);
}

async function detect(row: DialectRow, processes: Processes): Promise<Dialect | undefined> {
  let output: string;
  try {
    output = (await processes.run({ argv: row.versionArgv, env: composeEnv(row) }, { timeoutMs: LIMITS.answer }))
      .stdout;
  } catch (error) {
    // No such program, or docker without the plugin: that is the answer "not here".
    if (error instanceof CaretakerError && ['command-missing', 'command-failed'].includes(error.code)) return undefined;
    throw error;
  }
  const version = row.version(output);
  if (version === undefined) return undefined;
  return {
    name: row.name,
    runtime: row.runtime,
    argv: row.argv,
    version,
    capabilities: row.capabilities(version),
  };
}

/** The image of a service; one that is built and has no name of its own gets it from the Compose program. */
export function imageNameOf(
  { capabilities }: Pick<Dialect, 'capabilities'>,
  project: string,
  { name, image }: { readonly name: string; readonly image: string | null },
): string {
  return image ?? `${project}${capabilities.imageSeparator}${name}`;
}

function atLeast(version: string, wanted: readonly number[]): boolean {
  const parts = version.split(/[^\d]+/).map(Number);
  for (const [index, part] of wanted.entries()) {
    const have = parts[index] ?? 0;
    if (have !== part) return have > part;
  }
  return true;
}
