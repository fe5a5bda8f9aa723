import { messageOf } from '../errors.ts';
import type { Part } from '../archive/manifest.ts';
import type { PartReader } from '../archive/parts.ts';
import type { Swap } from '../runtimes/host-files.ts';
import type { Project } from '../project/project.ts';
import type { UndoEntry } from '../safety/journal.ts';
import type { Source } from '../sources/source.ts';
import type { AsidePart } from './aside.ts';
import { comeUp, startProject, startUp, type Start } from './bring-up.ts';
import { writersOf } from './data.ts';
import { giveReserve, takeReserve } from './reserve.ts';
import { becomeHealthy, knownServices, withDependents, type Patience } from './serving.ts';
import type { Tools } from './tools.ts';

/** One part on its way: where its bytes lie now, and what makes it live. */
export interface StagedPart {
  readonly part: Part;
  readonly source: Source;
  readonly swaps: readonly Swap[];
}

/** What is to be made live: parts that are whole and verified. */
export interface Exchange {
  readonly parts: readonly Part[];
  /** By the part's name: where it goes. */
  readonly sources: ReadonlyMap<string, Source>;
  readonly read: PartReader;
  readonly run: string;
  /** Single databases that are loaded already, in servers that go on running. */
  readonly databases?: { readonly writers: readonly string[]; exchange(): Promise<void> } | undefined;
  /** How it comes up; of the services that were stopped. */
  readonly start: (services: readonly string[]) => Start;
  /** What follows the commit. */
  readonly forward: (aside: readonly AsidePart[]) => readonly UndoEntry[];
  /** Another version comes with the data: all that runs is stopped, since what writes to them may be in the old one or in the new one alone. */
  readonly anew?: true;
}

/**
 * Unpack beside the live data → stop → swap by renames → load → start → health → commit. The data from before lie aside, untouched, until then, and what
 * `forward` lists may use them. Undone, they are live again.
 */
export async function exchangeData(tools: Tools, patience: Patience, exchange: Exchange): Promise<void> {
  const { project, recorder, saga } = tools;
  const { parts, sources, read, run, anew } = exchange;
  const staged: StagedPart[] = [];
  for (const part of parts) {
    const source = sources.get(part.name) as Source;
    const swaps = await recorder.step(`Unpack ${part.name} beside the live data`, () =>
      saga.step(`stage ${part.name}`, { undo: { action: 'unstage', data: { part, run, anew } } }, () =>
        source.stage(part, read, run),
      ),
    );
    staged.push({ part, source, swaps });
  }

  const writers = [...(await writersOf(project, [...sources.values()])), ...(exchange.databases?.writers ?? [])];
  const resting = anew
    ? [...new Set([...(await project.services()), ...(await knownServices(project))])]
    : await withDependents(project, [...new Set(writers)]);
  await takeReserve(project.stateDirectory);
  await recorder.step('Stop the services that use the data', () =>
    saga.step('stop', { undo: null }, async () => {
      if (await project.running()) recorder.away();
      await project.stop(resting);
    }),
  );
  if (staged.length > 0) await recorder.step('Swap the data', () => swapAll(tools, staged, resting));
  const loading = (part: Part, work: () => Promise<void>): Promise<void> =>
    recorder.step(`Load ${part.name}`, () =>
      saga.step(`load ${part.name}`, { undo: { action: 'stop', data: { services: resting } } }, work),
    );
  await loadAll(tools, staged, read, loading, anew ? (server) => upAlone(project, server) : undefined);
  const { databases } = exchange;
  if (databases !== undefined) await recorder.step('Swap the databases', () => databases.exchange());
  const start = exchange.start(resting);
  const forward = exchange.forward(staged.map(({ part, swaps }) => ({ part, swaps })));
  await recorder.step('Start', () =>
    saga.step('start', { undo: { action: 'stop', data: { services: resting } } }, async () => {
      await saga.prepare(comeUp(start, patience), forward);
      await startUp(tools, start);
    }),
  );
  await becomeHealthy(tools, patience);
  for (const { part, source } of staged) await warnOfDoubts(tools, part, source);
  await giveReserve(project.stateDirectory);
  await saga.commit(forward);
}

/** Nothing is given up for what can only not be asked. */
async function warnOfDoubts({ recorder, log }: Tools, part: Part, source: Source): Promise<void> {
  try {
    for (const doubt of (await source.doubts?.()) ?? []) recorder.warn(doubt);
  } catch (error) {
    log.debug(`${part.name} can't be asked whether it is as it should be: ${messageOf(error)}`);
  }
}

/** The project's own files come from git and the administrator; they do not go back with the data. */
export function dataParts(parts: readonly Part[]): Part[] {
  return parts.filter(({ kind }) => kind !== 'project-files');
}

/** Trees before the single database files that lie inside them: a tree carries those along, and they are exchanged after it. */
export function inSwapOrder(staged: readonly StagedPart[]): readonly Swap[] {
  const swaps = staged.flatMap(({ swaps }) => swaps);
  return [...swaps.filter(({ kind }) => kind === 'directory'), ...swaps.filter(({ kind }) => kind !== 'directory')];
}

/** The plain data of the undo action `unswap`. */
export type Unswap = Swap & {
  /** That use the data. Missing in the journals of older versions. */
  readonly services?: readonly string[];
};

async function swapAll(tools: Tools, staged: readonly StagedPart[], services: readonly string[]): Promise<void> {
  for (const swap of inSwapOrder(staged)) {
    tools.log.info(`${swap.live}: the backup's data in, the data from before aside in ${swap.aside}`);
    await tools.saga.step(`swap ${swap.live}`, { undo: { action: 'unswap', data: { ...swap, services } } }, () =>
      tools.project.files.swap(swap),
    );
  }
}

/** A dump needs its database server, and nothing else that could write meanwhile. `around` journals each load where there is a saga. */
export async function loadAll(
  tools: Tools,
  staged: readonly StagedPart[],
  read: PartReader,
  around: (part: Part, work: () => Promise<void>) => Promise<void>,
  start: (server: string) => Promise<void> = (server) => startProject(tools, [server]),
): Promise<void> {
  for (const { part, source } of staged) {
    const { server } = source;
    if (!source.loads || server === undefined) continue;
    await around(part, async () => {
      await start(server);
      await source.load?.(part, read);
    });
  }
}

/** podman-compose brings up what depends on a server with it. */
async function upAlone(project: Project, server: string): Promise<void> {
  await project.up([server]);
  await project.stop((await knownServices(project)).filter((service) => service !== server));
}
