import { realpathSync } from 'node:fs';
import { userInfo } from 'node:os';
import { installRecovery } from './install-recovery.ts';
import { keygen } from './keygen.ts';
import { errorTexts, renderErrors } from './report/errors-text.ts';
import { withoutCredentials } from './report/redact.ts';
import { silentLog } from './report/silent.ts';
import { terminalLog } from './report/terminal.ts';
import { jsonSummary, terminalSummary } from './report/texts.ts';
import { jsonWithoutCommands, withoutCommands } from './report/workflow-commands.ts';
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
  await print(() => {
    const { username, homedir, uid } = userInfo();
    const program = [process.execPath, realpathSync(process.argv[1] ?? '')] as const;
    const world = { env: process.env, cwd: process.cwd(), uid, userName: username, home: homedir, program };
    return installRecovery(argv.slice(1), world);
  });
} else if (argv[0] === 'keygen') {
  await print(() => keygen(argv.slice(1), { cwd: process.cwd(), now: new Date() }));
} else {
  const log = options.json ? silentLog() : terminalLog(process.stderr, { verbose: options.verbose });
  const { report } = await runCaretaker({ raw, env: process.env, log, inWorkflow: false });
  const shown = log.redactor.deep(report);
  const inStep = process.env['GITHUB_ACTIONS'] === 'true';
  const text = options.json ? jsonSummary(shown) : terminalSummary(shown);
  const guarded = (): string => (options.json ? jsonWithoutCommands(text) : withoutCommands(text).join('\n'));
  // GitHub's client leaves a connection behind where an upload stands still, and that may stay open for ever.
  process.stdout.write(inStep ? guarded() : text, () => {
    process.exit(shown.error === undefined ? 0 : 1);
  });
}

/** What a command of its own has to say. */
async function print(work: () => Promise<readonly string[]>): Promise<void> {
  try {
    process.stdout.write(`${(await work()).join('\n')}\n`);
  } catch (error) {
    process.stderr.write(`${withoutCredentials(renderErrors(errorTexts(error)))}\n`);
    process.exitCode = 1;
  }
}
