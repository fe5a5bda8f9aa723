import { CaretakerError } from '../errors.ts';

/** A tag read as a version: `v1.2.3-rc.1`, `25.09`, `2025.09.1`, `2025-09-01`, `trainer/v2.1.0`. */
export interface Version {
  /** What stands before the number, without a `v`: tags of one repository's several products. */
  readonly prefix: string;
  readonly numbers: readonly number[];
  /** Without its dash or dot; undefined for a release. */
  readonly preRelease: string | undefined;
  /** In a calendar version the first number is a year, and a new year is no major step. */
  readonly calendar: boolean;
}

/** Null where the tag is no version. */
export function parseVersion(tag: string): Version | null {
  const date = /^v?(\d{4})-(\d{2})(?:-(\d{2}))?$/.exec(tag);
  if (date !== null) {
    const numbers = date
      .slice(1)
      .filter((number) => number !== undefined)
      .map(Number);
    return { prefix: '', numbers, preRelease: undefined, calendar: true };
  }
  const match =
    /^((?:[A-Za-z][A-Za-z0-9_.]*[-/@_])*)v?(\d+(?:\.\d+)*)(?:-([0-9A-Za-z.-]+)|\.?((?:a|b|rc|dev|alpha|beta|pre)[0-9A-Za-z.-]*))?(?:\+[0-9A-Za-z.-]+)?$/.exec(
      tag,
    );
  if (match === null) return null;
  const [, prefix = '', text = '', dashed, glued] = match;
  const parts = text.split('.');
  const numbers = parts.map(Number);
  if (!numbers.every(Number.isSafeInteger)) return null;
  const [year = 0, month] = numbers;
  // Two-digit years only where the month is written as months are (25.09, 25.10): Node's 24.1.0 is no calendar version.
  const ofMonth = month !== undefined && month >= 1 && month <= 12;
  const shortYear =
    year >= 20 && year <= 99 && ofMonth && parts[1]?.length === 2 && (parts.length === 2 || parts[1].startsWith('0'));
  return {
    prefix: prefix.toLowerCase(),
    numbers,
    preRelease: dashed ?? glued,
    calendar: (year >= 2000 && year <= 2099 && numbers.length > 1) || shortYear,
  };
}

/** Negative where `one` is older; by SemVer's precedence. A missing number counts as 0. */
export function compareVersions(one: Version, other: Version): number {
  for (let at = 0; at < Math.max(one.numbers.length, other.numbers.length); at++) {
    const difference = (one.numbers[at] ?? 0) - (other.numbers[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return comparePreReleases(one.preRelease, other.preRelease);
}

function comparePreReleases(one: string | undefined, other: string | undefined): number {
  if (one === other) return 0;
  if (one === undefined) return 1;
  if (other === undefined) return -1;
  // `rc2` and `rc10` are compared as `rc.2` and `rc.10`.
  const words = (text: string): readonly string[] => text.match(/\d+|[A-Za-z]+/g) ?? [];
  const [left, right] = [words(one), words(other)];
  for (let at = 0; at < Math.max(left.length, right.length); at++) {
    const [a, b] = [left[at], right[at]];
    if (a === undefined) return -1;
    if (b === undefined) return 1;
    if (a === b) continue;
    const [aNumber, bNumber] = [/^\d/.test(a), /^\d/.test(b)];
    if (aNumber && bNumber) {
      if (Number(a) !== Number(b)) return Number(a) - Number(b);
      continue;
    }
    if (aNumber !== bNumber) return aNumber ? -1 : 1;
    return a < b ? -1 : 1;
  }
  return 0;
}

function isMajorStep(from: Version, to: Version): boolean {
  const [before = 0, after = 0] = [from.numbers[0], to.numbers[0]];
  if (after <= before) return false;
  // v25.12.1 → v26.01.0: only the second is written so that it shows as a calendar version.
  if (from.calendar || to.calendar) return from.calendar !== to.calendar && after - before > 1;
  return true;
}

/**
 * Refuses a lower version (`version-downgrade`) and a major step (`version-major`) unless `allow` holds `downgrade` or `major`. Tags that are
 * no versions, null, or of different products can't be compared and pass.
 */
export function gateVersions(current: string | null, target: string | null, allow: readonly string[]): void {
  const [from, to] = [current, target].map((tag) => (tag === null ? null : parseVersion(tag))) as [
    Version | null,
    Version | null,
  ];
  if (from === null || to === null || from.prefix !== to.prefix) return;
  if (compareVersions(to, from) < 0 && !allow.includes('downgrade')) {
    throw new CaretakerError('version-downgrade', `${target} is lower than ${current}, which is deployed`, {
      input: 'allow',
      hint: 'A database seldom survives a way back: restore a backup of that version instead, or add "downgrade" to allow.',
    });
  }
  if (isMajorStep(from, to) && !allow.includes('major')) {
    throw new CaretakerError('version-major', `${current} → ${target} is a major version step`, {
      input: 'allow',
      hint: 'Read its release notes, then add "major" to allow.',
    });
  }
}

/**
 * The newest tag above `current` that the gates let through, null where there is none: a major step only when `allow` holds `major`, pre-releases
 * only when it holds `prerelease`. Only tags of the same product count; floating ones (`v1` beside `v1.2`) do not.
 */
export function newestAllowed(
  tags: readonly string[],
  current: string | null,
  allow: readonly string[],
): string | null {
  const from = current === null ? null : parseVersion(current);
  let best: { tag: string; version: Version } | null = null;
  for (const { tag, version } of releases(tags, from?.prefix ?? '')) {
    if (version.preRelease !== undefined && !allow.includes('prerelease')) continue;
    if (from !== null && compareVersions(version, from) <= 0) continue;
    if (from !== null && isMajorStep(from, version) && !allow.includes('major')) continue;
    if (best === null || compareVersions(version, best.version) > 0) best = { tag, version };
  }
  return best?.tag ?? null;
}

/** The tags of a product that are versions, floating ones left out. */
export function releases(tags: readonly string[], prefix: string): { tag: string; version: Version }[] {
  const versions = tags.flatMap((tag) => {
    const version = parseVersion(tag);
    return version === null || version.prefix !== prefix ? [] : [{ tag, version }];
  });
  return versions.filter(
    ({ version: { numbers } }) =>
      !versions.some(
        ({ version: other }) =>
          other.numbers.length > numbers.length && numbers.every((number, at) => number === other.numbers[at]),
      ),
  );
}

/** The highest version among tags, null where none is one. Of tags of several products only those without a prefix count. */
export function highestVersion(tags: readonly string[]): string | null {
  const versions = tags.flatMap((tag) => {
    const version = parseVersion(tag);
    return version === null ? [] : [{ tag, version }];
  });
  const prefixes = new Set(versions.map(({ version }) => version.prefix));
  const prefix = prefixes.size === 1 ? [...prefixes][0] : '';
  const candidates = versions.filter(({ version }) => version.prefix === prefix);
  candidates.sort((one, other) => compareVersions(other.version, one.version));
  return candidates[0]?.tag ?? null;
}
