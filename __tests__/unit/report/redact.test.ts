import { describe, expect, test } from '@jest/globals';
import { Redactor, secretsOf, withoutCredentials } from '../../../src/report/redact.ts';

describe('addresses', () => {
  test.each([
    [
      "fatal: unable to access 'https://me:hunter22@git.example/x.git/'",
      "fatal: unable to access 'https://***@git.example/x.git/'",
    ],
    [
      "fatal: clone of 'http://me:hunter22@h/s.git' into submodule path '/srv/app/s' failed",
      "fatal: clone of 'http://***@h/s.git' into submodule path '/srv/app/s' failed",
    ],
    ['https://ghp_token@github.com/o/r', 'https://***@github.com/o/r'],
    ['HTTPS://me:p@ss:w@h/x and http://a:b@c', 'HTTPS://***@h/x and http://***@c'],
    ['postgres://app:hunter22@db:5432/app', 'postgres://app:***@db:5432/app'],
    ['redis://:hunter22@cache', 'redis://:***@cache'],
  ])('%s loses its password', (text, expected) => {
    expect(withoutCredentials(text)).toBe(expected);
  });

  test.each([
    'https://github.com/o/r@v1',
    'http://localhost:8000/ by me@example.org',
    'ssh://git@github.com/o/r',
    'git@github.com:o/r',
    'https://host?user=a@b#c@d',
  ])('%s stays', (text) => {
    expect(withoutCredentials(text)).toBe(text);
  });

  test('in a report as well', () => {
    expect(new Redactor().deep({ chain: ['From https://me:hunter22@h/x'] })).toEqual({
      chain: ['From https://***@h/x'],
    });
  });
});

describe('secretsOf', () => {
  test.each([
    { POSTGRES_PASSWORD: 'hunter22' },
    { APP_KEY: 'hunter22' },
    { MYSQL_PWD: 'hunter22' },
    { DATABASE_URL: 'postgres://app:hunter22@db/app' },
    { REDIS_URL: 'redis://:hunter22@cache' },
  ])('%j', (environment) => {
    expect(secretsOf(environment)).toEqual(['hunter22']);
  });

  test.each([
    { LANG: 'C.UTF-8' },
    { PWD: '/application' },
    { PASSWORD: 'short' },
    { SECRET_KEY: null },
    { URL: 'http://db:5432/x' },
  ])('nothing of %j', (environment) => {
    expect(secretsOf(environment as Record<string, string | null>)).toEqual([]);
  });
});
