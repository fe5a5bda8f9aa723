import type { Log } from './log.ts';
import { plainText } from './plain-text.ts';
import { Redactor } from './redact.ts';
import { progressText, throttle } from './throttle.ts';
import { formatSeconds } from './units.ts';
import { withoutCommands } from './workflow-commands.ts';

/** Where a log goes: standard error, so that standard output holds the report alone. */
export interface Output {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

export interface TerminalOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly verbose?: boolean;
  readonly now?: () => number;
}

export interface TerminalLog extends Log {
  /** Everything masked so far, for the report. */
  readonly redactor: Redactor;
}

/** The log of a shell: colours and a moving progress line only on a terminal, and not where NO_COLOR is set. */
export function terminalLog(
  output: Output = process.stderr,
  { env = process.env, verbose = false, now = () => performance.now() }: TerminalOptions = {},
): TerminalLog {
  const redactor = new Redactor();
  const tty = output.isTTY === true && env['TERM'] !== 'dumb';
  const colours = tty && !env['NO_COLOR'];
  const due = throttle(tty ? 200 : 10_000, now);
  let depth = 0;
  let moving = false;

  const paint = (code: number, text: string): string => (colours ? `\x1b[${code}m${text}\x1b[0m` : text);
  const clean = (text: string): string => plainText(redactor.text(text));
  const print = (line: string): void => {
    // A step of a workflow may run the command line.
    const text = env['GITHUB_ACTIONS'] === 'true' ? withoutCommands(line).join('\n') : line;
    if (moving) output.write('\r\x1b[K');
    moving = false;
    const indent = '  '.repeat(depth);
    output.write(`${indent}${text.replaceAll('\n', `\n${indent}`)}\n`);
  };

  return {
    redactor,
    info: (line) => print(clean(line)),
    warn: (line) => print(`${paint(33, 'warning:')} ${clean(line)}`),
    debug(line) {
      if (verbose) print(paint(2, clean(line)));
    },
    async group(title, work) {
      const start = now();
      print(paint(1, clean(title)));
      depth++;
      let mark = paint(31, '✗');
      try {
        const value = await work();
        mark = paint(32, '✓');
        return value;
      } finally {
        depth--;
        print(`${mark} ${clean(title)}: ${formatSeconds((now() - start) / 1000)}`);
      }
    },
    progress(what, done, total) {
      if (!due(what)) return;
      const text = clean(progressText(what, done, total));
      if (!tty) return print(text);
      // A line that wraps can't be taken back.
      output.write(
        `\r\x1b[K${'  '.repeat(depth)}${text.slice(0, Math.max(20, (output.columns ?? 80) - 2 * depth - 1))}`,
      );
      moving = true;
    },
    mask(secret) {
      redactor.add(secret);
    },
    redacted: (text) => redactor.text(text),
  };
}
