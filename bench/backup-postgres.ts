/**
 * A backup of a PostgreSQL directory beside `tar -czf` of the same: seconds, bytes, and the memory of this program.
 * What is measured and how: README.md.
 *
 *   node bench/backup-postgres.ts [--gigabytes 3] [--pairs 2] [--engine docker|podman] [--directory /var/tmp]
 *
 * Exits with 1 when a backup took more memory than the limit, or anything failed. Removes what it made in every case.
 */
import { execFile, spawn } from 'node:child_process';
import { createReadStream, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, statfsSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs, promisify } from 'node:util';
import { measuredRun, type MeasuredRun } from './measured-run.ts';
import { copyLines, CREATE_DOCUMENTS } from './sample-rows.ts';

const LIMIT_MIB = 250;
const IMAGE = 'docker.io/library/postgres:17-alpine';
const TABLE_CHARACTERS = 200e6;

const command = path.resolve(import.meta.dirname, '../dist/cli/index.js');
const { values } = parseArgs({
  options: {
    gigabytes: { type: 'string', default: '3' },
    pairs: { type: 'string', default: '2' },
    engine: { type: 'string', default: 'docker' },
    directory: { type: 'string', default: '/var/tmp' },
  },
});
const wanted = Number(values.gigabytes) * 1e9;
const pairs = Number(values.pairs);
const engine = values.engine;

const root = process.getuid?.() === 0;
/** The data directory is the server's own, mode 700: this reads it as the containers' root. */
const asOwner: readonly string[] = engine === 'podman' && !root ? ['podman', 'unshare'] : [];
refuseUnfit();

const interrupted = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) {
  process.on(name, () => interrupted.abort(new Error(`interrupted by ${name}`)));
}
const { signal } = interrupted;

const project = mkdtempSync(path.join(values.directory, 'ck-bench-')).toLowerCase();
