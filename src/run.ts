import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, rm, rmdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { CaretakerError, CaretakerErrors, messageOf } from './errors.ts';
import { backup } from './modes/backup.ts';
import type { Reopen } from './modes/empty-host.ts';
import { dropHalfBackups } from './modes/keep-local.ts';
import { list } from './modes/list.ts';
import { dropStrayCopies } from './modes/outgoing.ts';
import { planUpdate } from './modes/plan.ts';
import { Recorder } from './modes/recorder.ts';
import { listSection, sectionsOf, type ModeOutcome } from './modes/report.ts';
import { giveReserve } from './modes/reserve.ts';
import { restore } from './modes/restore.ts';
import { restoreElsewhere } from './modes/restore-elsewhere.ts';
import { rollback } from './modes/rollback.ts';
import type { Tools } from './modes/tools.ts';
import { finishActions, forwardActions, undoActions } from './modes/undo.ts';
import { status } from './modes/status.ts';
import { unstored, whatWaits } from './modes/unstored.ts';
import { update } from './modes/update.ts';
import { verify } from './modes/verify.ts';
import { openAfter, openedAs, settingsBack, type OpenedAs } from './cut-off.ts';
import { open, openElsewhere, type Acting, type Opened } from './open.ts';
import { errorTexts } from './report/errors-text.ts';
import type { Project } from './project/project.ts';
import type { Log } from './report/log.ts';
import type { Outcome, RunReport } from './report/run-report.ts';
import { takeOverCommands } from './safety/commands.ts';
import { openJournal, unfinishedRun, type UnfinishedRun } from './safety/journal.ts';
import { acquireLock, lockHolder, type Lock } from './safety/lock.ts';
import { recover, type RecoveryActions } from './safety/recovery.ts';
import { runSaga, type Saga, type SagaOutcome } from './safety/saga.ts';
import { ensureStateDirectory, refuseUnsafeState } from './safety/state-directory.ts';
import { environmentOf, loadSettings } from './settings/load.ts';
import { modes, type InputName } from './settings/inputs.ts';
import { projectDirectoryOf, type Environment } from './settings/parse.ts';
import type { RecoverSettings, RestoreSettings, Settings, UpdateSettings } from './settings/settings.ts';
import type { RawInputs } from './settings/sources.ts';
import { runAuthorCommand } from './system/author-command.ts';
import { killChildren } from './system/live-processes.ts';
import { removeTemporaries } from './system/files.ts';
import { systemClock } from './system/system-clock.ts';
import { VERSION } from './version.ts';

export interface RunRequest {
  readonly raw: RawInputs;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
  readonly inWorkflow: boolean;
}

export interface RunResult {
  readonly report: RunReport;
  readonly artifactIds: readonly string[];
}

type Elsewhere = RestoreSettings & { readonly to: string };

function isElsewhere(settings: Settings): settings is Elsewhere {
  return settings.mode === 'restore' && settings.to !== undefined;
}

/** What a run was asked for, and what it found. */
interface Looked<S extends Settings> {
  readonly settings: S;
  readonly opened: Opened;
}

/** One run from raw values to its report. Never throws: whatever goes wrong is in the report. */
export async function runCaretaker(request: RunRequest): Promise<RunResult> {
  const run = new Run(request);
  return run.perform(async (settings) => {
    if (isElsewhere(settings)) return run.elsewhere(await openElsewhere(settings, run.world), settings);
    const looks =
      settings.mode === 'list' || settings.mode === 'status' || (settings.mode === 'update' && settings.dryRun);
    const opened = looks ? await open(settings, run.world) : await openAfter(settings, run.world);
    run.project = opened.project.name;
    if (settings.mode === 'list') return listSection(await list(opened));
    if (settings.mode === 'status') {
      return { status: await status({ ...opened, recorder: run.recorder, clock: systemClock }, settings) };
    }
    if (settings.mode === 'update' && settings.dryRun) return run.plan(opened, settings);
    if (settings.mode === 'recover') {
      await run.recover({ settings, opened });
      return {};
    }
    return sectionsOf(await run.underLock({ settings, opened }, act), { ...opened, recorder: run.recorder });
  });
}

