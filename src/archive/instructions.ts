import type { Manifest, Part, PartFile } from './manifest.ts';
import { dumpSuffix, storedName } from './names.ts';

/**
 * RESTORE.md: the standard commands that restore exactly these files by hand, where this program, GitHub, or the host is gone.
 * Every command stands in a fenced `sh` block; the blocks up to the parts, those of some parts, and those behind them, run in order
 * by one `bash -e` in the directory that holds the files, restore these parts (that is how they are tested).
 */
export function renderInstructions(manifest: Draft): string {
  return [
    ...introduction(manifest),
    ...settings(manifest),
    ...verification(manifest),
    ...decryption(manifest),
    ...stopping(manifest),
    ...manifest.parts.flatMap((part) => partSection(part, manifest)),
    ...starting(manifest),
    ...wayBack(manifest),
  ].join('\n');
}

type Draft = Omit<Manifest, 'instructions' | 'digest'>;

function introduction(manifest: Draft): string[] {
  const { name, project, createdAt, host, projectDirectory, version } = manifest;
  const commit = version.tag ?? version.describe ?? version.commit;
  return [
    `# How to restore ${name} by hand`,
    '',
    `A backup of the project \`${project}\`, taken on ${createdAt} in \`${projectDirectory}\` on host \`${host}\`${
      commit === null ? '' : `, version \`${commit}\``
    }.`,
    '',
    '| part | what | files | bytes |',
    '|---|---|---|---:|',
    ...manifest.parts.map(
      (part) =>
        `| \`${part.name}\` | ${part.kind}, ${part.method}, ${cell(part.origin.path)} | ${part.files
          .map(({ file }) => `\`${storedName(file, manifest)}\``)
          .join('<br>')} | ${part.files.reduce((sum, { bytes }) => sum + bytes, 0)} |`,
    ),
    '',
    `What follows needs \`bash\`, \`tar\`${manifest.encryption === null ? ' and `zstd`' : ', `zstd` and [`age`](https://age-encryption.org)'} and, for an application in containers, its engine. Nothing of Compose Caretaker is needed.`,
    'Run it all in one shell, in the directory that holds these files, from top to bottom; leave out the parts that you do not want. The old data',
    'are never deleted: they are moved aside, and the last section brings them back.',
    '',
  ];
}

function settings(manifest: Draft): string[] {
  const { engine } = manifest;
  const lines = [
    'set -euo pipefail',
    `PROJECT_DIRECTORY=${quote(manifest.projectDirectory)}`,
    `PROJECT_NAME=${quote(manifest.project)}`,
  ];
  if (engine !== null) {
    lines.push(
      `ENGINE=${quote(engine.runtime)}`,
      'compose() { (cd "$PROJECT_DIRECTORY" && ' + composeCommand(engine) + ' "$@"); }',
    );
  }
  if (engine?.runtime === 'podman' && engine.rootless) {
    lines.push(
      '# The owners in the archives are those that the containers see: only this shows them outside.',
      'as_root() { podman unshare "$@"; }',
    );
  } else if (manifest.ownership === 'direct' && engine === null) {
    lines.push('# As the user that the application runs as, or as root.', 'as_root() { "$@"; }');
  } else {
    lines.push('as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }');
  }
  lines.push('ASIDE=".before-restore-$(date +%Y%m%d%H%M%S)"');
  return [
    '## 1. Where things are',
    '',
    'Change these if the project lies elsewhere now. On a new machine first put the project there: its code and compose file' +
      `${manifest.parts.some(({ kind }) => kind === 'project-files') ? ', and the configuration from the part of kind `project-files`' : ''}.`,
    ...(engine?.runtime === 'podman' && engine.rootless ? ['Be the user that runs the containers, not root.'] : []),
    '',
    ...block(lines),
    '',
  ];
}

