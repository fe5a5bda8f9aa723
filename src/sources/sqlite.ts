import { basename, dirname, join } from 'node:path';
import type { SourceSpec } from '../project/project.ts';
import { CaretakerError } from '../errors.ts';
import { memberName } from '../runtimes/tar-command.ts';
import { disproved, provenRows } from './proofs.ts';
import { oneFile } from './passes.ts';
import { beside, originOf, stagingFor } from './places.ts';
import type { Capture, Situation, Source } from './source.ts';
import type { SourceDeps } from './sources.ts';
import { readHead, unpack } from './streams.ts';
import { warmUnlessChanged } from './two-passes.ts';

/**
 * One SQLite database, by its online backup: a copy of the file of a running application is torn (30 of 30 in a measurement),
 * and one of a stopped application may lack the journal that still belongs to it.
 */
export function sqliteSource(spec: Extract<SourceSpec, { type: 'sqlite' }>, deps: SourceDeps): Source {
  const { project } = deps;
  const { files } = project;
  const live = spec.path;
  const name = basename(live);

  const capture = async (situation: Situation): Promise<Capture> => {
    const directory = await stagingFor(project, `${deps.run}-sqlite-${spec.name}`);
    const finish = (): Promise<void> => files.remove([directory]);
    try {
      const copy = join(directory, name);
      const rows = await files.copySqlite(live, copy);
      const facts = readSqliteHeader(await readHead(files, copy, 100), live);
      return {
        streams: [{ suffix: 'tar', open: () => files.tar(copy, {}) }],
        consistency: situation === 'serving' ? 'online' : situation,
        facts: { sqlite: { ...facts, ...(rows === null ? {} : { rows }) } },
        finish,
      };
    } catch (error) {
      await finish();
      throw error;
    }
  };

  return {
    name: spec.name,
    kind: 'sqlite',
    method: 'sqlite',
    origin: originOf(spec, project),
    writers: spec.writers,
    server: undefined,
    loads: false,
    describe: () => `${spec.name}: SQLite database ${live}`,
    estimate: async () => (await files.scan(live)).bytes,

    capture,
    // Not `-shm`: it holds nothing, and readers write it.
    warm: () => {
      const all = ['', '-wal', '-journal'].map((end) => live + end);
      return warmUnlessChanged(files, all, { contents: true }, () => capture('serving'));
    },

    async stage(part, read, run) {
      const { fresh: directory, aside } = beside(live, run);
      const one = oneFile(part, 'database file');
      try {
        for (const file of part.files) {
          const { rawBytes } = file;
          await unpack(files, directory, read(file), { rawBytes }, one);
        }
        // Its name where the backup was taken need not be the one here.
        const fresh = join(directory, one.name());
        await files.checkSqlite(fresh);
        // Whoever opens a database in WAL mode to look at it makes these; the copy is one file, and they hold nothing.
        await files.remove(['-wal', '-shm', '-journal'].map((end) => fresh + end));
        return [{ kind: 'sqlite', live, fresh, aside }];
      } catch (error) {
        await files.remove([directory]);
        throw error;
      }
    },

    discard: () =>
      files.removeMembers(
        dirname(live),
        ['', '-wal', '-shm', '-journal'].map((end) => memberName(name + end)),
      ),

    unstage: (run) => files.remove([beside(live, run).fresh]),

    proves: {
      async resting(part) {
        const { rows, orphans } = await files.proveSqlite(live).catch((error: unknown) => {
          if (error instanceof CaretakerError && error.code.startsWith('sqlite-'))
            throw disproved(part, error.message, error);
          throw error;
        });
        const lines = [`${part.name}: every page and index is whole (PRAGMA integrity_check)`];
        for (const [table, count] of Object.entries(orphans))
          lines.push(
            `${part.name}: ${count} rows of ${table} refer to rows that are not there; SQLite does not tell since when`,
          );
        lines.push(provenRows(part, part.name, part.sqlite?.rows, rows ?? undefined));
        return lines;
      },
    },
  };
}

/** https://www.sqlite.org/fileformat.html, 1.3. */
function readSqliteHeader(header: Buffer, path: string): { pageSize: number; pages: number } {
  if (header.length < 100 || header.toString('latin1', 0, 16) !== 'SQLite format 3\0') {
    throw new CaretakerError('sqlite-damaged', `failed to read ${path}: its copy is no SQLite database`, {
      hint: 'Check the file with the program that writes it; restore an older backup if it is broken.',
    });
  }
  const pageSize = header.readUInt16BE(16);
  return { pageSize: pageSize === 1 ? 65536 : pageSize, pages: header.readUInt32BE(28) };
}
