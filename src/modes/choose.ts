import path from 'node:path';
import { CaretakerError } from '../errors.ts';
import { openManifest, type Manifest } from '../archive/manifest.ts';
import type { ByteTransform } from '../encryption/encryption.ts';
import type { BackupChoice } from '../settings/backup-choice.ts';
import type { Store, StoredBackup } from '../stores/store.ts';
import { unlock, warnOfPlain } from './keys.ts';
import { here, madeElsewhere } from './made-at.ts';
import { isMisdated, misdatedText } from './order.ts';
import type { Tools } from './tools.ts';

export interface ChosenBackup {
  readonly store: Store;
  readonly backup: StoredBackup;
  readonly manifest: Manifest;
  /** For its parts; undefined where they are not encrypted. */
  readonly decrypt: ByteTransform | undefined;
}

/** A backup as some store lists it. */
interface Candidate {
  readonly store: Store;
  readonly backup: StoredBackup;
}

/**
 * Finds the backup that is meant. A name, an id or a path is looked for in the user's stores and then among the local safety backups; what is only described (`latest`, before a time, of a version) in the
 * user's stores alone, where there are any: a safety backup holds what somebody wanted to get away from. Of several copies of one backup that in the store named first is
 * taken. `anywhere`: nothing tells yet how the project is called, so that a name or an id may be another's, too. One that is missing or ambiguous lists the candidates: `backup-not-found`, `backup-ambiguous`.
 * What is only described may be another host's, which stores under the same project name: a warning; with `inPlace`, where it would replace live data, `backup-ambiguous` if there is one that was made here, too.
 * Of an encrypted one it is certain that it can be decrypted: throws what `unlock` throws.
 */
export async function chooseBackup(
  tools: Tools,
  wanted: BackupChoice,
  openFolder: (directory: string) => Store,
  { anywhere = false, inPlace = false }: { readonly anywhere?: boolean; readonly inPlace?: boolean } = {},
): Promise<ChosenBackup> {
  const { project } = tools;
  const manifestAt = wanted.by === 'path' && wanted.path.endsWith('.manifest.json') ? wanted.path : undefined;
  const stores =
    wanted.by === 'path'
      ? [openFolder(manifestAt === undefined ? wanted.path : path.dirname(manifestAt))]
      : [...tools.stores, tools.local];

  // A folder that is given outright may hold another project's backup: the confirmation and the parts' origins decide then.
  const ofAll = wanted.by === 'path' || (anywhere && (wanted.by === 'name' || wanted.by === 'id'));
  const candidates: Candidate[] = [];
  for (const store of stores) {
    await store.check('read');
    for (const backup of await store.list(ofAll ? undefined : project.name)) candidates.push({ store, backup });
  }
  candidates.sort((one, other) => other.backup.createdAt.getTime() - one.backup.createdAt.getTime());
  const described = candidates.filter(({ store }) => store !== tools.local || tools.stores.length === 0);

  const chosen = await choose();
  if (chosen === undefined) throw missing(wanted.text, project.name, candidates, anywhere);
  if (['latest', 'version', 'path'].includes(wanted.by) && manifestAt === undefined) refuseMisdated(chosen);
  const manifest = openManifest(await chosen.store.readManifest(chosen.backup), chosen.backup.name);
  if (wanted.by !== 'name' && wanted.by !== 'id' && manifestAt === undefined) await tellOfOthers(chosen, manifest);
  warnOfPlain(tools, manifest, chosen.store);
  return { ...chosen, manifest, decrypt: await unlock(tools, manifest) };

  /** By its date it comes first, and perhaps it is the oldest. */
  function refuseMisdated({ store, backup }: Candidate): void {
    const now = tools.clock.now();
    if (candidates.length === 1 || !isMisdated(backup, now)) return;
    throw new CaretakerError(
      'backup-ambiguous',
      `which backup "${wanted.text}" means can't be told: ${misdatedText(backup, store.name, now)}`,
      {
        input: 'backup',
        hint: `Set the clock, where it is wrong, or give the backup by its name:\n${linesOf(candidates).join('\n')}`,
      },
    );
  }

  async function tellOfOthers({ store }: Candidate, manifest: Manifest): Promise<void> {
    const theirs = await madeElsewhere(project, manifest);
    if (theirs === null) return;
    const ours = inPlace && wanted.by !== 'path' ? await newestOfOurs(tools, described) : undefined;
    if (ours === undefined) {
      tools.recorder.warn(`${manifest.name} was made ${theirs}, and not here (${here(project)}).`);
      return;
    }
    throw new CaretakerError(
      'backup-ambiguous',
      `"${wanted.text}" means ${manifest.name} (${store.name}), which was made ${theirs}, and there are others that were made here, ${here(project)}: ${ours.backup.name}`,
      {
        input: 'backup',
        hint: `Give the one that is meant by its name. Hosts that keep data of their own under one project name need a store each, or another project-name.\n${linesOf(described).join('\n')}`,
      },
    );
  }

  async function choose(): Promise<Candidate | undefined> {
    switch (wanted.by) {
      case 'latest':
        return described[0];
      case 'before':
        return described.find(({ backup }) => backup.createdAt < wanted.at);
      case 'age':
        return described.find(({ backup }) => backup.createdAt.getTime() <= tools.clock.now().getTime() - wanted.ms);
      case 'version':
        return newestOf(tools, described, wanted.version);
      case 'name':
        return candidates.find(({ backup }) => backup.name === wanted.text);
      case 'id':
        return withId(candidates, wanted.text);
      case 'path':
        return manifestAt === undefined
          ? candidates[0]
          : candidates.find(({ backup }) => backup.name === path.basename(manifestAt, '.manifest.json'));
    }
  }
}

