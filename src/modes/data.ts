import path from 'node:path';
import type { Project } from '../project/project.ts';
import { planData } from '../project/data.ts';
import { createSource } from '../sources/sources.ts';
import type { Source } from '../sources/source.ts';
import type { Manifest } from '../archive/manifest.ts';
import type { Tools } from './tools.ts';

export type DataLines = 'auto' | readonly Readonly<Record<string, string>>[];

/** Databases first: no row may refer to a file that the backup lacks. */
const order: Readonly<Record<Source['kind'], number>> = {
  postgres: 0,
  sqlite: 1,
  volume: 2,
  directory: 2,
  file: 2,
  'project-files': 3,
};

/**
 * Finds what has data, says what is taken and what is left and why, and binds it to where it lives. Files of secrets are left out of a backup that whoever may read the
 * repository could read; `stays`: it never leaves this host.
 */
export async function dataSources(
  tools: Tools,
  lines: DataLines,
  { stays = false }: { readonly stays?: boolean } = {},
): Promise<{ sources: Source[]; left: Manifest['left'] }> {
  const withheld = stays ? [] : await withheldFiles(tools);
  const plan = await planData(tools.project, lines, {
    never: folders(tools),
    withheld: withheld.map(({ file }) => file),
  });
  const sources = await Promise.all(plan.take.map((spec) => createSource(spec, sourceDeps(tools))));
  sources.sort((one, other) => order[one.kind] - order[other.kind]);
  for (const source of sources) tools.log.info(`Taken: ${source.describe()}`);
  for (const note of plan.notes ?? []) tools.log.info(`Note:  ${note}`);
  for (const { what, why, isData } of plan.leave) {
    if (isData) tools.recorder.warn(`Not in the backup: ${what}: ${why}. Back it up where it really lies.`);
    else tools.log.info(`Left:  ${what}: ${why}`);
  }
  const left = withheld.map(({ what }) => ({ what, why: WITHHELD, secret: true }));
  if (left.length > 0) {
    tools.recorder.warn(
      `Not in the backup: ${left.map(({ what }) => what).join(', ')}. Secrets don't go into workflow artifacts unencrypted, and a restore on another host will need these files from you: keep a copy, or set encrypt-to.`,
    );
  }
  return { sources, left: [...plan.leave.map(({ what, why }) => ({ what, why })), ...left] };
}

const WITHHELD =
  'it holds secrets, and the backup goes to workflow artifacts unencrypted; a restore on another host needs it from you';

/** Files of secrets that must not be in this run's backups. What git has everybody can read who can read the artifacts. */
export async function withheldFiles({
  project,
  stores,
  keys,
  checkout,
}: Pick<Tools, 'project' | 'stores' | 'keys' | 'checkout'>): Promise<{ file: string; what: string }[]> {
  if (keys.encryption !== undefined || !stores.some(({ kind }) => kind === 'artifact')) return [];
  const withheld: { file: string; what: string }[] = [];
  for (const file of await project.secretFiles()) {
    if ((await checkout?.isGits(file)) === true) continue;
    const inside = path.relative(project.directory, file);
    withheld.push({ file, what: inside.startsWith('..') ? file : inside });
  }
  return withheld;
}

/** Folders that hold backups: one in a mounted tree must not be backed up into itself. */
function folders({ stores, local }: Tools): string[] {
  return [...stores, local].flatMap(({ directory }) => (directory === undefined ? [] : [directory]));
}

export function sourceDeps(tools: Tools): Parameters<typeof createSource>[1] {
  const { project, log, clock, run, plan, checkout } = tools;
  const clone = checkout?.directory;
  return {
    ...{ project, log, clock, run },
    ...(plan === undefined ? {} : { plan }),
    ...(clone === undefined ? {} : { clone }),
  };
}

/** The services that have to stand still for the sources not to change. An application run by commands stops as a whole. */
export async function writersOf(project: Project, sources: readonly Source[]): Promise<string[]> {
  if (project.engine === null) return project.services();
  return [...new Set(sources.flatMap((source) => source.writers))];
}

export function serversOf(sources: readonly Source[]): string[] {
  return [...new Set(sources.flatMap((source) => (source.server === undefined ? [] : [source.server])))];
}
