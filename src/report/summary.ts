import type { ErrorText } from './errors-text.ts';
import { downtimeText, headline, marks, provenText, sizeText } from './headline.ts';
import { plainText } from './plain-text.ts';
import type { RunReport } from './run-report.ts';
import { statusRows } from './status.ts';
import { formatBytes, formatSeconds } from './units.ts';

/** GitHub drops a step's summary above 1 MiB as a whole, without failing. */
const LIMIT = 1024 * 1024;

/** A failing start-up loop writes megabytes: the end tells why. */
const LAST_WORDS_LINES = 60;
const LAST_WORDS_CHARACTERS = 16_000;

/** The job summary, Markdown, at most 1 MiB of UTF-8. The report must have been passed through the redactor. */
export function markdownSummary(report: RunReport, limit = LIMIT): string {
  const sections = [
    `## ${marks[report.outcome]} ${inline(headline(report))}`,
    ...errors(report),
    facts(report),
    ...lastWords(report),
    warnings(report),
    parts(report),
    images(report),
    backups(report),
    statusTable(report),
    planned(report),
    rehearsed(report),
    proven(report),
    howToRestore(report),
    left(report),
    timeline(report),
    steps(report),
  ].filter((section) => section !== '');
  return fit(sections, limit);
}

/** Whole sections only: a cut through a fence or a table would spoil what follows. */
function fit(sections: readonly string[], limit: number): string {
  const note = '_Cut here: the log of the run has the rest._\n';
  let text = '';
  for (const [at, section] of sections.entries()) {
    const rest = at === sections.length - 1 ? 0 : Buffer.byteLength(note);
    const next = `${text}${section}\n\n`;
    if (Buffer.byteLength(next) + rest > limit) return `${text}${note}`;
    text = next;
  }
  return `${text.trimEnd()}\n`;
}

function facts(report: RunReport): string {
  const { backup, update, restore, health } = report;
  const downtime = downtimeText(report);
  const seen = (health?.results ?? []).map(({ probe, detail }) => inline(`${probe}: ${cut(detail, 300)}`)).join('<br>');
  const unproven =
    health?.healthy === true && health.shallow === true
      ? '<br>Not proven: that it can read its data. Give a `health` check that does.'
      : '';
  const healthText =
    health === undefined
      ? undefined
      : `${health.healthy ? 'healthy' : 'not healthy'}${seen === '' ? '' : `<br>${seen}`}${unproven}`;
  const rows: (readonly [string, string | undefined])[] = [
    [
      'Version',
      update === undefined || report.outcome === 'no-op'
        ? undefined
        : `${inline(update.from ?? 'unknown')} → ${inline(update.to ?? 'unknown')}`,
    ],
    [
      'Changed services',
      update === undefined || update.changedServices.length === 0
        ? undefined
        : update.changedServices.map(inline).join(', '),
    ],
    ['Restored parts', restore === undefined ? undefined : restore.parts.map(inline).join(', ')],
    ['Restored into', restore?.to === undefined ? undefined : code(restore.to)],
    [
      'Data from before',
      restore?.safetyBackup === undefined ? undefined : `${code(restore.safetyBackup)}, kept on the host`,
    ],
    ['Backup', backup === undefined ? undefined : `${code(backup.name)}, ${sizeText(backup.bytes, backup.rawBytes)}`],
    [
      'Stored in',
      backup === undefined || backup.stores.length === 0 ? undefined : backup.stores.map(storeText).join('<br>'),
    ],
    ['Downtime', downtime],
    ['Health', healthText],
    ['Took', formatSeconds(report.seconds)],
  ];
  const shown = rows.filter(([, value]) => value !== undefined);
  return ['| | |', '| --- | --- |', ...shown.map(([name, value]) => `| ${name} | ${value} |`)].join('\n');
}

function storeText({ name, url }: { name: string; url?: string | undefined }): string {
  const safe = url !== undefined && /^https?:\/\/[^\s()<>|]+$/.test(url);
  return safe ? `[${inline(name)}](${url})` : inline(name);
}

function errors({ error, otherErrors = [] }: RunReport): string[] {
  return (error === undefined ? [] : [error, ...otherErrors]).map(errorSection);
}

