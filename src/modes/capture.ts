import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { renderInstructions } from '../archive/instructions.ts';
import { sealEncrypted, unsealed } from '../archive/encrypted.ts';
import {
  formatManifest,
  openManifest,
  SCHEMA,
  sealManifest,
  type Manifest,
  type Part,
  type PartFile,
} from '../archive/manifest.ts';
import { backupName, instructionsFile, manifestFile, partFile, storedName } from '../archive/names.ts';
import { partPath, verifyPart, writePart, writeText } from '../archive/parts.ts';
import { newFile, type Encryption } from '../encryption/encryption.ts';
import type { Capture, RawStream, Situation, Source, WarmCapture } from '../sources/source.ts';
import type { LocalFile, Store } from '../stores/store.ts';
import type { Head } from '../code/git.ts';
import { CaretakerError, messageOf } from '../errors.ts';
import { formatBytes } from '../report/units.ts';
import { ensureDirectory, readText } from '../system/files.ts';
import { freeBytes, sameFilesystem } from '../system/disk.ts';
import { hostName } from '../system/identity.ts';
import { timeOfNext } from './order.ts';
import type { StoredPlace } from './recorder.ts';
import type { Tools } from './tools.ts';

/** A backup on the local disk, whole and verified, that no store has yet. */
export interface CapturedBackup {
  readonly manifest: Manifest;
  readonly directory: string;
  /** In the order in which a store must get them: parts, RESTORE.md, the manifest last. */
  readonly files: readonly LocalFile[];
}

export interface CaptureRequest {
  readonly sources: readonly Source[];
  readonly left: Manifest['left'];
  readonly situation: Situation;
  readonly reason: Manifest['reason'];
  /** The version whose data these are: during an update not what is checked out. */
  readonly head: Head | null;
  /** Likewise the images that ran on these data; undefined: those that run now. */
  readonly images?: Manifest['images'] | undefined;
  /** Undefined: what it writes is plain. */
  readonly encryption?: Encryption | undefined;
  /** A new directory below the state directory; removed by whoever asked, in success and failure. */
  readonly directory: string;
}

/** Room that is needed besides that of the backup. */
export interface Room {
  readonly directory: string;
  readonly bytes: number;
  /** "the new images". */
  readonly what: string;
}

/** Refuses before anything is stopped when a disk can't hold what is about to be written there, all of it together. `disk-full`. */
export async function checkDisk(
  sources: readonly Source[],
  directory: string,
  besides: readonly Room[] = [],
): Promise<void> {
  const sizes = await Promise.all(sources.map(rawBytes));
  const backup = sizes.reduce((sum, bytes) => sum + bytes, 0);
  await checkRooms([{ directory, bytes: backup, what: 'the data to be copied, before compression' }, ...besides]);
}

/** Refuses where a filesystem has no room for all that is about to be written to it. `disk-full`. */
export async function checkRooms(rooms: readonly Room[]): Promise<void> {
  for (const { directory: place } of rooms) {
    const here: Room[] = [];
    for (const room of rooms) if (await sameFilesystem(place, room.directory)) here.push(room);
    const needed = here.reduce((sum, { bytes }) => sum + bytes, 0);
    const free = await freeBytes(place);
    if (free >= needed) continue;
    const parts = here.map(({ bytes, what, directory: one }) => `${formatBytes(bytes)} for ${what}, in ${one}`);
    throw new CaretakerError(
      'disk-full',
      `failed to begin: the filesystem of ${place} has ${formatBytes(free)} free of the ${formatBytes(needed)} that are needed: ${parts.join('; ')}`,
      {
        hint: 'Free some space on that filesystem: old images (docker image prune, podman image prune), backups in a folder store, which keeps them until you remove them, and those that wait for a store (mode status tells).',
      },
    );
  }
}

/** Looked up once, before anything is stopped: a walk over the tree is no work for the time in which users wait. */
export function rawBytes(source: Source): Promise<number> {
  const known = estimates.get(source) ?? source.estimate();
  estimates.set(source, known);
  return known;
}

