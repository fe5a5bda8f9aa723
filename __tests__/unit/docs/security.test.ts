import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';

const root = path.resolve(import.meta.dirname, '../../..');

test('what SECURITY.md names to show its claims is there', () => {
  const text = readFileSync(path.join(root, 'SECURITY.md'), 'utf8');
  const named = [...text.matchAll(/`((?:__tests__|src|scripts)\/[^`]+)`/g)].map(([, file = '']) => file);
  expect(named.length).toBeGreaterThan(15);
  expect(named.filter((file) => !existsSync(path.join(root, file)))).toEqual([]);
});

test('each of its attackers has what is not held, too', () => {
  const text = readFileSync(path.join(root, 'SECURITY.md'), 'utf8');
  const attackers = (/## Who attacks\n([^]*?)\n## /.exec(text)?.[1] ?? '').split('\n### ').slice(1);
  expect(attackers.length).toBeGreaterThanOrEqual(8);
  for (const attacker of attackers) expect(attacker).toContain('**Not held:**');
});
