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

/** Finds what has data, says what is taken and what is left and why, and binds it to where it lives. */
export async function dataSources(
  tools: Tools,
  lines: DataLines,
): Promise<{ sources: Source[]; left: Manifest['left'] }> {
  const plan = await planData(tools.project, lines, folders(tools));
  const sources = await Promise.all(plan.take.map((spec) => createSource(spec, sourceDeps(tools))));
  sources.sort((one, other) => order[one.kind] - order[other.kind]);
  for (const source of sources) tools.log.info(`Taken: ${source.describe()}`);
  for (const note of plan.notes ?? []) tools.log.info(`Note:  ${note}`);
  for (const { what, why } of plan.leave) tools.log.info(`Left:  ${what}: ${why}`);
  return { sources, left: plan.leave };
}

/** Folders that hold backups: one in a mounted tree must not be backed up into itself. */
function folders({ stores, local }: Tools): string[] {
  return [...stores, local].flatMap(({ directory }) => (directory === undefined ? [] : [directory]));
}

export function sourceDeps(tools: Tools): Parameters<typeof createSource>[1] {
  const { project, log, clock, run, plan } = tools;
  return { project, log, clock, run, ...(plan === undefined ? {} : { plan }) };
}

/** The services that have to stand still for the sources not to change. An application run by commands stops as a whole. */
export async function writersOf(project: Project, sources: readonly Source[]): Promise<string[]> {
  if (project.engine === null) return project.services();
  return [...new Set(sources.flatMap((source) => source.writers))];
}

export function serversOf(sources: readonly Source[]): string[] {
  return [...new Set(sources.flatMap((source) => (source.server === undefined ? [] : [source.server])))];
}
