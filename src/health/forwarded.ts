import { connect, createServer, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { ProbeResult } from './health.ts';
import { httpProbe, type HttpProbeOptions } from './http.ts';

/**
 * Asks an address as if its port were published from this port here: run in a container's network, where nobody else answers at it. Host header, redirects to itself
 * and TLS are those of the real address.
 */
export async function forwardedHttp(port: number, options: HttpProbeOptions): Promise<ProbeResult> {
  const url = new URL(options.url);
  const wanted = Number(url.port || (url.protocol === 'https:' ? 443 : 80));
  const forwards =
    wanted === port ? [] : await Promise.all(['127.0.0.1', '::1'].map((host) => forward(host, wanted, port)));
  try {
    return await httpProbe(options).check();
  } finally {
    for (const end of forwards) end();
  }
}

/** Answers with what ends it, also what hangs in it. An address that is not here needs none. */
async function forward(host: string, from: number, to: number): Promise<() => void> {
  const open = new Set<Socket>();
  const server = createServer((incoming) => {
    // A published port leads to the container's own address, not to its loopback.
    const outgoing = connect(to, ownAddress());
    for (const [one, other] of [
      [incoming, outgoing],
      [outgoing, incoming],
    ] as const) {
      open.add(one);
      one.on('error', () => other.destroy());
      one.pipe(other);
    }
  });
  try {
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(from, host, resolve));
  } catch (error) {
    // Where the container itself listens at it, that is what answers.
    if (!['EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EADDRINUSE'].includes((error as NodeJS.ErrnoException).code ?? ''))
      throw error;
  }
  return () => {
    server.close();
    for (const socket of open) socket.destroy();
  };
}

function ownAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.find(({ internal, family }) => !internal && family === 'IPv4')?.address ?? '127.0.0.1';
}
