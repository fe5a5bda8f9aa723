import { parseBackupChoice, type BackupChoice } from './backup-choice.ts';
import path from 'node:path';
import { checkPassphrase, parseIdentities, parseRecipients } from '../encryption/keys.ts';
import { CaretakerError, CaretakerErrors } from '../errors.ts';
import { parseDuration } from './durations.ts';
import { inputOf, modes, type InputName, type Mode } from './inputs.ts';
import { linesOf, parseKeyValues, quotedWordsOf, wordsOf } from './key-values.ts';
import { conflictIn, parseSelection, type Selection } from './selection.ts';
import type {
  ActingSettings,
  Allowance,
  BuildSettings,
  CheckSettings,
  CommonSettings,
  DataSettings,
  DecryptionSettings,
  EncryptionSettings,
  EngineChoice,
  HealthSettings,
  ImageSettings,
  SecretSetting,
  Settings,
  StoreFailure,
  StoreSettings,
} from './settings.ts';
import { LIMITS } from '../system/limits.ts';
import type { RawInputs } from './sources.ts';
import { didYouMean } from './suggest.ts';

/** The world around the raw values, handed in. */
export interface Environment {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute. */
  readonly cwd: string;
  /** True for the action, false for the command line (also where a workflow's `run:` step calls it). */
  readonly inWorkflow: boolean;
  /** What is at an absolute path; follows links; null for nothing. */
  readonly kindOf: (path: string) => 'file' | 'directory' | null;
}

const engines = {
  auto: 'auto',
  docker: 'docker-compose-v2',
  podman: 'podman-compose',
  'docker-compose-v2': 'docker-compose-v2',
  'podman-compose': 'podman-compose',
} as const satisfies Readonly<Record<string, EngineChoice>>;
const allowances: readonly Allowance[] = [
  'major',
  'downgrade',
  'prerelease',
  'dirty',
  'postgres-major',
  'unhealthy',
  'version-mismatch',
  'public-artifacts',
];
const PROOFS = ['read', 'databases', 'application'] as const;
const builds = ['auto', 'compose', 'pull', 'none'] as const;
/** Which keys a line of `data` may have, by type: project/data-lines.ts gives them their meaning. */
const dataKeys: Readonly<Record<string, readonly string[]>> = {
  postgres: ['type', 'name', 'service', 'method'],
  sqlite: ['type', 'name', 'path', 'service', 'volume'],
  volume: ['type', 'name', 'volume', 'path', 'exclude'],
  directory: ['type', 'name', 'path', 'service', 'volume', 'exclude'],
  file: ['type', 'name', 'path', 'service', 'volume'],
  'project-files': ['type', 'name'],
};

/** Where the project lies: what both caretaker.yml and the parsing start from. */
export function projectDirectoryOf(raw: RawInputs, { env, cwd, inWorkflow }: Environment): string {
  const base = inWorkflow ? (env['GITHUB_WORKSPACE'] ?? cwd) : cwd;
  return path.resolve(base, raw.values['project-directory']?.text.trim() ?? '.');
}

/**
 * Raw values in, settings out, before anything has an effect. Throws CaretakerErrors with all problems at once; each names its input
 * and says what to do.
 */
export function parseSettings(raw: RawInputs, environment: Environment): Settings {
  const parser = new Parser(raw, environment);
  const settings = parser.settings();
  if (settings === undefined || parser.problems.length > 0) throw new CaretakerErrors(parser.problems);
  return settings;
}

/** Collects problems instead of throwing: a value that is wrong is replaced by one that lets the rest be checked. */
class Parser {
  readonly problems: CaretakerError[];
  readonly #warnings: string[];
  readonly #raw: RawInputs;
  readonly #environment: Environment;
  readonly #directory: string;

  constructor(raw: RawInputs, environment: Environment) {
    this.#raw = raw;
    this.#environment = environment;
    this.problems = [...raw.problems];
    this.#warnings = [...raw.warnings];
    this.#directory = projectDirectoryOf(raw, environment);
  }

