import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  cpSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { inputs } from '../../../src/settings/inputs.ts';
import type { BadInput, Config, Entry, Place } from './bad-input.ts';
import { endOf } from '../ended.ts';

const sources = path.resolve(import.meta.dirname, '../../../src');

/** Who owns nothing: what root may write everywhere, this user may not. */
const NOBODY = 65534;

export interface Problem {
  readonly code: string;
  /** The sentence that names the thing. */
  readonly message: string;
  /** Causes and the hint. */
  readonly rest: string;
}

export interface Ended {
  readonly exitCode: number;
  readonly problems: readonly Problem[];
  /** All that was printed or written for the user: stdout, stderr, the job summary, outputs. */
  readonly shown: string;
  /** The job summary; empty on the command line. */
  readonly summary: string;
}

export interface Tried extends Ended {
  readonly before: Readonly<Record<string, string>>;
  readonly after: Readonly<Record<string, string>>;
  /** What the three commands of the application were called with. */
  readonly called: readonly string[];
  /** The application's process, before and after. */
  readonly pids: readonly [number, number];
}

/**
 * One application in service, run by three commands, and any number of places that look like the one it is deployed in: a clone with data, a folder of
 * backups, something elsewhere. Node, git, tar and a shell are all that PATH offers, whatever this machine has.
 */
export class Shop {
  readonly home = mkdtempSync(path.join(tmpdir(), 'caretaker-bad-input-'));
  /** The name of the backup that every place's store holds. */
  backup = '';
  readonly #bin = path.join(this.home, 'bin');
  readonly #control = path.join(this.home, 'control');
  readonly #pid = path.join(this.home, 'application.pid');
  readonly #calls = path.join(this.home, 'calls');
  readonly #template: Place = placeIn(path.join(this.home, 'template'));
  #places = 0;

