import { partReader } from '../archive/parts.ts';
import { createHash } from 'node:crypto';
import { chown, lstat, mkdir, realpath, rm, rmdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { secretsOf } from '../report/redact.ts';
import { MAX_FILE_BYTES, missingFiles, readProjectFiles, type ProjectFile } from '../sources/project-files.ts';
import { isReserved, within } from '../sources/places.ts';
import { fileError, readSmall, removeTemporaries, writeAtomic } from '../system/files.ts';
import { NotAFile } from '../system/strangers.ts';

import type { ChosenBackup } from './choose.ts';
import { fetchParts } from './fetch.ts';
import type { Tools } from './tools.ts';

/** Files and directories that were not there before; relative to the project directory. Plain data for the journal. */
export interface WrittenFiles {
  readonly files: readonly { readonly path: string; readonly sha256: string }[];
  /** Outer ones first. */
  readonly directories: readonly string[];
}

/**
 * Writes those of the project's own files that are not there: compose files, `.env`, what was mounted beside them. What is there stays as it is, with a warning where the backup has
 * something else. Answers with how many were written.
 */
export async function bringProjectFiles(tools: Tools, chosen: ChosenBackup): Promise<number> {
  const { project, recorder, saga, log } = tools;
  const directory = path.join(project.stateDirectory, 'staging', `${tools.run}-project-files`);
  const parts = chosen.manifest.parts.filter(({ kind }) => kind === 'project-files');
  if (parts.length === 0) return 0;
  const files: ProjectFile[] = [];
  try {
    await recorder.step('Fetch and verify the project’s own files', () => fetchParts(tools, chosen, parts, directory));
    for (const part of parts) files.push(...(await readProjectFiles(part, partReader(directory, chosen.decrypt))));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  const there = (file: string): Promise<boolean> => exists(path.join(project.directory, file));
  const missing = await missingFiles([...new Set(files.map((file) => file.path))], there);
  for (const file of files) {
    if (missing.includes(file.path)) continue;
    const now = contentAt(path.join(project.directory, file.path), file.content.length);
    if (now !== null && (now === 'other' || !now.equals(file.content)))
      recorder.warn(`${file.path} is here with another content than in ${chosen.manifest.name}, and stays as it is.`);
  }
  const wanted = files.filter((file, index) => {
    const last = files.findLastIndex((one) => one.path === file.path) === index;
    return last && missing.includes(file.path);
  });
  if (wanted.length === 0) return 0;

  for (const file of wanted) await refuseThroughLink(project.directory, path.dirname(file.path));
  const directories = await missingDirectories(
    project.directory,
    wanted.map((file) => path.dirname(file.path)),
  );
  const written: WrittenFiles = {
    files: wanted.map((file) => ({ path: file.path, sha256: sha256Of(file.content) })),
    directories,
  };
  recorder.acted = true;
  await recorder.step('Write the project’s own files', () =>
    saga.step('write the project’s own files', { undo: { action: 'files-away', data: written } }, async () => {
      const owner = await stat(project.directory);
      for (const one of directories) await mkdir(path.join(project.directory, one));
      for (const file of wanted) {
        maskSecretsOf(file, log);
        const target = path.join(project.directory, file.path);
        try {
          await writeAtomic(target, file.content, file.mode);
          if (process.getuid?.() === 0) await chown(target, owner.uid, owner.gid);
        } catch (error) {
          throw fileError(`write ${target}`, error);
        }
        log.info(`${file.path}: written`);
      }
      if (process.getuid?.() === 0)
        for (const one of directories) await chown(path.join(project.directory, one), owner.uid, owner.gid);
    }),
  );
  return wanted.length;
}

/** Undo: what was changed meanwhile is somebody's, and stays. */
export async function filesAway(
  { project, log }: Pick<Tools, 'project' | 'log'>,
  written: WrittenFiles,
): Promise<void> {
  for (const { path: file, sha256 } of written.files) {
    const target = path.join(project.directory, file);
    await removeTemporaries(path.dirname(target), path.basename(target)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
    const now = contentAt(target, MAX_FILE_BYTES);
    if (now === null) continue;
    if (now !== 'other' && sha256Of(now) === sha256) await rm(target);
    else log.warn(`${target} was changed since this run wrote it, and stays.`);
  }
  await removeEmpty(project.directory, written.directories);
}

/** What is here; null where that can't be read, `other` for what no backup has put here: more than `most` bytes, a pipe, a device. */
function contentAt(file: string, most: number): Buffer | 'other' | null {
  try {
    return readSmall(file, most);
  } catch (error) {
    return error instanceof NotAFile ? 'other' : null;
  }
}

/** Those of these directories that are not there, with their parents, outer ones first; relative to `root` all. */
export async function missingDirectories(root: string, wanted: readonly string[]): Promise<string[]> {
  const missing = new Set<string>();
  for (const one of wanted) {
    const names = one.split('/').filter((name) => name !== '' && name !== '.');
    for (let at = 1; at <= names.length; at++) {
      const part = names.slice(0, at).join('/');
      if (!(await exists(path.join(root, part)))) missing.add(part);
    }
  }
  return [...missing].sort((one, other) => one.split('/').length - other.split('/').length);
}

/** Inner ones first. One that holds something, or can't be removed, stays. */
export async function removeEmpty(root: string, directories: readonly string[]): Promise<void> {
  for (const one of directories.toReversed()) await rmdir(path.join(root, one)).catch(() => undefined);
}

/** A directory of the clone may be a link to elsewhere; the path comes from outside. */
async function refuseThroughLink(root: string, directory: string): Promise<void> {
  const place = path.join(root, directory);
  if (!(await exists(place))) {
    if (directory !== '.') await refuseThroughLink(root, path.dirname(directory));
    return;
  }
  const [top, real] = await Promise.all([realpath(root), realpath(place)]);
  const inProject = within(top, real);
  if (inProject === undefined)
    throw fileError(`write into ${place}`, new Error(`it leads to ${real}, outside of the project`));
  if (isReserved(inProject))
    throw fileError(`write into ${place}`, new Error(`it leads to ${real}, which is nobody’s configuration`));
}

/** No container runs yet whose environment would tell what is secret. */
function maskSecretsOf({ content }: ProjectFile, log: Tools['log']): void {
  if (content.length > 64 * 1024) return;
  for (const line of content.toString('utf8').split('\n')) {
    const [, name = '', value = ''] = /^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*["']?(.*?)["']?\s*$/.exec(line) ?? [];
    for (const secret of secretsOf({ [name]: value })) log.mask(secret);
  }
}

const sha256Of = (content: Buffer): string => createHash('sha256').update(content).digest('hex');

/** A link that leads nowhere is there, too. */
async function exists(file: string): Promise<boolean> {
  return (await lstat(file).catch(() => null)) !== null;
}
