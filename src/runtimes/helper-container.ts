import { randomUUID } from 'node:crypto';
import { lstat, realpath } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { CaretakerError } from '../errors.ts';
import { LIMITS } from '../system/limits.ts';
import type { Argv, Processes } from '../system/processes.ts';
import type { Way, Wrapped } from './host-files-ways.ts';
import type { Runtime } from './runtime.ts';

/** Made here out of nothing, never pulled. A new content gets a new number. */
export const HELPER_IMAGE = 'compose-caretaker/helper:1';
export const HELPER_LABEL = 'compose-caretaker.helper';

/** Two empty blocks: an archive of nothing. */
const EMPTY_TAR = '\0'.repeat(1024);

/** What programs of the host need to run, as far as a host has it. */
const SYSTEM = [
  ...['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'],
  ...['/etc/ld.so.cache', '/etc/ld.so.conf', '/etc/ld.so.conf.d', '/etc/passwd', '/etc/group', '/etc/alternatives'],
];

/** Reading and writing other users' files with owners, modes, devices and capabilities; nothing else of what root may do. */
const CAPABILITIES = ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'MKNOD', 'SETFCAP'];

export interface BindMount {
  readonly source: string;
  readonly target: string;
  readonly writable: boolean;
}

/**
 * The way of a member of group docker: the host's own programs as root, in a container of an empty image without network, with the host's
 * /usr read-only and the directories in question. `programs`: directories of the Node binary and the agent.
 */
export function helperContainer(runtime: Runtime, processes: Processes, programs: readonly string[]): Way {
  let system: Promise<readonly BindMount[]> | undefined;
  return {
    name: 'helper-container',
    async wrap(argv, paths, absent, network): Promise<Wrapped> {
      system ??= systemMounts(programs);
      // Each time: a prune may take an image that no container uses.
      const image = (await runtime.imageId(HELPER_IMAGE)) ?? (await importHelper(processes, runtime));
      const places = await Promise.all(paths.map((path) => placesOf(path, absent)));
      const data = outermost(places.flat()).map((path) => ({ source: path, target: path, writable: true }));
      const name = `caretaker-helper-${randomUUID()}`;
      return {
        command: { argv: helperArgv(name, image, [...(await system), ...data], argv, network?.id) },
        // The client's end is not the container's.
        end: async () => {
          await processes.run({ argv: ['docker', 'rm', '--force', name] }, { accept: [0, 1], timeoutMs: LIMITS.act });
        },
      };
    },
  };
}

/** Pure: `docker run` of the helper; in the network of a container, where its id is given, and else in none. */
export function helperArgv(
  name: string,
  image: string,
  mounts: readonly BindMount[],
  argv: Argv,
  container?: string,
): Argv {
  return [
    'docker',
    ...confined(name, mounts, CAPABILITIES, container === undefined ? 'none' : `container:${container}`),
    ...['--interactive', '--env', 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
    image,
    ...argv,
  ];
}

/** Pure: the arguments, for either engine, of a container of our own that can reach nothing but what it is given. The image and what it runs are to follow. */
export function confined(
  name: string,
  mounts: readonly BindMount[],
  capabilities: readonly string[],
  network = 'none',
): string[] {
  const last = new Map(mounts.map((mount) => [mount.target, mount]));
  return [
    ...['run', '--rm', '--name', name, '--label', HELPER_LABEL],
    ...['--pull', 'never', '--network', network, '--read-only', '--tmpfs', '/tmp'],
    // A signal for the client is for the client: the first process of a container ignores what it does not expect.
    '--sig-proxy=false',
    // The archive goes through standard output: Docker's log would keep all of it on disk.
    ...['--log-driver', 'none'],
    // The daemon's user namespace, where there is one, maps root to nobody: owners are those of the host here.
    ...['--user', '0:0', '--userns', 'host', '--workdir', '/'],
    ...['--security-opt', 'label=disable', '--security-opt', 'no-new-privileges', '--cap-drop', 'ALL'],
    ...capabilities.flatMap((capability) => ['--cap-add', capability]),
    ...['--env', 'LC_ALL=C'],
    ...[...last.values()].flatMap((mount) => ['--mount', mountOption(mount)]),
  ];
}

/** `--mount`, as `--volume` makes a missing directory and can't take a colon. Its value is a line of CSV. */
function mountOption({ source, target, writable }: BindMount): string {
  const fields = ['type=bind', `source=${source}`, `target=${target}`, ...(writable ? [] : ['readonly'])];
  return fields.map((field) => (/[",\n\r]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field)).join(',');
}

async function systemMounts(programs: readonly string[]): Promise<BindMount[]> {
  const mounts: BindMount[] = [];
  for (const target of [...SYSTEM, ...programs]) {
    const source = await realpath(target).catch(() => undefined);
    if (source === undefined || (programs.includes(target) && isWithin('/usr', source))) continue;
    mounts.push({ source, target, writable: false });
  }
  return mounts;
}

/**
 * The directories to mount so that a path, and renames beside it, are in reach: its parent, and the parent of what it leads to as a symbolic link.
 * Where this user can see that the parent is missing, or the daemon has said so (`absent`), the nearest directory above that is there.
 */
async function placesOf(path: string, absent: ReadonlySet<string>): Promise<string[]> {
  const real = await realpath(path).catch(() => path);
  return (await Promise.all([...new Set([path, real])].map((one) => placeOf(one, absent)))).flat();
}

async function placeOf(path: string, absent: ReadonlySet<string>): Promise<string[]> {
  let place = dirname(path);
  for (const directory of ancestors(place)) {
    if (absent.has(directory) || (await isMissing(directory))) {
      place = dirname(directory);
      break;
    }
  }
  if (place !== '/') return [place];
  // Nothing can be mounted over the root itself. Where even the first directory is missing, it is in the container as well.
  return dirname(path) === '/' && !absent.has(path) && !(await isMissing(path)) ? [path] : [];
}

/** `/a`, `/a/b`, `/a/b/c`. */
function ancestors(directory: string): string[] {
  const parts = directory.split(sep).filter((part) => part !== '');
  return parts.map((_, index) => join('/', ...parts.slice(0, index + 1)));
}

/** True only where it is certain: what may not be looked at is taken to be there. */
async function isMissing(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return false;
  } catch (error) {
    return ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
  }
}

/** Those that lie in no other of them. A rename between two mounts fails, so there must be no needless ones. */
export function outermost(paths: readonly string[]): string[] {
  const unique = [...new Set(paths)].sort();
  return unique.filter((path) => !unique.some((other) => other !== path && isWithin(other, path)));
}

function isWithin(directory: string, path: string): boolean {
  const rest = relative(directory, path);
  return rest !== '..' && !rest.startsWith(`..${sep}`);
}

async function importHelper(processes: Processes, runtime: Runtime): Promise<string> {
  await processes.run(
    { argv: ['docker', 'import', '--change', `LABEL ${HELPER_LABEL}=1`, '-', HELPER_IMAGE] },
    { input: EMPTY_TAR, timeoutMs: LIMITS.act },
  );
  const id = await runtime.imageId(HELPER_IMAGE);
  if (id === null) throw new CaretakerError('engine-failed', `failed to import ${HELPER_IMAGE}: it is not there`);
  return id;
}
