import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { Manifest, Part } from '../../../src/archive/manifest.ts';
import { Deployment, docker, rootless } from './harness.ts';

jest.setTimeout(900_000);

const fixtures = path.resolve(import.meta.dirname, '../../fixtures');
// What the manifest's own RESTORE.md asks for, and nothing of this program: tar, zstd, the database's programs.
const UNPACK = 'zstd -dcq "$1" | tar -x -f - --numeric-owner --same-owner --preserve-permissions -C "$2"';

/** What one backup turned out to hold, opened far from the application. */
interface Verdict {
  readonly whole: boolean;
  /** Ledger entries: a backup that is always empty is whole too. */
  readonly entries: number;
}

async function backUpAndOpen(
  app: Deployment,
  count: number,
  data: string,
  open: (part: Part, tree: string) => Verdict,
): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  for (let number = 1; number <= count; number++) {
    const { backup } = await app.succeeds('backup', '--data', data);
    const name = backup?.name ?? '';
    const manifest = JSON.parse(readFileSync(path.join(app.backups, `${name}.manifest.json`), 'utf8')) as Manifest;
    const part = manifest.parts.find(({ kind }) => kind === 'postgres' || kind === 'sqlite');
    if (part === undefined) throw new Error(`${name} has no database`);
    const tree = mkdtempSync('/var/tmp/caretaker-modes-open-');
    try {
      for (const { file } of part.files) {
        execFileSync('bash', ['-o', 'pipefail', '-c', UNPACK, 'sh', path.join(app.backups, file), tree]);
      }
      const verdict = open(part, tree);
      // Printed, as the numbers are the proof.
      process.stdout.write(`${name}: ${verdict.whole ? 'whole' : 'TORN'}, ${verdict.entries} ledger entries\n`);
      verdicts.push(verdict);
    } finally {
      rmSync(tree, { recursive: true });
      for (const file of readdirSync(app.backups)) if (file.startsWith(name)) rmSync(path.join(app.backups, file));
    }
  }
  return verdicts;
}

function expectAllWhole(verdicts: readonly Verdict[]): void {
  expect(verdicts.map(({ whole }) => whole)).not.toContain(false);
  // Each was taken while somebody wrote.
  const entries = verdicts.map((verdict) => verdict.entries);
  expect(entries.every((count, at) => at === 0 || count > (entries[at - 1] as number))).toBe(true);
}

describe('PostgreSQL under a steady writer, rootless Podman', () => {
  let app: Deployment;

  beforeAll(async () => {
    app = await Deployment.create(rootless('1.6.0'), 'uso', ['--megabytes', '5']);
  });
  afterAll(() => app?.destroy());

  test('every one of 20 online backups starts in a server of its own and is whole', async () => {
    const writer = app.writer(20);
    let verdicts: Verdict[];
    try {
      verdicts = await backUpAndOpen(app, 20, 'type=postgres,service=database', openCluster);
    } finally {
      const written = await writer.stop();
      expect(written.failed).toBe(0);
    }
    expectAllWhole(verdicts);
  });

  /** In a container of the same image without network, on the unpacked files alone: recovery, checksums and heap, the application's own rule. */
  function openCluster(part: Part, tree: string): Verdict {
    const script = `
      set -e
      cp -a /unpacked /cluster && chown -R postgres: /cluster && chmod 700 /cluster
      bin=$(dirname "$(readlink -f "$(command -v postgres || ls /usr/lib/postgresql/*/bin/postgres)")")
      export PATH="$bin:$PATH"
      gosu postgres pg_ctl -D /cluster -s -w -t 60 -o "-k /tmp -c listen_addresses=''" -l /tmp/log start >&2 || { cat /tmp/log >&2; exit 1; }
      gosu postgres psql -XAt -h /tmp -U usonline -d usonline -c 'CREATE EXTENSION IF NOT EXISTS amcheck' >&2
      gosu postgres pg_amcheck -h /tmp -U usonline -d usonline --heapallindexed >&2
      gosu postgres psql -XAt -h /tmp -U usonline -d usonline -f /invariant.sql
      gosu postgres psql -XAt -h /tmp -U usonline -d usonline -c 'SELECT count(*) FROM ledger'
    `;
    const { status, stdout, stderr } = spawnSync(
      'docker',
      [
        ...['run', '--rm', '--network', 'none', '--entrypoint', 'bash'],
        ...['-v', `${tree}:/unpacked:ro`, '-v', `${path.join(fixtures, 'uso/invariant.sql')}:/invariant.sql:ro`],
        ...['docker.io/library/postgres:17-alpine', '-c', script],
      ],
      { encoding: 'utf8' },
    );
    if (status !== 0) process.stderr.write(`${part.files.map(({ file }) => file).join()}: ${stderr}`);
    const [whole, entries] = stdout.trim().split('\n');
    return { whole: status === 0 && whole === 't', entries: Number(entries) };
  }
});

describe.each(['delete', 'wal'])('SQLite with journal mode %s under its own writer, Docker', (journal) => {
  let app: Deployment;

  beforeAll(async () => {
    const options = ['--rate', '20', '--megabytes', '20', '--journal', journal];
    app = await Deployment.create(docker('root'), 'medcattrainer', options);
  });
  afterAll(() => app?.destroy());

  test('every one of 10 online backups opens and is whole', async () => {
    expectAllWhole(await backUpAndOpen(app, 10, 'type=sqlite,volume=api-db,path=db.sqlite3', openDatabase));
  });

  function openDatabase(_part: Part, tree: string): Verdict {
    // One file and nothing beside it: no journal that would have to be played in.
    const [file, ...more] = readdirSync(tree);
    if (file === undefined || more.length > 0) return { whole: false, entries: 0 };
    const invariant = path.join(fixtures, 'medcattrainer/invariant.py');
    const { stdout, stderr } = spawnSync('python3', [invariant, path.join(tree, file)], { encoding: 'utf8' });
    if (stderr !== '') process.stderr.write(stderr);
    const { ok, ledger } = JSON.parse(stdout) as { ok: boolean; ledger: number };
    return { whole: ok, entries: ledger };
  }
});
