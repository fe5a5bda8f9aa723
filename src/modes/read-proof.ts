import path from 'node:path';
import { mkdir } from 'node:fs/promises';
import type { Part } from '../archive/manifest.ts';
import type { PartReader } from '../archive/parts.ts';
import type { SourceSpec } from '../project/project.ts';
import { createSource } from '../sources/sources.ts';
import { fileNameOf } from './pieces.ts';
import type { Tools } from './tools.ts';

/**
 * What the files of a backup's databases tell by themselves, without a server: unpacked one part after the other into a directory of their own, checked, and removed. Needs no engine
 * and nothing of the project.
 */
export async function proveFiles(
  tools: Tools,
  parts: readonly Part[],
  read: PartReader,
  note: (lines: readonly string[]) => void,
): Promise<void> {
  const { recorder, log, clock, run } = tools;
  // Whose the files were does not matter here, and only root may give files away.
  const { files: own } = tools.project;
  const files = {
    ...own,
    untar: ((root, options) => own.untar(root, { ...options, owners: false })) as typeof own.untar,
  };
  const project = { ...tools.project, files };
  const place = path.join(project.stateDirectory, 'staging', `${run}-read.caretaker`);
  for (const part of parts) {
    const spec = specOf(part, place);
    if (spec === undefined) continue;
    await mkdir(place, { recursive: true, mode: 0o700 });
    const source = await createSource(spec, { project, log, clock, run });
    try {
      const lines = await recorder.step(`Check the files of ${part.name}`, async () => {
        for (const swap of await source.stage(part, read, run)) await project.files.swap(swap);
        return source.proves?.resting?.(part) ?? [];
      });
      note(lines);
    } finally {
      await project.files.remove([place]);
    }
  }
}

/** Undefined for what files alone tell nothing of. */
function specOf(part: Part, place: string): SourceSpec | undefined {
  const { name, kind, method, postgres, origin } = part;
  if (kind === 'sqlite') return { type: 'sqlite', name, path: path.join(place, fileNameOf(part)), writers: [] };
  if (kind === 'postgres' && method === 'physical') {
    return {
      ...{ type: 'postgres', name, method, path: path.join(place, 'pgdata'), containerPath: '' },
      ...{ service: origin.service ?? '', user: postgres?.user ?? 'postgres' },
    };
  }
  return undefined;
}
