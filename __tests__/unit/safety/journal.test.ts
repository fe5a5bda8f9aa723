import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { openJournal, unfinishedRun, type JournalLine } from '../../../src/safety/journal.ts';
import { ensureStateDirectory } from '../../../src/safety/state-directory.ts';
import { inMemory, temporaryDirectories } from '../system/temporary.ts';

const temporary = temporaryDirectories(inMemory);
const at = '2026-11-24T10:00:00.000Z';
const begin = (run = 'r1'): JournalLine => ({
  type: 'begin',
  run,
  mode: 'update',
  at,
  pid: 1,
  bootId: 'b',
  settings: { a: 1 },
});
const undo = { action: 'start', data: ['web'] };

describe('the journal', () => {
  test('tells another process what had begun, was done and was undone', async () => {
    const directory = temporary();
    const journal = await openJournal(directory);
    expect(await journal.unfinished()).toBeNull();
    const lines: JournalLine[] = [
      begin(),
      { type: 'step', index: 0, name: 'stop', at, undo },
      { type: 'done', index: 0, at },
      { type: 'step', index: 1, name: 'swap', at, undo: null },
    ];
    for (const line of lines) await journal.append(line);
    const expected = {
      run: 'r1',
      mode: 'update',
      at,
      settings: { a: 1 },
      steps: [
        { index: 0, name: 'stop', undo, state: 'done' },
        { index: 1, name: 'swap', undo: null, state: 'begun' },
      ],
      prepared: null,
      forward: null,
    };
    expect(await (await openJournal(directory)).unfinished()).toEqual(expected);
    await journal.append({ type: 'commit', at, forward: [undo, undo] });
    await journal.append({ type: 'forwarded', index: 0, at });
    expect((await (await openJournal(directory)).unfinished())?.forward).toEqual([
      { entry: undo, done: true },
      { entry: undo, done: false },
    ]);
    await expect(journal.append(begin('r2'))).rejects.toMatchObject({ code: 'journal-unfinished' });
    await journal.append({ type: 'end', outcome: 'done', at });
    expect(readdirSync(directory)).toEqual(['journal-r1.jsonl']);
    expect(await journal.unfinished()).toBeNull();
  });

  test.each(['{"type":"done","ind', '{"type":"done","index":0}', '\0\0\0\0\0\n', 'half a line\n'])(
    'a last line torn by a power cut never was: %j',
    async (torn) => {
      const directory = temporary();
      const journal = await openJournal(directory);
      await journal.append(begin());
      await journal.append({ type: 'step', index: 0, name: 'stop', at, undo });
      appendFileSync(journal.file, torn);
      const again = await openJournal(directory);
      expect((await again.unfinished())?.steps).toEqual([{ index: 0, name: 'stop', undo, state: 'begun' }]);
      await again.append({ type: 'undone', index: 0, at });
      expect((await (await openJournal(directory)).unfinished())?.steps[0]?.state).toBe('undone');
    },
  );

  test.each(['', '{"type":"done","ind', '\0\0\0\0\0\n'])(
    'can be looked at while another process writes it: %j',
    async (torn) => {
      const directory = temporary();
      expect(await unfinishedRun(directory)).toBeNull();
      const journal = await openJournal(directory);
      await journal.append(begin());
      await journal.append({ type: 'step', index: 0, name: 'stop', at, undo });
      appendFileSync(journal.file, torn);
      const text = readFileSync(journal.file, 'latin1');
      expect((await unfinishedRun(directory))?.steps).toEqual([{ index: 0, name: 'stop', undo, state: 'begun' }]);
      expect(readFileSync(journal.file, 'latin1')).toBe(text);
    },
  );

  test.each(['{"type":"beg', ''])('a first line that was not written whole is no run: %j', async (text) => {
    const directory = temporary();
    writeFileSync(path.join(directory, 'journal.jsonl'), text);
    const journal = await openJournal(directory);
    expect(await journal.unfinished()).toBeNull();
    await journal.append(begin());
  });

  test.each(['rubbish', 'rubbish\n', 'rub\nbish\n', '\0\0rubbish\0\0\n', '5\n', '[]\n', 'null\n', '{}\n'])(
    'but one that was no beginning tells of a run that nobody can read: %j',
    async (text) => {
      const directory = temporary();
      const file = path.join(directory, 'journal.jsonl');
      writeFileSync(file, text);
      const look = async (): Promise<unknown> => (await openJournal(directory)).unfinished();
      for (const reading of [look, () => unfinishedRun(directory)])
        await expect(reading()).rejects.toMatchObject({ code: 'journal-damaged' });
      expect(readFileSync(file, 'utf8')).toBe(text);
    },
  );

  const step = (index: number): JournalLine => ({ type: 'step', index, name: 'stop', at, undo });
  const commit: JournalLine = { type: 'commit', at, forward: [undo] };
  test.each<[string, readonly unknown[]]>([
    ['line 3 is not JSON', [step(0), '\0\0\0\0', { type: 'done', index: 0, at }]],
    ['line 2 is no object', [7, step(0)]],
    ['line 2 has no type', [{}, step(0)]],
    ['line 2 is of the type step and has no name', [{ type: 'step', index: 0, undo: null }]],
    ['line 2 is of the type step and has no undo', [{ type: 'step', index: 0, name: 'stop' }]],
    ['line 2 is of the type step and has no undo', [{ type: 'step', index: 0, name: 'stop', undo: { data: 1 } }]],
    ['line 3 is of the type done and has no index', [step(0), { type: 'done' }]],
    ['line 3 is of the type commit and has no forward', [step(0), { type: 'commit', forward: [{}] }]],
    ['step 0 ended without a beginning', [{ type: 'done', index: 0, at }, step(0)]],
    ['step 0 begins twice', [step(0), step(0)]],
    ['it begins two runs', [begin(), step(0)]],
    ['it commits twice', [commit, commit]],
    ['forward action 1 is unknown', [commit, { type: 'forwarded', index: 1, at }]],
    ['forward action 0 is unknown', [{ type: 'forwarded', index: 0, at }, commit]],
    ['it goes on after its end', [step(0), { type: 'end', outcome: 'done', at }, step(1)]],
  ])('is not guessed at: %s', async (why, lines) => {
    const directory = temporary();
    const file = path.join(directory, 'journal.jsonl');
    const text = [begin(), ...lines]
      .map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`)
      .join('');
    writeFileSync(file, text);
    const look = async (): Promise<unknown> => (await openJournal(directory)).unfinished();
    await expect(look()).rejects.toMatchObject({
      code: 'journal-damaged',
      message: expect.stringContaining(why),
      hint: expect.stringContaining('docs/recovery-by-hand.md'),
    });
    expect(readFileSync(file, 'utf8')).toBe(text);
  });

  test('what is written twice and changes nothing is no damage', async () => {
    const directory = temporary();
    const lines = [begin(), step(0), ...Array<JournalLine>(2).fill({ type: 'done', index: 0, at })];
    writeFileSync(path.join(directory, 'journal.jsonl'), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    expect((await unfinishedRun(directory))?.steps).toMatchObject([{ state: 'done' }]);
  });

  test('with a line of a type that is not known is another version’s, which is named', async () => {
    const directory = temporary();
    const file = path.join(directory, 'journal.jsonl');
    for (const caretaker of ['7.5.0', undefined]) {
      const lines = [{ ...begin(), caretaker }, step(0), { type: 'checkpoint', at }];
      writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
      const look = async (): Promise<unknown> => (await openJournal(directory)).unfinished();
      for (const reading of [look, () => unfinishedRun(directory)])
        await expect(reading()).rejects.toMatchObject({
          code: 'journal-newer',
          message: expect.stringMatching(
            `a line of the type "checkpoint".*: ${caretaker === undefined ? 'another version' : 'version 7.5.0'} wrote it`,
          ),
          hint: expect.stringMatching(/Nothing was touched.*docs\/recovery-by-hand.md/),
        });
    }
  });

  test('of any length is read', async () => {
    const directory = temporary();
    const file = path.join(directory, 'journal.jsonl');
    const big: JournalLine = {
      type: 'step',
      index: 0,
      name: 'swap',
      at,
      undo: { action: 'start', data: 'x'.repeat(20e6) },
    };
    const lines = [begin(), big, ...Array.from({ length: 100_000 }, (_, index) => step(index + 1))];
    writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    appendFileSync(file, '{"type":"do');
    const journal = await openJournal(directory);
    await journal.append({ type: 'undone', index: 100_000, at });
    const steps = (await journal.unfinished())?.steps ?? [];
    expect([steps.length, steps.at(-1)?.state, steps.at(-2)?.state]).toEqual([100_001, 'undone', 'begun']);
  });

  test('damage before the last line is an error, not a guess', async () => {
    const directory = temporary();
    writeFileSync(
      path.join(directory, 'journal.jsonl'),
      `${JSON.stringify(begin())}\nrubbish\n{"type":"done","index":0,"at":"x"}\n`,
    );
    await expect(openJournal(directory)).rejects.toMatchObject({
      code: 'journal-damaged',
      message: expect.stringContaining('line 2'),
    });
  });

  test('one that was killed between its end and the rotation is rotated by the next; twenty are kept, and names stay in their directory', async () => {
    const directory = temporary();
    for (let number = 0; number < 25; number++) {
      const old = path.join(directory, `journal-old${number}.jsonl`);
      writeFileSync(old, '');
      utimesSync(old, 1_000_000 + number, 1_000_000 + number);
    }
    writeFileSync(
      path.join(directory, 'journal.jsonl'),
      `${JSON.stringify(begin('../../etc/x'))}\n${JSON.stringify({ type: 'end', outcome: 'done', at })}\n`,
    );
    const journal = await openJournal(directory);
    expect(await journal.unfinished()).toBeNull();
    const names = readdirSync(directory);
    expect(names).toHaveLength(20);
    expect(names).toContain('journal-.._.._etc_x.jsonl');
    expect(names).not.toContain('journal-old5.jsonl');
    expect(names).toContain('journal-old6.jsonl');
  });
});

describe('the state directory', () => {
  test('is private, ignores itself, and is made once', async () => {
    const project = temporary();
    const directory = await ensureStateDirectory(project);
    expect(directory).toBe(path.join(project, '.caretaker'));
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(readFileSync(path.join(directory, '.gitignore'), 'utf8')).toBe('*\n');
    writeFileSync(path.join(directory, 'backups', 'kept'), '');
    await ensureStateDirectory(project);
    expect(existsSync(path.join(directory, 'backups', 'kept'))).toBe(true);
    expect(existsSync(path.join(directory, 'staging'))).toBe(true);
  });

  test('a project directory that is not there does not come into being; a file in its place is an error', async () => {
    const root = temporary();
    await expect(ensureStateDirectory(path.join(root, 'misspelt'))).rejects.toMatchObject({
      code: 'state-directory-unwritable',
      input: 'project-directory',
    });
    expect(readdirSync(root)).toEqual([]);
    mkdirSync(path.join(root, 'project'));
    writeFileSync(path.join(root, 'project', '.caretaker'), '');
    await expect(ensureStateDirectory(path.join(root, 'project'))).rejects.toMatchObject({
      code: 'state-directory-unwritable',
    });
  });
});
