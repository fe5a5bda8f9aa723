/**
 * Ends a run at every effect that it has, in every way that there is, on a real engine, and looks at what is left: the application serves, its data are the old
 * or the new whole, nothing stray lies about, and the next backup and the next update work. What an effect is: `fixtures/tiny/fault.mjs`.
 *
 *   node __tests__/crash/crash.ts --engine docker|podman [--part 1/8] [--random 50] [--only TEXT] [--skip 20] [--list]
 *
 * Under Podman, backups are encrypted before they go to the store; under Docker they are not.
 *
 * Prints a line for each case and at the end `N passed, N failed`; exits with 1 where one failed. `--part` takes every eighth case, from the first one on; the cases of one
 * kind are so spread over the parts. `--only` takes those whose name holds the text. `--skip` leaves out the first ones of these, which were run before. `--random` kills as many backups, updates and restores at moments of their own besides, while somebody writes.
 */
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import type { RunReport } from '../../src/report/run-report.ts';
import { as, Deployment, docker, kit, ledgerOf, rootless, treeOf, type Run } from '../integration/modes/harness.ts';
import { casesOf, nameOf, runs, type Case, type Kind, type RunKind } from './points.ts';

const { values } = parseArgs({
  options: {
    engine: { type: 'string' },
    part: { type: 'string', default: '1/1' },
    only: { type: 'string', default: '' },
    skip: { type: 'string', default: '0' },
    random: { type: 'string', default: '0' },
    list: { type: 'boolean', default: false },
  },
});

const hosts = { docker: () => docker('root'), podman: () => rootless('1.6.0') };
const host = hosts[values.engine as keyof typeof hosts]();
const [part, parts] = (values.part ?? '').split('/').map(Number) as [number, number];
const faults = mkdtempSync('/var/tmp/caretaker-crash-');
chmodSync(faults, 0o777);
const modes = ['backup', 'update', 'restore'] as const;
type Mode = (typeof modes)[number] | 'recover';
const trace = path.join(faults, 'trace');
const key = host.engine === 'podman' ? await newKey() : undefined;
let app = await Deployment.create(host, 'tiny');
/** v1.0.N is the newest release, and the one that serves. */
let newest = 0;
let serving = 0;
/** The newest release does not become healthy. */
let isBad = false;
let passed = 0;
let failed = 0;
/** What the newest backup holds. */
let backedUp: State;
/** Milliseconds that a run takes to which nothing happens. */
const usual: Partial<Record<RunKind, number>> = {};
/** The points of each run, in their order. */
const points: Partial<Record<RunKind, readonly string[]>> = {};

/** The case that is under way is gone on with, so that nothing is left behind. */
let stopped = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => (stopped = true));

async function main(): Promise<void> {
  try {
    await begin();
    for (const run of runs) points[run] = await pointsOf(run);
    const seen = new Set<string>();
    const all = runs.flatMap((run) => {
      // A run that fails or recovers is another one only from where it does.
      const own = (points[run] ?? []).filter((point) => modes.some((mode) => mode === run) || !seen.has(point));
      for (const point of own) seen.add(point);
      return casesOf(run, own, host.engine === 'docker' ? 0 : 1);
    });
    const chosen = all
      .filter((one, index) => index % parts === part - 1 && nameOf(one).includes(values.only))
      .slice(Number(values.skip));
    console.log(
      `${all.length} cases at ${Object.values(points).flat().length} points of ${host.engine}; ${chosen.length} of them now`,
    );
    if (values.list) {
      for (const one of chosen) console.log(nameOf(one));
      return;
    }
    for (const one of chosen) await attempt(nameOf(one), () => tryCase(one));
    for (const mode of modes) {
      for (let count = 1; count <= Number(values.random); count += 1)
        await attempt(`${mode}: killed at a random moment, ${count}`, () => killAnywhere(mode));
    }
    console.log(`${passed} passed, ${failed} failed`);
    process.exitCode = failed === 0 && !stopped ? 0 : 1;
  } finally {
    await app.destroy();
    rmSync(faults, { recursive: true });
  }
}

