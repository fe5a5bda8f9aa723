/** The command line's runs, one after the other in one process: a thousand of its own would take a thousand starts of Node. The child of `damage.test.ts`. */
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '../../..');
// Where the program finds what lies beside it.
process.argv[1] = path.join(root, 'src/cli.ts');
const { silentLog } = await import('../../../src/report/silent.ts');
const { runCaretaker } = await import('../../../src/run.ts');
const { fromArguments } = await import('../../../src/settings/sources.ts');

process.on('message', (argv) => {
  void (async () => {
    const { options: _options, ...raw } = fromArguments(argv as string[], process.env);
    const { report } = await runCaretaker({ raw, env: process.env, log: silentLog(), inWorkflow: false });
    process.send!(report);
  })();
});
process.send!('ready');
