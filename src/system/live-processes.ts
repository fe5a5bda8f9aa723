import { readdirSync } from 'node:fs';
import { processStat } from './identity.ts';

/** Between the polite signal and the one that can't be refused. */
const GRACE_MS = 5000;

const live = new Set<{ readonly kill: () => void; readonly ended: Promise<unknown> }>();

/** Remembers a running child for `killChildren` until it has ended. */
export function registerLive(kill: () => void, ended: Promise<unknown>): void {
  const entry = { kill, ended };
  live.add(entry);
  const forget = (): void => {
    live.delete(entry);
  };
  ended.then(forget, forget);
}

/** Ends every program that runs now, SIGTERM first, SIGKILL 5 s later. Fulfilled when none is left. For the signal handler. */
export async function killChildren(): Promise<void> {
  const now = [...live];
  for (const { kill } of now) kill();
  await Promise.allSettled(now.map(({ ended }) => ended));
}

/**
 * Begins to end a child that leads a process group; the answer is to be called when the child has ended, and ends at once what
 * is left of it, so that nothing of a command still acts when its failure is reported.
 *
 * `descendants` spares what the child has sent into the background: an engine's network helpers stay in the group of whoever ran
 * `up`, and a container whose helper is killed runs on, unreachable.
 */
export function killTree(pid: number, scope: 'group' | 'descendants'): () => void {
  let family: { pid: number; startTime: string }[] = [];
  const signal = (name: NodeJS.Signals): void => {
    if (scope === 'group') return send(-pid, name);
    family = [...family, ...descendants(pid)];
    for (const one of family) if (processStat(one.pid)?.startTime === one.startTime) send(one.pid, name);
  };
  signal('SIGTERM');
  const timer = setTimeout(() => signal('SIGKILL'), GRACE_MS);
  return () => {
    clearTimeout(timer);
    signal('SIGKILL');
  };
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // ESRCH: it has ended already. EPERM: sudo or a setuid helper runs as another user; the rest of its group was signalled.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ESRCH' && code !== 'EPERM') throw error;
  }
}

/** The process and all below it by parentage, as far as they live. */
function descendants(root: number): { pid: number; startTime: string }[] {
  const children = new Map<number, number[]>();
  const starts = new Map<number, string>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    const stat = Number.isInteger(pid) ? processStat(pid) : null;
    if (stat === null) continue;
    starts.set(pid, stat.startTime);
    children.set(stat.parent, [...(children.get(stat.parent) ?? []), pid]);
  }
  const found: { pid: number; startTime: string }[] = [];
  const walk = (pid: number): void => {
    const startTime = starts.get(pid);
    if (startTime !== undefined) found.push({ pid, startTime });
    for (const child of children.get(pid) ?? []) walk(child);
  };
  walk(root);
  return found;
}
