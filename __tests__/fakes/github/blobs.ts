import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import * as http from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import {
  AccountSASPermissions,
  AccountSASResourceTypes,
  AccountSASServices,
  BlobSASPermissions,
  generateAccountSASQueryParameters,
  generateBlobSASQueryParameters,
  StorageSharedKeyCredential,
} from '@azure/storage-blob';

import type { CallKind, Fault } from './faults.ts';
import { faultReply } from './faults.ts';
import { writeReply } from './http.ts';

const account = 'productionresultssa0';
const containers = ['actions-results', 'actions-cache'] as const;
export type Container = (typeof containers)[number];

export interface BlobRef {
  readonly container: Container;
  readonly path: string;
}

/** Asked for every blob request of a client: the fault it meets, and where to note the outcome. */
export interface BlobHooks {
  take(kind: CallKind): Fault | undefined;
  note(kind: CallKind, request: http.IncomingMessage, status: number): void;
}

/**
 * Blob storage: Azurite in memory, behind a front on a port of its own. The front has another origin than the API, as on
 * GitHub, so that a client which carries its token across the redirect is caught.
 */
export interface BlobStore {
  readonly origin: string;
  /** A URL that may write that blob for an hour. */
  signUpload(blob: BlobRef): string;
  /** A URL that may read that blob for ten minutes and names its file and type. */
  signDownload(blob: BlobRef, file: { readonly name: string; readonly type: string } | undefined): string;
  /** Bytes stored, or undefined when nothing was committed there. */
  size(blob: BlobRef): Promise<number | undefined>;
  sha256(blob: BlobRef): Promise<string | undefined>;
  read(blob: BlobRef): Promise<Buffer>;
  write(blob: BlobRef, content: Uint8Array, type: string): Promise<void>;
  remove(blob: BlobRef): Promise<void>;
  stop(): Promise<void>;
}

export async function startBlobStore(hooks: BlobHooks): Promise<BlobStore> {
  const key = randomBytes(64).toString('base64');
  const { child, port } = await startAzurite(key);
  const credential = new StorageSharedKeyCredential(account, key);
  const azurite = `http://127.0.0.1:${port}`;

  function sign(
    base: string,
    blob: BlobRef,
    permissions: string,
    minutes: number,
    file?: { name: string; type: string },
  ) {
    const query = generateBlobSASQueryParameters(
      {
        containerName: blob.container,
        blobName: blob.path,
        permissions: BlobSASPermissions.parse(permissions),
        expiresOn: new Date(Date.now() + minutes * 60_000),
        ...(file === undefined ? {} : { contentDisposition: disposition(file.name), contentType: file.type }),
      },
      credential,
    );
    return `${base}/${account}/${blob.container}/${blob.path}?${query.toString()}`;
  }
  async function request(method: string, blob: BlobRef, init: RequestInit = {}): Promise<Response | undefined> {
    const response = await fetch(sign(azurite, blob, 'rcwd', 10), { method, ...init });
    if (response.status === 404) {
      await response.body?.cancel();
      return undefined;
    }
    if (!response.ok) throw new Error(`Azurite answered ${method} ${blob.path} with ${response.status}`);
    return response;
  }

  const front = http.createServer((incoming, outgoing) => {
    forward(incoming, outgoing, port, hooks).catch((error: unknown) => {
      outgoing.destroy(error instanceof Error ? error : undefined);
    });
  });
  try {
    await createContainers(azurite, credential);
    await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
  const origin = `http://127.0.0.1:${(front.address() as AddressInfo).port}`;

  return {
    origin,
    signUpload: (blob) => sign(origin, blob, 'cw', 60),
    signDownload: (blob, file) => sign(origin, blob, 'r', 10, file),
    async size(blob) {
      const response = await request('HEAD', blob);
      return response === undefined ? undefined : Number(response.headers.get('content-length'));
    },
    async sha256(blob) {
      const response = await request('GET', blob);
      if (response === undefined) return undefined;
      const hash = createHash('sha256');
      for await (const chunk of response.body ?? []) hash.update(chunk as Uint8Array);
      return hash.digest('hex');
    },
    async read(blob) {
      const response = await request('GET', blob);
      if (response === undefined) throw new Error(`nothing is stored at ${blob.path}`);
      return Buffer.from(await response.arrayBuffer());
    },
    async write(blob, content, type) {
      await request('PUT', blob, {
        headers: { 'x-ms-blob-type': 'BlockBlob', 'x-ms-version': '2025-01-05', 'x-ms-blob-content-type': type },
        body: new Uint8Array(content),
      });
    },
    async remove(blob) {
      await request('DELETE', blob);
    },
    async stop() {
      front.closeAllConnections();
      await new Promise<void>((resolve) => front.close(() => resolve()));
      // It keeps everything in memory: there is nothing to close in good order.
      const ended = child.exitCode !== null || child.signalCode !== null;
      const exit = ended ? Promise.resolve() : new Promise<void>((resolve) => child.once('exit', () => resolve()));
      child.kill('SIGKILL');
      await exit;
    },
  };
}

/** As GitHub writes it: a plain file name, and the UTF-8 form where the plain one can't say it. */
function disposition(name: string): string {
  const plain = name.replace(/[^\x20-\x7e]/g, '_');
  return `attachment; filename="${plain}"${plain === name ? '' : `; filename*=UTF-8''${encodeURIComponent(name)}`}`;
}

async function startAzurite(key: string): Promise<{ child: ChildProcess; port: number }> {
  const child = spawn(
    process.execPath,
    [
      fileURLToPath(new URL('./azurite-process.ts', import.meta.url)),
      ...['--blobHost', '127.0.0.1', '--blobPort', '0'],
      ...['--silent', '--inMemoryPersistence', '--skipApiVersionCheck', '--disableTelemetry'],
    ],
    {
      cwd: tmpdir(),
      env: { PATH: process.env['PATH'], AZURITE_ACCOUNTS: `${account}:${key}` },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    },
  );
  const { stdout, stderr } = child;
  if (stdout === null || stderr === null) throw new Error('Azurite has no output');
  let said = '';
  const port = await new Promise<number>((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`Azurite did not start within 60 s: ${said}`)), 60_000);
    const listen = (chunk: Buffer): void => {
      said += chunk.toString();
      const match = /successfully listens on http:\/\/127\.0\.0\.1:(\d+)/.exec(said);
      if (match === null) return;
      clearTimeout(late);
      resolve(Number(match[1]));
    };
    stdout.on('data', listen);
    stderr.on('data', listen);
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`Azurite ended with code ${code}: ${said}`)));
  }).catch((error: unknown) => {
    child.kill('SIGKILL');
    throw error;
  });
  said = '';
  stdout.removeAllListeners('data').resume();
  stderr.removeAllListeners('data').resume();
  return { child, port };
}

