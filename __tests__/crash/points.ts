/** Ways in which a run ends at an effect, or an effect fails. */
export type Kind = 'kill' | 'killed-after' | 'power' | 'enospc' | 'eio' | 'fails' | 'cancel';
export type Mode = 'backup' | 'update' | 'restore';
export interface Case {
  readonly mode: Mode;
  readonly point: string;
  readonly kind: Kind;
}

/** Words of programs that leave everything as it is: killed there, a run is where it was a moment before. */
const LOOKS: Readonly<Record<string, RegExp>> = {
  git: /^(rev-parse|symbolic-ref|tag|describe|status|show|cat-file|merge-base|ls-remote|ls-files|ls-tree|rev-list|log|diff|for-each-ref|config)\b/,
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

/** Each point is in at least one case: the run is killed there. The other ways alternate over the points that they fit. */
export function casesOf(mode: Mode, points: readonly string[]): Case[] {
  const cases: Case[] = [];
  const turn: Record<string, number> = {};
  const alternate = (of: string, kinds: readonly Kind[]): Kind =>
    kinds[(turn[of] = (turn[of] ?? -1) + 1) % kinds.length] as Kind;
  for (const point of points) {
    if (onlyLooks(point)) {
      if (point.endsWith('| 1')) cases.push({ mode, point, kind: 'fails' });
      continue;
    }
    const journal = point.includes('| writeFile journal: ');
    cases.push({ mode, point, kind: journal ? 'killed-after' : alternate('kill', ['kill', 'kill', 'power']) });
    if (point.includes('| run ')) cases.push({ mode, point, kind: alternate('run', ['fails', 'killed-after']) });
    else if (!journal) cases.push({ mode, point, kind: alternate('file', ['enospc', 'eio', 'killed-after']) });
    else cases.push({ mode, point, kind: alternate('journal', ['power', 'enospc', 'cancel']) });
  }
  return cases;
}

export function nameOf({ mode, point, kind }: Case): string {
  return `${mode}: ${kind} at ${point}`;
}
