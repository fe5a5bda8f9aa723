import { createHash, randomUUID } from 'node:crypto';
import { link, lstat, mkdir, open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { MAX_MANIFEST_BYTES, openManifest, type Manifest } from '../archive/manifest.ts';
import {
  backupOfManifest,
  instructionsFile,
  manifestFile,
  parseBackupName,
  sanitizeProject,
  storedName,
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
import { mountPoint, noSpaceLeft } from '../system/disk.ts';
import { digestOf, fileError, syncDirectory, writeDurable } from '../system/files.ts';
import { isStrangersLink, NotAFile, openFile } from '../system/strangers.ts';
import { noteMount, refuseUnmounted } from './mounts.ts';
import type { LocalFile, Store, StoredBackup } from './store.ts';

export interface FolderStoreOptions {
  /** Absolute. Made when it is missing and its parent is there: a missing parent is rather a disk that is not mounted. */
  readonly directory: string;
  /** `folder DIRECTORY` unless told. */
  readonly name?: string;
  /** The file that notes which filesystem the folder lies on. Undefined: nobody looks whether that is still mounted. */
  readonly mounts?: string;
  readonly log: Log;
}

const TEMPORARY = /^\..+\.caretaker-tmp$/;
/** A copy that is under way moves its file's time; one that stood still for so long is a crashed run's. */
const ABANDONED_MS = 60 * 60 * 1000;

/**
 * Backups as files in one directory, which several projects may share. A file is complete as soon as its name is there: it is linked, or
 * copied beside, forced to disk and renamed.
 *
 * Further codes: `store-exists`, `store-unsafe`, and `disk-full`, `host-files-denied`, `file-operation-failed` for the place that `fetch` writes to.
 */
export function createFolderStore(options: FolderStoreOptions): Store {
  return new FolderStore(options);
}

class FolderStore implements Store {
  readonly kind = 'folder';
  readonly name: string;
  readonly directory: string;
  readonly #mounts: string | undefined;
  readonly #log: Log;
  /** The mount that the folder lay on when this run first looked; undefined before, and where it is the root. */
  #seen: string | undefined;

  constructor({ directory, name, mounts, log }: FolderStoreOptions) {
    this.directory = directory;
    this.name = name ?? `folder ${directory}`;
    this.#mounts = mounts;
    this.#log = log;
  }

  async check(purpose: 'write' | 'write-encrypted' | 'read'): Promise<void> {
    const exists = await this.#exists();
    if (purpose === 'read') {
      // An empty mount point is no store without backups.
      if (this.#mounts !== undefined) await refuseUnmounted(this.directory, this.#mounts, this.#seen);
      if (exists) await this.#names();
      else this.#log.info(`${this.directory} does not exist: there are no backups in it`);
      return;
    }
    await this.#refuseElsewhere();
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
      await this.#refuseElsewhere();
      await this.#make();
      await this.#refuseSamePlace(file);
      await this.#removeAbandoned();
      if (!(await this.#link(file, target))) await this.#copy(file, target);
      await syncDirectory(this.directory);
      if (this.#mounts !== undefined) await noteMount(this.directory, this.#mounts);
      return { id: undefined, url: undefined };
    } catch (error) {
      throw this.#error(what, error, file.bytes);
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
      const files = [...names].filter((other) => other.startsWith(`${name}.`) && parseProofFile(other) === null);
      backups.push({
        name,
        project: parsed.project,
        createdAt: parsed.at,
        bytes: await this.#bytes(files),
        files,
        ...{ expiresAt: undefined, runId: undefined, ids: [], url: undefined },
        proofs: proofs.get(name) ?? [],
      });
    }
    return backups.sort((one, other) => other.createdAt.getTime() - one.createdAt.getTime());
  }

  async readManifest(backup: StoredBackup): Promise<unknown> {
    const what = `read the manifest of ${backup.name} in ${this.directory}`;
    const text = await this.#manifestText(backup.name).catch((error: unknown) => {
      throw this.#error(what, error);
    });
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
    const source = await openFile(stored).catch((error: unknown) => {
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
            writeError: (error) => fileError(`write ${toPath}`, error, { place: toPath, bytes: file.bytes }),
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

  async takeBack(files: readonly string[]): Promise<void> {
    try {
      for (const file of files) await rm(path.join(this.directory, file), { force: true });
    } catch (error) {
      throw this.#error(`take back what was stored in ${this.directory}`, error);
    }
  }

  async delete(backup: Pick<StoredBackup, 'name'>): Promise<void> {
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

  /** Before anything is written: the folder itself must not be a way to elsewhere that another user has laid. */
  async #refuseElsewhere(): Promise<void> {
    if (isStrangersLink(this.directory)) {
      throw new CaretakerError(
        'store-unsafe',
        `failed to use ${this.directory} for backups: it is a symbolic link that another user has made`,
        {
          input: 'store',
          hint: 'Look where it leads and who made it. Give the path of a directory, or make the link yourself.',
        },
      );
    }
    if (this.#mounts === undefined) return;
    await refuseUnmounted(this.directory, this.#mounts, this.#seen);
    const at = await mountPoint(this.directory);
    if (at !== '/') this.#seen ??= at;
  }

  /** Where a backup waits on this host it is not stored: it is removed there when all stores have it. */
  async #refuseSamePlace(file: LocalFile): Promise<void> {
    const [here, there] = await Promise.all([stat(this.directory), stat(path.dirname(file.path))]);
    if (here.dev !== there.dev || here.ino !== there.ino) return;
    throw new CaretakerError(
      'store-inside-state',
      `failed to store ${file.name} in ${this.directory}: it is the folder in which it waits for its stores`,
      { input: 'store', hint: 'Give another folder, best on another disk.' },
    );
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
      manifest = openManifest(await this.#manifestText(name), name);
    } catch (error) {
      this.#log.debug(`the manifest of ${name} can't be read: ${messageOf(error)}`);
      return undefined;
    }
    const parts = manifest.parts.flatMap((part) => part.files.map(({ file }) => storedName(file, manifest)));
    const files = [...parts, instructionsFile(name)];
    return files.find((file) => !names.has(file));
  }

  async #manifestText(name: string): Promise<string> {
    const handle = await openFile(path.join(this.directory, manifestFile(name)));
    try {
      const { size } = await handle.stat();
      if (size > MAX_MANIFEST_BYTES) throw new NotAFile('it is larger than any manifest');
      return await handle.readFile('utf8');
    } finally {
      await handle.close();
    }
  }

  async #bytes(files: readonly string[]): Promise<number> {
    let bytes = 0;
    for (const file of files) {
      const stats = await lstat(path.join(this.directory, file)).catch((error: unknown) => {
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
      // A link that leads nowhere has the name, too.
      const exists = await lstat(target).then(
        () => true,
        () => false,
      );
      if (exists) await this.#requireSame(file, target);
      else await this.#settle(file, beside, target);
    } finally {
      await source.close();
      await rm(beside, { force: true });
    }
  }

  /** Never in place of what another host has put there this very moment, where there are hard links. */
  async #settle(file: LocalFile, beside: string, target: string): Promise<void> {
    try {
      if (!(await linked(beside, target))) await rename(beside, target);
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
      await this.#requireSame(file, target);
    }
  }

  async #requireSame(file: LocalFile, target: string): Promise<void> {
    const there = isStrangersLink(target) ? undefined : await stat(target).catch(() => undefined);
    if (there?.isFile() === true && there.size === file.bytes && (await digestOf(target)) === file.sha256) return;
    throw new CaretakerError('store-exists', `failed to store ${file.name}: ${target} has another content`, {
      hint: 'Two backups of one project began in the same second, or the file was changed by hand. Move it away if nobody needs it, and run again.',
    });
  }

  async #removeAbandoned(): Promise<void> {
    const names = (await readdir(this.directory)).filter((name) => TEMPORARY.test(name));
    const now = names.length === 0 ? 0 : await this.#now();
    for (const name of names) {
      const file = path.join(this.directory, name);
      const stats = await lstat(file).catch(() => undefined); // Its own run was quicker.
      if (stats?.isFile() !== true || now - stats.mtimeMs < ABANDONED_MS) continue;
      this.#log.info(`removing ${file}, which an earlier run left unfinished`);
      // In a folder that is shared it may be somebody else's to remove.
      await rm(file, { force: true }).catch((error: unknown) => this.#log.info(messageOf(error)));
    }
  }

  /** By the clock that dates files here: a server's, perhaps. Milliseconds. */
  async #now(): Promise<number> {
    const file = path.join(this.directory, `.${randomUUID()}.caretaker-tmp`);
    const handle = await open(file, 'wx', 0o600);
    try {
      return (await handle.stat()).mtimeMs;
    } finally {
      await handle.close();
      await rm(file, { force: true });
    }
  }

  /** `bytes`: as much as it takes there. */
  #error(what: string, cause: unknown, bytes?: number): unknown {
    if (cause instanceof CaretakerError) return cause;
    if (cause instanceof NotAFile) return damaged(what, cause.message, cause);
    const message = `failed to ${what}: ${messageOf(cause)}`;
    switch (codeOf(cause) ?? '') {
      case 'ENOSPC':
      case 'EDQUOT':
        return new CaretakerError('store-full', `failed to ${what}: ${noSpaceLeft({ place: this.directory, bytes })}`, {
          hint: 'Free some space on that filesystem, remove old backups, or use another folder; then run again.',
          cause,
        });
      case 'EROFS':
        return new CaretakerError('store-unreachable', `failed to ${what}: its filesystem is mounted read-only`, {
          hint: 'Perhaps since its disk had an error: look at it, and mount it for writing; then run again.',
          cause,
        });
      case 'EACCES':
      case 'EPERM':
        return new CaretakerError('store-denied', `failed to ${what}: permission denied`, {
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
