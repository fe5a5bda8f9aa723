import { renderErrors } from './errors-text.ts';
import { downtimeText, headline, provenText, sizeText } from './headline.ts';
import { plainText } from './plain-text.ts';
import type { RunReport } from './run-report.ts';
import { statusRows } from './status.ts';
import { formatBytes, formatSeconds } from './units.ts';

/** The last words on a terminal, plain text with a line end. The report must have been passed through the redactor. */
export function terminalSummary(report: RunReport): string {
  const { backup, update, restore, backups, restoreInstructions: how } = report;
  const lines: string[] = ['', headline(report)];
  const row = (name: string, value: string | undefined): void => {
    if (value !== undefined && value !== '')
      lines.push(`  ${name.padEnd(11)} ${value.replaceAll('\n', `\n${' '.repeat(14)}`)}`);
  };

  if (backups !== undefined && backups.length > 0) lines.push(...listing(backups));
  for (const [name, lines] of report.status === undefined ? [] : statusRows(report.status, report.startedAt)) {
    lines.forEach((line, at) => row(at === 0 ? name : '', line));
  }
  report.plan?.forEach((line, at) => row(at === 0 ? 'would' : '', line));
  report.rehearsal?.seen.forEach((line, at) => row(at === 0 ? 'rehearsed' : '', line));
  report.verify?.proven.forEach((line, at) => row(at === 0 ? 'proven' : '', line));
  row('services', update?.changedServices.join(', '));
  row('parts', restore?.parts.join(', '));
  row('into', restore?.to);
  row('before', restore?.safetyBackup === undefined ? undefined : `${restore.safetyBackup}, kept on the host`);
  row('backup', backup === undefined ? undefined : `${backup.name}, ${sizeText(backup.bytes, backup.rawBytes)}`);
  for (const { name, kind, method, bytes, rawBytes, seconds, consistency } of backup?.parts ?? []) {
    const what = kind === method ? kind : `${kind}, ${method}`;
    row('', `${name} (${what}, ${consistency}): ${sizeText(bytes, rawBytes)} in ${formatSeconds(seconds)}`);
  }
  for (const { name, url } of backup?.stores ?? []) row('stored in', url === undefined ? name : `${name} ${url}`);
  row('downtime', downtimeText(report));
  row('took', report.mode === 'list' || report.mode === 'status' ? undefined : formatSeconds(report.seconds));
  row('restore by', how?.command ?? how?.file);
  for (const warning of report.warnings) row('warning', warning);
  for (const { service, state, text } of report.lastWords ?? []) {
    lines.push(
      '',
      `Last words of ${service}, ${state}:`,
      ...text
        .trimEnd()
        .split('\n')
        .slice(-40)
        .map((line) => `  | ${line}`),
    );
  }
  if (report.error !== undefined) lines.push('', renderErrors([report.error, ...(report.otherErrors ?? [])]));
  return `${plainText(lines.join('\n'))}\n`;
}

function listing(backups: NonNullable<RunReport['backups']>): string[] {
  const rows = backups.map(
    ({ name, bytes, version, store, parts = [], encrypted, elsewhere, expiresAt, problem, reason, proven }) => [
      name,
      bytes === undefined ? '' : formatBytes(bytes),
      version ?? '',
      `${parts.join(', ')}${encrypted === true ? ' (encrypted)' : ''}`,
      problem ?? reason ?? '',
      `proven: ${provenText(proven)}`,
      `${store}${expiresAt === undefined ? '' : `, until ${expiresAt.slice(0, 10)}`}${typeof elsewhere === 'string' ? `; made ${elsewhere}` : ''}`,
    ],
  );
  const widths = [0, 1, 2, 3, 4, 5].map((at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  return rows.map((row) => `  ${row.map((text, at) => text.padEnd(widths[at] ?? 0)).join('  ')}`.trimEnd());
}

/** For `--json`: the report itself, one document with a line end. */
export function jsonSummary(report: RunReport): string {
  return `${JSON.stringify(report, null, 2)}\n`;
}
