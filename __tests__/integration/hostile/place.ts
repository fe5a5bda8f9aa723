import { fork, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'; // prettier-ignore
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { formatManifest, sealManifest, type Manifest } from '../../../src/archive/manifest.ts';
import type { RunReport } from '../../../src/report/run-report.ts';
import { inMemory } from '../../unit/system/temporary.ts';

/** How a backup is read: into a new directory, by a drill, into the live application. */
export type Reading = 'elsewhere' | 'drill' | 'live';

export interface Read {
  /** Of the error; undefined where the run was done. */
  readonly code: string | undefined;
  readonly message: string;
  /** All that is there, but for what this program keeps for itself: its kind, mode, size and content. */
  readonly before: Readonly<Record<string, string>>;
  readonly after: Readonly<Record<string, string>>;
  readonly stopped: boolean;
  readonly running: boolean;
  /** In its staging directory. */
  readonly left: readonly string[];
  readonly place: Place;
}

/** A copy of the application and its one backup, which a case makes hostile. */
export class Place {
  readonly root: string;
  readonly backup: string;

  constructor(root: string, backup: string) {
    this.root = root;
    this.backup = backup;
  }

  at(name: string): string {
    return path.join(this.root, name);
  }

  /** The file of the backup that ends so: `media.tar.zst`, `manifest.json`. */
  file(suffix: string): string {
    return this.at(`store/${this.backup}.${suffix}`);
  }

  manifest(): Manifest {
    return JSON.parse(readFileSync(this.file('manifest.json'), 'utf8')) as Manifest;
  }

  /** Writes another manifest with a digest that fits. */
  seal(manifest: object): void {
    writeFileSync(this.file('manifest.json'), formatManifest(sealManifest(manifest as Manifest)));
  }

  /** What is stored of a part, and what the manifest says of it: as much as it holds, unless told. */
  store(part: string, stored: Buffer, rawBytes: number, suffix = 'tar'): void {
    writeFileSync(this.file(`${part}.${suffix}.zst`), stored);
    const sha256 = createHash('sha256').update(stored).digest('hex');
    const manifest = this.manifest();
    const file = `${this.backup}.${part}.${suffix}.zst`;
    const fits = { file, bytes: stored.length, rawBytes, sha256 };
    this.seal({
      ...manifest,
      parts: manifest.parts.map((one) => {
        if (one.name !== part) return one;
        const known = one.files.some((each) => each.file === file);
        return { ...one, files: known ? one.files.map((each) => (each.file === file ? fits : each)) : [...one.files, fits] }; // prettier-ignore
      }),
    });
  }

  archive(part: string, raw: Buffer, suffix = 'tar'): void {
    this.store(part, zstdCompressSync(raw), raw.length, suffix);
  }

  raw(part: string): Buffer {
    return zstdDecompressSync(readFileSync(this.file(`${part}.tar.zst`)));
  }
}

/** Processes that read backups, each one after the other. */
export const AT_ONCE = 3;

/** An application that three commands run, with a directory, a file and a SQLite database; and its backup. */
export class Hostiles {
  readonly root = mkdtempSync(path.join(inMemory, 'caretaker-hostile-'));
  readonly #children: ChildProcess[] = [];
  /** Those that have nothing to do. */
  readonly #idle: ChildProcess[] = [];
  #backup = '';
  #places = 0;

  async open(): Promise<void> {
    const shop = path.join(this.root, 'template/shop');
    mkdirSync(path.join(shop, 'media/sub'), { recursive: true });
    mkdirSync(path.join(this.root, 'template/outside'));
    writeFileSync(path.join(this.root, 'template/outside/secret'), 'secret');
    writeFileSync(path.join(shop, 'media/a'), 'first');
    writeFileSync(path.join(shop, 'media/sub/b'), 'second');
    writeFileSync(path.join(shop, 'key'), 'key');
    writeFileSync(path.join(shop, 'running'), '');
    const database = new DatabaseSync(path.join(shop, 'shop.db'));
    database.exec("CREATE TABLE t (a); INSERT INTO t VALUES ('first')");
    database.close();
    for (let count = 0; count < AT_ONCE; count++) {
      const child = fork(path.join(import.meta.dirname, '../damage/restore-process.ts'), [], {
        execArgv: ['--disable-warning=ExperimentalWarning'],
        env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] },
      });
      await once(child, 'message');
      this.#children.push(child);
    }
    this.#idle.push(...this.#children);
    const report = await this.#run(path.join(this.root, 'template'), 'backup');
    if (report.backup === undefined) throw new Error(JSON.stringify(report.error));
    this.#backup = report.backup.name;
    writeFileSync(path.join(shop, 'media/a'), 'later');
  }

  close(): void {
    for (const child of this.#children) child.kill();
    rmSync(this.root, { recursive: true, force: true });
  }

  async read(
    reading: Reading,
    make: (place: Place) => void,
    more: (place: Place) => readonly string[] = () => [],
  ): Promise<Read> {
    const root = path.join(this.root, `place-${++this.#places}`);
    cpSync(path.join(this.root, 'template'), root, { recursive: true, preserveTimestamps: true });
    const place = new Place(root, this.#backup);
    make(place);
    const before = look(root);
    const given = more(place);
    const backup = given.includes('--backup') ? [] : ['--backup', this.#backup];
    const flags: Readonly<Record<Reading, readonly [string, ...string[]]>> = { elsewhere: ['restore', '--to', place.at('to')], drill: ['verify', '--proof', 'read'], live: ['restore', '--confirm', 'shop'] }; // prettier-ignore
    const { error } = await this.#run(root, ...flags[reading], ...backup, ...given);
    const staging = place.at('shop/.caretaker/staging');
    return {
      ...{
        code: error?.code,
        message: [error?.message, ...(error?.chain ?? [])].join('; '),
        before,
        after: look(root),
      },
      ...{ stopped: existsSync(place.at('shop/was-stopped')), running: existsSync(place.at('shop/running')) },
      ...{ left: existsSync(staging) ? readdirSync(staging) : [], place },
    };
  }

  async #run(root: string, mode: string, ...flags: string[]): Promise<RunReport> {
    const child = this.#idle.pop()!;
    const answer = once(child, 'message');
    child.send([
      ...[
        mode,
        '--project-directory',
        path.join(root, 'shop'),
        '--store',
        `type=folder,path=${path.join(root, 'store')}`,
      ],
      ...['--start-command', 'touch running', '--stop-command', 'rm running; touch was-stopped'],
      ...['--status-command', 'test -f running', '--settle', '0'],
      ...[
        '--data',
        'type=directory,name=media,path=media\ntype=sqlite,name=db,path=shop.db\ntype=file,name=key,path=key',
      ],
      ...flags,
    ]);
    const [report] = (await answer) as [RunReport];
    this.#idle.push(child);
    return report;
  }
}

/** Results of drills are kept beside the backup, and this program's own directory is its own. */
const OURS = /^(shop\/\.caretaker(\/|$)|store\/[^/]*\.drill-)/;

function look(root: string): Record<string, string> {
  const seen: Record<string, string> = {};
  for (const name of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
    if (OURS.test(name)) continue;
    const stats = lstatSync(path.join(root, name));
    // One that is larger is made of holes.
    const read = stats.isFile() && stats.size < 2 ** 28;
    const content = read
      ? createHash('sha256')
          .update(readFileSync(path.join(root, name)))
          .digest('hex')
      : stats.isSymbolicLink()
        ? readlinkSync(path.join(root, name))
        : '';
    seen[name] = [stats.mode.toString(8), stats.isDirectory() ? '' : stats.size, content].join(' ');
  }
  return seen;
}
