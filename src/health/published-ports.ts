import type { Container, PublishedPort } from '../runtimes/runtime.ts';
import type { Probe } from './health.ts';
import { httpProbe } from './http.ts';

/** Long enough for a page, short enough to be asked again. */
const TIMEOUT_MS = 5_000;

/**
 * Probes for the published ports at which a web server answers now, for a user who named no address: a version under which one of them falls silent or
 * answers with a server's error is not healthy, whatever its container says. A port that does not speak HTTP makes no probe.
 */
export async function publishedPortProbes(containers: readonly Container[]): Promise<Probe[]> {
  const urls = new Set(
    containers
      .filter(({ state, oneOff }) => state === 'running' && !oneOff)
      .flatMap(({ ports }) => ports.filter(({ protocol }) => protocol === 'tcp').map(urlOf)),
  );
  const probes = [...urls].map((url): Probe => ({
    ...httpProbe({ url, status: '<500', timeoutMs: TIMEOUT_MS }),
    shallow: true,
  }));
  const answering = await Promise.all(probes.map(async (probe) => (await probe.check()).ok));
  return probes.filter((_, index) => answering[index]);
}

function urlOf({ hostIp, hostPort }: PublishedPort): string {
  const everywhere = hostIp === '' || hostIp === '0.0.0.0' || hostIp === '::';
  const host = everywhere ? '127.0.0.1' : hostIp.includes(':') ? `[${hostIp}]` : hostIp;
  return `http://${host}:${hostPort}/`;
}