function errorSection({ code: name, message, hint, chain }: ErrorText): string {
  const quoted = (text: string): string => inline(text).replaceAll('<br>', '\n> ');
  return [
    `> [!CAUTION]`,
    `> **${quoted(cut(message, 4000))}**`,
    ...chain.slice(0, 10).map((cause) => `> <br>because: ${quoted(cut(cause, 2000))}`),
    ...(hint === undefined ? [] : ['>', `> ${quoted(cut(hint, 4000))}`]),
    '>',
    `> ${code(name)}`,
  ].join('\n');
}

function lastWords({ lastWords: words = [] }: RunReport): string[] {
  return words.slice(0, 20).map(({ service, state, text }) => {
    const tail = endOf(plainText(text).trimEnd());
    return `**${inline(service)}** is ${inline(state)}; its last words:\n\n${fenced(tail)}`;
  });
}

function endOf(text: string): string {
  const lines = text.split('\n');
  const tail = lines.slice(-LAST_WORDS_LINES).join('\n');
  const end = tail.slice(-LAST_WORDS_CHARACTERS);
  return end.length < text.length ? `…\n${end}` : end;
}

/** A fence longer than any run of backticks or tildes inside: the text can't end it. */
function fenced(text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}text\n${text}\n${fence}`;
}

function warnings({ warnings: lines }: RunReport): string {
  if (lines.length === 0) return '';
  const shown = lines.slice(0, 30).map((line) => `> - ${inline(cut(line, 2000))}`);
  const more = lines.length > 30 ? [`> - and ${lines.length - 30} more, in the log`] : [];
  return ['> [!WARNING]', ...shown, ...more].join('\n');
}

function parts({ backup }: RunReport): string {
  if (backup === undefined || backup.parts.length === 0) return '';
  const rows = backup.parts.map(
    ({ name, kind, method, bytes, rawBytes, seconds, consistency }) =>
      `| ${inline(name)} | ${kind === method ? kind : `${kind}, ${method}`} | ${formatBytes(rawBytes)} | ${formatBytes(bytes)} | ${formatSeconds(seconds)} | ${consistency} |`,
  );
  return ['| part | what | raw | stored | time | taken |', '| --- | --- | ---: | ---: | ---: | --- |', ...rows].join(
    '\n',
  );
}

function images({ update }: RunReport): string {
  const rows = (update?.images ?? []).map(
    ({ service, from, to }) => `| ${inline(service)} | ${code(shortId(from))} | ${code(shortId(to))} |`,
  );
  return rows.length === 0 ? '' : ['| service | image before | image now |', '| --- | --- | --- |', ...rows].join('\n');
}

function shortId(id: string): string {
  return id.replace(/^sha256:([0-9a-f]{12})[0-9a-f]*$/, '$1');
}

function backups({ backups: listed }: RunReport): string {
  if (listed === undefined || listed.length === 0) return '';
  const rows = listed
    .slice(0, 500)
    .map(
      ({
        name,
        createdAt,
        bytes,
        store,
        url,
        reason,
        version,
        parts = [],
        encrypted,
        elsewhere,
        expiresAt,
        problem,
        proven,
      }) =>
        `| ${[
          code(name),
          inline(createdAt.slice(0, 16).replace('T', ' ')) +
            (typeof elsewhere === 'string' ? `<br>${inline(elsewhere)}` : ''),
          bytes === undefined ? '' : formatBytes(bytes),
          inline(version ?? ''),
          inline(parts.join(', ')) + (encrypted === true ? ' 🔒' : ''),
          inline(problem ?? reason ?? ''),
          inline(provenText(proven)),
          url !== undefined && /^https?:\/\/[^\s()<>|]+$/.test(url) ? `[${inline(store)}](${url})` : inline(store),
          expiresAt === undefined ? '' : inline(expiresAt.slice(0, 10)),
        ].join(' | ')} |`,
    );
  return [
    '| backup | made (UTC) | size | version | parts | why | proven | store | until |',
    '| --- | --- | ---: | --- | --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n');
}

function statusTable({ status, startedAt }: RunReport): string {
  if (status === undefined) return '';
  const rows = statusRows(status, startedAt).map(
    ([name, lines]) => `| ${inline(name)} | ${lines.slice(0, 100).map(inline).join('<br>')} |`,
  );
  return ['| what | now |', '| --- | --- |', ...rows].join('\n');
}

function howToRestore({ restoreInstructions: how }: RunReport): string {
  if (how === undefined) return '';
  const { actionsUrl, command, file } = how;
  const ways = [
    ...(actionsUrl !== undefined && /^https?:\/\/[^\s()<>]+$/.test(actionsUrl)
      ? [`- in GitHub: run the restore workflow from [Actions](${actionsUrl}) with this backup's name`]
      : []),
    ...(command === undefined
      ? []
      : [`- on the host:\n\n  ${fenced(plainText(command)).replaceAll('\n', '\n  ').replace('text\n', 'sh\n')}\n`]),
    ...(file === undefined ? [] : [`- without this tool: follow ${code(file)}, stored with the backup`]),
  ];
  return ways.length === 0 ? '' : `### To restore it\n\n${ways.join('\n')}`;
}

