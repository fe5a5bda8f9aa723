import type { Manifest, Part } from '../archive/manifest.ts';
import type { Head } from '../code/git.ts';
import { CaretakerError } from '../errors.ts';
import type { RestoreSettings } from '../settings/settings.ts';
import { dataParts } from './exchange.ts';
import type { Tools } from './tools.ts';

/**
 * Refuses data of another version than the code that is checked out: an older one migrates them, a newer one may not even start on them, and either may be meant.
 * Not asked where one of the two is not known, nor for the project's own files. `restore-version`.
 */
export function gateVersion(
  { log, recorder }: Pick<Tools, 'log' | 'recorder'>,
  manifest: Manifest,
  parts: readonly Part[],
  head: Head | null,
  allow: RestoreSettings['allow'],
): void {
  const { version } = manifest;
  if (dataParts(parts).length === 0 || version.commit === head?.commit) return;
  if (version.commit === null || head === null) {
    const unknown =
      head === null ? 'there is no git clone here' : `${manifest.name} does not say of which commit it is`;
    log.info(`Whether the data fit the code can't be told: ${unknown}`);
    return;
  }
  const [ofData, ofCode] = [named(version), named(head)];
  if (allow.includes('version-mismatch')) {
    recorder.warn(`The data of ${ofData} go under the code of ${ofCode}, as allowed.`);
    return;
  }
  throw new CaretakerError(
    'restore-version',
    `${manifest.name} holds the data of ${ofData}, and the code that is checked out is ${ofCode}`,
    {
      input: 'allow',
      hint: 'Add "version-mismatch" to allow to put these data under the code that is there: an application that is newer than its data usually migrates them when it starts.',
    },
  );
}

/** `v1.2.0 (0123456789ab)`. */
export function named({ commit, tag, describe }: Manifest['version']): string {
  const short = (commit ?? '').slice(0, 12);
  const name = tag ?? describe;
  return name === null || short.startsWith(name) ? short : `${name} (${short})`;
}
