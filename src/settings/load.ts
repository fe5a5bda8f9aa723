import { lstatSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { CaretakerError, messageOf } from '../errors.ts';
import { parseSettings, projectDirectoryOf, type Environment } from './parse.ts';
import type { Settings } from './settings.ts';
import { CONFIG_FILE, withFile, type RawInputs } from './sources.ts';

/** The real file system's part of the environment. */
export function environmentOf(options: Omit<Environment, 'kindOf'>): Environment {
  return { ...options, kindOf };
}

/**
 * Typed values over caretaker.yml over defaults, parsed. Throws CaretakerErrors with all problems at once, `path-unreadable` at the
 * first path that this user can't look at, and `config-misnamed`.
 */
export function loadSettings(typed: RawInputs, environment: Environment): Settings {
  const directory = projectDirectoryOf(typed, environment);
  const file = path.join(directory, CONFIG_FILE);
  // Whatever has that name is meant to be read: a directory or a link to nowhere is an error, not an absent file.
  const text = isThere(file) ? readable(file, () => readFileSync(file, 'utf8')) : undefined;
  const other = path.join(directory, MISNAMED);
  if (text === undefined && isThere(other)) {
    throw new CaretakerError('config-misnamed', `${other} is not read: the settings' file is ${CONFIG_FILE}`, {
      hint: `Rename it to ${CONFIG_FILE}.`,
    });
  }
  return parseSettings(withFile(typed, file, text), environment);
}

const MISNAMED = 'caretaker.yaml';

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
    throw new CaretakerError('path-unreadable', `failed to look at ${file}: ${messageOf(error)}`, {
      hint: 'The user who runs this must be able to read it and to enter every directory above it. Check project-directory and the paths in the settings, too.',
      cause: error,
    });
  }
}
