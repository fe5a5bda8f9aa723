import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { parseSettings, projectDirectoryOf, type Environment } from './parse.ts';
import type { Settings } from './settings.ts';
import { CONFIG_FILE, withFile, type RawInputs } from './sources.ts';

/** The real file system's part of the environment. */
export function environmentOf(options: Omit<Environment, 'kindOf'>): Environment {
  return { ...options, kindOf };
}

/** Typed values over caretaker.yml over defaults, parsed. Throws CaretakerErrors with all problems at once. */
export function loadSettings(typed: RawInputs, environment: Environment): Settings {
  const file = path.join(projectDirectoryOf(typed, environment), CONFIG_FILE);
  const text = environment.kindOf(file) === 'file' ? readFileSync(file, 'utf8') : undefined;
  return parseSettings(withFile(typed, file, text), environment);
}

function kindOf(file: string): 'file' | 'directory' | null {
  const stats = statSync(file, { throwIfNoEntry: false });
  if (stats === undefined) return null;
  return stats.isDirectory() ? 'directory' : 'file';
}
