/** The child of `job.ts`. */
import { DefaultArtifactClient } from '@actions/artifact';
import { restoreCache, saveCache } from '@actions/cache';

import type { Outcome, Step } from './job.ts';

process.once('message', (message) => {
  void (async () => {
    const client = Object.assign(new DefaultArtifactClient(), { saveCache, restoreCache }) as unknown as Record<
      string,
      (...args: readonly unknown[]) => Promise<unknown>
    >;
    const outcomes: Outcome[] = [];
    for (const [call, args] of message as readonly Step[]) {
      try {
        outcomes.push({ value: await client[call]!(...args) });
      } catch (error) {
        const { name, message: text, status } = error as Error & { status?: number };
        outcomes.push({ error: { name, message: text, ...(status === undefined ? {} : { status }) } });
      }
    }
    process.send!(outcomes, () => process.exit(0));
  })();
});