function composeCommand(engine: NonNullable<Draft['engine']>): string {
  const program = engine.dialect.startsWith('podman-compose') ? 'podman-compose' : 'docker compose';
  const files = (engine.composeFiles ?? []).map((file) => ` -f ${quote(file)}`).join('');
  return `${program} -p "$PROJECT_NAME"${files}`;
}

function verification(manifest: Draft): string[] {
  const files = manifest.parts.flatMap((part) => part.files);
  return [
    '## 2. Are the files whole?',
    '',
    'Every line must say `OK`. If one does not, fetch the file again, or use another backup.',
    '',
    ...block([
      "sha256sum -c - <<'END'",
      ...files.map(({ file, sha256 }) => `${sha256}  ${storedName(file, manifest)}`),
      'END',
      ...(manifest.encryption === null ? files.map(({ file }) => `zstd -tq ${file}`) : []),
    ]),
    '',
  ];
}

function decryption(manifest: Draft): string[] {
  const { encryption } = manifest;
  if (encryption === null) return [];
  const files = manifest.parts.flatMap((part) => part.files);
  const { recipients } = encryption;
  const keys = recipients.length === 1 ? 'the key' : 'one of the keys';
  return [
    '## 2a. Decrypt them',
    '',
    ...(recipients.length === 0
      ? ['`age` asks for the passphrase, once for each file.']
      : [
          `\`IDENTITY\` is the file with the private key (\`AGE-SECRET-KEY-…\`) that belongs to ${keys} ${recipients.map((key) => `\`${key}\``).join(', ')}.`,
        ]),
    'What comes out is not encrypted: remove it when all is done.',
    '',
    ...block([
      'umask 077',
      ...(recipients.length === 0 ? [] : ['IDENTITY="${IDENTITY:-key.txt}"']),
      ...files.map(
        ({ file }) =>
          `age -d${recipients.length === 0 ? '' : ' -i "$IDENTITY"'} -o ${file} ${storedName(file, manifest)}`,
      ),
      ...files.map(({ file }) => `zstd -tq ${file}`),
    ]),
    '',
  ];
}

function stopping({ engine }: Draft): string[] {
  if (engine === null) {
    return [
      '## 3. Stop the application',
      '',
      'Stop it the way it is run here, for instance with `systemctl stop`. It must not write while its data are exchanged.',
      '',
    ];
  }
  return [
    '## 3. Stop the application',
    '',
    'It must not write while its data are exchanged. (On a new machine nothing runs yet, and that is no error.)',
    '',
    ...block(['compose stop || true']),
    '',
  ];
}

function starting({ engine }: Draft): string[] {
  if (engine === null)
    return ['## Start and check', '', 'Start the application, and look whether it shows the data that you expect.', ''];
  return [
    '## Start and check',
    '',
    ...block(['compose up -d', 'compose ps']),
    '',
    'Look into the log of a service that does not stay up (`compose logs --tail 50 SERVICE`), log in, and look whether the data are those that you expect.',
    '',
  ];
}

function wayBack({ engine }: Draft): string[] {
  return [
    '## If it was the wrong backup',
    '',
    `The data from before lie beside the restored ones, under the same name with \`.before-restore-…\` at the end. ${
      engine === null ? 'Stop the application' : 'Run `compose stop`'
    }, move the restored ones away and the old ones back by \`as_root mv\`, and start again. When all is well, remove them by \`as_root rm -r\`.`,
    '',
  ];
}

