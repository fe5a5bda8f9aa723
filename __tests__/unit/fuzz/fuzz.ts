import { randomInt } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll } from '@jest/globals';
import fc from 'fast-check';
import { CaretakerError, CaretakerErrors } from '../../../src/errors.ts';

/** Of all cases: `CARETAKER_FUZZ_SEED` repeats those of an earlier run. */
const given = process.env['CARETAKER_FUZZ_SEED'];
export const seed = given === undefined ? randomInt(2 ** 31) : Number(given);

/** A single case that takes longer hangs, as far as anybody who waits for it can tell. */
const CASE_MS = 5000;

const beat = new Int32Array(new SharedArrayBuffer(8));
let cases = 0;

/** Counts the cases of a file's targets, and prints their number and the seed at its end. A case that does not come to an end at all ends the process, its seed and number told. */
export function fuzzed(target: string): void {
  let watchdog: Worker;
  beforeAll(() => {
    watchdog = new Worker(
      `const { beat, target, seed, ms } = require('node:worker_threads').workerData;
       let last = -1;
       setInterval(() => {
         const now = Atomics.load(beat, 0);
         if (Atomics.load(beat, 1) === 1 && now === last) {
           require('node:fs').writeSync(2, 'fuzz: ' + target + ': seed ' + seed + ', case ' + now + ' does not end\\n');
           process.kill(process.pid, 'SIGKILL');
         }
         last = now;
       }, ms);`,
      { eval: true, workerData: { beat, target, seed, ms: 12 * CASE_MS } },
    );
    watchdog.unref();
  });
  afterAll(async () => {
    await watchdog.terminate();
    process.stdout.write(`fuzz: ${target}: seed ${seed}, ${cases.toLocaleString('en')} cases\n`);
  });
}

/** Throws, with the seed and the smallest counterexample, where `holds` does so for any of `runs` values. */
export async function forAll<T>(
  values: fc.Arbitrary<T>,
  runs: number,
  holds: (value: T) => Promise<void> | void,
): Promise<void> {
  Atomics.store(beat, 1, 1);
  try {
    await fc.assert(
      fc.asyncProperty(values, async (value) => {
        Atomics.add(beat, 0, 1);
        cases += 1;
        const start = performance.now();
        await holds(value);
        const ms = performance.now() - start;
        if (ms > CASE_MS) throw new Error(`it took ${Math.round(ms)} ms`);
      }),
      { seed, numRuns: runs, timeout: 2 * CASE_MS, interruptAfterTimeLimit: 400_000, markInterruptAsFailure: true },
    );
  } finally {
    Atomics.store(beat, 1, 0);
  }
}

/** What `work` answers with, or the errors that it was refused with. Anything without a code is a fault, and goes on. */
export async function codedOr<T>(work: () => Promise<T> | T): Promise<{ value: T } | { errors: CaretakerError[] }> {
  try {
    return { value: await work() };
  } catch (error) {
    const errors = error instanceof CaretakerErrors ? error.problems : [error];
    if (errors.length === 0) throw error;
    const coded = errors.map((one) => {
      if (!(one instanceof CaretakerError) || !/^[a-z][a-z0-9-]+$/.test(one.code) || one.message === '') throw error;
      return one;
    });
    return { errors: coded };
  }
}
