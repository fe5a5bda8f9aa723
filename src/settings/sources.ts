import { parseDocument } from 'yaml';
import { CaretakerError, messageOf } from '../errors.ts';
import { inputNames, inputOf, inputs, isInputName, modes, type Input, type InputName } from './inputs.ts';
import { didYouMean, nearest } from './suggest.ts';

/** One value as it was typed, and where. Lists are joined by line ends. */
export interface RawValue {
  readonly text: string;
  readonly from: 'input' | 'flag' | 'file';
}

/** What was typed so far, with everything that could not be read: nothing is thrown before all problems are known. */
export interface RawInputs {
  readonly values: Readonly<Partial<Record<InputName, RawValue>>>;
  readonly problems: readonly CaretakerError[];
  readonly warnings: readonly string[];
}

/** Flags of the command line that are no inputs. */
export interface CommandOptions {
  readonly json: boolean;
  readonly help: boolean;
  readonly version: boolean;
  readonly verbose: boolean;
}

export const CONFIG_FILE = 'caretaker.yml';

type Env = Readonly<Record<string, string | undefined>>;

/** The action's inputs: GitHub upper-cases the name and keeps its dashes. An empty value is no value. */
export function fromAction(env: Env): RawInputs {
  const values: Partial<Record<InputName, RawValue>> = {};
  const problems: CaretakerError[] = [];
  const warnings: string[] = [];
  for (const [variable, text] of Object.entries(env)) {
    if (!variable.startsWith('INPUT_') || text === undefined || text.trim() === '') continue;
    const name = variable.slice('INPUT_'.length).toLowerCase();
    if (isInputName(name)) {
      values[name] = { text, from: 'input' };
    } else if (nearest(name, inputNames) !== undefined) {
      problems.push(unknown(`"${name}" is no input of this action`, name));
    } else {
      // A variable that somebody else's step left behind is no reason to stop.
      warnings.push(`The input "${name}" is unknown to this action and has no effect.`);
    }
  }
  return { values, problems, warnings };
}

/**
 * The command line: the mode as the first word, then `--name value` or `--name=value`; a list's flag may be repeated.
 * Secrets come from the environment (`GITHUB_TOKEN`, `CARETAKER_PASSPHRASE`), never from argv, which every user of the host can read.
 */
export function fromArguments(argv: readonly string[], env: Env): RawInputs & { readonly options: CommandOptions } {
  const values: Partial<Record<InputName, RawValue>> = {};
  const problems: CaretakerError[] = [];
  const switches = { json: false, help: false, version: false, verbose: false };
  const flags = [...inputNames, ...Object.keys(switches)].map((name) => `--${name}`);

  const take = (name: InputName, text: string): void => {
    const before = values[name];
    const input = inputOf(name);
    if (input.secret) {
      problems.push(
        new CaretakerError(
          'secret-in-argv',
          `--${name} is not taken from the command line, where every user can read it`,
          {
            input: name,
            hint: `Put it into the environment variable ${input.secret[0]}${isInputName(`${name}-file`) ? `, or into a file and give --${name}-file` : ''}.`,
          },
        ),
      );
    } else if (before === undefined) {
      values[name] = { text, from: 'flag' };
    } else if (input.list !== undefined) {
      values[name] = { text: `${before.text}\n${text}`, from: 'flag' };
    } else {
      problems.push(
        new CaretakerError('flag-repeated', `--${name} is given twice`, { input: name, hint: 'Give it once.' }),
      );
    }
  };

  for (let at = 0; at < argv.length; at++) {
    const word = argv[at] ?? '';
    if (word === '-h') switches.help = true;
    else if (!word.startsWith('--')) {
      if (values.mode === undefined) take('mode', word);
      else {
        problems.push(
          new CaretakerError('argument-unknown', `failed to read the command line: "${word}" belongs to no flag`, {
            hint: 'After the mode come flags only: --name value. Quote a value that holds blanks.',
          }),
        );
      }
      continue;
    } else {
      const equals = word.indexOf('=');
      const name = word.slice(2, equals === -1 ? undefined : equals);
      if (Object.hasOwn(switches, name) && equals === -1) {
        switches[name as keyof typeof switches] = true;
      } else if (!isInputName(name)) {
        problems.push(unknown(`failed to read the command line: there is no flag --${name}`, `--${name}`, flags));
        if (equals === -1 && argv[at + 1]?.startsWith('--') === false) at++;
      } else if (equals !== -1) {
        take(name, word.slice(equals + 1));
      } else {
        const value = argv[at + 1];
        // `--health --json`: the value was forgotten. One that begins with dashes is written with "=".
        if (value === undefined || value.startsWith('--')) {
          problems.push(
            new CaretakerError('flag-without-value', `--${name} has no value`, {
              input: name,
              hint: `Write --${name} VALUE or --${name}=VALUE.`,
            }),
          );
        } else {
          take(name, value);
          at++;
        }
      }
    }
  }
  for (const { name, secret = [], modes } of inputs as readonly Input[]) {
    const text = secret.map((variable) => env[variable]).find((value) => value !== undefined && value.trim() !== '');
    // What is set for all runs of a shell is not meant for each of them.
    const wanted = modes.some((mode) => mode === values.mode?.text.trim());
    if (text !== undefined && wanted && isInputName(name)) values[name] = { text, from: 'flag' };
  }
  return { values, problems, warnings: [], options: switches };
}