/** One line of the result; what is wrong with it below. */
async function attempt(name: string, work: () => Promise<string[]>): Promise<void> {
  if (stopped) return;
  const start = performance.now();
  const wrong = await work().catch((error: unknown) => [error instanceof Error ? error.message : String(error)]);
  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  console.log(`${wrong.length === 0 ? 'ok  ' : 'FAIL'} ${name} (${seconds} s)`);
  for (const line of wrong) console.log(`     ${line.slice(0, 2000)}`);
  if (wrong.length === 0) {
    passed += 1;
    return;
  }
  failed += 1;
  // The next one must not suffer for it.
  await app.destroy();
  app = await Deployment.create(host, 'tiny');
  await begin();
}

async function begin(): Promise<void> {
  newest = 0;
  serving = 0;
  isBad = false;
  await app.write(2);
  const { code, report } = await run('backup');
  if (code !== 0) throw new Error(JSON.stringify(report.error));
  backedUp = await stateNow();
}

/** The effects of a run that nothing happens to, in their order. */
async function pointsOf(kind: RunKind): Promise<string[]> {
  const mode = await prelude(kind);
  const start = performance.now();
  const { report } = await faulty(mode, {});
  usual[kind] = performance.now() - start;
  if ((report?.error === undefined) !== (kind !== 'failing update'))
    throw new Error(`${kind} without a fault: ${JSON.stringify(report?.error)}`);
  const found = [...new Set(readFileSync(trace, 'utf8').split('\n').filter(Boolean))];
  const wrong = await goOn(kind, () => true);
  if (wrong.length > 0) throw new Error(`${kind} without a fault: ${wrong.join('; ')}`);
  return found;
}

/** What comes before the run that is ended, which is of the mode that this answers with. */
async function prelude(kind: RunKind): Promise<Mode> {
  switch (kind) {
    case 'backup':
    case 'restore':
      return kind;
    case 'update':
      await release();
      return 'update';
    case 'failing update':
      await release('bad');
      return 'update';
    case 'recovery of an update':
      await release();
      await faulty('update', { point: pointIn('update', /\| writeFile journal: prepared/), kind: 'killed-after' });
      return 'recover';
    case 'recovery of a restore':
      await faulty('restore', { point: pointIn('restore', /\| writeFile journal: step start/), kind: 'kill' });
      return 'recover';
  }
}

function pointIn(kind: RunKind, pattern: RegExp): string {
  const found = points[kind]?.find((point) => pattern.test(point));
  if (found === undefined) throw new Error(`${kind} never comes to ${String(pattern)}`);
  return found;
}

async function release(...how: 'bad'[]): Promise<void> {
  newest += 1;
  isBad = how.length > 0;
  await app.make('release', `v1.0.${newest}`, ...how);
}

interface State {
  readonly dump: string;
  readonly files: string;
}

/** Where the directory itself could not be renamed, its entries were exchanged in it, and its own time is that of the exchange. */
async function stateNow(): Promise<State> {
  const files = treeOf(await app.volume('files')).replace(/^(\.\|d\|.*\|)[\d.]+\|$/m, '$1');
  return { dump: await app.dump(), files };
}

const same = (one: State, other: State): boolean => one.dump === other.dump && one.files === other.files;

/** What is wrong after it; nothing where all is as it should be. */
async function tryCase({ run: what, point, kind }: Case): Promise<string[]> {
  const wrong: string[] = [];
  await app.write(1);
  const old = await stateNow();
  const mode = await prelude(what);
  // Made by the first run of all; with it go the safety backups, which nobody asks for here.
  if (point.includes('.gitignore')) rmSync(app.state, { recursive: true });
  const { report, stderr, killed } = await faulty(mode, { point, kind });
  const promised = promisedBackups();
  const said = JSON.stringify(report?.error) ?? stderr;
  if (!existsSync(`${trace}.there`)) return [`the run never came to it: ${said}`];

  // Who lived to the end has put everything right himself. A cancelled run that is not done within ten seconds is killed.
  const lived = report !== null;
  if (!killed && lived !== ['enospc', 'eio', 'fails', 'cancel'].includes(kind))
    wrong.push(`it ${lived ? 'lived' : 'died'}: ${said}`);
  if (lived) {
    if (report.outcome === 'rollback-failed') wrong.push(`the rollback failed: ${said}`);
    // A recovery that can't begin leaves the application as the killed run had left it.
    if (mode !== 'recover' || report.outcome !== 'refused') wrong.push(...(await look(`after ${report.outcome}`)));
  }
  if (kind === 'power') await reboot();
  wrong.push(...(await goOn(what, (now) => same(now, old) || (mode === 'restore' && same(now, backedUp)))));
  for (const name of promised) {
    if (!existsSync(path.join(app.backups, `${name}.manifest.json`))) wrong.push(`the backup ${name} was lost`);
  }
  return wrong.map((line) => (line.startsWith('the data') ? `${line}: ${said}` : line));
}

