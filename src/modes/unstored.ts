import { rm } from 'node:fs/promises';
import path from 'node:path';
import { openManifest } from '../archive/manifest.ts';
import { parseBackupName } from '../archive/names.ts';
import { CaretakerError, messageOf } from '../errors.ts';
import type { Store } from '../stores/store.ts';
import { digestOf, fileError, readText, syncDirectory, writeAtomic } from '../system/files.ts';
import { capturedIn, localDirectory, storeBackup, type CapturedBackup } from './capture.ts';
import { dropCopy, encryptedCopy } from './outgoing.ts';
import type { Tools } from './tools.ts';

/** A backup that lies among the safety backups on this host and waits for stores. */
export interface Unstored {
  readonly backup: string;
  /** Names of the stores that lack it. Empty: none does, and it is only to be removed from this host. */
  readonly stores: readonly string[];
  /** It lies plain on this host, and must not leave it so. */
  readonly encrypted?: boolean;
}

const fileIn = (stateDirectory: string): string => path.join(stateDirectory, 'unstored.json');

/** Oldest first; plain data in `.caretaker/unstored.json`, which is not there where nothing waits. Throws `unstored-damaged`. */
export async function unstored(stateDirectory: string): Promise<readonly Unstored[]> {
  const file = fileIn(stateDirectory);
  const text = await readText(file);
  try {
    const entries = JSON.parse(text ?? '[]') as readonly Partial<Unstored>[];
    return entries.map(({ backup, stores, encrypted = false }) => {
      if (parseBackupName(backup ?? '') === null || !Array.isArray(stores) || typeof encrypted !== 'boolean')
        throw new TypeError('an entry is damaged');
      return { backup, stores, ...(encrypted ? { encrypted } : {}) } as Unstored;
    });
  } catch (error) {
    throw new CaretakerError('unstored-damaged', `failed to read ${file}, which says what waits for which store`, {
      hint: `It is a list of {"backup": "NAME", "stores": ["STORE"]}: mend it. Or remove it: then the backups in ${localDirectory(stateDirectory)} are ordinary safety backups.`,
      cause: error,
    });
  }
}

async function write(stateDirectory: string, entries: readonly Unstored[]): Promise<void> {
  if (entries.length > 0) {
    await writeAtomic(fileIn(stateDirectory), `${JSON.stringify(entries, null, 2)}\n`);
    return;
  }
  await rm(fileIn(stateDirectory), { force: true });
  await syncDirectory(stateDirectory);
}

/** Puts a backup at the end of the queue. One that is in it stays where it is. */
export async function queueBackup(stateDirectory: string, entry: Unstored): Promise<void> {
  const entries = await unstored(stateDirectory);
  if (entry.stores.length === 0 || entries.some(({ backup }) => backup === entry.backup)) return;
  await write(stateDirectory, [...entries, entry]);
}

/** `change`: what holds of it now; null: it leaves the queue. */
async function requeue(
  stateDirectory: string,
  backup: string,
  change: Partial<Omit<Unstored, 'backup'>> | null,
): Promise<void> {
  const entries = await unstored(stateDirectory);
  await write(
    stateDirectory,
    entries.flatMap((entry) => (entry.backup !== backup ? [entry] : change === null ? [] : [{ ...entry, ...change }])),
  );
}

/** Removes from this host what is only to be in stores. One that is not there, or only half, is no error. */
export async function dropLocal({ local }: Pick<Tools, 'local'>, backup: string): Promise<void> {
  await local.delete({ name: backup, runId: undefined, proofs: [] }, undefined).catch((error: unknown) => {
    if (!(error instanceof CaretakerError && error.code === 'store-missing')) throw error;
  });
}

/** Whether a store can't take a backup only now. Whatever else it says, and what blames an input, is the user's to mend. */
function isAway(error: unknown): boolean {
  if (!(error instanceof CaretakerError) || error.input !== undefined) return false;
  return ['store-unreachable', 'store-full'].includes(error.code);
}

/** Whether another backup may still be stored. */
function isOfBackup({ code }: CaretakerError): boolean {
  return /^(store-damaged|store-exists|encryption-\w+|disk-full|file-operation-failed|host-files-denied|manifest-\w+)$/.test(
    code,
  );
}

