import { CaretakerError } from '../errors.ts';

/**
 * The lines of a list input: empty lines and lines that begin with `#` are left out, blanks at both ends too.
 */
export function linesOf(text: string): string[] {
  return text
    .split(/\r\n|\n|\r/)
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
}

/** Names separated by commas, line ends or both. For lists whose members can't hold a comma. */
export function wordsOf(text: string): string[] {
  return linesOf(text).flatMap((line) =>
    line
      .split(',')
      .map((word) => word.trim())
      .filter((word) => word !== ''),
  );
}

/** The same for words that may hold a comma: such a word stands in double quotes. Throws `key-values-invalid` with the input's name. */
export function quotedWordsOf(text: string, input: string): string[] {
  return linesOf(text).flatMap((line) =>
    fieldsOf(line.replace(/(?:\s*,)+$/, ''), (why) => {
      const hint = 'Separate them by commas or line ends; what holds a comma itself stands in double quotes.';
      return new CaretakerError('key-values-invalid', `failed to read ${input}, line "${line}": ${why}`, {
        input,
        hint,
      });
    }),
  );
}

/**
 * One line of the form that Docker's actions use: `type=folder,path=/srv/backups`. It is CSV: a field that holds a comma stands
 * in double quotes, as a whole (`"exclude=a,b"`) or only its value (`exclude="a,b"`); a quote inside is doubled.
 * Throws `key-values-invalid` with the input's name.
 */
export function parseKeyValues(line: string, input: string): Readonly<Record<string, string>> {
  const invalid = (why: string): CaretakerError =>
    new CaretakerError('key-values-invalid', `failed to read ${input}, line "${line}": ${why}`, {
      input,
      hint: 'Write key=value,key=value; a value with a comma in double quotes, as in run="./check.sh a,b".',
    });
  const result: Record<string, string> = {};
  for (const field of fieldsOf(line, invalid)) {
    const equals = field.indexOf('=');
    if (equals === -1) throw invalid(`"${field}" has no "="`);
    const key = field.slice(0, equals).trim();
    if (!/^[a-z][a-z0-9-]*$/.test(key)) throw invalid(`"${key}" is no key`);
    if (Object.hasOwn(result, key)) throw invalid(`"${key}" is given twice`);
    result[key] = field.slice(equals + 1).trim();
  }
  return result;
}

function fieldsOf(line: string, invalid: (why: string) => CaretakerError): string[] {
  const fields: string[] = [];
  let field = '';
  let quoted = false;
  /** A quoted run has ended in this field: only a comma or the end may follow. */
  let closed = false;
  for (let at = 0; at < line.length; at++) {
    const char = line.charAt(at);
    if (quoted) {
      if (char !== '"') field += char;
      else if (line[at + 1] === '"') {
        field += '"';
        at++;
      } else {
        quoted = false;
        closed = true;
      }
    } else if (char === ',') {
      fields.push(field);
      field = '';
      closed = false;
    } else if (closed && char.trim() !== '') {
      throw invalid('text follows a closing quote');
    } else if (char === '"' && (field.trim() === '' || /^\s*[^=]+=\s*$/.test(field))) {
      field = field.trimStart();
      quoted = true;
    } else if (!closed) {
      field += char;
    }
  }
  if (quoted) throw invalid('a double quote is not closed');
  fields.push(field);
  const trimmed = fields.map((text) => text.trim());
  if (trimmed.includes('')) throw invalid('there is nothing between two commas, or at an end');
  return trimmed;
}
