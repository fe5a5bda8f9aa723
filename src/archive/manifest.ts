import { createHash } from 'node:crypto';
import { CaretakerError, messageOf } from '../errors.ts';
import { instructionsFile, isPartFileName, isPartName, parseBackupName } from './names.ts';

/** The backup format, version 1: see docs/backup-format.md and archive/manifest.schema.json. */
export const SCHEMA = 1;

/** `SHOP-20261121T220000Z`: the project's name and the UTC second at which the backup began. */
export type BackupName = string;

export interface PartFile {
  /** The file's name, e.g. `uso-20261121T220000Z.database.tar.zst`. Of an encrypted backup the stores have it with `.age` at the end (`storedName`). */
  readonly file: string;
  /** Bytes as stored. */
  readonly bytes: number;
  /** Bytes before compression. */
  readonly rawBytes: number;
  /** Hex sha256 of the stored bytes. */
  readonly sha256: string;
}

/** How the parts are encrypted. */
export interface ManifestEncryption {
  readonly format: 'age-encryption.org/v1';
  /** Public keys, each of which opens all of it; none where it is a passphrase that does. */
  readonly recipients: readonly string[];
  /**
   * Base64 of an age file with the same keys that holds the manifest's `digest`: only who can encrypt to them has made this manifest. Empty while the digest
   * is taken.
   */
  readonly seal: string;
}

export type PartKind = 'postgres' | 'sqlite' | 'volume' | 'directory' | 'file' | 'project-files';

export interface Part {
  /** Lower-case letters, digits and dashes; unique in the backup. */
  readonly name: string;
  readonly kind: PartKind;
  /** `physical`: a base backup; `dump`: pg_dump and globals; `files`: a tar of files; `sqlite`: a tar with one database file. */
  readonly method: 'physical' | 'dump' | 'files' | 'sqlite';
  /** In the order in which a restore applies them. */
  readonly files: readonly PartFile[];
  /** How it was taken: `online` (nothing stopped), `quiesced` (its writers were stopped), `stopped` (the service itself was down). */
  readonly consistency: 'online' | 'quiesced' | 'stopped';
  /** Where the bytes came from, and where a restore puts them. */
  readonly origin: {
    readonly service?: string;
    readonly volume?: string;
    /** Absolute host path of the tree, directory or file. */
    readonly path: string;
    /** `path` relative to the project directory, where it lies in it: a project may be restored elsewhere. */
    readonly relativePath?: string;
    /** Path in the container, where there is one. */
    readonly containerPath?: string;
    /** Paths relative to `path` that were left to other parts or excluded. */
    readonly exclude?: readonly string[];
  };
  /** Seconds that capturing took. */
  readonly seconds: number;
  readonly postgres?: {
    readonly version: string;
    readonly major: number;
    readonly databases: readonly string[];
    readonly user: string;
    readonly locale?: string;
    /** Of a dump, by database: the rows of each `schema.table` in the very snapshot that was dumped. A database that was not counted has no entry. */
    readonly rows?: Readonly<Record<string, RowCounts>>;
  };
  /** `rows` by table; absent where they were not counted. */
  readonly sqlite?: { readonly pageSize: number; readonly pages: number; readonly rows?: RowCounts };
}

export type RowCounts = Readonly<Record<string, number>>;

/** Tables of one part whose rows are noted: more would make a manifest that is too large to be read. */
export const MAX_COUNTED_TABLES = 5000;

export interface Manifest {
  readonly schema: number;
  readonly name: BackupName;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  /** Why it was made. */
  readonly reason: 'backup' | 'before-update' | 'before-restore' | 'before-rollback';
  readonly project: string;
  readonly projectDirectory: string;
  readonly host: string;
  readonly caretaker: string;
  readonly version: { readonly commit: string | null; readonly tag: string | null; readonly describe: string | null };
  readonly engine: {
    readonly runtime: string;
    readonly version: string;
    readonly dialect: string;
    readonly rootless: boolean;
    /** The compose files, relative to the project directory where they lie in it: for the commands in RESTORE.md. */
    readonly composeFiles?: readonly string[];
  } | null;
  readonly platform: string;
  readonly images: readonly {
    readonly service: string;
    readonly name: string;
    readonly id: string;
    readonly digests: readonly string[];
  }[];
  /** Whose numbers the owners in the archives are: those that containers see. */
  readonly ownership: 'direct' | 'podman-unshare' | 'helper-container';
  readonly encryption: ManifestEncryption | null;
  readonly parts: readonly Part[];
  /** What was seen and not taken, with the reason, for a reader. */
  /** `secret`: a file that was left out for its secrets, which a restore on another host needs from somebody; its path, relative where it is in the project directory. */
  readonly left: readonly { readonly what: string; readonly why: string; readonly secret?: boolean }[];
  /** The RESTORE.md beside it. */
  readonly instructions: { readonly file: string; readonly bytes: number; readonly sha256: string };
  /** Hex sha256 of this manifest as compact JSON, its fields in their order and this text empty. */
  readonly digest: string;
}

