import { inputs, modes, type Input } from './inputs.ts';
import { outputs } from './outputs.ts';

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

/** README's table of inputs. */
export function inputsTable(): string {
  const rows = inputs.map(
    ({ name, description, default: standard, modes: used }) =>
      `| \`${name}\` | ${used.length === modes.length ? 'all' : used.join(', ')} | ${cell(description)} | ${cell(standard)} |`,
  );
  return ['| input | modes | meaning | default |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

/** README's table of outputs. */
export function outputsTable(): string {
  const rows = outputs.map(({ name, description }) => `| \`${name}\` | ${cell(description)} |`);
  return ['| output | meaning |', '| --- | --- |', ...rows].join('\n');
}

/**
 * Replaces what stands between `<!-- inputs -->` and `<!-- /inputs -->`, and likewise outputs; `layOut` may align a table's cells. Throws where a
 * pair of markers is missing.
 */
export function withTables(readme: string, layOut: (table: string) => string = (table) => table): string {
  return section(section(readme, 'inputs', layOut(inputsTable())), 'outputs', layOut(outputsTable()));
}

function section(text: string, name: string, table: string): string {
  const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const [start, end] = [text.indexOf(open), text.indexOf(close)];
  if (start === -1 || end < start) throw new Error(`README.md lacks ${open} … ${close}`);
  return `${text.slice(0, start + open.length)}\n\n${table.trim()}\n\n${text.slice(end)}`;
}

/** An input's description in action.yml: the default in words, since written as `default:` it would win over caretaker.yml. */
export function actionDescription({ description, default: standard }: Input): string {
  return standard === 'required' ? description : `${description} Default: ${standard}.`;
}