/**
 * Finishes what a killed run of this project left: what `post` does after every run. Null when there is nothing to do, which is the rule; also while another
 * run has the lock: that one finished what it found before it did anything else.
 */
export async function afterRun(request: RunRequest): Promise<RunResult | null> {
  const environment = environmentOf({ ...request, cwd: process.cwd() });
  const directory = projectDirectoryOf(request.raw, environment);
  // What only looks leaves recovery to a run that acts.
  if (onlyLooks(request.raw)) return null;
  // `main` has told of a directory that can't be entered; and where it had got nowhere, nothing is to be finished.
  const stateDirectory = path.join(directory, '.caretaker');
  if (!existsSync(path.join(stateDirectory, 'journal.jsonl'))) return null;
  // What is wrong with the lock is told where it is to be taken.
  const holder = await holderIn(directory, stateDirectory).catch(() => null);
  if (holder !== null && holder.state !== 'dead') return null;
  const run = new Run(request);
  const result = await run.perform(async (settings) => {
    if (settings.mode === 'list' || settings.mode === 'status') return {};
    const opened = await openAfter(settings, run.world);
    run.project = opened.project.name;
    await run.underLock({ settings: { ...settings, lockTimeoutMs: 0 }, opened }, () => Promise.resolve(null));
    return {};
  });
  return result.report.error?.code === 'locked' ? null : result;
}

/** What lies in a state directory that is not safe is not even read. */
async function holderIn(projectDirectory: string, stateDirectory: string): ReturnType<typeof lockHolder> {
  refuseUnsafeState(projectDirectory);
  return lockHolder(stateDirectory);
}

/** Whether the run changes nothing of the application, whatever it finds. */
function onlyLooks({ values }: RawInputs): boolean {
  const given = (name: InputName): string | undefined => values[name]?.text.trim();
  return ['list', 'status'].includes(given('mode') ?? '') || given('to') !== undefined || given('dry-run') === 'true';
}

async function act(
  tools: Tools,
  { settings, opened: { openFolder, missing } }: Looked<Exclude<Acting, { mode: 'recover' }>>,
  reopen: Reopen,
): Promise<ModeOutcome> {
  switch (settings.mode) {
    case 'backup':
      return { mode: 'backup', ...(await backup(tools, settings)) };
    case 'update':
    case 'rehearse':
      return { mode: settings.mode, ...(await update(tools, settings)) };
    case 'rollback':
      return { mode: 'rollback', ...(await rollback(tools, settings)) };
    case 'verify':
      return { mode: 'verify', ...(await verify(tools, settings, openFolder)) };
    case 'restore':
      return { mode: 'restore', ...(await restore(tools, settings, openFolder, { reopen, missing })) };
  }
}

class Run {
  readonly recorder: Recorder;
  readonly world: { readonly env: RunRequest['env']; readonly log: Log; readonly signal: AbortSignal };
  project: string;
  run: string;
  readonly #request: RunRequest;
  readonly #cancel = new AbortController();
  readonly #startedAt = systemClock.now();
  readonly #start = systemClock.monotonic();
  #saga: SagaOutcome | undefined;
  #mode: RunReport['mode'];
  #noOp = false;

