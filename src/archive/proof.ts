import { parseBackupName } from './names.ts';
import type { BackupName } from './manifest.ts';

/**
 * What a drill proves, each more than the one before it. `read`: every byte was read, and digests, archives and the files of databases are whole. `databases`: the database servers
 * started on it and were checked. `application`: the whole application came up on it and was healthy.
 */
export const proofLevels = ['read', 'databases', 'application'] as const;
export type ProofLevel = (typeof proofLevels)[number];

/** The result of a drill. */
export interface Proof {
  /** ISO 8601, UTC. A file's name tells it to the second. */
  readonly at: string;
  readonly level: ProofLevel;
  /** False: the drill found that the backup does not do, or could not finish. */
  readonly ok: boolean;
}

/** What is written beside the backup. */
export interface ProofDocument extends Proof {
  readonly backup: BackupName;
  /** The digest of the manifest that was drilled. */
  readonly manifest: string;
  /** What was proven or what failed, for a reader. */
  readonly lines: readonly string[];
  /** The caretaker's version. */
  readonly caretaker: string;
}

/** A proof as a listing finds it. */
export interface KeptProof extends Proof {
  readonly file: string;
}

const FILE = /^([^.]+)\.drill-(\d{4})(\d\d)(\d\d)t(\d\d)(\d\d)(\d\d)z\.([a-z]+)\.(ok|failed)\.json$/;

/** `shop-20261121T220000Z.drill-20261124t221500z.databases.ok.json`: the name tells all that a list shows. */
export function proofFile(backup: BackupName, { at, level, ok }: Proof): string {
  const stamp = new Date(at)
    .toISOString()
    .replaceAll(/[-:]|\.\d+/g, '')
    .toLowerCase();
  return `${backup}.drill-${stamp}.${level}.${ok ? 'ok' : 'failed'}.json`;
}

/** The backup and the result, null for any other name. */
export function parseProofFile(file: string): { readonly backup: BackupName; readonly proof: KeptProof } | null {
  const match = FILE.exec(file);
  if (match === null) return null;
  const [, backup = '', year, month, day, hour, minute, second, named, result] = match;
  const at = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  const level = proofLevels.find((known) => known === named);
  if (parseBackupName(backup) === null || level === undefined || Number.isNaN(at.getTime())) return null;
  const proof = { at: at.toISOString(), level, ok: result === 'ok', file };
  // 20260231 is well-formed and no day.
  return proofFile(backup, proof) === file ? { backup, proof } : null;
}

/** The text of a proof as it is stored: indented JSON with a line's end. */
export function formatProof({ at, level, ok, backup, manifest, lines, caretaker }: ProofDocument): string {
  return `${JSON.stringify({ schema: 1, backup, manifest, at, level, ok, lines, caretaker }, null, 2)}\n`;
}

/** Of the proofs among these files, those of each backup, newest first. */
export function proofsByBackup(files: Iterable<string>): ReadonlyMap<BackupName, readonly KeptProof[]> {
  const found = new Map<BackupName, KeptProof[]>();
  for (const file of new Set(files)) {
    const parsed = parseProofFile(file);
    if (parsed !== null) found.set(parsed.backup, [...(found.get(parsed.backup) ?? []), parsed.proof]);
  }
  for (const proofs of found.values()) proofs.sort((one, other) => (one.at < other.at ? 1 : -1));
  return found;
}

/** Those that no newer one of the same or a deeper level has outdone. `proofs`: newest first. */
export function standing<P extends Proof>(proofs: readonly P[]): readonly P[] {
  const depth = ({ level }: Proof): number => proofLevels.indexOf(level);
  return proofs.filter((proof, at) => !proofs.slice(0, at).some((newer) => depth(newer) >= depth(proof)));
}

/**
 * What there is to tell of a backup, null where no drill was held: the newest result; but a failure until a drill that goes as deep has passed, since one that only reads proves
 * nothing against it. `proofs`: newest first.
 */
export function verdict(proofs: readonly Proof[]): Proof | null {
  const left = standing(proofs);
  const told = left.find(({ ok }) => !ok) ?? left[0];
  return told === undefined ? null : { at: told.at, level: told.level, ok: told.ok };
}
