import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { isTracked, Site, tracked, type JobResult } from './harness.ts';

/*
 * Jobs that somebody cancels at any moment of an update: the application serves when the job has ended, the old version or, where the cancel came after the commit, the new one, with
 * all of its data; nothing is left behind; and the next update does what this one was to do. The workflow engine can't cancel like GitHub, so the signals come from here.
 */

jest.setTimeout(400_000);

const moments = Number(process.env['CARETAKER_CANCELS'] ?? 10);
let site: Site;
/** Milliseconds that the process of an update takes which nobody cancels. */
let usual = Infinity;
let release = 0;
const survived: string[] = [];

beforeAll(async () => {
  site = await Site.create({
    ...{ title: 'cancels', fixture: 'tiny', user: undefined, engine: 'docker', compose: 'docker compose' },
    ...{ path: [], healthTimeout: '30s', name: 'e2e-cancels' },
  });
  await site.write(3);
  // The very first one has more to do than all others.
  await goodUpdate();
  await goodUpdate();
});
afterAll(() => site?.remove());

async function goodUpdate(): Promise<void> {
  if ((await site.version()) === `v1.0.${release}` || release === 0) await site.make(['release', `v1.0.${++release}`]);
  const before = await site.dump();
  const { done } = await site.start('follow-releases', { name: 'schedule' }, site.nextRun());
  const pid = await mainProcess(done);
  const start = performance.now();
  while (await isAlive(pid)) await sleep(10);
  usual = Math.min(usual, performance.now() - start);
  const job = await done;
  if (job.result !== 'success') throw new Error(`the update failed:\n${job.log}`);
  expect(await site.version()).toBe(`v1.0.${release}`);
  expect(await site.dump()).toBe(before);
  expect(await leftBehind()).toEqual([]);
}

/** The process of the action's main step, as soon as it is there. */
async function mainProcess(job: Promise<JobResult>): Promise<number> {
  let ended: JobResult | undefined;
  void job.then((result) => (ended = result));
  while (ended === undefined) {
    for (const pid of await processes()) {
      const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
      if (words[1]?.endsWith('/dist/action/index.js') === true && (await isTracked(pid))) return pid;
    }
    await sleep(5);
  }
  throw new Error(`the job has ended without a main step:\n${ended.log}`);
}

async function processes(): Promise<number[]> {
  return (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
}

/** State and parent of a process; null where there is none. */
async function statOf(pid: number): Promise<{ state: string; parent: number } | null> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
  const [state = '', parent] = text?.slice(text.lastIndexOf(')') + 2).split(' ') ?? [];
  return text === null ? null : { state, parent: Number(parent) };
}

async function isAlive(pid: number): Promise<boolean> {
  const stat = await statOf(pid);
  return stat !== null && !['Z', 'X'].includes(stat.state);
}

/** As GitHub does it: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-cancellation */
async function cancel(pid: number): Promise<'SIGINT' | 'SIGTERM' | 'SIGKILL'> {
  for (const [signal, ms] of [
    ['SIGINT', 7500],
    ['SIGTERM', 2500],
  ] as const) {
    process.kill(pid, signal);
    const until = performance.now() + ms;
    while (performance.now() < until) {
      if (!(await isAlive(pid))) return signal;
      await sleep(10);
    }
  }
  for (const one of await treeOf(pid)) {
    try {
      process.kill(one, 'SIGKILL');
    } catch {
      // It has ended meanwhile.
    }
  }
  return 'SIGKILL';
}

