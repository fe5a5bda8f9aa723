import { createHash, randomUUID } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import {
  access,
  link,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  type FileHandle,
} from 'node:fs/promises';
import path from 'node:path';
import { openManifest, type Manifest } from '../archive/manifest.ts';
import {
  backupOfManifest,
  instructionsFile,
  manifestFile,
  parseBackupName,
  sanitizeProject,
} from '../archive/names.ts';
import {
  formatProof,
  parseProofFile,
  proofFile,
  proofsByBackup,
  standing,
  type ProofDocument,
} from '../archive/proof.ts';
import { CaretakerError, messageOf } from '../errors.ts';
import type { Log } from '../report/log.ts';
import { fileError, syncDirectory, writeDurable } from '../system/files.ts';
import type { LocalFile, Store, StoredBackup } from './store.ts';

export interface FolderStoreOptions {
  /** Absolute. Made when it is missing and its parent is there: a missing parent is rather a disk that is not mounted. */
  readonly directory: string;
  /** `folder DIRECTORY` unless told. */
  readonly name?: string;
  readonly log: Log;
}

const TEMPORARY = /^\..+\.caretaker-tmp$/;
/** A copy that is under way moves its file's time; one that stood still for so long is a crashed run's. */
const ABANDONED_MS = 60 * 60 * 1000;

/**
 * Backups as files in one directory, which several projects may share. A file is complete as soon as its name is there: it is linked, or
 * copied beside, forced to disk and renamed.
 *
 * Further codes: `store-exists`, and `disk-full`, `host-files-denied`, `file-operation-failed` for the place that `fetch` writes to.
 */
export function createFolderStore(options: FolderStoreOptions): Store {
  return new FolderStore(options);
}

class FolderStore implements Store {
  readonly kind = 'folder';
  readonly name: string;
  readonly directory: string;
  readonly #log: Log;

  constructor({ directory, name, log }: FolderStoreOptions) {
    this.directory = directory;
    this.name = name ?? `folder ${directory}`;
    this.#log = log;
  }

  async check(purpose: 'write' | 'read'): Promise<void> {
    const exists = await this.#exists();
    if (purpose === 'read') {
      if (exists) await this.#names();
      else this.#log.info(`${this.directory} does not exist: there are no backups in it`);
      return;
    }
    const place = exists ? this.directory : path.dirname(this.directory);
    const probe = path.join(place, `.${randomUUID()}.caretaker-tmp`);
    try {
      const handle = await open(probe, 'wx', 0o600);
      try {
        // A full disk still takes an empty file.
        await handle.writeFile('x');
        await handle.sync();
      } finally {
        await handle.close();
        await rm(probe, { force: true });
      }
    } catch (error) {
      throw this.#error(`write to ${place}`, error);
    }
  }

