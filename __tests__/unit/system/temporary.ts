import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach } from '@jest/globals';

/** In memory where there is such a place: for tests with thousands of fsyncs. */
export const inMemory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** New directories, removed after each test of the file that asks. */
export function temporaryDirectories(base = tmpdir()): () => string {
  const made: string[] = [];
  afterEach(() => {
    for (const directory of made.splice(0)) rmSync(directory, { recursive: true, force: true });
  });
  return () => {
    const directory = mkdtempSync(path.join(base, 'caretaker-test-'));
    made.push(directory);
    return directory;
  };
}
