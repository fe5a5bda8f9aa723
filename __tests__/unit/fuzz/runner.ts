import { actionsLog } from '../../../src/report/actions.ts';
import { errorTexts } from '../../../src/report/errors-text.ts';

const log = actionsLog();

/** What .NET trims, as the runner does: U+0085 is white space there, U+FEFF is none. What has no width is nothing to its comparisons. */
const LEADING_BLANKS =
  /^[\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\u00ad\u200b-\u200d\u2060\ufeff]+/;

/**
 * Shows errors as the action does, through GitHub's own toolkit, and reads what comes out as a runner would: throws where that takes any of it for a command
 * but those that the log gives, an `error` for each.
 */
export function refuseCommands(errors: readonly Error[]): void {
  const texts = errors.flatMap((error) => errorTexts(error));
  const lines = printed(() => log.errors(texts)).split(/\r\n|\r|\n/);
  let token: string | undefined;
  let shown = 0;
  for (const line of lines) {
    const command = line.replace(LEADING_BLANKS, '');
    if (token !== undefined) {
      if (command === `::${token}::`) token = undefined;
    } else if (command.startsWith('::stop-commands::')) {
      token = command.slice('::stop-commands::'.length);
    } else if (command.startsWith('::error ')) shown += 1;
    else if (command.startsWith('::') || command.includes('##[')) {
      throw new Error(`a runner would obey: ${JSON.stringify(line)}`);
    }
  }
  if (shown !== texts.length || token !== undefined) throw new Error(`${shown} of ${texts.length} errors are shown`);
}

function printed(work: () => void): string {
  // eslint-disable-next-line @typescript-eslint/unbound-method -- put back as it was
  const { write } = process.stdout;
  let text = '';
  process.stdout.write = (chunk: Uint8Array | string): boolean => {
    text += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString();
    return true;
  };
  try {
    work();
  } finally {
    process.stdout.write = write;
  }
  return text;
}
