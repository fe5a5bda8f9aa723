/**
 * Rewrites README.md's tables of inputs and outputs from src/settings, between their markers, and nothing else; `--check` only compares.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { format, resolveConfig } from 'prettier';
import { inputsTable, outputsTable, withTables } from '../src/settings/tables.ts';

const file = path.resolve(import.meta.dirname, '..', 'README.md');
const options = { ...(await resolveConfig(file)), filepath: file };
// Prettier, which checks the file as a whole, aligns the cells.
const laidOut = new Map<string, string>();
for (const table of [inputsTable(), outputsTable()]) laidOut.set(table, await format(table, options));
const before = readFileSync(file, 'utf8');
const after = withTables(before, (table) => laidOut.get(table) ?? table);
if (!process.argv.includes('--check')) {
  writeFileSync(file, after);
  console.log('README.md holds the inputs and outputs of src/settings.');
} else if (before !== after) {
  console.error('README.md is not what src/settings says. Run "node scripts/readme-tables.ts".');
  process.exitCode = 1;
}
