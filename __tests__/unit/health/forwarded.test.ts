import { execFile } from 'node:child_process';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { forwardedHttp } from '../../../src/health/forwarded.ts';

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** A web server on all addresses; answers with its port and one that is free. */
async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<[number, number]> {
  server = createServer(answer);
  await new Promise<void>((resolve) => server?.listen(0, '0.0.0.0', resolve));
  const free = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => free.once('listening', resolve));
  const { port } = free.address() as AddressInfo;
  await new Promise((resolve) => free.close(resolve));
  return [(server.address() as AddressInfo).port, port];
}

describe('an address whose port leads to another here', () => {
  test('is asked with its own Host header, and may redirect to itself', async () => {
    const hosts: (string | undefined)[] = [];
    const [port, published] = await serve(({ url, headers }, response) => {
      hosts.push(headers.host);
      if (url === '/') response.writeHead(302, { location: `http://127.0.0.1:${published}/login` }).end();
      else response.end('Welcome');
    });
    const url = `http://127.0.0.1:${published}/`;
    expect(await forwardedHttp(port, { url, contains: 'Welcome' })).toMatchObject({ ok: true });
    expect(hosts).toEqual([`127.0.0.1:${published}`, `127.0.0.1:${published}`]);
  });

  test('tells a bad answer, and none', async () => {
    const [port, published] = await serve((_, response) => response.writeHead(503).end());
    const url = `http://127.0.0.1:${published}/`;
    expect(await forwardedHttp(port, { url })).toEqual({ ok: false, detail: '503 instead of 200' });
    expect(await forwardedHttp(port, { url, status: '<500' })).toMatchObject({ ok: false });
    expect(await forwardedHttp(1, { url })).toMatchObject({ ok: false });
  });

  test('that never answers keeps no process alive', async () => {
    const [port, published] = await serve(() => undefined);
    const agent = path.resolve(import.meta.dirname, '../../../src/agent.ts');
    const question = JSON.stringify({ port, url: `http://127.0.0.1:${published}/`, timeoutMs: 300 });
    const answer = await new Promise<string>((resolve, reject) => {
      const child = execFile(
        process.execPath,
        ['--no-warnings', agent, 'http'],
        { timeout: 20_000 },
        (error, stdout) => (error === null ? resolve(stdout) : reject(new Error(error.message))),
      );
      child.stdin?.end(question);
    });
    expect(JSON.parse(answer)).toEqual({ ok: true, value: { ok: false, detail: 'no answer within 0.3 s' } });
  });
});
