import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { beforeEach, expect, test } from '@jest/globals';
import { dataBack, dataBackAgain, dropBack } from '../../../src/modes/data-back.ts';
import type { Tools } from '../../../src/modes/tools.ts';
import { silentLog } from '../../../src/report/silent.ts';
import { bootId } from '../../../src/system/identity.ts';
import { NAME, sampleManifest, samplePart } from '../archive/sample-manifest.ts';
import { temporaryDirectories } from '../system/temporary.ts';

const temporary = temporaryDirectories();
const backup = NAME;
const run = 'r1';

interface Record {
  attempts: string[];
  swaps: unknown[] | null;
  spent?: string[];
  stood?: { boot: string; started: { [id: string]: string | null }; state: string };
}

let started: { [id: string]: string };
let did: string[];
let warnings: string[];
let tools: Tools;
let recordFile: string;
beforeEach(() => {
  const stateDirectory = temporary();
  recordFile = path.join(stateDirectory, 'staging', `${run}-back.json`);
  for (const name of ['safety', 'staging']) mkdirSync(path.join(stateDirectory, name));
  const { postgres: _, ...part } = samplePart({
    ...{ name: 'project-files', kind: 'project-files', method: 'files' },
    files: [{ file: `${backup}.project-files.tar.zst`, bytes: 1, rawBytes: 1, sha256: 'a'.repeat(64) }],
  });
  const file = path.join(stateDirectory, 'safety', `${backup}.manifest.json`);
  writeFileSync(file, JSON.stringify(sampleManifest({ parts: [part] })));
  started = { old: '2026-11-24T09:00:00.000Z', failed: '2026-11-24T10:00:00.000Z' };
  did = [];
  warnings = [];
  const note = (what: string) => (given: unknown) => {
    did.push(`${what} ${JSON.stringify(given) ?? ''}`.trim());
    return Promise.resolve();
  };
  tools = {
    project: {
      name: 'shop',
      stateDirectory,
      engine: { runtime: { containers: () => Promise.resolve([]), stop: note('stop one-offs') } },
      stop: note('stop'),
      containers: () => Promise.resolve(Object.entries(started).map(([id, startedAt]) => ({ id, startedAt }))),
      files: { swap: note('swap'), remove: note('remove') },
    },
    log: silentLog(),
    recorder: { warn: (line: string) => warnings.push(line) },
  } as unknown as Tools;
});

const record = (): Record => JSON.parse(readFileSync(recordFile, 'utf8')) as Record;
const change = (how: (now: Record) => void): void => {
  const now = record();
  how(now);
  writeFileSync(recordFile, JSON.stringify(now));
};
const again = (existing: readonly string[] | null = ['old']): Promise<void> =>
  dataBackAgain(tools, { run, ...(existing === null ? {} : { existing }) });

test('data that came back and that nothing was started on are left alone', async () => {
  await dataBack(tools, { backup, run });
  expect(record()).toMatchObject({ attempts: ['r1-back1'], stood: { boot: bootId(), started, state: 'back' } });
  await again();
  expect([record().attempts, record().stood?.state, warnings]).toEqual([['r1-back1'], 'served', []]);
});

test.each(['old', 'failed'])(
  'what was started on them before the old version came up has spoiled them: %s',
  async (id) => {
    await dataBack(tools, { backup, run });
    started[id] = '2026-11-24T11:00:00.000Z';
    did = [];
    await again();
    expect(record()).toMatchObject({ attempts: ['r1-back1', 'r1-back2'], stood: { started, state: 'served' } });
    expect(did[0]).toBe('stop');
    expect(warnings).toEqual([expect.stringContaining(`put back once more, from ${backup}`)]);
    await again();
    expect(record().attempts).toHaveLength(2);
  },
);

test('once the old version may serve, only a container of the failed one spoils them', async () => {
  await dataBack(tools, { backup, run });
  await again();
  started['old'] = '2026-11-24T11:00:00.000Z';
  started['new'] = '2026-11-24T11:00:00.000Z';
  await again();
  expect([record().attempts.length, warnings]).toEqual([1, []]);
  started['failed'] = '2026-11-24T11:00:00.000Z';
  await again(null);
  expect(record().attempts).toHaveLength(1);
  await again();
  expect(record().attempts).toHaveLength(2);
});

test('an undo of the data that is repeated notices it as well', async () => {
  await dataBack(tools, { backup, run });
  await dataBack(tools, { backup, run });
  expect(record().attempts).toHaveLength(1);
  started['failed'] = '2026-11-24T11:00:00.000Z';
  await dataBack(tools, { backup, run });
  expect(record().attempts).toHaveLength(2);
});

test('killed while they go back once more, it goes on there', async () => {
  await dataBack(tools, { backup, run });
  change((now) => (now.swaps = null));
  await again();
  expect(record()).toMatchObject({ attempts: ['r1-back1', 'r1-back2'], stood: { state: 'served' } });
  change((now) => (now.stood!.state = 'exchanging'));
  warnings = [];
  did = [];
  await again();
  expect([record().attempts.length, record().stood?.state, warnings, did[0]]).toEqual([2, 'served', [], 'stop']);
});

test('what vain exchanges have put aside goes at once, and at the end at the latest', async () => {
  await dataBack(tools, { backup, run });
  const swap = { kind: 'directory', live: '/d', fresh: '/f', aside: '/a1' };
  change((now) => (now.swaps = [[swap]]));
  started['failed'] = '2026-11-24T11:00:00.000Z';
  did = [];
  // The record of another part than the manifest has: what was put aside is known by its exchange alone.
  await again();
  expect(record().spent).toEqual(['/a1']);
  expect(did).toContain('remove ["/a1"]');
  did = [];
  await dropBack(tools, run);
  expect(did[0]).toBe('remove ["/a1"]');
  expect(() => record()).toThrow(/ENOENT/);
});

test('without an engine, another boot tells', async () => {
  (tools.project as { engine: null }).engine = null;
  await dataBack(tools, { backup, run });
  change((now) => (now.stood!.boot = 'another'));
  await again();
  expect(record()).toMatchObject({ attempts: ['r1-back1', 'r1-back2'], stood: { state: 'served', boot: bootId() } });
  change((now) => (now.stood!.boot = 'another'));
  await again();
  expect(record().attempts).toHaveLength(2);
});

test('where no data went back there is nothing to look at', async () => {
  await again();
  await dataBackAgain(tools, {});
  expect([did, warnings]).toEqual([[], []]);
});
