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
  | { readonly type: 'end'; readonly outcome: 'done' | 'rolled-back' | 'failed'; readonly at: string };