const estimates = new WeakMap<Source, Promise<number>>();

/** What was copied while the application served, to be completed by `captureBackup` when the writers stand still. */
export interface WarmBackup {
  readonly name: Manifest['name'];
  readonly createdAt: Date;
  readonly deployment: Deployment;
  readonly parts: ReadonlyMap<Source, WarmPart>;
  /** Lets go of what the sources hold. Always called. */
  end(): Promise<void>;
}

interface WarmPart {
  readonly capture: WarmCapture;
  readonly files: PartFile[];
  seconds: number;
}

/** More than this is worth one more pass while the application serves. */
const CATCH_UP_BYTES = 64 * 1024 * 1024;
const CATCH_UP_ROUNDS = 3;

/**
 * The first of two passes: all that can be copied while the application serves is copied, and read back whole, so that only what changes from here on
 * is left for the time in which users wait. Sources that have one pass only are left to `captureBackup`.
 */
export async function warmBackup(tools: Tools, request: Omit<CaptureRequest, 'situation'>): Promise<WarmBackup> {
  const { recorder, clock } = tools;
  recorder.acted = true;
  const createdAt = await timeOfNext(tools);
  const name = backupName(tools.project.name, createdAt);
  await ensureDirectory(request.directory);
  const parts = new Map<Source, WarmPart>();
  const end = async (): Promise<void> => {
    for (const { capture } of parts.values()) await capture.finish();
  };
  const writer = writerFor(tools, request, name);
  try {
    for (const source of request.sources) {
      if (source.warm === undefined) continue;
      await recorder.step(`Back up ${source.name} while it serves`, async () => {
        tools.log.info(source.describe());
        const start = clock.monotonic();
        const capture = await source.warm?.();
        if (capture === undefined) return;
        const part: WarmPart = { capture, files: [], seconds: 0 };
        parts.set(source, part);
        part.files.push(...(await writeStreams(writer, source, capture.streams)));
        part.seconds = (clock.monotonic() - start) / 1000;
      });
    }
    for (const [source, part] of parts) {
      const start = clock.monotonic();
      let bytes = Infinity;
      for (let round = 0; round < CATCH_UP_ROUNDS && bytes > CATCH_UP_BYTES; round++) {
        const streams = await part.capture.more('serving');
        const files = streams === 'anew' ? [] : await writeStreams(writer, source, streams);
        part.files.push(...files);
        bytes = files.reduce((sum, { rawBytes }) => sum + rawBytes, 0);
      }
      part.seconds += (clock.monotonic() - start) / 1000;
    }
    return { name, createdAt, deployment: await deployment(tools, request.head), parts, end };
  } catch (error) {
    await end();
    throw error;
  }
}

/**
 * Takes one backup of all sources into a local directory: databases first and files after them, so that no row refers to a file
 * that the backup lacks. Every part is written, fsynced, then read back whole: digest, decompression, the tar's structure.
 */
export async function captureBackup(tools: Tools, request: CaptureRequest, warm?: WarmBackup): Promise<CapturedBackup> {
  const { project } = tools;
  tools.recorder.acted = true;
  const createdAt = warm?.createdAt ?? (await timeOfNext(tools));
  const name = warm?.name ?? backupName(project.name, createdAt);
  await ensureDirectory(request.directory);

  const writer = writerFor(tools, request, name);
  const parts: Part[] = [];
  for (const source of request.sources) {
    parts.push(
      await tools.recorder.step(`Back up ${source.name}`, () =>
        capturePart(writer, source, request.situation, warm?.parts.get(source)),
      ),
    );
  }

  const { encryption } = request;
  const draft: Omit<Manifest, 'instructions' | 'digest'> = {
    schema: SCHEMA,
    name,
    createdAt: createdAt.toISOString(),
    reason: request.reason,
    project: project.name,
    projectDirectory: project.directory,
    host: hostName(),
    caretaker: tools.caretaker,
    ...(warm?.deployment ?? (await deployment(tools, request.head))),
    ...(request.images === undefined ? {} : { images: request.images }),
    ownership: project.files.way,
    encryption: encryption === undefined ? null : unsealed(encryption),
    parts,
    left: request.left,
  };
  const instructions = await writeText(request.directory, instructionsFile(name), renderInstructions(draft));
  const { file, bytes, sha256 } = { ...instructions, file: instructions.name };
  const whole = { ...draft, instructions: { file, bytes, sha256 } };
  const manifest = encryption === undefined ? sealManifest(whole) : await sealEncrypted(whole, encryption);
  await writeText(request.directory, manifestFile(name), formatManifest(manifest));
  return capturedIn(request.directory, name);
}

