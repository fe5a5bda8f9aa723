import { cp, chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Argv, Command, Processes } from '../../src/system/processes.ts';

/** A variable that scripts/test-hosts.sh sets. A machine without the engines fails these tests; it does not skip them. */
export function testHost(name: `CARETAKER_TEST_${string}`): string {
  const value = process.env[name];
  if (value === undefined || value === '') {
    throw new Error(
      `${name} is not set: run scripts/test-hosts.sh install and start, then eval "$(scripts/test-hosts.sh env)"`,
    );
  }
  return value;
}

/**
 * The same processes as another user, for tests that run as root: identity, groups, home and runtime directory are the user's, and
 * PATH has nothing that only root may enter. Programs are exec'ed in place, so that signals and exit codes are theirs.
 */
export function asUser(processes: Processes, user: string): Processes {
  const { uid, gid, home } = lookUp(user);
  const runtimeDirectory = `/run/user/${uid}`;
  const entries = (process.env['PATH'] ?? '')
    .split(':')
    .filter((entry) => entry !== '/root' && !entry.startsWith('/root/'));
  const become: Argv = [
    ...(['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--init-groups', 'env'] as const),
    ...['XDG_CONFIG_HOME', 'XDG_DATA_HOME', 'XDG_CACHE_HOME', 'XDG_RUNTIME_DIR', 'DBUS_SESSION_BUS_ADDRESS'].flatMap(
      (name) => ['-u', name],
    ),
    ...[`HOME=${home}`, `USER=${user}`, `LOGNAME=${user}`, `PATH=${entries.join(':')}`],
    ...(existsSync(runtimeDirectory) ? [`XDG_RUNTIME_DIR=${runtimeDirectory}`] : []),
  ];
  const as = (command: Command): Command => ({ cwd: home, ...command, argv: [...become, ...command.argv] });
  return {
    run: (command, options) => processes.run(as(command), options),
    stream: (command, options) => processes.stream(as(command), options),
  };
}

/** A user's numbers and home, from /etc/passwd. */
export function lookUp(user: string): { readonly uid: number; readonly gid: number; readonly home: string } {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${user}:`));
  const [, , uid, gid, , home] = line?.split(':') ?? [];
  if (uid === undefined || gid === undefined || home === undefined) throw new Error(`there is no user ${user}`);
  return { uid: Number(uid), gid: Number(gid), home };
}

/** The first subordinate uid of a user: what uid 1 of its containers is on the host. */
export async function subordinateUid(user: string): Promise<number> {
  const line = (await readFile('/etc/subuid', 'utf8')).split('\n').find((entry) => entry.startsWith(`${user}:`));
  return Number(line?.split(':')[1]);
}

/** A copy of the agent that every user may read: the checkout may lie where only root may enter. */
export async function agentForAll(): Promise<{ readonly agent: string; remove(): Promise<void> }> {
  const source = path.resolve(import.meta.dirname, '../../src');
  const directory = await mkdtemp('/var/tmp/caretaker-agent-');
  await chmod(directory, 0o755);
  for (const name of ['agent.ts', 'errors.ts', 'health', 'system']) {
    await cp(path.join(source, name), path.join(directory, name), { recursive: true });
  }
  await writeFile(path.join(directory, 'package.json'), '{"type":"module"}');
  return {
    agent: path.join(directory, 'agent.ts'),
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}
