import type { IncomingMessage, ServerResponse } from 'node:http';

/** An answer before it is written. A string body goes out as it is, anything else as JSON; `undefined` means no body. */
export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** Thrown anywhere below a handler to answer with that reply. */
export class HttpError extends Error {
  readonly reply: Reply;

  constructor(reply: Reply) {
    super(typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body));
    this.name = 'HttpError';
    this.reply = reply;
  }
}

export async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

export function writeReply(response: ServerResponse, reply: Reply): void {
  response.end(writeHead(response, reply));
}

/** The first bytes of the answer; then the connection breaks or, with `stall`, nothing comes any more. */
export function writeStart(response: ServerResponse, reply: Reply, bytes: number, stall: boolean): void {
  const text = writeHead(response, reply);
  response.flushHeaders();
  response.write(Buffer.from(text).subarray(0, bytes), () => {
    if (!stall) response.destroy();
  });
}

/** Answers with the body that belongs to it. */
function writeHead(response: ServerResponse, reply: Reply): string {
  const { body } = reply;
  const text = typeof body === 'string' ? body : body === undefined ? '' : JSON.stringify(body);
  const type = typeof body === 'string' ? 'text/plain' : 'application/json; charset=utf-8';
  response.writeHead(reply.status, {
    ...(body === undefined ? {} : { 'content-type': type }),
    'content-length': Buffer.byteLength(text),
    ...reply.headers,
  });
  return text;
}
