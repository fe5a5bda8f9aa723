import { createHmac } from 'node:crypto';
import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/** Names one process for ever: a number alone is given again to another process, at the latest after a reboot. */
export interface ProcessIdentity {
  readonly bootId: string;
  readonly pid: number;
  /** Clock ticks since boot, field 22 of /proc/PID/stat. */
  readonly startTime: string;
  readonly host: string;
  /** Tells hosts of one name apart. Null where there is no machine id, as in most containers. */
  readonly machine: string | null;
  /** The pid namespace: a runner inside a container counts its processes anew. */
  readonly pidNamespace: string;
}

/** `elsewhere`: in another container or on another host, where nobody can tell from here whether he lives. */
export type ProcessState = 'alive' | 'elsewhere' | 'dead';

export function hostName(): string {
  return hostname();
}

const BOOT_ID = '/proc/sys/kernel/random/boot_id';

/** Changes with every boot. */
export function bootId(): string {
  return readFileSync(BOOT_ID, 'utf8').trim();
}

/** False where a boot id of its own is mounted over the kernel's, as systemd-nspawn and LXD do for their containers. */
export function isKernelsBootId(): boolean {
  return !readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${BOOT_ID} `);
}

export function ownIdentity(): ProcessIdentity {
  const stat = processStat(process.pid);
  if (stat === null) throw new Error('/proc has no entry for this process: is /proc mounted?');
  return {
    bootId: bootId(),
    pid: process.pid,
    startTime: stat.startTime,
    host: hostName(),
    machine: machine(),
    pidNamespace: pidNamespace(),
  };
}

/**
 * `dead` once that process is known to have ended; a zombie has. A process of another boot has where this is its host, or where `bootEnds` says that
 * another boot than this one can only be an earlier one. Whatever can't be seen from here is `elsewhere`.
 */
export function stateOf(identity: ProcessIdentity, bootEnds: boolean): ProcessState {
  if (identity.bootId !== bootId()) return bootEnds || isThisHost(identity) ? 'dead' : 'elsewhere';
  if (identity.pidNamespace !== pidNamespace()) return 'elsewhere';
  const stat = seenStat(identity.pid);
  if (stat === 'hidden') return 'elsewhere';
  return stat !== null && stat.startTime === identity.startTime && !'ZXx'.includes(stat.state) ? 'alive' : 'dead';
}

/** Machines that were cloned may share their id, and others their name: both must agree. */
export function isThisHost({ host, machine: id }: ProcessIdentity): boolean {
  return host === hostName() && id !== null && id === machine();
}

interface ProcessStat {
  readonly state: string;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  readonly startTime: string;
}

/** Null when there is no such process, or none that this user may see. */
export function processStat(pid: number): ProcessStat | null {
  const stat = seenStat(pid);
  return stat === 'hidden' ? null : stat;
}

/** `hidden`: there is one, and nothing of it may be seen, as another user's with /proc mounted `hidepid`. */
function seenStat(pid: number): ProcessStat | 'hidden' | null {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EPERM' || code === 'EACCES') return 'hidden';
    // ESRCH: it ended between open and read.
    if (code === 'ENOENT' || code === 'ESRCH') return isThere(pid) ? 'hidden' : null;
    throw error;
  }
  // Field 2 is the program's name, in which blanks and parentheses may occur: count from its last one.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const [parent, group, session] = fields.slice(1, 4).map(Number) as [number, number, number];
  return { state: fields[0] ?? '', parent, group, session, startTime: fields[19] ?? '' };
}

/** Whether a process of another user has the number. */
function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false; // It could be seen: it has ended since, or has come since.
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

export function pidNamespace(): string {
  return readlinkSync('/proc/self/ns/pid');
}

/** A digest of the machine id, which machine-id(5) asks not to show to others. An image may hold an empty one, or `uninitialized`. */
function machine(): string | null {
  const file = '/etc/machine-id';
  const id = existsSync(file) ? readFileSync(file, 'utf8').trim() : '';
  if (!/^[0-9a-f]{32}$/.test(id)) return null;
  return createHmac('sha256', 'compose-caretaker').update(id).digest('hex').slice(0, 32);
}
