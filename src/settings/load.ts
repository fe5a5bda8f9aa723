import { readFileSync, statSync } from 'node:fs';
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
 * Typed values over caretaker.yml over defaults, parsed. Throws CaretakerErrors with all problems at once, and `path-unreadable` at the
 * first path that this user can't look at.
 */
export function loadSettings(typed: RawInputs, environment: Environment): Settings {
  const file = path.join(projectDirectoryOf(typed, environment), CONFIG_FILE);
  const text = environment.kindOf(file) === 'file' ? readable(file, () => readFileSync(file, 'utf8')) : undefined;
  return parseSettings(withFile(typed, file, text), environment);
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
