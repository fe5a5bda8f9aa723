import { execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');

/** A connection that is kept belongs to a server that may be another by the next request. */
const ALONE = { connection: 'close' };

const first = 'CREATE TABLE orders (id INTEGER PRIMARY KEY, item TEXT NOT NULL)';
const second = "ALTER TABLE orders ADD COLUMN gift TEXT DEFAULT 'no'";
/** Each release's migrations; the last one's fail half way. */
const releases = {
  'v1.0.0': [first],
  'v1.1.0': [first, second],
  'v1.2.0': [first, second, 'DROP TABLE orders', 'INSERT INTO order_items SELECT * FROM orders'],
};
export type Release = keyof typeof releases;

/** What the shop says of itself. */
export interface Answer {
  readonly version: string;
  readonly orders: number;
  readonly receipts: number;
}

/**
 * The small SQLite shop of the demo, in a temporary folder of its own: the repository that publishes its releases, and the clone that
 * serves, started and stopped by a `control` script and cared for by a caretaker.yml.
 */
export class Shop {
  readonly directory: string;
  readonly url: string;
  readonly #home: string;
  readonly #origin: string;
  readonly #port: number;

  private constructor(home: string, port: number) {
    this.#home = home;
    this.#port = port;
    this.#origin = path.join(home, 'origin');
    this.directory = path.join(home, 'shop');
    this.url = `http://127.0.0.1:${port}/`;
  }

  /** v1.0.0 in service. */
  static async open(): Promise<Shop> {
    const shop = new Shop(mkdtempSync(path.join(tmpdir(), 'caretaker-shop-')), await freePort());
    shop.publish('v1.0.0');
    git(shop.#home, 'clone', '--quiet', shop.#origin, shop.directory);
    shop.#settle();
    shop.control('start');
    await shop.until(({ orders }) => orders === 0);
    return shop;
  }

  /** Stops it and leaves nothing behind. */
  close(): void {
    try {
      this.control('stop');
    } finally {
      rmSync(this.#home, { recursive: true, force: true });
    }
  }

  control(word: 'start' | 'stop' | 'status'): void {
    execFileSync('sh', ['control', word], { cwd: this.directory, stdio: 'ignore' });
  }

  /** A release: a commit and a tag in the repository that the shop's clone follows. */
  publish(version: Release): void {
    mkdirSync(this.#origin, { recursive: true });
    if (version === 'v1.0.0') {
      git(this.#origin, 'init', '--quiet', '--initial-branch', 'main');
      cpSync(path.join(root, 'demo/shop'), this.#origin, { recursive: true });
      writeFileSync(path.join(this.#origin, '.gitignore'), 'data/\nserver.pid\nserver.log\ncaretaker.yml\ncontrol\n');
    }
    const migrations = JSON.stringify(releases[version], null, 2);
    const text = `export const VERSION = '${version}';\nexport const MIGRATIONS = ${migrations};\n`;
    writeFileSync(path.join(this.#origin, 'release.mjs'), text);
    git(this.#origin, 'add', '--all');
    git(this.#origin, 'commit', '--quiet', '--message', version);
    git(this.#origin, 'tag', version);
  }

  async order(item: string): Promise<void> {
    await fetch(this.url + item, { method: 'POST', headers: ALONE });
  }

  async loseOrders(): Promise<void> {
    await fetch(this.url, { method: 'DELETE', headers: ALONE });
  }

  async look(): Promise<Answer> {
    return (await (await fetch(this.url, { headers: ALONE })).json()) as Answer;
  }

  /** Waits at most ten seconds for an answer such as this. */
  async until(condition: (answer: Answer) => boolean): Promise<void> {
    const end = Date.now() + 10_000;
    for (;;) {
      try {
        if (condition(await this.look())) return;
      } catch (error) {
        if (Date.now() > end) throw error;
      }
      if (Date.now() > end) throw new Error(`the shop answers ${JSON.stringify(await this.look())}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Runs the command line in a process of its own, just as an administrator would, with `env` besides our own. */
  caretaker(
    mode: string,
    flags: readonly string[],
    stdio: 'inherit' | 'pipe',
    env: Readonly<Record<string, string>> = {},
  ): ReturnType<typeof spawn> {
    return spawn(
      process.execPath,
      [path.join(root, 'src/cli.ts'), mode, '--project-directory', this.directory, ...flags],
      {
        stdio: ['ignore', stdio, stdio],
        env: { ...process.env, ...env, NODE_OPTIONS: '--disable-warning=ExperimentalWarning' },
      },
    );
  }

  /** What the administrator of the shop writes once: how it starts and stops, and what the caretaker needs to know. */
  #settle(): void {
    const serve = `"${process.execPath}" --disable-warning=ExperimentalWarning server.mjs ${this.#port}`;
    const control = [
      'case "$1" in',
      `start) nohup ${serve} >server.log 2>&1 </dev/null & echo $! >server.pid ;;`,
      'stop) [ ! -f server.pid ] || { kill "$(cat server.pid)" 2>/dev/null; while kill -0 "$(cat server.pid)" 2>/dev/null; do sleep 0.1; done; rm server.pid; } ;;',
      'status) [ -f server.pid ] && kill -0 "$(cat server.pid)" 2>/dev/null ;;',
      'esac',
      '',
    ];
    writeFileSync(path.join(this.directory, 'control'), control.join('\n'));
    const settings = [
      'start-command: sh control start',
      'stop-command: sh control stop',
      'status-command: sh control status',
      'data:',
      '  - type=sqlite,name=orders,path=data/shop.sqlite3',
      '  - type=directory,name=receipts,path=data/receipts',
      'store: type=folder,path=.caretaker/backups',
      `health: type=http,url=${this.url}`,
      'health-timeout: 5s',
      'settle: 500ms',
      '',
    ];
    writeFileSync(path.join(this.directory, 'caretaker.yml'), settings.join('\n'));
  }
}

function git(cwd: string, ...argv: readonly string[]): void {
  const identity = ['-c', 'user.name=Demo', '-c', 'user.email=demo@example.invalid', '-c', 'commit.gpgsign=false'];
  execFileSync('git', [...identity, ...argv], { cwd, stdio: ['ignore', 'ignore', 'inherit'] });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
