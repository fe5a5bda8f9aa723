import path from 'node:path';
import { CaretakerError } from '../errors.ts';
import { openManifest, type Manifest } from '../archive/manifest.ts';
import type { BackupChoice } from '../settings/backup-choice.ts';
import type { Store, StoredBackup } from '../stores/store.ts';
import type { Tools } from './tools.ts';

export interface ChosenBackup {
  readonly store: Store;
  readonly backup: StoredBackup;
  readonly manifest: Manifest;
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
 */
export async function chooseBackup(
  tools: Tools,
  wanted: BackupChoice,
  openFolder: (directory: string) => Store,
  { anywhere = false }: { readonly anywhere?: boolean } = {},
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
  return { ...chosen, manifest: openManifest(await chosen.store.readManifest(chosen.backup)) };

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
      const { tag, describe, commit } = openManifest(await store.readManifest(backup)).version;
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

function missing(wanted: string, project: string, candidates: readonly Candidate[], anywhere: boolean): CaretakerError {
  const lines = candidates.slice(0, 20).map(({ store, backup }) => {
    const run = backup.runId === undefined ? '' : `, run ${backup.runId}`;
    return `  ${backup.name} (${store.name}${run})`;
  });
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
