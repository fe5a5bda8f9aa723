import { randomUUID } from 'node:crypto';

/**
 * What a runner may take for a command: `::` at the beginning of a line, and `##[` anywhere in it. The runner trims by .NET's idea of white space, which is not JavaScript's (U+0085), and compares by
 * rules of a language, to which characters without width are nothing: so whatever is not visible ASCII counts as such, a colon or two too many at worst.
 */
const COMMAND = /^[^!-~\r\n]*:[^!-~\r\n]*:|[\r\u0085][^!-~\r\n]*:[^!-~\r\n]*:|#[^!-~\r\n]*#[^!-~\r\n]*\[/m;

/**
 * The lines by which a text is printed in a job. It may come from a container, a build or git: where there might be a command in it, it stands between stop-commands and its end token, which nobody can
 * guess: unchanged, and without effect.
 */
export function withoutCommands(text: string): readonly string[] {
  if (!COMMAND.test(text)) return [text];
  const token = randomUUID();
  return [`::stop-commands::${token}`, text, `::${token}::`];
}

/** The same JSON with no command in it, which `withoutCommands` leaves alone: its lines begin with what no command does, and neither `##[` nor a line's end that JSON does not escape is left in its texts. */
export function jsonWithoutCommands(json: string): string {
  return json.replace(/[#\u0085\u2028\u2029]/g, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
