import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';

const root = path.resolve(import.meta.dirname, '../../..');
const read = (file: string): unknown => JSON.parse(readFileSync(path.join(root, file), 'utf8'));

describe('dependencies', () => {
  const manifest = read('package.json') as Record<string, Record<string, string>>;
  test.each(['dependencies', 'devDependencies', 'optionalDependencies', 'overrides'])(
    '%s are exact versions',
    (key) => {
      for (const [name, version] of Object.entries(manifest[key] ?? {})) {
        // `$name` is the version of the dependency of that name.
        if (version !== `$${name}`) expect(`${name} ${version}`).toMatch(/^\S+ \d+\.\d+\.\d+$/);
      }
    },
  );

  test('every package of the lock file comes from the registry, with its digest', () => {
    const { packages } = read('package-lock.json') as {
      packages: Record<string, { readonly integrity?: string; readonly resolved?: string; readonly link?: boolean }>;
    };
    const others = Object.entries(packages).filter(
      ([place, { integrity, resolved = 'https://registry.npmjs.org/', link }]) =>
        place !== '' &&
        (link === true || !integrity?.startsWith('sha512-') || !resolved.startsWith('https://registry.npmjs.org/')),
    );
    expect(others.map(([place]) => place)).toEqual([]);
    expect(Object.keys(packages).length).toBeGreaterThan(100);
  });
});