function partSection(part: Part, manifest: Draft): string[] {
  const title = [`## Part \`${part.name}\``, ''];
  if (part.kind === 'project-files') return [...title, ...projectFiles(part)];
  const lines = [...whereIs(part, manifest)];
  switch (part.method) {
    case 'physical':
      return [
        ...title,
        `The data directory of PostgreSQL ${part.postgres?.version ?? ''}, as \`pg_basebackup\` took it. The image must be of the same major version, **${
          part.postgres?.major ?? ''
        }**.`,
        '',
        ...block([...lines, ...tree(part, true)]),
        '',
      ];
    case 'dump':
      if (!part.files.some(({ file }) => file.endsWith('.globals.sql.zst'))) {
        return [
          ...title,
          `Single databases of a PostgreSQL ${part.postgres?.version ?? ''} server, as they were before a restore exchanged them. They go back into the server as it is; the`,
          'databases that they replace stay in it as `NAME.before-restore-…`.',
          '',
          ...block([...dump(part, manifest)]),
          '',
        ];
      }
      return [
        ...title,
        `Dumps of PostgreSQL ${part.postgres?.version ?? ''}: the image must be of this major version or a newer one. The server makes an empty`,
        'cluster, then the roles and databases are loaded. `psql` may say that a role already exists: the image has made it, and that is no trouble.',
        '',
        ...block([...lines, ...dump(part, manifest)]),
        '',
      ];
    case 'sqlite':
      return [
        ...title,
        'One SQLite database. What lies beside the old one (`-wal`, `-shm`, `-journal`) belongs to it and would destroy the new one.',
        '',
        ...block([...lines, ...sqlite(part)]),
        '',
      ];
    case 'files':
      return [
        ...title,
        ...(part.kind === 'postgres'
          ? [
              `The data directory of a stopped PostgreSQL ${part.postgres?.version ?? ''} server; the image must be of the same major version.`,
            ]
          : part.kind === 'file'
            ? ['One file.']
            : ['A tree of files.']),
        '',
        ...block([...lines, ...(part.kind === 'file' ? singleFile(part) : tree(part, false))]),
        '',
      ];
  }
}

/** Sets LIVE: by the volume's name, by the place in the project, or by the absolute path. */
function whereIs(part: Part, manifest: Draft): string[] {
  const { volume, path, relativePath } = part.origin;
  if (volume !== undefined && manifest.engine !== null) {
    const inside = inVolume(path, volume);
    const key = volume.startsWith(`${manifest.project}_`) ? volume.slice(manifest.project.length + 1) : volume;
    return [
      `VOLUME=${quote(volume)}`,
      'if ! "$ENGINE" volume inspect "$VOLUME" >/dev/null 2>&1; then',
      `  "$ENGINE" volume create --label com.docker.compose.project="$PROJECT_NAME" --label com.docker.compose.volume=${quote(key)} "$VOLUME"`,
      'fi',
      `LIVE="$("$ENGINE" volume inspect --format '{{.Mountpoint}}' "$VOLUME")"${inside === '' ? '' : `/${quote(inside)}`}`,
    ];
  }
  if (relativePath !== undefined && relativePath !== '.') return [`LIVE="$PROJECT_DIRECTORY"/${quote(relativePath)}`];
  if (relativePath === '.') return ['LIVE="$PROJECT_DIRECTORY"'];
  return [`LIVE=${quote(path)}`];
}

function inVolume(path: string, volume: string): string {
  const mark = `/${volume}/_data/`;
  const at = path.indexOf(mark);
  return at === -1 ? '' : path.slice(at + mark.length);
}

const UNTAR =
  "as_root tar --extract --file - --numeric-owner --same-owner --preserve-permissions --acls --xattrs --xattrs-include='*' --directory";

