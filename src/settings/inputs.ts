export const modes = [
  'backup',
  'update',
  'rehearse',
  'rollback',
  'restore',
  'verify',
  'recover',
  'list',
  'status',
] as const;
export type Mode = (typeof modes)[number];

export interface Input {
  /** Kebab-case: the action's input, the command line's flag and caretaker.yml's key alike. */
  readonly name: string;
  /** Markdown; whole sentences, without the default. */
  readonly description: string;
  /** What holds when it is not given, as a reader is told: a value in backticks, or words. */
  readonly default: string;
  /**
   * The `default:` in action.yml. Only where GitHub must evaluate an expression: any other default written there would arrive
   * as if the user had typed it and would win over caretaker.yml.
   */
  readonly actionDefault?: string;
  readonly modes: readonly Mode[];
  readonly example?: string;
  /** Never by flag (argv is public on a host) nor in caretaker.yml: the command line reads it from the first of these environment variables that is set. */
  readonly secret?: readonly [string, ...string[]];
  /** `lines`: one item a line; `words`: also separated by commas. A repeated flag adds a line. */
  readonly list?: 'lines' | 'words';
  /** What belongs to one run and must not stand in caretaker.yml. */
  readonly perRun?: true;
}

const all: readonly Mode[] = modes;
const acting: readonly Mode[] = ['backup', 'update', 'rehearse', 'rollback', 'restore'];