/**
 * A run of this mode is killed at a moment between its start and its end, while somebody writes. Every acknowledged write is there. A restore may have been
 * finished: then the backup's entries are there, and every write that it took after them.
 */
async function killAnywhere(mode: (typeof modes)[number]): Promise<string[]> {
  if (mode === 'update') await release();
  const old = await app.dump();
  const writer = app.writer(20);
  await writer.started();
  let over = false;
  const running = faulty(mode, {}).finally(() => (over = true));
  const after = Math.random() * (usual[mode] ?? 5000);
  await wait(after);
  const killed = !over && killRun('SIGKILL');
  await running;
  const { ids } = await writer.stop();
  let lost: readonly number[] = [];
  const wrong = await goOn(mode, ({ dump }) => {
    const ledger = ledgerOf(dump);
    lost = ids.filter((id) => !ledger.has(id));
    if (lost.length === 0 && holds(dump, old)) return true;
    // What was written before the restored data came in was replaced by them, as was meant; nothing after. The application counts on from the restored entries then.
    const again = ids.findLastIndex((id, index) => id <= (ids[index - 1] ?? -Infinity));
    const kept = again === -1 ? !ids.some((id) => ledger.has(id)) : ids.slice(again).every((id) => ledger.has(id));
    return mode === 'restore' && holds(dump, backedUp.dump) && kept;
  });
  return wrong.map(
    (line) =>
      `${killed ? 'killed' : 'not killed'} after ${after.toFixed(0)} ms, ${ids.length} writes, ${lost.length} lost: ${line}`,
  );
}

/** Whether every entry of the ledger is in a dump that is in the other. */
function holds(dump: string, other: string): boolean {
  const entries = new Set(dump.split('\n'));
  return other.split('\n').every((line) => !line.startsWith('ledger: ') || entries.has(line));
}

/** The next backup and the next update, and what there is between them. `whole` tells whether the data may be like this. */
async function goOn(kind: RunKind, whole: (now: State) => boolean): Promise<string[]> {
  const recovered = await run('backup');
  if (recovered.code !== 0) return [`the backup after it: ${JSON.stringify(recovered.report.error)}`];
  const wrong = await look('after the backup after it');
  const now = await stateNow();
  if (!whole(now)) wrong.push('the data are neither the old nor the new');
  backedUp = now;
  const served = versionOf((await app.get('/version')).body);
  const mayServe = { update: [serving, newest], 'recovery of an update': [newest] } as Partial<
    Record<RunKind, number[]>
  >;
  if (!(mayServe[kind] ?? [serving]).includes(served)) wrong.push(`v1.0.${served} serves`);
  // A store's own, which another run could still be using, go an hour later.
  const left = (await app.leftovers()).filter((name) => !name.endsWith('.caretaker-tmp'));
  if (left.length > 0) wrong.push(`left behind: ${left.join(', ')}`);

  if (newest === served || kind === 'failing update') await release();
  const updated = await run('update');
  if (updated.code !== 0) return [...wrong, `the update after it: ${JSON.stringify(updated.report.error)}`];
  wrong.push(...(await look('after the update after it')));
  const after = versionOf((await app.get('/version')).body);
  if (after !== newest) wrong.push(`v1.0.${after} serves after the update to v1.0.${newest}`);
  serving = after;
  if (!same(await stateNow(), now)) wrong.push('the update after it changed the data');
  return wrong;
}

/** Backups that a run has committed to store, and has not been seen to have stored. */
function promisedBackups(): string[] {
  const read = (name: string): string => {
    const file = path.join(app.state, name);
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  };
  const journal = read('journal.jsonl');
  const committed = /^\{"type":"commit".*\}$/m.test(journal) ? journal : '';
  const names = [
    ...committed.matchAll(/"action":"store-backup","data":\{"backup":"([^"]+)"/g),
    ...read('unstored.json').matchAll(/"backup": "([^"]+)"/g),
  ];
  return names.map(([, name]) => name ?? '');
}