/** Unpack beside, then exchange: a disk that is full in the middle leaves the old data where they are. */
function tree(part: Part, physical: boolean): string[] {
  const carried = (part.origin.exclude ?? []).map((exclude) =>
    exclude.replace(/(?:\/\*\*?)+$/, '').replace(/^\.\//, ''),
  );
  return [
    'as_root mkdir "$LIVE.fresh"',
    ...part.files.map((file) =>
      /\.removed\d+\.zst$/.test(file.file)
        ? `zstd -dcq ${file.file} | as_root sh -c 'cd "$1" && xargs -0 -r rm -rf --' sh "$LIVE.fresh"`
        : `zstd -dcq ${file.file} | ${UNTAR} "$LIVE.fresh"`,
    ),
    ...(physical
      ? [
          '# The archive has no entry for the directory itself: its owner is that of the directories in it.',
          'as_root chown --reference="$LIVE.fresh/base" "$LIVE.fresh"',
          'as_root chmod 700 "$LIVE.fresh"',
        ]
      : []),
    ...(part.kind === 'postgres' ? ['as_root rm -f "$LIVE.fresh/postmaster.pid"'] : []),
    'if as_root test -e "$LIVE"; then as_root mv "$LIVE" "$LIVE$ASIDE"; fi',
    'as_root mv "$LIVE.fresh" "$LIVE"',
    ...carried.flatMap((path) =>
      path === ''
        ? []
        : path.includes('*')
          ? [`# Not in the backup, and left aside: what matches ${comment(path)}`]
          : [
              '# Not in the backup: what is there now stays.',
              `if as_root test -e "$LIVE$ASIDE"/${quote(path)}; then`,
              `  as_root rm -rf "$LIVE"/${quote(path)}`,
              `  as_root mv "$LIVE$ASIDE"/${quote(path)} "$LIVE"/${quote(path)}`,
              'fi',
            ],
    ),
  ];
}

function singleFile(part: Part): string[] {
  return [
    'as_root mkdir "$LIVE.fresh"',
    ...part.files.map((file) => `zstd -dcq ${file.file} | ${UNTAR} "$LIVE.fresh"`),
    'if as_root test -e "$LIVE"; then as_root mv "$LIVE" "$LIVE$ASIDE"; fi',
    '# The one file in the archive, whatever it was called there.',
    'as_root find "$LIVE.fresh" -mindepth 1 -maxdepth 1 -exec mv {} "$LIVE" \\;',
    'as_root rmdir "$LIVE.fresh"',
  ];
}

function sqlite(part: Part): string[] {
  return [
    'as_root mkdir "$LIVE.fresh"',
    ...part.files.map((file) => `zstd -dcq ${file.file} | ${UNTAR} "$LIVE.fresh"`),
    'for end in "" -wal -shm -journal; do',
    '  if as_root test -e "$LIVE$end"; then as_root mv "$LIVE$end" "$LIVE$ASIDE$end"; fi',
    'done',
    `as_root mv "$LIVE.fresh"/${quote(part.origin.path.slice(part.origin.path.lastIndexOf('/') + 1))} "$LIVE"`,
    'as_root rmdir "$LIVE.fresh"',
  ];
}

function dump(part: Part, { engine }: Draft): string[] {
  const user = quote(part.postgres?.user ?? 'postgres');
  const file = (suffix: string): PartFile | undefined =>
    part.files.find((one) => one.file.endsWith(`.${part.name}.${suffix}.zst`));
  const service = part.origin.service ?? part.name;
  const globals = file('globals.sql');
  if (globals === undefined) return databases(part, engine);
  const inServer = engine === null ? '' : '"$ENGINE" exec -i "$SERVER" ';
  return [
    'if as_root test -e "$LIVE"; then',
    '  as_root mkdir "$LIVE.fresh"',
    '  as_root chown --reference="$LIVE" "$LIVE.fresh"',
    '  as_root chmod --reference="$LIVE" "$LIVE.fresh"',
    '  as_root mv "$LIVE" "$LIVE$ASIDE"',
    '  as_root mv "$LIVE.fresh" "$LIVE"',
    'fi',
    ...(engine === null ? ['# Start the database server alone now, on an empty cluster.'] : startServer(service)),
    `zstd -dcq ${globals.file} | ${inServer}psql -X -q -U ${user} -d template1 -f -`,
    ...(part.postgres?.databases ?? []).flatMap((database) => {
      const one = file(dumpSuffix(database));
      return one === undefined
        ? []
        : [
            `# Database ${comment(database)}`,
            `zstd -dcq ${one.file} | ${inServer}pg_restore -U ${user} --exit-on-error --no-tablespaces --clean --if-exists --create -d template1`,
          ];
    }),
  ];
}

function startServer(service: string): string[] {
  return [
    `compose up -d ${quote(service)}`,
    `SERVER="$("$ENGINE" ps -q --filter label=com.docker.compose.project="$PROJECT_NAME" --filter label=com.docker.compose.service=${quote(service)})"`,
    '# The server of the first set-up listens on no port: wait for the one that does.',
    `for _ in $(seq 180); do if "$ENGINE" exec "$SERVER" pg_isready -q -h 127.0.0.1; then break; fi; sleep 1; done`,
  ];
}

/** Single databases go back into the server that has the others: it is not made anew. */
function databases(part: Part, engine: Draft['engine']): string[] {
  const user = quote(part.postgres?.user ?? 'postgres');
  const inServer = engine === null ? '' : '"$ENGINE" exec -i "$SERVER" ';
  const identifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;
  return [
    ...(engine === null ? ['# Start the database server alone now.'] : startServer(part.origin.service ?? part.name)),
    `sql() { ${inServer}psql -X -q -At -v ON_ERROR_STOP=1 -U ${user} -d template1 -c "$1" </dev/null; }`,
    ...(part.postgres?.databases ?? []).flatMap((database) => {
      const one = part.files.find(({ file }) => file.endsWith(`.${part.name}.${dumpSuffix(database)}.zst`));
      if (one === undefined) return [];
      const name = identifier(database);
      const isThere = `select 1 from pg_database where datname = '${database.replaceAll("'", "''")}'`;
      return [
        `# Database ${comment(database)}: the one that is there now stays under another name.`,
        `if [ -n "$(sql ${quote(isThere)})" ]; then`,
        `  sql ${quote(`ALTER DATABASE ${name} RENAME TO ${name.slice(0, -1)}`)}"$ASIDE"'"'`,
        'fi',
        '# It lay aside under another name when it was dumped, and comes back under that first.',
        `DUMPED="$({ zstd -dcq ${one.file} 2>/dev/null || true; } | { ${inServer}pg_restore -l; cat >/dev/null; } | sed -n 's/^; *dbname: //p')"`,
        `zstd -dcq ${one.file} | ${inServer}pg_restore -U ${user} --exit-on-error --create -d template1`,
        `sql 'ALTER DATABASE "'"$DUMPED"${quote(`" RENAME TO ${name}`)}`,
      ];
    }),
  ];
}

function projectFiles(part: Part): string[] {
  return [
    'The compose files and env files as they were, secrets included. They are unpacked beside the project, not over it: compare, and copy what you need.',
    '',
    ...block([
      'mkdir -p "$PROJECT_DIRECTORY/.restored-configuration"',
      'chmod 700 "$PROJECT_DIRECTORY/.restored-configuration"',
      ...part.files.map(
        (file) =>
          `zstd -dcq ${file.file} | tar --extract --file - --no-same-owner --directory "$PROJECT_DIRECTORY/.restored-configuration"`,
      ),
      'ls -lA "$PROJECT_DIRECTORY/.restored-configuration"',
    ]),
    '',
    'Files from outside the project directory lie in `.caretaker-outside/` below it, under their absolute paths.',
    '',
  ];
}

/** A fence longer than any row of backticks in the text: a path must not end the block. */
function block(lines: readonly string[]): string[] {
  const longest = Math.max(2, ...[...lines.join('\n').matchAll(/`+/g)].map(([row]) => row.length));
  const fence = '`'.repeat(longest + 1);
  return [`${fence}sh`, ...lines, fence];
}

/** For bash, whatever the text holds; what needs no quotes has none, for the reader's sake. */
export function quote(text: string): string {
  return /^[A-Za-z0-9_./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Text within a comment of a shell block: it must not end the line. */
function comment(text: string): string {
  return JSON.stringify(text);
}

function cell(text: string): string {
  return `\`${text
    .replaceAll('`', "'")
    .replaceAll('|', '\\|')
    .replaceAll(/[\r\n]/g, ' ')}\``;
}