  async put(file: LocalFile): Promise<{ readonly id: undefined; readonly url: undefined }> {
    const what = `store ${file.name} in ${this.directory}`;
    if (path.basename(file.name) !== file.name || TEMPORARY.test(file.name)) {
      throw new CaretakerError('store-unsupported', `failed to ${what}: that is no plain file name`);
    }
    const target = path.join(this.directory, file.name);
    try {
      await this.#make();
      await this.#removeAbandoned();
      if (!(await this.#link(file, target))) await this.#copy(file, target);
      await syncDirectory(this.directory);
      return { id: undefined, url: undefined };
    } catch (error) {
      throw this.#error(what, error);
    }
  }

  async list(project?: string): Promise<StoredBackup[]> {
    const names = new Set(await this.#names());
    const wanted = project === undefined ? undefined : sanitizeProject(project);
    const proofs = proofsByBackup(names);
    const backups: StoredBackup[] = [];
    for (const file of names) {
      const name = backupOfManifest(file);
      const parsed = name === null ? null : parseBackupName(name);
      if (name === null || parsed === null || (wanted !== undefined && parsed.project !== wanted)) continue;
      const missingFile = await this.#missingFile(name, names);
      if (missingFile !== undefined) {
        this.#log.debug(`${name} is not listed: ${missingFile} is missing in ${this.directory}`);
        continue;
      }
      backups.push({
        name,
        project: parsed.project,
        createdAt: parsed.at,
        bytes: await this.#bytes(
          [...names].filter((other) => other.startsWith(`${name}.`) && parseProofFile(other) === null),
        ),
        ...{ expiresAt: undefined, runId: undefined, ids: [], url: undefined },
        proofs: proofs.get(name) ?? [],
      });
    }
    return backups.sort((one, other) => other.createdAt.getTime() - one.createdAt.getTime());
  }

  async readManifest(backup: StoredBackup): Promise<unknown> {
    const what = `read the manifest of ${backup.name} in ${this.directory}`;
    const text = await readFile(path.join(this.directory, manifestFile(backup.name)), 'utf8').catch(
      (error: unknown) => {
        throw this.#error(what, error);
      },
    );
    try {
      return JSON.parse(text) as unknown;
    } catch (error) {
      throw damaged(what, 'it is not JSON', error);
    }
  }

  async fetch(
    _backup: StoredBackup,
    file: { readonly file: string; readonly bytes: number; readonly sha256: string },
    toPath: string,
  ): Promise<void> {
    const what = `fetch ${file.file} from ${this.directory}`;
    if (path.basename(file.file) !== file.file) throw missing(what, 'that is no plain file name');
    const stored = path.join(this.directory, file.file);
    const source = await open(stored).catch((error: unknown) => {
      throw this.#error(what, error);
    });
    try {
      const { size } = await source.stat();
      if (size !== file.bytes) throw damaged(what, `it has ${size} bytes, the manifest says ${file.bytes}`);
      // Whatever is in a link's way, a copy may do; where not, it says why.
      const sha256 = (await linked(stored, toPath).catch(() => false))
        ? await digestOf(toPath).catch(async (error: unknown) => {
            await rm(toPath);
            throw this.#error(what, error);
          })
        : await copyBytes(source, toPath, {
            readError: (error) => this.#error(what, error),
            writeError: (error) => fileError(`write ${toPath}`, error),
            onBytes: (bytes) => this.#log.progress(file.file, bytes, file.bytes),
          });
      if (sha256 !== file.sha256) {
        await rm(toPath);
        throw damaged(what, 'its SHA-256 is not the one in the manifest');
      }
    } finally {
      await source.close();
    }
  }

  async keepProof({ name }: StoredBackup, proof: ProofDocument): Promise<void> {
    const file = proofFile(name, proof);
    const what = `store ${file} in ${this.directory}`;
    if (!(await this.#names()).includes(manifestFile(name))) throw missing(what, `there is no ${name}`);
    const beside = path.join(this.directory, `.${file}.${randomUUID()}.caretaker-tmp`);
    try {
      await writeDurable(beside, formatProof(proof));
      await rename(beside, path.join(this.directory, file));
      await syncDirectory(this.directory);
      const all = proofsByBackup(await this.#names()).get(name) ?? [];
      const kept = standing(all);
      for (const one of all) if (!kept.includes(one)) await rm(path.join(this.directory, one.file), { force: true });
    } catch (error) {
      throw this.#error(what, error);
    } finally {
      await rm(beside, { force: true });
    }
  }

  async delete(backup: StoredBackup): Promise<void> {
    const what = `delete ${backup.name} from ${this.directory}`;
    const manifest = manifestFile(backup.name);
    const files = (await this.#names()).filter((name) => name.startsWith(`${backup.name}.`));
    if (files.length === 0) throw missing(what, 'there is no such backup');
    try {
      await rm(path.join(this.directory, manifest), { force: true });
      // On disk before the rest goes: a power cut must not leave a manifest without its parts.
      await syncDirectory(this.directory);
      for (const file of files) await rm(path.join(this.directory, file), { force: true });
      await syncDirectory(this.directory);
    } catch (error) {
      throw this.#error(what, error);
    }
  }

  async #make(): Promise<void> {
    try {
      await mkdir(this.directory, { mode: 0o700 });
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return;
      throw error;
    }
    await syncDirectory(path.dirname(this.directory));
  }

  /** False where there is no such directory but its parent, which is good enough to begin with. */
  async #exists(): Promise<boolean> {
    const what = `use ${this.directory} for backups`;
    try {
      const stats = await stat(this.directory);
      if (stats.isDirectory()) return true;
      throw new CaretakerError('store-unreachable', `failed to ${what}: it is not a directory`, { input: 'store' });
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw this.#error(what, error);
      return false;
    }
  }

  /** Names in the directory; none where it does not exist. */
  async #names(): Promise<string[]> {
    try {
      return await readdir(this.directory);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return [];
      throw this.#error(`list ${this.directory}`, error);
    }
  }

  /** The first file of the backup that is not there. A manifest that can't be read counts as complete: reading it tells what is wrong. */
  async #missingFile(name: string, names: ReadonlySet<string>): Promise<string | undefined> {
    let manifest: Manifest;
    try {
      manifest = openManifest(await readFile(path.join(this.directory, manifestFile(name)), 'utf8'));
    } catch (error) {
      this.#log.debug(`the manifest of ${name} can't be read: ${messageOf(error)}`);
      return undefined;
    }
    const files = [...manifest.parts.flatMap((part) => part.files.map(({ file }) => file)), instructionsFile(name)];
    return files.find((file) => !names.has(file));
  }

  async #bytes(files: readonly string[]): Promise<number> {
    let bytes = 0;
    for (const file of files) {
      const stats = await stat(path.join(this.directory, file)).catch((error: unknown) => {
        throw this.#error(`look at ${file} in ${this.directory}`, error);
      });
      bytes += stats.size;
    }
    return bytes;
  }

  /** False where only a copy will do. */
  async #link(file: LocalFile, target: string): Promise<boolean> {
    const stats = await lstat(file.path).catch((error: unknown) => {
      throw fileError(`read ${file.path}`, error);
    });
    if (stats.isFile() && stats.size !== file.bytes)
      throw changed(file, `it has ${stats.size} bytes instead of ${file.bytes}`);
    try {
      if (!(await linked(file.path, target))) return false;
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
      await this.#requireSame(file, target);
      return true;
    }
    const handle = await open(target, 'r');
    try {
      // The file may come from a writer that left its bytes in the cache.
      await handle.sync();
    } finally {
      await handle.close();
    }
    return true;
  }

