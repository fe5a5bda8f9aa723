import type { Log } from '../report/log.ts';
import type { Clock } from '../system/clock.ts';
import { createArtifactStore } from './artifact.ts';
import { createFolderStore } from './folder.ts';
import type { Store } from './store.ts';

/** A store as the settings name it (settings' StoreSettings has this shape). */
export type StoreSpec =
  | {
      readonly type: 'artifact';
      readonly retentionDays: number | undefined;
      /** `OWNER/REPO`. */
      readonly repository: string;
    }
  | { readonly type: 'folder'; readonly path: string };

export interface StoreTools {
  readonly log: Log;
  /** The job's or shell's environment. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly githubToken: string | undefined;
  /** From `allow: public-artifacts`. */
  readonly allowPublic: boolean;
  /** Where it is noted which filesystems folders lie on. */
  readonly mounts: string;
  readonly clock?: Clock;
  readonly signal?: AbortSignal | undefined;
}

/** Opens nothing yet: `check` tells whether the store can be used. */
export function openStore(spec: StoreSpec, tools: StoreTools): Store {
  const { log, env, githubToken, allowPublic, mounts, clock, signal } = tools;
  switch (spec.type) {
    case 'folder':
      return createFolderStore({ directory: spec.path, mounts, log });
    case 'artifact': {
      const [owner = '', repo = ''] = spec.repository.split('/');
      const runId = Number.parseInt(env['GITHUB_RUN_ID'] ?? '', 10);
      return createArtifactStore({
        ...{ owner, repo, log, env, allowPublic, signal, token: githubToken, retentionDays: spec.retentionDays },
        runId: Number.isNaN(runId) ? undefined : runId,
        ...(clock === undefined ? {} : { clock }),
      });
    }
  }
}
