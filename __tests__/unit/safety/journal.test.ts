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
