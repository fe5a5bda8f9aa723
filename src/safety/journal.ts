import { open, readdir, rename, stat, unlink } from 'node:fs/promises';
import path from 'node:path';
import { CaretakerError } from '../errors.ts';
import { appendDurable, fileError, readText, syncDirectory } from '../system/files.ts';

/** What one undo needs, as plain data, so that another process can do it. */
export interface UndoEntry {
  /** Key in the table of undo actions that the modes hand to the saga. */
  readonly action: string;
  readonly data: unknown;
}

/** A line of `.caretaker/journal.jsonl`. Appended and fsynced before the step acts. */
export type JournalLine =
  | {
      readonly type: 'begin';
      readonly run: string;
      readonly mode: string;
      readonly at: string;
      readonly pid: number;
      readonly bootId: string;
      readonly settings: unknown;
    }
  | {
      readonly type: 'step';
      readonly index: number;
      readonly name: string;
      readonly at: string;
      readonly undo: UndoEntry | null;
    }
  | { readonly type: 'done'; readonly index: number; readonly at: string }
  /** From here on the run goes forward only: cleaning up. `forward` lists what is left to do, undone by nothing. */
  | { readonly type: 'commit'; readonly at: string; readonly forward: readonly UndoEntry[] }
  | { readonly type: 'undone'; readonly index: number; readonly at: string }
  /** The forward action of that index in `commit` is done. */
  | { readonly type: 'forwarded'; readonly index: number; readonly at: string }
  | { readonly type: 'end'; readonly outcome: 'done' | 'rolled-back' | 'failed'; readonly at: string };

/** What the journal says of a run that has not ended. */
export interface UnfinishedRun {
  readonly run: string;
  readonly mode: string;
  readonly at: string;
  readonly settings: unknown;
  /** In the order in which they began. `begun`: perhaps half done. */
  readonly steps: readonly {
    readonly index: number;
    readonly name: string;
    readonly undo: UndoEntry | null;
    readonly state: 'begun' | 'done' | 'undone';
  }[];
  /** Null before the commit; then each forward action, and whether it is done. */
  readonly forward: readonly { readonly entry: UndoEntry; readonly done: boolean }[] | null;
}

export interface Journal {
  /** Absolute path of the file. */
  readonly file: string;
  /** The run that was interrupted, or null. Throws `journal-damaged`. */
  unfinished(): Promise<UnfinishedRun | null>;
  /**
   * The line is on disk when this is fulfilled. `begin` is refused while another run is unfinished (`journal-unfinished`); `end`
   * rotates the file to `journal-RUN.jsonl`, of which the last twenty are kept.
   */
  append(line: JournalLine): Promise<void>;
}

const KEPT = 20;

/** Opens `journal.jsonl` in the state directory, which must be there; the lock must be held. A last line torn by a power cut never was. */
export async function openJournal(stateDirectory: string): Promise<Journal> {
  const file = path.join(stateDirectory, 'journal.jsonl');
  await cutTornLine(file);
  // Killed between its last line and the rotation.
  const last = (await readLines(file)).at(-1);
  if (last?.type === 'end') await rotate(file);

  return {
    file,
    async unfinished() {
      return summarise(await readLines(file), file);
    },
    async append(line) {
      if (line.type === 'begin' && (await readText(file)) !== null) {
        throw new CaretakerError('journal-unfinished', `failed to begin: ${file} holds a run that has not ended`, {
          hint: 'The next run finishes it; see docs/recovery-by-hand.md.',
        });
      }
      try {
        await appendDurable(file, JSON.stringify(line));
      } catch (error) {
        // A rename needs no space, and says as much: a full disk must not make the next run undo what is undone.
        if (line.type !== 'end' || !(error instanceof CaretakerError && error.code === 'disk-full')) throw error;
      }
      if (line.type === 'end') await rotate(file);
    },
  };
}

/**
 * The run that has not ended, as far as the journal tells now; null where there is none. Looks only, without the lock: another process may be about to write, so a last line
 * that can't be read counts as one that never was. Throws `journal-damaged`.
 */
export async function unfinishedRun(stateDirectory: string): Promise<UnfinishedRun | null> {
  const file = path.join(stateDirectory, 'journal.jsonl');
  const text = (await readText(file)) ?? '';
  const lines = text.split('\n').slice(0, -1);
  const last = lines.at(-1);
  return summarise(linesOf(last !== undefined && parseLine(last) === null ? lines.slice(0, -1) : lines, file), file);
}

