import path from 'node:path';
import type { Part } from '../archive/manifest.ts';
import { storedName } from '../archive/names.ts';
import { partPath, verifyPart } from '../archive/parts.ts';
import { ensureDirectory } from '../system/files.ts';
import type { ChosenBackup } from './choose.ts';
import type { Tools } from './tools.ts';

/**
 * All that is needed of the backup in a new local directory, each file whole and its archive walked: `store-damaged`, `part-damaged`, `part-hostile`,
 * `disk-full`. An encrypted one stays encrypted there: `partReader` decrypts. With `walk: false` only the digest of each file is checked: for who reads all of them next, and can take back what he makes of them.
 */
export async function fetchParts(
  tools: Tools,
  chosen: ChosenBackup,
  parts: readonly Part[],
  directory: string,
  { walk = true }: { readonly walk?: boolean } = {},
): Promise<void> {
  const { decrypt, manifest } = chosen;
  const { instructions } = manifest;
  const files = parts.flatMap((part) => part.files);
  await ensureDirectory(directory);
  // Nothing here reads it. But who has to restore by hand one day should not be the one to find out that it is damaged.
  await chosen.store.fetch(chosen.backup, instructions, path.join(directory, instructions.file));
  for (const file of files) {
    tools.signal.throwIfAborted();
    const target = partPath(directory, file, decrypt);
    const stored = storedName(file.file, manifest);
    await chosen.store.fetch(chosen.backup, { ...file, file: stored }, target);
    if (walk) await verifyPart(target, file, { decrypt });
    tools.log.info(`${stored}: ${file.bytes} bytes, ${walk ? 'digest and archive are' : 'its digest is'} whole`);
  }
}
