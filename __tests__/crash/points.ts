/** Ways in which a run ends at an effect, or an effect fails. */
export type Kind = 'kill' | 'killed-after' | 'power' | 'enospc' | 'eio' | 'fails' | 'cancel';

/** What is ended: a mode; an update that fails, and so undoes itself; or the recovery of an update or a restore that was killed. */
export const runs = ['backup', 'update', 'restore', 'failing update', 'recovery of an update', 'recovery of a restore'] as const; // prettier-ignore
export type RunKind = (typeof runs)[number];

export interface Case {
  readonly run: RunKind;
  readonly point: string;
  readonly kind: Kind;
}

/** Words of programs that leave everything as it is: killed there, a run is where it was a moment before. */
const LOOKS: Readonly<Record<string, RegExp>> = {
  git: /^(rev-parse|symbolic-ref|tag|describe|status|show|cat-file|merge-base|ls-remote|ls-files|ls-tree|rev-list|log|diff|for-each-ref|config|remote)\b/,
  docker:
    /^(compose (version|config|ps|ls)|ps|version|info|logs|port|images|(image |container |volume |network )?(inspect|ls))\b/,
  podman:
    /^(ps|version|info|logs|port|images|(image |container |volume |network |pod )?(inspect|ls|ps|exists)|unshare (stat|scan|exists|kinds|fingerprint|oursAt|changes|likeness|checkSqlite|querySqlite|probe))\b/,
  'podman-compose': /^(version|config|ps)\b/,
  node: /^(probe|scan|exists|kinds|fingerprint|oursAt|changes|likeness|checkSqlite|querySqlite|http)\b/,
  stat: /^/,
};

function onlyLooks(point: string): boolean {
  const [, program = '', words = ''] = /\| run (\S+) ?(.*) \| \d+$/.exec(point) ?? [];
  return LOOKS[program]?.test(words) ?? false;
}

/** A line of the journal is there or not: what opens the file for it, or forces it to the disk, is no other place to be at. */
const PART_OF_A_LINE = /^(?!before ).*\| (open|sync) journal\.jsonl \| \d+$/;

/**
 * Each point is in one case, a line of the journal in two, one of an undo in three. The ways that fit a point take turns; the two engines (`turn` 0 and 1) begin
 * at different ones, so that a point that both have is ended in different ways.
 */
export function casesOf(run: RunKind, points: readonly string[], turn: 0 | 1): Case[] {
  const cases: Case[] = [];
  const turns: Record<string, number> = {};
  const alternate = (of: string, kinds: readonly Kind[]): Kind =>
    kinds[(turns[of] = (turns[of] ?? turn - 1) + 1) % kinds.length] as Kind;
  for (const point of points) {
    if (PART_OF_A_LINE.test(point)) continue;
    if (onlyLooks(point)) {
      if (point.endsWith('| 1')) cases.push({ run, point, kind: 'fails' });
    } else if (point.includes('| writeFile journal: ')) {
      cases.push({ run, point, kind: 'killed-after' });
      if (point.includes(' journal: undone ')) {
        // What a version that failed has left is started again by the host, on whatever was put back before.
        cases.push({ run, point, kind: 'power' });
        cases.push({ run, point, kind: alternate('undone', ['enospc', 'cancel']) });
      } else cases.push({ run, point, kind: alternate('journal', ['power', 'enospc', 'cancel']) });
    } else if (point.includes('| run ')) {
      cases.push({ run, point, kind: alternate('program', ['kill', 'fails', 'power', 'killed-after']) });
    } else {
      cases.push({ run, point, kind: alternate('file', ['kill', 'enospc', 'killed-after', 'eio', 'power']) });
    }
  }
  return cases;
}

export function nameOf({ run, point, kind }: Case): string {
  return `${run}: ${kind} at ${point}`;
}
