import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { changeArchive, tamper } from '../tampered.ts';
import { Deployment, docker, rootless, treeOf, type Run } from './harness.ts';

/* Whatever goes wrong in a restore: the state from before is back, by dump and hashes, and serves. */

jest.setTimeout(300_000);

/** How a backup's data are made such that no database server starts on them, behind digests that fit. */
const unfit: Readonly<Record<string, { readonly suffix: string; readonly change: (raw: Buffer) => Buffer }>> = {
  'the files of a server without its control file': {
    suffix: 'database.tar.zst',
    change: (raw) => changeArchive(raw, (work) => writeFileSync(path.join(work, 'global/pg_control'), '')),
  },
  'a dump that ends in the middle': {
    suffix: 'database.usonline.dump.zst',
    change: (raw) => raw.subarray(0, Math.floor(raw.length * 0.6)),
  },
  'a SQLite file with a page of nothing': {
    suffix: 'db.tar.zst',
    change: (raw) =>
      changeArchive(raw, (work) => {
        const file = path.join(work, readdirSync(work)[0] ?? '');
        writeFileSync(file, readFileSync(file).fill(0, 4096, 8192));
      }),
  },
};

const dumped = ['--data', 'type=postgres,service=database,method=dump\ntype=directory,path=./local'];

describe.each([
  ['USO on rootless Podman', () => rootless('1.6.0'), 'uso', [], 'the files of a server without its control file'],
  ['USO by dumps on Docker as root', () => docker('root'), 'uso', dumped, 'a dump that ends in the middle'],
  [
    ...(['MedCATtrainer on Docker as root', () => docker('root'), 'medcattrainer', []] as const),
    'a SQLite file with a page of nothing',
  ],
] as const)('A restore of %s that fails', (_, hostOf, fixture, data, illness) => {
  const programs = mkdtempSync(path.join(tmpdir(), 'caretaker-programs-'));
  const failing = path.join(programs, 'fail');
  let app: Deployment;
  /** With fewer writes than there are now. */
  let older: string;
  let ill: string;
  /** Where a part of the data lies, on a filesystem of its own that a test can fill. */
  let small: string;
  let before: object;
  let old: object;

  beforeAll(async () => {
    const host = { ...hostOf(), programs };
    // The engine, but that nothing starts from when it is told so until something is undone.
    writeFileSync(
      path.join(programs, host.engine),
      `#!/bin/sh
case " $* " in
  *" start "* | *" up "*)
    if [ -e ${failing} ] && ! grep -q '"type":"undone"' "$(cat ${failing})"; then echo "no start today" >&2; exit 125; fi ;;
esac
exec /usr/bin/${host.engine} "$@"
`,
    );
    chmodSync(programs, 0o755);
    chmodSync(path.join(programs, host.engine), 0o755);
    app = await Deployment.create(host, fixture);
    small = fixture === 'uso' ? app.facts.instance : path.dirname(await app.volume('api-media'));
    await app.make('down');
    const moved = `${path.dirname(app.directory)}/moved`;
    execFileSync('cp', ['-a', small, moved]);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1g', 'caretaker-small', small]);
    execFileSync('cp', ['-a', `${moved}/.`, small]);
    rmSync(moved, { recursive: true });
    await app.make('up');

    await app.write(5);
    old = await state();
    older = await backup();
    ill = await backup();
    const { suffix, change } = unfit[illness] as (typeof unfit)[string];
    tamper(app.backups, ill, suffix, change);
    await app.write(4);
    before = await state();
  });

  afterAll(async () => {
    if (small !== undefined) execFileSync('umount', ['--lazy', small]);
    await app?.destroy();
    rmSync(programs, { recursive: true });
  });

  /** What a user would find: tables as text, and each file with owner, mode, time and digest. */
  async function state(): Promise<object> {
    const places =
      fixture === 'uso'
        ? [path.join(app.facts.instance, 'local')]
        : await Promise.all(['api-media', 'solr-data'].map((name) => app.volume(name)));
    const [{ status }, dump] = [await app.get('/health'), await app.dump()];
    return { status, dump, files: places.map(treeOf), checkout: app.checkout() };
  }

  async function backup(): Promise<string> {
    return (await app.succeeds('backup', ...data)).backup?.name ?? '';
  }

  const restore = (name: string, ...flags: readonly string[]): Promise<Run> =>
    app.caretaker('restore', '--backup', name, ...flags);

  async function expectAsBefore(): Promise<void> {
    expect(await state()).toEqual(before);
    expect(await app.leftovers()).toEqual([]);
  }

  /** Runs a restore, and sends its process a signal when its journal holds this line. */
  async function signalled(signal: NodeJS.Signals, line: RegExp): Promise<Run | string> {
    const running = restore(older).catch((error: unknown) => String(error));
    const journal = path.join(app.state, 'journal.jsonl');
    let ended = false;
    void running.then(() => (ended = true));
    while (!ended && !(existsSync(journal) && line.test(readFileSync(journal, 'utf8'))))
      await new Promise((resolve) => setTimeout(resolve, 10));
    expect(ended).toBe(false);
    const { holder } = JSON.parse(readFileSync(path.join(app.state, 'lock'), 'utf8')) as { holder: { pid: number } };
    process.kill(holder.pid, signal);
    return running;
  }

  test('at the start', async () => {
    writeFileSync(failing, path.join(app.state, 'journal.jsonl'));
    const { code, report } = await restore(older);
    rmSync(failing);
    expect([code, report.outcome]).toEqual([1, 'rolled-back']);
    expect(JSON.stringify(report.error)).toContain('no start today');
    await expectAsBefore();
  });

  test('for want of health', async () => {
    const current = `type=http,url=${app.facts.url}/invariant,"contains=""ledger"": 9"`;
    const { code, report } = await restore(older, '--health', current);
    expect([code, report.outcome, report.error?.code]).toEqual([1, 'rolled-back', 'unhealthy']);
    expect(report.error?.message).toContain('without the text ""ledger": 9"');
    await expectAsBefore();
  });

  test(`for ${illness}`, async () => {
    const containers = await app.containers();
    const { code, report } = await restore(ill);
    expect(code).toBe(1);
    if (fixture === 'medcattrainer') {
      // It can be told without a server, before anything is stopped.
      expect([report.outcome, report.error?.code]).toEqual(['rolled-back', 'sqlite-damaged']);
      expect(await app.containers()).toEqual(containers);
    } else {
      expect(report.outcome).toBe('rolled-back');
      expect(JSON.stringify([report.error, report.lastWords])).toMatch(
        data.length === 0 ? /pg_control|control file/ : /pg_restore|end of file|dump/,
      );
    }
    await expectAsBefore();
  });

  test('on a disk that is full', async () => {
    // Bytes are reckoned before; the room for names runs out as well.
    const used = Number(execFileSync('df', ['--output=iused', small], { encoding: 'utf8' }).split('\n')[1]);
    const left = fixture === 'uso' ? 20 : 2;
    execFileSync('mount', ['-o', `remount,nr_inodes=${used + left}`, small]);
    const containers = await app.containers();
    try {
      const { code, report } = await restore(older);
      expect([code, report.error?.code]).toEqual([1, 'disk-full']);
      expect(await app.containers()).toEqual(containers);
    } finally {
      execFileSync('mount', ['-o', 'remount,nr_inodes=1000000', small]);
    }
    await expectAsBefore();
  });

  test.each(['stage ', 'start'])('by a signal, when it has begun to "%s"', async (step) => {
    const run = await signalled('SIGTERM', new RegExp(`"name":"${step}`));
    expect(run).toMatchObject({ code: 1, report: { error: { code: 'cancelled' } } });
    await expectAsBefore();
  });

  test('killed, when it has begun to swap', async () => {
    await signalled('SIGKILL', /"name":"swap /);
    const { recovery } = await app.succeeds('backup', ...data);
    expect(recovery).toMatchObject({ mode: 'restore', outcome: 'rolled-back' });
    await expectAsBefore();
  });

  test('killed when the application was coming up, it is finished: users may have written', async () => {
    await signalled('SIGKILL', /"type":"prepared"/);
    const { recovery } = await app.succeeds('backup', ...data);
    expect(recovery).toMatchObject({ mode: 'restore', outcome: 'completed' });
    expect(await state()).toEqual(old);
    expect(await app.leftovers()).toEqual([]);
  });

  test('and then one that does not', async () => {
    const { outcome } = (await restore(older)).report;
    expect(outcome).toBe('done');
    expect(await state()).toEqual(old);
    expect(await app.leftovers()).toEqual([]);
  });
});
