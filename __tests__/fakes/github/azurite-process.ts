/**
 * Azurite's blob service in a process of its own, which ends when the stand-in's process ends, however that one dies.
 * Started with an IPC channel; Azurite reads its options from the command line.
 */
import { createRequire } from 'node:module';

process.once('disconnect', () => process.exit(0));
createRequire(import.meta.url)('azurite/dist/src/blob/main.js');
