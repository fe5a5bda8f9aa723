import { existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { codeWords, runAuthorCommand } from '../../../src/system/author-command.ts';
import { processStat } from '../../../src/system/identity.ts';
import { killChildren } from '../../../src/system/live-processes.ts';
import { temporaryDirectories } from './temporary.ts';

const temporary = temporaryDirectories();

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

describe('the author’s own shell command', () => {
  test('runs in its directory with its environment; output of both kinds comes line by line', async () => {
    const cwd = temporary();
    const lines: string[] = [];
    const result = await runAuthorCommand('pwd; echo "$WORD" >&2; echo also > /dev/stderr; echo last | cat', {
      cwd,
      env: { WORD: 'from env' },
      onLine: (line) => lines.push(line),
    });
    expect(lines).toEqual([cwd, 'from env', 'also', 'last']);
    expect(result).toEqual({ exitCode: 0, tail: `${cwd}\nfrom env\nalso\nlast` });
  });

  test('any exit code is an answer, and the first failure ends it, in a pipe too', async () => {
    const cwd = temporary();
    expect(await runAuthorCommand('exit 3', { cwd })).toEqual({ exitCode: 3, tail: '' });
    expect(await runAuthorCommand('echo a; false | cat; echo b', { cwd })).toEqual({ exitCode: 1, tail: 'a' });
    const { exitCode } = await runAuthorCommand('kill -9 $$', { cwd });
    expect(codeWords(exitCode)).toBe('code 137 (SIGKILL)');
    expect(codeWords((await runAuthorCommand('sh -c "kill -TERM \\$\\$"', { cwd })).exitCode)).toBe(
      'code 143 (SIGTERM)',
    );
    expect(codeWords(3)).toBe('code 3');
  });

  test('a command that reads its input finds it empty', async () => {
    expect(await runAuthorCommand('cat; echo read', { cwd: temporary() })).toEqual({ exitCode: 0, tail: 'read' });
  });

  test('a timeout and a cancel end all of it', async () => {
    const cwd = temporary();
    await expect(runAuthorCommand('echo $$ > one; sleep 100 | cat', { cwd, timeoutMs: 3000 })).rejects.toMatchObject({
      code: 'command-timeout',
    });
    await gone(await pidFrom(path.join(cwd, 'one')));

    const controller = new AbortController();
    const settled = expect(
      runAuthorCommand('sh -c "echo \\$\\$ > two; sleep 100"; true', { cwd, signal: controller.signal }),
    ).rejects.toMatchObject({ code: 'cancelled' });
    const pid = await pidFrom(path.join(cwd, 'two'));
    controller.abort();
    await settled;
    await gone(pid);
    // The shell must have come to its first word before its time is over, on a busy machine too.
  }, 30_000);

  test('a cancel ends what refuses SIGTERM, and what has made a session of its own', async () => {
    const cwd = temporary();
    const controller = new AbortController();
    const stubborn = (name: string): string => `trap "" TERM; echo $BASHPID > ${name}; while :; do sleep 1; done`;
    const command = `setsid bash -c '${stubborn('one')}' & (${stubborn('two')}) & ${stubborn('three')}`;
    const settled = expect(runAuthorCommand(command, { cwd, signal: controller.signal })).rejects.toMatchObject({
      code: 'cancelled',
    });
    const pids = await Promise.all(['one', 'two', 'three'].map((name) => pidFrom(path.join(cwd, name))));
    controller.abort();
    await settled;
    await Promise.all(pids.map(gone));
  }, 30_000);

  test('killChildren ends it too', async () => {
    const cwd = temporary();
    const settled = expect(runAuthorCommand('echo $$ > pid; sleep 100', { cwd })).rejects.toMatchObject({
      code: 'cancelled',
    });
    const pid = await pidFrom(path.join(cwd, 'pid'));
    await killChildren();
    await settled;
    await gone(pid);
  });

  test('what a start command leaves in the background goes on, talks on, and keeps nobody waiting', async () => {
    const cwd = temporary();
    const script = path.join(cwd, 'start.mjs');
    const source = path.resolve('src/system/author-command.ts');
    const { writeFileSync } = await import('node:fs');
    writeFileSync(
      script,
      `import { runAuthorCommand } from ${JSON.stringify(source)};
       await runAuthorCommand('(echo $BASHPID > pid; for i in $(seq 40); do echo said; echo x >> ticks; sleep 0.05; done) & echo up', { cwd: ${JSON.stringify(cwd)}, outlivesJob: true });`,
    );
    // The program ends by itself, while its child still has the pipes.
    execFileSync(process.execPath, [script], { stdio: 'pipe' });
    const pid = await pidFrom(path.join(cwd, 'pid'));
    expect(processStat(pid)).not.toBeNull();
    await gone(pid);
    expect(readFileSync(path.join(cwd, 'ticks'), 'utf8')).toHaveLength(80);
  });

  test('sh does where there is no bash', async () => {
    const cwd = temporary();
    mkdirSync(path.join(cwd, 'bin'));
    for (const name of ['sh', 'echo']) {
      symlinkSync(
        execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' })
          .trim()
          .replace(/^echo$/, '/bin/echo'),
        path.join(cwd, 'bin', name),
      );
    }
    const before = process.env['PATH'];
    process.env['PATH'] = path.join(cwd, 'bin');
    try {
      expect(await runAuthorCommand('echo "from sh"; exit 4', { cwd })).toEqual({ exitCode: 4, tail: 'from sh' });
    } finally {
      process.env['PATH'] = before;
    }
  });
});
