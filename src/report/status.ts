import type { Proof } from '../archive/proof.ts';
import { provenText } from './headline.ts';
import { formatAge, formatBytes } from './units.ts';

/** What lies and waits on this host, as plain data. Times in ISO 8601, UTC. */
export interface StatusReport {
  /** `dead`: whoever had it is gone, and the next run takes it over. `elsewhere`: whether he lives can't be seen from here. */
  readonly lock: {
    readonly mode: string;
    readonly since: string;
    readonly pid: number;
    readonly host: string;
    readonly runUrl?: string;
    readonly state: 'alive' | 'elsewhere' | 'dead';
  } | null;
  /** The run of the journal: under way where the lock is held, otherwise cut off. */
  readonly unfinished: {
    readonly run: string;
    readonly mode: string;
    readonly at: string;
    /** In place: what is left is done, and nothing undone. */
    readonly committed: boolean;
    /** Names of the steps that will be undone, or of the actions that are left. */
    readonly left: readonly string[];
  } | null;
  readonly lastUpdate: {
    readonly at: string;
    readonly from: string | null;
    readonly to: string | null;
    /** The safety backup that a rollback brings back. */
    readonly backup: string;
  } | null;
  /** What a run that follows releases passes over. */
  readonly avoided: {
    readonly label: string;
    readonly commit: string;
    readonly at: string;
    readonly why: string;
  } | null;
  readonly safety: readonly {
    readonly name: string;
    readonly createdAt: string;
    readonly bytes: number | undefined;
    readonly reason: string;
    readonly kept: string;
  }[];
  /** Backups among these that wait for stores, oldest first. */
  readonly unstored: readonly { readonly backup: string; readonly stores: readonly string[] }[];
  /** Beside or in live data. `stray`: what somebody else made there during an exchange. */
  readonly aside: readonly {
    readonly path: string;
    readonly kind: 'fresh' | 'aside' | 'stray';
    readonly run: string;
    readonly bytes: number;
  }[];
  readonly staging: readonly { readonly path: string; readonly bytes: number }[];
  /** Names that keep images of versions before. */
  readonly images: readonly string[];
  /** Left of drills, or at work. */
  readonly throwaways: readonly {
    readonly name: string;
    readonly containers: readonly string[];
    readonly volumes: readonly string[];
    readonly directory: string | null;
    readonly bytes: number;
  }[];
  readonly stores: readonly {
    readonly store: string;
    readonly backups: number;
    readonly newest: {
      readonly name: string;
      readonly createdAt: string;
      readonly bytes: number | undefined;
      readonly proven: Proof | null;
    } | null;
    /** Why nothing is known of it. */
    readonly problem: string | undefined;
  }[];
}

/** What a reader sees, in rows of a name and its lines. Plain text, partly untrusted. `now`: ISO 8601. */
export function statusRows(status: StatusReport, now: string): readonly (readonly [string, readonly string[]])[] {
  const { lock, unfinished, lastUpdate, avoided, safety, unstored, aside, staging, images, throwaways, stores } =
    status;
  const age = (at: string): string => formatAge(Date.parse(now) - Date.parse(at));
  const size = (bytes: number | undefined): string => (bytes === undefined ? 'unknown size' : formatBytes(bytes));
  const day = (at: string): string => at.slice(0, 16).replace('T', ' ');
  const orNone = (lines: readonly string[]): readonly string[] => (lines.length === 0 ? ['none'] : lines);
  return [
    ['lock', [lock === null || lock.state === 'dead' ? 'free' : lockText(lock, day)]],
    [
      'journal',
      unfinished === null
        ? ['no run waits for recovery']
        : [
            `${unfinished.mode} ${unfinished.run} of ${day(unfinished.at)}, ${unfinished.committed ? 'in place' : 'not in place'}`,
            ...(unfinished.left.length === 0
              ? []
              : [`${unfinished.committed ? 'left to do' : 'to be undone'}: ${unfinished.left.join(', ')}`]),
          ],
    ],
    [
      'last update',
      lastUpdate === null
        ? ['none to roll back']
        : [
            `${lastUpdate.from ?? 'unknown'} → ${lastUpdate.to ?? 'unknown'}, ${day(lastUpdate.at)}`,
            `rollback brings back ${lastUpdate.backup}`,
          ],
    ],
    ...(avoided === null
      ? []
      : [
          [
            'avoided',
            [`${avoided.label} (${avoided.commit.slice(0, 12)}) since ${day(avoided.at)}: ${avoided.why}`],
          ] as const,
        ]),
    [
      'safety',
      orNone(
        safety.map(
          ({ name, createdAt, bytes, reason, kept }) =>
            `${name}, ${size(bytes)}, ${reason}, ${age(createdAt)} old; kept ${kept}`,
        ),
      ),
    ],
    ...(unstored.length === 0
      ? []
      : [['unstored', unstored.map(({ backup, stores: names }) => `${backup}, for ${names.join(', ')}`)] as const]),
    ['aside', orNone(aside.map(({ path, bytes }) => `${path}, ${size(bytes)}`))],
    ['staging', orNone(staging.map(({ path, bytes }) => `${path}, ${size(bytes)}`))],
    ['images', orNone(images)],
    [
      'throwaways',
      orNone(
        throwaways.map(({ name, containers, volumes, directory, bytes }) =>
          [
            name,
            ...(containers.length === 0 ? [] : [`containers ${containers.join(' ')}`]),
            ...(volumes.length === 0 ? [] : [`volumes ${volumes.join(' ')}`]),
            ...(directory === null ? [] : [`${directory}, ${size(bytes)}`]),
          ].join('; '),
        ),
      ),
    ],
    [
      'backups',
      stores.map(({ store, backups, newest, problem }) => {
        if (problem !== undefined) return `${store}: ${problem}`;
        if (newest === null) return `${store}: none`;
        const { name, createdAt, bytes, proven } = newest;
        return `${store}: ${backups}, newest ${name}, ${size(bytes)}, ${age(createdAt)} old; proven: ${provenText(proven)}`;
      }),
    ],
  ];
}

function lockText(
  { mode, since, pid, host, runUrl, state }: NonNullable<StatusReport['lock']>,
  day: (at: string) => string,
): string {
  const run = runUrl === undefined ? '' : `, ${runUrl}`;
  const guess = state === 'elsewhere' ? ', in another container or on another host, or over' : '';
  return `held by ${mode}, process ${pid} on ${host}, since ${day(since)}${run}${guess}`;
}
