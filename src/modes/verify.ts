import path from 'node:path';
import { mkdir, rm } from 'node:fs/promises';
import type { Part } from '../archive/manifest.ts';
import { partReader, type PartReader } from '../archive/parts.ts';
import type { Proof, ProofLevel } from '../archive/proof.ts';
import { CaretakerError, messageOf } from '../errors.ts';
import type { VerifySettings } from '../settings/settings.ts';
import type { Store } from '../stores/store.ts';
import { checkRooms, type Room } from './capture.ts';
import { proveChecks } from './checks.ts';
import { chooseBackup, type ChosenBackup } from './choose.ts';
import { dataParts } from './exchange.ts';
import { fetchParts } from './fetch.ts';
import { sizeOf } from './restore.ts';
import { noteProven } from './keys.ts';
import { proveFiles } from './read-proof.ts';
import { becomeHealthy } from './serving.ts';
import { bringUp } from './bring-up.ts';
import { DISK_PROBE, proveDatabases, withThrowaway } from './throwaway.ts';
import type { Tools } from './tools.ts';

export interface VerifyOutcome {
  readonly chosen: ChosenBackup;
  readonly level: ProofLevel;
  /** What was proven, a line each. */
  readonly proven: readonly string[];
}

/**
 * verify: choose → fetch all and verify → a throwaway with the backup's data → the database servers' own checks → the application, its health and the user's checks → take it away → keep the
 * result beside the backup. What serves is not touched.
 */
export async function verify(
  tools: Tools,
  settings: VerifySettings,
  openFolder: (directory: string) => Store,
): Promise<VerifyOutcome> {
  const { project, recorder } = tools;
  const directory = path.join(project.stateDirectory, 'staging', `${tools.run}-fetched`);
  const chosen = await recorder.step('Choose the backup', () =>
    chooseBackup(tools, settings.backup, openFolder, { anywhere: project.bare === true }),
  );
  const { manifest } = chosen;
  const level = settings.proof ?? (project.engine === null ? 'read' : 'databases');
  recorder.sections = { verify: { backup: manifest.name, level, proven: [] } };
  const read = partReader(directory, chosen.decrypt);
  const proven: string[] = [];
  const note = (lines: readonly string[]): void => {
    proven.push(...lines);
    for (const line of lines) tools.log.info(`proven: ${line}`);
    recorder.sections = { verify: { backup: manifest.name, level, proven } };
  };
  try {
    await checkRooms(await roomsFor(tools, manifest.parts));
    await recorder.step(`Fetch and verify ${manifest.name}`, () =>
      fetchParts(tools, chosen, manifest.parts, directory),
    );
    note([`every file of ${manifest.parts.length} parts has its digest, unpacks, and is a whole archive`]);
    await (level === 'read'
      ? proveFiles(tools, manifest.parts, read, note)
      : drill(tools, settings, { chosen, read, level }, note));
  } catch (error) {
    // A throwaway that was ended because of the disk says nothing of the backup.
    const ofDisk = recorder.health?.results.some(({ probe, ok }) => probe === DISK_PROBE && !ok) === true;
    if (error instanceof CaretakerError && DISPROVES.includes(error.code) && !ofDisk)
      await keep(false, [...proven, error.message]);
    throw error;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  await keep(true, proven);
  await noteProven(tools, manifest);
  return { chosen, level, proven };

  /** A result that can't be kept is a result all the same. It holds what checks have answered, and lies where the backups are. */
  async function keep(ok: boolean, told: readonly string[]): Promise<void> {
    // What checks have answered may be of the data, and the result lies where anybody may read it who can't read those.
    const lines = chosen.decrypt === undefined ? told.map((line) => tools.log.redacted(line)) : IN_THE_LOG;
    const at = dateAfter(chosen.backup.proofs, tools.clock.now()).toISOString();
    const { name, digest } = manifest;
    try {
      await chosen.store.keepProof(chosen.backup, {
        ...{ at, level, ok, backup: name, manifest: digest, lines, caretaker: tools.caretaker },
      });
    } catch (error) {
      if (error instanceof CaretakerError && error.code === 'cancelled') throw error;
      recorder.warn(`The result can't be kept beside the backup: ${messageOf(error)}`);
    }
  }
}

/** Now; where the clock was set back since the last drill, the second behind that: the newest result is the newest. `proofs`: newest first. */
function dateAfter([last]: readonly Proof[], now: Date): Date {
  return last === undefined ? now : new Date(Math.max(now.getTime(), Date.parse(last.at) + 1000));
}

const IN_THE_LOG = ['The backup is encrypted, and this is not: what was seen is in the log of the run.'];

/** What says something of the backup, and not of the machine that looked at it. */
const DISPROVES = [
  'store-damaged',
  'part-damaged',
  'part-hostile',
  'sqlite-damaged',
  'drill-failed',
  'postgres-load-failed',
  'postgres-not-ready',
  'check-failed',
  'unhealthy',
];

async function drill(
  tools: Tools,
  settings: VerifySettings,
  { chosen, read, level }: { chosen: ChosenBackup; read: PartReader; level: ProofLevel },
  note: (lines: readonly string[]) => void,
): Promise<void> {
  const { parts, version } = chosen.manifest;
  const head = await tools.checkout?.head();
  if (version.commit !== null && head !== undefined && head.commit !== version.commit) {
    tools.recorder.warn(
      `The backup is of ${version.tag ?? version.describe ?? version.commit}; it is tried with the images of ${head.tag ?? head.describe ?? head.commit}, which is deployed.`,
    );
  }
  const options = { parts, read, outside: settings.throwawayNetwork === 'open', health: settings.health };
  await withThrowaway(tools, options, async (throwaway) => {
    await proveDatabases(throwaway, read, note);
    if (level === 'application') note([await proveApplication(throwaway.tools, settings)]);
    await proveChecks(throwaway, settings.checks, note);
  });
}

async function proveApplication(tools: Tools, settings: VerifySettings): Promise<string> {
  await tools.recorder.step('Bring the application up', () => bringUp(tools));
  const { results, firstHealthySeconds = 0 } = await becomeHealthy(tools, settings);
  const seen = results.map(({ probe, detail }) => `${probe}: ${detail}`).join('; ');
  return `the application came up on it, healthy after ${Math.round(firstHealthySeconds)} s: ${seen}`;
}

/** What is fetched, and what is unpacked of it. */
async function roomsFor({ project }: Tools, parts: readonly Part[]): Promise<Room[]> {
  await mkdir(project.stateDirectory, { recursive: true, mode: 0o700 });
  const directory = project.stateDirectory;
  const rooms: Room[] = [{ directory, bytes: sizeOf(parts, 'bytes'), what: 'the files of the backup' }];
  rooms.push({ directory, bytes: sizeOf(dataParts(parts), 'rawBytes'), what: 'its data, unpacked' });
  return rooms;
}
