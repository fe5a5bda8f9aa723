import { randomUUID } from 'node:crypto';
import { finished } from 'node:stream/promises';
import { StringDecoder } from 'node:string_decoder';
import type { ServerAccess } from './postgres-server.ts';
import { feed } from './streams.ts';
import type { Argv } from '../system/processes.ts';

/**
 * Runs the program, prints the word that comes first, and reads on until the end of the input. With Podman (seen with 4.3, in one of ten calls), all that a
 * program has printed may be lost, with exit code 0, where it ends before its input was read: the socket reports that first, and the client goes.
 */
export const READING_ON = 'over=$1; shift; "$@"; code=$?; printf "%s\\n" "$over"; cat >/dev/null; exit "$code"';

/**
 * Gives bytes to a program in the server's container until it ends, and each line that it prints to `onLine`. Throws its own words where it fails, and what
 * the bytes throw.
 */
export async function feedProgram(
  access: Pick<ServerAccess, 'stream'>,
  argv: Argv,
  bytes: AsyncIterable<Uint8Array>,
  onLine: (line: string) => void = () => undefined,
): Promise<void> {
  // Nothing that comes in the bytes can be taken for it.
  const over = randomUUID();
  const stream = access.stream(['sh', '-c', READING_ON, 'sh', over, ...argv]);
  const decoder = new StringDecoder('utf8');
  let rest = '';
  let ended = false;
  stream.stdout.on('data', (chunk: Buffer) => {
    const lines = (rest + decoder.write(chunk)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      ended ||= line.endsWith(over);
      if (line !== over) onLine(line.replace(over, ''));
    }
  });
  const printed = finished(stream.stdout, { writable: false });
  printed.catch(() => undefined); // It is waited for below, when the program has ended well.
  await feed(stream, bytes, () => ended);
  await printed;
}
