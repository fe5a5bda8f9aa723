import { randomUUID } from 'node:crypto';
import type { Runtime } from './runtime.ts';

/** Removes an image that has no name, unless something uses it. One that has a name, or is not there, is left alone. */
export async function removeNameless(runtime: Pick<Runtime, 'imageId' | 'tag' | 'untag'>, id: string): Promise<void> {
  if ((await runtime.imageId(id)) === null) return;
  // An image goes with its last name.
  const name = `localhost/compose-caretaker/nameless:${randomUUID()}`;
  await runtime.tag(id, name);
  await runtime.untag(name);
}