/** Each is a download where the store is remote, and a host that still makes backups has one among the newest. */
const MOST_LOOKED_AT = 20;

/** The newest that was made here, as far as can be told from the newest ones' manifests. */
async function newestOfOurs({ project, log }: Tools, candidates: readonly Candidate[]): Promise<Candidate | undefined> {
  const distinct = [...Map.groupBy(candidates, ({ backup }) => backup.name).values()].flatMap(([first]) => first ?? []);
  for (const candidate of distinct.slice(0, MOST_LOOKED_AT)) {
    const { store, backup } = candidate;
    try {
      const manifest = openManifest(await store.readManifest(backup), backup.name);
      if ((await madeElsewhere(project, manifest)) === null) return candidate;
    } catch (error) {
      if (!(error instanceof CaretakerError) || error.code === 'cancelled') throw error;
      log.warn(`Where ${backup.name} (${store.name}) was made can't be told: ${error.message}`);
    }
  }
  return undefined;
}

/** Reads manifests, newest first, down to the first of that version. */
async function newestOf(
  { log }: Tools,
  candidates: readonly Candidate[],
  version: string,
): Promise<Candidate | undefined> {
  const plain = (text: string): string => text.replace(/^v(?=\d)/i, '');
  for (const candidate of candidates) {
    const { store, backup } = candidate;
    try {
      const { tag, describe, commit } = openManifest(await store.readManifest(backup), backup.name).version;
      const isCommit = /^[0-9a-f]{7,40}$/.test(version) && commit?.startsWith(version) === true;
      if (isCommit || [tag, describe].some((name) => name !== null && plain(name) === plain(version))) return candidate;
    } catch (error) {
      if (!(error instanceof CaretakerError) || error.code === 'cancelled') throw error;
      log.warn(`Whether ${backup.name} (${store.name}) is of ${version} can't be told: ${error.message}`);
    }
  }
  return undefined;
}

function withId(candidates: readonly Candidate[], id: string): Candidate | undefined {
  const ofRun = candidates.filter(({ backup }) => String(backup.runId) === id);
  const distinct = new Set(ofRun.map(({ backup }) => backup.name));
  if (distinct.size > 1) {
    throw new CaretakerError(
      'backup-ambiguous',
      `run ${id} stored ${distinct.size} backups: ${[...distinct].join(', ')}`,
      { input: 'backup', hint: 'Give one of these names.' },
    );
  }
  return ofRun[0] ?? candidates.find(({ backup }) => backup.ids.includes(id));
}

function linesOf(candidates: readonly Candidate[]): string[] {
  return candidates.slice(0, 20).map(({ store, backup }) => {
    const run = backup.runId === undefined ? '' : `, run ${backup.runId}`;
    return `  ${backup.name} (${store.name}${run})`;
  });
}

function missing(wanted: string, project: string, candidates: readonly Candidate[], anywhere: boolean): CaretakerError {
  const lines = linesOf(candidates);
  return new CaretakerError(
    'backup-not-found',
    wanted === 'latest'
      ? `there is no backup of ${project} in the stores`
      : `there is no backup "${wanted}" of ${project} in the stores`,
    {
      input: 'backup',
      hint:
        lines.length === 0
          ? anywhere
            ? 'There is no compose file here, so the directory’s name was taken for the project’s. Set project-name, or give the backup by its full name; check store and github-token.'
            : 'Check store, project-name and github-token: nothing was found at all.'
          : `These are there:\n${lines.join('\n')}`,
    },
  );
}