  async #copy(file: LocalFile, target: string): Promise<void> {
    const beside = path.join(this.directory, `.${file.name}.${randomUUID()}.caretaker-tmp`);
    const source = await open(file.path).catch((error: unknown) => {
      throw fileError(`read ${file.path}`, error);
    });
    try {
      const sha256 = await copyBytes(source, beside, {
        readError: (error) => fileError(`read ${file.path}`, error),
        writeError: (error) => error,
        onBytes: (bytes) => this.#log.progress(file.name, bytes, file.bytes),
      });
      if (sha256 !== file.sha256) throw changed(file, 'its SHA-256 is not the one that it had');
      const exists = await access(target, constants.F_OK).then(
        () => true,
        () => false,
      );
      if (exists) await this.#requireSame(file, target);
      else await rename(beside, target);
    } finally {
      await source.close();
      await rm(beside, { force: true });
    }
  }

  async #requireSame(file: LocalFile, target: string): Promise<void> {
    const there = await stat(target);
    if (there.size === file.bytes && (await digestOf(target)) === file.sha256) return;
    throw new CaretakerError('store-exists', `failed to store ${file.name}: ${target} has another content`, {
      hint: 'Two backups of one project began in the same second, or the file was changed by hand. Move it away if nobody needs it, and run again.',
    });
  }

  async #removeAbandoned(): Promise<void> {
    for (const name of await readdir(this.directory)) {
      if (!TEMPORARY.test(name)) continue;
      const file = path.join(this.directory, name);
      const stats = await stat(file).catch(() => undefined); // Its own run was quicker.
      if (stats === undefined || Date.now() - stats.mtimeMs < ABANDONED_MS) continue;
      this.#log.info(`removing ${file}, which an earlier run left unfinished`);
      await rm(file, { force: true });
    }
  }

  #error(what: string, cause: unknown): unknown {
    if (cause instanceof CaretakerError) return cause;
    const message = `failed to ${what}: ${messageOf(cause)}`;
    switch (codeOf(cause) ?? '') {
      case 'ENOSPC':
      case 'EDQUOT':
        return new CaretakerError('store-full', `failed to ${what}: no space is left there`, {
          hint: 'Free some space on that filesystem, remove old backups, or use another folder; then run again.',
          cause,
        });
      case 'EACCES':
      case 'EPERM':
      case 'EROFS':
        return new CaretakerError('store-denied', message, {
          input: 'store',
          hint: `The user who runs this must be able to read and write ${this.directory}.`,
          cause,
        });
      case 'ENOENT':
        return this.#absent(what, cause);
      case 'ENOTDIR':
        return new CaretakerError('store-unreachable', message, {
          input: 'store',
          hint: 'Give the path of a directory.',
          cause,
        });
      default:
        return new CaretakerError('store-unreachable', message, {
          hint: 'Look at the filesystem that holds this folder, then run again.',
          cause,
        });
    }
  }

  #absent(what: string, cause: unknown): CaretakerError {
    const at = (cause as NodeJS.ErrnoException).path ?? '';
    if (path.dirname(at) === this.directory && !TEMPORARY.test(path.basename(at))) {
      return missing(what, `there is no ${path.basename(at)}`, cause);
    }
    return new CaretakerError(
      'store-unreachable',
      `failed to ${what}: ${path.dirname(this.directory)} does not exist`,
      {
        input: 'store',
        hint: 'Is the disk that should hold the backups mounted? If the path is right, make its parent directory and run again.',
        cause,
      },
    );
  }
}