/** Far above any real manifest (a part costs some 600 bytes, and 50 for each table of a database); what comes from outside is not read without an end. */
export const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;

const KINDS: readonly PartKind[] = ['postgres', 'sqlite', 'volume', 'directory', 'file', 'project-files'];
const METHODS: Readonly<Record<PartKind, readonly Part['method'][]>> = {
  postgres: ['physical', 'dump', 'files'],
  sqlite: ['sqlite'],
  volume: ['files'],
  directory: ['files'],
  file: ['files'],
  'project-files': ['files'],
};

/** The text of a manifest as it is stored: indented JSON with a line's end. */
export function formatManifest(manifest: Manifest): string {
  return JSON.stringify(manifest, null, 2) + '\n';
}

/** The manifest with its own digest, as the last of its fields. */
export function sealManifest(manifest: Omit<Manifest, 'digest'>): Manifest {
  return { ...manifest, digest: digestOf(manifest) };
}

function digestOf(manifest: { readonly encryption?: unknown }): string {
  const { encryption } = manifest;
  const unsealed =
    typeof encryption === 'object' && encryption !== null ? { encryption: { ...encryption, seal: '' } } : {};
  return createHash('sha256')
    .update(JSON.stringify({ ...manifest, ...unsealed, digest: '' }))
    .digest('hex');
}

/**
 * The same as `parseManifest` for what comes from a store, where a disk or a network may have changed it: `manifest-damaged` where it is another one than was written. It says nothing of
 * who wrote it. `name`: of the backup that it was found with; another backup's manifest is `manifest-damaged`, too.
 */
export function openManifest(json: unknown, name?: string): Manifest {
  const value = typeof json === 'string' ? parseJson(json) : json;
  const manifest = parseManifest(value);
  let digest: string;
  try {
    digest = digestOf(value as { encryption?: unknown });
  } catch (error) {
    // What JSON.parse takes, JSON.stringify may not: it calls itself for each level.
    throw invalid('the manifest', `can't be told by its digest (${messageOf(error)})`, error);
  }
  if (digest !== manifest.digest) {
    throw new CaretakerError(
      'manifest-damaged',
      `failed to read the manifest of ${manifest.name}: its digest is another`,
      {
        hint: 'It is not what was written. Take another backup, or follow RESTORE.md with the parts whose digests fit.',
      },
    );
  }
  if (name !== undefined && name !== manifest.name) {
    throw new CaretakerError(
      'manifest-damaged',
      `failed to read the manifest of ${name}: it is the one of ${manifest.name}`,
      { hint: 'Somebody has copied or renamed it. Give the backup by its own name, or follow its RESTORE.md.' },
    );
  }
  return manifest;
}

/**
 * A manifest out of text (or the value that JSON.parse made of it) that anybody may have written. What this returns is safe to act on: names of files are plain base names that
 * belong to this backup, paths are absolute (but not trusted: a restore finds out for itself where data lives), numbers are
 * numbers. Fields that are not known are ignored, so that a later release can add some.
 *
 * Throws `manifest-invalid`, naming the field, and `manifest-newer` for a schema that this program does not know.
 */
