import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { lookUp } from '../as-user.ts';

/** Whoever may write where we work, and is not trusted. */
export const STRANGER = 'nobody';

/** As another user of the host, in a shell of his own. `group`: of which he is a member, too. Throws with what the shell said. */
export function asStranger(cwd: string, script: string, group?: number): void {
  const { uid, gid } = lookUp(STRANGER);
  const groups = group === undefined ? '--clear-groups' : `--groups=${group}`;
  execFileSync('setpriv', [`--reuid=${uid}`, `--regid=${gid}`, groups, 'sh', '-ec', script], { cwd, stdio: 'pipe' });
}

/** What the other user wants to change or to read: a file and a directory of whoever runs the program, where he himself has no business. */
export class Victim {
  static readonly SECRET = 'the-secret-of-the-one-who-runs-it';
  readonly directory: string;
  readonly file: string;
  readonly empty: string;
  readonly #before: string;

  constructor(root: string, owner?: string) {
    this.directory = path.join(root, 'victim');
    this.file = path.join(this.directory, 'secret');
    this.empty = path.join(this.directory, 'empty');
    mkdirSync(this.empty, { recursive: true, mode: 0o700 });
    writeFileSync(this.file, `${Victim.SECRET}\n`, { mode: 0o600 });
    // He may go in, so that his links lead somewhere, and neither list nor write.
    chmodSync(this.directory, 0o711);
    if (owner !== undefined) execFileSync('chown', ['-R', owner, this.directory]);
    this.#before = treeOf(this.directory);
  }

  /** As it was, and as it is now: content, modes, owners, names. */
  get states(): readonly [now: string, before: string] {
    return [treeOf(this.directory), this.#before];
  }
}

/** Every path below with kind, mode, owner and content. */
export function treeOf(root: string): string {
  return ['.', ...readdirSync(root, { recursive: true, encoding: 'utf8' })]
    .sort()
    .map((name) => {
      const file = path.join(root, name);
      const stats = lstatSync(file);
      const content = stats.isFile()
        ? createHash('sha256').update(readFileSync(file)).digest('hex')
        : stats.isSymbolicLink()
          ? readlinkSync(file)
          : '';
      return [name, stats.mode.toString(8), stats.uid, stats.gid, content].join(' ');
    })
    .join('\n');
}

/** The other user looks again and again, while something goes on, which files below he may read, or directories write. Answers with their paths. */
export async function readableMeanwhile(
  directories: readonly string[],
  work: () => Promise<unknown>,
): Promise<readonly string[]> {
  const { uid, gid } = lookUp(STRANGER);
  const look = 'while :; do find "$@" \\( -type f -readable \\) -o \\( -type d -writable \\) 2>/dev/null; done';
  const watcher = spawn(
    'setpriv',
    [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', 'sh', '-c', look, 'sh', ...directories],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const found = new Set<string>();
  watcher.stdout.setEncoding('utf8').on('data', (text: string) => {
    for (const line of text.split('\n')) if (line !== '') found.add(line);
  });
  const ended = new Promise((resolve) => watcher.once('close', resolve));
  try {
    await work();
  } finally {
    watcher.kill('SIGKILL');
    await ended;
  }
  return [...found].sort();
}
