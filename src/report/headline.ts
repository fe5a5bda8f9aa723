import type { Proof } from '../archive/proof.ts';
import type { RunReport } from './run-report.ts';
import { formatBytes, formatSeconds } from './units.ts';

export const marks: Readonly<Record<RunReport['outcome'], string>> = {
  done: '✅',
  'no-op': '✅',
  refused: '🛑',
  failed: '❌',
  incomplete: '⚠️',
  'rolled-back': '↩️',
  'rollback-failed': '🚨',
};

const nouns: Readonly<Record<RunReport['mode'], string>> = {
  backup: 'Backup',
  update: 'Update',
  rehearse: 'Rehearsal',
  rollback: 'Rollback',
  restore: 'Restore',
  verify: 'Drill',
  recover: 'Recovery',
  list: 'List of the backups',
  status: 'Status',
};

const levels = {
  read: 'every byte was read, and the files of its databases were checked',
  databases: 'its databases were started and checked in a throwaway',
  application: 'the whole application came up on it in a throwaway',
} as const;

/** One sentence that says how it ended. Plain text. */
export function headline(report: RunReport): string {
  const { mode, project, outcome, update, restore, verify, backup, backups, plan, recovery, warnings } = report;
  const what = `${nouns[mode]} of ${project}`;
  switch (outcome) {
    case 'no-op':
      if (plan !== undefined)
        return update?.to === update?.from
          ? `${project} is up to date${of(update?.from)}`
          : `${project} would be updated${update?.from ? ` from ${update.from}` : ''} to ${update?.to ?? 'a newer version'}: a dry run, nothing was touched`;
      return mode === 'update' || mode === 'rehearse'
        ? `${project} is up to date${of(update?.from)}`
        : `${what}: nothing to do`;
    case 'refused':
      return `${what} refused: nothing was touched`;
    case 'failed':
      return `${what} failed`;
    case 'incomplete':
      return `${what} is in place, but something that follows it failed`;
    case 'rolled-back':
      return `${what} failed and was rolled back${mode !== 'restore' ? `: ${update?.from ?? 'the version before'} serves again` : ': the data from before serve again'}`;
    case 'rollback-failed':
      return `${what} failed, and so did the way back: ${project} needs you now`;
    case 'done':
      break;
  }
  switch (mode) {
    case 'backup':
      return `${what}${backup === undefined ? ' done' : `: ${formatBytes(backup.bytes)} in ${formatSeconds(report.seconds)}`}`;
    case 'update':
      return `${project} updated${update?.from ? ` from ${update.from}` : ''}${update?.to ? ` to ${update.to}` : ''}`;
    case 'rehearse':
      return `${project} can be updated${update?.from ? ` from ${update.from}` : ''}${update?.to ? ` to ${update.to}` : ''}: it was tried on a copy of the data`;
    case 'rollback':
      return `${project} is back at ${update?.to ?? 'the version before'}${update?.from ? ` from ${update.from}` : ''}${restore === undefined ? ', with the data of now' : ', with the data from before'}`;
    case 'restore':
      if (restore?.to !== undefined) return `${restore.backup} of ${project} restored into ${restore.to}`;
      return `${project} restored${restore === undefined ? '' : ` from ${restore.backup}`}`;
    case 'verify':
      return `${verify?.backup ?? what} does: ${levels[verify?.level ?? 'read']}`;
    case 'recover':
      return recovery?.outcome === 'rolled-back'
        ? `${project} is as it was before the ${recovery.mode} that was cut off`
        : `The ${recovery?.mode ?? 'run'} of ${project} that was cut off is in place`;
    case 'list':
      return `${backups?.length ?? 0} ${backups?.length === 1 ? 'backup' : 'backups'} of ${project}`;
    case 'status':
      return `${what}: ${warnings.length === 0 ? 'nothing needs a hand' : warnings.length === 1 ? 'one warning' : `${warnings.length} warnings`}`;
  }
}

function of(version: string | null | undefined): string {
  return version ? `: ${version}` : '';
}

/** What a reader asks next: how long users were without it. Undefined where the mode does not touch it. */
export function downtimeText({ downtimeSeconds, mode, outcome }: RunReport): string | undefined {
  const untouched = ['list', 'status', 'verify', 'rehearse'].includes(mode);
  if (untouched || outcome === 'refused' || outcome === 'no-op') return undefined;
  if (downtimeSeconds === undefined || downtimeSeconds === 0) return 'none: nothing was stopped';
  return outcome === 'rollback-failed' ? `${formatSeconds(downtimeSeconds)} so far` : formatSeconds(downtimeSeconds);
}

/** Where nothing of the data was compressed, as stored equals raw. */
export function sizeText(bytes: number, rawBytes: number): string {
  return rawBytes === bytes ? formatBytes(bytes) : `${formatBytes(bytes)} of ${formatBytes(rawBytes)}`;
}

/** When a drill last proved a backup, and what. */
export function provenText(proven: Proof | null): string {
  if (proven === null) return 'never';
  return `${proven.ok ? '' : 'FAILED '}${proven.at.slice(0, 10)}, ${proven.level}`;
}
