import { lstatSync, statSync } from 'node:fs';
import path from 'node:path';
import { CaretakerError, messageOf } from '../errors.ts';
import { readSmall } from '../system/files.ts';
import { isStrangers, NotAFile } from '../system/strangers.ts';
import { parseSettings, projectDirectoryOf, type Environment } from './parse.ts';
import type { Settings } from './settings.ts';
import { CONFIG_FILE, invalidFile, withFile, type RawInputs } from './sources.ts';

/** The real file system's part of the environment. */
export function environmentOf(options: Omit<Environment, 'kindOf'>): Environment {
  return { ...options, kindOf };
}

/**
 * Typed values over caretaker.yml over defaults, parsed. Throws CaretakerErrors with all problems at once, `path-unreadable` at the
 * first path that this user can't look at, `config-misnamed`, `config-unsafe`, and `config-file-invalid` for what is no file of at most 1 MiB.
 */
export function loadSettings(typed: RawInputs, environment: Environment): Settings {
  const directory = projectDirectoryOf(typed, environment);
  const file = path.join(directory, CONFIG_FILE);
  // Whatever has that name is meant to be read: a directory or a link to nowhere is an error, not an absent file.
  const there = isThere(file);
  if (there) refuseStrangers(directory, file);
  const text = there ? readable(file, () => readConfig(file).toString()) : undefined;
  const other = path.join(directory, MISNAMED);
  if (text === undefined && isThere(other)) {
    throw new CaretakerError('config-misnamed', `${other} is not read: the settings' file is ${CONFIG_FILE}`, {
      hint: `Rename it to ${CONFIG_FILE}.`,
    });
  }
  return parseSettings(withFile(typed, file, text), environment);
}

/** A version of the code may bring anything by that name. Throws `NotAFile`, or what the system says. */
export function readConfig(file: string): Buffer {
  return readSmall(file, MOST_BYTES);
}

const MOST_BYTES = 1024 * 1024;

const MISNAMED = 'caretaker.yaml';

/** It says which commands run. Whose it is does not matter where only those who are trusted could put it there. */
function refuseStrangers(directory: string, file: string): void {
  const [place, ...found] = readable(file, () => [statSync(directory), lstatSync(file), statSync(file)] as const);
  const owner = found.find((one) => isStrangers(one, place));
  if (owner === undefined || (place.mode & 0o022) === 0) return;
  throw new CaretakerError(
    'config-unsafe',
    `${file} is not read: it belongs to user ${owner.uid}, and others may write to ${directory}`,
    {
      hint: `It says which commands are run. Look at it, then give it to the user who runs this or to the owner of the directory, and let nobody else write there: chmod go-w ${directory}.`,
    },
  );
}

function isThere(file: string): boolean {
  try {
    return lstatSync(file, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    // Below a project directory that is a file: what is wrong with that is told by whoever checks it.
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return false;
    return readable(file, () => {
      throw error;
    });
  }
}

function kindOf(file: string): 'file' | 'directory' | null {
  // Undefined for ENOENT and ENOTDIR only: what may not be seen is not simply missing.
  const stats = readable(file, () => statSync(file, { throwIfNoEntry: false }));
  if (stats === undefined) return null;
  return stats.isDirectory() ? 'directory' : 'file';
}

function readable<T>(file: string, look: () => T): T {
  try {
    return look();
  } catch (error) {
    if (error instanceof NotAFile) throw invalidFile(file, error.message);
    throw new CaretakerError('path-unreadable', `failed to look at ${file}: ${messageOf(error)}`, {
      hint: 'The user who runs this must be able to read it and to enter every directory above it. Check project-directory and the paths in the settings, too.',
      cause: error,
    });
  }
}