async function createContainers(azurite: string, credential: StorageSharedKeyCredential): Promise<void> {
  const query = generateAccountSASQueryParameters(
    {
      expiresOn: new Date(Date.now() + 600_000),
      permissions: AccountSASPermissions.parse('rwdlac'),
      resourceTypes: AccountSASResourceTypes.parse('sco').toString(),
      services: AccountSASServices.parse('b').toString(),
    },
    credential,
  ).toString();
  for (const container of containers) {
    const response = await fetch(`${azurite}/${account}/${container}?restype=container&${query}`, { method: 'PUT' });
    if (response.status !== 201)
      throw new Error(`Azurite made no container: ${response.status} ${await response.text()}`);
  }
}

/** Takes so many bytes of a request; then the connection breaks or, with `stall`, nothing is taken any more. */
function takeStart(incoming: http.IncomingMessage, bytes: number, stall: boolean): void {
  let left = bytes;
  const end = (): void => {
    if (stall) incoming.pause();
    else incoming.destroy();
  };
  if (left <= 0) return end();
  incoming.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left <= 0) end();
  });
}

async function forward(
  incoming: http.IncomingMessage,
  outgoing: http.ServerResponse,
  port: number,
  hooks: BlobHooks,
): Promise<void> {
  const kind: CallKind = incoming.method === 'PUT' ? 'blob:put' : 'blob:get';
  const fault = hooks.take(kind);
  if (fault?.delayMs !== undefined) await sleep(fault.delayMs);
  if (fault?.reset === true && fault.applied !== true) {
    hooks.note(kind, incoming, 0);
    outgoing.destroy();
    return;
  }
  if (fault?.stall === true || (fault?.cutAfterBytes !== undefined && kind === 'blob:put')) {
    hooks.note(kind, incoming, 0);
    const cut = fault.cutAfterBytes ?? 0;
    takeStart(incoming, cut < 0 ? Number(incoming.headers['content-length']) + cut : cut, fault.stall === true);
    return;
  }
  // Azure reads the header and not the signature when both are there: a token carried along the redirect ends here.
  if (incoming.headers.authorization !== undefined) {
    incoming.resume();
    hooks.note(kind, incoming, 401);
    const body = `<?xml version="1.0" encoding="utf-8"?><Error><Code>InvalidAuthenticationInfo</Code><Message>Server failed to authenticate the request.</Message></Error>`;
    writeReply(outgoing, { status: 401, headers: { 'content-type': 'application/xml' }, body });
    return;
  }
  const spoiled = fault === undefined ? null : faultReply(fault);
  if (spoiled !== null && fault?.applied !== true) {
    incoming.resume();
    hooks.note(kind, incoming, spoiled.status);
    writeReply(outgoing, spoiled);
    return;
  }
  const { method, headers, url } = incoming;
  const upstream = http.request({ host: '127.0.0.1', port, method, path: url, headers }, (answer) => {
    const cut = fault?.cutAfterBytes;
    const status = answer.statusCode ?? 502;
    hooks.note(kind, incoming, fault?.reset === true || cut !== undefined ? 0 : (spoiled?.status ?? status));
    if (fault?.reset === true) {
      outgoing.destroy();
      answer.resume();
    } else if (spoiled !== null) {
      answer.resume();
      writeReply(outgoing, spoiled);
    } else if (cut === undefined) {
      outgoing.writeHead(status, answer.headers);
      answer.pipe(outgoing);
    } else {
      outgoing.writeHead(status, answer.headers);
      let left = cut;
      answer.on('data', (chunk: Buffer) => {
        if (left < 0) return;
        const piece = chunk.subarray(0, left);
        left -= chunk.length;
        outgoing.write(piece, () => {
          if (left <= 0) outgoing.destroy();
        });
      });
      answer.on('end', () => outgoing.end());
    }
  });
  upstream.on('error', () => outgoing.destroy());
  outgoing.on('close', () => upstream.destroy());
  incoming.pipe(upstream);
}
