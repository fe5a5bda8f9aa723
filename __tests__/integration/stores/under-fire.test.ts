import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { startGitHub, type CallKind, type Fault, type GitHubStandIn } from '../../fakes/github/stand-in.ts';
import { SmallApp, wholeBackups, type Ended } from './small-app.ts';
import { inTurn } from '../../turn.ts';

/*
 * The whole program, in processes of its own, against stores that misbehave: GitHub's real client with the stand-in for its service and a real Azurite behind, and folders on
 * filesystems that are really full, read-only, gone or broken. How often the service was asked and what the user reads stands in docs/crash-safety.md, "Stores under fire": that table is
 * what is expected here.
 */

jest.setTimeout(240_000);

type Ends = 'is stored' | 'waits' | 'is refused' | 'is there, and waits';

/** A line of the table: where, what, how often asked, what is read. */
type Line = readonly [where: string, what: string, asked: string, ends: string, reads: string];
const seen = new Map<string, Line>();
const keyOf = ([where, what]: readonly string[]): string => `${where}: ${what}`;

let app: SmallApp;
let undo: (() => void)[] = [];

afterEach(() => {
  for (const work of undo.reverse()) work();
  undo = [];
  app.close();
});

/** What the run said of the store, in whatever form it was said, without what differs from run to run. */
function said({ error, warnings }: Ended): string {
  const text = error?.text ?? warnings.join('\n');
  const [, why] = / could not be stored in [^:]*: (.*?)\. It lies whole in .* on this host, and the next backup or update with that store stores it/s.exec(text) ?? []; // prettier-ignore
  const whole = why ?? `${text.split('\n', 1)[0] ?? ''} (${error?.code ?? 'none'})`;
  return (
    whole
      .replaceAll(app.root, '')
      .replaceAll(/notes-\d{8}T\d{6}Z/g, 'NAME')
      .replaceAll(/octo-org\/app-\d+/g, 'OWNER/REPO')
      // By which end notices it first.
      .replaceAll('write EPIPE', 'Unable to make request: ECONNRESET')
      .replace(/^failed to store NAME\.\S+ among the workflow artifacts of OWNER\/REPO: /, '… ')
      .replace(/^failed to store NAME\.\S+ in \/disk\/backups: /, '… ')
  );
}

/** How a run that has left its backup waiting says so, by what on-store-failure is. */
function expectTold(ended: Ended, onStoreFailure: 'fail' | 'warn'): void {
  const place = path.join(app.state, 'safety');
  if (onStoreFailure === 'fail') {
    expect([ended.exitCode, ended.error?.code]).toEqual([1, 'backup-unstored']);
    expect(ended.error?.text).toContain(place);
  } else {
    expect([ended.exitCode, ended.error]).toEqual([0, undefined]);
    expect(ended.warnings.join('\n')).toContain(place);
  }
}