/**
 * caretaker.yml: the same names as keys; a list as a YAML list or as block text. What was typed before wins.
 * `text` is the file's content, undefined where there is none.
 */
export function withFile(above: RawInputs, file: string, text: string | undefined): RawInputs {
  if (text === undefined) return above;
  const values: Partial<Record<InputName, RawValue>> = {};
  const problems: CaretakerError[] = [];
  // Its warnings would quote the file's text on standard error, line ends and all.
  const document = parseDocument(text, { logLevel: 'error' });
  const broken = document.errors[0];
  const content: unknown = broken === undefined ? readYaml(() => document.toJS(), problems, file) : undefined;
  if (broken !== undefined) problems.push(invalidFile(file, broken.message.split('\n')[0] ?? broken.message));
  else if (content !== null && content !== undefined && (typeof content !== 'object' || Array.isArray(content))) {
    problems.push(invalidFile(file, 'it is not a mapping of names to values'));
  } else {
    for (const [name, value] of Object.entries(content ?? {})) readKey(name, value);
  }
  return {
    values: { ...values, ...above.values },
    problems: [...above.problems, ...problems],
    warnings: above.warnings,
  };

  function readKey(name: string, value: unknown): void {
    if (!isInputName(name)) {
      problems.push(unknown(`failed to read ${file}: "${name}" is no setting`, name));
      return;
    }
    const input = inputOf(name);
    if (input.perRun) {
      problems.push(
        new CaretakerError(
          'setting-not-for-file',
          `failed to read ${file}: "${name}" belongs to one run, not into a file`,
          {
            input: name,
            hint: input.secret
              ? 'Take it out, and treat it as leaked if others can read the file.'
              : `Take it out, and give it as an input of the action or as --${name}.`,
          },
        ),
      );
      return;
    }
    if (value === null || value === undefined) return;
    const items = Array.isArray(value) ? (value as unknown[]) : [value];
    const plain = items.every((item) => ['string', 'number', 'boolean'].includes(typeof item));
    if (!plain || (Array.isArray(value) && input.list === undefined)) {
      problems.push(
        invalidFile(
          file,
          input.list === undefined
            ? `"${name}" takes one text`
            : `"${name}" takes a list of texts${input.list === 'lines' && input.example?.includes('=') ? `, such as "${input.example}"` : ''}`,
          name,
        ),
      );
      return;
    }
    values[name] = { text: items.map(String).join('\n'), from: 'file' };
  }
}

function readYaml(read: () => unknown, problems: CaretakerError[], file: string): unknown {
  try {
    return read();
  } catch (error) {
    // Such as an alias that multiplies without end.
    problems.push(invalidFile(file, messageOf(error)));
    return undefined;
  }
}

export function invalidFile(file: string, why: string, input?: string): CaretakerError {
  return new CaretakerError('config-file-invalid', `failed to read ${file}: ${why}`, {
    ...(input === undefined ? {} : { input }),
    hint: 'It takes the same names as the action’s inputs as keys: see README.md.',
  });
}

function unknown(message: string, name: string, among: readonly string[] = inputNames): CaretakerError {
  const guess = nearest(name, among);
  return new CaretakerError('input-unknown', message, {
    hint: guess === undefined ? 'See --help or README.md for all names.' : didYouMean(name, among),
  });
}

/** What `--help` prints. */
export function helpText(): string {
  const width = Math.max(...inputs.map(({ name }) => name.length)) + 4;
  const plain = (text: string): string => text.replaceAll('`', '').replace(/\[([^\]]+)\]\(([^)]+)\)/g, '$1 ($2)');
  const rows = (inputs as readonly Input[])
    .filter(({ name, secret }) => name !== 'mode' && secret === undefined)
    .map(({ name, description, default: standard }) => {
      return `  ${`--${name}`.padEnd(width)}${plain(description)}\n  ${''.padEnd(width)}(${plain(standard)})`;
    });
  const switches = [
    ['--json', 'Print the report as JSON on standard output, and no log.'],
    ['--verbose', 'Print more.'],
    ['--version', 'Print the version.'],
    ['--help', 'Print this.'],
  ].map(([flag = '', text = '']) => `  ${flag.padEnd(width)}${text}`);
  return [
    `Usage: compose-caretaker ${modes.join('|')} [--name value]…`,
    '       compose-caretaker install-recovery [--name value]…   (mode recover after each start of the host, by systemd)',
    '       compose-caretaker keygen [--post-quantum] FILE       (a pair of keys for encrypted backups)',
    '',
    ...rows,
    '',
    ...switches,
    '',
    `The same names are keys of ${CONFIG_FILE} in the project directory; a flag wins over the file.`,
    'From the environment: GITHUB_TOKEN reads other runs’ artifacts; CARETAKER_PASSPHRASE encrypts and decrypts backups,',
    'CARETAKER_IDENTITY (a private key of age) decrypts them.',
    '',
  ].join('\n');
}
