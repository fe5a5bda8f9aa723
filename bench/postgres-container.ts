/** A PostgreSQL server in a container, to be filled with rows. */
import { execFile, spawn } from 'node:child_process';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { copyLines, createDocuments } from './sample-rows.ts';

const TABLE_CHARACTERS = 200e6;

export interface PostgresContainerOptions {
  readonly engine: string;
  /** Its name or id now: what brings up a stack anew gives it another. */
  readonly container: () => Promise<string>;
  readonly user: string;
  readonly signal: AbortSignal;
  /** Bytes of its directory on disk. */
  readonly size: () => Promise<number>;
}

export class PostgresContainer {
  readonly #options: PostgresContainerOptions;
  #tables = 0;

  constructor(options: PostgresContainerOptions) {
    this.#options = options;
  }

  /** Until its directory has that size; answers with what it has. What makes that quick is undone before anything is measured. */
  async fill(wantedBytes: number): Promise<number> {
    const { size } = this.#options;
    const quick = { fsync: 'off', wal_level: 'minimal', max_wal_senders: '0', maintenance_work_mem: "'256MB'" };
    for (const [name, value] of Object.entries(quick)) await this.sql(`ALTER SYSTEM SET ${name} = ${value}`);
    await this.restart();
    for (let bytes = await size(); bytes < wantedBytes; bytes = await size()) {
      const index = ++this.#tables;
      const name = `documents_${index}`;
      const missing = wantedBytes - bytes;
      const lines = function* (): Generator<string> {
        // In the transaction that makes the table, COPY writes no WAL, and rows that no vacuum has to visit later.
        yield `BEGIN; ${createDocuments(name)} COPY ${name} FROM STDIN (FREEZE);\n`;
        yield* copyLines(index, Math.min(TABLE_CHARACTERS, missing / 2));
        yield `\\.\nALTER TABLE ${name} ADD PRIMARY KEY (id); CREATE INDEX ON ${name} (author); COMMIT;\n`;
      };
      await this.psql(lines());
    }
    await this.sql('ALTER SYSTEM RESET ALL');
    await this.restart();
    await this.sql('CHECKPOINT');
    await this.#run('sync');
    return size();
  }

  async sql(statement: string): Promise<void> {
    await this.psql([`${statement};\n`]);
  }

  async psql(script: Iterable<string>): Promise<void> {
    const { engine, container, user, signal } = this.#options;
    const argv = ['exec', '-i', await container(), 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-U', user];
    const child = spawn(engine, argv, { stdio: ['pipe', 'ignore', 'pipe'], signal });
    let words = '';
    child.stderr.on('data', (chunk: Buffer) => {
      words = (words + chunk.toString()).slice(-2000);
    });
    const ended = new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    // When psql ends early, its own words tell why, not the broken pipe.
    const [code] = await Promise.all([ended, pipeline(Readable.from(script), child.stdin).catch(() => undefined)]);
    if (code !== 0) throw new Error(`psql ended with code ${code}: ${words}`);
  }

  async restart(): Promise<void> {
    await this.#run(this.#options.engine, 'restart', await this.#options.container());
    await this.ready();
  }

  /** Over TCP: the image's own first server, which is about to go, listens on its socket only. */
  async ready(): Promise<void> {
    const { engine, container, user, signal } = this.#options;
    for (let attempt = 0; attempt < 240; attempt += 1) {
      const ready = ['exec', await container(), 'pg_isready', '-q', '-h', '127.0.0.1', '-U', user];
      const up = await this.#run(engine, ...ready).then(
        () => true,
        () => false,
      );
      if (up) return;
      await sleep(500, undefined, { signal });
    }
    throw new Error('the database server did not become ready within two minutes');
  }

  async #run(program: string, ...args: readonly string[]): Promise<void> {
    await promisify(execFile)(program, args, { signal: this.#options.signal });
  }
}
