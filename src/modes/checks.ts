import { CaretakerError } from '../errors.ts';
import type { CheckSettings } from '../settings/settings.ts';
import { conninfo, openServer } from '../sources/postgres-server.ts';
import { codeWords } from '../system/author-command.ts';
import type { Throwaway } from './throwaway.ts';
import type { Tools } from './tools.ts';

/** The user's own checks of what was restored. Throws `check-failed` with what a check answered. */
export async function proveChecks(
  throwaway: Throwaway,
  checks: readonly CheckSettings[],
  note: (lines: readonly string[]) => void,
): Promise<void> {
  const { recorder } = throwaway.tools;
  for (const check of checks) {
    const title = check.type === 'sql' ? check.query : check.run;
    note([
      await recorder.step(`Check: ${title}`, () =>
        check.type === 'sql' ? proveSql(throwaway, check) : proveCommand(throwaway, check.run),
      ),
    ]);
  }
}

/** A query's answer must be what is expected or, where nothing is, anything but empty, `f` and `0`. */
async function proveSql(
  { tools, staged }: Throwaway,
  { part, database, query, expect }: Extract<CheckSettings, { type: 'sql' }>,
): Promise<string> {
  const answer = await ask();
  const right = expect === undefined ? !['', 'f', '0'].includes(answer) : answer === expect;
  if (right) return `${query}: ${answer}`;
  throw checkFailed(query, `it answered "${answer}"${expect === undefined ? '' : `, not "${expect}"`}`);

  async function ask(): Promise<string> {
    const found = staged.find((one) => one.part.name === part);
    if (found === undefined) throw checkFailed(query, `the backup has no part ${part}`);
    const { source } = found;
    if (source.kind === 'sqlite') return tools.project.files.querySqlite(source.origin.path, query);
    if (source.server === undefined) throw checkFailed(query, `${part} is no database`);
    const user = found.part.postgres?.user ?? 'postgres';
    const server = await openServer(tools.project, tools.log, { service: source.server, user });
    const known = found.part.postgres?.databases ?? [];
    const name = database ?? (known.length === 1 ? known[0] : known.find((one) => one !== 'postgres')) ?? 'postgres';
    const [psql, ...words] = server.psql;
    const argv = [psql, ...words.slice(0, -1), conninfo(name), '-c', query] as const;
    const { exitCode, stdout, stderr } = await server.run(argv, undefined, CHECK_MS);
    if (exitCode !== 0) throw checkFailed(query, stderr.trim());
    return stdout.trim();
  }
}

/** With the throwaway's name and compose file where Compose looks for them. */
async function proveCommand({ tools, plan }: Throwaway, run: string): Promise<string> {
  const { log, signal, runAuthorCommand } = tools;
  const { exitCode, tail } = await runAuthorCommand(run, {
    ...{ cwd: plan.base, signal, onLine: (line) => log.info(line), timeoutMs: CHECK_MS },
    env: throwawayEnv(tools, plan.file),
  });
  const said = tail.trim().split('\n').at(-1) ?? '';
  if (exitCode !== 0) throw checkFailed(run, `it ended with ${codeWords(exitCode)}: ${said}`);
  return `${run}: ended with code 0${said === '' ? '' : `: ${said}`}`;
}

/** What a command needs to mean the throwaway: the variables of Compose, and one by which the command itself can tell. */
export function throwawayEnv({ project }: Tools, file: string): Readonly<Record<string, string>> {
  return { CARETAKER_THROWAWAY: project.name, COMPOSE_PROJECT_NAME: project.name, COMPOSE_FILE: file };
}

const CHECK_MS = 3_600_000;

function checkFailed(check: string, why: string): CaretakerError {
  return new CaretakerError('check-failed', `the check "${check}" failed on the restored data: ${why}`, {
    input: 'check',
    hint: 'Either the backup lacks what the check looks for, or the check is wrong: try it on the live application.',
  });
}
