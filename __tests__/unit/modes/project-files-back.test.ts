import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import { writePart, writeText } from '../../../src/archive/parts.ts';
import type { ChosenBackup } from '../../../src/modes/choose.ts';
import { bringProjectFiles, filesAway, type WrittenFiles } from '../../../src/modes/project-files-back.ts';
import type { Tools } from '../../../src/modes/tools.ts';
import { streamOf } from '../../../src/sources/streams.ts';
import { NAME, sampleManifest, samplePart } from '../archive/sample-manifest.ts';

let home: string;
let project: string;
let said: string[];
let masked: string[];
let undo: { action: string; data: unknown } | undefined;

beforeEach(() => {
  home = realpathSync(mkdtempSync(path.join(tmpdir(), 'caretaker-files-')));
  project = path.join(home, 'project');
  for (const name of ['project', 'stored', 'old/envs/prod']) mkdirSync(path.join(home, name), { recursive: true });
  [said, masked, undo] = [[], [], undefined];
  writeFileSync(path.join(home, 'old/compose.yaml'), 'services: {}\n');
  writeFileSync(path.join(home, 'old/.env'), 'PORT=1\nDB_PASSWORD="hush hush"\n', { mode: 0o600 });
  writeFileSync(path.join(home, 'old/envs/prod/web'), 'A=1\n');
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

function tools(): Tools {
  const say = (line: string): number => said.push(line);
  return {
    project: { directory: project, stateDirectory: path.join(project, '.caretaker') },
    recorder: { warn: say, step: (_name: string, work: () => unknown) => work() },
    saga: {
      step: (_name: string, options: { undo: typeof undo }, work: () => unknown) => {
        undo = options.undo;
        return work();
      },
    },
    log: { info: say, warn: say, mask: (secret: string) => masked.push(secret) },
    signal: new AbortController().signal,
    run: 'r1',
  } as unknown as Tools;
}

/** A backup whose project files are the tar of `old`. */
async function backup(...more: string[]): Promise<ChosenBackup> {
  const stored = path.join(home, 'stored');
  const tar = execFileSync('tar', ['-C', path.join(home, 'old'), '-cf', '-', ...more, './compose.yaml', './.env', './envs']); // prettier-ignore
  const one = await writePart({ directory: stored, file: `${NAME}.project-files.tar.zst`, stream: streamOf(Readable.from([tar])) }); // prettier-ignore
  const { name: file, bytes, sha256 } = await writeText(stored, `${NAME}.RESTORE.md`, 'how');
  const part = samplePart({ name: 'project-files', kind: 'project-files', method: 'files', files: [one] });
  const fetch = (_: unknown, wanted: { file: string }, to: string): Promise<void> => {
    copyFileSync(path.join(stored, wanted.file), to);
    return Promise.resolve();
  };
  const manifest = sampleManifest({ parts: [part], instructions: { file, bytes, sha256 } });
  return { store: { fetch }, backup: {}, manifest } as unknown as ChosenBackup;
}

const content = (name: string): string => readFileSync(path.join(project, name), 'utf8');
const there = (): string[] => readdirSync(project).filter((name) => name !== '.caretaker');
const away = (): Promise<void> => filesAway(tools(), undo?.data as WrittenFiles);

describe('the project’s own files', () => {
  test('come into an empty directory, their secrets masked, and go again', async () => {
    expect(await bringProjectFiles(tools(), await backup())).toBe(3);
    expect([content('compose.yaml'), content('envs/prod/web')]).toEqual(['services: {}\n', 'A=1\n']);
    expect(statSync(path.join(project, '.env')).mode & 0o777).toBe(0o600);
    expect(masked).toEqual(['hush hush']);
    expect(readdirSync(path.join(project, '.caretaker/staging'))).toEqual([]);

    await away();
    expect(there()).toEqual([]);
    // Interrupted, it is done again.
    await away();
  });

  test('that are there stay, and are told of where they differ', async () => {
    writeFileSync(path.join(project, 'compose.yaml'), 'services: {}\n');
    mkdirSync(path.join(project, 'envs/prod'), { recursive: true });
    writeFileSync(path.join(project, 'envs/prod/web'), 'A=2\n');
    expect(await bringProjectFiles(tools(), await backup())).toBe(1);
    expect(content('envs/prod/web')).toBe('A=2\n');
    expect(said.filter((line) => line.includes('another content'))).toEqual([
      expect.stringContaining('envs/prod/web is here'),
    ]);
    await away();
    expect(there().sort()).toEqual(['compose.yaml', 'envs']);
  });

  test('that somebody has changed since stay when the rest goes', async () => {
    await bringProjectFiles(tools(), await backup());
    writeFileSync(path.join(project, 'envs/prod/web'), 'A=3\n');
    await away();
    expect(there()).toEqual(['envs']);
    expect(said.at(-1)).toContain('was changed since');
  });

  test.each([
    ['a device without an end', (file: string) => symlinkSync('/dev/zero', file)],
    ['a pipe', (file: string) => execFileSync('mkfifo', [file])],
  ])('%s in the place of one is told of, stays, and is not waited for', async (_what, make) => {
    make(path.join(project, 'compose.yaml'));
    expect(await bringProjectFiles(tools(), await backup())).toBe(2);
    expect(said.filter((line) => line.includes('another content'))).toEqual([expect.stringContaining('compose.yaml')]);
    rmSync(path.join(project, '.env'));
    make(path.join(project, '.env'));
    await away();
    expect(there().sort()).toEqual(['.env', 'compose.yaml']);
    expect(said.at(-1)).toContain('was changed since');
  });

  test('never go through a link out of the project, nor into git’s own or this program’s', async () => {
    mkdirSync(path.join(home, 'elsewhere'));
    symlinkSync('../elsewhere', path.join(project, 'envs'));
    for (const name of ['.git/hooks', '.caretaker']) {
      mkdirSync(path.join(home, 'old', name), { recursive: true });
      writeFileSync(path.join(home, 'old', name, 'evil'), 'x');
      chmodSync(path.join(home, 'old', name, 'evil'), 0o755);
    }
    const hostile = await backup('./.git', './.caretaker');
    await expect(bringProjectFiles(tools(), hostile)).rejects.toThrow('outside of the project');
    expect(existsSync(path.join(home, 'elsewhere/prod'))).toBe(false);
    mkdirSync(path.join(project, 'sub/.git'), { recursive: true });
    rmSync(path.join(project, 'envs'));
    symlinkSync('sub/.git', path.join(project, 'envs'));
    await expect(bringProjectFiles(tools(), hostile)).rejects.toThrow('nobody’s configuration');
    expect(readdirSync(path.join(project, 'sub/.git'))).toEqual([]);
    expect(existsSync(path.join(project, '.git'))).toBe(false);
    expect(existsSync(path.join(project, '.caretaker/evil'))).toBe(false);
    expect(undo).toBeUndefined();
  });

  test('of a backup that has none are none', async () => {
    const { manifest, ...rest } = await backup();
    expect(await bringProjectFiles(tools(), { ...rest, manifest: { ...manifest, parts: [] } })).toBe(0);
    expect(undo).toBeUndefined();
  });
});