  constructor(request: RunRequest) {
    this.#request = request;
    this.run = runName(this.#startedAt);
    this.recorder = new Recorder(request.log, systemClock);
    // What a room warns of belongs into the summary too.
    const log: Log = { ...request.log, warn: (line) => this.recorder.warn(line) };
    this.world = { env: request.env, log, signal: this.#cancel.signal };
    const mode = request.raw.values.mode?.text.trim();
    this.#mode = modes.find((known) => known === mode) ?? 'backup';
    this.project = path.basename(projectDirectoryOf(request.raw, this.#environment()));
  }

  async perform(work: (settings: Settings) => Promise<Partial<RunReport>>): Promise<RunResult> {
    const release = this.#onSignals();
    try {
      await this.#settingsBack();
      return this.#result(await work(this.#load()), undefined);
    } catch (error) {
      return this.#result({}, error);
    } finally {
      release();
    }
  }

  /** Before the settings are read. */
  async #settingsBack(how: { readonly held?: boolean } = {}): Promise<void> {
    const { raw } = this.#request;
    const mode = modes.find((known) => known === raw.values.mode?.text.trim());
    const projectDirectory = projectDirectoryOf(raw, this.#environment());
    const there = existsSync(path.join(projectDirectory, '.caretaker/journal.jsonl'));
    if (mode === undefined || mode === 'list' || mode === 'status' || onlyLooks(raw) || !there) return;
    refuseUnsafeState(projectDirectory);
    await settingsBack({ mode, projectDirectory }, this.world, how);
  }

  #environment(): Environment {
    return environmentOf({ ...this.#request, cwd: process.cwd() });
  }

  #load(): Settings {
    const settings = loadSettings(this.#request.raw, this.#environment());
    this.#mode = settings.mode;
    refuseUnsafeState(settings.projectDirectory);
    if (settings.githubToken !== undefined) this.#request.log.mask(settings.githubToken);
    for (const warning of settings.warnings) if (!this.recorder.warnings.includes(warning)) this.recorder.warn(warning);
    return settings;
  }

  /** What an update would do. Without the lock: nothing is touched. */
  async plan(opened: Opened, settings: UpdateSettings): Promise<Partial<RunReport>> {
    const { from, to, plan } = await planUpdate(this.#tools(opened, noSaga), settings);
    this.#noOp = true;
    return { update: { from, to, changedServices: [] }, plan };
  }

  /** A restore that touches nothing of the application. Without the lock: it does not matter what else runs. */
  async elsewhere(opened: Opened, settings: Elsewhere): Promise<Partial<RunReport>> {
    this.project = opened.project.name;
    await restoreElsewhere(this.#tools(opened, noSaga), settings, opened.openFolder);
    return {};
  }

  /** Does nothing but what every run does first. Where nothing waits not even the lock is taken. */
  async recover(looked: Looked<RecoverSettings>): Promise<void> {
    const { stateDirectory } = looked.opened.project;
    if ((await unfinishedRun(stateDirectory)) !== null) {
      await this.underLock(looked, () => Promise.resolve(null));
      // The run that was waited for may have ended well.
      this.#noOp = this.recorder.recovery === undefined;
      return;
    }
    this.#noOp = true;
    await this.#tellWhatWaits(stateDirectory);
  }

  /** What waits for a store is no reason not to do what was asked for. */
  async #tellWhatWaits(stateDirectory: string): Promise<void> {
    const lines = await unstored(stateDirectory).then(whatWaits, (error: unknown) => [messageOf(error)]);
    for (const line of lines) this.recorder.warn(line);
  }

  /** Takes the lock, finishes what an earlier run left, and then does `work` as a saga. A run that is refused leaves no trace. */
  async underLock<S extends Acting, T extends ModeOutcome | null>(
    looked: Looked<S>,
    work: (tools: Tools, looked: Looked<S>, reopen: Reopen) => Promise<T>,
  ): Promise<T> {
    const { env, log, signal } = this.world;
    const { mode, lockTimeoutMs: timeoutMs } = looked.settings;
    const stateDirectory = await ensureStateDirectory(looked.opened.project.directory);
    const { uid } = await stat(stateDirectory);
    if (process.getuid?.() === 0 && uid !== 0) {
      this.recorder.warn(
        `${stateDirectory} is kept by user ${uid}, who can’t read what root writes there: run this as that user.`,
      );
    }
    const holder = await lockHolder(stateDirectory);
    // What a killed run has kept: on a full disk even the lock may want it.
    if (holder === null || holder.state === 'dead') await giveReserve(stateDirectory);
    const url =
      env['GITHUB_RUN_ID'] === undefined
        ? {}
        : { runUrl: `${repositoryUrl(env)}/actions/runs/${env['GITHUB_RUN_ID']}` };
    const lock = await acquireLock(stateDirectory, { mode, ...url }, { timeoutMs, clock: systemClock, log, signal });
    let commandsOver: (() => void) | undefined;
    try {
      // A refused first run may have taken it away meanwhile.
      await ensureStateDirectory(looked.opened.project.directory);
      commandsOver = await takeOverCommands(stateDirectory, this.world.log);
      // Of one that died while this one waited.
      await giveReserve(stateDirectory);
      const current = lock.waited ? await this.#lookAgain<S>() : looked;
      const { settings, opened } = current;
      const { project } = opened;
      let tools: Tools | undefined;
      const toolsNow = (): Tools => (tools ??= this.#tools(opened, noSaga));
      // What is put back after a cancel must not be cancelled by it.
      const undoTools = (): Tools => ({ ...toolsNow(), signal: new AbortController().signal });
      const patience = { ...settings, healthTimeoutMs: Math.max(settings.healthTimeoutMs, OLD_VERSION_MS) };
      const actions = {
        undo: undoActions(undoTools, patience),
        forward: forwardActions(toolsNow),
        finish: finishActions(toolsNow),
      };
      if (project.bare && settings.mode === 'verify' && (await unfinishedRun(stateDirectory)) !== null) {
        throw new CaretakerError(
          'recovery-first',
          'an earlier run was cut off, and this drill does not look at the application to finish or undo it',
          {
            hint: 'Run any other mode first (status tells what waits), or this one with an engine and proof: databases.',
          },
        );
      }
      refuseOthers(await unfinishedRun(stateDirectory), project);
      const recovered = await recover(
        stateDirectory,
        opened.missing ? withoutProject(actions, opened.missing) : actions,
        log,
      );
      if (recovered !== null) {
        const { mode, run, outcome } = recovered;
        this.recorder.recovery = { mode, run, outcome };
        this.recorder.warn(
          outcome === 'rolled-back'
            ? `The ${mode} of run ${run} had been cut off: everything is as it was before it.`
            : `The ${mode} of run ${run} had been cut off, and what it brought is in place: it is finished now.`,
        );
      }
      await clearStaging(project, stateDirectory);
      if (settings.mode !== 'backup' && settings.mode !== 'update') await this.#tellWhatWaits(stateDirectory);
      const { run } = this;
      const outcome = await runSaga(
        {
          journal: await openJournal(stateDirectory),
          undoActions: actions.undo,
          forwardActions: actions.forward,
          finishActions: actions.finish,
          log,
          clock: systemClock,
          run: {
            run,
            mode: settings.mode,
            caretaker: VERSION,
            settings: openedAs(settings, project),
          },
          signal,
          onOutcome: (saga) => {
            this.#saga = saga;
          },
        },
        (saga) => {
          tools = this.#tools(opened, saga);
          const worked = work(tools, current, async (composeFiles) => {
            const files = settings.composeFiles.length > 0 ? settings.composeFiles : composeFiles;
            const now = await open({ ...settings, composeFiles: files }, this.world);
            if (now.missing !== undefined) throw now.missing;
            this.project = now.project.name;
            return (tools = this.#tools(now, saga));
          });
          // Before anything is undone.
          return worked.finally(() => giveReserve(stateDirectory));
        },
      );
      this.#noOp = outcome !== null && 'updated' in outcome && !outcome.updated && !outcome.rehearsed;
      return outcome;
    } finally {
      commandsOver?.();
      await leave(stateDirectory, lock);
    }
  }

  /** After another run, which may have changed the code, the containers and caretaker.yml. Of the runs of this project this one is the newest now. */
  async #lookAgain<S extends Acting>(): Promise<Looked<S>> {
    this.run = runName(systemClock.now());
    await this.#settingsBack({ held: true });
    // What belongs to one run, as the mode does, is as it was.
    const settings = this.#load() as S;
    const opened = await openAfter(settings, this.world, { held: true });
    this.project = opened.project.name;
    return { settings, opened };
  }

  #tools(opened: Opened, saga: Saga): Tools {
    const { log, signal } = this.world;
    return {
      ...opened,
      saga,
      recorder: this.recorder,
      log,
      clock: systemClock,
      runAuthorCommand,
      signal,
      checkSettings: () => void loadSettings(this.#request.raw, this.#environment()),
      run: this.run,
      caretaker: VERSION,
    };
  }

  #result(sections: Partial<RunReport>, error: unknown): RunResult {
    const { recorder } = this;
    const [first, ...others] = error === undefined ? [] : errorTexts(error);
    const report: RunReport = {
      mode: this.#mode,
      project: this.project,
      outcome: this.#outcome(error),
      startedAt: this.#startedAt.toISOString(),
      seconds: (systemClock.monotonic() - this.#start) / 1000,
      steps: recorder.steps,
      outages: recorder.outages,
      warnings: recorder.warnings,
      downtimeSeconds: recorder.downtimeSeconds,
      health: recorder.health,
      ...(recorder.recovery === undefined ? {} : { recovery: recorder.recovery }),
      ...recorder.sections,
      ...sections,
      ...this.#whereToRestore(sections.restoreInstructions ?? recorder.sections.restoreInstructions),
      ...(first === undefined ? {} : { error: first, otherErrors: others }),
      ...(error === undefined || recorder.lastWords === undefined ? {} : { lastWords: recorder.lastWords }),
    };
    return { report, artifactIds: recorder.stored.flatMap(({ ids }) => ids) };
  }

  #whereToRestore(how: RunReport['restoreInstructions']): Pick<RunReport, 'restoreInstructions'> {
    const { env, inWorkflow } = this.#request;
    if (how === undefined || !inWorkflow || env['GITHUB_REPOSITORY'] === undefined) return {};
    return { restoreInstructions: { ...how, actionsUrl: `${repositoryUrl(env)}/actions` } };
  }

  #outcome(error: unknown): Outcome {
    if (error === undefined) return this.#noOp ? 'no-op' : 'done';
    if (error instanceof CaretakerErrors) return 'refused';
    if (error instanceof CaretakerError && error.code === 'rollback-failed') return 'rollback-failed';
    // Code and images were changed and are back: what serves never knew.
    const untouched = error instanceof CaretakerError && error.code === 'rehearsal-failed';
    switch (this.#saga?.outcome) {
      case 'rolled-back':
        // A throwaway that was taken away again changed nothing, nor did a backup that is not kept.
        return untouched ? 'refused' : ['backup', 'verify'].includes(this.#mode) ? 'failed' : 'rolled-back';
      case 'failed':
      case undefined:
        return this.recorder.acted ? 'failed' : 'refused';
      case 'unfinished':
        return 'incomplete';
      case 'done':
        // It is in place, and what followed it failed; a backup that is not stored is none.
        return this.#mode === 'backup' ? 'failed' : 'incomplete';
    }
  }

  /** A cancelled run ends its children and goes back; `post` and the next run do the rest if this process does not live to. */
  #onSignals(): () => void {
    const onSignal = (signal: NodeJS.Signals): void => {
      if (this.#cancel.signal.aborted) return;
      this.#request.log.warn(`${signal}: the run is cancelled, and what it changed is put back`);
      this.#cancel.abort(new CaretakerError('cancelled', `the run was cancelled by ${signal}`));
      void killChildren();
    };
    for (const name of SIGNALS) process.on(name, onSignal);
    return () => {
      for (const name of SIGNALS) process.off(name, onSignal);
    };
  }
}

/** What health-timeout asks of a new version is no reason to give the old one up: a container network alone may need 40 s. */
const OLD_VERSION_MS = 120_000;

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Several projects may share a directory: what one of them was cut off in is not put right on the containers and volumes of another. */
function refuseOthers(run: UnfinishedRun | null, { name }: Project): void {
  const { projectName = name } = (run?.settings ?? {}) as OpenedAs;
  if (run === null || projectName === name) return;
  throw new CaretakerError(
    'recovery-first',
    `the ${run.mode} ${run.run} of the project ${projectName} was cut off in this directory, and this run is one of ${name}`,
    { input: 'project-name', hint: `Run mode recover with project-name ${projectName} first.` },
  );
}

/** Without a compose file only the project's own files can be taken away: what else a run has left needs the project. */
function withoutProject(actions: RecoveryActions, missing: CaretakerError): RecoveryActions {
  const refuse = <T>(table: Readonly<Record<string, T>>): Record<string, T | (() => Promise<never>)> =>
    Object.fromEntries(
      Object.entries(table).map(([name, action]) => [
        name,
        name === 'files-away' ? action : () => Promise.reject(missing),
      ]),
    );
  return { undo: refuse(actions.undo), forward: refuse(actions.forward), finish: refuse(actions.finish) };
}

/** What recovery acts with: an undo or a forward action that began a step of its own would be a fault of ours. */
const noSaga: Saga = {
  step: () => Promise.reject(new TypeError('recovery begins no step')),
  prepare: () => Promise.reject(new TypeError('recovery prepares nothing')),
  commit: () => Promise.reject(new TypeError('recovery commits by itself')),
  goBack: () => Promise.reject(new TypeError('recovery goes back by itself')),
};

function repositoryUrl(env: RunRequest['env']): string {
  return `${env['GITHUB_SERVER_URL'] ?? 'https://github.com'}/${env['GITHUB_REPOSITORY'] ?? ''}`;
}

/** Under the lock, and with nothing left to recover, all that lies in staging is what a killed run left: whole backups, perhaps. */
async function clearStaging({ files }: Project, stateDirectory: string): Promise<void> {
  const staging = path.join(stateDirectory, 'staging');
  const left = await readdir(staging);
  if (left.length > 0) await files.remove(left.map((name) => path.join(staging, name)));
  await removeTemporaries(stateDirectory);
  await dropHalfBackups(stateDirectory);
  // A queue that can't be read is told of by whoever needs it.
  const waiting = await unstored(stateDirectory).catch(() => null);
  if (waiting !== null)
    await dropStrayCopies(
      stateDirectory,
      waiting.map(({ backup }) => backup),
    );
}

/** `20261124t062317z-4f2a`: sorts by time, and fits into the tag of an image. */
function runName(at: Date): string {
  const time = at.toISOString().replaceAll(/[-:]|\.\d+/g, '');
  return `${time.toLowerCase()}-${randomBytes(2).toString('hex')}`;
}

/**
 * Lets others in. A refused first run must not leave a folder behind: what is in it goes under the lock, and the folder itself only if nobody else has come.
 * Looks no deeper than it must: what lies below may be another user's.
 */
async function leave(stateDirectory: string, lock: Lock): Promise<void> {
  let empty = false;
  try {
    const contents = (await readdir(stateDirectory)).filter((name) => name !== 'lock');
    empty = contents.every((name) => ['.gitignore', 'staging', 'backups'].includes(name));
    const folders = contents.filter((name) => name !== '.gitignore').map((name) => path.join(stateDirectory, name));
    for (const folder of empty ? folders : []) empty &&= (await readdir(folder)).length === 0;
    if (empty) {
      for (const folder of folders) await rmdir(folder);
      await rm(path.join(stateDirectory, '.gitignore'), { force: true });
    }
  } finally {
    await lock.release();
  }
  if (!empty) return;
  await rmdir(stateDirectory).catch((error: NodeJS.ErrnoException) => {
    if (!['ENOTEMPTY', 'EEXIST', 'ENOENT'].includes(error.code ?? '')) throw error;
  });
}
