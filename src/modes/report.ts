import { instructionsFile, manifestFile } from '../archive/names.ts';
import type { Manifest } from '../archive/manifest.ts';
import type { RunReport } from '../report/run-report.ts';
import type { BackupOutcome } from './backup.ts';
import type { ListedBackup } from './list.ts';
import type { RestoreOutcome } from './restore.ts';
import type { RollbackOutcome } from './rollback.ts';
import type { Tools } from './tools.ts';
import type { UpdateOutcome } from './update.ts';
import type { VerifyOutcome } from './verify.ts';

/** What a mode answered, for the report. */
export type ModeOutcome =
  | ({ readonly mode: 'backup' } & BackupOutcome)
  | ({ readonly mode: 'update' | 'rehearse' } & UpdateOutcome)
  | ({ readonly mode: 'rollback' } & RollbackOutcome)
  | ({ readonly mode: 'restore' } & RestoreOutcome)
  | ({ readonly mode: 'verify' } & VerifyOutcome);

type Sections = Pick<RunReport, 'backup' | 'left' | 'update' | 'restore' | 'verify' | 'restoreInstructions'>;

/** The report's sections of one mode. */
export function sectionsOf(outcome: ModeOutcome, { recorder, project }: Pick<Tools, 'recorder' | 'project'>): Sections {
  switch (outcome.mode) {
    case 'backup':
      return backupSections(outcome.captured.manifest, recorder.stored, project.directory);
    case 'update':
    case 'rehearse': {
      const images = outcome.changed.map(({ service, from, to }) => ({ service, from, to }));
      const changedServices = images.map(({ service }) => service);
      const update = { from: outcome.from, to: outcome.to, changedServices, images };
      if (outcome.captured === undefined) return { update };
      return { update, ...backupSections(outcome.captured.manifest, recorder.stored, project.directory) };
    }
    case 'rollback': {
      const { update, restored, captured } = outcome;
      const versions = { update: { from: update.to, to: update.from, changedServices: [] } };
      if (captured !== undefined) return versions;
      return {
        ...versions,
        restore: { backup: restored ?? update.backup, parts: [], safetyBackup: recorder.safetyBackup },
      };
    }
    case 'verify':
      return { verify: { backup: outcome.chosen.manifest.name, level: outcome.level, proven: outcome.proven } };
    case 'restore': {
      const { chosen, parts } = outcome;
      return { restore: { backup: chosen.manifest.name, parts, safetyBackup: recorder.safetyBackup } };
    }
  }
}

function backupSections(
  manifest: Manifest,
  stores: readonly { readonly name: string; readonly url: string | undefined }[],
  directory: string,
): Sections {
  const parts = manifest.parts.map(({ name, kind, method, files, seconds, consistency }) => ({
    ...{ name, kind, method, seconds, consistency },
    bytes: files.reduce((sum, file) => sum + file.bytes, 0),
    rawBytes: files.reduce((sum, file) => sum + file.rawBytes, 0),
  }));
  const total = (key: 'bytes' | 'rawBytes'): number => parts.reduce((sum, part) => sum + part[key], 0);
  return {
    backup: { name: manifest.name, parts, stores, bytes: total('bytes'), rawBytes: total('rawBytes') },
    left: manifest.left,
    restoreInstructions: {
      command: `compose-caretaker restore --project-directory ${quoted(directory)} --backup ${manifest.name} --confirm ${manifest.project}`,
      file: instructionsFile(manifest.name),
    },
  };
}

/** For a shell. */
export function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

export function listSection(listed: readonly ListedBackup[]): Pick<RunReport, 'backups'> {
  return {
    backups: listed.map(({ createdAt, expiresAt, project: _ours, ids: _files, ...backup }) => ({
      ...backup,
      createdAt: createdAt.toISOString(),
      expiresAt: expiresAt?.toISOString(),
    })),
  };
}

/** The action's outputs, by name; all are texts. Made of the report and nothing else. */
export function outputsOf(report: RunReport, artifactIds: readonly string[]): Readonly<Record<string, string>> {
  const { backup, update, restore, verify, backups, downtimeSeconds = 0, outcome } = report;
  const name = backup?.name ?? restore?.backup ?? verify?.backup;
  const serves =
    report.plan === undefined && ['done', 'no-op', 'incomplete'].includes(outcome) ? update?.to : update?.from;
  return {
    ...(name === undefined ? {} : { backup: name, manifest: manifestFile(name) }),
    ...(backup === undefined ? {} : { bytes: String(backup.bytes), 'artifact-ids': artifactIds.join(',') }),
    ...(report.mode === 'update' || report.mode === 'rehearse'
      ? { updated: String(report.mode === 'update' && (outcome === 'done' || outcome === 'incomplete')) }
      : {}),
    ...(typeof update?.from === 'string' ? { 'previous-version': update.from } : {}),
    ...(typeof serves === 'string' ? { version: serves } : {}),
    'rolled-back': String(outcome === 'rolled-back'),
    'downtime-seconds': downtimeSeconds.toFixed(1).replace(/\.0$/, ''),
    ...(restore?.safetyBackup === undefined ? {} : { 'safety-backup': restore.safetyBackup }),
    ...(verify === undefined ? {} : { proof: outcome === 'done' ? verify.level : 'none' }),
    ...(backups === undefined ? {} : { backups: JSON.stringify(backups) }),
    ...(report.status === undefined ? {} : { status: JSON.stringify(report.status) }),
  };
}
