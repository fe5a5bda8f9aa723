import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from '@jest/globals';
import { bootId, ownIdentity, processStat } from '../../../src/system/identity.ts';
import { endCommands, noteCommands } from '../../../src/system/live-processes.ts';
import { nodeProcesses } from '../../../src/system/node-processes.ts';
import { temporaryDirectories } from './temporary.ts';

const temporary = temporaryDirectories();

interface Line {
  readonly pid: number;
  readonly startTime: string;
}

const linesOf = (file: string): Line[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Line);

/** A program of ours that starts these commands, and is killed once each is noted. */
async function killedWith(file: string, ...commands: readonly string[]): Promise<Line[]> {
  const system = path.resolve(import.meta.dirname, '../../../src/system');
  const program = `
    import { noteCommands } from '${system}/live-processes.ts';
    import { nodeProcesses } from '${system}/node-processes.ts';
    noteCommands(${JSON.stringify(file)}, console.error);
    for (const text of ${JSON.stringify(commands)}) void nodeProcesses.run({ argv: ['sh', '-c', text] });
    setTimeout(() => undefined, 60_000);`;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '--disable-warning=ExperimentalWarning', '-e', program], { stdio: 'inherit' }); // prettier-ignore
  while (!existsSync(file) || linesOf(file).length < commands.length) await new Promise((done) => setTimeout(done, 10));
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
  return linesOf(file);
}

const runs = ({ pid, startTime }: Line): boolean => {
  const stat = processStat(pid);
  return stat?.startTime === startTime && stat.state !== 'Z';
};

test('what a killed program has left running is ended, also what does not listen to SIGTERM, with all that it has started', async () => {
  const directory = temporary();
  const file = path.join(directory, 'commands.jsonl');
  const lines = await killedWith(file, `trap '' TERM; (sleep 7; touch ${directory}/late) & wait`, `sleep 60 | cat`);
  expect(lines.map(runs)).toEqual([true, true]);
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const { ended, left } = await endCommands(file);
  expect([ended.map((name) => name.replace(/\d+/, 'PID')), left]).toEqual([['sh (process PID)', 'sh (process PID)'], []]); // prettier-ignore
  expect(lines.map(runs)).toEqual([false, false]);
  expect(existsSync(file)).toBe(false);
  await new Promise((done) => setTimeout(done, 5000));
  expect(existsSync(path.join(directory, 'late'))).toBe(false);
});

test('what a command has begun is ended, too, where it has died of its output since', async () => {
  const directory = temporary();
  const file = path.join(directory, 'commands.jsonl');
  const text = `(trap '' PIPE; sleep 60; touch ${directory}/late) & while sleep 0.1; do echo working; done`;
  const [line] = (await killedWith(file, text)) as [Line];
  while (runs(line)) await new Promise((done) => setTimeout(done, 10));
  expect((await endCommands(file)).ended).toEqual([`sh (process ${line.pid})`]);
  expect(await endCommands(file)).toEqual({ ended: [], left: [] });
  expect(spawnSync('pgrep', ['-g', String(line.pid), '-r', 'R,S,D']).status).toBe(1);
});

test('what a command left in the background before its own end is left alone', async () => {
  const file = path.join(temporary(), 'commands.jsonl');
  noteCommands(file, () => undefined);
  await nodeProcesses.run({ argv: ['sh', '-c', 'sleep 60 >/dev/null 2>&1 &'] });
  const lines = linesOf(file);
  expect(lines).toEqual([expect.not.objectContaining({ over: true }), expect.objectContaining({ over: true })]);
  expect(await endCommands(file)).toEqual({ ended: [], left: [] });
  expect(spawnSync('pkill', ['-g', String(lines[0]?.pid)]).status).toBe(0);
});

test('a command that can not be noted runs all the same, and its owner is told once', async () => {
  const failures: unknown[] = [];
  const over = noteCommands(path.join(temporary(), 'gone', 'commands.jsonl'), (error) => failures.push(error));
  expect((await nodeProcesses.run({ argv: ['echo', 'done'] })).stdout).toBe('done\n');
  over();
  expect(failures).toEqual([expect.objectContaining({ code: 'ENOENT' })]);
});

test('a program that ends notes nothing for the next one', async () => {
  const file = path.join(temporary(), 'commands.jsonl');
  writeFileSync(file, 'of an earlier one');
  const over = noteCommands(file, () => undefined);
  await nodeProcesses.run({ argv: ['true'] });
  const line = { program: 'true', scope: 'group', bootId: bootId() };
  expect(linesOf(file)).toEqual([expect.objectContaining(line), expect.objectContaining({ ...line, over: true })]);
  over();
  await nodeProcesses.run({ argv: ['true'] });
  expect(existsSync(file)).toBe(false);
  expect(await endCommands(file)).toEqual({ ended: [], left: [] });
});

test('a number that another process has by now, another boot, and lines that are none, end nothing', async () => {
  const directory = temporary();
  const file = path.join(directory, 'commands.jsonl');
  const other = spawn('sleep', ['60']);
  const { startTime } = processStat(other.pid ?? 0) ?? { startTime: '' };
  const { pidNamespace } = ownIdentity();
  const line = { pid: other.pid, startTime, program: 'sleep', scope: 'group', bootId: bootId(), pidNamespace };
  const lines = [
    { ...line, startTime: '1' },
    { ...line, bootId: 'another' },
    { ...line, pidNamespace: 'another' },
    { ...line, pid: String(other.pid) },
    { ...line, pid: -1 },
    null,
  ];
  writeFileSync(file, `${lines.map((one) => JSON.stringify(one)).join('\n')}\n{"pid": ${other.pid}, "sta`);
  expect(await endCommands(file)).toEqual({ ended: [], left: [] });
  // Somebody else's file, through a link of his.
  writeFileSync(path.join(directory, 'his'), JSON.stringify(line));
  symlinkSync('his', file);
  expect(await endCommands(file)).toEqual({ ended: [], left: [] });
  expect(other.exitCode).toBeNull();
  expect((await endCommands(path.join(directory, 'his'))).ended).toEqual([`sleep (process ${other.pid})`]);
});
