import { realpathSync } from 'node:fs';
import { userInfo } from 'node:os';
import { installRecovery } from './install-recovery.ts';
import { errorTexts, renderErrors } from './report/errors-text.ts';
import { silentLog } from './report/silent.ts';
import { terminalLog } from './report/terminal.ts';
import { jsonSummary, terminalSummary } from './report/texts.ts';
import { runCaretaker } from './run.ts';
import { fromArguments, helpText } from './settings/sources.ts';
import { VERSION } from './version.ts';

/** The command line over the same core: the report on standard output, the log on standard error. */
const argv = process.argv.slice(2);
const { options, ...raw } = fromArguments(argv, process.env);
if (options.help || argv.length === 0) {
  process.stdout.write(helpText());
} else if (options.version) {
  process.stdout.write(`${VERSION}\n`);
} else if (argv[0] === 'install-recovery') {
  try {
    const { username, homedir, uid } = userInfo();
    const program = [process.execPath, realpathSync(process.argv[1] ?? '')] as const;
    const world = { env: process.env, cwd: process.cwd(), uid, userName: username, home: homedir, program };
    process.stdout.write(`${(await installRecovery(argv.slice(1), world)).join('\n')}\n`);
  } catch (error) {
    process.stderr.write(`${renderErrors(errorTexts(error))}\n`);
    process.exitCode = 1;
  }
} else {
  const log = options.json ? silentLog() : terminalLog(process.stderr, { verbose: options.verbose });
  const { report } = await runCaretaker({ raw, env: process.env, log, inWorkflow: false });
  const shown = log.redactor.deep(report);
  process.stdout.write(options.json ? jsonSummary(shown) : terminalSummary(shown));
  process.exitCode = shown.error === undefined ? 0 : 1;
}
