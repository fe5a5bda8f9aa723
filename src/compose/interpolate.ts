/** Answers with a variable's value, undefined when it is not set. */
export type Lookup = (name: string) => string | undefined;

/** A template that can't be filled in: a required variable is missing, or its form is wrong. Positions are the caller's to add; the text may be a secret, and stays out. */
export class InterpolationError extends Error {}

/**
 * Fills in variables by Compose's rules: `$NAME`, `${NAME}`, `:-` `-` (default), `:?` `?` (error), `:+` `+` (alternative), `$$` for a
 * dollar. Defaults may nest. An unset variable is the empty string.
 */
export function interpolate(text: string, lookup: Lookup): string {
  const [result, end] = expand(text, 0, lookup, false);
  if (end !== text.length) throw new InterpolationError('invalid template');
  return result;
}

const name = /[A-Za-z_][A-Za-z0-9_]*/y;

/** Expands from `position` to the end, or to the `}` that closes the braces we are in; answers with the text and where it stopped. */
function expand(text: string, position: number, lookup: Lookup, inBraces: boolean): [string, number] {
  let result = '';
  let at = position;
  while (at < text.length) {
    const char = text[at];
    if (inBraces && char === '}') return [result, at];
    if (char !== '$') {
      result += char;
      at++;
    } else if (text[at + 1] === '$') {
      result += '$';
      at += 2;
    } else if (text[at + 1] === '{') {
      const [value, end] = braced(text, at + 2, lookup);
      result += value;
      at = end;
    } else {
      const variable = nameAt(text, at + 1);
      if (variable === undefined) {
        throw new InterpolationError('invalid template: a single $ (write $$ for a dollar)');
      }
      result += lookup(variable) ?? '';
      at += 1 + variable.length;
    }
  }
  return [result, at];
}

function braced(text: string, position: number, lookup: Lookup): [string, number] {
  const variable = nameAt(text, position);
  if (variable === undefined) throw new InterpolationError('invalid template: no name after ${');
  let at = position + variable.length;
  const operator = /:?[-?+]/y;
  operator.lastIndex = at;
  const sign = operator.exec(text)?.[0];
  const [argument, end] = expandLazily(text, at + (sign?.length ?? 0), lookup);
  if (text[end] !== '}' || (sign === undefined && end !== at)) {
    throw new InterpolationError(`invalid template: \${${variable} is not closed or has an unknown operator`);
  }
  at = end + 1;

  const value = lookup(variable);
  if (sign === undefined) return [value ?? '', at];
  const present = value !== undefined && (!sign.startsWith(':') || value !== '');
  if (sign.endsWith('+')) return [present ? argument() : '', at];
  if (present) return [value, at];
  if (sign.endsWith('-')) return [argument(), at];
  throw new InterpolationError(`required variable ${variable} is missing a value: ${argument()}`);
}

/** Like expand inside braces, but a required variable in a default that is not used does not fail. */
function expandLazily(text: string, position: number, lookup: Lookup): [() => string, number] {
  const [, end] = expand(text, position, () => 'x', true);
  return [() => expand(text, position, lookup, true)[0], end];
}

function nameAt(text: string, position: number): string | undefined {
  name.lastIndex = position;
  return name.exec(text)?.[0];
}
