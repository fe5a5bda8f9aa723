import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { ownIdentity, processStat, stateOf } from '../../../src/system/identity.ts';
import { killChildren } from '../../../src/system/live-processes.ts';
import { nodeProcesses } from '../../../src/system/node-processes.ts';
import type { Argv, RunOptions } from '../../../src/system/processes.ts';
import { temporaryDirectories } from './temporary.ts';

const temporary = temporaryDirectories();

function sh(script: string, options?: RunOptions, env?: Record<string, string>) {
  return nodeProcesses.run({ argv: ['sh', '-c', script], ...(env ? { env } : {}) }, options);
}

/** In a process of its own, where garbage is collected at once before each sample: buffers that are still referred to are what is counted. */
const MEASURED = `
  import { nodeProcesses } from ${JSON.stringify(new URL('../../../src/system/node-processes.ts', import.meta.url).href)};
  const live = () => (gc(), gc(), process.memoryUsage().arrayBuffers);
  const before = live();
  const samples = [];
  const timer = setInterval(() => samples.push(live() - before), 50);
  const { stdout } = await nodeProcesses.run({ argv: ['sh', '-c', 'head -c 100000000 /dev/zero | tr "\\\\0" x; echo; echo the end'] });
  clearInterval(timer);
  const most = Math.max(...samples);
  console.log(JSON.stringify({ end: stdout.slice(-10), kept: Buffer.byteLength(stdout), samples: samples.length, most }));`;

/** Until the file that a child writes its number to is there. */
async function pidFrom(file: string): Promise<number> {
  while (!existsSync(file) || !readFileSync(file, 'utf8').endsWith('\n')) await setTimeout(10);
  return Number(readFileSync(file, 'utf8'));
}

async function gone(pid: number): Promise<void> {
  for (;;) {
    const stat = processStat(pid);
    if (stat === null || stat.state === 'Z') return;
    await setTimeout(10);
  }
}

