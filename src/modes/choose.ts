import path from 'node:path';
import { CaretakerError } from '../errors.ts';
import { parseManifest, type Manifest } from '../archive/manifest.ts';
import type { Store, StoredBackup } from '../stores/store.ts';
import type { Tools } from './tools.ts';

export interface ChosenBackup {
  readonly store: Store;
  readonly backup: StoredBackup;
  readonly manifest: Manifest;
}

/**
 * Finds the backup that `wanted` means: `latest`, a name, the id of the workflow run that stored it, or a folder (or manifest file) on this host.
 * Looks in the user's stores first, then among the local safety backups. One that is missing or ambiguous lists the candidates.
 */
export async function chooseBackup(
  tools: Tools,
  wanted: string,
  openFolder: (directory: string) => Store,
): Promise<ChosenBackup> {
  const { project } = tools;
  const isPath = wanted.includes('/');
  const file = isPath ? path.resolve(project.directory, wanted) : undefined;
  const isManifest = file?.endsWith('.manifest.json') ?? false;
  const stores =
    file === undefined ? [...tools.stores, tools.local] : [openFolder(isManifest ? path.dirname(file) : file)];
  const name = isManifest && file !== undefined ? path.basename(file, '.manifest.json') : wanted;

  const candidates: { store: Store; backup: StoredBackup }[] = [];
  for (const store of stores) {
    await store.check('read');
    // A folder or name given outright may hold another project's backup: the confirmation and the parts' origins decide then.
    for (const backup of await store.list(isPath ? undefined : project.name)) candidates.push({ store, backup });
  }
  candidates.sort((one, other) => other.backup.createdAt.getTime() - one.backup.createdAt.getTime());

  const fits = candidates.filter(({ store, backup }) => {
    if (wanted === 'latest') return store !== tools.local || tools.stores.length === 0;
    if (isPath && !isManifest) return true;
    return /^[0-9]+$/.test(wanted) ? String(backup.runId) === wanted : backup.name === name;
  });
  const chosen = fits[0];
  if (chosen === undefined) throw missing(wanted, project.name, candidates);
  const distinct = new Set(fits.map(({ backup }) => backup.name));
  if (distinct.size > 1 && /^[0-9]+$/.test(wanted)) {
    throw new CaretakerError(
      'backup-ambiguous',
      `run ${wanted} stored ${distinct.size} backups: ${[...distinct].join(', ')}`,
      {
        input: 'backup',
        hint: 'Give one of these names.',
      },
    );
  }
  const manifest = parseManifest(await chosen.store.readManifest(chosen.backup));
  return { ...chosen, manifest };
}

function missing(
  wanted: string,
  project: string,
  candidates: readonly { store: Store; backup: StoredBackup }[],
): CaretakerError {
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
          ? 'Check store, project-name and github-token: nothing was found at all.'
          : `These are there:\n${lines.join('\n')}`,
    },
  );
}
