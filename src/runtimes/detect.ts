import { LIMITS, type Limits } from '../system/limits.ts';
import type { Processes } from '../system/processes.ts';
import { createDocker } from './docker.ts';
import { createPodman } from './podman.ts';
import type { Runtime } from './runtime.ts';

/** The engines that answer to this user here, Docker first; none is no error. */
export async function detectRuntimes(processes: Processes, limits: Limits = LIMITS): Promise<Runtime[]> {
  const runtimes = await Promise.all([createDocker(processes, limits), createPodman(processes, limits)]);
  return runtimes.filter((runtime) => runtime !== null);
}