describe('the service of workflow artifacts', () => {
  let github: GitHubStandIn;
  let runId = 0;
  /** Each case has its own: what it finds there is its own. */
  let repository = '';

  beforeAll(async () => {
    github = await startGitHub();
  });
  afterAll(() => github.stop());

  interface Row {
    readonly where: string;
    readonly what: string;
    readonly faults: readonly Fault[];
    readonly ends: Ends;
    /** Calls of the fault's kind that this run makes besides, for what goes well. */
    readonly besides?: number;
    /** Much shorter than the minute that a stall takes by itself. */
    readonly impatient?: boolean;
    /** Its client asks again for what is done already, and the service then has it under two numbers. */
    readonly twins?: number;
  }

  const html = '<html>\n<body>Please log in</body></html>';
  const usage = JSON.stringify({
    code: 'resource_exhausted',
    msg: 'Failed to CreateArtifact: insufficient usage to create artifact',
  });
  const always = (fault: Fault): Fault[] => [{ times: 'always', ...fault }];
  /** The same trouble in a call, however the service behaves there. */
  const troubles = (on: CallKind, besides = 0): Row[] => {
    const row = (what: string, fault: Omit<Fault, 'on'>, more: Partial<Row> = {}): Row => ({
      ...{ where: on, what, faults: always({ on, ...fault }), ends: 'waits', besides, ...more },
    });
    return [
      row('500', { status: 500 }),
      row('429', { status: 429 }),
      row('403', { status: 403 }),
      row('401: the token has ended', { status: 401 }),
      row('no JSON', { status: 200, body: 'OK' }),
      row('a page of HTML', { status: 200, body: html }),
      row('nothing in the answer', { status: 200, body: '' }),
      row('`ok: false`', { status: 200, body: '{"ok":false}' }),
    ];
  };
  const upload = (what: string, fault: Omit<Fault, 'on'>, more: Partial<Row> = {}): Row => ({
    ...{ where: 'upload', what, faults: always({ on: 'blob:put', ...fault }), ends: 'waits', ...more },
  });
  const finalize = (what: string, fault: Omit<Fault, 'on'>, more: Partial<Row> = {}): Row => ({
    ...{ where: 'FinalizeArtifact', what, faults: [{ on: 'FinalizeArtifact', ...fault }], ends: 'is stored' },
    ...{ besides: 2, ...more },
  });

  const rows: readonly Row[] = [
    { where: 'CreateArtifact', what: '500, once', faults: [{ on: 'CreateArtifact', status: 500 }], ends: 'is stored', besides: 2 }, // prettier-ignore
    { where: 'CreateArtifact', what: '429 with `Retry-After`, once', faults: [{ on: 'CreateArtifact', status: 429, headers: { 'retry-after': '5' } }], ends: 'is stored', besides: 2 }, // prettier-ignore
    { where: 'CreateArtifact', what: '429 with `Retry-After`', faults: always({ on: 'CreateArtifact', status: 429, headers: { 'retry-after': '5' } }), ends: 'waits' }, // prettier-ignore
    { where: 'CreateArtifact', what: 'connection reset, twice', faults: [{ on: 'CreateArtifact', reset: true, times: 2 }], ends: 'is stored', besides: 2 }, // prettier-ignore
    ...troubles('CreateArtifact'),
    { where: 'CreateArtifact', what: 'connection reset', faults: always({ on: 'CreateArtifact', reset: true }), ends: 'waits' }, // prettier-ignore
    { where: 'CreateArtifact', what: 'no answer', faults: always({ on: 'CreateArtifact', stall: true }), ends: 'waits', impatient: true }, // prettier-ignore
    { where: 'CreateArtifact', what: 'done, and its answer lost', faults: [{ on: 'CreateArtifact', reset: true, applied: true }], ends: 'waits' }, // prettier-ignore
    { where: 'CreateArtifact', what: 'quota used up', faults: always({ on: 'CreateArtifact', status: 403, body: usage }), ends: 'waits' }, // prettier-ignore
    { where: 'CreateArtifact', what: 'quota used up by the first of three files', faults: always({ on: 'CreateArtifact', status: 403, body: usage, skip: 1 }), ends: 'waits', besides: 1 }, // prettier-ignore
    upload('500, once', { status: 500, times: 1 }, { ends: 'is stored', besides: 5 }),
    upload('500', { status: 500 }),
    upload('429', { status: 429 }),
    upload('403', { status: 403 }),
    upload('connection reset, once', { reset: true, times: 1 }, { ends: 'is stored', besides: 5 }),
    upload('connection reset', { reset: true }),
    upload('stands still', { stall: true }, { impatient: true }),
    // Of each file the place where it breaks, by the two requests that one file takes.
    ...[
      { file: 'part', skip: 0, middle: 150_000 },
      { file: 'RESTORE.md', skip: 2, middle: 1000 },
      { file: 'manifest', skip: 4, middle: 500 },
    ].flatMap(({ file, skip, middle }) =>
      [
        { place: 'first', cutAfterBytes: 1 },
        { place: 'middle', cutAfterBytes: middle },
        { place: 'last', cutAfterBytes: -1 },
      ].map(({ place, cutAfterBytes }) =>
        upload(`${file}: cut at its ${place} byte`, { cutAfterBytes, skip }, { besides: skip }),
      ),
    ),
    upload('cut in the middle of the part, once', { cutAfterBytes: 150_000, times: 1 }, { ends: 'is stored', besides: 5 }), // prettier-ignore
    finalize('500, once', { status: 500 }),
    ...troubles('FinalizeArtifact'),
    finalize('connection reset, once', { reset: true }, { ends: 'waits', besides: 0 }),
    finalize('done, and its answer lost', { reset: true, applied: true, times: 'always' }),
    finalize('done, and no answer', { stall: true, applied: true }, { impatient: true }),
    finalize('done, and answered by 500', { status: 500, applied: true }, { twins: 1 }),
    { where: 'looking whether it is there', what: '500, for the part', faults: always({ on: 'ListArtifacts', status: 500, skip: 2 }), ends: 'waits', besides: 2 }, // prettier-ignore
    { where: 'looking whether it is there', what: '500, for the manifest', faults: always({ on: 'ListArtifacts', status: 500, skip: 4 }), ends: 'is there, and waits', besides: 4 }, // prettier-ignore
    { where: 'looking before the run', what: '500', faults: always({ on: 'ListArtifacts', status: 500 }), ends: 'waits' }, // prettier-ignore
    { where: 'looking before the run', what: 'connection reset', faults: always({ on: 'ListArtifacts', reset: true }), ends: 'waits' }, // prettier-ignore
    { where: 'looking before the run', what: '401: the token has ended', faults: always({ on: 'ListArtifacts', status: 401 }), ends: 'is refused' }, // prettier-ignore
    { where: 'REST API', what: '503', faults: always({ on: 'rest:getRepository', status: 503 }), ends: 'waits' },
    { where: 'REST API', what: '429', faults: always({ on: 'rest:getRepository', status: 429 }), ends: 'waits' },
    { where: 'REST API', what: '401: the token has ended', faults: always({ on: 'rest:getRepository', status: 401 }), ends: 'is refused' }, // prettier-ignore
  ];

  const list = async (): Promise<string[]> => {
    const env = { GITHUB_TOKEN: 'ghs_read', ...github.environment({ runId, repository }) };
    const { backups } = await app.shell('list', ['--store', 'type=artifact'], env);
    return backups.filter(({ store }) => store.startsWith('workflow artifacts')).map(({ name }) => name);
  };
  /** What has been stored whole, in that order. */
  const files = async (): Promise<string[]> =>
    (await github.stored())
      .filter((artifact) => artifact.repository === repository && artifact.finalized)
      .sort((one, other) => one.id - other.id)
      .map(({ name }) => name);
  const manifests = async (): Promise<string[]> =>
    (await files()).filter((name) => name.endsWith('.manifest.json')).map((name) => name.split('.', 1)[0] ?? '');

  test.each(inTurn(rows).map((row) => [keyOf([row.where, row.what]), row] as const))('%s', async (_, row) => {
    app = new SmallApp();
    const [kind] = row.faults.map(({ on }) => on) as [CallKind];
    repository = `octo-org/app-${rows.indexOf(row) + 1}`;
    const run = async (onStoreFailure: 'fail' | 'warn', faults: readonly Fault[]): Promise<Ended> => {
      github.clearFaults();
      github.clearCalls();
      github.fault(...faults);
      // As GitHub does it: each run begins with free names.
      runId += 1;
      const env = {
        ...github.environment({ runId, repository }),
        ...(row.impatient === true ? { ACTIONS_ARTIFACT_UPLOAD_TIMEOUT_MS: '900' } : {}),
      };
      const given = { mode: 'backup', 'github-token': 'ghs_read', 'on-store-failure': onStoreFailure };
      const ended = await app.action(given, env);
      github.clearFaults();
      return ended;
    };

    const first = await run('fail', row.faults);
    const asked = github.calls(kind).length - (row.besides ?? 0);
    const reads = row.ends === 'is stored' ? '–' : `\`${said(first)}\``;
    seen.set(keyOf([row.where, row.what]), [row.where, row.what, String(asked), row.ends, reads]);

    if (row.ends === 'is stored') {
      expect([first.exitCode, first.error, first.warnings]).toEqual([0, undefined, []]);
      const [name = ''] = await list();
      expect([await list(), app.waiting(), app.kept()]).toEqual([[name], [], []]);
      expect(await files()).toHaveLength(3 + (row.twins ?? 0));
      return;
    }
    if (row.ends === 'is refused') {
      expect([first.exitCode, app.waiting(), app.kept()]).toEqual([1, [], []]);
      expect((await run('fail', [])).error).toBeUndefined();
      expect(await manifests()).toHaveLength(1);
      return;
    }
    expectTold(first, 'fail');
    const [oldest = ''] = app.waiting();
    expect([app.waiting(), app.kept()]).toEqual([[oldest], [oldest]]);
    const there = row.ends === 'is there, and waits' ? [oldest] : [];
    expect(await list()).toEqual(there);
    if (said(first).includes('store-full')) expect(await files()).toEqual([]);

    const second = await run('warn', row.faults);
    // What goes wrong once does so for what waited; what is new is stored behind it, or waits too.
    expect(second.exitCode).toBe(0);
    const waiting = app.waiting();
    expect([app.kept(), waiting.slice(0, 1)]).toEqual([waiting, there.length === 0 ? [oldest] : waiting.slice(0, 1)]);
    if (there.length === 0) expect(waiting).toHaveLength(2);
    expectTold(second, 'warn');

    const third = await run('fail', []);
    expect([third.exitCode, third.error, third.warnings]).toEqual([0, undefined, []]);
    expect([app.waiting(), app.kept()]).toEqual([[], []]);
    const all = await manifests();
    expect(all).toHaveLength(3);
    expect(all).toEqual([...new Set(all)].sort());
    expect(await list()).toEqual(all.toReversed());
  });

  test('each has its line in the documentation', () => {
    expect(documented('service').map(keyOf)).toEqual(rows.map(({ where, what }) => keyOf([where, what])));
    expect(documented('service').filter((line) => seen.has(keyOf(line)))).toEqual(linesOf(rows));
  });
});

