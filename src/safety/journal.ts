import { open, readdir, rename, stat, unlink } from 'node:fs/promises';
import path from 'node:path';
import { CaretakerError } from '../errors.ts';
import { appendDurable, fileError, readText, syncDirectory } from '../system/files.ts';
import { VERSION } from '../version.ts';
import { faultOf, isTornBegin } from './journal-line.ts';

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
      /** The version that wrote it. Missing in the journals of older versions. */
      readonly caretaker?: string;
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
  /**
   * From here on users may write to what the run brings up. `finish` brings it up again and tells whether it is well, in whatever process;
   * `forward` is what `commit` will list.
   */
  | {
      readonly type: 'prepared';
      readonly at: string;
      readonly finish: UndoEntry;
      readonly forward: readonly UndoEntry[];
    }
  /** It is not well: what was prepared is undone, whoever goes on. */
  | { readonly type: 'withdrawn'; readonly at: string }
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
  /** The version that wrote it; undefined where it does not say. */
  readonly caretaker?: string | undefined;
  readonly settings: unknown;
  /** In the order in which they began. `begun`: perhaps half done. */
  readonly steps: readonly {
    readonly index: number;
    readonly name: string;
    readonly undo: UndoEntry | null;
    readonly state: 'begun' | 'done' | 'undone';
  }[];
  /** What may still be finished instead of undone; null before it, after the commit, and when it was withdrawn. */
  readonly prepared: { readonly finish: UndoEntry; readonly forward: readonly UndoEntry[] } | null;
  /** Null before the commit; then each forward action, and whether it is done. */
  readonly forward: readonly { readonly entry: UndoEntry; readonly done: boolean }[] | null;
}

export interface Journal {
  /** Absolute path of the file. */
  readonly file: string;
  /** The run that was interrupted, or null. Throws `journal-damaged`, `journal-newer`. */
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
        if (!(error instanceof CaretakerError && error.code === 'disk-full')) throw error;
        // Cutting and renaming need no space, and say as much: a full disk must not make the next run take for well what is half undone, nor undo what is undone.
        if (line.type === 'withdrawn') await cutPrepared(file);
        else if (line.type !== 'end') throw error;
      }
      if (line.type === 'end') await rotate(file);
    },
  };
}

/**
 * The run that has not ended, as far as the journal tells now; null where there is none. Looks only, without the lock: another process may be about to write, so a last line
 * that can't be read counts as one that never was. Throws `journal-damaged`, `journal-newer`.
 */
export async function unfinishedRun(stateDirectory: string): Promise<UnfinishedRun | null> {
  const file = path.join(stateDirectory, 'journal.jsonl');
  const text = (await readText(file)) ?? '';
  const lines = text.split('\n').slice(0, -1);
  const last = lines.at(-1);
  const whole = last !== undefined && parseLine(last) === null ? lines.slice(0, -1) : lines;
  if (whole.length === 0) requireTornBegin(text, file);
  return summarise(linesOf(whole, file), file);
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
  if (whole === '') requireTornBegin(text, file);
  // What is damaged anyway stays as it is, for whoever looks into it.
  linesOf(whole.split('\n').slice(0, -1), file);
  try {
    if (whole === '') {
      await unlink(file);
      await syncDirectory(path.dirname(file));
      return;
    }
    await cutTo(file, whole);
  } catch (error) {
    throw fileError(`mend ${file}`, error);
  }
}

/** What follows it is no more than the ends of steps. */
async function cutPrepared(file: string): Promise<void> {
  await cutTornLine(file);
  const lines = ((await readText(file)) ?? '').split('\n');
  const at = lines.findLastIndex((line) => parseLine(line)?.type === 'prepared');
  if (at !== -1) await cutTo(file, lines.slice(0, at).join('\n') + '\n');
}

async function cutTo(file: string, text: string): Promise<void> {
  const handle = await open(file, 'r+');
  try {
    await handle.truncate(Buffer.byteLength(text));
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Nothing is whole in it, and it was not cut off either: it told something once. */
function requireTornBegin(text: string, file: string): void {
  if (!isTornBegin(text)) throw damaged(file, 'its first line begins no run');
}

async function readLines(file: string): Promise<JournalLine[]> {
  return linesOf(((await readText(file)) ?? '').split('\n').slice(0, -1), file);
}

function linesOf(lines: readonly string[], file: string): JournalLine[] {
  return lines.map((line, index) => {
    const parsed = parseLine(line);
    if (parsed === null) throw damaged(file, `line ${index + 1} is not JSON`);
    const fault = faultOf(parsed);
    if (fault !== null) throw damaged(file, `line ${index + 1} ${fault}`);
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
  let prepared: UnfinishedRun['prepared'] = null;
  let forward: { entry: UndoEntry; done: boolean }[] | null = null;
  for (const line of rest) {
    switch (line.type) {
      case 'begin':
        throw damaged(file, 'it begins two runs');
      case 'step':
        if (steps.has(line.index)) throw damaged(file, `step ${line.index} begins twice`);
        steps.set(line.index, { index: line.index, name: line.name, undo: line.undo, state: 'begun' });
        break;
      case 'done':
      case 'undone': {
        const step = steps.get(line.index);
        if (step === undefined) throw damaged(file, `step ${line.index} ended without a beginning`);
        step.state = line.type;
        break;
      }
      case 'prepared':
        prepared = { finish: line.finish, forward: line.forward };
        break;
      case 'withdrawn':
        prepared = null;
        break;
      case 'commit':
        if (forward !== null) throw damaged(file, 'it commits twice');
        prepared = null;
        forward = line.forward.map((entry) => ({ entry, done: false }));
        break;
      case 'forwarded': {
        const action = forward?.[line.index];
        if (action === undefined) throw damaged(file, `forward action ${line.index} is unknown`);
        action.done = true;
        break;
      }
      case 'end':
        if (line !== rest.at(-1)) throw damaged(file, 'it goes on after its end');
        return null;
      default:
        throw newer(file, begin, `a line of the type "${(line as { type: string }).type}"`);
    }
  }
  const { run, mode, at, settings, caretaker } = begin;
  return { run, mode, at, caretaker, settings, steps: [...steps.values()], prepared, forward };
}

function damaged(file: string, why: string): CaretakerError {
  return new CaretakerError('journal-damaged', `failed to read the journal ${file}: ${why}`, {
    hint: 'It tells what an interrupted run had done. See docs/recovery-by-hand.md for doing the rest by hand; then move the file away.',
  });
}

/** `what` this version does not know in the journal of a run. */
export function newer(
  file: string,
  { run, mode, caretaker }: Pick<UnfinishedRun, 'run' | 'mode' | 'caretaker'>,
  what: string,
): CaretakerError {
  return new CaretakerError(
    'journal-newer',
    `the ${mode} ${run} was cut off, and its journal ${file} has ${what}, which this version (${VERSION}) does not know: ${caretaker === undefined ? 'another version' : `version ${caretaker}`} wrote it`,
    {
      hint: `Nothing was touched. Let ${caretaker === undefined ? 'that version' : `version ${caretaker} or a newer one`} run once: it undoes or finishes that run. Or do it by hand: docs/recovery-by-hand.md.`,
    },
  );
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
