import path from 'node:path';
import { rm } from 'node:fs/promises';
import type { Head } from '../code/git.ts';
import type { Manifest, Part } from '../archive/manifest.ts';
import type { Swap } from '../runtimes/host-files.ts';
import { createSource, sourceForPart } from '../sources/sources.ts';
import type { Source } from '../sources/source.ts';
import { captureBackup, storeBackup } from './capture.ts';
import { sourceDeps } from './data.ts';
import type { Tools } from './tools.ts';

/** A restored part and the exchanges that made it live. Plain data for the journal. */
export interface AsidePart {
  readonly part: Part;
  readonly swaps: readonly Swap[];
}

export interface KeepAside {
  readonly parts: readonly AsidePart[];
  readonly run: string;
  readonly reason: Manifest['reason'];
  /** The version whose data lie aside. */
  readonly head: Head | null;
}

/**
 * Turns the data that a restore put aside into a safety backup in the common format, and removes them only when it is stored: the state
 * at the very moment of the stop, taken without a second of downtime. On failure they stay where they are.
 */
export async function keepAside(tools: Tools, { parts, run, reason, head }: KeepAside): Promise<void> {
  const { project, recorder } = tools;
  const directory = path.join(project.stateDirectory, 'staging', `${run}-safety`);
  await rm(directory, { recursive: true, force: true });
  const sources: Source[] = [];
  for (const { part, swaps } of parts) {
    for (const swap of swaps) {
      // Where nothing was before, a mark lies aside and no data.
      const { kind } = await project.files.scan(swap.aside);
      if (kind === 'directory' || kind === 'file') sources.push(await asideSource(tools, part, swap));
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
        directory,
      });
      await storeBackup(tools, captured, tools.local);
      recorder.safetyBackup = captured.manifest.name;
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }
  await project.files.remove(parts.flatMap(({ swaps }) => swaps.map(({ aside }) => aside)));
  for (const { part } of parts) await (await sourceForPart(part, sourceDeps(tools))).unstage(run);
}

/** The source that reads from aside, and whose part goes back to where the live data are. */
async function asideSource(tools: Tools, part: Part, swap: Swap): Promise<Source> {
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
  const type = swap.kind === 'file' ? 'file' : 'directory';
  const files = await createSource({ type, name, path: swap.aside, exclude: [], writers }, deps);
  return { ...files, kind: part.kind, origin };
}
