import { join } from 'node:path';
import type { HostFiles } from '../runtimes/host-files.ts';
import type { Project } from './project.ts';

/** A project known by its name alone, where nothing of it runs or is to be looked at: a machine that only reads its backups. */
export function createBareProject(name: string, directory: string, files: HostFiles): Project {
  const none = (): Promise<never> => Promise.reject(new TypeError(`nothing of ${name} is on this machine`));
  return {
    ...{ name, directory, files, engine: null, bare: true as const },
    stateDirectory: join(directory, '.caretaker'),
    services: () => Promise.resolve([]),
    containers: () => Promise.resolve([]),
    running: () => Promise.resolve(false),
    configurationFiles: () => Promise.resolve([]),
    secretFiles: () => Promise.resolve([]),
    lastWords: () => Promise.resolve([]),
    stop: () => Promise.resolve([]),
    ...{ start: none, up: none, look: none },
  };
}
