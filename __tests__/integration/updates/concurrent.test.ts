import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import type { RunReport } from '../../../src/report/run-report.ts';
import { Deployment, docker, treeOf } from '../modes/harness.ts';

jest.setTimeout(300_000);

let app: Deployment;

beforeAll(async () => {
  app = await Deployment.create(docker('root'), 'tiny');
  await app.write(2);
});
afterAll(() => app?.destroy());

/** Everything that a run could change. */
async function state(): Promise<object> {
  return {
    dump: await app.dump(),
    files: treeOf(await app.volume('files')),
    state: treeOf(app.state),
    backups: existsSync(app.backups) ? readdirSync(app.backups) : [],
    containers: await app.containers(),
    checkout: app.checkout(),
  };
}

test('while an update works, a backup and another update are refused, name it, and change nothing', async () => {
  await app.make('release', 'v1.0.1');
  const [begun, go] = ['begun', 'go'].map((name) => path.join(app.directory, name)) as [string, string];
  const first = app.caretaker('update', '--build', `touch ${begun}; until [ -e ${go} ]; do sleep 0.1; done`);
  try {
    while (!existsSync(begun)) await new Promise((resolve) => setTimeout(resolve, 20));
    const { holder } = JSON.parse(readFileSync(path.join(app.state, 'lock'), 'utf8')) as { holder: { pid: number } };
    const before = await state();
    for (const { code, report } of await Promise.all([app.caretaker('backup'), app.caretaker('update')])) {
      expect([code, report.outcome, report.error?.code]).toEqual([1, 'refused', 'locked']);
      expect(report.error?.message).toContain(`another run holds the lock: update, process ${holder.pid} on `);
    }
    expect(await state()).toEqual(before);
  } finally {
    writeFileSync(go, '');
    await first;
  }
  expect((await first).report).toMatchObject({ outcome: 'done', update: { to: 'v1.0.1' } });
  expect((await app.get('/version')).body).toContain('v1.0.1');
  expect(await app.leftovers()).toEqual([]);
});

test('with lock-timeout an update and two backups that start at once all succeed, one after the other', async () => {
  await app.make('release', 'v1.0.2');
  const before = await app.dump();
  const stored = manifests();
  const wait = ['--lock-timeout', '4m'];

  const reports = await Promise.all([
    app.succeeds('update', '--build', 'none', ...wait),
    app.succeeds('backup', ...wait),
    app.succeeds('backup', ...wait),
  ]);

  expect(reports.map(({ outcome }) => outcome)).toEqual(['done', 'done', 'done']);
  const [one, two, three] = reports.map(atWork).toSorted((a, b) => a.from - b.from) as [Span, Span, Span];
  expect([two.from - one.to, three.from - two.to].filter((apart) => apart < 0)).toEqual([]);
  expect(manifests()).toHaveLength(stored.length + 3);
  expect((await app.get('/version')).body).toContain('v1.0.2');
  expect(await app.dump()).toBe(before);
  expect(await app.leftovers()).toEqual([]);
});

interface Span {
  readonly from: number;
  readonly to: number;
}

/** From its first step to the end of its last one: all of them belong under the lock. */
function atWork({ startedAt, steps }: RunReport): Span {
  const start = Date.parse(startedAt);
  return {
    from: start + Math.min(...steps.map(({ startSeconds }) => startSeconds)) * 1000,
    to: start + Math.max(...steps.map(({ startSeconds, seconds }) => startSeconds + seconds)) * 1000,
  };
}

function manifests(): string[] {
  return readdirSync(app.backups).filter((name) => name.endsWith('.manifest.json'));
}
