import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { Snapshot } from '../code/git.ts';
import { CaretakerError } from '../errors.ts';
import { readText, writeAtomic } from '../system/files.ts';
import type { ImageName } from './images.ts';

/** What the last update changed: all that a rollback needs to go back before it. Plain data, in `.caretaker/last-update.json`. */
export interface LastUpdate {
  readonly run: string;
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly from: string | null;
  readonly to: string | null;
  /** What was checked out before; null where the update changed images only. */
  readonly code: Snapshot | null;
  /** What is checked out since; null where there is no clone. */
  readonly commit: string | null;
  /** The names that stood for other images before. */
  readonly images: readonly ImageName[];
  /** The safety backup taken at the stop. */
  readonly backup: string;
}

const fileIn = (stateDirectory: string): string => path.join(stateDirectory, 'last-update.json');

export async function rememberUpdate(stateDirectory: string, update: LastUpdate): Promise<void> {
  await writeAtomic(fileIn(stateDirectory), `${JSON.stringify(update, null, 2)}\n`);
}

export async function forgetUpdate(stateDirectory: string): Promise<void> {
  await rm(fileIn(stateDirectory), { force: true });
}

/** Throws `nothing-to-roll-back` where no update has been made, or the last one has been rolled back. */
export async function lastUpdate(stateDirectory: string): Promise<LastUpdate> {
  const text = await readText(fileIn(stateDirectory));
  if (text !== null) return JSON.parse(text) as LastUpdate;
  throw new CaretakerError(
    'nothing-to-roll-back',
    `there is no update to go back from: ${fileIn(stateDirectory)} is missing`,
    {
      hint: 'A rollback goes back before the last update that this program made on this host, once. To go further back, update to an older ref with allow: downgrade, and restore a backup.',
    },
  );
}
