import type { Log } from '../../../src/report/log.ts';

/** A log that keeps its lines: `warn: …`, `info: …`. */
export function silentLog(): { readonly log: Log; readonly lines: string[]; readonly masked: string[] } {
  const lines: string[] = [];
  const masked: string[] = [];
  const log: Log = {
    info: (line) => void lines.push(`info: ${line}`),
    warn: (line) => void lines.push(`warn: ${line}`),
    debug: (line) => void lines.push(`debug: ${line}`),
    group: (_title, work) => work(),
    progress: () => undefined,
    mask: (secret) => void masked.push(secret),
    redacted: (text) => text,
  };
  return { log, lines, masked };
}
