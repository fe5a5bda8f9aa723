import { CaretakerError } from '../errors.ts';

/** What pg_dumpall --globals-only prints, and pg_dump of a database itself: none of it runs anything, nor changes how what follows is read. */
const STATEMENTS = [
  /^SET (?:default_transaction_read_only|escape_string_warning|standard_conforming_strings) = (?:on|off)$/,
  // Those of servers: in the others, which only clients have, a quote may be the second byte of a character.
  /^SET client_encoding = '(?:UTF8|SQL_ASCII|LATIN\d+|WIN(?:866|874|125\d)|KOI8[RU]|ISO_8859_\d|EUC_[A-Z0-9_]+|MULE_INTERNAL)'$/,
  /^(?:SET|RESET) SESSION AUTHORIZATION\b/,
  /^(?:CREATE|ALTER) (?:ROLE|TABLESPACE|DATABASE) /,
  /^(?:COMMENT ON|SECURITY LABEL|GRANT|REVOKE) /,
];

const NAME = /(?:"(?:[^"]|"")+"|[^\s"]+)/.source;
/** Tablespaces, rights to them, and the roles' settings that name one: where it is missing, the server says so with an error's code. */
const OF_TABLESPACES = new RegExp(
  [
    '^(?:CREATE|ALTER) TABLESPACE ',
    '^(?:GRANT|REVOKE) (?:GRANT OPTION FOR )?(?:ALL|CREATE) ON TABLESPACE ',
    `^(?:COMMENT|SECURITY LABEL(?: FOR ${NAME})?) ON TABLESPACE `,
    `^ALTER ROLE ${NAME}(?: IN DATABASE ${NAME})? SET (?:default_tablespace|temp_tablespaces) TO `,
  ].join('|'),
);

/** The only commands of psql's own that dumps have: a guard against such scripts as are refused here, from PostgreSQL 17.6 and its like on. */
const RESTRICT = /\\(?:un)?restrict [A-Za-z0-9]+(?:\r?\n|$)/y;

/** Blanks, a comment, a word, or a single character. No dump has `$tag$`, comments in asterisks or `:variables` here. */
const TOKEN = /[ \t\n\r\f\v]+|--[^\r\n]*|[\w\x80-\uffff]+|[^]/y;

/**
 * Checks a script of a dump before psql reads it, whose own commands (`\!`) a shell would run. Answers with the script as it may be given to psql, without the lines that are psql's. A script that could be read in two
 * ways is refused as one with other statements is: `part-hostile`. `left`: what is of tablespaces is left out of the answer, and noted there.
 */
export function checkScript(script: string, what: string, left?: string[]): string {
  const refused = (why: string, place: string): CaretakerError =>
    new CaretakerError(
      'part-hostile',
      `refused to load ${what}: it has ${why}: ${JSON.stringify(place.slice(0, 40))}`,
      {
        hint: 'No dump has this: find out where the backup comes from. None of it was run.',
      },
    );
  const nul = script.indexOf('\0');
  if (nul !== -1) throw refused('a NUL', script.slice(nul));
  const checked: string[] = [];
  let statement: string[] = [];
  /** Where the statement begins in what was checked. */
  let begin: number | undefined;
  // standard_conforming_strings, as it is set here and below.
  let plainBackslash = true;
  let last = ';';
  for (let at = 0; at < script.length;) {
    const from = at;
    if (script[at] === '\\') {
      RESTRICT.lastIndex = at;
      const line = RESTRICT.exec(script)?.[0];
      if (line === undefined || last !== ';' || (at > 0 && script[at - 1] !== '\n'))
        throw refused('a command of psql', script.slice(at));
      at += line.length;
      continue;
    }
    TOKEN.lastIndex = at;
    let token = TOKEN.exec(script)![0];
    const isEscape = /^[Ee]$/.test(token) && script[at + 1] === "'";
    if (isEscape || token === "'" || token === '"') {
      const escapes = isEscape || (token === "'" && !plainBackslash);
      token = quoted(script, at + (isEscape ? 1 : 0), escapes) ?? '';
      // Behind another it is that one's continuation, by its rules; right behind a word or & it has rules of its own.
      const isOdd = token.endsWith("'") && (last.endsWith("'") || /[\w\x80-\uffff&]/.test(script[at - 1] ?? ''));
      if (token === '' || isOdd) throw refused('other quotes than a dump', script.slice(at));
      if (isEscape) token = `E${token}`;
      // A variable of psql's may hold anything.
    } else if (token === '$' || token === ':' || (token === '*' && script[at - 1] === '/'))
      throw refused('other quotes than a dump', script.slice(at));
    at += token.length;
    checked.push(token);
    if (/^(?:[ \t\n\r\f\v]|--)/.test(token)) {
      statement.push(' ');
      continue;
    }
    last = token;
    begin ??= checked.length - 1;
    if (token !== ';') {
      statement.push(token);
      continue;
    }
    const plain = statement.join('').trim().replaceAll(/ +/g, ' ');
    if (!STATEMENTS.some((one) => one.test(plain))) throw refused('another statement than a dump', plain);
    const set = /^SET standard_conforming_strings = (on|off)$/.exec(plain)?.[1];
    if (set !== undefined) {
      // psql asks for it at the beginning of each line.
      if (!/^(?:\r?\n|$)/.test(script.slice(at, at + 2))) throw refused('more in the line that says how strings are read', script.slice(from)); // prettier-ignore
      plainBackslash = set === 'on';
    }
    if (left !== undefined && OF_TABLESPACES.test(plain)) {
      left.push(plain);
      checked.length = begin;
    }
    begin = undefined;
    statement = [];
  }
  if (last !== ';') throw refused('a last statement without an end', statement.join(''));
  return `SET standard_conforming_strings = on;\n${checked.join('')}`;
}

/** The text in quotes that begins there, with them; undefined where it does not end. */
function quoted(script: string, at: number, escapes: boolean): string | undefined {
  const quote = script[at]!;
  for (let end = at + 1; end < script.length; end += 1) {
    if (escapes && script[end] === '\\') end += 1;
    else if (script[end] !== quote) continue;
    else if (script[end + 1] === quote) end += 1;
    else return script.slice(at, end + 1);
  }
  return undefined;
}