  async open(): Promise<void> {
    chmodSync(this.home, 0o755);
    mkdirSync(this.#bin);
    symlinkSync(process.execPath, path.join(this.#bin, 'node'));
    for (const name of ['git', 'tar', 'gzip', 'sh', 'sleep', 'setsid', 'cat']) {
      const found = execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim();
      symlinkSync(found, path.join(this.#bin, name));
    }
    writeFileSync(this.#calls, '');
    chmodSync(this.#calls, 0o666);
    writeFileSync(
      this.#control,
      [
        `echo "$1 $PWD" >>${this.#calls}`,
        `pid=$(test -f ${this.#pid} && read -r pid <${this.#pid} && echo "$pid")`,
        'case "$1" in',
        `start) sleep 1000 >/dev/null 2>&1 </dev/null & echo $! >${this.#pid} ;;`,
        'stop) kill "$pid" ;;',
        // Not `kill -0`: another user may not signal it, and yet it runs.
        'status) test -n "$pid" ;;',
        'esac',
        '',
      ].join('\n'),
    );
    execFileSync('sh', [this.#control, 'start'], { env: this.#environment({}), stdio: 'ignore' });
    await this.#makeTemplate();
  }

  close(): void {
    try {
      if (isAlive(this.#running())) process.kill(this.#running());
    } finally {
      // Some cases take away rights, without which only root could remove it.
      execFileSync('chmod', ['-R', 'u+rwX', this.home]);
      rmSync(this.home, { recursive: true, force: true });
    }
  }

  /** Runs the real program on a place of its own, and looks at everything before and after. */
  async try(entry: Entry, bad: Partial<BadInput>): Promise<Tried> {
    const root = path.join(this.home, `place-${++this.#places}`);
    cpSync(this.#template.root, root, { recursive: true, preserveTimestamps: true });
    const place = placeIn(root);
    this.#configure(place, bad.config ?? {});
    bad.prepare?.(place, this.backup);
    const dropped = bad.unprivileged === true && process.getuid?.() === 0;
    if (dropped) chownAll(root, bad.protect?.(place));

    const [before, pidBefore] = [look(root), this.#running()];
    const ended = await (entry === 'action'
      ? this.#action(place, bad, dropped)
      : this.#commandLine(place, bad, dropped));
    const called = readFileSync(this.#calls, 'utf8')
      .split('\n')
      .filter((line) => line.endsWith(` ${place.shop}`))
      .map((line) => line.split(' ')[0] ?? '');
    return { ...ended, before, after: look(root), called, pids: [pidBefore, this.#running()] };
  }

  async #makeTemplate(): Promise<void> {
    const { shop, store, elsewhere } = this.#template;
    for (const directory of [path.join(shop, 'data/receipts'), store, elsewhere])
      mkdirSync(directory, { recursive: true });
    writeFileSync(path.join(elsewhere, 'someone-elses.txt'), 'not ours\n');
    writeFileSync(path.join(shop, 'data/receipts/1.txt'), 'tea\n');
    const { DatabaseSync } = await import('node:sqlite');
    const database = new DatabaseSync(path.join(shop, 'data/shop.sqlite3'));
    database.exec("CREATE TABLE orders (item TEXT); INSERT INTO orders VALUES ('tea')");
    database.close();
    writeFileSync(path.join(shop, '.gitignore'), 'data/\ncaretaker.yml\n');
    const git = (...argv: string[]): unknown =>
      execFileSync('git', ['-C', shop, ...argv], { env: this.#environment({}) });
    git('init', '--quiet', '--template=', '--initial-branch', 'main');
    for (const version of ['v0.9.0', 'v1.0.0', 'v1.1.0', 'v2.0.0']) {
      writeFileSync(path.join(shop, 'release.txt'), `${version}\n`);
      git('add', '--all');
      git('commit', '--quiet', '--message', version);
      git('tag', version);
    }
    git('reset', '--quiet', '--hard', 'v1.0.0');
    this.#configure(this.#template, {});
    const { exitCode, shown } = await this.#commandLine(this.#template, { mode: 'backup' }, false);
    const name = readdirSync(store).find((file) => file.endsWith('.manifest.json'));
    if (exitCode !== 0 || name === undefined) throw new Error(`the shop itself can't be backed up:\n${shown}`);
    this.backup = name.replace('.manifest.json', '');
  }

  /** The caretaker.yml of a place: the good one, with the keys of the case; a text stands for the whole file. JSON is YAML. */
  #configure({ shop, store }: Place, config: Config | string): void {
    const good: Config = {
      ...Object.fromEntries(
        ['start', 'stop', 'status'].map((verb) => [`${verb}-command`, `sh ${this.#control} ${verb}`]),
      ),
      data: ['type=sqlite,name=orders,path=data/shop.sqlite3', 'type=directory,name=receipts,path=data/receipts'],
      store: [`type=folder,path=${store}`],
      'health-timeout': '5s',
      settle: '0',
    };
    const text = typeof config === 'string' ? config : JSON.stringify({ ...good, ...config }, null, 2);
    writeFileSync(path.join(shop, 'caretaker.yml'), text);
  }

  #environment(more: Readonly<Record<string, string>>): Record<string, string> {
    const identity = { GIT_AUTHOR_NAME: 'T', GIT_AUTHOR_EMAIL: 't@example.invalid' };
    return {
      PATH: this.#bin,
      HOME: this.home,
      GIT_CONFIG_NOSYSTEM: '1',
      // Some two hundred starts of the same program.
      NODE_COMPILE_CACHE: path.join(this.home, 'compiled'),
      ...identity,
      GIT_COMMITTER_NAME: 'T',
      GIT_COMMITTER_EMAIL: 't@example.invalid',
      ...more,
    };
  }

  async #commandLine(place: Place, bad: Partial<BadInput>, dropped: boolean): Promise<Ended> {
    const { mode = 'backup', token, env = {} } = bad;
    const given = bad.inputs?.(place, this.backup) ?? {};
    const flags = Object.entries({ 'project-directory': place.shop, ...given }).map(
      ([name, value]) => `--${name}=${value}`,
    );
    const argv = bad.argv?.(place) ?? [...(mode === '' ? [] : [mode]), ...flags];
    const { exitCode, stdout, stderr } = await this.#run('cli.ts', argv, place.shop, dropped, {
      ...(token === undefined ? {} : { GITHUB_TOKEN: token }),
      ...env,
    });
    // Blocks of: the sentence with its code in brackets, then what belongs to it, indented.
    const problems = stdout.split('\n\n').flatMap((block) => {
      const [, message, code, rest] = /^(\S[^]*?) \[([a-z-]+)\]$([^]*)/m.exec(block) ?? [];
      return message === undefined || code === undefined ? [] : [{ code, message, rest: rest ?? '' }];
    });
    return { exitCode, problems, shown: stdout + stderr, summary: '' };
  }

  async #action(place: Place, bad: Partial<BadInput>, dropped: boolean): Promise<Ended> {
    const { mode = 'backup', token, env = {} } = bad;
    const runner = path.join(this.home, 'runner', path.basename(place.root));
    mkdirSync(runner, { recursive: true });
    const files = ['GITHUB_OUTPUT', 'GITHUB_STEP_SUMMARY', 'GITHUB_STATE'].map(
      (name) => [name, path.join(runner, name)] as const,
    );
    for (const [, file] of files) {
      writeFileSync(file, '');
      chmodSync(file, 0o666);
    }
    // GitHub hands in every input of action.yml, the empty ones too.
    const given: Record<string, string> = {
      ...Object.fromEntries(inputs.map(({ name }) => [name, ''])),
      mode,
      'github-token': token ?? '',
      ...bad.inputs?.(place, this.backup),
    };
    const asInputs = Object.fromEntries(
      Object.entries(given).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value]),
    );
    const job = {
      GITHUB_ACTIONS: 'true',
      GITHUB_WORKSPACE: place.shop,
      GITHUB_RUN_ID: '4711',
      ...Object.fromEntries(files),
    };
    const { exitCode, stdout, stderr } = await this.#run('main.ts', [], place.shop, dropped, {
      ...job,
      ...asInputs,
      ...env,
    });
    const problems = [...stdout.matchAll(/^::error title=([^:]*)::(.*)$/gm)].map(([, code = '', text = '']) => {
      const [message = '', ...rest] = unescaped(text).split('\n');
      return { code, message, rest: rest.join('\n') };
    });
    const [output = '', summary = ''] = files.map(([, file]) => readFileSync(file, 'utf8'));
    return { exitCode, problems, shown: [stdout, stderr, output, summary].join('\n'), summary };
  }

  async #run(
    entry: string,
    argv: readonly string[],
    cwd: string,
    dropped: boolean,
    env: Readonly<Record<string, string>>,
  ): Promise<{ exitCode: number; stdout: string; stderr: string }> {
    const child = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', path.join(sources, entry), ...argv],
      {
        // Where the shop can't be entered, its owner could not stand in it either.
        cwd: dropped ? this.home : cwd,
        env: this.#environment(env),
        stdio: ['ignore', 'pipe', 'pipe'],
        ...(dropped ? { uid: NOBODY, gid: NOBODY } : {}),
      },
    );
    return endOf(child);
  }

  #running(): number {
    return Number(readFileSync(this.#pid, 'utf8'));
  }
}

export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function placeIn(root: string): Place {
  return {
    root,
    shop: path.join(root, 'shop'),
    store: path.join(root, 'stores/backups'),
    elsewhere: path.join(root, 'elsewhere'),
  };
}

function chownAll(root: string, except: string | undefined): void {
  for (const name of ['.', ...readdirSync(root, { recursive: true, encoding: 'utf8' })]) {
    const file = path.join(root, name);
    if (file !== except && !lstatSync(file).isSymbolicLink()) chownSync(file, NOBODY, NOBODY);
  }
}

/** Every path below: its kind, mode, owner, time of change and content. */
function look(root: string): Record<string, string> {
  const seen: Record<string, string> = {};
  for (const name of ['.', ...readdirSync(root, { recursive: true, encoding: 'utf8' })].sort()) {
    const file = path.join(root, name);
    const stats = lstatSync(file);
    const content = stats.isFile()
      ? stats.mode & 0o400
        ? createHash('sha256').update(readFileSync(file)).digest('hex')
        : 'unreadable'
      : stats.isSymbolicLink()
        ? readlinkSync(file)
        : 'directory';
    seen[name] = `${stats.mode.toString(8)} ${stats.uid} ${stats.mtimeMs} ${content}`;
  }
  return seen;
}

function unescaped(text: string): string {
  return text.replaceAll('%0D', '\r').replaceAll('%0A', '\n').replaceAll('%25', '%');
}
