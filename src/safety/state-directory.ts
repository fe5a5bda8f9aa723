import { access, stat, writeFile } from 'node:fs/promises';
import { constants, lstatSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { CaretakerError, messageOf } from '../errors.ts';
import { ensureDirectory, readText } from '../system/files.ts';
import { isStrangers } from '../system/strangers.ts';

/**
 * What a JSON file of ours holds, null where there is none. Throws `state-damaged` where it is not `whole`: a file that a disk or a hand has changed tells
 * nothing. `without`: what it means to remove it, whole sentences.
 */
export async function readStateFile<T extends object>(
  file: string,
  whole: (value: Partial<T>) => boolean,
  without: string,
): Promise<T | null> {
  const text = await readText(file);
  if (text === null) return null;
  try {
    const value = JSON.parse(text) as T | null;
    if (typeof value === 'object' && value !== null && whole(value)) return value;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new CaretakerError('state-damaged', `failed to read ${file}: it is not what was written there`, {
    hint: `Remove or mend it. ${without}`,
  });
}

/**
 * Refuses a `.caretaker/` in which another user of the host may have put what leads a run astray: one that is his, that everybody may write (or a group that may not write the project
 * directory, too), or in which something is his. Trusted are this user, root, and the owner of the project directory. One that is not there, or can't be looked at, is no danger.
 * Throws `state-directory-unsafe`.
 */
export function refuseUnsafeState(projectDirectory: string): void {
  const directory = path.resolve(projectDirectory, '.caretaker');
  const why = dangerIn(projectDirectory, directory);
  if (why === undefined) return;
  throw new CaretakerError('state-directory-unsafe', `${directory} is not used: ${why}`, {
    input: 'project-directory',
    hint: 'Look at what lies in it, and who could write there. Then give it to the user who runs this, for him alone: chown -hR USER .caretaker; chmod 700 .caretaker.',
  });
}

function dangerIn(projectDirectory: string, directory: string): string | undefined {
  try {
    const project = statSync(projectDirectory);
    const itself = lstatSync(directory);
    const { uid, gid, mode } = statSync(directory);
    for (const one of [itself, { uid }]) if (isStrangers(one, project)) return `it belongs to user ${one.uid}`;
    if ((mode & 0o002) !== 0) return 'every user may write to it';
    const alike = gid === project.gid && (project.mode & 0o020) !== 0;
    if ((mode & 0o020) !== 0 && !alike) return `group ${gid} may write to it`;
    for (const name of readdirSync(directory)) {
      const stats = lstatSync(path.join(directory, name), { throwIfNoEntry: false });
      if (stats !== undefined && isStrangers(stats, project)) return `${name} in it belongs to user ${stats.uid}`;
    }
    return undefined;
  } catch {
    return undefined; // Whoever makes it tells what is wrong.
  }
}

/**
 * Makes `.caretaker/` (mode 0700) in the project directory, with `staging/` and `backups/`, and a .gitignore by which it ignores itself:
 * the project directory may be a clone. Answers with its absolute path. Throws `state-directory-unsafe`, `state-directory-unwritable`.
 */
export async function ensureStateDirectory(projectDirectory: string): Promise<string> {
  const directory = path.resolve(projectDirectory, '.caretaker');
  refuseUnsafeState(projectDirectory);
  try {
    // Not with parents: a project directory that is misspelt must not come into being.
    await stat(projectDirectory);
    for (const part of ['.', 'staging', 'backups']) await ensureDirectory(path.join(directory, part));
    await access(directory, constants.W_OK | constants.X_OK);
    const ignore = path.join(directory, '.gitignore');
    // Half written, it is written again by the next run.
    if ((await readText(ignore)) !== '*\n') await writeFile(ignore, '*\n', { mode: 0o644 });
    return directory;
  } catch (error) {
    throw new CaretakerError('state-directory-unwritable', `failed to prepare ${directory}: ${messageOf(error)}`, {
      input: 'project-directory',
      hint: `The runner's user must be able to write ${directory}, which holds the lock, the journal and local backups.`,
      cause: error,
    });
  }
}
