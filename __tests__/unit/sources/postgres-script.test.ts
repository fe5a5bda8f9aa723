import { expect, test } from '@jest/globals';
import { checkScript } from '../../../src/sources/postgres-script.ts';

/** As pg_dumpall 15.18 and 17 print it, of a server with odd names. */
const GLOBALS = String.raw`--
-- PostgreSQL database cluster dump
--

\restrict EUCF3Beocn83rjvKrfle5XM3MgSXyYYVm62pCEFW8EJMQCJuT0wysfJjnjwDEyu

SET default_transaction_read_only = off;

SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;

--
-- Roles
--

CREATE ROLE grp;
ALTER ROLE grp WITH NOSUPERUSER INHERIT NOCREATEROLE NOCREATEDB NOLOGIN NOREPLICATION NOBYPASSRLS;
COMMENT ON ROLE grp IS E'back\\slash $$ it''s /* -- \\';
CREATE ROLE "o'dd \ ""näme""";
ALTER ROLE "o'dd \ ""näme""" WITH LOGIN PASSWORD 'SCRAM-SHA-256$4096:kMM8y+jiAqS+FSaCvvDikA==$AnEpzZU57Y=:gruF6T5g=' VALID UNTIL 'infinity';

--
-- User Config "grp"
--

ALTER ROLE grp SET search_path TO E'a\\b', 'c';
ALTER ROLE grp IN DATABASE "Sh op" SET application_name TO 'C:\x\';
COMMENT ON ROLE grp IS 'two
lines; ぃ';

GRANT grp TO "o'dd \ ""näme""" WITH ADMIN OPTION, INHERIT TRUE GRANTED BY postgres;
GRANT SET ON PARAMETER work_mem TO grp;
SECURITY LABEL FOR anon ON ROLE grp IS 'MASKED';

CREATE TABLESPACE fast OWNER postgres LOCATION '/dev/shm/ts';
ALTER TABLESPACE fast SET (random_page_cost=1.1);
REVOKE ALL ON TABLESPACE fast FROM postgres;
SET SESSION AUTHORIZATION grp;
GRANT ALL ON TABLESPACE fast TO PUBLIC;
RESET SESSION AUTHORIZATION;


\unrestrict EUCF3Beocn83rjvKrfle5XM3MgSXyYYVm62pCEFW8EJMQCJuT0wysfJjnjwDEyu

--
-- PostgreSQL database cluster dump complete
--
`;

test('what a server prints is taken as it is, without the commands of psql', () => {
  const checked = checkScript(GLOBALS, 'it');
  const lines = GLOBALS.split('\n').filter((line) => !/^\\(un)?restrict /.test(line));
  expect(checked).toBe(`SET standard_conforming_strings = on;\n${lines.join('\n')}`);
  expect(checkScript('', 'it')).toBe('SET standard_conforming_strings = on;\n');
});

test('what is of tablespaces is left out where that is asked for, and nothing else', () => {
  const more = String.raw`
CREATE TABLESPACE "o'dd ;" OWNER postgres LOCATION '/ts;2';
GRANT ALL ON TABLESPACE "o'dd ;" TO PUBLIC;
COMMENT ON TABLESPACE fast IS 'a; b';
SECURITY LABEL FOR anon ON TABLESPACE fast IS 'x';
ALTER ROLE "SET default_tablespace TO " SET default_tablespace TO 'fast';
ALTER ROLE grp IN DATABASE "Sh op" SET temp_tablespaces TO 'fast', 'slow';
ALTER ROLE grp SET search_path TO 'x SET default_tablespace TO ';
COMMENT ON ROLE grp IS 'ON TABLESPACE fast';
`;
  const left: string[] = [];
  const checked = checkScript(GLOBALS + more, 'it', left);
  const whole = checkScript(GLOBALS + more, 'it').split('\n');
  const isLeft = (line: string): boolean =>
    /TABLESPACE (fast|"o)|SET (default_tablespace|temp_tablespaces) TO 'fast'/.test(line) &&
    !line.startsWith('COMMENT ON ROLE');
  expect(left).toEqual(whole.filter(isLeft).map((line) => line.slice(0, -1)));
  expect(left).toHaveLength(10);
  expect(checked.split('\n').filter((line) => line !== '')).toEqual(
    whole.filter((line) => line !== '' && !isLeft(line)),
  );
});

test('where a backslash escapes in every string, it is read so', () => {
  const off = 'SET standard_conforming_strings = off;\nSET escape_string_warning = off;\n';
  const script = String.raw`${off}COMMENT ON ROLE x IS 'it\'s \\';` + '\n';
  expect(checkScript(script, 'it')).toContain(script);
  const evil = String.raw`COMMENT ON ROLE x IS '\';` + "\n\\! id\n-- ';";
  expect(() => checkScript(evil, 'it')).toThrow('a command of psql');
  expect(() => checkScript(`${off}${evil}`, 'it')).not.toThrow();
});

test.each([
  ['a command of psql', '\\! id\n'],
  ['a command of psql', 'CREATE ROLE x; \\! id\n'],
  ['a command of psql', 'CREATE ROLE x \\gexec\n'],
  ['a command of psql', "COMMENT ON ROLE x IS 'a''' \\! id\n;"],
  ['a command of psql', 'CREATE ROLE "a""b" \\! id\n;'],
  ['a command of psql', '-- comment\r\\! id\n'],
  ['a command of psql', '\\restrict a\\! id\n'],
  ['a command of psql', '\\restrict `id`\n'],
  ['a command of psql', '\\connect x\n'],
  ['a command of psql', 'CREATE ROLE x\n\\restrict a\n;'],
  ['a NUL', "COMMENT ON ROLE x IS 'a\0';\n'\\! id\n';"],
  ['other quotes', "COMMENT ON ROLE x IS E'a'\n'b\\'\\! id\n';"],
  ['other quotes', "COMMENT ON ROLE x IS E'a' -- c\n'b\\'\\! id\n';"],
  ['other quotes', "COMMENT ON ROLE x IS U&'a';"],
  ['other quotes', "COMMENT ON ROLE x IS B'0';"],
  ['other quotes', 'COMMENT ON ROLE x IS $$ \\! id $$;'],
  ['other quotes', 'CREATE ROLE x /* \\! id */;'],
  ['other quotes', 'GRANT :USER TO x;'],
  ['other quotes', "COMMENT ON ROLE x IS 'a;\n"],
  ['another statement', 'SELECT 1;'],
  ['another statement', "SET client_encoding = 'SJIS';"],
  ['another statement', 'SET search_path = x;'],
  ['another statement', 'GRANT a TO b; ; DO x;'],
  ['another statement', '\u00a0SELECT 1;'],
  ['another statement', 'COPY x FROM stdin;'],
  ['more in the line', "SET standard_conforming_strings = off; COMMENT ON ROLE x IS '\\';"],
  ['a last statement', 'CREATE ROLE x'],
])('%s is refused: %j', (why, script) => {
  expect(() => checkScript(script, 'it')).toThrow(
    expect.objectContaining({ code: 'part-hostile', message: expect.stringContaining(`it has ${why}`) as unknown }),
  );
});

test('scripts of many megabytes are read, or refused, at once', () => {
  const long = 'x'.repeat(10_000_000);
  expect(checkScript(`COMMENT ON ROLE x IS E'${long}''\\n';`, 'it').length).toBeGreaterThan(10_000_000);
  expect(() => checkScript("'".repeat(10_000_001), 'it')).toThrow('refused to load it');
});