async function treeOf(root: number): Promise<number[]> {
  const children = new Map<number, number[]>();
  for (const pid of await processes()) {
    const parent = (await statOf(pid))?.parent ?? 0;
    children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const below = (pid: number): number[] => [pid, ...(children.get(pid) ?? []).flatMap(below)];
  return below(root);
}

/** The step of the journal that is under way. */
async function stepNow(): Promise<string> {
  const lines = ((await site.state('journal.jsonl')) ?? '').split('\n').filter((line) => line.endsWith('}'));
  const all = lines.map((line) => JSON.parse(line) as { type: string; name?: string; index?: number });
  const last = all.at(-1);
  if (last === undefined) return 'before the first step';
  const name = last.name ?? all.find((line) => line.type === 'step' && line.index === last.index)?.name;
  return last.type === 'step' ? `in "${name}"` : `after ${last.type}${name === undefined ? '' : ` "${name}"`}`;
}

/** Whether the newest run that has ended was in place. */
async function committed(): Promise<boolean> {
  const names = await readdir(path.join(site.instance, '.caretaker'));
  const newest =
    names
      .filter((name) => name.startsWith('journal-'))
      .sort()
      .at(-1) ?? '';
  return ((await site.state(newest)) ?? '').includes('"type":"commit"');
}

async function leftBehind(): Promise<string[]> {
  const found: string[] = [];
  const stays = /^(\.gitignore|safety|backups|staging|journal-.*\.jsonl|last-update\.json)$/;
  const state = path.join(site.instance, '.caretaker');
  found.push(...(await readdir(state)).filter((name) => !stays.test(name)));
  found.push(...(await readdir(path.join(state, 'staging'))).map((name) => `staging/${name}`));
  const ask = async (...words: string[]): Promise<string[]> =>
    (await site.as(['docker', ...words])).stdout.split('\n').filter((line) => line !== '');
  const [volume = ''] = await ask('volume', 'inspect', '--format', '{{.Mountpoint}}', `${site.project}_files`);
  for (const place of [site.instance, path.dirname(volume)])
    found.push(...(await site.as(['find', place, '-name', '.caretaker-*'])).stdout.split('\n').filter(Boolean));
  const helpers = ['--filter', 'label=compose-caretaker.helper', '--no-trunc', '--format', '{{.Mounts}}'];
  found.push(...(await ask('ps', '--all', ...helpers)).filter((mounts) => mounts.includes(site.directory)));
  found.push(
    ...(await ask('images', '--format', '{{.Repository}}:{{.Tag}}')).filter((name) =>
      name.includes(`failed:${site.project}.`),
    ),
  );
  // The action's own process may take a moment to end when the job has.
  for (let look = 0; look < 50 && (await tracked()).length > 0; look++) await sleep(100);
  return [...found, ...(await tracked())];
}

/** What is cancelled so many milliseconds after the action's process has begun; null where that had ended before. */
async function cancelAfter(ms: number): Promise<string | null> {
  await site.write(1);
  await site.make(['release', `v1.0.${++release}`]);
  const [old, before] = [await site.version(), await site.dump()];
  const { done } = await site.start('follow-releases', { name: 'schedule' }, site.nextRun());
  const pid = await mainProcess(done);
  await sleep(ms);
  const [step, start] = [await stepNow(), performance.now()];
  const by = (await isAlive(pid)) ? await cancel(pid) : null;
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  const job = await done;
  if (by === null) return null;

  const version = await site.version();
  const line = `after ${(ms / 1000).toFixed(1)} s, ${step}: ended by ${by} in ${seconds} s, the job ${job.result}; ${version} serves after ${old}`;
  try {
    expect(await site.whole()).toMatchObject({ ok: true });
    expect(await site.dump()).toBe(before);
    expect(version).toBe((await committed()) && step !== 'before the first step' ? `v1.0.${release}` : old);
    expect(await leftBehind()).toEqual([]);
    await goodUpdate();
  } catch (error) {
    throw new Error(`${line}\n${job.log}`, { cause: error });
  }
  return line;
}

test('a job that is cancelled before the action has even started does nothing', async () => {
  const line = await cancelAfter(0);
  expect(line).toMatch(/before the first step: ended by SIGINT .* the job failure/);
  process.stdout.write(`${line}\n`);
});

test.each(Array.from({ length: moments }, (_, index) => index + 1))('moment %i of an update', async (number) => {
  let line: string | null = null;
  // Each from a stretch of its own, so that they are spread over the whole.
  for (let share = 1; line === null; share *= 0.9)
    line = await cancelAfter(((number - 1 + Math.random()) / moments) * usual * share);
  survived.push(line);
  process.stdout.write(`${number}: ${line}\n`);
});

test('all of them were survived', () => {
  process.stdout.write(`${survived.length} of ${moments}\n`);
  expect(survived.length).toBe(moments);
});