/** Refuses where a store can't be written to. With `wait` one that is only away is passed over: the backup will wait for it. */
export async function checkStores(
  { stores, log, keys }: Pick<Tools, 'stores' | 'log' | 'keys'>,
  { wait }: { readonly wait: boolean },
): Promise<void> {
  for (const store of stores) {
    try {
      await store.check(keys.encryption === undefined ? 'write' : 'write-encrypted');
    } catch (error) {
      if (!wait || !isAway(error)) throw error;
      log.info(`${messageOf(error)}: the backup will wait for it on this host`);
    }
  }
}

/** Backups that a store lacks, and what it said. */
interface Lack {
  readonly error: CaretakerError;
  readonly backups: string[];
}

/**
 * Stores what waits for the stores of this run, oldest first. What has reached all that it waited for leaves the queue; where it was made only to be stored, it leaves this host too.
 * A store that fails is not asked again for what is left. `own`, the backup of this run, must reach all stores: throws `backup-unstored`, or warns with
 * `onFailure: warn`. What earlier runs left is only warned of: they have failed themselves.
 */
export async function storeUnstored(
  tools: Tools,
  { own, onFailure }: { readonly own: string | undefined; readonly onFailure: 'fail' | 'warn' },
): Promise<void> {
  const { project, stores, recorder } = tools;
  const { stateDirectory } = project;
  const lacks = new Map<string, Lack>();
  const open = {
    plain: once((store: Store) => store.check('write')),
    encrypted: once((store: Store) => store.check('write-encrypted')),
  };
  const closed = new Map<Store, CaretakerError>();

  for (const { backup, stores: names, encrypted = false } of await unstored(stateDirectory)) {
    recorder.acted = true;
    let lacking = names;
    let stays = false;
    if (names.length > 0) {
      const captured = await capturedOrGone(tools, { backup, stores: names });
      if (captured === null) continue;
      stays = captured.manifest.reason !== 'backup';
      const isPlain = captured.manifest.encryption === null;
      const copied = isPlain && (encrypted || tools.keys.encryption !== undefined);
      // A run without a key must not store the rest of them plain.
      if (copied && !encrypted) await requeue(stateDirectory, backup, { encrypted: true });
      for (const store of stores.filter(({ name }) => names.includes(name))) {
        const error = closed.get(store) ?? (await reach(store, captured, copied));
        if (error === undefined) {
          lacking = lacking.filter((name) => name !== store.name);
          await requeue(stateDirectory, backup, lacking.length === 0 && stays ? null : { stores: lacking });
          continue;
        }
        const { backups } = lacks.get(store.name) ?? { backups: [] };
        lacks.set(store.name, { error, backups: [...backups, backup] });
      }
    }
    if (lacking.length > 0) continue;
    await dropCopy(stateDirectory, backup);
    if (stays) continue;
    await dropLocal(tools, backup);
    await requeue(stateDirectory, backup, null);
  }
  await tell();

  /** Undefined where the store has it now. `copied`: an encrypted copy goes there, made when a store can take it. */
  async function reach(store: Store, kept: CapturedBackup, copied: boolean): Promise<CaretakerError | undefined> {
    const { name, encryption } = kept.manifest;
    const isOwn = name === own;
    try {
      await (copied || encryption !== null ? open.encrypted : open.plain)(store);
      const captured = copied ? await encryptedCopy(tools, kept) : kept;
      if (!isOwn) {
        if (await holds(tools, store, captured)) return undefined;
        // Linked into a folder on the same filesystem, it would not be read.
        if (store.kind === 'folder') await refuseChanged(captured);
      }
      const title = isOwn ? `Store in ${store.name}` : `Store ${name}, of an earlier run, in ${store.name}`;
      const place = await storeBackup(tools, captured, store, title);
      if (isOwn) recorder.stored.push(place);
      return undefined;
    } catch (error) {
      if (!(error instanceof CaretakerError) || error.code === 'cancelled') throw error;
      if (!isOfBackup(error)) closed.set(store, error);
      return error;
    }
  }

  async function tell(): Promise<void> {
    const ours = stores.map(({ name }) => name);
    for (const [store, { error, backups }] of lacks) {
      const others = backups.filter((name) => name !== own);
      if (others.length > 0) recorder.warn(`${waiting(others, store)}: ${said(error)}.`);
    }
    for (const [store, backups] of byStore(await unstored(stateDirectory))) {
      if (ours.includes(store)) continue;
      recorder.warn(
        `${waiting(backups, store)}, which is not among the stores of this run: ${NEXT}. To give it up, take it out of ${fileIn(stateDirectory)}.`,
      );
    }
    const failed = [...lacks].filter(([, { backups }]) => own !== undefined && backups.includes(own));
    const [first] = failed;
    if (own === undefined || first === undefined) return;
    const why = failed.map(([store, { error }]) => `${store}: ${said(error)}`).join('; ');
    const text = `${own} could not be stored in ${why}. It lies whole in ${localDirectory(stateDirectory)} on this host, and ${NEXT}`;
    const { error } = first[1];
    if (onFailure === 'warn') recorder.warn(`${text}.`);
    else
      throw new CaretakerError('backup-unstored', text, {
        ...(error.hint === undefined ? {} : { hint: error.hint }),
        cause: error,
      });
  }
}

