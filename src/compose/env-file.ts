import { CaretakerError } from '../errors.ts';
import { interpolate, InterpolationError } from './interpolate.ts';
import type { Lookup } from './interpolate.ts';

/** Whose rules for a bare `$`: python-dotenv (podman-compose) expands `${NAME}` only, Compose `$NAME` as well. */
export type EnvFileStyle = 'compose' | 'python-dotenv';

/**
 * Reads an env file by Compose's rules: `KEY=VALUE`, `export KEY=…`, comments, single quotes taken literally, double quotes with
 * escapes, values over several lines inside quotes, `${OTHER}` from `lookup` or from earlier lines. A key without `=` takes its value
 * from `lookup`. Throws `env-file-invalid` with the line.
 */
export function parseEnvFile(
  path: string,
  text: string,
  lookup: Lookup,
  style: EnvFileStyle = 'compose',
): Record<string, string> {
  const values: Record<string, string> = {};
  const fill = (raw: string): string =>
    interpolate(style === 'compose' ? raw : raw.replace(/\$(?!\{)/g, '$$$$'), known);
  const known: Lookup = (name) => lookup(name) ?? values[name];
  const source = text.replace(/^\uFEFF/, '').replace(/\r\n?/g, '\n');
  let at = 0;

  const fail = (why: string): never => {
    const line = source.slice(0, at).split('\n').length;
    throw new CaretakerError('env-file-invalid', `failed to read ${path}: line ${line}: ${why}`, {
      hint: 'Write one KEY=VALUE a line; quote values that hold spaces, # or $.',
    });
  };

  while (at < source.length) {
    const blank = /[ \t]*(?:#[^\n]*)?(?:\n|$)/y;
    blank.lastIndex = at;
    const skipped = blank.exec(source);
    if (skipped !== null && skipped[0] !== '') {
      at += skipped[0].length;
      continue;
    }
    const key = /[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*(=|:|(?=\n|$))/y;
    key.lastIndex = at;
    const match = key.exec(source);
    if (match === null) return fail('it is not KEY=VALUE');
    const name = match[1] ?? '';
    at += match[0].length;
    if (match[2] === '') {
      const inherited = lookup(name);
      if (inherited !== undefined) values[name] = inherited;
      continue;
    }
    const space = /[ \t]*/y;
    space.lastIndex = at;
    at += space.exec(source)?.[0].length ?? 0;

    const quote = source[at];
    try {
      if (quote === "'" || quote === '"') {
        const quoted = quote === "'" ? /'((?:[^'\\]|\\.)*)'/sy : /"((?:[^"\\]|\\.)*)"/sy;
        quoted.lastIndex = at;
        const found = quoted.exec(source);
        if (found === null) return fail(`the quotes of ${name} are not closed`);
        at += found[0].length;
        const raw = found[1] ?? '';
        values[name] = quote === "'" ? raw.replace(/\\'/g, "'") : fill(unescape(raw));
        const rest = /[^\n]*/y;
        rest.lastIndex = at;
        const tail = rest.exec(source)?.[0] ?? '';
        if (!/^\s*(#.*)?$/.test(tail)) return fail(`there is text after the quotes of ${name}`);
        at += tail.length;
      } else {
        const line = /[^\n]*/y;
        line.lastIndex = at;
        const raw = line.exec(source)?.[0] ?? '';
        // A # begins a comment only after a space: `a#b` is a value.
        values[name] = fill(raw.replace(/(^|\s)#.*$/, '').trim());
        at += raw.length;
      }
    } catch (error) {
      if (error instanceof InterpolationError) return fail(`the value of ${name} is an ${describe(error)}`);
      throw error;
    }
  }
  return values;
}

/** The value itself stays out of the message: env files hold secrets. */
function describe(error: InterpolationError): string {
  return error.message.startsWith('required') ? `error: ${error.message}` : 'invalid template';
}

function unescape(raw: string): string {
  return raw.replace(/\\(.)/gs, (whole, char: string) => {
    if (char === 'n') return '\n';
    if (char === 'r') return '\r';
    if (char === 't') return '\t';
    // \$ means a dollar that is no variable.
    if (char === '$') return '$$';
    return char === '"' || char === '\\' ? char : whole;
  });
}
