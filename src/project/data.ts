import { CaretakerError } from '../errors.ts';
import {
  contextOf,
  describe,
  isAnonymous,
  namesOf,
  projectFiles,
  staticReason,
  withheldReason,
} from './data-context.ts';
import type { DataContext, Left, Unwanted } from './data-context.ts';
import { dataFromLines } from './data-lines.ts';
import type { DataLine } from './data-lines.ts';
import { contains } from './data-mounts.ts';
import { scanReason } from './data-reasons.ts';
import { splitDatabases } from './data-split.ts';
import type { Root } from './data-split.ts';
import type { DataPlan, Project } from './project.ts';

/**
 * What has data: as the lines say (`key=value` records whose keys were validated), or found by looking at the project's mounts. Looks, and has
 * no effect. Throws for lines `data-service-unknown`, `data-volume-unknown`, `data-path-missing`, `data-path-outside`,
 * `data-name-invalid`, `data-name-duplicate`, `data-line-invalid`, `data-not-sqlite`, `postgres-not-found`, `postgres-ambiguous`;
 * `data-required` for `auto` where there is nothing to look at, `data-none` when there is nothing to take.
 */
export async function planData(
  project: Project,
  lines: readonly DataLine[] | 'auto',
  unwanted: Unwanted = {},
): Promise<DataPlan> {
  const context = await contextOf(project, unwanted);
  if (lines !== 'auto') return dataFromLines(lines, context);
  if (project.engine === null) {
    throw new CaretakerError(
      'data-required',
      `failed to find the data of ${project.name}: it is run by commands, so there are no mounts to look at`,
      {
        hint: 'Say what to take in data, e.g. type=sqlite,path=./db.sqlite3 and type=directory,path=./media.',
        input: 'data',
      },
    );
  }
  const { roots, leave } = await mountedRoots(context);
  const split = await splitDatabases(roots, [], context);
  const take = [...split.take, ...(await projectFiles(context))];
  if (take.length === 0) {
    throw new CaretakerError(
      'data-none',
      `failed to find any data of ${project.name}: no service mounts something writable`,
      {
        hint: 'Say what to take in data.',
        input: 'data',
      },
    );
  }
  // A small file that is mounted read-only is configuration, and goes with it.
  const members = take.flatMap((spec) => (spec.type === 'project-files' ? (spec.members ?? []) : []));
  const left = [...leave, ...split.leave].filter(({ what }) => !members.some((file) => what.startsWith(`${file} (`)));
  return { take, leave: left, notes: split.notes };
}

/** Every writable mounted tree once, outer ones before inner ones, and why the others are left. */
async function mountedRoots(context: DataContext): Promise<{ roots: Root[]; leave: Left[] }> {
  const { mounts, runtime } = context;
  const leave: Left[] = mounts.missingVolumes.map((name) => ({ what: `volume ${name}`, why: 'it does not exist yet' }));
  const bySource = Map.groupBy(mounts.all, (mount) => (mount.source === '' ? mount.target : mount.source));
  const sorted = [...bySource].sort(([a], [b]) => a.length - b.length || a.localeCompare(b));
  const roots: Root[] = [];
  for (const [path, own] of sorted) {
    const [first] = own;
    if (first === undefined) continue;
    const what = describe(path, own);
    const why = staticReason(path, own);
    if (why !== undefined) {
      leave.push({ what, why });
      continue;
    }
    // What lies in a tree that is taken goes with it.
    if (roots.some((root) => contains(root.path, path))) continue;
    if (first.volume !== undefined) {
      const info = await runtime?.volume(first.volume);
      if (info !== undefined && info !== null && info.driver !== 'local') {
        leave.push({ what, why: `its driver ${info.driver} keeps it elsewhere`, isData: true });
        continue;
      }
      if (info?.device !== undefined && !info.device.bound) {
        const why = `the engine mounts ${info.device.source} there, and only while a container uses it`;
        leave.push({ what, why, isData: true });
        continue;
      }
    }
    const scan = await context.files.scan(path);
    const odd = scanReason(scan) ?? withheldReason(scan.root, context);
    if (odd !== undefined) {
      leave.push({ what, why: odd });
      continue;
    }
    // An anonymous volume is what an image declares as VOLUME; empty, it is nobody's data.
    if (isAnonymous(first) && scan.files === 0) {
      leave.push({ what, why: 'an anonymous volume with nothing in it' });
      continue;
    }
    roots.push({
      path,
      type: first.volume !== undefined ? 'volume' : scan.kind === 'file' ? 'file' : 'directory',
      volume: first.volume,
      names: namesOf(path, first, context),
      exclude: [],
      scan,
    });
  }
  return { roots, leave };
}
