import type { HostFiles } from '../runtimes/host-files.ts';
import type { Capture, WarmCapture } from './source.ts';

/**
 * Two passes over files: the whole of them while the application serves, and nothing more where nothing has moved when the writers stand still. Where
 * something has, the whole anew: plain archives have no other form for it.
 */
export async function warmUnlessChanged(
  files: HostFiles,
  roots: readonly string[],
  options: { readonly exclude?: readonly string[]; readonly contents?: boolean },
  take: () => Promise<Capture>,
): Promise<WarmCapture> {
  const before = await files.fingerprint(roots, { ...options, settle: true });
  const capture = await take();
  return {
    streams: capture.streams,
    facts: capture.facts,
    finish: () => capture.finish(),
    async more(situation) {
      if (situation === 'serving') return [];
      return (await files.fingerprint(roots, options)) === before ? [] : 'anew';
    },
  };
}
