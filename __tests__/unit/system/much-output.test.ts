import { describe, expect, test } from '@jest/globals';
import { nodeProcesses } from '../../../src/system/node-processes.ts';

const source = (name: string): string =>
  JSON.stringify(new URL(`../../../src/system/${name}.ts`, import.meta.url).href);

/** In a process of its own: what grows there is ours. Its output is JSON. */
async function measured(call: string, script: string): Promise<{ most: number; longest: number; words: string }> {
  const program = `
    import { runAuthorCommand } from ${source('author-command')};
    import { nodeProcesses } from ${source('node-processes')};
    let longest = 0;
    const onLine = (line) => void (longest = Math.max(longest, line.length));
    const script = ${JSON.stringify(script)};
    const before = process.memoryUsage.rss();
    const words = await (${call});
    const most = process.resourceUsage().maxRSS * 1024 - before;
    console.log(JSON.stringify({ most, longest, words: words.slice(-100) }));`;
  const { stdout } = await nodeProcesses.run({
    argv: [process.execPath, '--no-warnings', '--input-type=module', '--eval', program],
  });
  return JSON.parse(stdout) as { most: number; longest: number; words: string };
}

const RUN = "nodeProcesses.run({ argv: ['sh', '-c', script] }, { onLine }).catch((error) => error.message)";
const STREAM = "nodeProcesses.stream({ argv: ['sh', '-c', script] }).done.catch((error) => error.message)";
const AUTHOR = "runAuthorCommand(script, { cwd: '/', onLine }).then(({ tail }) => tail)";
const LINES = 'yes "some words of a build" | head -n 18000000';
const ONE_LINE = 'head -c 400000000 /dev/zero | tr "\\0" x';
const END = 'echo; echo it broke here; exit 3';

// Far more than what the collector of garbage leaves lying at times, which depends on the machine: some 130 MB were seen.
describe('400 MB of output', () => {
  test.each([
    ['lines of a program', RUN, `${LINES}; ${END}`],
    ['lines on standard error', RUN, `{ ${LINES}; ${END}; } >&2`],
    ['one line without an end', RUN, `${ONE_LINE}; ${END}`],
    ['one such line on standard error', RUN, `{ ${ONE_LINE}; ${END}; } >&2`],
    ['one on standard error of a program whose output is data', STREAM, `{ ${ONE_LINE}; ${END}; } >&2`],
    ['lines of an author’s command', AUTHOR, `{ ${LINES}; } || true; ${END}`],
    ['one line of an author’s command', AUTHOR, `${ONE_LINE}; ${END}`],
  ])(
    'takes little memory, and its last words are told: %s',
    async (_, call, script) => {
      const { most, longest, words } = await measured(call, script);
      expect(words).toMatch(/\nit broke here$/);
      expect(longest).toBeLessThan(256 * 1024);
      expect(most).toBeLessThan(250e6);
    },
    120_000,
  );
});