export function parseManifest(json: unknown): Manifest {
  const root = new Fields(typeof json === 'string' ? parseJson(json) : json, '');
  const schema = root.count('schema');
  if (schema > SCHEMA) {
    throw new CaretakerError(
      'manifest-newer',
      `failed to read the manifest: its schema is ${schema}, this release knows up to ${SCHEMA}`,
      {
        hint: 'Use a newer release of Compose Caretaker, or follow the RESTORE.md beside the manifest, which needs no release at all.',
      },
    );
  }
  if (schema !== SCHEMA) throw root.wrong('schema', `must be ${SCHEMA}`);
  const name = root.text('name');
  const parsed = parseBackupName(name);
  if (parsed === null) throw root.wrong('name', 'must be a backup name such as shop-20261121T220000Z');
  const parts = root.list('parts').map((item, index) => parsePart(new Fields(item, `parts[${index}]`), name));
  refuseTwice(
    parts.map((part) => part.name),
    'parts',
    'names a part twice',
  );
  refuseTwice(
    parts.flatMap((part) => part.files.map((file) => file.file)),
    'parts',
    'names a file twice',
  );
  const engine = root.object('engine', true);
  const instructions = root.object('instructions');
  if (instructions.text('file') !== instructionsFile(name)) {
    throw instructions.wrong('file', `must be ${instructionsFile(name)}`);
  }
  const version = root.object('version');
  const encryption = root.raw('encryption') === null ? null : root.object('encryption');
  return {
    schema,
    name,
    createdAt: root.instant('createdAt'),
    reason: root.oneOf('reason', ['backup', 'before-update', 'before-restore', 'before-rollback']),
    project: root.text('project'),
    projectDirectory: root.absolutePath('projectDirectory'),
    host: root.text('host', true),
    caretaker: root.text('caretaker'),
    version: {
      commit: version.textOrNull('commit'),
      tag: version.textOrNull('tag'),
      describe: version.textOrNull('describe'),
    },
    engine:
      engine === null
        ? null
        : {
            runtime: engine.text('runtime'),
            version: engine.text('version', true),
            dialect: engine.text('dialect'),
            rootless: engine.flag('rootless'),
            ...engine.optional('composeFiles', () => engine.texts('composeFiles')),
          },
    platform: root.text('platform'),
    images: root.list('images').map((item, index) => {
      const image = new Fields(item, `images[${index}]`);
      return {
        service: image.text('service'),
        name: image.text('name', true),
        id: image.text('id'),
        digests: image.texts('digests'),
      };
    }),
    ownership: root.oneOf('ownership', ['direct', 'podman-unshare', 'helper-container']),
    encryption:
      encryption === null
        ? null
        : {
            format: encryption.oneOf('format', ['age-encryption.org/v1']),
            recipients: encryption.texts('recipients'),
            seal: encryption.text('seal'),
          },
    parts,
    left: root.list('left').map((item, index) => {
      const left = new Fields(item, `left[${index}]`);
      return {
        what: left.text('what'),
        why: left.text('why'),
        ...left.optional('secret', () => left.flag('secret')),
      };
    }),
    instructions: {
      file: instructions.text('file'),
      bytes: instructions.count('bytes'),
      sha256: instructions.digest('sha256'),
    },
    digest: root.digest('digest'),
  };
}

function parseJson(json: string): unknown {
  if (json.length > MAX_MANIFEST_BYTES) throw invalid('the manifest', 'is larger than any may be');
  try {
    return JSON.parse(json);
  } catch (error) {
    throw invalid('the manifest', `is not JSON (${messageOf(error)})`, error);
  }
}

function parsePart(part: Fields, backup: BackupName): Part {
  const name = part.text('name');
  if (!isPartName(name)) throw part.wrong('name', 'must be lower-case letters, digits and dashes');
  const kind = part.oneOf('kind', KINDS);
  const method = part.oneOf('method', METHODS[kind]);
  const files = part.list('files').map((item, index): PartFile => {
    const file = new Fields(item, `${part.path}.files[${index}]`);
    // A name that is anything but a base name of this backup could make a restore read or fetch something else.
    if (!isPartFileName(file.text('file'), backup, name)) {
      throw file.wrong('file', `must be a plain file name that begins with ${backup}.${name}. and ends with .zst`);
    }
    return {
      file: file.text('file'),
      bytes: file.count('bytes'),
      rawBytes: file.count('rawBytes'),
      sha256: file.digest('sha256'),
    };
  });
  if (files.length === 0) throw part.wrong('files', 'must not be empty');
  const origin = part.object('origin');
  const postgres = part.object('postgres', kind !== 'postgres' || method === 'files');
  const sqlite = part.object('sqlite', true);
  return {
    name,
    kind,
    method,
    files,
    consistency: part.oneOf('consistency', ['online', 'quiesced', 'stopped']),
    origin: {
      ...origin.optional('service', () => origin.text('service')),
      ...origin.optional('volume', () => origin.text('volume')),
      path: origin.absolutePath('path'),
      ...origin.optional('relativePath', () => origin.relativePath('relativePath')),
      ...origin.optional('containerPath', () => origin.absolutePath('containerPath')),
      ...origin.optional('exclude', () => origin.texts('exclude')),
    },
    seconds: part.number('seconds'),
    ...(postgres === null
      ? {}
      : {
          postgres: {
            version: postgres.text('version'),
            major: postgres.count('major'),
            databases: postgres.texts('databases'),
            user: postgres.text('user'),
            ...postgres.optional('locale', () => postgres.text('locale')),
            ...postgres.optional('rows', () => {
              const rows = postgres.object('rows');
              return rows.map((database) => rows.counts(database));
            }),
          },
        }),
    ...(sqlite === null
      ? {}
      : {
          sqlite: {
            pageSize: sqlite.count('pageSize'),
            pages: sqlite.count('pages'),
            ...sqlite.optional('rows', () => sqlite.counts('rows')),
          },
        }),
  };
}

function refuseTwice(names: readonly string[], field: string, why: string): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) throw invalid(field, `${why}: ${name}`);
    seen.add(name);
  }
}

