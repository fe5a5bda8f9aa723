import type { StoredBackup } from '../stores/store.ts';
import { openManifest } from '../archive/manifest.ts';
import { verdict, type Proof } from '../archive/proof.ts';
import { CaretakerError } from '../errors.ts';
import { madeElsewhere } from './made-at.ts';
import type { Tools } from './tools.ts';

export interface ListedBackup extends Omit<StoredBackup, 'proofs'> {
  readonly store: string;
  readonly reason: string;
  readonly version: string | null;
  readonly parts: readonly string[];
  readonly encrypted: boolean;
  /** `on server2, in /srv/uso`: where it was made; null where that is here, or can't be read. */
  readonly elsewhere: string | null;
  /** What the last drills say of it; null where none was held. */
  readonly proven: Proof | null;
  /** Set when the manifest can't be read: the backup is listed all the same, so that nobody relies on it. */
  readonly problem: string | undefined;
}

/** list: every complete backup of the project in every store, newest first. */
export async function list(tools: Pick<Tools, 'project' | 'stores' | 'local'>): Promise<readonly ListedBackup[]> {
  const listed: ListedBackup[] = [];
  for (const store of [...tools.stores, tools.local]) {
    await store.check('read');
    for (const { proofs, ...backup } of await store.list(tools.project.name)) {
      const row = { ...backup, store: store.name, proven: verdict(proofs) };
      try {
        const manifest = openManifest(await store.readManifest({ ...backup, proofs }), backup.name);
        const bytes = manifest.parts.flatMap(({ files }) => files).reduce((sum, file) => sum + file.bytes, 0);
        const { tag, describe, commit } = manifest.version;
        listed.push({
          ...row,
          bytes,
          reason: manifest.reason,
          version: tag ?? describe ?? commit,
          parts: manifest.parts.map(({ name }) => name),
          encrypted: manifest.encryption !== null,
          elsewhere: await madeElsewhere(tools.project, manifest),
          problem: undefined,
        });
      } catch (error) {
        if (!(error instanceof CaretakerError)) throw error;
        listed.push({
          ...row,
          reason: 'unknown',
          version: null,
          parts: [],
          encrypted: false,
          elsewhere: null,
          problem: `${error.code}: ${error.message}`,
        });
      }
    }
  }
  return listed.sort((one, other) => other.createdAt.getTime() - one.createdAt.getTime());
}
