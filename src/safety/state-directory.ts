import { access, stat, writeFile } from 'node:fs/promises';
import { constants } from 'node:fs';
import path from 'node:path';
import { CaretakerError, messageOf } from '../errors.ts';
import { ensureDirectory, readText } from '../system/files.ts';

/**
 * Makes `.caretaker/` (mode 0700) in the project directory, with `staging/` and `backups/`, and a .gitignore by which it ignores itself:
 * the project directory may be a clone. Answers with its absolute path. Throws `state-directory-unwritable`.
 */
export async function ensureStateDirectory(projectDirectory: string): Promise<string> {
  const directory = path.resolve(projectDirectory, '.caretaker');
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
