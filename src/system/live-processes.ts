import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs'; // prettier-ignore
import { setTimeout as sleep } from 'node:timers/promises';
import { bootId, pidNamespace, processStat } from './identity.ts';

/** Between the polite signal and the one that can't be refused. GitHub gives 7.5 s to its own second one, in which a run is to go back besides. */
const GRACE_MS = 3000;

const live = new Set<{ readonly kill: () => void; readonly ended: Promise<unknown> }>();

/** What a command takes with it when it is ended early: `killTree`. */
export type Scope = 'group' | 'descendants';

/** Remembers a running child for `killChildren` until it has ended, and notes it for whoever comes after this program where `noteCommands` says so. */
export function registerLive(child: Child, kill: () => void, ended: Promise<unknown>): void {
  const entry = { kill, ended };
  live.add(entry);
  const over = note?.(child);
  const forget = (): void => {
    live.delete(entry);
    over?.();
  };
  ended.then(forget, forget);
}

/** Ends every program that runs now, SIGTERM first, SIGKILL 3 s later. Fulfilled when none is left. For the signal handler. */
export async function killChildren(): Promise<void> {
  const now = [...live];
  for (const { kill } of now) kill();
  await Promise.allSettled(now.map(({ ended }) => ended));
}

/**
 * Begins to end a child that leads a process group, with all that descends from it, in whatever group or session; the answer is to be called when the
 * child has ended, and ends at once what is left of it, so that nothing of a command still acts when its failure is reported. Who has cut himself off from
 * all his parents (a daemon) is not found: what carries the runner's tracking id ends with the job.
 *
 * `descendants` spares what the child has sent into the background: an engine's network helpers stay in the group of whoever ran
 * `up`, and a container whose helper is killed runs on, unreachable.
 */
export function killTree(pid: number, scope: Scope): () => void {
  let family: readonly Member[] = [];
  const signal = (name: NodeJS.Signals): void => {
    family = withDescendants(family, pid);
    if (scope === 'group') send(-pid, name);
    for (const one of family) {
      const stat = processStat(one.pid);
      const isTold = scope === 'group' && stat?.group === pid;
      if (stat?.startTime === one.startTime && !isTold) send(one.pid, name);
    }
  };
  signal('SIGTERM');
  const timer = setTimeout(() => signal('SIGKILL'), GRACE_MS);
  return () => {
    clearTimeout(timer);
    signal('SIGKILL');
  };
}

interface Child {
  readonly pid: number;
  readonly program: string;
  readonly scope: Scope;
}

/** A command of a run, in a line of the file of `noteCommands`. */
interface Noted extends Child, Member {
  readonly bootId: string;
  readonly pidNamespace: string;
  /** In a second line, once it has ended by itself: what it has left in the background is meant to stay. */
  readonly over?: true;
}

let note: ((child: Child) => (() => void) | undefined) | undefined;

/**
 * From now on every command that this program starts is noted in a new file; the answer ends that, and removes it. A run that is killed alone (SIGKILL, out of memory)
 * leaves its command running: `endCommands` finds it there. Nothing is forced to the disk: commands end with their host. What keeps it from being noted (a full
 * disk) is handed to `failed` once: the command is worth more than its note.
 */
export function noteCommands(file: string, failed: (error: unknown) => void): () => void {
  const attempt = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      note = undefined;
      failed(error);
    }
  };
  let descriptor: number | undefined;
  attempt(() => {
    rmSync(file, { force: true });
    descriptor = openSync(file, constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_EXCL, 0o600);
    const opened = descriptor;
    const where = { bootId: bootId(), pidNamespace: pidNamespace() };
    const write = (line: Noted): void => attempt(() => void writeSync(opened, `${JSON.stringify(line)}\n`));
    const own = (child: Child): (() => void) | undefined => {
      const startTime = processStat(child.pid)?.startTime;
      if (startTime === undefined) return undefined;
      const line: Noted = { ...child, startTime, ...where };
      write(line);
      return () => {
        if (note === own) write({ ...line, over: true });
      };
    };
    note = own;
  });
  return () => {
    note = undefined;
    attempt(() => {
      if (descriptor !== undefined) closeSync(descriptor);
      rmSync(file, { force: true });
    });
  };
}

/**
 * Ends what the file of `noteCommands` names and still runs, as a cancelled run does: SIGTERM first, SIGKILL 3 s later. Removes the file, and answers with the programs that
 * were ended and those that could not be, after 10 s: another user's (sudo), or one that waits for a disk that does not answer. Then, and where the file is another
 * user's and this one is not root, it stays. Root ends by it nothing but that user's own processes, with what these have started.
 */
