/** The licences of the packages in the bundles: which may be there, and the file that passes their texts on. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

export interface Package {
  readonly name: string;
  readonly version: string;
  /** As its package.json says: an SPDX identifier, or several with AND. */
  readonly licence: string | undefined;
  /** Of its licence and notice files; empty where it comes without. */
  readonly text: string;
}

/** All of them ask for no more than that their text is passed on. */
const allowed: ReadonlySet<string> = new Set([
  ...['0BSD', 'Apache-2.0', 'BlueOak-1.0.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'MIT'],
]);

export function readPackage(root: string, folder: string): Package {
  const directory = path.join(root, folder);
  const { name, version, license } = JSON.parse(readFileSync(path.join(directory, 'package.json'), 'utf8')) as {
    readonly name: string;
    readonly version: string;
    readonly license?: unknown;
  };
  const texts = readdirSync(directory)
    .filter((file) => /^(licen[cs]e|copying|notice)\b/i.test(file))
    .sort()
    .map((file) => readFileSync(path.join(directory, file), 'utf8').replaceAll('\r\n', '\n').trim());
  return { name, version, licence: typeof license === 'string' ? license : undefined, text: texts.join('\n\n') };
}

/** What keeps packages from being passed on with ours, one line each. */
export function licenceProblems(packages: readonly Package[]): string[] {
  return packages.flatMap(({ name, version, licence }) => {
    if (licence === undefined) return [`${name} ${version} has no licence`];
    const parts = licence.replace(/^\((.*)\)$/, '$1').split(' AND ');
    return parts.every((one) => allowed.has(one)) ? [] : [`${name} ${version} is under ${licence}`];
  });
}

/** One list of all, each with its text. */
export function licencesText(packages: readonly Package[]): string {
  const line = '-'.repeat(80);
  return packages
    .map(({ name, version, licence, text }) => `${line}\n${name} ${version}: ${licence}\n\n${text || '(no text)'}\n`)
    .join('\n');
}