/** Where the files of a backup are written, and how. */
interface PartWriter {
  readonly tools: Tools;
  readonly directory: string;
  readonly backup: Manifest['name'];
  readonly encryption: Encryption | null;
  /** What encrypts the next file; undefined where none is. */
  readonly nextFile: () => Promise<FileKey | undefined>;
}

type FileKey = Awaited<ReturnType<typeof newFile>>;

function writerFor(
  tools: Tools,
  { directory, encryption }: Pick<CaptureRequest, 'directory' | 'encryption'>,
  backup: Manifest['name'],
): PartWriter {
  const nextFile = encryption === undefined ? () => Promise.resolve(undefined) : fileKeys(encryption);
  return { tools, directory, backup, encryption: encryption ?? null, nextFile };
}

/** That of a passphrase takes a second, which is none in which users should wait: it is made while the file before it is written. */
function fileKeys(encryption: Encryption): () => Promise<FileKey> {
  let ahead: Promise<FileKey> | undefined;
  return async () => {
    const key = await (ahead ?? newFile(encryption));
    ahead = newFile(encryption);
    // Whoever takes it hears of it; perhaps nobody does.
    ahead.catch(() => undefined);
    return key;
  };
}

async function capturePart(
  writer: PartWriter,
  source: Source,
  situation: Situation,
  warm: WarmPart | undefined,
): Promise<Part> {
  const { log, clock } = writer.tools;
  const start = clock.monotonic();
  const { name, kind, method, origin } = source;
  const done = ({ files, consistency, facts }: Pick<Part, 'files' | 'consistency'> & Pick<Capture, 'facts'>): Part => ({
    ...{ name, kind, method, files, consistency, origin },
    seconds: (warm?.seconds ?? 0) + (clock.monotonic() - start) / 1000,
    ...facts,
  });

  if (warm !== undefined) {
    const more = await warm.capture.more(situation);
    if (more !== 'anew') {
      const files = [...warm.files, ...(await writeStreams(writer, source, more))];
      return done({ files, consistency: situation === 'serving' ? 'online' : situation, facts: warm.capture.facts });
    }
    log.info(`${name}: written to since it was copied; all of it is copied anew`);
    for (const { file } of warm.files) await rm(path.join(writer.directory, storedName(file, writer)));
    await warm.capture.finish();
  }
  log.info(source.describe());
  const capture = await source.capture(situation);
  try {
    const files = await writeStreams(writer, source, capture.streams);
    return done({ files, consistency: capture.consistency, facts: capture.facts });
  } finally {
    await capture.finish();
  }
}

/** Writes streams to files and reads each back whole: digest, decompression, the tar's structure. */
async function writeStreams(writer: PartWriter, source: Source, streams: readonly RawStream[]): Promise<PartFile[]> {
  const { tools, directory, backup } = writer;
  const { log, signal } = tools;
  signal.throwIfAborted();
  const total = await rawBytes(source);
  const files: PartFile[] = [];
  for (const stream of streams) {
    const key = await writer.nextFile();
    const file = await writePart({
      directory,
      encrypt: key?.encrypt,
      file: partFile(backup, source.name, stream.suffix),
      stream: stream.open(),
      estimate: total,
      onProgress: (bytes) => log.progress(source.name, bytes, total),
      signal,
    });
    await verifyPart(partPath(directory, file, key?.decrypt), file, { decrypt: key?.decrypt });
    log.info(`${file.file}: ${key === undefined ? 'digest' : 'encryption, digest'}, compression and archive are whole`);
    files.push(file);
  }
  return files;
}

