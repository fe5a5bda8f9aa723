import { restoreCache, saveCache } from '@actions/cache';

/**
 * GitHub's cache client as a program: `node actions-cache.js has|find|keep KEY FILE…`, run in the folder of the files, which must be the `GITHUB_WORKSPACE` too. Exit code 0 for
 * yes, 3 for no, 1 for a fault; what was wrong stands on standard output as the client's own workflow commands (`::warning::…`).
 */
const [operation, key = '', ...files] = process.argv.slice(2);

async function answer(): Promise<boolean> {
  switch (operation) {
    case 'has':
      return (await restoreCache(files, key, [], { lookupOnly: true })) === key;
    case 'find':
      // No other keys to fall back to: an entry that only begins like this one is another version's.
      return (await restoreCache(files, key)) === key;
    case 'keep':
      return (await saveCache(files, key)) !== -1;
    case undefined:
    default:
      throw new TypeError(`there is no operation ${String(operation)}`);
  }
}

// The client leaves timers behind that would keep the process for half a minute.
process.exit((await answer()) ? 0 : 3);