  settings(): Settings | undefined {
    const mode = this.#mode();
    if (this.#environment.kindOf(this.#directory) !== 'directory') {
      this.#problem('project-directory-missing', 'project-directory', `there is no directory ${this.#directory}`, {
        hint: 'Set project-directory to the directory that holds the compose file, as an absolute path.',
      });
      // What else is missing below it would only repeat this.
      return undefined;
    }
    if (mode === undefined) {
      this.#acting('backup');
      return undefined;
    }
    this.#warnUnused(mode);
    if (mode === 'list') return { mode, ...this.#common(mode) };
    if (mode === 'status') return { mode, ...this.#common(mode), data: this.#data(), ...this.#keeping() };
    const acting = this.#acting(mode);
    switch (mode) {
      case 'backup':
        return {
          mode,
          ...acting,
          consistency: this.#oneOf('consistency', ['online', 'stopped'] as const, 'online'),
          encryption: this.#encryption(),
          onStoreFailure: this.#onStoreFailure(),
          keepLocalDays: this.#days('keep-local-days'),
        };
      case 'recover':
        return { mode, ...acting };
      case 'update':
      case 'rehearse':
        return {
          mode,
          ...acting,
          ...this.#target(),
          ...this.#images(),
          dryRun: mode === 'update' && this.#flag('dry-run'),
          rehearse: mode === 'rehearse' ? 'only' : this.#flag('rehearse') ? 'first' : 'no',
          throwawayNetwork: this.#throwawayNetwork(),
          migrateCommand: this.#text('migrate-command'),
          encryption: mode === 'update' ? this.#encryption() : undefined,
          onStoreFailure: this.#onStoreFailure(),
          ...this.#keeping(),
        };
      case 'rollback': {
        const withData = this.#withData();
        const confirm = withData ? this.#confirm(acting.projectName) : '';
        return { mode, ...acting, withData, confirm, ...this.#keeping() };
      }
      case 'restore':
        return {
          mode,
          ...acting,
          backup: this.#backup(),
          decryption: this.#decryption(),
          only: this.#only(),
          to: this.#to(),
          withCode: this.#flag('with-code'),
          ...this.#images(),
          confirm: this.#text('to') === undefined ? this.#typed(acting.projectName) : '',
          ...this.#keeping(),
        };
      case 'verify':
        return {
          mode,
          ...acting,
          backup: this.#backup(),
          decryption: this.#decryption(),
          proof: this.#text('proof') === undefined ? undefined : this.#oneOf('proof', PROOFS, 'read'),
          checks: this.#checks(),
          throwawayNetwork: this.#throwawayNetwork(),
        };
    }
  }

  // --- Parts of settings ---

  #common(mode: Mode): CommonSettings {
    const commands = this.#commands();
    const engine = engines[this.#oneOf('engine', Object.keys(engines) as (keyof typeof engines)[], 'auto')];
    const common = {
      projectDirectory: this.#directory,
      composeFiles: this.#files('compose-files', 'compose-file-missing', mode),
      projectName: this.#projectName(),
      profiles: this.#words('profiles'),
      envFiles: this.#files('env-files', 'env-file-missing', mode),
      engine,
      commands,
      stores: this.#stores(mode),
      githubToken: this.#text('github-token'),
      warnings: this.#warnings,
    };
    if (commands !== undefined) {
      for (const name of ['engine', 'compose-files', 'profiles', 'env-files'] as const) {
        if (this.#text(name) !== undefined && !(name === 'engine' && engine === 'auto')) {
          this.#problem('settings-conflict', name, `${name} and start-command exclude each other`, {
            hint: 'An application run by commands has no Compose project: leave one of them out.',
          });
        }
      }
    }
    return common;
  }

  #acting(mode: Mode): ActingSettings {
    const common = this.#common(mode);
    const data = this.#data();
    this.#storesOutsideData(common.stores, data);
    const healthTimeoutMs = this.#duration('health-timeout', 300_000);
    const settleMs = this.#duration('settle', 10_000, { zero: true });
    if (healthTimeoutMs < 60_000 && common.commands === undefined) {
      this.#warnings.push(
        `health-timeout is ${healthTimeoutMs / 1000} s; a container network may need 40 s by itself after a start. Over 60 s is safe.`,
      );
    }
    return {
      ...common,
      data,
      sourceDirectory: this.#sourceDirectory(),
      allow: this.#allow(),
      health: this.#health(),
      healthTimeoutMs,
      settleMs,
      lockTimeoutMs: this.#duration('lock-timeout', 0, { zero: true }),
    };
  }

  #mode(): Mode | undefined {
    const text = this.#text('mode');
    if (text === undefined) {
      this.#problem('mode-missing', 'mode', 'mode is not given', { hint: `Set it to one of ${modes.join(', ')}.` });
      return undefined;
    }
    const mode = modes.find((name) => name === text);
    if (mode === undefined) {
      this.#problem('mode-unknown', 'mode', `there is no mode "${text}"`, { hint: didYouMean(text, modes) });
    }
    return mode;
  }

  #warnUnused(mode: Mode): void {
    for (const [name, value] of Object.entries(this.#raw.values) as [InputName, { from: string }][]) {
      // caretaker.yml serves all modes, and the token is always there.
      if (value.from === 'file' || inputOf(name).modes.includes(mode)) continue;
      this.#warnings.push(`"${name}" has no effect in mode ${mode}.`);
    }
  }

  #projectName(): string | undefined {
    const text = this.#text('project-name');
    if (text === undefined || /^[a-z0-9][a-z0-9_-]*$/.test(text)) return text;
    const normal = normalName(text);
    this.#problem('project-name-invalid', 'project-name', `"${text}" can't be the name of a Compose project`, {
      hint: `Compose allows lower-case letters, digits, dashes and underscores${normal === '' ? '' : `: perhaps "${normal}"`}.`,
    });
    return undefined;
  }

  #commands(): CommonSettings['commands'] {
    const names = ['start-command', 'stop-command', 'status-command'] as const;
    const [start, stop, status] = names.map((name) => this.#text(name));
    if (start !== undefined && stop !== undefined && status !== undefined) return { start, stop, status };
    const missing = names.filter((name) => this.#text(name) === undefined);
    if (missing.length < names.length) {
      for (const name of missing) {
        this.#problem('commands-incomplete', name, `${name} is missing beside the other commands`, {
          hint: 'An application without containers needs all three: start-command, stop-command, status-command.',
        });
      }
    }
    return undefined;
  }

  #stores(mode: Mode): readonly StoreSettings[] {
    const lines = this.#lines('store');
    const standard = this.#environment.inWorkflow ? 'type=artifact' : 'type=folder,path=.caretaker/backups';
    const stores: StoreSettings[] = [];
    for (const line of lines.length === 0 ? [standard] : lines) {
      const values = this.#keyValues(line, 'store');
      const store = values === undefined ? undefined : this.#store(values, mode, lines.length === 0);
      if (store === undefined) continue;
      const same = stores.some(
        (other) =>
          other.type === store.type &&
          (other.type === 'artifact' || store.type === 'artifact' || other.path === store.path),
      );
      if (same) {
        this.#problem('store-duplicate', 'store', `the store "${line}" is listed twice`, { hint: 'Leave one out.' });
      } else stores.push(store);
    }
    return stores;
  }

  #store(values: Readonly<Record<string, string>>, mode: Mode, standard: boolean): StoreSettings | undefined {
    const type = this.#type(values, 'store', ['artifact', 'folder'] as const);
    switch (type) {
      case 'artifact':
        this.#keys(values, 'store', ['type', 'retention-days']);
        return this.#artifactStore(values['retention-days'], mode);
      case 'folder': {
        this.#keys(values, 'store', ['type', 'path']);
        const folder = values['path'];
        if (folder === undefined || folder === '') {
          this.#problem('store-invalid', 'store', 'a store of type=folder has no path', {
            hint: 'Write type=folder,path=/srv/backups.',
          });
          return undefined;
        }
        const resolved = standard ? path.resolve(this.#directory, folder) : this.#inside('store', folder);
        if (resolved === undefined) return undefined;
        const own = path.join(this.#directory, '.caretaker');
        if (isInside(resolved, own) && !isInside(resolved, path.join(own, 'backups'))) {
          this.#problem('store-inside-state', 'store', `the store ${resolved} lies in what runs keep for themselves`, {
            hint: `What lies there comes and goes with runs. Give a folder elsewhere, best on another disk, or ${path.join(own, 'backups')}.`,
          });
        }
        if (this.#environment.kindOf(resolved) === 'file') {
          this.#problem('store-invalid', 'store', `the store’s path ${resolved} is a file`, {
            hint: 'Give a directory; it is created when it is missing.',
          });
        }
        return { type: 'folder', path: resolved };
      }
      case undefined:
        return undefined;
    }
  }

  #artifactStore(retention: string | undefined, mode: Mode): StoreSettings {
    const { env } = this.#environment;
    let retentionDays: number | undefined;
    if (retention !== undefined) {
      retentionDays = /^\d+$/.test(retention) ? Number(retention) : 0;
      if (retentionDays < 1 || retentionDays > 400) {
        this.#problem(
          'retention-invalid',
          'store',
          `retention-days=${retention} is not a number of days from 1 to 400`,
          {
            hint: 'GitHub keeps artifacts up to 90 days on public repositories and up to 400 on private ones.',
          },
        );
      }
    }
    const repository = env['GITHUB_REPOSITORY'] ?? '';
    const writes = mode === 'backup' || mode === 'update';
    const reads = mode === 'list' || (['restore', 'verify'].includes(mode) && !isPath(this.#text('backup') ?? ''));
    if (isEnterpriseServer(env['GITHUB_SERVER_URL'])) {
      this.#problem('artifact-ghes', 'store', `artifacts of this kind don't exist on ${env['GITHUB_SERVER_URL']}`, {
        hint: 'GitHub Enterprise Server lacks them: use store: type=folder,path=…',
      });
    } else if (writes && (!env['ACTIONS_RUNTIME_TOKEN'] || !env['ACTIONS_RESULTS_URL'])) {
      this.#problem('artifact-outside-workflow', 'store', 'artifacts can be written only by the action in a workflow', {
        hint: 'Use store: type=folder,path=… here. A run: step lacks what an action has: call the action by uses: instead.',
      });
    } else if (reads || writes) {
      if (reads && this.#text('github-token') === undefined) {
        this.#problem('token-missing', 'github-token', 'artifacts of earlier runs can be read only with a token', {
          hint: 'In a workflow leave github-token out and grant "permissions: actions: read"; on the command line set GITHUB_TOKEN.',
        });
      }
      if (!/^[^/\s]+\/[^/\s]+$/.test(repository)) {
        this.#problem('repository-missing', 'store', 'it is not known of which repository to read the artifacts', {
          hint: 'Set the environment variable GITHUB_REPOSITORY to OWNER/REPO.',
        });
      }
    }
    return { type: 'artifact', retentionDays, repository };
  }

  #data(): DataSettings {
    const lines = this.#lines('data');
    if (lines.length === 0 || (lines.length === 1 && lines[0] === 'auto')) return 'auto';
    const records: Readonly<Record<string, string>>[] = [];
    const seen = new Set<string>();
    for (const line of lines) {
      if (line === 'auto') {
        this.#problem('data-invalid', 'data', '"auto" stands beside other lines', {
          hint: 'Either "auto" alone, or one line for each thing that holds data.',
        });
        continue;
      }
      const values = this.#keyValues(line, 'data');
      const type = values === undefined ? undefined : this.#type(values, 'data', Object.keys(dataKeys));
      if (values === undefined || type === undefined) continue;
      this.#keys(values, 'data', dataKeys[type] ?? []);
      const dataPath = values['path'];
      const resolved = dataPath !== undefined && isHostPath(values) ? this.#inside('data', dataPath) : dataPath;
      if (dataPath === '') {
        this.#problem('data-invalid', 'data', `the line "${line}" has an empty path`, { hint: 'Write path=./local.' });
      }
      const { name, exclude: _, ...place } = values;
      const identities = [
        JSON.stringify({ ...place, path: resolved }),
        ...(name === undefined ? [] : [`name ${name}`]),
      ];
      if (name !== undefined && !/^[a-z0-9][a-z0-9-]*$/.test(name)) {
        this.#problem('data-name-invalid', 'data', `"${name}" can't be the name of a part`, {
          hint: 'Use lower-case letters, digits and dashes.',
        });
      }
      if (identities.some((identity) => seen.has(identity))) {
        this.#problem('data-duplicate', 'data', `the line "${line}" repeats the name or the place of another`, {
          hint: 'Every line needs a place, and a name if it has one, of its own.',
        });
      }
      for (const identity of identities) seen.add(identity);
      records.push(values);
    }
    return records;
  }

  /** A store inside the data would put each backup into the next one. */
  #storesOutsideData(stores: readonly StoreSettings[], data: DataSettings): void {
    if (data === 'auto') return;
    for (const store of stores) {
      for (const line of data) {
        const dataPath = line['path'];
        if (store.type !== 'folder' || line['type'] !== 'directory' || dataPath === undefined || !isHostPath(line))
          continue;
        const root = path.resolve(this.#directory, dataPath);
        const own = path.join(this.#directory, '.caretaker');
        if (isInside(store.path, root) && !isInside(store.path, own)) {
          this.#problem('store-inside-data', 'store', `the store ${store.path} lies inside the data ${root}`, {
            hint: 'Each backup would hold all earlier ones: keep them elsewhere.',
          });
        }
      }
    }
  }

  #health(): readonly HealthSettings[] {
    const checks: HealthSettings[] = [];
    for (const line of this.#lines('health')) {
      const values = this.#keyValues(line, 'health');
      if (values === undefined) continue;
      const type = this.#type(values, 'health', ['http', 'command', 'container']);
      if (type === 'http') {
        this.#keys(values, 'health', ['type', 'url', 'status', 'contains']);
        const url = this.#url(values['url'] ?? '');
        const status = values['status'] ?? '200';
        if (!/^[1-5]\d\d$/.test(status)) {
          this.#problem('health-status-invalid', 'health', `status=${status} is no HTTP status`, {
            hint: 'Write three digits, such as status=200.',
          });
        }
        if (url !== undefined) checks.push({ type, url, status: Number(status), contains: values['contains'] });
      } else if (type === 'command') {
        this.#keys(values, 'health', ['type', 'run']);
        const run = values['run'] ?? '';
        if (run === '') {
          this.#problem('health-invalid', 'health', 'a check of type=command has nothing to run', {
            hint: 'Write type=command,run=./check.sh.',
          });
        } else checks.push({ type, run });
      } else if (type === 'container') {
        // Always looked at: listing it changes nothing.
        this.#keys(values, 'health', ['type']);
      }
    }
    return checks;
  }

  #checks(): readonly CheckSettings[] {
    const checks: CheckSettings[] = [];
    for (const line of this.#lines('check')) {
      const values = this.#keyValues(line, 'check');
      const type = values === undefined ? undefined : this.#type(values, 'check', ['sql', 'command'] as const);
      if (values === undefined || type === undefined) continue;
      const needed = type === 'sql' ? (['part', 'query'] as const) : (['run'] as const);
      this.#keys(values, 'check', ['type', ...needed, ...(type === 'sql' ? ['database', 'expect'] : [])]);
      const missing = needed.filter((key) => (values[key] ?? '') === '');
      if (missing.length > 0) {
        this.#problem('check-invalid', 'check', `a check of type=${type} has no ${missing.join(' and no ')}`, {
          hint: 'Write type=sql,part=database,query=select count(*) from users, or type=command,run=./check.sh.',
        });
      } else if (type === 'command') checks.push({ type, run: values['run'] ?? '' });
      else {
        const { part = '', query = '', database, expect } = values;
        checks.push({ type, part, query, database, expect });
      }
    }
    return checks;
  }

  #url(text: string): string | undefined {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
      this.#problem(
        'url-invalid',
        'health',
        text === '' ? 'a check of type=http has no url' : `"${text}" is no http or https address`,
        {
          hint: 'Write it in full: url=http://localhost:8000/.',
        },
      );
      return undefined;
    }
    if (url.username !== '' || url.password !== '') {
      this.#problem(
        'url-credentials',
        'health',
        `the address of ${url.host} holds a user name or password, which would show in the log`,
        {
          hint: 'Check a page that needs no login, or use type=command.',
        },
      );
      return undefined;
    }
    return text;
  }

  #encryption(): EncryptionSettings | undefined {
    const passphrase = this.#secret('passphrase', 'passphrase-file');
    const lines = this.#text('encrypt-to');
    if (lines === undefined) return passphrase === undefined ? undefined : { passphrase };
    if (passphrase !== undefined) {
      this.#problem('settings-conflict', 'encrypt-to', 'encrypt-to and a passphrase exclude each other', {
        hint: 'A passphrase must be the only way to open a file. Leave one of them out.',
      });
    }
    return this.#reading('encrypt-to', () => {
      const [first, ...others] = parseRecipients(lines);
      return { recipients: [first.text, ...others.map(({ text }) => text)] };
    });
  }

  #decryption(): DecryptionSettings {
    const identity = this.#secret('identity', 'identity-file');
    if (identity !== undefined && 'text' in identity) this.#reading('identity', () => parseIdentities(identity.text));
    return { identity, passphrase: this.#secret('passphrase', 'passphrase-file') };
  }

  #secret(name: 'passphrase' | 'identity', fileName: 'passphrase-file' | 'identity-file'): SecretSetting | undefined {
    const text = this.#text(name);
    const given = this.#text(fileName);
    if (given === undefined) {
      if (text === undefined) return undefined;
      if (name === 'passphrase') this.#reading(name, () => checkPassphrase(text));
      return { text };
    }
    if (text !== undefined) {
      this.#problem('settings-conflict', fileName, `${name} and ${fileName} exclude each other`, {
        hint: 'Leave one of them out.',
      });
    }
    const file = this.#inside(fileName, given);
    if (file === undefined) return undefined;
    if (this.#environment.kindOf(file) !== 'file') {
      this.#problem('secret-file-missing', fileName, `there is no file ${file}`, {
        hint: 'Give its absolute path, or one relative to the project directory; the runner’s user must be able to read it.',
      });
    }
    return { file };
  }

  /** What a room refuses is a problem of this input, with the room’s code and hint. */
  #reading<T>(input: InputName, read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof CaretakerError)) throw error;
      this.#problem(error.code, input, error.message, { hint: error.hint ?? '' });
      return undefined;
    }
  }

  #target(): { ref: string | undefined; track: 'releases' | 'branch' | undefined; eventTag: string | undefined } {
    const { env } = this.#environment;
    const ref = this.#text('ref');
    const track =
      this.#text('track') === undefined ? undefined : this.#oneOf('track', ['releases', 'branch'] as const, 'branch');
    // Where `ref` comes in by this run and `track` from the file, the nearer one counts.
    const nearer = this.#raw.values.ref?.from !== this.#raw.values.track?.from;
    if (ref !== undefined && track !== undefined && !nearer) {
      this.#problem('settings-conflict', 'ref', 'ref and track exclude each other', { hint: 'Leave one of them out.' });
    }
    if (ref !== undefined && !isRef(ref)) {
      this.#problem('ref-invalid', 'ref', `"${ref}" can't be the name of a tag, branch or commit`, {
        hint: 'Give a name as git shows it, such as v1.4.0 or main.',
      });
    }
    const fileRef = this.#raw.values.ref?.from === 'file';
    const ofTag = env['GITHUB_REF_TYPE'] === 'tag' && ['push', 'release'].includes(env['GITHUB_EVENT_NAME'] ?? '');
    return {
      ref: track !== undefined && nearer && fileRef ? undefined : ref,
      track: ref !== undefined && nearer && !fileRef ? undefined : track,
      eventTag: this.#environment.inWorkflow && ofTag ? env['GITHUB_REF_NAME'] : undefined,
    };
  }

  #images(): ImageSettings {
    return {
      build: this.#build(),
      buildTimeoutMs: this.#duration('build-timeout', LIMITS.build),
      cacheImages: this.#oneOf('cache-images', ['true', 'false'] as const, 'false') === 'true',
    };
  }

  #build(): BuildSettings {
    const text = this.#text('build') ?? 'auto';
    const kind = builds.find((name) => name === text);
    return kind === undefined ? { kind: 'command', command: text } : { kind };
  }

  #allow(): readonly Allowance[] {
    const allowed: Allowance[] = [];
    for (const word of this.#words('allow')) {
      const known = allowances.find((name) => name === word);
      if (known !== undefined) allowed.push(known);
      else {
        this.#problem('allow-unknown', 'allow', `"${word}" is nothing that can be allowed`, {
          hint: didYouMean(word, allowances),
        });
      }
    }
    return allowed;
  }

  #backup(): BackupChoice {
    const text = this.#text('backup') ?? 'latest';
    if (isPath(text)) {
      const resolved = path.resolve(this.#directory, text);
      if (this.#environment.kindOf(resolved) === null) {
        this.#problem('backup-path-missing', 'backup', `there is nothing at ${resolved}`, {
          hint: 'Give the path of a folder that holds the backup’s files, or the backup’s name.',
        });
      }
      return { text, by: 'path', path: resolved };
    }
    const choice = parseBackupChoice(text);
    if (choice !== null) return choice;
    this.#problem('backup-invalid', 'backup', `"${text}" says nothing of which backup is meant`, {
      hint: 'Write latest, a name such as uso-20261121T220000Z, the digits of a run’s or an artifact’s id, before=2026-11-20 (or with a time: before=2026-11-20T18:30), an age such as 2d or 36h, a version such as v25.09 (version=TAG for any tag), or a path with a slash (./folder).',
    });
    return { text, by: 'latest' };
  }

  #only(): readonly Selection[] {
    const selections: Selection[] = [];
    for (const word of this.#quotedWords('only')) {
      const selection = parseSelection(word);
      if (typeof selection !== 'string') selections.push(selection);
      else {
        this.#problem('only-invalid', 'only', selection, {
          hint: 'Write a part’s name (database), a path inside a part (media/2026/a.png), or one database of a part (database:shop). Paths are relative to the part and taken literally.',
        });
      }
    }
    const [one, other] = conflictIn(selections) ?? [];
    if (one !== undefined && other !== undefined) {
      this.#problem('only-conflict', 'only', `"${one.text}" and "${other.text}" can’t go together`, {
        hint: 'One holds the other, or they are of different kinds: leave one of them out.',
      });
    }
    return selections;
  }

  #to(): string | undefined {
    const text = this.#text('to');
    return text === undefined ? undefined : this.#inside('to', text);
  }

  #withData(): boolean {
    const text = this.#text('with-data');
    if (text === undefined) {
      this.#problem('with-data-missing', 'with-data', 'a rollback does not know whether the data are to go back too', {
        hint: 'Write with-data: true to bring back the data from before the update (what was written since is lost), or with-data: false to keep those of now.',
      });
    } else if (text !== 'true' && text !== 'false') {
      this.#problem('with-data-invalid', 'with-data', `"${text}" is neither true nor false`, {
        hint: 'Write true or false.',
      });
    }
    return text === 'true';
  }

  #confirm(projectName: string | undefined): string {
    const typed = this.#typed(projectName);
    const name = projectName ?? normalName(path.basename(this.#directory));
    if (typed === '') {
      this.#problem('confirm-missing', 'confirm', 'this replaces live data, and confirm is empty', {
        hint: `Type the project's name into confirm: ${name}${projectName === undefined ? ', unless the compose file names it otherwise' : ''}.`,
      });
    }
    return typed;
  }

  /** Empty for a restore on a host where there is nothing to lose; the mode finds out. */
  #typed(projectName: string | undefined): string {
    const typed = this.#text('confirm') ?? '';
    if (typed !== '' && projectName !== undefined && typed !== projectName) {
      this.#problem('not-confirmed', 'confirm', `confirm says "${typed}", and the project is ${projectName}`, {
        hint: `Type ${projectName} if this is the project whose data is to be replaced.`,
      });
    }
    return typed;
  }

  #sourceDirectory(): string | undefined {
    const text = this.#text('source-directory');
    if (text === undefined) return undefined;
    // It lies elsewhere by its nature: a way out of the project directory is no slip here.
    const resolved = path.resolve(this.#directory, text);
    if (this.#environment.kindOf(resolved) !== 'directory') {
      this.#problem('source-directory-missing', 'source-directory', `there is no directory ${resolved}`, {
        hint: 'Give the git clone that the images are built from, as an absolute path.',
      });
    }
    return resolved;
  }

  // --- Kinds of values ---

  #problem(code: string, input: InputName, message: string, { hint }: { hint: string }): void {
    const from = this.#raw.values[input]?.from === 'file' ? ' (in caretaker.yml)' : '';
    this.problems.push(new CaretakerError(code, `${input}${from}: ${message}`, { input, hint }));
  }

  /** Undefined for an empty value, which is no value. */
  #text(name: InputName): string | undefined {
    const text = this.#raw.values[name]?.text.trim();
    return text === '' ? undefined : text;
  }

  #lines(name: InputName): string[] {
    return linesOf(this.#text(name) ?? '');
  }

  #words(name: InputName): string[] {
    return [...new Set(wordsOf(this.#text(name) ?? ''))];
  }

  #quotedWords(name: InputName): string[] {
    try {
      return [...new Set(quotedWordsOf(this.#text(name) ?? '', name))];
    } catch (error) {
      if (!(error instanceof CaretakerError)) throw error;
      this.problems.push(error);
      return [];
    }
  }

  #oneOf<T extends string>(name: InputName, possible: readonly T[], standard: T): T {
    const text = this.#text(name) ?? standard;
    const found = possible.find((value) => value === text);
    if (found === undefined) {
      this.#problem(`${name}-unknown`, name, `"${text}" is unknown`, { hint: didYouMean(text, possible) });
    }
    return found ?? standard;
  }

  #flag(name: InputName): boolean {
    return this.#oneOf(name, ['true', 'false'] as const, 'false') === 'true';
  }

  #throwawayNetwork(): 'internal' | 'open' {
    return this.#oneOf('throwaway-network', ['internal', 'open'] as const, 'internal');
  }

  #onStoreFailure(): StoreFailure {
    return this.#oneOf('on-store-failure', ['fail', 'warn'] as const, 'fail');
  }

  #duration(name: InputName, standard: number, { zero = false } = {}): number {
    const text = this.#text(name);
    if (text === undefined) return standard;
    const ms = parseDuration(text);
    if (ms !== undefined && (zero || ms > 0)) return ms;
    this.#problem('duration-invalid', name, `"${text}" is no time`, {
      hint: /^\d+$/.test(text) && text !== '0' ? `Add a unit: ${text}s or ${text}m.` : 'Write it as 90s, 5m or 1m30s.',
    });
    return standard;
  }

  #count(name: InputName, standard: number): number {
    const text = this.#text(name);
    if (text === undefined) return standard;
    if (/^\d{1,4}$/.test(text)) return Number(text);
    this.#problem('number-invalid', name, `"${text}" is not a whole number from 0 to 9999`, {
      hint: 'Write digits only.',
    });
    return standard;
  }

  #days(name: InputName): number | undefined {
    const text = this.#text(name);
    if (text === undefined) return undefined;
    if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
    this.#problem('number-invalid', name, `"${text}" is not a whole number of days from 1 to 9999`, {
      hint: 'Write digits only, or leave it out.',
    });
    return undefined;
  }

  #keeping(): { readonly keepLocal: number; readonly keepLocalDays: number | undefined } {
    return { keepLocal: this.#count('keep-local', 3), keepLocalDays: this.#days('keep-local-days') };
  }

  #keyValues(line: string, name: InputName): Readonly<Record<string, string>> | undefined {
    try {
      return parseKeyValues(line, name);
    } catch (error) {
      if (!(error instanceof CaretakerError)) throw error;
      this.problems.push(error);
      return undefined;
    }
  }

  #type<T extends string>(
    values: Readonly<Record<string, string>>,
    name: InputName,
    types: readonly T[],
  ): T | undefined {
    const type = values['type'];
    const found = types.find((known) => known === type);
    if (found === undefined) {
      this.#problem(
        `${name}-type-unknown`,
        name,
        type === undefined ? 'a line has no type' : `there is no type "${type}"`,
        { hint: type === undefined ? `Begin the line with type=${types.join(', type=')}.` : didYouMean(type, types) },
      );
    }
    return found;
  }

  #keys(values: Readonly<Record<string, string>>, name: InputName, known: readonly string[]): void {
    for (const key of Object.keys(values)) {
      if (!known.includes(key)) {
        this.#problem(`${name}-key-unknown`, name, `type=${values['type']} has no "${key}"`, {
          hint: didYouMean(key, known),
        });
      }
    }
  }

  /** A restore may bring them. */
  #files(name: InputName, missing: string, mode: Mode): readonly string[] {
    return this.#lines(name).flatMap((line) => {
      const file = this.#inside(name, line);
      if (file !== undefined && mode !== 'restore' && this.#environment.kindOf(file) !== 'file') {
        this.#problem(missing, name, `there is no file ${file}`, {
          hint: 'Give its path relative to the project directory, one file a line.',
        });
      }
      return file === undefined ? [] : [file];
    });
  }

  /** An absolute path is meant as it stands; a relative one that leads out of the project directory is more likely a slip, or an attack. */
  #inside(name: InputName, text: string): string | undefined {
    const resolved = path.resolve(this.#directory, text);
    if (path.isAbsolute(text) || isInside(resolved, this.#directory)) return resolved;
    this.#problem('path-outside-project', name, `${text} leads out of the project directory ${this.#directory}`, {
      hint: `If that is meant, write it as an absolute path: ${resolved}`,
    });
    return undefined;
  }
}

