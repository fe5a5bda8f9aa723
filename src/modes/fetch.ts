import path from 'node:path';
import { mkdir } from 'node:fs/promises';
import type { Part } from '../archive/manifest.ts';
import { verifyPart } from '../archive/parts.ts';
import type { ChosenBackup } from './choose.ts';
import type { Tools } from './tools.ts';

/**
 * All that is needed of the backup in a new local directory, each file whole and its archive walked: `store-damaged`, `part-damaged`, `part-hostile`,
 * `disk-full`. With `walk: false` only the digest of each file is checked: for who reads all of them next, and can take back what he makes of them.
 */
export async function fetchParts(
  tools: Tools,
  chosen: ChosenBackup,
  parts: readonly Part[],
  directory: string,
  { walk = true }: { readonly walk?: boolean } = {},
): Promise<void> {
  const { instructions } = chosen.manifest;
  const files = parts.flatMap((part) => part.files);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  // Nothing here reads it. But who has to restore by hand one day should not be the one to find out that it is damaged.
  await chosen.store.fetch(chosen.backup, instructions, path.join(directory, instructions.file));
  for (const file of files) {
    tools.signal.throwIfAborted();
    const target = path.join(directory, file.file);
    await chosen.store.fetch(chosen.backup, file, target);
    if (walk) await verifyPart(target, file);
    tools.log.info(`${file.file}: ${file.bytes} bytes, ${walk ? 'digest and archive are' : 'its digest is'} whole`);
  }
}
