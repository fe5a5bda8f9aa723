import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { Recorder } from '../../../src/modes/recorder.ts';
import { outputsOf } from '../../../src/modes/report.ts';
import type { RunReport } from '../../../src/report/run-report.ts';
import { silentLog } from '../../../src/report/silent.ts';
import { outputs } from '../../../src/settings/outputs.ts';
import { VERSION } from '../../../src/version.ts';

const base: RunReport = {
  mode: 'update',
  project: 'shop',
  outcome: 'done',
  startedAt: '2026-11-24T06:00:00.000Z',
  seconds: 10,
  steps: [],
  warnings: [],
  update: { from: 'v1', to: 'v2', changedServices: ['web'] },
};

describe('outputsOf', () => {
  test('an update that is in place names the new version, also when storing its backup failed', () => {
    for (const outcome of ['done', 'incomplete'] as const) {
      expect(outputsOf({ ...base, outcome }, [])).toMatchObject({
        updated: 'true',
        'previous-version': 'v1',
        version: 'v2',
        'rolled-back': 'false',
      });
    }
  });

  test('an update that was rolled back names the version that serves', () => {
    expect(outputsOf({ ...base, outcome: 'rolled-back' }, [])).toMatchObject({
      updated: 'false',
      version: 'v1',
      'rolled-back': 'true',
    });
  });

  test('names only outputs that action.yml has', () => {
    const all = outputsOf(
      {
        ...base,
        backup: { name: 'shop-20261124T060000Z', parts: [], stores: [], bytes: 7, rawBytes: 9 },
        restore: { backup: 'b', parts: [], safetyBackup: 's' },
        backups: [],
      },
      ['1', '2'],
    );
    const known: readonly string[] = outputs.map(({ name }) => name);
    expect(Object.keys(all).filter((name) => !known.includes(name))).toEqual([]);
    expect(all).toMatchObject({ 'artifact-ids': '1,2', bytes: '7', manifest: 'shop-20261124T060000Z.manifest.json' });
  });
});

describe('Recorder', () => {
  const clock = (): { now: () => Date; monotonic: () => number; sleep: () => Promise<void>; time: number } => ({
    time: 1000,
    now: () => new Date(0),
    monotonic() {
      return this.time;
    },
    sleep: () => Promise.resolve(),
  });

  test('downtime is from the first stop to the first passed health, without the settling after it', () => {
    const watch = clock();
    const recorder = new Recorder(silentLog(), watch);
    expect(recorder.downtimeSeconds).toBeUndefined();
    recorder.away();
    watch.time += 4000;
    recorder.away();
    watch.time += 6000;
    recorder.serving(3);
    expect(recorder.downtimeSeconds).toBe(7);
  });

  test('a step that fails is noted as failed and throws on', async () => {
    const recorder = new Recorder(silentLog(), clock());
    await expect(recorder.step('copy', () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(recorder.steps).toMatchObject([{ name: 'copy', outcome: 'failed' }]);
  });
});

test('the program says the version of its package', () => {
  const text = readFileSync(path.join(import.meta.dirname, '../../../package.json'), 'utf8');
  expect((JSON.parse(text) as { version: string }).version).toBe(VERSION);
});
