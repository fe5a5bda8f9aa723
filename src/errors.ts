/**
 * The one error type that a user sees: a stable code, one sentence that names the thing, a hint with the next
 * action, and the cause. It is thrown where the trouble is known best and shown once, by the entry.
 */
export class CaretakerError extends Error {
  /** Stable, kebab-case, documented in docs/errors.md, e.g. `compose-file-missing`. */
  readonly code: string;
  /** What the user should do next; whole sentences. */
  readonly hint: string | undefined;
  /** The input at fault, by its kebab-case name, where there is one. */
  readonly input: string | undefined;

  constructor(
    code: string,
    message: string,
    options: { readonly hint?: string; readonly input?: string; readonly cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'CaretakerError';
    this.code = code;
    this.hint = options.hint;
    this.input = options.input;
  }
}

/** Several problems found together (settings, preflight), so that a user mends them in one go. */
export class CaretakerErrors extends Error {
  readonly problems: readonly CaretakerError[];

  constructor(problems: readonly CaretakerError[]) {
    super(problems.map((problem) => problem.message).join('\n'));
    this.name = 'CaretakerErrors';
    this.problems = problems;
  }
}

/** The message of anything thrown, for texts of our own. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