/** Beside `service=` a path is the container's, beside `volume=` the volume's. */
function isHostPath(line: Readonly<Record<string, string>>): boolean {
  return line['service'] === undefined && line['volume'] === undefined;
}

function isInside(inner: string, outer: string): boolean {
  return inner === outer || inner.startsWith(outer.endsWith('/') ? outer : `${outer}/`);
}

/** As Compose makes a project's name of a directory's. */
export function normalName(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9_-]/g, '')
    .replace(/^[_-]+/, '');
}

/** What git allows in a reference, minus what its revision syntax would read as more than a name. */
function isRef(text: string): boolean {
  return !/[\s~^:?*[\\\x00-\x1f\x7f]|\.\.|@\{|^[-/.@]|\/\/|[/.]$|\.lock$/.test(text);
}

/** As @actions/artifact judges it. */
function isEnterpriseServer(url: string | undefined): boolean {
  const host = new URL(url !== undefined && URL.canParse(url) ? url : 'https://github.com').hostname.toUpperCase();
  return host !== 'GITHUB.COM' && !host.endsWith('.GHE.COM') && !host.endsWith('.LOCALHOST');
}

/** Whether `backup` names a place on this host. */
function isPath(backup: string): boolean {
  return backup.includes('/') && !backup.startsWith('version=');
}
