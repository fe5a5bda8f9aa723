import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { avoid, avoided } from '../../../src/modes/avoided.ts';
import { capturedIn } from '../../../src/modes/capture.ts';
import { lastUpdate, lastUpdateOrNull, rememberUpdate } from '../../../src/modes/last-update.ts';
import type { Tools } from '../../../src/modes/tools.ts';
import { undoActions } from '../../../src/modes/undo.ts';
import { silentLog } from '../../../src/report/silent.ts';
import { temporaryDirectories } from '../system/temporary.ts';

const temporary = temporaryDirectories();
const at = '2026-11-24T10:00:00.000Z';

/** The undo of an update, which keeps in staging what it has begun. */
async function dataBack(state: string): Promise<void> {
  const project = { stop: () => Promise.resolve([]), engine: null, stateDirectory: state };
  const tools = { project, log: silentLog() } as unknown as Tools;
  const { 'data-back': undo } = undoActions(() => tools, { healthTimeoutMs: 1, settleMs: 1 });
  await undo!({ backup: 'shop-20261124T100000Z', run: 'r1' });
}

const damages = [
  '',
  'rubbish',
  '{"run": "r1", "bac',
  '\0\0\0\0',
  '5',
  'null',
  '[]',
  '{}',
  '{"run":1}',
  '{"attempts":{}}',
];

describe.each<[string, (state: string) => Promise<unknown>]>([
  ['last-update.json', (stateDirectory) => lastUpdate({ stateDirectory, name: 'shop' })],
  ['avoided.json', avoided],
  ['staging/r1-back.json', dataBack],
])('%s', (name, read) => {
  test.each(damages)('that is damaged is an error that names it, and stays: %j', async (text) => {
    const state = temporary();
    const file = path.join(state, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text);
    await expect(read(state)).rejects.toMatchObject({
      code: 'state-damaged',
      message: expect.stringContaining(file),
      hint: expect.stringContaining('Remove or mend it. Without it '),
    });
    expect(readFileSync(file, 'utf8')).toBe(text);
  });
});

test('the last update of another project in the same directory is not gone back from', async () => {
  const stateDirectory = temporary();
  const update = { run: 'r', at, from: null, to: null, code: null, commit: null, images: [], backup: 'b' };
  await rememberUpdate(stateDirectory, { ...update, project: 'staging' });
  expect(await lastUpdate({ stateDirectory, name: 'staging' })).toMatchObject(update);
  await expect(lastUpdate({ stateDirectory, name: 'prod' })).rejects.toMatchObject({
    code: 'nothing-to-roll-back',
    message: 'the last update of this directory was one of the project staging, not of prod',
  });
});

test('what older versions wrote, and what a newer one has added, is read', async () => {
  const state = temporary();
  const update = { run: 'r', at, from: null, to: null, code: null, commit: null, images: [{ name: 'a', id: 'b' }] };
  await rememberUpdate(state, { ...update, backup: 'b', added: 1 } as Parameters<typeof rememberUpdate>[1]);
  expect(await lastUpdateOrNull(state)).toMatchObject(update);
  await avoid(state, { commit: 'c', label: 'v3', at, why: 'unhealthy' });
  expect(await avoided(state)).toMatchObject({ label: 'v3' });
});

test.each(['', 'rubbish', '\0\0', '5', '{}'])(
  'a manifest of a safety backup that is damaged is told of: %j',
  async (text) => {
    const directory = temporary();
    writeFileSync(path.join(directory, 'shop-20261124T100000Z.manifest.json'), text);
    await expect(capturedIn(directory, 'shop-20261124T100000Z')).rejects.toMatchObject({ code: 'manifest-invalid' });
  },
);
