import { expect, test } from '@jest/globals';
import { feedProgram } from '../../../src/sources/postgres-feed.ts';
import { nodeProcesses } from '../../../src/system/node-processes.ts';
import type { Argv } from '../../../src/system/processes.ts';

/** What would run in the container runs here. */
const access = { stream: (argv: Argv) => nodeProcesses.stream({ argv }) };
const CHUNK = Buffer.alloc(64 * 1024, 'x');

function endless(): { bytes: AsyncIterable<Uint8Array>; given: () => number } {
  let count = 0;
  const bytes = async function* (): AsyncGenerator<Uint8Array> {
    for (; count < 20_000; count++) {
      await new Promise(setImmediate);
      yield CHUNK;
    }
  };
  return { bytes: bytes(), given: () => count };
}

test('a program that leaves input unread gets no more of it, and all that it prints arrives', async () => {
  const { bytes, given } = endless();
  const lines: string[] = [];
  const program = ['sh', '-c', 'head -c 100000 >/dev/null; printf "first\\n\\nGröße\\nunended"'] as const;
  await feedProgram(access, program, bytes, (line) => lines.push(line));
  expect(lines).toEqual(['first', '', 'Größe', 'unended']);
  expect(given()).toBeLessThan(20_000);
});

test('one that fails before the end of its input tells why, and is fed no further', async () => {
  const { bytes, given } = endless();
  const program = ['sh', '-c', 'head -c 100000 >/dev/null; echo "no such role" >&2; exit 3'] as const;
  await expect(feedProgram(access, program, bytes)).rejects.toThrow(/code 3.*no such role/s);
  expect(given()).toBeLessThan(20_000);
});

test('one that reads all gets all, to the last byte', async () => {
  const lines: string[] = [];
  const bytes = async function* (): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < 100; i++) yield await Promise.resolve(CHUNK);
  };
  await feedProgram(access, ['wc', '-c'], bytes(), (line) => lines.push(line.trim()));
  expect(lines).toEqual([String(100 * CHUNK.length)]);
});

test('bad bytes end the program, and are what is told', async () => {
  const bytes = async function* (): AsyncGenerator<Uint8Array> {
    yield await Promise.resolve(CHUNK);
    throw new Error('digest differs');
  };
  await expect(feedProgram(access, ['sh', '-c', 'cat >/dev/null; echo taken'], bytes())).rejects.toThrow(
    'digest differs',
  );
});
