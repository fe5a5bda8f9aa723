import { readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { encryptFile, sealEncrypted, unsealed } from '../archive/encrypted.ts';
import { renderInstructions } from '../archive/instructions.ts';
import { formatManifest, type Manifest, type Part, type PartFile } from '../archive/manifest.ts';
import { instructionsFile, manifestFile, storedName } from '../archive/names.ts';
import { writeText } from '../archive/parts.ts';
import type { Encryption } from '../encryption/encryption.ts';
import { CaretakerError } from '../errors.ts';
import { ensureDirectory, syncDirectory } from '../system/files.ts';
import { capturedIn, type CapturedBackup } from './capture.ts';
import type { Tools } from './tools.ts';

/**
 * Safety backups lie plain on this host, so that going back needs no key; what leaves it is a copy. Made once for all stores, and kept until all have it: a second copy would have
 * other bytes under the same names.
 */
const outgoingDirectory = (stateDirectory: string): string => path.join(stateDirectory, 'outgoing');

/** The copy of a plain backup that may leave this host. Throws `encryption-missing` where it must be encrypted and this run has no key, and what `encryptFile` throws. */
export async function encryptedCopy(tools: Tools, plain: CapturedBackup): Promise<CapturedBackup> {
  const { project, recorder, keys } = tools;
  const { name } = plain.manifest;
  const home = outgoingDirectory(project.stateDirectory);
  const directory = path.join(home, name);
  try {
    return await capturedIn(directory, name);
  } catch (error) {
    if (!(error instanceof CaretakerError && error.code === 'store-missing')) throw error;
  }
  const { encryption } = keys;
  if (encryption === undefined) {
    throw new CaretakerError('encryption-missing', `${name} must not leave this host before it is encrypted`, {
      input: 'encrypt-to',
      hint: 'The run that made it encrypted its backups. Set encrypt-to (or the passphrase) again.',
    });
  }
  const staging = path.join(project.stateDirectory, 'staging', `${tools.run}-${name}`);
  await rm(staging, { recursive: true, force: true });
  await rm(directory, { recursive: true, force: true });
  await ensureDirectory(home);
  await ensureDirectory(staging);
  try {
    await recorder.step(`Encrypt ${name}`, () => encryptInto(staging, plain, encryption, tools.signal));
    await rename(staging, directory);
    await syncDirectory(home);
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
  return capturedIn(directory, name);
}

async function encryptInto(
  directory: string,
  { manifest: plain, directory: from }: CapturedBackup,
  encryption: Encryption,
  signal: AbortSignal,
): Promise<void> {
  const { instructions: _plain, digest: _digest, ...rest } = plain;
  const draft = { ...rest, encryption: unsealed(encryption) };
  const parts: Part[] = [];
  for (const part of plain.parts) {
    const files: PartFile[] = [];
    for (const file of part.files) {
      const target = path.join(directory, storedName(file.file, draft));
      files.push({ ...file, ...(await encryptFile(path.join(from, file.file), target, encryption, file, signal)) });
    }
    parts.push({ ...part, files });
  }
  const text = renderInstructions({ ...draft, parts });
  const { bytes, sha256 } = await writeText(directory, instructionsFile(plain.name), text);
  const instructions: Manifest['instructions'] = { file: instructionsFile(plain.name), bytes, sha256 };
  const manifest = await sealEncrypted({ ...draft, parts, instructions }, encryption);
  await writeText(directory, manifestFile(plain.name), formatManifest(manifest));
}

/** Removes the copy of a backup that no store waits for any more. One that is not there is no error. */
export async function dropCopy(stateDirectory: string, backup: string): Promise<void> {
  const directory = path.join(outgoingDirectory(stateDirectory), backup);
  // What is only half removed is no copy.
  await rm(path.join(directory, manifestFile(backup)), { force: true });
  await rm(directory, { recursive: true, force: true });
}

/** Removes copies that wait for nothing: those of a run that was killed before it could. */
export async function dropStrayCopies(stateDirectory: string, waiting: readonly string[]): Promise<void> {
  const names = await readdir(outgoingDirectory(stateDirectory)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  for (const name of names) if (!waiting.includes(name)) await dropCopy(stateDirectory, name);
}
