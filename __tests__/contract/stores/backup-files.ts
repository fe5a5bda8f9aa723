import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { formatManifest, type Manifest, type Part, sealManifest } from '../../../src/archive/manifest.ts';
import { backupName, instructionsFile, manifestFile, partFile } from '../../../src/archive/names.ts';
import type { LocalFile } from '../../../src/stores/store.ts';

export interface MadeBackup {
  readonly name: string;
  readonly manifest: Manifest;
  /** Parts, RESTORE.md, the manifest. */
  readonly files: readonly LocalFile[];
}

/** A backup with a valid manifest, as files of a new folder below `directory`. The parts' bytes are as given. */
export async function makeBackup(
  directory: string,
  project: string,
  at: Date,
  parts: Readonly<Record<string, Uint8Array>> = { database: Buffer.from('rows') },
): Promise<MadeBackup> {
  const name = backupName(project, at);
  const folder = path.join(directory, `made-${name}`);
  await mkdir(folder);
  const files: LocalFile[] = [];
  async function file(fileName: string, content: Uint8Array | string): Promise<LocalFile> {
    const local = localFile(path.join(folder, fileName), content);
    await writeFile(local.path, content);
    files.push(local);
    return local;
  }
  const described: Part[] = [];
  for (const [part, content] of Object.entries(parts)) {
    const { name: stored, bytes, sha256 } = await file(partFile(name, part, 'tar'), content);
    described.push({
      ...{ name: part, kind: 'directory', method: 'files', consistency: 'online', seconds: 1 },
      files: [{ file: stored, bytes, rawBytes: bytes, sha256 }],
      origin: { path: `/srv/shop/${part}` },
    });
  }
  const instructions = await file(instructionsFile(name), `# How to restore ${name} by hand\n`);
  const manifest = sealManifest({
    ...{ schema: 1, name, createdAt: at.toISOString(), reason: 'backup', project, projectDirectory: '/srv/shop' },
    ...{ host: 'host', caretaker: '0.1.0', engine: null, platform: 'linux/amd64', images: [], ownership: 'direct' },
    ...{ version: { commit: null, tag: null, describe: null }, encryption: null, parts: described, left: [] },
    instructions: { file: instructions.name, bytes: instructions.bytes, sha256: instructions.sha256 },
  });
  await file(manifestFile(name), formatManifest(manifest));
  return { name, manifest, files };
}

export function localFile(at: string, content: Uint8Array | string): LocalFile {
  const sha256 = createHash('sha256').update(content).digest('hex');
  return { path: at, name: path.basename(at), bytes: Buffer.byteLength(content), sha256 };
}
