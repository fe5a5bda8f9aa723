import { existsSync } from 'node:fs';
import type { CaretakerError } from '../errors.ts';
import { diskFull, isNoSpace } from '../system/disk.ts';
import type { Runtime } from './runtime.ts';

/** Does what writes into the engine's storage; `what` completes "failed to …". `disk-full` where there is no space. */
export async function inStorage<T>(
  runtime: Pick<Runtime, 'storage'>,
  what: string,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw isNoSpace(error) ? await storageFull(runtime, what, error) : error;
  }
}

/** `disk-full`, with the numbers of the engine's storage if it can be seen from here. */
export async function storageFull(
  runtime: Pick<Runtime, 'storage'>,
  what: string,
  cause: unknown,
): Promise<CaretakerError> {
  const place = await runtime.storage();
  return diskFull(what, existsSync(place) ? { place } : undefined, cause);
}