export async function endCommands(
  file: string,
): Promise<{ readonly ended: readonly string[]; readonly left: readonly string[] }> {
  const { noted, owner } = notedIn(file);
  const isOwn = owner === process.geteuid?.();
  if (noted === null) return { ended: [], left: [`what ${file} names, which is user ${owner}’s`] };
  const living = noted.filter(isAlive);
  const told = living.filter(({ pid }) => isOwn || ownerOf(pid) === owner);
  const finish = told.map(({ pid, scope }) => killTree(pid, scope));
  for (let waited = 0; waited < 10_000 && told.some(isAlive); waited += 50) await sleep(50);
  for (const end of finish) end();
  const left = living.filter(isAlive);
  const named = ({ program, pid }: Noted): string => `${program} (process ${pid})`;
  if (left.length === 0) rmSync(file, { force: true });
  return { ended: living.filter((one) => !left.includes(one)).map(named), left: left.map(named) };
}

/** Null where the file may not be read. */
function notedIn(file: string): { readonly noted: readonly Noted[] | null; readonly owner: number | undefined } {
  let text: string;
  let owner: number | undefined;
  try {
    owner = lstatSync(file).uid;
    const descriptor = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const stats = fstatSync(descriptor);
      owner = stats.uid;
      if (!stats.isFile()) return { noted: [], owner };
      text = readFileSync(descriptor, 'utf8');
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ELOOP') return { noted: [], owner };
    if (code === 'EACCES' || code === 'EPERM') return { noted: null, owner };
    throw error;
  }
  const noted = new Map<string, Noted>();
  const here = { bootId: bootId(), pidNamespace: pidNamespace() };
  for (const line of text.split('\n')) {
    const one = readLine(line, here);
    if (one === null) continue;
    const key = `${one.pid} ${one.startTime}`;
    if (one.over === true) noted.delete(key);
    else noted.set(key, one);
  }
  return { noted: [...noted.values()], owner };
}

/** Null for one that is none (the last may be torn), or tells of another boot or another container. */
function readLine(line: string, here: Pick<Noted, 'bootId' | 'pidNamespace'>): Noted | null {
  let value: Partial<Noted> | null;
  try {
    value = JSON.parse(line) as Partial<Noted> | null;
  } catch {
    return null;
  }
  const { pid, startTime, program, scope, over, ...where } = value ?? {};
  if (!Number.isSafeInteger(pid) || pid === undefined || pid <= 1 || typeof startTime !== 'string') return null;
  if (where.bootId !== here.bootId || where.pidNamespace !== here.pidNamespace) return null;
  return {
    ...{ pid, startTime, program: String(program), scope: scope === 'group' ? 'group' : 'descendants' },
    ...here,
    ...(over === true ? { over } : {}),
  };
}

/** Of a command that was still at work when its run was killed: it lives, or has died since (its output went nowhere) and its group lives. */
function isAlive({ pid, startTime, scope }: Noted): boolean {
  const stat = processStat(pid);
  if (stat !== null && stat.startTime !== startTime) return false;
  if (stat !== null && !'ZXx'.includes(stat.state)) return true;
  if (scope === 'descendants') return false;
  // No new process gets the number of a group or session that lives.
  return processes().some((one) => {
    const member = processStat(one);
    return member?.group === pid && member.session === pid && !'ZXx'.includes(member.state);
  });
}

function ownerOf(pid: number): number | undefined {
  return statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid;
}

function processes(): number[] {
  return readdirSync('/proc').map(Number).filter(Number.isInteger);
}

interface Member {
  readonly pid: number;
  readonly startTime: string;
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // ESRCH: it has ended already. EPERM: sudo or a setuid helper runs as another user; the rest was signalled.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ESRCH' && code !== 'EPERM') throw error;
  }
}

/** The process, those of the family that live, and all that descends from any of them: a parent that has ended is no link any more. */
function withDescendants(family: readonly Member[], root: number): Member[] {
  const children = new Map<number, number[]>();
  const starts = new Map<number, string>();
  for (const pid of processes()) {
    const stat = processStat(pid);
    if (stat === null) continue;
    starts.set(pid, stat.startTime);
    children.set(stat.parent, [...(children.get(stat.parent) ?? []), pid]);
  }
  const found = new Map<number, Member>();
  const walk = (pid: number): void => {
    const startTime = starts.get(pid);
    if (startTime === undefined || found.has(pid)) return;
    found.set(pid, { pid, startTime });
    children.get(pid)?.forEach(walk);
  };
  walk(root);
  for (const { pid, startTime } of family) if (starts.get(pid) === startTime) walk(pid);
  return [...found.values()];
}
