import path from 'node:path';
import { rm } from 'node:fs/promises';
import type { Head } from '../code/git.ts';
import type { Manifest, Part } from '../archive/manifest.ts';
import type { Swap } from '../runtimes/host-files.ts';
import type { UndoEntry } from '../safety/journal.ts';
import { createSource, sourceForPart } from '../sources/sources.ts';
import type { Source } from '../sources/source.ts';
import { within } from '../sources/places.ts';
import { captureBackup, storeBackup } from './capture.ts';
import { sourceDeps } from './data.ts';
import { databasesAside, type DatabaseExchange } from './restore-database.ts';
import type { Tools } from './tools.ts';

/** A restored part and the exchanges that made it live. Plain data for the journal. */
export interface AsidePart {
  readonly part: Part;
  readonly swaps: readonly Swap[];
}

export interface KeepAside {
  readonly parts: readonly AsidePart[];
  /** Single databases; missing in the journals of older versions. */
  readonly databases?: readonly DatabaseExchange[];
  readonly run: string;
  readonly reason: Manifest['reason'];
  /** The version whose data lie aside. */
  readonly head: Head | null;
  /** That ran on them. Missing in the journals of older versions. */
  readonly images?: Manifest['images'];
}

export type DropAside = Pick<KeepAside, 'parts' | 'databases' | 'run'>;

/**
 * Turns the data that a restore put aside into a safety backup in the common format: the state at the very moment of the stop, taken without a second of downtime.
 * They stay where they are: removing them is an action of its own (`dropAside`), so that what is removed half is never taken for data.
 */
export async function keepAside(tools: Tools, kept: KeepAside): Promise<void> {
  const { parts, run, reason, head, images } = kept;
  const { project, recorder } = tools;
  const directory = path.join(project.stateDirectory, 'staging', `${run}-safety`);
  await rm(directory, { recursive: true, force: true });
  const databases = await databasesAside(tools, kept.databases ?? []);
  const sources: Source[] = [...databases.sources];
  for (const { part, swaps } of parts) {
    for (const swap of swaps) {
      // Where nothing was before, a mark lies aside and no data; or a directory that was made for them.
      const { kind, files } = await project.files.scan(swap.aside);
      if (kind !== 'file' && (kind !== 'directory' || files === 0)) continue;
      const source = await asideSource(tools, part, swap, kind);
      sources.push({ ...source, name: nameBeside(source.name, sources) });
    }
  }
  if (sources.length > 0) {
    try {
      const captured = await captureBackup(tools, {
        sources,
        left: [],
        situation: 'stopped',
        reason,
        head,
        images,
        directory,
      });
      await storeBackup(tools, captured, tools.local);
      recorder.safetyBackup = captured.manifest.name;
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }
}

/** What `keepAside` has stored, or what was nothing. */
export async function dropAside(tools: Tools, { parts, databases, run }: DropAside): Promise<void> {
  await (await databasesAside(tools, databases ?? [])).drop();
  await tools.project.files.remove(parts.flatMap(({ swaps }) => swaps.map(({ aside }) => aside)));
  for (const { part } of parts) await (await sourceForPart(part, sourceDeps(tools))).unstage(run);
}

/** The two forward actions, in their order. */
export function keepAndDrop(kept: KeepAside): UndoEntry[] {
  const { parts, databases, run } = kept;
  const dropped: DropAside = { parts, run, ...(databases === undefined ? {} : { databases }) };
  return [
    { action: 'keep-aside', data: kept },
    { action: 'drop-aside', data: dropped },
  ];
}

/** The source that reads from aside, and whose part goes back to where the live data are. */
async function asideSource(tools: Tools, part: Part, swap: Swap, found: 'directory' | 'file'): Promise<Source> {
  const deps = sourceDeps(tools);
  const { name, writers, origin } = await sourceForPart(part, deps);
  if (part.kind === 'sqlite') {
    const file = path.join(swap.aside, path.basename(swap.live));
    return { ...(await createSource({ type: 'sqlite', name, path: file, writers }, deps)), origin };
  }
  if (part.kind === 'postgres') {
    // No service: nothing serves from aside. A cluster that was shut down is whole, and goes back into a server of the same major version.
    const user = part.postgres?.user ?? 'postgres';
    const spec = {
      type: 'postgres',
      name,
      service: '',
      method: 'files',
      path: swap.aside,
      containerPath: '',
      user,
    } as const;
    return { ...(await createSource(spec, deps)), origin, writers };
  }
  const files = await createSource({ type: found, name, path: swap.aside, exclude: [], writers }, deps);
  const inside = swap.kind === 'sqlite' || swap.within === undefined ? '' : (within(swap.within, swap.live) ?? '');
  if (inside === '') return { ...files, kind: part.kind, origin };
  // What was at a path inside the part is a part of its own, that goes back to that path and leaves the rest alone.
  return { ...files, name: `${name}-${plain(inside)}`, kind: found, origin: originInside(origin, inside) };
}

function originInside(origin: Part['origin'], inside: string): Part['origin'] {
  const { service, volume, path: root, relativePath, containerPath } = origin;
  return {
    ...(service === undefined ? {} : { service }),
    ...(volume === undefined ? {} : { volume }),
    path: path.join(root, inside),
    ...(relativePath === undefined ? {} : { relativePath: path.join(relativePath, inside) }),
    ...(containerPath === undefined ? {} : { containerPath: path.join(containerPath, inside) }),
  };
}

/** As much of a path as the name of a part may hold. */
function plain(inside: string): string {
  return inside
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '');
}

const LONGEST_NAME = 63;

/** The name, shortened to what a part's may have, and told from those that are taken by a number. */
function nameBeside(name: string, taken: readonly { readonly name: string }[]): string {
  for (let number = 1; ; number++) {
    const end = number === 1 ? '' : `-${number}`;
    const free = name.slice(0, LONGEST_NAME - end.length).replace(/-+$/, '') + end;
    if (!taken.some((other) => other.name === free)) return free;
  }
}