/** A path that a file can have, without `..`. Linux takes 255 bytes for a name and 4095 for a path. */
function isPossible(path: string): boolean {
  return (
    Buffer.byteLength(path) < 4096 && path.split('/').every((name) => name !== '..' && Buffer.byteLength(name) < 256)
  );
}

/** Reads the fields of one object of JSON, and names the one that is wrong by its path. */
class Fields {
  readonly path: string;
  private readonly fields: Readonly<Record<string, unknown>>;

  constructor(value: unknown, path: string) {
    this.path = path;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw invalid(path === '' ? 'the manifest' : path, 'must be an object');
    }
    this.fields = value as Record<string, unknown>;
  }

  wrong(field: string, why: string): CaretakerError {
    return invalid(this.path === '' ? field : `${this.path}.${field}`, why);
  }

  /** Undefined for a field that is not there: nothing is inherited, whatever the field is called. */
  raw(field: string): unknown {
    return Object.hasOwn(this.fields, field) ? this.fields[field] : undefined;
  }

  optional<K extends string, T>(field: K, read: () => T): { [key in K]?: T } {
    return this.raw(field) === undefined ? {} : ({ [field]: read() } as { [key in K]?: T });
  }

  text(field: string, mayBeEmpty = false): string {
    const value = this.raw(field);
    if (typeof value !== 'string' || (!mayBeEmpty && value === '')) throw this.wrong(field, 'must be a text');
    if (value.includes('\0')) throw this.wrong(field, 'must not hold a NUL character');
    return value;
  }

  textOrNull(field: string): string | null {
    return this.raw(field) === null ? null : this.text(field);
  }

  texts(field: string): string[] {
    return this.list(field).map((item, index) => {
      if (typeof item !== 'string' || item === '' || item.includes('\0'))
        throw this.wrong(`${field}[${index}]`, 'must be a text');
      return item;
    });
  }

  flag(field: string): boolean {
    const value = this.raw(field);
    if (typeof value !== 'boolean') throw this.wrong(field, 'must be true or false');
    return value;
  }

  number(field: string): number {
    const value = this.raw(field);
    if (typeof value !== 'number' || !Number.isFinite(value) || value < 0)
      throw this.wrong(field, 'must be a number, 0 or more');
    return value;
  }

  count(field: string): number {
    const value = this.raw(field);
    if (!Number.isSafeInteger(value) || (value as number) < 0)
      throw this.wrong(field, 'must be a whole number, 0 or more');
    return value as number;
  }

  /** An object whose fields' names are data: nothing is inherited, whatever they are called. */
  map<T>(read: (field: string) => T): Record<string, T> {
    return Object.fromEntries(
      Object.keys(this.fields).map((field) => {
        if (field === '' || field.includes('\0')) throw this.wrong(JSON.stringify(field), 'must be a name');
        return [field, read(field)];
      }),
    );
  }

  counts(field: string): RowCounts {
    const counts = this.object(field);
    return counts.map((name) => counts.count(name));
  }

  digest(field: string): string {
    const value = this.text(field);
    if (!/^[0-9a-f]{64}$/.test(value)) throw this.wrong(field, 'must be 64 hexadecimal digits');
    return value;
  }

  instant(field: string): string {
    const value = this.text(field);
    if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(value) || Number.isNaN(Date.parse(value))) {
      throw this.wrong(field, 'must be an instant such as 2026-11-21T22:00:00Z');
    }
    return value;
  }

  absolutePath(field: string): string {
    const value = this.text(field);
    if (!value.startsWith('/') || !isPossible(value))
      throw this.wrong(field, 'must be an absolute path without .., and no longer than a path can be');
    return value;
  }

  relativePath(field: string): string {
    const value = this.text(field);
    if (value.startsWith('/') || !isPossible(value)) {
      throw this.wrong(field, 'must be a relative path without .., and no longer than a path can be');
    }
    return value;
  }

  oneOf<T extends string>(field: string, values: readonly T[]): T {
    const value = this.raw(field);
    if (!values.includes(value as T)) throw this.wrong(field, `must be one of ${values.join(', ')}`);
    return value as T;
  }

  list(field: string): readonly unknown[] {
    const value = this.raw(field);
    if (!Array.isArray(value)) throw this.wrong(field, 'must be a list');
    return value as unknown[];
  }

  object(field: string): Fields;
  object(field: string, mayLack: boolean): Fields | null;
  object(field: string, mayLack = false): Fields | null {
    const value = this.raw(field);
    if (mayLack && (value === null || value === undefined)) return null;
    return new Fields(value, this.path === '' ? field : `${this.path}.${field}`);
  }
}

function invalid(field: string, why: string, cause?: unknown): CaretakerError {
  return new CaretakerError('manifest-invalid', `failed to read the manifest: ${field} ${why}`, {
    hint: 'The manifest was not written by this program, or was changed. Choose another backup, or fetch this one again.',
    cause,
  });
}
