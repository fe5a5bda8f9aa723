import * as fs from 'node:fs/promises';
import * as os from 'node:os';
import * as path from 'node:path';

import { createFolderStore } from '../../../src/stores/folder.ts';
import { silentLog } from './silent-log.ts';
import { putAll, storeContract } from './store-contract.ts';

storeContract('a folder', async () => {
  const parent = await fs.mkdtemp(path.join(os.tmpdir(), 'store-folder-'));
  const directory = path.join(parent, 'backups');
  const store = createFolderStore({ directory, log: silentLog().log });
  return {
    store,
    async damage(file, how) {
      // A new file: the stored one may be a link to the one that the test compares with.
      const at = path.join(directory, file);
      let content = await fs.readFile(at);
      if (how === undefined) content[Math.floor(content.length / 2)]! ^= 0xff;
      else content = content.subarray(0, how.truncateTo);
      await fs.rm(at);
      await fs.writeFile(at, content);
    },
    lose: (file) => fs.rm(path.join(directory, file)),
    seed: (files) => putAll(store, files),
    close: () => fs.rm(parent, { recursive: true, force: true }),
  };
});
