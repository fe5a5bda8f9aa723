import { createServer } from 'node:net';

/** Why nobody could listen on this TCP port now, for an error's text; undefined where somebody could, or where this user may not find out. `''` stands for all addresses. */
export async function whyTaken(address: string, port: number): Promise<string | undefined> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server
        .once('error', reject)
        .listen({ port, host: address === '' ? '0.0.0.0' : address, exclusive: true }, resolve);
    });
    return undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE') return 'another process listens there (address already in use)';
    if (code === 'EADDRNOTAVAIL') return 'this host has no such address';
    return undefined;
  } finally {
    server.close();
  }
}
