import { basename, dirname } from 'node:path';
import { mkdirSync, statSync } from 'node:fs';
import type { HostFiles } from '../../../src/runtimes/host-files.ts';
import { createArgv, membersOf } from '../../../src/runtimes/tar-command.ts';
import { nodeProcesses } from '../../../src/system/node-processes.ts';
import { checkSqlite, copySqlite, querySqlite, proveSqlite } from '../../../src/system/sqlite.ts';
import { swap, unswap } from '../../../src/system/swaps.ts';
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
} from '../../../src/system/trees.ts';

/** The host's files as this process may read them: real archives, real renames, no engine. */
export function localFiles(): HostFiles {
  return {
    way: 'direct',
    scan: scanTree,
    oursAt,
    exists: async (path) => (await lstatOrNull(path)) !== null,
    kinds: kindsIn,
    changes: treeChanges,
    removeMembers,
    tar(root, { exclude = [], only }) {
      const isFile = statSync(root).isFile();
      const target = isFile ? ['-C', dirname(root), `./${basename(root)}`] : ['-C', root, '.'];
      const excludes = exclude.flatMap((path) => ['--anchored', '--wildcards', `--exclude=./${path}`]);
      if (only !== undefined) {
        const members = nodeProcesses.stream({ argv: createArgv(root, 'members', exclude) });
        members.stdin.end(membersOf(only));
        return members;
      }
      return nodeProcesses.stream({ argv: ['tar', '--format=pax', ...excludes, '-cf', '-', ...target] });
    },
    fingerprint: (roots, options) =>
      fingerprintTrees(roots, { exclude: [], settle: false, contents: false, ...options }),
    untar(root, { over = false } = {}) {
      if (!over) mkdirSync(root);
      return nodeProcesses.stream({ argv: ['tar', '--no-same-owner', '-xpf', '-', '-C', root] });
    },
    copySqlite,
    checkSqlite,
    querySqlite,
    proveSqlite,
    makeDirectory: makeDirectoryLike,
    likeness,
    swap: (one) => swap(one),
    unswap: (one) => unswap(one),
    empty: emptyTree,
    remove: (paths) => removeTrees(paths),
  };
}