/** Inside the project directory relative to it, since a project may be restored elsewhere. */
function relativeTo(directory: string, file: string): string {
  return file.startsWith(`${directory}/`) ? path.relative(directory, file) : file;
}

type Deployment = Pick<Manifest, 'version' | 'engine' | 'platform' | 'images'>;

/** What is deployed now: code, engine, images. */
async function deployment(tools: Tools, head: Head | null): Promise<Deployment> {
  const { engine } = tools.project;
  return {
    version: { commit: head?.commit ?? null, tag: head?.tag ?? null, describe: head?.describe ?? null },
    engine: engine && {
      runtime: engine.runtime.name,
      version: engine.runtime.version,
      dialect: `${engine.compose.dialect.name} ${engine.compose.dialect.version}`,
      rootless: engine.runtime.rootless,
      composeFiles: engine.compose.files.map((file) => relativeTo(tools.project.directory, file)),
    },
    platform: (await engine?.runtime.platform()) ?? `${process.platform}/${process.arch}`,
    images: await imagesNow(tools),
  };
}

/** The images of the containers that are there. */
export async function imagesNow({ project }: Pick<Tools, 'project'>): Promise<Manifest['images']> {
  const containers = (await project.containers()).filter(({ oneOff }) => !oneOff);
  return Promise.all(
    containers.map(async ({ service, imageName, imageId }) => ({
      ...{ service, name: imageName, id: imageId },
      digests: (await project.engine?.runtime.imageDigests(imageId)) ?? [],
    })),
  );
}

/** Puts a captured backup into one store, the manifest last. Where the store is full, what it has of it goes again, as far as that is possible. */
export async function storeBackup(
  tools: Tools,
  captured: CapturedBackup,
  store: Store,
  title = `Store in ${store.name}`,
): Promise<StoredPlace> {
  const { recorder, signal, log } = tools;
  return recorder.step(title, async () => {
    const names: string[] = [];
    const ids: string[] = [];
    let url: string | undefined;
    for (const file of captured.files) {
      signal.throwIfAborted();
      const stored = await store.put(file).catch(async (error: unknown) => {
        if (error instanceof CaretakerError && error.code === 'store-full') {
          await store.takeBack(names).catch((failure: unknown) => log.warn(messageOf(failure)));
        }
        throw error;
      });
      names.push(file.name);
      if (stored.id !== undefined) ids.push(stored.id);
      url = stored.url;
      log.info(`${file.name} stored, ${file.bytes} bytes, sha256 ${file.sha256}`);
    }
    return { name: store.name, kind: store.kind, url, ids };
  });
}

/** Where safety backups stay. */
export function localDirectory(stateDirectory: string): string {
  return path.join(stateDirectory, 'safety');
}

/** A backup that a folder on this host holds, as it was captured. Throws `store-missing` where it is not there. */
export async function capturedIn(directory: string, name: string): Promise<CapturedBackup> {
  const file = manifestFile(name);
  const text = await readText(path.join(directory, file));
  if (text === null) throw new CaretakerError('store-missing', `there is no backup ${name} in ${directory}`);
  const manifest = openManifest(text, name);
  const stored = (entry: PartFile): PartFile => ({ ...entry, file: storedName(entry.file, manifest) });
  const local = (entry: { file: string; bytes: number; sha256: string }): LocalFile => ({
    path: path.join(directory, entry.file),
    name: entry.file,
    bytes: entry.bytes,
    sha256: entry.sha256,
  });
  const own = { file, bytes: Buffer.byteLength(text), sha256: createHash('sha256').update(text).digest('hex') };
  return {
    manifest,
    directory,
    files: [...manifest.parts.flatMap(({ files }) => files.map(stored)), manifest.instructions, own].map(local),
  };
}
