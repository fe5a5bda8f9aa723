import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';

export interface MeasuredRun {
  readonly seconds: number;
  /** Processor time of the program itself, in user and kernel mode. */
  readonly processorSeconds: number;
  /** The program's own peak of resident memory, in bytes. */
  readonly peakBytes: number;
  /** The largest of the programs that it started, at any depth; null where none was seen. */
  readonly largestChild: { readonly name: string; readonly peakBytes: number } | null;
}

interface Peak {
  readonly name: string;
  readonly bytes: number;
}

const SAMPLE_MS = 50;
const WORDS_KEPT = 8_000;
/** Linux shows every program the same unit, whatever the kernel's own. */
const TICKS_A_SECOND = 100;

/**
 * Runs a program to its end. Memory is the kernel's own high-water mark (VmHWM of /proc/PID/status, Linux only), and processor time its own count, so what is sampled
 * misses nothing but a process's last 50 ms.
 *
 * Throws when the program ends with another code than 0, with its last words, and the signal's reason when it is aborted.
 */
export async function measuredRun(
  argv: readonly [string, ...string[]],
  options: { readonly cwd: string; readonly signal: AbortSignal },
): Promise<MeasuredRun> {
  options.signal.throwIfAborted();
  const [program, ...args] = argv;
  const start = performance.now();
  const child = spawn(program, args, { cwd: options.cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  const stop = (): void => void child.kill('SIGTERM');
  options.signal.addEventListener('abort', stop);
  let words = '';
  for (const output of [child.stdout, child.stderr]) {
    output.on('data', (chunk: Buffer) => {
      words = (words + chunk.toString()).slice(-WORDS_KEPT);
    });
  }

  const peaks = new Map<number, Peak>();
  let processorSeconds = 0;
  const sample = (): void => {
    if (child.pid === undefined) return;
    notePeaks(child.pid, peaks);
    processorSeconds = processorSecondsOf(child.pid) ?? processorSeconds;
  };
  const timer = setInterval(sample, SAMPLE_MS);
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    options.signal.throwIfAborted();
    if (code !== 0) throw new Error(`${argv.join(' ')} ended with code ${code}:\n${words}`);
  } finally {
    clearInterval(timer);
    options.signal.removeEventListener('abort', stop);
  }
  const seconds = (performance.now() - start) / 1000;

  const own = peaks.get(child.pid!);
  if (own === undefined) throw new Error(`${program} ended before its memory could be read`);
  peaks.delete(child.pid!);
  const largest = [...peaks.values()].sort((a, b) => b.bytes - a.bytes)[0];
  return {
    seconds,
    processorSeconds,
    peakBytes: own.bytes,
    largestChild: largest === undefined ? null : { name: largest.name, peakBytes: largest.bytes },
  };
}

/** The last mark of a process counts, not the highest: between fork and exec a child shows its parent's memory and name. */
function notePeaks(pid: number, peaks: Map<number, Peak>): void {
  let children: number[];
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    const kilobytes = /^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1];
    // A process that has ended, and waits to be collected, has no such line.
    if (kilobytes === undefined) return;
    peaks.set(pid, { name: basename(readlinkSync(`/proc/${pid}/exe`)), bytes: Number(kilobytes) * 1024 });
    children = readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1').split(' ').filter(Boolean).map(Number),
    );
  } catch {
    return; // It has ended meanwhile.
  }
  for (const child of children) notePeaks(child, peaks);
}

/** Undefined where it has ended. */
function processorSecondsOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name, in brackets, may hold anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_A_SECOND;
  } catch {
    return undefined;
  }
}
