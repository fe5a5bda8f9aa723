/**
 * Contends for the lock of a directory from a given moment on, and prints the error's code if it does not get it. Without a time to wait: prints `held`, and holds it until standard
 * input ends. With one: is alone in the directory for a moment, and prints `done`, or `overlap` where somebody else was there.
 */
import { mkdirSync, rmdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { CaretakerError } from '../../../src/errors.ts';
import { silentLog } from '../../../src/report/silent.ts';
import { acquireLock } from '../../../src/safety/lock.ts';
import { systemClock } from '../../../src/system/system-clock.ts';

const [directory = '', startAt = '0', timeout = '0'] = process.argv.slice(2);
const timeoutMs = Number(timeout);
// All at the same moment.
await setTimeout(Math.max(1, Number(startAt) - Date.now()));
try {
  const info = { mode: 'backup', runUrl: 'https://example.org/run/1' };
  const lock = await acquireLock(directory, info, { timeoutMs, clock: systemClock, log: silentLog() });
  if (timeoutMs === 0) {
    process.stdout.write('held\n');
    for await (const _ of process.stdin) continue;
  } else {
    const alone = path.join(directory, 'alone');
    try {
      mkdirSync(alone);
      await setTimeout(20);
      rmdirSync(alone);
      process.stdout.write('done\n');
    } catch {
      process.stdout.write('overlap\n');
    }
  }
  await lock.release();
} catch (error) {
  process.stdout.write(`${error instanceof CaretakerError ? error.code : String(error)}\n`);
}
