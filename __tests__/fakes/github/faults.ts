import type { Reply } from './http.ts';

/** Every call that the stand-in counts and that a fault can be laid on. */
export const callKinds = [
  'CreateArtifact',
  'FinalizeArtifact',
  'ListArtifacts',
  'GetSignedArtifactURL',
  'DeleteArtifact',
  'CreateCacheEntry',
  'FinalizeCacheEntryUpload',
  'GetCacheEntryDownloadURL',
  'rest:getRepository',
  'rest:listRunArtifacts',
  'rest:listArtifacts',
  'rest:getArtifact',
  'rest:downloadArtifact',
  'rest:deleteArtifact',
  'rest:unknown',
  'blob:put',
  'blob:get',
] as const;
export type CallKind = (typeof callKinds)[number];

/** What goes wrong with the next calls of one kind. Without `status`, `reset`, `stall` or `cutAfterBytes` the call is only late. */
export interface Fault {
  readonly on: CallKind;
  /** How many calls it spoils; 1 unless told, `'always'` until cleared. */
  readonly times?: number | 'always';
  /** How many calls of that kind pass unharmed before. */
  readonly skip?: number;
  readonly status?: number;
  /** The raw body, e.g. a proxy's HTML page; without it, an error body such as that service writes. */
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The connection is reset instead of an answer. */
  readonly reset?: boolean;
  /** The work is done first: only the answer is lost. */
  readonly applied?: boolean;
  /** The connection breaks after so many bytes of the answer's body; with `blob:put` after so many of the request's (negative: before its end), and nothing is stored. */
  readonly cutAfterBytes?: number;
  /** The connection stays open and nothing comes any more: instead of an answer, or where `cutAfterBytes` would break it. */
  readonly stall?: boolean;
  readonly delayMs?: number;
}

export interface Call {
  readonly kind: CallKind;
  readonly method: string;
  readonly path: string;
  /** The status answered; 0 for a connection that was reset or cut. */
  readonly status: number;
}

interface Armed {
  readonly fault: Fault;
  skip: number;
  left: number;
}

export class Faults {
  #armed: Armed[] = [];

  add(fault: Fault): void {
    if (!callKinds.includes(fault.on)) throw new Error(`no call is named ${String(fault.on)}: ${callKinds.join(', ')}`);
    this.#armed.push({
      fault,
      skip: fault.skip ?? 0,
      left: fault.times === 'always' ? Number.POSITIVE_INFINITY : (fault.times ?? 1),
    });
  }

  clear(): void {
    this.#armed = [];
  }

  /** The fault that this call meets: the oldest one armed for its kind whose `skip` is used up. */
  take(kind: CallKind): Fault | undefined {
    for (const armed of this.#armed) {
      if (armed.fault.on !== kind || armed.left <= 0) continue;
      if (armed.skip > 0) {
        armed.skip -= 1;
        continue;
      }
      armed.left -= 1;
      return armed.fault;
    }
    return undefined;
  }
}

/** The answer that a fault gives, or null when it leaves the answer alone. */
export function faultReply(fault: Fault): Reply | null {
  if (fault.status === undefined) return null;
  const { status, headers } = fault;
  if (fault.body !== undefined)
    return { status, headers: { 'content-type': 'text/html', ...headers }, body: fault.body };
  if (fault.on.startsWith('blob:')) {
    const body = `<?xml version="1.0" encoding="utf-8"?><Error><Code>InternalError</Code><Message>fault</Message></Error>`;
    return {
      status,
      headers: { 'content-type': 'application/xml', 'x-ms-error-code': 'InternalError', ...headers },
      body,
    };
  }
  const body = fault.on.startsWith('rest:') ? { message: 'fault' } : { code: 'internal', msg: 'fault' };
  return { status, ...(headers === undefined ? {} : { headers }), body };
}
