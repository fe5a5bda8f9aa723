import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { openJournal, unfinishedRun, type JournalLine, type UnfinishedRun } from '../../../src/safety/journal.ts';
import { inMemory } from '../system/temporary.ts';
import { codedOr, forAll, fuzzed } from './fuzz.ts';
import { refuseCommands } from './runner.ts';
import { changedAt, edits, hostileText, hostileValue, mutated } from './values.ts';

jest.setTimeout(600_000);
fuzzed('journals');

const root = mkdtempSync(path.join(inMemory, 'caretaker-fuzz-'));
const state = path.join(root, 'state');
mkdirSync(state);
mkdirSync(path.join(root, 'elsewhere'));
const file = path.join(state, 'journal.jsonl');
afterAll(() => rmSync(root, { recursive: true, force: true }));

const at = '2026-11-29T02:00:00Z';
const entry = { action: 'unstage', data: { part: 'media', run: 'r1' } };
const whole: readonly JournalLine[] = [
  { type: 'begin', run: '20261129-1', mode: 'restore', at, pid: 7, bootId: 'b', caretaker: '0.1.0', settings: {} },
  { type: 'step', index: 0, name: 'stage media', at, undo: entry },
  { type: 'done', index: 0, at },
  { type: 'step', index: 1, name: 'stop', at, undo: null },
  { type: 'done', index: 1, at },
  { type: 'prepared', at, finish: { action: 'up', data: null }, forward: [entry, { action: 'tidy', data: 3 }] },
  { type: 'withdrawn', at },
  { type: 'undone', index: 1, at },
  { type: 'prepared', at, finish: { action: 'up', data: null }, forward: [entry] },
  { type: 'commit', at, forward: [entry, { action: 'tidy', data: 3 }] },
  { type: 'forwarded', index: 0, at },
  { type: 'end', outcome: 'done', at },
];
const textOf = (lines: readonly unknown[]): string => lines.map((line) => `${JSON.stringify(line)}\n`).join('');

/** What recovery acts on without looking at it again. */
function expectKnown(run: UnfinishedRun | null): void {
  if (run === null) return;
  const isEntry = (one: unknown): boolean =>
    typeof one === 'object' && one !== null && typeof (one as { action?: unknown }).action === 'string';
  const fits =
    typeof run.run === 'string' &&
    typeof run.mode === 'string' &&
    run.steps.every(
      ({ index, name, undo, state }) =>
        Number.isInteger(index) &&
        typeof name === 'string' &&
        (undo === null || isEntry(undo)) &&
        ['begun', 'done', 'undone'].includes(state),
    ) &&
    new Set(run.steps.map(({ index }) => index)).size === run.steps.length &&
    (run.prepared === null || (isEntry(run.prepared.finish) && run.prepared.forward.every(isEntry))) &&
    (run.forward === null || run.forward.every(({ entry: one, done }) => isEntry(one) && typeof done === 'boolean'));
  if (!fits) throw new Error(`a run of an unknown shape: ${JSON.stringify(run)}`);
}

async function judge(read: () => Promise<UnfinishedRun | null>): Promise<void> {
  const answer = await codedOr(read);
  if ('errors' in answer) refuseCommands(answer.errors);
  else expectKnown(answer.value);
}

const changedLines = fc
  .tuple(
    fc.nat(whole.length),
    fc.array(fc.tuple(fc.nat(), fc.nat(6), hostileValue, hostileText, fc.nat()), { maxLength: 3 }),
  )
  .map(([length, changes]) => {
    let lines: unknown[] = whole.slice(0, length);
    for (const [place, kind, by, name, which] of changes) {
      const index = which % (lines.length + 1);
      if (kind === 5) lines.splice(index, 0, lines[place % (lines.length + 1)] ?? by);
      else if (kind === 6) lines = [...lines.slice(index), ...lines.slice(0, index)];
      else if (index < lines.length) lines[index] = changedAt(lines[index], place, kind, by, name);
    }
    return textOf(lines);
  });
const journals = fc.oneof(
  changedLines,
  edits(3).map((changes) => mutated(Buffer.from(textOf(whole.slice(0, 10))), changes)),
);

test('any journal is read as what it is made of, or refused by a code', () =>
  forAll(journals, 40_000, async (text) => {
    writeFileSync(file, text);
    await judge(() => unfinishedRun(state));
  }));

test('one that was cut off anywhere tells all that is whole in it, and nothing else', () =>
  forAll(fc.nat(), 4000, async (where) => {
    const text = textOf(whole.slice(0, -1));
    const length = where % text.length;
    const lines = text.slice(0, length).split('\n').length - 1;
    writeFileSync(file, text.slice(0, length));
    const cut = await unfinishedRun(state);
    writeFileSync(file, textOf(whole.slice(0, lines)));
    if (JSON.stringify(cut) !== JSON.stringify(await unfinishedRun(state)))
      throw new Error(`cut after ${length} bytes`);
  }));

test('opening one changes nothing but the journal and its old ones, whatever it holds', () =>
  forAll(journals, 4000, async (text) => {
    writeFileSync(file, text);
    await judge(async () => (await openJournal(state)).unfinished());
    const foreign = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
      (name) => !['state', 'elsewhere'].includes(name) && !/^state\/journal(-[A-Za-z0-9._-]*)?\.jsonl$/.test(name),
    );
    if (foreign.length > 0) throw new Error(`it wrote ${foreign.join(', ')}`);
  }));
