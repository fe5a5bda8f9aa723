/** Contends for the lock of a directory: prints `held` or the error's code, and holds it until its standard input ends. */
import { setTimeout } from 'node:timers/promises';
import { acquireLock } from '../../../src/safety/lock.ts';
import { CaretakerError } from '../../../src/errors.ts';

const [directory = '', startAt = '0'] = process.argv.slice(2);
// All at the same moment.
await setTimeout(Math.max(1, Number(startAt) - Date.now()));
try {
  const lock = await acquireLock(directory, {
    mode: 'backup',
    since: '2026-11-24T00:00:00.000Z',
    runUrl: 'https://example.org/run/1',
  });
  process.stdout.write('held\n');
  for await (const _ of process.stdin) continue;
  await lock.release();
} catch (error) {
  process.stdout.write(`${error instanceof CaretakerError ? error.code : String(error)}\n`);
}
