import type { Probe, ProbeResult } from './health.ts';

export interface HttpProbeOptions {
  readonly url: string;
  /** The status that the last answer of a chain of redirects must have, 200 by default; `<500` for the first answer's. */
  readonly status?: number | '<500';
  /** Text that the body must hold within its first MiB. */
  readonly contains?: string | undefined;
  /** Milliseconds for the whole exchange; 10,000 by default. */
  readonly timeoutMs?: number;
  /** Ends a look that is under way when the run is cancelled. */
  readonly signal?: AbortSignal;
}

const BODY_READ = 1024 * 1024;

/** Asks an address as a browser would, following redirects. */
export function httpProbe(options: HttpProbeOptions): Probe {
  const { url, status = 200, contains, timeoutMs = 10_000, signal } = options;
  return { name: url, check };

  async function check(): Promise<ProbeResult> {
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      const response = await fetch(url, {
        redirect: status === '<500' || (status >= 300 && status < 400) ? 'manual' : 'follow',
        signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
        headers: { 'user-agent': 'compose-caretaker' },
      });
      const text = await bodyOf(response);
      const where = response.redirected ? ` (at ${response.url})` : '';
      const right = status === '<500' ? response.status < 500 : response.status === status;
      if (!right) return { ok: false, detail: `${response.status} instead of ${status}${where}` };
      if (contains !== undefined && !text.includes(contains)) {
        return { ok: false, detail: `${response.status}, but without the text "${contains}"${where}` };
      }
      return { ok: true, detail: `${response.status}${where}` };
    } catch (error) {
      return { ok: false, detail: timeout.aborted ? `no answer within ${timeoutMs / 1000} s` : reasonOf(error) };
    }
  }
}

async function bodyOf(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let read = 0;
  // Leaving the loop cancels the rest.
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    read += (chunk as Uint8Array).length;
    if (read >= BODY_READ) break;
  }
  return text;
}

/** Fetch itself says "fetch failed"; what happened (ECONNREFUSED, a certificate) is in the causes. */
function reasonOf(error: unknown): string {
  let reason = String(error);
  for (let at = error as Cause | undefined; at !== undefined && at !== null; at = at.cause) {
    const { code, message } = at.errors?.[0] ?? at;
    if (message === undefined || message === '') continue;
    reason = code === undefined || message.includes(code) ? message : `${message} (${code})`;
  }
  return reason;
}

/** An error as the network library makes them; several addresses of one name come as an AggregateError. */
interface Cause {
  readonly message?: string;
  readonly code?: string;
  readonly cause?: Cause;
  readonly errors?: readonly Cause[];
}
