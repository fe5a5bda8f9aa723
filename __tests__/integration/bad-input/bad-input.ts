export type Entry = 'command line' | 'action';

/** A copy of the shop: its clone with data and caretaker.yml, its folder of backups, and a directory that is none of its business. */
export interface Place {
  readonly root: string;
  readonly shop: string;
  readonly store: string;
  readonly elsewhere: string;
}

/** Keys of caretaker.yml. Undefined takes one out of the good file. */
export type Config = Readonly<Record<string, unknown>>;

/** A run that must be refused, and what must be said. */
export interface BadInput {
  readonly title: string;
  /** `backup` unless told; empty: none is given. */
  readonly mode?: string;
  /** Flags of the command line, inputs of the action. */
  readonly inputs?: (place: Place, backup: string) => Readonly<Record<string, string>>;
  /** What differs in caretaker.yml, or all of its text. */
  readonly config?: Config | string;
  readonly token?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly prepare?: (place: Place, backup: string) => void;
  /** The whole command line: then only that is tried. */
  readonly argv?: (place: Place) => readonly string[];
  /** As a user without rights where the tests run as root. */
  readonly unprivileged?: true;
  /** What stays root's then. */
  readonly protect?: (place: Place) => string;

  readonly code: string;
  /** In the sentence: the input, the path, the value. */
  readonly names: readonly (string | RegExp)[];
  /** In what follows it: what to do. */
  readonly hint: string | RegExp;
  /** Must be seen nowhere. */
  readonly secret?: string;
}