describe('run', () => {
  test('answers with both outputs apart, and passes input, directory and environment', async () => {
    const cwd = temporary();
    const result = await nodeProcesses.run(
      { argv: ['sh', '-c', 'cat; pwd; echo "$WORD" >&2'], cwd, env: { WORD: 'hello' } },
      { input: 'given\n' },
    );
    expect(result).toEqual({ exitCode: 0, stdout: `given\n${cwd}\n`, stderr: 'hello\n' });
  });

  test('the inputs and the job’s own tokens are not handed on, but where a command is given one', async () => {
    const ours = { 'INPUT_GITHUB-TOKEN': 'one', ACTIONS_RUNTIME_TOKEN: 'two', ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'three', CARETAKER_IDENTITY: 'four', CARETAKER_PASSPHRASE: 'five' }; // prettier-ignore
    // A token in the user's own environment is for his compose files and builds as well.
    const users = { GREETING: 'hello', GH_TOKEN: 'his' };
    Object.assign(process.env, ours, users);
    try {
      const { stdout } = await sh('env', {}, { ACTIONS_RUNTIME_TOKEN: 'for you' });
      const told = stdout.split('\n').filter((line) => /^(INPUT_|ACTIONS_|CARETAKER_|GREETING|GH_TOKEN)/.test(line));
      expect(told.sort()).toEqual(['ACTIONS_RUNTIME_TOKEN=for you', 'GH_TOKEN=his', 'GREETING=hello']);
    } finally {
      for (const name of Object.keys({ ...ours, ...users })) delete process.env[name];
    }
  });

  test('without input, standard input is empty', async () => {
    expect((await sh('cat; echo end')).stdout).toBe('end\n');
  });

  test('a program that does not read its input is judged by its exit code', async () => {
    const result = await nodeProcesses.run({ argv: ['true'] }, { input: 'x'.repeat(4 * 1024 * 1024) });
    expect(result.exitCode).toBe(0);
  });

  test('an exit code is a failure with the last words, or an answer where it is accepted', async () => {
    await expect(sh('echo no luck >&2; exit 7')).rejects.toMatchObject({
      code: 'command-failed',
      message: expect.stringMatching(/exit code 7: no luck$/),
    });
    expect((await sh('exit 7', { accept: [0, 7] })).exitCode).toBe(7);
    await expect(sh('exit 0', { accept: [7] })).rejects.toMatchObject({ code: 'command-failed' });
    await expect(sh('kill -9 $$', { accept: [0, 137] })).rejects.toMatchObject({
      code: 'command-failed',
      message: expect.stringContaining('SIGKILL'),
    });
  });

  test('tells a missing program from a missing directory', async () => {
    await expect(nodeProcesses.run({ argv: ['no-such-program-here'] })).rejects.toMatchObject({
      code: 'command-missing',
    });
    await expect(nodeProcesses.run({ argv: ['true'], cwd: '/no/such/place' })).rejects.toMatchObject({
      code: 'command-failed',
      message: expect.stringContaining('/no/such/place'),
    });
  });

  test('100 MB of output leave its end, in bounded memory', async () => {
    const { stdout } = await nodeProcesses.run({
      argv: [process.execPath, '--no-warnings', '--expose-gc', '--input-type=module', '--eval', MEASURED],
    });
    const { end, kept, samples, most } = JSON.parse(stdout) as Record<string, number>;
    expect(end).toBe('x\nthe end\n');
    expect(kept).toBe(1024 * 1024);
    expect(samples).toBeGreaterThan(0);
    expect(most).toBeLessThan(8 * 1024 * 1024);
  }, 60_000);

  test('what is cut off is cut between characters', async () => {
    const { stdout } = await sh(
      'i=0; while [ $i -lt 12000 ]; do echo €€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€€; i=$((i+1)); done',
    );
    expect(Buffer.byteLength(stdout)).toBeGreaterThan(1024 * 1024 - 4);
    expect(stdout).not.toContain('\ufffd');
  });

  test('hands on every line of both outputs as it comes, the last without newline too', async () => {
    const lines: string[] = [];
    await sh('echo one; sleep 0.1; echo two >&2; sleep 0.1; printf "three\\r\\nfo"; sleep 0.1; printf ur', {
      onLine: (line) => lines.push(line),
    });
    expect(lines).toEqual(['one', 'two', 'three', 'four']);
  });

  test('an error thrown by the listener ends the program and comes back', async () => {
    const onLine = (): void => {
      throw new Error('listener');
    };
    await expect(sh('echo x; sleep 100', { onLine })).rejects.toThrow('listener');
  });

  test('a value of the environment is in no error and no line', async () => {
    const lines: string[] = [];
    const failing = sh(
      'echo "password $SECRET" >&2; exit 1',
      { onLine: (line) => lines.push(line) },
      { SECRET: 'hunter22' },
    );
    await expect(failing).rejects.toMatchObject({ message: expect.not.stringContaining('hunter22') });
    expect(lines).toEqual(['password ***']);
    const refused = nodeProcesses.run({ argv: ['true'], env: { SECRET: 'hunter22\0' } });
    const error: Error = await refused.then(
      () => new Error('was started'),
      (thrown: Error) => thrown,
    );
    expect(error).toMatchObject({ code: 'command-failed' });
    expect(`${error.stack} ${JSON.stringify(error)} ${String(error.cause)}`).not.toContain('hunter22');
  });

  test('after a timeout nothing of the command runs on, also what refuses SIGTERM', async () => {
    const file = path.join(temporary(), 'pid');
    const script = `(trap '' TERM; echo $$ >/dev/null; sh -c 'echo $PPID > ${file}; trap "" TERM; while :; do sleep 1; done') & wait`;
    await expect(sh(script, { timeoutMs: 300 })).rejects.toMatchObject({ code: 'command-timeout' });
    await gone(await pidFrom(file));
  });

  test('after a timeout nothing runs on that has made a session of its own either, nor what such a one has started', async () => {
    const directory = temporary();
    const [one, other] = [path.join(directory, 'one'), path.join(directory, 'other')];
    const worker = `trap "" TERM; setsid sh -c "echo \\$\\$ > ${other}; trap : TERM; while :; do sleep 1; done" & echo $$ > ${one}; wait; wait; sleep 100`;
    await expect(sh(`setsid sh -c '${worker}' & wait`, { timeoutMs: 1500 })).rejects.toMatchObject({
      code: 'command-timeout',
    });
    for (const file of [one, other]) await gone(await pidFrom(file));
  });

  test('an abort ends the command; one that came before does not start it', async () => {
    const controller = new AbortController();
    const file = path.join(temporary(), 'pid');
    const running = sh(`echo $$ > ${file}; sleep 100 | cat`, { signal: controller.signal });
    const settled = expect(running).rejects.toMatchObject({ code: 'cancelled' });
    const pid = await pidFrom(file);
    controller.abort();
    await settled;
    await gone(pid);
    const other = path.join(temporary(), 'pid');
    await expect(sh(`echo > ${other}`, { signal: controller.signal })).rejects.toMatchObject({ code: 'cancelled' });
    expect(existsSync(other)).toBe(false);
  });

  test('does not wait for a daemon that keeps the pipes, and does not break them where it is to stay', async () => {
    const directory = temporary();
    const [pidFile, tickFile] = [path.join(directory, 'pid'), path.join(directory, 'ticks')];
    const daemon = `sh -c 'echo $$ > ${pidFile}; for i in $(seq 60); do echo said; echo x >> ${tickFile}; sleep 0.05; done' & echo up`;
    const result = await sh(daemon, { outlivesJob: true });
    expect(result.stdout).toMatch(/^(said\n)*up\n/);
    const pid = await pidFrom(pidFile);
    expect(processStat(pid)).not.toBeNull();
    await gone(pid);
    expect(readFileSync(tickFile, 'utf8')).toHaveLength(120);
  });

  test('what outlives the job has a session of its own and no tracking id', async () => {
    process.env['RUNNER_TRACKING_ID'] = 'github_1234';
    try {
      const script =
        'echo "[$RUNNER_TRACKING_ID]"; ls /proc/$$/fd | tr "\\n" " "; cut -d" " -f6 /proc/$$/stat; echo $$';
      const [id, descriptors, ownPid] = (await sh(script, { outlivesJob: true })).stdout.split('\n');
      expect(id).toBe('[]');
      const [session] = (descriptors ?? '').split(' ').slice(-1);
      expect(session).toBe(ownPid);
      expect((descriptors ?? '').split(' ').slice(0, 3)).toEqual(['0', '1', '2']);
      expect((await sh('echo "[$RUNNER_TRACKING_ID]"')).stdout).toBe('[github_1234]\n');
    } finally {
      delete process.env['RUNNER_TRACKING_ID'];
    }
  });

  test('cancelling a start spares the helpers that it has sent into the background', async () => {
    const directory = temporary();
    const [helper, worker] = [path.join(directory, 'helper'), path.join(directory, 'worker')];
    const controller = new AbortController();
    // The helper is in the same process group, but no child of the command any more.
    const script =
      `sh -c '(sh -c "echo \\$\\$ > ${helper}; exec sleep 30" >/dev/null 2>&1 &)'; ` +
      `sh -c 'echo $$ > ${worker}; exec sleep 30'; true`;
    const settled = expect(sh(script, { outlivesJob: true, signal: controller.signal })).rejects.toMatchObject({
      code: 'cancelled',
    });
    const [helperPid, workerPid] = [await pidFrom(helper), await pidFrom(worker)];
    controller.abort();
    await settled;
    await gone(workerPid);
    // It lives: whether it sleeps already depends on how busy the machine is.
    expect(processStat(helperPid)?.state).toMatch(/^[SRD]$/);
    process.kill(helperPid);
  });

  test('killChildren ends all that run', async () => {
    const files = [0, 1].map(() => path.join(temporary(), 'pid'));
    const settled = files.map((file) =>
      expect(sh(`echo $$ > ${file}; sleep 100`)).rejects.toMatchObject({ code: 'cancelled' }),
    );
    const pids = await Promise.all(files.map(pidFrom));
    await killChildren();
    await Promise.all(settled);
    await Promise.all(pids.map(gone));
  });
});

