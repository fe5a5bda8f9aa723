import { silentLog } from './report/silent.ts';
import { terminalLog } from './report/terminal.ts';
import { jsonSummary, terminalSummary } from './report/texts.ts';
import { runCaretaker } from './run.ts';
import { fromArguments, helpText } from './settings/sources.ts';
import { VERSION } from './version.ts';

/** The command line over the same core: the report on standard output, the log on standard error. */
const { options, ...raw } = fromArguments(process.argv.slice(2), process.env);
if (options.help || process.argv.length === 2) {
  process.stdout.write(helpText());
} else if (options.version) {
  process.stdout.write(`${VERSION}\n`);
} else {
  const log = options.json ? silentLog() : terminalLog(process.stderr, { verbose: options.verbose });
  const { report } = await runCaretaker({ raw, env: process.env, log, inWorkflow: false });
  const shown = log.redactor.deep(report);
  process.stdout.write(options.json ? jsonSummary(shown) : terminalSummary(shown));
  process.exitCode = shown.error === undefined ? 0 : 1;
}
