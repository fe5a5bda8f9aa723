import { startProject } from './bring-up.ts';
import type { Exchange } from './exchange.ts';
import { CaretakerError } from '../errors.ts';
import type { Part } from '../archive/manifest.ts';
import type { PartReader } from '../archive/parts.ts';
import type { Source } from '../sources/source.ts';
import {
  asideDatabases,
  databaseNames,
  databasesOf,
  dropDatabase,
  loadBeside,
  readDumped,
  refuseMissingRoles,
  swapDatabase,
  unswapDatabase,
  type DatabaseNames,
  type DumpedDatabase,
} from '../sources/postgres-database.ts';
import { waitReady } from '../sources/postgres-load.ts';
import { openServer, serverContainer, type ServerAccess } from '../sources/postgres-server.ts';
import { sourceForPart } from '../sources/sources.ts';
import { sourceDeps } from './data.ts';
import type { Piece } from './pieces.ts';
import type { Tools } from './tools.ts';

/** How a running server is reached. Plain data for the journal. */
interface Server {
  readonly service: string;
  readonly user: string;
}

/** One database on its way, and where it is. Plain data for the journal. */
export interface DatabaseExchange extends Server {
  readonly part: Part;
  readonly names: DatabaseNames;
}

interface Planned extends DatabaseExchange {
  readonly source: Source;
  readonly dumped: DumpedDatabase;
}

/**
 * Single databases of dumps go back while their server runs: each is loaded beside the live one, under another name, while the application serves; when nobody writes any more, the
 * two change names in one transaction. Nothing else of the server is touched. What can be refused is refused here, with nothing done.
 */
export async function planDatabases(
  tools: Tools,
  pieces: readonly Piece[],
  sources: ReadonlyMap<string, Source>,
  read: PartReader,
): Promise<readonly Planned[]> {
  const planned: Planned[] = [];
  for (const { part, databases } of pieces) {
    const source = sources.get(part.name);
    if (databases.length === 0 || source?.server === undefined) continue;
    const server: Server = { service: source.server, user: part.postgres?.user ?? 'postgres' };
    if ((await serverContainer(tools.project, server.service))?.state !== 'running') {
      throw new CaretakerError(
        'postgres-not-running',
        `failed to restore ${databases.join(', ')}: the database server ${server.service} does not run, and a single database goes into a running one`,
        { input: 'only', hint: `Start ${server.service}, or restore the whole part: only: ${part.name}.` },
      );
    }
    const access = await openServer(tools.project, tools.log, server);
    const here: Planned[] = [];
    for (const database of databases) {
      const names = databaseNames(database, tools.run, planned.length + here.length + 1);
      const dumped = await readDumped(access, part, database, read);
      here.push({ part, ...server, names, source, dumped });
    }
    await refuseMissingRoles(
      access,
      here.map(({ dumped }) => dumped),
    );
    planned.push(...here);
  }
  return planned;
}

/** Loads them beside the live ones; answers with what is left to do when the writers stand still. */
export async function stageDatabases(
  tools: Tools,
  planned: readonly Planned[],
  read: PartReader,
): Promise<Exchange['databases']> {
  const { project, recorder, saga } = tools;
  for (const { service, user, names, dumped } of planned) {
    const undo = { action: 'drop-db', data: { service, user, database: names.fresh } };
    await recorder.step(`Load ${names.live} beside the live database`, () =>
      saga.step(`load ${names.fresh}`, { undo }, async () =>
        loadBeside(await openServer(project, tools.log, { service, user }), names, dumped, read),
      ),
    );
  }
  if (planned.length === 0) return undefined;
  const servers = new Set(planned.map(({ service }) => service));
  return {
    // Whoever writes to another server may write to this one: from outside it can't be seen. The server itself runs on.
    writers: [...new Set(planned.flatMap(({ source }) => source.writers))].filter((service) => !servers.has(service)),
    async exchange() {
      for (const { service, user, names } of planned) {
        const access = await reach(tools, { service, user });
        const existed = (await databasesOf(access)).has(names.live);
        const undo = { action: 'unswap-db', data: { service, user, names, existed } };
        tools.log.info(`${names.live}: the backup's database in, the one from before aside as ${names.aside}`);
        await saga.step(`swap ${names.live}`, { undo }, () => swapDatabase(access, names));
      }
    },
  };
}

/** For the journal's undo: also where the server was stopped meanwhile, or the host. */
export async function undoDrop(tools: Tools, data: Server & { readonly database: string }): Promise<void> {
  await dropDatabase(await reach(tools, data), data.database);
}

export async function undoSwap(
  tools: Tools,
  data: Server & { readonly names: DatabaseNames; readonly existed: boolean },
): Promise<void> {
  await unswapDatabase(await reach(tools, data), { ...data.names, existed: data.existed });
}

/** Plain data of what lies aside, for the journal. */
export function asideOf(planned: readonly Planned[]): readonly DatabaseExchange[] {
  return planned.map(({ part, service, user, names }) => ({ part, service, user, names }));
}

/** What lies aside in the servers, as sources of a safety backup, by part; `drop` removes it. */
export async function databasesAside(
  tools: Tools,
  exchanged: readonly DatabaseExchange[],
): Promise<{ readonly sources: readonly Source[]; drop(): Promise<void> }> {
  const sources: Source[] = [];
  const drops: (() => Promise<void>)[] = [];
  const byPart = Map.groupBy(exchanged, ({ part }) => part.name);
  for (const [first, ...others] of byPart.values()) {
    if (first === undefined) continue;
    const access = await reach(tools, first);
    const there = await databasesOf(access);
    const names = [first, ...others].map((one) => one.names).filter(({ aside }) => there.has(aside));
    if (names.length === 0) continue;
    sources.push(asideDatabases(access, await sourceForPart(first.part, sourceDeps(tools)), names));
    drops.push(
      ...names.map(
        ({ aside }) =>
          () =>
            dropDatabase(access, aside),
      ),
    );
  }
  return {
    sources,
    async drop() {
      for (const drop of drops) await drop();
    },
  };
}

async function reach(tools: Tools, server: Server): Promise<ServerAccess> {
  const { project, log } = tools;
  if ((await serverContainer(project, server.service))?.state !== 'running')
    await startProject(tools, [server.service]);
  await waitReady(server, tools);
  return openServer(project, log, server);
}
