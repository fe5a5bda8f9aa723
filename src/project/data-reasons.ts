import type { TreeScan } from '../runtimes/host-files.ts';

/** Trees of the host that no application's data are, with all that is below them. */
const hostTrees = [
  '/proc',
  '/sys',
  '/dev',
  '/run',
  '/var/run',
  '/etc',
  '/usr',
  '/bin',
  '/sbin',
  '/lib',
  '/lib32',
  '/lib64',
  '/boot',
];
/** Directories of the host that hold other things besides this application's: as a whole they are not its data, what is below them may be. */
const hostRoots = [
  '/',
  '/var',
  '/var/lib',
  '/var/lib/docker',
  '/var/lib/containers',
  '/var/log',
  '/home',
  '/root',
  '/srv',
  '/opt',
  '/mnt',
  '/media',
  '/tmp',
  '/var/tmp',
];

/** Why a bind mount of this host path is certainly no data; undefined when it may be. */
export function hostPathReason(path: string): string | undefined {
  if (/\/(docker|podman|containerd)\.sock$/.test(path)) return "the container engine's socket";
  if (hostRoots.includes(path)) return 'a directory of the host, not of the application';
  const tree = hostTrees.find((root) => path === root || path.startsWith(`${root}/`));
  return tree === undefined ? undefined : `it belongs to the host's own ${tree}`;
}

/** Why what the walk found can't be archived; undefined for a file or a directory. */
export function scanReason(scan: Pick<TreeScan, 'kind'>): string | undefined {
  switch (scan.kind) {
    case 'socket':
      return 'a socket';
    case 'missing':
      return 'there is no such path on this host';
    case 'other':
      return 'neither a file nor a directory';
    case 'directory':
    case 'file':
      return undefined;
  }
}

/**
 * Directories directly below a mount that are certain to be rebuilt by whoever made them. Certain means: the directory says so itself by the
 * CACHEDIR.TAG of bford.info/cachedir, or it is Python's `__pycache__`. A name like `cache`, `tmp` or `logs` is no proof: applications
 * keep uploads in `tmp` and the only record of who did what in `logs`.
 */
export const cacheNames = ['cache', '.cache', 'caches', 'tmp', '__pycache__'];
