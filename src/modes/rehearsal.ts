import path from 'node:path';
import { rm } from 'node:fs/promises';
import type { Manifest } from '../archive/manifest.ts';
import { partReader } from '../archive/parts.ts';
import type { Head } from '../code/git.ts';
import { CaretakerError, messageOf } from '../errors.ts';
import { formatSeconds } from '../report/units.ts';
import type { UpdateSettings } from '../settings/settings.ts';
import type { Source } from '../sources/source.ts';
import { migrate } from './build.ts';
import { throwawayEnv } from './checks.ts';
import { captureBackup, rawBytes, type Room } from './capture.ts';
import { becomeHealthy } from './serving.ts';
import { bringUp } from './bring-up.ts';
import { startDatabases, withThrowaway } from './throwaway.ts';
import type { Tools } from './tools.ts';

/** By this a migrate-command tells that it means whatever project it is called for; what names a project or a file itself means that one. */
const KNOWS_THROWAWAYS = /\$\{?CARETAKER_THROWAWAY\b/;
const NAMES_ANOTHER = /(?:^|\s)(?:-f|-p|--file|--project-name|--project-directory)\b|COMPOSE_(?:FILE|PROJECT_NAME)=/;

/** Before anything is touched: throws `migrate-not-rehearsable` for a command that might migrate what serves. */
export function refuseMigrateCommand({ migrateCommand, rehearse: wanted }: UpdateSettings): void {
  if (wanted === 'no' || migrateCommand === undefined) return;
  if (KNOWS_THROWAWAYS.test(migrateCommand) && !NAMES_ANOTHER.test(migrateCommand)) return;
  throw new CaretakerError(
    'migrate-not-rehearsable',
    `the migrate-command may not be tried: it might mean what serves: ${migrateCommand}`,
    {
      input: 'migrate-command',
      hint: 'In a rehearsal COMPOSE_PROJECT_NAME and COMPOSE_FILE lead "docker compose" and "podman-compose" to the throwaway, whose name is in CARETAKER_THROWAWAY. Write a command that names no project and no file itself, and says that it knows by using the variable: : "${CARETAKER_THROWAWAY:-}"; docker compose run --rm web migrate',
    },
  );
}

/**
 * Tries the new version, whose code and images are there by now, on a copy of the data of this moment, while the old version serves: migration, start, health, in a throwaway that is taken away. Answers with what
 * was seen, a line each. Throws `rehearsal-failed` where the new version would not do.
 */
export async function rehearse(
  tools: Tools,
  settings: UpdateSettings,
  what: { readonly sources: readonly Source[]; readonly left: Manifest['left']; readonly head: Head | null },
): Promise<readonly string[]> {
  const { project, recorder, clock, run } = tools;
  const directory = path.join(project.stateDirectory, 'staging', `${run}-rehearsal`);
  const seen: string[] = [];
  const note = (line: string): void => {
    seen.push(line);
    tools.log.info(`rehearsed: ${line}`);
    recorder.sections = { ...recorder.sections, rehearsal: { seen } };
  };
  const timed = async (what: string, work: () => Promise<unknown>): Promise<void> => {
    const start = clock.monotonic();
    await work();
    note(`${what} took ${formatSeconds((clock.monotonic() - start) / 1000)}`);
  };
  try {
    const request = { ...what, situation: 'serving', reason: 'before-update', directory } as const;
    const { manifest } = await captureBackup(tools, request);
    const read = partReader(directory);
    const options = {
      ...{ parts: manifest.parts, read, health: settings.health, asItWas: true },
      outside: settings.throwawayNetwork === 'open',
    };
    await withThrowaway(tools, options, async (throwaway) => {
      const { tools: copy, plan } = throwaway;
      try {
        await startDatabases(throwaway, read);
        const { migrateCommand } = settings;
        if (migrateCommand !== undefined) {
          const env = throwawayEnv(copy, plan.file);
          await timed('the migration', () =>
            recorder.step('Migrate the throwaway', () => migrate(tools, settings, migrateCommand, env)),
          );
        }
        await timed('the start', () => recorder.step('Bring the new version up in the throwaway', () => bringUp(copy)));
        const { results, firstHealthySeconds = 0 } = await becomeHealthy(copy, settings);
        note(`healthy ${formatSeconds(firstHealthySeconds)} after it`);
        for (const { probe, detail } of results) note(`${probe}: ${detail}`);
      } catch (error) {
        throw rehearsalFailed(error);
      }
    });
    return seen;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** The copy is packed first, and then unpacked. */
export async function roomForRehearsal(sources: readonly Source[], directory: string): Promise<readonly Room[]> {
  const sizes = await Promise.all(sources.map(rawBytes));
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  return [{ directory, bytes: 2 * bytes, what: 'the rehearsal’s copy of the data, packed and unpacked' }];
}

/** What says something of the new version; anything else is a fault of the rehearsal's. */
const SAYS_BAD = [
  'unhealthy',
  'migration-failed',
  'compose-failed',
  'engine-failed',
  'postgres-load-failed',
  'postgres-not-ready',
];

function rehearsalFailed(error: unknown): unknown {
  if (!(error instanceof CaretakerError) || !SAYS_BAD.includes(error.code)) return error;
  return new CaretakerError(
    'rehearsal-failed',
    `the new version does not do on a copy of the data: ${messageOf(error)}`,
    {
      hint: 'What serves was not touched. The last words of the services tell more; a version that needs to reach other hosts needs throwaway-network: open.',
      cause: error,
    },
  );
}
