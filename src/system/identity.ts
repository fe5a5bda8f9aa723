import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** Names one process for ever: a number alone is given again to another process, at the latest after a reboot. */
export interface ProcessIdentity {
  readonly bootId: string;
  readonly pid: number;
  /** Clock ticks since boot, field 22 of /proc/PID/stat. */
  readonly startTime: string;
  readonly host: string;
  /** The pid namespace: a runner inside a container counts its processes anew. */
  readonly pidNamespace: string;
}

export function hostName(): string {
  return hostname();
}

/** Changes with every boot. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

export function ownIdentity(): ProcessIdentity {
  const stat = processStat(process.pid);
  if (stat === null) throw new Error('/proc has no entry for this process: is /proc mounted?');
  return {
    bootId: bootId(),
    pid: process.pid,
    startTime: stat.startTime,
    host: hostName(),
    pidNamespace: pidNamespace(),
  };
}

/**
 * False once that process is known to have ended; a zombie has. A process of another pid namespace of this boot can't be seen
 * from here, and counts as alive: robbing a living holder is the worse mistake.
 */
export function isAlive(identity: ProcessIdentity): boolean {
  if (identity.bootId !== bootId()) return false;
  if (isElsewhere(identity)) return true;
  const stat = processStat(identity.pid);
  return stat !== null && stat.startTime === identity.startTime && !'ZXx'.includes(stat.state);
}

/** True where `isAlive` can only guess. */
export function isElsewhere(identity: ProcessIdentity): boolean {
  return identity.bootId === bootId() && identity.pidNamespace !== pidNamespace();
}

/** Null when there is no such process. */
export function processStat(pid: number): { state: string; parent: number; group: number; startTime: string } | null {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // ESRCH: it ended between open and read.
    if (code === 'ENOENT' || code === 'ESRCH') return null;
    throw error;
  }
  // Field 2 is the program's name, in which blanks and parentheses may occur: count from its last one.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0] ?? '', parent: Number(fields[1]), group: Number(fields[2]), startTime: fields[19] ?? '' };
}

function pidNamespace(): string {
  return readlinkSync('/proc/self/ns/pid');
}