describe('a folder', () => {
  interface Row {
    readonly where: string;
    readonly what: string;
    readonly ends: Ends;
    /** A run stored something there before. */
    readonly used?: boolean;
    readonly as?: 'nobody';
    readonly disk: 'tmpfs' | 'ext4';
    /** `before`: before the run. `within`: after its first look, when the application stops. Shell, in the disk's parent directory. */
    readonly when: 'before' | 'within';
    readonly breaks: string;
    readonly mends: string;
    /** What must lie at the mount point while it is broken. */
    readonly below?: readonly string[];
  }
  const unmount = 'umount --lazy disk';
  const fill = (leave: number): string =>
    `free=$(df --output=avail -B1 disk | tail -n 1); fallocate -l $((free - ${leave})) disk/filler`;
  const page = 4096;
  const rows: readonly Row[] = [
    { where: 'full', what: 'when the run begins', ends: 'waits', disk: 'tmpfs', when: 'before', breaks: fill(0), mends: 'rm disk/filler' }, // prettier-ignore
    { where: 'full', what: 'in the middle of the part', ends: 'waits', disk: 'tmpfs', when: 'before', breaks: fill(20 * page), mends: 'rm disk/filler' }, // prettier-ignore
    { where: 'full', what: 'at the manifest', ends: 'waits', disk: 'tmpfs', when: 'before', breaks: fill(75 * page), mends: 'rm disk/filler' }, // prettier-ignore
    { where: 'read-only', what: 'when the run begins', ends: 'waits', disk: 'tmpfs', when: 'before', breaks: 'mount -o remount,ro disk', mends: 'mount -o remount,rw disk' }, // prettier-ignore
    { where: 'read-only', what: 'after the first look', ends: 'waits', disk: 'tmpfs', when: 'within', breaks: 'mount -o remount,ro disk', mends: 'mount -o remount,rw disk' }, // prettier-ignore
    { where: 'not mounted', what: 'when the run begins', ends: 'waits', used: true, disk: 'ext4', when: 'before', breaks: 'umount disk', mends: 'mount -o loop image disk', below: [] }, // prettier-ignore
    { where: 'not mounted', what: 'after the first look', ends: 'waits', used: true, disk: 'ext4', when: 'within', breaks: unmount, mends: 'mount -o loop image disk', below: [] }, // prettier-ignore
    { where: 'not mounted', what: 'after the first look of the first run', ends: 'waits', disk: 'ext4', when: 'within', breaks: unmount, mends: 'mount -o loop image disk', below: [] }, // prettier-ignore
    { where: 'a file in its place', what: 'when the run begins', ends: 'is refused', disk: 'tmpfs', when: 'before', breaks: 'echo mine > disk/backups', mends: 'rm disk/backups', below: ['backups'] }, // prettier-ignore
    { where: 'a file in its place', what: 'after the first look', ends: 'waits', disk: 'tmpfs', when: 'within', breaks: 'rm -f disk/backups; echo mine > disk/backups', mends: 'rm disk/backups', below: ['backups'] }, // prettier-ignore
    { where: 'its parent is not there', what: 'when the run begins', ends: 'is refused', disk: 'tmpfs', when: 'before', breaks: 'umount disk && rmdir disk', mends: 'mkdir disk && mount -t tmpfs -o size=4m none disk' }, // prettier-ignore
    { where: 'no permission', what: 'when the run begins', ends: 'is refused', as: 'nobody', used: true, disk: 'tmpfs', when: 'before', breaks: 'chmod 500 disk/backups', mends: 'chmod 700 disk/backups' }, // prettier-ignore
    { where: 'no permission', what: 'after the first look', ends: 'waits', as: 'nobody', used: true, disk: 'tmpfs', when: 'within', breaks: 'chmod 500 disk/backups', mends: 'chmod 700 disk/backups' }, // prettier-ignore
    { where: 'its disk fails (EIO)', what: 'when the run begins', ends: 'waits', used: true, disk: 'ext4', when: 'before', breaks: 'sync; cp --sparse=always image whole; truncate -s 64k image; losetup -c "$(findmnt -no SOURCE disk)"', mends: 'umount --lazy disk; mv whole image; mount -o loop image disk' }, // prettier-ignore
  ];

  test.each(inTurn(rows).map((row) => [keyOf([row.where, row.what]), row] as const))('%s', async (_, row) => {
    app = new SmallApp([], row.as);
    app.settle([
      `store: type=folder,path=${path.join(app.root, 'disk/backups')}`,
      ...(row.when === 'within' ? ['consistency: stopped', 'stop-command: sh ../fault.sh'] : []),
    ]);
    const disk = path.join(app.root, 'disk');
    const sh = (script: string): string =>
      execFileSync('sh', ['-ec', script], { cwd: app.root, encoding: 'utf8', stdio: 'pipe' });
    const arm = (script: string): void => writeFileSync(path.join(app.root, 'fault.sh'), `cd .. && ${script}\n`);
    arm('true');
    mkdirSync(disk);
    undo.push(() => sh('umount --lazy disk 2>/dev/null || true'));
    if (row.disk === 'tmpfs') sh('mount -t tmpfs -o size=4m none disk');
    else sh('truncate -s 16M image && mkfs.ext4 -q -m 0 image && mount -o loop image disk && rm -r disk/lost+found');
    if (row.as !== undefined) sh('chown nobody disk');
    const run = async (onStoreFailure: 'fail' | 'warn'): ReturnType<SmallApp['shell']> => {
      // Names go by the second, and a store that is away can't tell which it has.
      await sleep(1000);
      return app.shell('backup', ['--on-store-failure', onStoreFailure]);
    };
    const list = async (): Promise<string[]> =>
      (await app.shell('list')).backups.filter(({ store }) => store.startsWith('folder')).map(({ name }) => name);
    const before = row.used === true ? [(await run('fail'), wholeBackups(path.join(disk, 'backups'))[0] ?? '')] : [];

    if (row.when === 'before') sh(row.breaks);
    else arm(`if [ ! -f notes/broken ]; then touch notes/broken; ${row.breaks}; fi`);
    const first = await run('fail');
    seen.set(keyOf([row.where, row.what]), [row.where, row.what, '1', row.ends, `\`${said(first)}\``]);
    if (row.ends === 'is refused') {
      expect([first.exitCode, app.waiting(), app.kept()]).toEqual([1, [], []]);
      sh(row.mends);
      if (row.as !== undefined) sh('chown nobody disk');
      expect((await run('fail')).error).toBeUndefined();
      expect(wholeBackups(path.join(disk, 'backups'))).toHaveLength(before.length + 1);
      return;
    }
    expectTold(first, 'fail');
    const [oldest = ''] = app.waiting();
    expect([app.waiting(), app.kept()]).toEqual([[oldest], [oldest]]);
    if (row.below !== undefined) expect(readdirSync(disk)).toEqual(row.below);

    // A first look at what is broken from the beginning may refuse the run.
    const second = row.when === 'before' ? await run('warn') : undefined;
    if (second !== undefined) {
      expectTold(second, 'warn');
      expect([app.waiting().length, app.kept()]).toEqual([2, app.waiting()]);
      if (row.below !== undefined) expect(readdirSync(disk)).toEqual(row.below);
    } else {
      // Mended and broken again, for a second that waits.
      sh(`${row.mends}; rm notes/broken`);
      expectTold(await run('warn'), 'warn');
      expect(app.waiting().slice(0, 1)).toEqual([oldest]);
      expect([app.waiting().length, app.kept()]).toEqual([2, app.waiting()]);
    }

    sh(row.mends);
    expect(await list()).toEqual(before);
    const third = await run('fail');
    expect([third.exitCode, third.error, third.warnings]).toEqual([0, undefined, []]);
    expect([app.waiting(), app.kept()]).toEqual([[], []]);
    const folder = path.join(disk, 'backups');
    const all = wholeBackups(folder);
    expect(all).toHaveLength(before.length + 3);
    expect(await list()).toEqual(all.toReversed());
    // Oldest first: their manifests came in the order of their names.
    const times = all.map((name) => statSync(path.join(folder, `${name}.manifest.json`), { bigint: true }).ctimeNs);
    expect(times).toEqual(times.toSorted((one, other) => (one < other ? -1 : 1)));
    expect(readdirSync(folder)).toHaveLength(all.length * 3);
  });

  test('each has its line in the documentation', () => {
    expect(documented('folder').map(keyOf)).toEqual(rows.map(({ where, what }) => keyOf([where, what])));
    expect(documented('folder').filter((line) => seen.has(keyOf(line)))).toEqual(
      linesOf(rows).map(([where, what, , ends, reads]) => [where, what, ends, reads]),
    );
  });
});

const linesOf = (rows: readonly { readonly where: string; readonly what: string }[]): string[][] =>
  rows.flatMap(({ where, what }) => {
    const line = seen.get(keyOf([where, what]));
    return line === undefined ? [] : [[...line]];
  });

/** The lines of one of the two tables under "Stores under fire". */
function documented(table: 'service' | 'folder'): string[][] {
  const text = readFileSync(path.resolve(import.meta.dirname, '../../../docs/crash-safety.md'), 'utf8');
  const [, section = ''] = /\n## Stores under fire\n(.*?)\n## /s.exec(text) ?? [];
  const [service = [], folder = []] = section
    .split('\n\n')
    .map((block) => block.split('\n').filter((line) => line.startsWith('|')))
    .filter((lines) => lines.length > 0);
  return (table === 'service' ? service : folder).slice(2).map((line) =>
    line
      .slice(1, -1)
      .split(' | ')
      .map((cell) => cell.trim()),
  );
}
