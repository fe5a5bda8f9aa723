/**
 * `npm run test:crash`: the whole matrix on both engines, side by side. With `--rotate N` only the N-th part of it that this commit's name chooses, so that every
 * part has its turn. What `crash.ts` knows is passed on to it.
 */
import { execFileSync, spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';

const given = process.argv.slice(2);
const at = given.indexOf('--rotate');
const [, parts] = at === -1 ? [] : given.splice(at, 2);
if (parts !== undefined) {
  const commit = execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8', cwd: import.meta.dirname });
  given.push('--part', `${(parseInt(commit.slice(0, 8), 16) % Number(parts)) + 1}/${parts}`);
}
const engines = given.includes('--engine')
  ? [[]]
  : [
      ['--engine', 'docker'],
      ['--engine', 'podman'],
    ];

const ended = await Promise.all(engines.map((engine) => run([...engine, ...given])));
const [passed, failed] = [0, 1].map((index) => ended.reduce((sum, { counts }) => sum + (counts[index] ?? 0), 0));
console.log(`${given.join(' ')}\n${passed} passed, ${failed} failed`);
process.exitCode = ended.every(({ code, counts }) => code === 0 && counts.length === 2) ? 0 : 1;

async function run(
  words: readonly string[],
): Promise<{ readonly code: number | null; readonly counts: readonly number[] }> {
  const child = spawn(process.execPath, [path.join(import.meta.dirname, 'crash.ts'), ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const code = new Promise<number | null>((resolve) => child.on('close', resolve));
  let counts: readonly number[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    const sum = /^(\d+) passed, (\d+) failed$/.exec(line);
    if (sum === null) console.log(`${words[1] ?? ''}: ${line}`);
    else counts = [Number(sum[1]), Number(sum[2])];
  }
  return { code: await code, counts };
}
