/*
 * Loaded before the program: what waits between two attempts, the program itself, GitHub's client (3 s and longer) and Azure's (4 s and longer), waits a fiftieth of it. Shorter
 * timers, and those that tell a stall (a minute), are left as they are. How often is asked does not change by it.
 */
import { syncBuiltinESMExports } from 'node:module';
import promises from 'node:timers/promises';

const hurried = (ms) => (ms >= 1000 && ms < 30_000 ? ms / 50 : ms);
const { setTimeout: later } = globalThis;
const { setTimeout: sleep } = promises;
globalThis.setTimeout = (work, ms, ...rest) => later(work, hurried(ms), ...rest);
promises.setTimeout = (ms, ...rest) => sleep(hurried(ms), ...rest);
syncBuiltinESMExports();
