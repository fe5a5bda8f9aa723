/**
 * Works on the host's files, and in containers' networks, where the main program may not reach: run as `node agent.js OPERATION` under `podman unshare` or in a helper
 * container, with one JSON request on standard input and one JSON answer on standard output. Exit code 0 whenever it answered.
 */
import { text } from 'node:stream/consumers';
import { CaretakerError, messageOf } from './errors.ts';
import { forwardedHttp } from './health/forwarded.ts';
import type { HttpProbeOptions } from './health/http.ts';
import { fileError, syncDirectory } from './system/files.ts';
import { checkSqlite, copySqlite, proveSqlite, querySqlite } from './system/sqlite.ts';
import { swap, unswap, type Swap } from './system/swaps.ts';
import {
  emptyTree,
  fingerprintTrees,
  kindsIn,
  likeness,
  lstatOrNull,
  makeDirectoryLike,
  oursAt,
  removeMembers,
  removeTrees,
  scanTree,
  treeChanges,
  type FingerprintOptions,
} from './system/trees.ts';

export type AgentAnswer =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly code: string; readonly message: string; readonly hint?: string | undefined };

const operations: Readonly<Record<string, (request: never) => Promise<unknown>>> = {
  scan: ({ root }: { root: string }) => scanTree(root),
  fingerprint: ({ roots, ...options }: { roots: readonly string[] } & FingerprintOptions) =>
    fingerprintTrees(roots, options),
  changes: ({ root, ...options }: { root: string } & Parameters<typeof treeChanges>[1]) => treeChanges(root, options),
  removeMembers: ({ root, names }: { root: string; names: readonly string[] }) => removeMembers(root, names),
  oursAt: ({ roots }: { roots: readonly string[] }) => oursAt(roots),
  exists: async ({ path }: { path: string }) => (await lstatOrNull(path)) !== null,
  kinds: ({ root, paths }: { root: string; paths: readonly string[] }) => kindsIn(root, paths),
  swap: (request: { swap: Swap }) => swap(request.swap),
  unswap: (request: { swap: Swap }) => unswap(request.swap),
  empty: ({ root, keep }: { root: string; keep: readonly string[] }) => emptyTree(root, keep),
  remove: ({ paths }: { paths: readonly string[] }) => removeTrees(paths),
  copySqlite: ({ from, to }: { from: string; to: string }) => copySqlite(from, to),
  checkSqlite: ({ path }: { path: string }) => checkSqlite(path),
  querySqlite: ({ path, query }: { path: string; query: string }) => querySqlite(path, query),
  proveSqlite: ({ path }: { path: string }) => proveSqlite(path),
  makeDirectory: ({ path, like }: { path: string; like: string }) => makeDirectoryLike(path, like),
  likeness: ({ path, like }: { path: string; like: string }) => likeness(path, like),
  sync: ({ path }: { path: string }) =>
    syncDirectory(path).catch((error: unknown) => {
      throw fileError(`sync ${path}`, error);
    }),
  http: ({ port, ...options }: { port: number } & HttpProbeOptions) => forwardedHttp(port, options),
  probe: () => Promise.resolve({ uid: process.getuid?.(), node: process.versions.node }),
};

async function answer(name: string | undefined): Promise<AgentAnswer> {
  try {
    const operation = name !== undefined && Object.hasOwn(operations, name) ? operations[name] : undefined;
    if (operation === undefined)
      throw new CaretakerError('agent-request', `there is no agent operation ${String(name)}`);
    const request = await text(process.stdin);
    return { ok: true, value: (await operation(JSON.parse(request === '' ? '{}' : request) as never)) ?? null };
  } catch (error) {
    return error instanceof CaretakerError
      ? { ok: false, code: error.code, message: error.message, hint: error.hint }
      : { ok: false, code: 'agent-failed', message: messageOf(error) };
  }
}

process.stdout.write(JSON.stringify(await answer(process.argv[2])));
