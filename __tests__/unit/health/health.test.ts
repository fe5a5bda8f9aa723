import { afterEach, describe, expect, test } from '@jest/globals';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { commandProbe } from '../../../src/health/command.ts';
import type { Probe, ProbeResult } from '../../../src/health/health.ts';
import { httpProbe } from '../../../src/health/http.ts';
import { waitHealthy } from '../../../src/health/wait.ts';
import { silentLog } from '../../../src/report/silent.ts';
import type { Clock } from '../../../src/system/clock.ts';

class FakeClock implements Clock {
  ms = 5_000;
  now(): Date {
    throw new Error('a wait is not measured by a clock that somebody may set');
  }
  monotonic(): number {
    return this.ms;
  }
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (ms <= 0) throw new Error('a wait of no time never ends');
    this.ms += ms;
    return Promise.resolve();
  }
}

/** A probe whose result depends on the seconds since the beginning. */
function probeAt(clock: FakeClock, result: (second: number) => boolean | ProbeResult, name = 'web'): Probe {
  const start = clock.ms;
  return {
    name,
    check: () => {
      const answer = result((clock.ms - start) / 1000);
      return Promise.resolve(typeof answer === 'boolean' ? { ok: answer, detail: answer ? 'up' : 'down' } : answer);
    },
  };
}

describe('waiting', () => {
  const wait = (probes: readonly Probe[], clock: FakeClock, timeout = 60, settle = 10, signal?: AbortSignal) =>
    waitHealthy(probes, {
      timeoutMs: timeout * 1000,
      settleMs: settle * 1000,
      clock,
      log: silentLog(),
      ...(signal === undefined ? {} : { signal }),
    });

  test('what can be mended is mended after each look that failed, and a mender that fails ends nothing', async () => {
    const clock = new FakeClock();
    let mended = 0;
    const mend = (): Promise<void> => {
      mended++;
      return mended === 1 ? Promise.reject(new Error('not yet')) : Promise.resolve();
    };
    const options = { timeoutMs: 60_000, settleMs: 0, clock, log: silentLog(), mend };
    const report = await waitHealthy([probeAt(clock, () => mended >= 2)], options);
    expect([report.healthy, mended]).toEqual([true, 2]);
  });

  test('all probes pass and go on passing', async () => {
    const clock = new FakeClock();
    const report = await wait([probeAt(clock, (s) => s >= 3), probeAt(clock, (s) => s >= 5, 'db')], clock);
    expect(report).toEqual({
      healthy: true,
      results: [
        { probe: 'web', ok: true, detail: 'up' },
        { probe: 'db', ok: true, detail: 'up' },
      ],
      firstHealthySeconds: 5,
      seconds: 15,
      shallow: false,
    });
  });

  test('a failure while settling begins the settling anew', async () => {
    const clock = new FakeClock();
    const report = await wait([probeAt(clock, (s) => s >= 3 && s !== 8 && s !== 17)], clock);
    expect(report).toMatchObject({ healthy: true, firstHealthySeconds: 3, seconds: 28 });
  });

  test('it ends at the timeout with what was seen last', async () => {
    const clock = new FakeClock();
    const report = await wait([probeAt(clock, () => false), probeAt(clock, () => true, 'db')], clock);
    expect(report).toMatchObject({ healthy: false, firstHealthySeconds: undefined, seconds: 60 });
    expect(report.results).toEqual([
      { probe: 'web', ok: false, detail: 'down' },
      { probe: 'db', ok: true, detail: 'up' },
    ]);
  });

  test('one that flaps for ever is not healthy', async () => {
    const clock = new FakeClock();
    const report = await wait([probeAt(clock, (s) => s % 7 !== 0)], clock);
    expect(report).toMatchObject({ healthy: false, firstHealthySeconds: 1 });
  });

  test('settling that began in time may finish after the timeout', async () => {
    const clock = new FakeClock();
    expect(await wait([probeAt(clock, (s) => s >= 55)], clock)).toMatchObject({ healthy: true, seconds: 65 });
  });

  test('a fatal result ends the wait at once', async () => {
    const clock = new FakeClock();
    const report = await wait(
      [probeAt(clock, (s) => (s < 2 ? false : { ok: false, detail: 'crashed', fatal: true }))],
      clock,
    );
    expect(report).toMatchObject({ healthy: false, seconds: 2 });
  });

  test('without settling, the first pass is enough', async () => {
    const clock = new FakeClock();
    expect(await wait([probeAt(clock, (s) => s >= 2)], clock, 60, 0)).toMatchObject({ healthy: true, seconds: 2 });
  });

  test('a probe that throws is not healthy, and is asked again', async () => {
    const clock = new FakeClock();
    let asked = 0;
    const probe: Probe = {
      name: 'odd',
      check: () => (asked++ === 0 ? Promise.reject(new Error('odd')) : Promise.resolve({ ok: true, detail: '' })),
    };
    expect(await wait([probe], clock, 60, 0)).toMatchObject({ healthy: true });
  });

  test('a cancelled run does not wait', async () => {
    const clock = new FakeClock();
    const cancel = new AbortController();
    const probe = probeAt(clock, (s) => {
      if (s >= 3) cancel.abort(new Error('cancelled'));
      return false;
    });
    await expect(wait([probe], clock, 60, 0, cancel.signal)).rejects.toThrow('cancelled');
  });
});