describe('stream', () => {
  async function read(argv: Argv, env?: Record<string, string>) {
    const stream = nodeProcesses.stream({ argv, ...(env ? { env } : {}) });
    stream.stdin.end();
    let bytes = 0;
    for await (const chunk of stream.stdout) bytes += (chunk as Buffer).length;
    return { bytes, done: stream.done };
  }

  test('all bytes pass, and done is fulfilled', async () => {
    const { bytes, done } = await read(['head', '-c', '5000000', '/dev/zero']);
    await expect(done).resolves.toBeUndefined();
    expect(bytes).toBe(5_000_000);
  });

  test('a slow reader gets all that was printed, also after the end of the process', async () => {
    const stream = nodeProcesses.stream({ argv: ['sh', '-c', 'head -c 60000 /dev/zero'] });
    await stream.done;
    let bytes = 0;
    for await (const chunk of stream.stdout) bytes += (chunk as Buffer).length;
    expect(bytes).toBe(60_000);
  });

  test('a failure after output rejects done with code and last words', async () => {
    const { bytes, done } = await read(['sh', '-c', 'echo data; echo "bad disk $SECRET" >&2; exit 3'], {
      SECRET: 'hunter22',
    });
    expect(bytes).toBe(5);
    await expect(done).rejects.toMatchObject({
      code: 'command-failed',
      message: expect.stringMatching(/exit code 3: bad disk \*\*\*$/),
    });
  });

  test('a missing program: the reader and done say so', async () => {
    const stream = nodeProcesses.stream({ argv: ['no-such-program-here'] });
    await expect(stream.stdout.toArray()).rejects.toMatchObject({ code: 'command-missing' });
    await expect(stream.done).rejects.toMatchObject({ code: 'command-missing' });
  });

  test('nobody awaits it, it fails, it refuses its input: nothing is unhandled', async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown): void => void unhandled.push(reason);
    process.on('unhandledRejection', note);
    process.on('uncaughtException', note);
    try {
      const { stdin } = nodeProcesses.stream({ argv: ['false'] });
      stdin.write('x'.repeat(1_000_000));
      nodeProcesses.stream({ argv: ['no-such-program-here'] });
      nodeProcesses.stream({ argv: ['true'] }, { signal: AbortSignal.abort() });
      await setTimeout(600);
      expect(unhandled).toEqual([]);
    } finally {
      process.off('unhandledRejection', note);
      process.off('uncaughtException', note);
    }
  });

  test('kill and timeout end it, with a code of their own', async () => {
    const killed = nodeProcesses.stream({ argv: ['sh', '-c', 'sleep 100 | cat'] });
    killed.kill();
    await expect(killed.done).rejects.toMatchObject({ code: 'cancelled' });
    await expect(nodeProcesses.stream({ argv: ['sleep', '100'] }, { timeoutMs: 50 }).done).rejects.toMatchObject({
      code: 'command-timeout',
    });
  });
});

test('a live process is alive, a zombie and another start time are not', async () => {
  const own = ownIdentity();
  expect(stateOf(own, false)).toBe('alive');
  expect(stateOf({ ...own, startTime: '1' }, false)).toBe('dead');
  expect(stateOf({ ...own, pid: 2 ** 22 + 1 }, false)).toBe('dead');
  // Its parent sleeps and does not reap it.
  const file = path.join(temporary(), 'pid');
  const parent = nodeProcesses.stream({ argv: ['sh', '-c', `sh -c 'echo $$ > ${file}' & exec sleep 30`] });
  const pid = await pidFrom(file);
  while (processStat(pid)?.state !== 'Z') await setTimeout(10);
  const zombie = { ...own, pid, startTime: processStat(pid)?.startTime ?? '' };
  expect(stateOf(zombie, false)).toBe('dead');
  parent.kill();
});