/** The engine is gone, with all containers; when it is back, it starts those whose policy is `always`, as all of them have: also those that had been stopped. */
async function reboot(): Promise<void> {
  const containers = Object.values(await app.containers());
  const running = containers.filter((container) => container.running).map(({ id }) => id);
  if (running.length > 0) {
    await as(host, [host.engine, 'kill', ...running]);
    // Podman cleans up after a container when it has ended: not after the one that is started next, whose network it would take away.
    await as(host, [host.engine, 'wait', ...(host.engine === 'podman' ? ['--condition=exited'] : []), ...running]);
  }
  if (containers.length > 0) await as(host, [host.engine, 'start', ...containers.map(({ id }) => id)]);
}

const versionOf = (body: string): number => Number(/v1\.0\.(\d+)/.exec(body)?.[1]);

/** Whether the application serves, and its tables and files belong together. */
async function look(when: string): Promise<string[]> {
  const answers = await Promise.all(
    ['/health', '/invariant'].map((where) =>
      app.get(where).catch((error: unknown) => ({ status: 0, body: String(error) })),
    ),
  );
  const [health, invariant] = answers as [{ status: number; body: string }, { status: number; body: string }];
  if (health.status === 200 && invariant.body.includes('"ok": true')) return [];
  return [`${when} the application does not serve: ${JSON.stringify(answers)}`];
}

function run(mode: 'backup' | 'update'): Promise<Run> {
  return app.caretaker(mode, ...argumentsOf(mode));
}

async function newKey(): Promise<{ readonly file: string; readonly recipient: string }> {
  const file = path.join(faults, 'identity.txt');
  const { code, stderr } = await as(host, [process.env['CARETAKER_TEST_NODE24'] as string, kit().cli, 'keygen', file]);
  const [recipient] = code === 0 ? (/age1[a-z0-9]+/.exec(readFileSync(file, 'utf8')) ?? []) : [];
  if (recipient === undefined) throw new Error(`no key was made: ${stderr}`);
  return { file, recipient };
}

function argumentsOf(mode: Mode): string[] {
  if (mode === 'recover') return [];
  const own = {
    backup: [],
    update: ['--build', 'none'],
    restore: [
      ...['--backup', 'latest', '--allow', 'version-mismatch'],
      ...(key === undefined ? [] : ['--identity-file', key.file]),
    ],
  };
  const encrypted = key === undefined || mode === 'restore' ? [] : ['--encrypt-to', key.recipient];
  return [...own[mode], ...encrypted, '--settle', '0', '--health-timeout', isBad ? '4s' : '20s'];
}

/** A run with the fault; null for its report where it did not live to give one. `killed`: at the end of a cancel. */
async function faulty(
  mode: Mode,
  fault: { point?: string; kind?: Kind },
): Promise<{ report: RunReport | null; stderr: string; killed: boolean }> {
  rmSync(trace, { force: true });
  for (const end of ['.there', '.pid']) rmSync(trace + end, { force: true });
  const preload = path.join(kit().fixtures, 'tiny/fault.mjs');
  app.environment = [`CARETAKER_FAULT=${JSON.stringify({ trace, ...fault })}`, `NODE_OPTIONS=--import=${preload}`];
  try {
    let over = false;
    const running = app.command(mode, '--json', ...argumentsOf(mode)).finally(() => (over = true));
    const killed = fault.kind === 'cancel' && (await cancel(() => over));
    const { stdout, stderr } = await running.catch((error: unknown) => ({ stdout: '', stderr: String(error) }));
    return { report: stdout.startsWith('{') ? (JSON.parse(stdout) as RunReport) : null, stderr, killed };
  } finally {
    app.environment = [];
  }
}

/** As GitHub does it: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-cancellation. Whether that went as far as SIGKILL. */
async function cancel(over: () => boolean): Promise<boolean> {
  while (!over() && !existsSync(`${trace}.there`)) await wait(10);
  for (const [signal, ms] of [
    ['SIGINT', 7500],
    ['SIGTERM', 2500],
    ['SIGKILL', 0],
  ] as const) {
    if (over() || !killRun(signal)) return false;
    for (let waited = 0; waited < ms && !over(); waited += 50) await wait(50);
  }
  return true;
}

/** False where it has not begun, or ended by itself. */
function killRun(signal: NodeJS.Signals): boolean {
  try {
    return process.kill(Number(readFileSync(`${trace}.pid`, 'utf8')), signal);
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

await main();
