import type { Manifest, Part } from '../archive/manifest.ts';
import type { Checkout, Head, Target } from '../code/git.ts';
import { CaretakerError } from '../errors.ts';
import type { RestoreSettings } from '../settings/settings.ts';
import type { Avoided } from './avoided.ts';
import { absentImages } from './empty-host.ts';
import { dataParts } from './exchange.ts';
import { protectImages } from './images.ts';
import { bringImages } from './restore-images.ts';
import { warnOfSettings } from './settings-of-version.ts';
import type { Tools } from './tools.ts';

/** The version that comes with the data. */
export interface VersionToBring {
  /** Null where its commit is checked out already, or is not known. */
  readonly target: Target | null;
}

/**
 * Whether code and images come with the data, and to where; null where they stay. On an empty host they always come, as nothing is replaced. Refuses before anything is touched: `restore-version`, `not-a-clone`,
 * `restore-commit-missing`, `dirty-tree`.
 */
export async function versionToBring(
  tools: Tools,
  settings: RestoreSettings,
  manifest: Manifest,
  parts: readonly Part[],
  { empty }: { readonly empty: boolean },
): Promise<VersionToBring | null> {
  const { checkout, recorder, log } = tools;
  const head = (await checkout?.head()) ?? null;
  const asIs = !empty || settings.allow.includes('version-mismatch') || head === null;
  if (!settings.withCode && asIs) {
    gateVersion(tools, manifest, parts, head, settings.allow);
    return empty ? { target: null } : null;
  }
  const { commit } = manifest.version;
  if (commit === null) {
    recorder.warn(
      `${manifest.name} does not say of which commit it is: the code stays as it is, and only the images come with the data.`,
    );
    return { target: null };
  }
  if (checkout === null) {
    throw new CaretakerError(
      'not-a-clone',
      `there is no git clone here in which ${named(manifest.version)} could be checked out`,
      {
        input: 'source-directory',
        hint: 'Set source-directory to the clone that the images are built from.',
      },
    );
  }
  if (head?.commit === commit) return { target: null };
  const target = await targetOf(checkout, manifest);
  if (!settings.withCode)
    log.info(`Nothing runs here yet: ${named(manifest.version)} is checked out, as the data are of it`);
  // Going back is what a restore is for.
  await checkout.gate(target, [...settings.allow, 'downgrade', 'major']);
  return { target };
}

/**
 * Only a commit that the clone or a branch or tag of its remote has: a forge gives out by their number also commits that strangers have pushed to their forks, and the number is
 * the manifest's word alone.
 */
async function targetOf(checkout: Checkout, manifest: Manifest): Promise<Target> {
  const { commit, tag } = manifest.version;
  const found = async (): Promise<Target | null> => {
    if (commit === null || !/^[0-9a-f]{40,64}$/.test(commit)) return null;
    try {
      const target = await checkout.resolveTarget({ ref: commit });
      return target?.commit === commit ? { ...target, label: tag ?? target.label } : null;
    } catch (error) {
      if (error instanceof CaretakerError && error.code === 'ref-unknown') return null;
      throw error;
    }
  };
  let target = await found();
  if (target === null) {
    await checkout.fetch();
    target = await found();
  }
  if (target !== null) return target;
  throw new CaretakerError(
    'restore-commit-missing',
    `the clone ${checkout.directory} and the branches and tags of its remote do not have ${named(manifest.version)}, of which ${manifest.name} is`,
    {
      input: 'with-code',
      hint: 'Fetch that commit into the clone by hand, or leave with-code out and set allow: version-mismatch to put the data under the code that is there.',
    },
  );
}

/** Code and images, while what is there still serves. What serves must have been noted before. */
export async function bringVersion(
  tools: Tools,
  settings: RestoreSettings,
  manifest: Manifest,
  { target }: VersionToBring,
): Promise<void> {
  const { project, checkout, recorder, saga, run } = tools;
  if (checkout !== null && target !== null) {
    const code = await checkout.snapshot(target);
    await recorder.step(`Check out ${target.label}`, () =>
      saga.step('check out', { undo: { action: 'code-back', data: code } }, () =>
        checkout.checkout(target, settings.allow),
      ),
    );
    warnOfSettings(tools, target.label);
  }
  const names = await protectImages(project, run);
  const absent = await absentImages(project);
  if (absent.length > 0)
    await saga.step('note which images are not here', { undo: { action: 'names-away', data: absent } }, () =>
      Promise.resolve(),
    );
  await recorder.step('Bring the images of the backup', () =>
    saga.step('images', { undo: { action: 'images-back', data: names } }, () => bringImages(tools, settings, manifest)),
  );
}

/** Whoever went back does not want to be brought forward to the same version by the next run that only follows. */
export async function leftBehind(
  { checkout, clock }: Tools,
  head: Head | null,
  target: Target,
): Promise<Avoided | null> {
  if (checkout === null || head === null || !(await checkout.isAncestor(target.commit, head.commit))) return null;
  const label = head.tag ?? head.describe ?? head.commit;
  return { commit: head.commit, label, at: clock.now().toISOString(), why: `${target.label} was restored` };
}

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
      input: 'with-code',
      hint: `Set with-code: true to check out ${ofData} too and bring its images; or add "version-mismatch" to allow to put these data under the code that is there: an application that is newer than its data usually migrates them when it starts.`,
    },
  );
}

/** `v1.2.0 (0123456789ab)`. */
export function named({ commit, tag, describe }: Manifest['version']): string {
  const short = (commit ?? '').slice(0, 12);
  const name = tag ?? describe;
  return name === null || short.startsWith(name) ? short : `${name} (${short})`;
}