describe('an address', () => {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections();
      server.close();
    }
  });

  async function serve(handler: RequestListener, server = createServer(handler)): Promise<string> {
    servers.push(server);
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  const pages: RequestListener = (request, response) => {
    if (request.url === '/') response.writeHead(302, { location: '/login' }).end();
    else if (request.url === '/login') response.end('Welcome to the shop');
    else if (request.url === '/endless') {
      response.on('error', () => {});
      const more = (): void => {
        if (!response.destroyed) response.write('x'.repeat(65_536), () => setImmediate(more));
      };
      more();
    } else if (request.url === '/silent') return;
    else response.writeHead(502).end();
  };

  test.each([
    ['/login', {}, true, '200'],
    ['/', {}, true, '200 (at http'],
    ['/', { status: 302 }, true, '302'],
    ['/login', { contains: 'Welcome' }, true, '200'],
    ['/login', { contains: 'Goodbye' }, false, 'without the text "Goodbye"'],
    ['/gone', {}, false, '502 instead of 200'],
    ['/gone', { status: 502 }, true, '502'],
    ['/endless', {}, true, '200'],
    ['/silent', { timeoutMs: 100 }, false, 'no answer within 0.1 s'],
  ])('%s with %j', async (path, options, ok, detail) => {
    const result = await httpProbe({ url: `${await serve(pages)}${path}`, ...options }).check();
    expect(result.detail).toContain(detail);
    expect(result.ok).toBe(ok);
  });

  test('where nobody listens, the system’s own word is told', async () => {
    const url = await serve(pages);
    const [server] = servers.splice(0);
    await new Promise((closed) => server?.close(closed));
    const result = await httpProbe({ url }).check();
    expect(result).toMatchObject({ ok: false, detail: expect.stringContaining('ECONNREFUSED') as unknown });
  });

  test('a connection that breaks is a result', async () => {
    const url = await serve((request) => request.socket.destroy());
    expect(await httpProbe({ url }).check()).toMatchObject({ ok: false });
  });

  test('a server that can’t agree on TLS is a result, with a reason', async () => {
    const server = createTlsServer({}) as unknown as Server;
    const url = (await serve(pages, server)).replace('http:', 'https:');
    const result = await httpProbe({ url }).check();
    expect(result.ok).toBe(false);
    expect(result.detail).not.toBe('fetch failed');
    expect(result.detail).toMatch(/SSL|TLS|ERR_/i);
  });
});

describe('a command', () => {
  const probe = (answer: () => Promise<{ exitCode: number; tail: string }>): Probe =>
    commandProbe({ run: './check.sh', cwd: '/srv', runAuthorCommand: answer });

  test('passes with exit code 0 only', async () => {
    expect(await probe(() => Promise.resolve({ exitCode: 0, tail: 'fine\n' })).check()).toMatchObject({ ok: true });
    expect(await probe(() => Promise.resolve({ exitCode: 7, tail: 'a\nno rows\n' })).check()).toEqual({
      ok: false,
      detail: 'ended with code 7: no rows',
    });
    expect(await probe(() => Promise.reject(new Error('not done after 60 s'))).check()).toEqual({
      ok: false,
      detail: 'not done after 60 s',
    });
  });
});
