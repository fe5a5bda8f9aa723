import { rm } from 'node:fs/promises';
import path from 'node:path';
import { readStateFile } from '../safety/state-directory.ts';
import { writeAtomic } from '../system/files.ts';

/** A version that was tried and did not do: what only follows passes it over until there is another. In `.caretaker/avoided.json`. */
export interface Avoided {
  readonly commit: string;
  readonly label: string;
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly why: string;
}

const fileIn = (stateDirectory: string): string => path.join(stateDirectory, 'avoided.json');

export async function avoid(stateDirectory: string, version: Avoided): Promise<void> {
  await writeAtomic(fileIn(stateDirectory), `${JSON.stringify(version, null, 2)}\n`);
}

export async function avoidNothing(stateDirectory: string): Promise<void> {
  await rm(fileIn(stateDirectory), { force: true });
}

/** Throws `state-damaged`. */
export function avoided(stateDirectory: string): Promise<Avoided | null> {
  return readStateFile<Avoided>(
    fileIn(stateDirectory),
    ({ commit, label, at, why }) => [commit, label, at, why].every((field) => typeof field === 'string'),
    'Without it a version that did not do is tried once more.',
  );
}
