import { createHash } from 'node:crypto';
import type { BackupName } from './manifest.ts';

/**
 * Names of backups and of their files. They are file names, artifact names (which may not hold `" : < > | * ? \ /`) and
 * parts of S3 keys at once, so they hold lower-case letters, digits, `_`, `-`, the stamp's `T` and `Z`, and dots between.
 */
const NAME = /^([a-z0-9][a-z0-9_-]{0,62})-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;
const PART_NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const SUFFIX = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/;

export const MANIFEST_SUFFIX = '.manifest.json';
export const INSTRUCTIONS_SUFFIX = '.RESTORE.md';

/** Lower-case letters, digits, `_` and `-`, beginning with a letter or digit, at most 63 characters; `project` where nothing is left. */
export function sanitizeProject(project: string): string {
  const plain = project
    .toLowerCase()
    .replaceAll(/[^a-z0-9_-]+/g, '-')
    .replace(/^[-_]+/, '')
    .slice(0, 63)
    .replace(/[-_]+$/, '');
  return plain === '' ? 'project' : plain;
}

/** `shop-20261121T220000Z`. */
export function backupName(project: string, at: Date): BackupName {
  const stamp = at.toISOString().replaceAll(/[-:]|\.\d+/g, '');
  return `${sanitizeProject(project)}-${stamp}`;
}

/** The project and the instant, null for what is no backup's name. */
export function parseBackupName(name: string): { readonly project: string; readonly at: Date } | null {
  const match = NAME.exec(name);
  if (match === null) return null;
  const [, project, year, month, day, hour, minute, second] = match;
  const at = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  // 20260231 is well-formed and no day.
  if (Number.isNaN(at.getTime()) || !at.toISOString().startsWith(`${year}-${month}-${day}T${hour}`)) return null;
  return { project: project!, at };
}

export function isPartName(name: string): boolean {
  return PART_NAME.test(name);
}

/** `shop-20261121T220000Z.database.tar.zst`; `suffix` as a source's stream gives it (`tar`, `globals.sql`). */
export function partFile(backup: BackupName, part: string, suffix: string): string {
  if (!isPartName(part) || !SUFFIX.test(suffix)) throw new RangeError(`not a part's file name: ${part}.${suffix}`);
  return `${backup}.${part}.${suffix}.zst`;
}

/** What the stores call a part's file. */
export function storedName(file: string, { encryption }: { readonly encryption: object | null }): string {
  return encryption === null ? file : `${file}.age`;
}

export function manifestFile(backup: BackupName): string {
  return backup + MANIFEST_SUFFIX;
}

export function instructionsFile(backup: BackupName): string {
  return backup + INSTRUCTIONS_SUFFIX;
}

/** True for a file name that a part of this name in this backup may have: a plain base name, never a path. */
export function isPartFileName(file: string, backup: BackupName, part: string): boolean {
  const start = `${backup}.${part}.`;
  return file.startsWith(start) && file.endsWith('.zst') && SUFFIX.test(file.slice(start.length, -'.zst'.length));
}

/** The backup that a manifest's file name belongs to, null for any other name. */
export function backupOfManifest(file: string): BackupName | null {
  if (!file.endsWith(MANIFEST_SUFFIX)) return null;
  const name = file.slice(0, -MANIFEST_SUFFIX.length);
  return parseBackupName(name) === null ? null : name;
}

/**
 * The suffix of a database's dump: `app.dump`; where the name has characters that a file's must not have, what is
 * left of it and a piece of its digest, so that two databases never share one.
 */
export function dumpSuffix(database: string): string {
  if (/^[a-z0-9_-]{1,40}$/.test(database)) return `${database}.dump`;
  const plain = database
    .toLowerCase()
    .replaceAll(/[^a-z0-9_-]+/g, '_')
    .slice(0, 40);
  return `${plain}-${createHash('sha256').update(database).digest('hex').slice(0, 8)}.dump`;
}
