import type { Log } from './log.ts';
import { Redactor } from './redact.ts';

/** Says nothing: for tests, and for --json, whose reader wants the report alone. `warnings` keeps what was warned of. */
export function silentLog(): Log & { readonly warnings: string[]; readonly redactor: Redactor } {
  const warnings: string[] = [];
  const redactor = new Redactor();
  return {
    redactor,
    warnings,
    info: () => {},
    warn: (line) => void warnings.push(line),
    debug: () => {},
    group: (_title, work) => work(),
    progress: () => {},
    mask: (secret) => void redactor.add(secret),
    redacted: (text) => redactor.text(text),
  };
}
