import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { openManifest } from '../../../src/archive/manifest.ts';
import { inputs } from '../../../src/settings/inputs.ts';
import { lookUp } from '../as-user.ts';
import { endOf } from '../ended.ts';

const sources = path.resolve(import.meta.dirname, '../../../src');
const hurried = pathToFileURL(path.join(import.meta.dirname, 'hurried.mjs')).href;

/** How a run ended, and what its reader was told. */
export interface Ended {
  readonly exitCode: number;
  /** Code and text of the error, undefined where there was none. */
  readonly error: { readonly code: string; readonly text: string } | undefined;
  readonly warnings: readonly string[];
  /** All that was printed. */
  readonly shown: string;
}

export interface Listed {
  readonly name: string;
  readonly store: string;
}

interface Report {
  readonly warnings: readonly string[];
  readonly error?: { readonly code: string; readonly message: string; readonly hint?: string };
  readonly backups?: readonly Listed[];
}

/** An application of a directory and three commands, which the program itself cares for: no engine, and nothing that has to run. */
export class SmallApp {
  readonly root: string;
  readonly directory: string;
  /** Of the program's process. */
  umask = 0o022;
  readonly #settings: readonly string[];

  readonly #user: { readonly uid: number; readonly gid: number } | undefined;

  /** `settings`: further lines of caretaker.yml. `user`: whose it is, and who runs the program; ourselves unless told. */
  constructor(settings: readonly string[] = [], user?: string) {
    this.root = mkdtempSync(path.join(tmpdir(), 'caretaker-stores-'));
    this.directory = path.join(this.root, 'notes');
    this.#settings = settings;
    mkdirSync(path.join(this.directory, 'data'), { recursive: true });
    // More than one piece of a connection's stream, and nothing that compresses.
    writeFileSync(path.join(this.directory, 'data/notes.bin'), randomBytes(300_000));
    this.settle();
    if (user === undefined) return;
    this.#user = lookUp(user);
    const { uid, gid } = this.#user;
    chmodSync(this.root, 0o755);
    const below = readdirSync(this.directory, { recursive: true, encoding: 'utf8' });
    for (const name of ['.', ...below]) chownSync(path.join(this.directory, name), uid, gid);
  }

  /** What its administrator writes; `further` lines may take the place of those of the constructor. */
  settle(further = this.#settings): void {
    const lines = [
      ...['start-command: "true"', 'status-command: "true"'],
      ...(further.some((line) => line.startsWith('stop-command')) ? [] : ['stop-command: "true"']),
      'data: type=directory,name=notes,path=data',
      'settle: 100ms',
      ...further,
    ];
    writeFileSync(path.join(this.directory, 'caretaker.yml'), `${lines.join('\n')}\n`);
  }

  get state(): string {
    return path.join(this.directory, '.caretaker');
  }

  /** As a step of a workflow: src/main.ts. */
  async action(given: Readonly<Record<string, string>>, env: Readonly<Record<string, string>>): Promise<Ended> {
    const all = { ...Object.fromEntries(inputs.map(({ name }) => [name, ''])), ...given };
    const asInputs = Object.entries(all).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value] as const);
    const job = { GITHUB_ACTIONS: 'true', GITHUB_WORKSPACE: this.directory, ...env };
    const { exitCode, stdout, stderr } = await this.#run('main.ts', [], { ...Object.fromEntries(asInputs), ...job });
    const said = (kind: string): string[] =>
      [...stdout.matchAll(new RegExp(`^::${kind} title=[^:]*::(.*)$`, 'gm'))].map(([, text = '']) => unescaped(text));
    const [, code = '', text = ''] = /^::error title=([^:]*)::(.*)$/m.exec(stdout) ?? [];
    const error = code === '' ? undefined : { code, text: unescaped(text) };
    return { exitCode, error, warnings: said('warning'), shown: stdout + stderr };
  }

  /** From a shell: src/cli.ts. */
  async shell(
    mode: string,
    flags: readonly string[] = [],
    env: Readonly<Record<string, string>> = {},
  ): Promise<Ended & { readonly backups: readonly Listed[] }> {
    const argv = [mode, '--project-directory', this.directory, '--json', ...flags];
    const { exitCode, stdout, stderr } = await this.#run('cli.ts', argv, env);
    const { warnings, error, backups = [] } = JSON.parse(stdout) as Report;
    const text = error === undefined ? '' : [error.message, error.hint ?? ''].join('\n');
    return {
      ...{ exitCode, warnings, backups, shown: stdout + stderr },
      error: error === undefined ? undefined : { code: error.code, text },
    };
  }

  /** Names of what waits, in the order of the queue. */
  waiting(): string[] {
    const file = path.join(this.state, 'unstored.json');
    if (!existsSync(file)) return [];
    return (JSON.parse(readFileSync(file, 'utf8')) as { backup: string }[]).map(({ backup }) => backup);
  }

  /** Names of the backups that lie whole on this host; throws where one has another digest than its manifest says. */
  kept(): string[] {
    const folder = path.join(this.state, 'safety');
    return existsSync(folder) ? wholeBackups(folder) : [];
  }

  close(): void {
    rmSync(this.root, { recursive: true, force: true });
  }

  async #run(
    entry: string,
    argv: readonly string[],
    env: Readonly<Record<string, string>>,
  ): Promise<{ exitCode: number; stdout: string; stderr: string }> {
    const { PATH = '', HOME = '', NODE_COMPILE_CACHE = '' } = process.env;
    const umask = `data:text/javascript,process.umask(${this.umask})`;
    const argv0 = ['--disable-warning=ExperimentalWarning', '--import', hurried, '--import', umask];
    const child = spawn(process.execPath, [...argv0, path.join(sources, entry), ...argv], {
      cwd: this.directory,
      env: { PATH, HOME, NODE_COMPILE_CACHE, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(this.#user === undefined ? {} : { uid: this.#user.uid, gid: this.#user.gid }),
    });
    return endOf(child);
  }
}

/** Names of the backups in a folder, oldest first, each file of which has the digest of its manifest; throws where one has not. */
export function wholeBackups(folder: string): string[] {
  const manifests = readdirSync(folder).filter((name) => name.endsWith('.manifest.json'));
  return manifests.sort().map((file) => {
    const { name, parts, instructions } = openManifest(readFileSync(path.join(folder, file), 'utf8'));
    for (const one of [...parts.flatMap(({ files }) => files), instructions]) {
      const content = readFileSync(path.join(folder, one.file));
      const sha256 = createHash('sha256').update(content).digest('hex');
      if (content.length !== one.bytes || sha256 !== one.sha256) throw new Error(`${one.file} is not whole`);
    }
    return name;
  });
}

/** A workflow command's text as it was before it was escaped. */
function unescaped(text: string): string {
  return text.replaceAll('%0A', '\n').replaceAll('%0D', '\r').replaceAll('%25', '%');
}
