import path from 'node:path';
import { mkdir } from 'node:fs/promises';
import type { Part } from '../archive/manifest.ts';
import { verifyPart } from '../archive/parts.ts';
import type { ChosenBackup } from './choose.ts';
import type { Tools } from './tools.ts';

/** All that is needed of the backup in a new local directory, each file whole and its archive walked: `store-damaged`, `part-damaged`, `part-hostile`, `disk-full`. */
export async function fetchParts(
  tools: Tools,
  chosen: ChosenBackup,
  parts: readonly Part[],
  directory: string,
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
    await verifyPart(target, file);
    tools.log.info(`${file.file}: ${file.bytes} bytes, digest and archive are whole`);
  }
}