/** For other runs than those that store: a line for each store that something waits for. */
export function whatWaits(entries: readonly Unstored[]): readonly string[] {
  return [...byStore(entries)].map(([store, backups]) => `${waiting(backups, store)}: ${NEXT}.`);
}

const NEXT = 'the next backup or update with that store stores it';

function waiting(backups: readonly string[], store: string): string {
  return `${backups.join(', ')} ${backups.length === 1 ? 'waits' : 'wait'} on this host for ${store}`;
}

function said({ message, code }: CaretakerError): string {
  return `${message} (${code})`;
}

function byStore(entries: readonly Unstored[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { backup, stores } of entries) {
    for (const store of stores) found.set(store, [...(found.get(store) ?? []), backup]);
  }
  return found;
}

/** What lay on this host since an earlier run must be what it was. Throws `store-damaged`. */
async function refuseChanged({ files }: CapturedBackup): Promise<void> {
  for (const file of files) {
    const sha256 = await digestOf(file.path).catch((error: unknown) => {
      throw fileError(`read ${file.path}`, error);
    });
    if (sha256 === file.sha256) continue;
    throw new CaretakerError('store-damaged', `failed to store ${file.path}: its SHA-256 is not the one that it had`, {
      hint: 'It was changed on this host, by a disk or a hand. Take another backup, and look at the machine’s memory and disk.',
    });
  }
}

/** Null where it can't be read, and, out of the queue, where somebody has removed it from this host. */
async function capturedOrGone(
  { project, recorder }: Tools,
  { backup, stores }: Unstored,
): Promise<CapturedBackup | null> {
  try {
    return await capturedIn(localDirectory(project.stateDirectory), backup);
  } catch (error) {
    if (error instanceof CaretakerError && error.code === 'store-missing') {
      recorder.warn(`${error.message}: ${stores.join(', ')} will not get it.`);
      await requeue(project.stateDirectory, backup, null);
    } else if (error instanceof CaretakerError || error instanceof SyntaxError) {
      recorder.warn(`${waiting([backup], stores.join(', '))}, and its manifest can't be read: ${error.message}.`);
    } else throw error;
    return null;
  }
}

/**
 * Whether a store has the backup already: it is not known to a run that was killed before it could note it. Where listing needs a permission that is not given, it is not known
 * here either, and the backup is stored again.
 */
async function holds({ project }: Tools, store: Store, { manifest, files }: CapturedBackup): Promise<boolean> {
  try {
    const found = (await store.list(project.name)).find(({ name }) => name === manifest.name);
    // Somebody may have removed a part of it since.
    if (found === undefined || !files.every(({ name }) => found.files.includes(name))) return false;
    return openManifest(await store.readManifest(found), manifest.name).digest === manifest.digest;
  } catch (error) {
    if (error instanceof CaretakerError && error.code === 'store-denied') return false;
    throw error;
  }
}

/** Does it for each key once, whatever comes of it. */
function once<K>(work: (key: K) => Promise<void>): (key: K) => Promise<void> {
  const done = new Map<K, Promise<void>>();
  return (key) => {
    const before = done.get(key) ?? work(key);
    done.set(key, before);
    return before;
  };
}