/** All inputs, in the order in which README and `--help` show them. */
export const inputs = [
  {
    name: 'mode',
    description:
      'What to do: `backup`, `update`, `rehearse` (try an update on a copy), `rollback` (go back before the last update), `restore`, `verify` (a drill: try a backup out beside the application), `recover` (put right what a run left that was cut off, as every mode does first), `list` or `status`.',
    default: 'required',
    modes: all,
    example: 'backup',
    perRun: true,
  },
  {
    name: 'project-directory',
    description:
      'Directory of the Compose project. A relative path starts at the workspace, on the command line at the current directory.',
    default: 'the workspace, or the current directory',
    modes: all,
    example: '/srv/uso/uso-nginx',
    perRun: true,
  },
  {
    name: 'compose-files',
    description: 'Compose files, one a line, in the order of override, relative to the project directory.',
    default: 'as Compose finds them',
    modes: all,
    example: 'docker-compose-prod.yml',
    list: 'lines',
  },
  {
    name: 'project-name',
    description: 'Name of the Compose project.',
    default: 'as Compose names it',
    modes: all,
    example: 'medcattrainer',
  },
  {
    name: 'profiles',
    description: 'Compose profiles to enable.',
    default: 'none',
    modes: all,
    example: 'production',
    list: 'words',
  },
  {
    name: 'env-files',
    description: 'Env files for Compose, one a line, relative to the project directory.',
    default: '`.env`, as Compose reads it',
    modes: all,
    example: 'envs/env-prod',
    list: 'lines',
  },
  {
    name: 'engine',
    description:
      'Container engine: `auto`, `docker`, `podman`, or a Compose implementation by name: `docker-compose-v2`, `podman-compose`.',
    default: '`auto`',
    modes: all,
    example: 'podman',
  },
  {
    name: 'data',
    description:
      'What holds data: lines such as `type=postgres,service=database`, `type=sqlite,path=…`, `type=volume,volume=…`, `type=directory,path=./local,exclude=logs/**;tmp/**`; or `auto` to find it.',
    default: '`auto`',
    modes: [...acting, 'status'],
    example: 'type=postgres,service=database',
    list: 'lines',
  },
  {
    name: 'consistency',
    description:
      '`online` copies while everything runs, each database consistent in itself. `stopped` stops the services that write, so that all parts are of one instant.',
    default: '`online`',
    modes: ['backup'],
    example: 'stopped',
  },
  {
    name: 'store',
    description:
      'Where backups are kept, one store a line: `type=artifact,retention-days=30`, `type=folder,path=/srv/backups`.',
    default: '`type=artifact` in a workflow, the folder `.caretaker/backups` on the command line',
    modes: all,
    example: 'type=artifact,retention-days=30',
    list: 'lines',
  },
  {
    name: 'encrypt-to',
    description:
      'Public keys of [age](https://age-encryption.org), one a line or with commas between them, `age1…` or, safe from quantum computers, `age1pq1…`: backups are encrypted before they go to any store, and whoever has the private key (identity) of one of them can decrypt them. `compose-caretaker keygen FILE` makes a pair.',
    default: 'backups are not encrypted',
    modes: ['backup', 'update'],
    example: 'age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p',
    list: 'lines',
  },
  {
    name: 'passphrase',
    description:
      'Encrypts backups in place of `encrypt-to`, and decrypts those that were encrypted so; at least ten characters, better six random words. A secret: on the command line it is read from the environment variable `CARETAKER_PASSPHRASE`.',
    default: 'none',
    modes: ['backup', 'update', 'restore', 'verify'],
    secret: ['CARETAKER_PASSPHRASE'],
    perRun: true,
  },
  {
    name: 'passphrase-file',
    description: 'File that holds the passphrase, absolute or relative to the project directory.',
    default: 'none',
    modes: ['backup', 'update', 'restore', 'verify'],
    example: '/etc/caretaker/passphrase',
  },
  {
    name: 'identity',
    description:
      'Private key that decrypts backups: the line that begins with `AGE-SECRET-KEY-`, or the text of the identity file. A secret: on the command line it is read from the environment variable `CARETAKER_IDENTITY`.',
    default: 'none',
    modes: ['restore', 'verify'],
    secret: ['CARETAKER_IDENTITY'],
    perRun: true,
  },
  {
    name: 'identity-file',
    description: 'Identity file of age, absolute or relative to the project directory.',
    default: 'none',
    modes: ['restore', 'verify'],
    example: '/root/uso-identity.txt',
  },
  {
    name: 'on-store-failure',
    description:
      'What becomes of a run whose backup can’t be stored everywhere. `fail`: it fails, and an update does not begin while a store is away. `warn`: it ends well, with a warning. Either way the backup stays on the host, and the next backup or update with that store stores it.',
    default: '`fail`',
    modes: ['backup', 'update'],
    example: 'warn',
  },
  {
    name: 'keep-local',
    description:
      'How many safety backups stay on the host: those that updates, rollbacks and restores make of what they are about to replace. The newest stay, and the one that a rollback of the last update needs; `0` keeps none.',
    default: '`3`',
    modes: ['update', 'rollback', 'restore', 'status'],
    example: '5',
  },
  {
    name: 'keep-local-days',
    description:
      'Days after which a safety backup goes even where `keep-local` would keep it. The newest stays, and the one that a rollback of the last update needs.',
    default: 'no limit by age',
    modes: ['backup', 'update', 'rollback', 'restore', 'status'],
    example: '30',
  },
  {
    name: 'source-directory',
    description:
      'Git clone that the code and the images come from, when it is not the project directory. A relative path starts at the project directory.',
    default: 'the project directory',
    modes: [...acting, 'recover'],
    example: '/srv/uso/uso',
  },
  {
    name: 'ref',
    description: 'What to update to: a tag, a branch of the remote, or a commit.',
    default: 'see `track`',
    modes: ['update', 'rehearse'],
    example: 'v1.4.0',
  },
  {
    name: 'track',
    description:
      'What to follow when no `ref` is given: `releases` is the newest version tag that `allow` lets through, `branch` the head of the branch that is checked out.',
    default: 'the tag of the event that started the workflow, otherwise `branch`',
    modes: ['update', 'rehearse'],
    example: 'releases',
  },
  {
    name: 'allow',
    description:
      'What would otherwise be refused: `major` (a major version step), `downgrade`, `prerelease` (for `track: releases`), `dirty` (merge local changes into files that the update changes), `postgres-major` (a database image of another major version of PostgreSQL), `unhealthy` (begin although the application is not healthy now), `version-mismatch` (restore the data of another version than the code that is checked out), `public-artifacts` (backups that anyone can download).',
    default: 'nothing',
    modes: [...acting, 'verify'],
    example: 'major',
    list: 'words',
  },
  {
    name: 'build',
    description:
      'How the new images come about: `auto`, `compose` (`build`), `pull`, `none`, or a command that is run in the source directory.',
    default: '`auto`',
    modes: ['update', 'rehearse', 'restore'],
    example: './deploy/build-image.sh nginx',
  },
  {
    name: 'cache-images',
    description:
      '`true`: images that another run built of the same commit, on whatever host of the same platform, are loaded from the workflow’s cache instead of being built, and those that were built are stored there once the new version serves. Whatever is wrong with the cache leads to a build.',
    default: '`false`',
    modes: ['update', 'rehearse', 'restore'],
    example: 'true',
  },
  {
    name: 'dry-run',
    description:
      '`true`: an update says what it would do, refuses what it would refuse, and touches nothing but what git knows of the remote.',
    default: '`false`',
    modes: ['update'],
    example: 'true',
    perRun: true,
  },
  {
    name: 'rehearse',
    description:
      '`true`: before the application is touched, the new version is brought up in a throwaway, on a copy of the data of that moment: migration, start, health. Where it fails there, the update is refused.',
    default: '`false`',
    modes: ['update'],
    example: 'true',
  },
  {
    name: 'migrate-command',
    description:
      'A command that changes the data for the new version, run in the project directory after the backup and before the new version starts. What it does is undone with the rest. A rehearsal runs it with `COMPOSE_PROJECT_NAME` and `COMPOSE_FILE` of the throwaway, and only where it uses `$CARETAKER_THROWAWAY`, the throwaway’s name, and names no project or file itself.',
    default: 'none: the application migrates when it starts',
    modes: ['update', 'rehearse'],
    example: 'docker compose run --rm web ./manage.py migrate',
  },
  {
    name: 'build-timeout',
    description: 'How long building, pulling, migrating or bringing up may take, each.',
    default: '`1h`',
    modes: ['update', 'rehearse', 'restore'],
    example: '90m',
  },
  {
    name: 'health',
    description:
      'Checks besides the containers’ own, one a line: `type=http,url=http://localhost:8000/,status=200,contains=Welcome`, `type=command,run=./check.sh`; `type=container` is always looked at. Best is one that reads the database.',
    default: 'the containers’ states and health checks, and the published web ports that answered before',
    modes: [...acting, 'verify', 'recover'],
    example: 'type=http,url=http://localhost:8000/login/',
    list: 'lines',
  },
  {
    name: 'health-timeout',
    description: 'How long the application may take to become healthy.',
    default: '`5m`',
    modes: [...acting, 'verify', 'recover'],
    example: '10m',
  },
  {
    name: 'settle',
    description: 'How long it must then stay healthy.',
    default: '`10s`',
    modes: [...acting, 'verify', 'recover'],
    example: '30s',
  },
  {
    name: 'lock-timeout',
    description:
      'How long to wait while another run works on this project directory, of whatever workflow or repository; `0s` refuses at once. Whoever waits is in no queue.',
    default: '`0s`',
    modes: [...acting, 'verify', 'recover'],
    example: '30m',
  },
  {
    name: 'with-data',
    description:
      'Whether a rollback brings the data from before the update back too. `true` loses what was written since; `false` lets the old version work on the data of the new one.',
    default: 'required by `rollback`',
    modes: ['rollback'],
    example: 'true',
    perRun: true,
  },
  {
    name: 'backup',
    description:
      'Which backup to restore or to try out: `latest`, a name, the id of the workflow run that made it or of one of its artifacts, `before=2026-11-20` (or with a time: `before=2026-11-20T18:30`, in UTC), an age (`2d`: the newest that is at least so old), a version (`v25.09`: the newest of it; `version=TAG` for any tag), or the path of a folder that holds one.',
    default: '`latest`',
    modes: ['restore', 'verify'],
    example: 'uso-20261121T220000Z',
  },
  {
    name: 'only',
    description:
      'What to restore: names of parts (`database`), paths inside the part of a volume or directory (`media/2026/a.png`), single databases of a PostgreSQL dump (`database:shop`).',
    default: 'all parts',
    modes: ['restore'],
    example: 'media/2026',
    list: 'words',
  },
  {
    name: 'to',
    description:
      'A new directory to restore into, absolute or relative to the project directory; the live application is left alone, and nothing has to be confirmed.',
    default: 'into the live application',
    modes: ['restore'],
    example: '/srv/look',
    perRun: true,
  },
  {
    name: 'with-code',
    description:
      '`true`: a restore checks out the backup’s commit in the clone and brings its images too: those that are on the host still, those of a registry by digest, or as `build` and `cache-images` say.',
    default: '`false`',
    modes: ['restore'],
    example: 'true',
    perRun: true,
  },
  {
    name: 'confirm',
    description: 'The project’s name, typed by whoever starts what replaces live data.',
    default:
      'required by `restore` where there are data or containers and no `to`, and by `rollback` with `with-data: true`',
    modes: ['rollback', 'restore'],
    example: 'uso',
    perRun: true,
  },
  {
    name: 'proof',
    description:
      'How far a drill goes. `read`: every byte is read, digests, archives and the files of databases are checked; no engine is needed. `databases`: the database servers are started on the backup, in a throwaway that nothing leads to, every row is read and counted. `application`: the whole application comes up in it as well and must be healthy.',
    default: '`databases`; `read` where the application has no containers',
    modes: ['verify'],
    example: 'application',
  },
  {
    name: 'check',
    description:
      'Your own checks of the restored data, one a line: `type=sql,part=database,query=select count(*) from users` (with `database=…` where the server has several, and `expect=…`; else anything but empty, `f` and `0` will do), `type=command,run=./check.sh` (with `COMPOSE_PROJECT_NAME` and `COMPOSE_FILE` of the throwaway).',
    default: 'none',
    modes: ['verify'],
    example: 'type=sql,part=database,query=select count(*) from users',
    list: 'lines',
  },
  {
    name: 'throwaway-network',
    description:
      '`internal`: the containers of a throwaway reach each other and nothing else, so that a copy of your application sends no mail. `open`: they reach what the application reaches.',
    default: '`internal`',
    modes: ['update', 'rehearse', 'verify'],
    example: 'open',
  },
  {
    name: 'start-command',
    description: 'For an application without containers: starts it. Goes with the two below.',
    default: 'none',
    modes: all,
    example: 'systemctl start shop',
  },
  {
    name: 'stop-command',
    description: 'Stops it, and returns when it has stopped.',
    default: 'none',
    modes: all,
    example: 'systemctl stop shop',
  },
  {
    name: 'status-command',
    description: 'Exits with 0 while it runs.',
    default: 'none',
    modes: all,
    example: 'systemctl is-active shop',
  },
  {
    name: 'github-token',
    description:
      'Token with `actions: read`, to find and fetch the artifacts of earlier runs. On the command line it is read from the environment variable `GITHUB_TOKEN`.',
    default: 'the workflow’s own token',
    actionDefault: '${{ github.token }}',
    modes: all,
    secret: ['GITHUB_TOKEN', 'GH_TOKEN'],
    perRun: true,
  },
] as const satisfies readonly Input[];

export type InputName = (typeof inputs)[number]['name'];

export const inputNames: readonly InputName[] = inputs.map(({ name }) => name);

export function isInputName(name: string): name is InputName {
  return (inputNames as readonly string[]).includes(name);
}

/** The table's row; every name has one. */
export function inputOf(name: InputName): Input {
  const found = inputs.find((input) => input.name === name);
  if (found === undefined) throw new Error(`no input ${name}`);
  return found;
}
