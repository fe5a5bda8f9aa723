import { CaretakerError, CaretakerErrors } from '../errors.ts';

/** An error as a reader is told, plain data. */
export interface ErrorText {
  /** `unexpected` where the error has no code of its own: a fault of this program. */
  readonly code: string;
  readonly message: string;
  readonly hint?: string | undefined;
  /** The causes below, outermost first; what the message says already is left out. */
  readonly chain: readonly string[];
}

const UNEXPECTED = 'This is a fault of Compose Caretaker itself: please report it, with this text.';

/** One for every problem: several where they were found together. */
export function errorTexts(error: unknown): readonly ErrorText[] {
  if (error instanceof CaretakerErrors) return error.problems.flatMap(errorTexts);
  const { message, chain } = messages(error);
  if (error instanceof CaretakerError) return [{ code: error.code, message, hint: error.hint, chain }];
  const stack = (error as { stack?: unknown } | null)?.stack;
  const frames = typeof stack === 'string' ? stack.split('\n').filter((line) => /^\s+at /.test(line)) : [];
  return [
    {
      code: 'unexpected',
      message,
      hint: UNEXPECTED,
      chain: [...chain, ...frames.slice(0, 4).map((line) => line.trim())],
    },
  ];
}

/** For a terminal, and for the log of a workflow. */
export function renderErrors(texts: readonly ErrorText[]): string {
  return texts.map(renderError).join('\n\n');
}

function renderError({ code, message, hint, chain }: ErrorText): string {
  const indent = (text: string): string => text.replaceAll('\n', '\n  ');
  return [
    `${indent(message)} [${code}]`,
    ...chain.map((cause) => `  because: ${indent(indent(cause))}`),
    ...(hint === undefined ? [] : [`  ${indent(hint)}`]),
  ].join('\n');
}

/** Title and text of an annotation. */
export function annotationOf({ code, message, hint, chain }: ErrorText): {
  readonly title: string;
  readonly text: string;
} {
  const because = chain.length === 0 ? [] : [`Because: ${chain.join('; ')}`];
  return { title: code, text: [message, ...because, ...(hint === undefined ? [] : [hint])].join('\n') };
}

function messages(error: unknown): { message: string; chain: string[] } {
  const all: string[] = [];
  const seen = new Set<unknown>();
  const visit = (value: unknown): void => {
    if (value === undefined || value === null || seen.has(value) || seen.size > 20) return;
    seen.add(value);
    const { message, errors, cause, code }: Thrown = typeof value === 'object' ? value : {};
    const text = typeof message === 'string' ? message : typeof value === 'string' ? value : JSON.stringify(value);
    const said = text !== '' ? text : typeof code === 'string' ? code : 'an error without a message';
    if (!all.some((earlier) => earlier.includes(said))) all.push(said);
    for (const inner of Array.isArray(errors) ? errors : []) visit(inner);
    visit(cause);
  };
  visit(error);
  const [message = 'failed without saying why', ...chain] = all;
  return { message, chain };
}

/** Anything may be thrown: an AggregateError has `errors`, Node's own a `code`. */
interface Thrown {
  readonly message?: unknown;
  readonly errors?: readonly unknown[] | undefined;
  readonly cause?: unknown;
  readonly code?: unknown;
}
