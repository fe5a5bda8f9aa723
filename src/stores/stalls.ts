import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { ClientRequest, IncomingMessage } from 'node:http';

/** A server that sends nothing for so long is taken for gone. */
export const STALL_MS = 60_000;

/**
 * Does the work, and ends what it asks of the server `host` (`NAME` or `NAME:PORT`) where nothing comes for `limitMs`, or an answer breaks off: throws an error with the code
 * of a connection that failed. GitHub's client by itself waits three minutes, five times over, for an answer, and for ever for the rest of one: it hears neither of a
 * connection that broke nor of one that stands still, and a process with nothing else to do would end in the middle of its work, without a word.
 */
export async function withoutStalls<T>(host: string, limitMs: number, work: () => Promise<T>): Promise<T> {
  const timers = new Map<ClientRequest, NodeJS.Timeout>();
  let give: (error: Error) => void = () => undefined;
  const broken = new Promise<never>((_, reject) => (give = reject));
  const onRequest = (message: unknown): void => {
    const { request } = message as { readonly request: ClientRequest };
    if (request.getHeader('host') !== host) return;
    const end = (): void => {
      const error = failed('ETIMEDOUT', `no answer within ${limitMs / 1000} s`);
      request.destroy(error);
      // Without a connection, as where a proxy makes none, the request itself says nothing.
      give(error);
    };
    timers.set(request, setTimeout(end, limitMs));
    request.once('close', () => clearTimeout(timers.get(request)));
  };
  const onAnswer = (message: unknown): void => {
    const { request, response } = message as { readonly request: ClientRequest; readonly response: IncomingMessage };
    if (request.getHeader('host') !== host) return;
    clearTimeout(timers.get(request));
    response.setTimeout(limitMs, () => response.destroy());
    response.once('close', () => {
      if (!response.complete) give(failed('ECONNRESET', 'the answer broke off'));
    });
  };
  subscribe('http.client.request.start', onRequest);
  subscribe('http.client.response.finish', onAnswer);
  try {
    return await Promise.race([work(), broken]);
  } finally {
    unsubscribe('http.client.request.start', onRequest);
    unsubscribe('http.client.response.finish', onAnswer);
    for (const timer of timers.values()) clearTimeout(timer);
  }
}

function failed(code: string, what: string): Error {
  return Object.assign(new Error(`${what} (${code})`), { code });
}