/** Copies into a new file (mode 600), forces it to disk, and answers with the sha256 of what went by. On failure the new file is gone. */
async function copyBytes(
  source: FileHandle,
  to: string,
  handlers: {
    readonly readError: (error: unknown) => unknown;
    readonly writeError: (error: unknown) => unknown;
    readonly onBytes: (bytes: number) => void;
  },
): Promise<string> {
  const failWriting = (error: unknown): never => {
    throw handlers.writeError(error);
  };
  const target = await open(to, 'wx', 0o600).catch(failWriting);
  try {
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafe(1024 * 1024);
    for (let bytes = 0; ; handlers.onBytes(bytes)) {
      const { bytesRead } = await source.read(buffer, 0, buffer.length, bytes).catch((error: unknown) => {
        throw handlers.readError(error);
      });
      if (bytesRead === 0) break;
      const piece = buffer.subarray(0, bytesRead);
      hash.update(piece);
      await target.writeFile(piece).catch(failWriting);
      bytes += bytesRead;
    }
    await target.sync().catch(failWriting);
    return hash.digest('hex');
  } catch (error) {
    await rm(to, { force: true });
    throw error;
  } finally {
    await target.close();
  }
}

/**
 * A second name for the same file: no copy, no doubled space, and never in place of another. False where the filesystem (or the
 * kernel's protection of files of others) does not allow it, and where the file is a symbolic link, since the link and not the bytes would be kept.
 */
async function linked(file: string, to: string): Promise<boolean> {
  if (!(await lstat(file)).isFile()) return false;
  try {
    await link(file, to);
    return true;
  } catch (error) {
    if (['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(codeOf(error) ?? '')) return false;
    throw error;
  }
}

async function digestOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(file, { highWaterMark: 1024 * 1024 })) hash.update(piece as Buffer);
  return hash.digest('hex');
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException | undefined)?.code;
}

function changed(file: LocalFile, why: string): CaretakerError {
  return new CaretakerError('store-damaged', `failed to store ${file.path}: ${why}`, {
    hint: 'The file changed after it was verified. Run again; if it happens again, look at the machine’s memory and disk.',
  });
}

function damaged(what: string, why: string, cause?: unknown): CaretakerError {
  return new CaretakerError('store-damaged', `failed to ${what}: ${why}`, {
    hint: 'Take another backup: this one is not what was stored. Then look at the disk.',
    cause,
  });
}

function missing(what: string, why: string, cause?: unknown): CaretakerError {
  return new CaretakerError('store-missing', `failed to ${what}: ${why}`, {
    hint: 'List the backups again: somebody may have removed it.',
    cause,
  });
}