/** The next line must not continue a torn one. */
async function cutTornLine(file: string): Promise<void> {
  const text = await readText(file);
  if (text === null) return;
  let whole = text.slice(0, text.lastIndexOf('\n') + 1);
  // A power cut may also leave a whole line of zeros where the file's size reached the disk before its content.
  const lastStart = whole.lastIndexOf('\n', whole.length - 2) + 1;
  if (whole !== '' && parseLine(whole.slice(lastStart)) === null) whole = whole.slice(0, lastStart);
  // An empty file is what is left where the first line could not be written.
  if (whole === text && text !== '') return;
  try {
    if (whole === '') {
      await unlink(file);
      await syncDirectory(path.dirname(file));
      return;
    }
    const handle = await open(file, 'r+');
    try {
      await handle.truncate(Buffer.byteLength(whole));
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw fileError(`mend ${file}`, error);
  }
}

async function readLines(file: string): Promise<JournalLine[]> {
  return linesOf(((await readText(file)) ?? '').split('\n').slice(0, -1), file);
}

function linesOf(lines: readonly string[], file: string): JournalLine[] {
  return lines.map((line, index) => {
    const parsed = parseLine(line);
    if (parsed === null) throw damaged(file, `line ${index + 1} is not JSON`);
    return parsed;
  });
}

function parseLine(line: string): JournalLine | null {
  try {
    return JSON.parse(line) as JournalLine;
  } catch {
    return null;
  }
}

function summarise(lines: readonly JournalLine[], file: string): UnfinishedRun | null {
  const [begin, ...rest] = lines;
  if (begin === undefined) return null;
  if (begin.type !== 'begin') throw damaged(file, 'its first line begins no run');
  const steps = new Map<
    number,
    { index: number; name: string; undo: UndoEntry | null; state: 'begun' | 'done' | 'undone' }
  >();
  let forward: { entry: UndoEntry; done: boolean }[] | null = null;
  for (const line of rest) {
    switch (line.type) {
      case 'begin':
        throw damaged(file, 'it begins two runs');
      case 'step':
        steps.set(line.index, { index: line.index, name: line.name, undo: line.undo, state: 'begun' });
        break;
      case 'done':
      case 'undone': {
        const step = steps.get(line.index);
        if (step === undefined) throw damaged(file, `step ${line.index} ended without a beginning`);
        step.state = line.type;
        break;
      }
      case 'commit':
        forward = line.forward.map((entry) => ({ entry, done: false }));
        break;
      case 'forwarded': {
        const action = forward?.[line.index];
        if (action === undefined) throw damaged(file, `forward action ${line.index} is unknown`);
        action.done = true;
        break;
      }
      case 'end':
        return null;
      default:
        throw damaged(file, `it has a line of the unknown type ${String((line as { type: unknown }).type)}`);
    }
  }
  const { run, mode, at, settings } = begin;
  return { run, mode, at, settings, steps: [...steps.values()], forward };
}

function damaged(file: string, why: string): CaretakerError {
  return new CaretakerError('journal-damaged', `failed to read the journal ${file}: ${why}`, {
    hint: 'It tells what an interrupted run had done. See docs/recovery-by-hand.md for doing the rest by hand; then move the file away.',
  });
}

async function rotate(file: string): Promise<void> {
  const directory = path.dirname(file);
  try {
    const [begin] = await readLines(file);
    const run = begin?.type === 'begin' ? begin.run : 'unknown';
    await rename(file, path.join(directory, `journal-${run.replaceAll(/[^A-Za-z0-9._-]/g, '_')}.jsonl`));
    const names = (await readdir(directory)).filter((name) => /^journal-.*\.jsonl$/.test(name));
    const aged = await Promise.all(
      names.map(async (name) => ({ name, time: (await stat(path.join(directory, name))).mtimeMs })),
    );
    aged.sort((one, other) => other.time - one.time);
    for (const { name } of aged.slice(KEPT)) await unlink(path.join(directory, name));
    await syncDirectory(directory);
  } catch (error) {
    throw fileError(`rotate ${file}`, error);
  }
}
