import { CaretakerError } from '../errors.ts';
import type { Runtime } from '../runtimes/runtime.ts';
import { containerPathOf, mountOf } from './data-mounts.ts';
import type { Mounts, ServiceFacts, ServiceMount } from './data-mounts.ts';

/** A cluster's directory and the service that works with it. */
export interface Cluster {
  /** Absolute on the host. */
  readonly path: string;
  readonly service: ServiceFacts;
  readonly mount: ServiceMount;
  readonly containerPath: string;
  /** How sure it is that this service runs the server of this directory. 0: it only mounts it. */
  readonly evidence: 0 | 1 | 2 | 3;
}

/**
 * Which service serves the cluster in `path`: one that mounts it writable, and best the one whose PGDATA it is; then one whose command is
 * `postgres`; then one whose image is named after PostgreSQL, or in which `pg_isready` answers. POSTGRES_* variables prove nothing: the
 * application has them as well. Null when nobody mounts it writable.
 */
export async function clusterOf(path: string, mounts: Mounts, runtime: Runtime): Promise<Cluster | null> {
  const candidates: Cluster[] = [];
  for (const service of mounts.services) {
    const mount = mountOf(mounts, path, service.name);
    if (mount === undefined || !mount.writable) continue;
    const containerPath = containerPathOf(mount, path);
    const evidence = await evidenceOf(service, containerPath, runtime);
    candidates.push({ path, service, mount, containerPath, evidence });
  }
  const running = (candidate: Cluster): number => Number(candidate.service.container?.state === 'running');
  return candidates.sort((a, b) => b.evidence - a.evidence || running(b) - running(a))[0] ?? null;
}

async function evidenceOf(
  service: ServiceFacts,
  containerPath: string,
  runtime: Runtime,
): Promise<Cluster['evidence']> {
  const pgdata = service.env['PGDATA'];
  if (pgdata?.replace(/\/+$/, '') === containerPath) return 3;
  // A shell's name and options may stand before it: `docker-entrypoint.sh postgres -c …`.
  if (service.command.some((word) => /(^|\/)(postgres|postmaster)$/.test(word))) return 2;
  if (/postg(res|is)|pgvector|timescale/i.test(service.image.replace(/^.*\//, ''))) return 1;
  if (service.container?.state !== 'running') return 0;
  return (await answers(service.container.id, runtime)) ? 1 : 0;
}

async function answers(containerId: string, runtime: Runtime): Promise<boolean> {
  try {
    const { exitCode } = await runtime.exec(containerId, ['pg_isready'], {
      accept: [0, 1, 2, 3, 126, 127],
      timeoutMs: 15_000,
    });
    return exitCode === 0;
  } catch (error) {
    // Engines differ in how they say that there is no such program in the container. Not knowing is the answer "no":
    // the directory is then copied with the service stopped, which is right whatever runs in it.
    if (error instanceof CaretakerError) return false;
    throw error;
  }
}