function planned({ plan = [] }: RunReport): string {
  if (plan.length === 0) return '';
  return `### What an update would do\n\n${plan.map((line, at) => `${at + 1}. ${inline(line)}`).join('\n')}`;
}

function rehearsed({ rehearsal }: RunReport): string {
  if (rehearsal === undefined || rehearsal.seen.length === 0) return '';
  return `### What was seen on a copy of the data\n\n${bullets(rehearsal.seen)}`;
}

function bullets(lines: readonly string[]): string {
  return lines
    .slice(0, 200)
    .map((line) => `- ${inline(cut(line, 1000))}`)
    .join('\n');
}

function proven({ verify }: RunReport): string {
  if (verify === undefined || verify.proven.length === 0) return '';
  return `### What was proven of ${code(verify.backup)}\n\n${bullets(verify.proven)}`;
}

function left({ left: rows = [] }: RunReport): string {
  if (rows.length === 0) return '';
  const lines = rows.slice(0, 100).map(({ what, why }) => `- ${inline(what)}: ${inline(why)}`);
  return details(`Not in the backup: ${rows.length}`, lines.join('\n'));
}

/** A Mermaid gantt chart, where the application was away: which steps the users waited for is what one wants to see. */
function timeline({ steps: all, outages = [] }: RunReport): string {
  if (outages.length === 0) return '';
  const ms = (seconds: number): number => Math.round(seconds * 1000);
  const bar = (name: string, start: number, seconds: number, tag: string): string =>
    `    ${name.replaceAll(/[^\p{L}\p{N} ./()-]/gu, ' ').slice(0, 60)} :${tag}${ms(start)}, ${Math.max(ms(start + seconds), ms(start) + 1)}`;
  const rows = [
    '    section Users',
    ...outages.map(({ startSeconds, seconds }) =>
      bar(`away ${formatSeconds(seconds)}`, startSeconds, seconds, 'crit, '),
    ),
    '    section Steps',
    ...all
      .slice(0, 100)
      .map(({ name, startSeconds, seconds, outcome }) =>
        bar(name, startSeconds, seconds, outcome === 'failed' ? 'crit, ' : ''),
      ),
  ];
  return ['```mermaid', 'gantt', '    dateFormat x', '    axisFormat %M:%S', ...rows, '```'].join('\n');
}

function steps({ steps: all }: RunReport): string {
  if (all.length === 0) return '';
  const rows = all
    .slice(0, 200)
    .map(
      ({ name, seconds, outcome }) =>
        `| ${outcome === 'done' ? '' : '❌ '}${inline(name)} | ${formatSeconds(seconds)} |`,
    );
  return details('Steps', ['| step | time |', '| --- | ---: |', ...rows].join('\n'));
}

function details(title: string, body: string): string {
  return `<details><summary>${title}</summary>\n\n${body}\n\n</details>`;
}

/** Untrusted text inside a line or a table cell: no markup, no HTML, no mention of a user, no link. */
function inline(text: string): string {
  return plainText(text)
    .trim()
    .replace(/[\\`*_[\]{}<>|~#&]/g, (char) => `&#${char.charCodeAt(0)};`)
    .replaceAll('@', '@&#8203;')
    .replaceAll('://', '&#58;//')
    .replaceAll('\n', '<br>');
}

function code(text: string): string {
  return `<code>${inline(text)}</code>`;
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length)}…`;
}
