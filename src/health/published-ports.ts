import type { Container, PublishedPort } from '../runtimes/runtime.ts';
import type { Probe, ProbeResult } from './health.ts';

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
  const probes = [...urls].map(portProbe);
  const answering = await Promise.all(probes.map(async (probe) => (await probe.check()).ok));
  return probes.filter((_, index) => answering[index]);
}

function urlOf({ hostIp, hostPort }: PublishedPort): string {
  const everywhere = hostIp === '' || hostIp === '0.0.0.0' || hostIp === '::';
  const host = everywhere ? '127.0.0.1' : hostIp.includes(':') ? `[${hostIp}]` : hostIp;
  return `http://${host}:${hostPort}/`;
}

function portProbe(url: string): Probe {
  return {
    name: url,
    shallow: true,
    async check(): Promise<ProbeResult> {
      try {
        const { status, body } = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(TIMEOUT_MS) });
        await body?.cancel();
        return { ok: status < 500, detail: `answers ${status}` };
      } catch (error) {
        const { cause, message } = error as Error;
        return { ok: false, detail: `does not answer: ${cause instanceof Error ? cause.message : message}` };
      }
    },
  };
}
