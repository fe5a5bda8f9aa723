import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { CaretakerError, CaretakerErrors } from './errors.ts';
import { backup } from './modes/backup.ts';
import type { Reopen } from './modes/empty-host.ts';
import { list } from './modes/list.ts';
import { planUpdate } from './modes/plan.ts';
import { Recorder } from './modes/recorder.ts';
import { listSection, sectionsOf, type ModeOutcome } from './modes/report.ts';
import { restore } from './modes/restore.ts';
import { restoreElsewhere } from './modes/restore-elsewhere.ts';
import { rollback } from './modes/rollback.ts';
import type { Tools } from './modes/tools.ts';
import { forwardActions, undoActions } from './modes/undo.ts';
import { status } from './modes/status.ts';
import { update } from './modes/update.ts';
import { verify } from './modes/verify.ts';
import { open, openElsewhere, type Opened } from './open.ts';
import { errorTexts } from './report/errors-text.ts';
import type { Project } from './project/project.ts';
import type { Log } from './report/log.ts';
import type { Outcome, RunReport } from './report/run-report.ts';
import type { Actions } from './safety/actions.ts';
import { openJournal, unfinishedRun } from './safety/journal.ts';
import { acquireLock, lockHolder } from './safety/lock.ts';
import { recover } from './safety/recovery.ts';
import { runSaga, type Saga, type SagaOutcome } from './safety/saga.ts';
import { ensureStateDirectory } from './safety/state-directory.ts';
import { environmentOf, loadSettings } from './settings/load.ts';
import { modes } from './settings/inputs.ts';
import { projectDirectoryOf } from './settings/parse.ts';
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

type Acting = Exclude<Settings, { mode: 'list' | 'status' }>;

/** One run from raw values to its report. Never throws: whatever goes wrong is in the report. */
export async function runCaretaker(request: RunRequest): Promise<RunResult> {
  const run = new Run(request);
  return run.perform(async (settings) => {
    if (isElsewhere(settings)) return run.elsewhere(await openElsewhere(settings, run.world), settings);
    const opened = await open(settings, run.world);
    run.project = opened.project.name;
    if (settings.mode === 'list') return listSection(await list(opened));
    if (settings.mode === 'status') {
      return { status: await status({ ...opened, recorder: run.recorder, clock: systemClock }, settings) };
    }
    if (settings.mode === 'update' && settings.dryRun) return run.plan(opened, settings);
    if (settings.mode === 'recover') {
      await run.recover(opened, settings);
      return {};
    }
    const outcome = await run.underLock(opened, settings, (tools, reopen) =>
      act(tools, settings, { ...opened, reopen }),
    );
    return outcome === null ? {} : sectionsOf(outcome, { ...opened, recorder: run.recorder });
  });
}

/**
 * Finishes what a killed run of this project left: what `post` does after every run. Null when there is nothing to do, which is the rule.
 */
export async function afterRun(request: RunRequest): Promise<RunResult | null> {
  const environment = environmentOf({ ...request, cwd: process.cwd() });
  const directory = projectDirectoryOf(request.raw, environment);
  // What only looks leaves recovery to a run that acts.
  if (['list', 'status'].includes(request.raw.values.mode?.text.trim() ?? '')) return null;
  // `main` has told of a directory that can't be entered; and where it had got nowhere, nothing is to be finished.
  if (!existsSync(path.join(directory, '.caretaker', 'journal.jsonl'))) return null;
  const run = new Run(request);
  return run.perform(async (settings) => {
    if (settings.mode === 'list' || settings.mode === 'status' || isElsewhere(settings)) return {};
    const opened = await open(settings, run.world);
    run.project = opened.project.name;
    await run.underLock(opened, settings, () => Promise.resolve(null));
    return {};
  });
}

async function act(
  tools: Tools,
  settings: Exclude<Acting, { mode: 'recover' }>,
  { openFolder, missing, reopen }: Opened & { readonly reopen: Reopen },
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
  readonly #request: RunRequest;
  readonly #cancel = new AbortController();
  readonly #startedAt = systemClock.now();
  readonly #start = systemClock.monotonic();
  #saga: SagaOutcome | undefined;
  #mode: RunReport['mode'];
  #noOp = false;

  constructor(request: RunRequest) {
    this.#request = request;
    this.recorder = new Recorder(request.log, systemClock);
    // What a room warns of belongs into the summary too.
    const log: Log = { ...request.log, warn: (line) => this.recorder.warn(line) };
    this.world = { env: request.env, log, signal: this.#cancel.signal };
    const mode = request.raw.values.mode?.text.trim();
    this.#mode = modes.find((known) => known === mode) ?? 'backup';
    const environment = environmentOf({ ...request, cwd: process.cwd() });
    this.project = path.basename(projectDirectoryOf(request.raw, environment));
  }

  async perform(work: (settings: Settings) => Promise<Partial<RunReport>>): Promise<RunResult> {
    const { log } = this.#request;
    const release = this.#onSignals();
    try {
      const settings = loadSettings(this.#request.raw, environmentOf({ ...this.#request, cwd: process.cwd() }));
      this.#mode = settings.mode;
      if (settings.githubToken !== undefined) log.mask(settings.githubToken);
      for (const warning of settings.warnings) this.recorder.warn(warning);
      return this.#result(await work(settings), undefined);
    } catch (error) {
      return this.#result({}, error);
    } finally {
      release();
    }
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
  async recover(opened: Opened, settings: RecoverSettings): Promise<void> {
    const { stateDirectory } = opened.project;
    const left = await unfinishedRun(stateDirectory);
    const holder = await lockHolder(stateDirectory);
    if (left === null) {
      this.#noOp = true;
    } else if (left.forward === null || settings.finish || (holder !== null && holder.state !== 'dead')) {
      await this.underLock(opened, settings, () => Promise.resolve(null));
    } else {
      const { mode, run } = left;
      this.recorder.recovery = { mode, run, outcome: 'in-place' };
      this.recorder.warn(
        `The ${mode} of run ${run} had been cut off after it was in place: to store its backup and to tidy up is left to the next run that knows its stores.`,
      );
    }
  }

  /** Takes the lock, finishes what an earlier run left, and then does `work` as a saga. A run that is refused leaves no trace. */
  async underLock<T extends ModeOutcome | null>(
    opened: Opened,
    settings: Acting,
    work: (tools: Tools, reopen: Reopen) => Promise<T>,
  ): Promise<T> {
    const { env, log, signal } = this.world;
    const { project } = opened;
    const stateDirectory = await ensureStateDirectory(project.directory);
    const lock = await acquireLock(stateDirectory, {
      mode: settings.mode,
      since: this.#startedAt.toISOString(),
      ...(env['GITHUB_RUN_ID'] === undefined
        ? {}
        : { runUrl: `${repositoryUrl(env)}/actions/runs/${env['GITHUB_RUN_ID']}` }),
    });
    try {
      let tools: Tools | undefined;
      const toolsNow = (): Tools => (tools ??= this.#tools(opened, noSaga));
      // What is put back after a cancel must not be cancelled by it.
      const undoTools = (): Tools => ({ ...toolsNow(), signal: new AbortController().signal });
      const patience = { ...settings, healthTimeoutMs: Math.max(settings.healthTimeoutMs, OLD_VERSION_MS) };
      const actions = { undo: undoActions(undoTools, patience), forward: forwardActions(toolsNow) };
      if (project.bare && settings.mode === 'verify' && (await unfinishedRun(stateDirectory)) !== null) {
        throw new CaretakerError(
          'recovery-first',
          'an earlier run was cut off, and this drill does not look at the application to finish or undo it',
          {
            hint: 'Run any other mode first (status tells what waits), or this one with an engine and proof: databases.',
          },
        );
      }
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
            : `The ${mode} of run ${run} had been cut off after it was in place: it is finished now.`,
        );
      }
      await clearStaging(project, stateDirectory);
      const { run } = this;
      const outcome = await runSaga(
        {
          journal: await openJournal(stateDirectory),
          undoActions: actions.undo,
          forwardActions: actions.forward,
          log,
          clock: systemClock,
          run: { run, mode: settings.mode, settings: { composeFiles: project.engine?.compose.files ?? [] } },
          signal,
          onOutcome: (saga) => {
            this.#saga = saga;
          },
        },
        (saga) => {
          tools = this.#tools(opened, saga);
          return work(tools, async (composeFiles) => {
            const files = settings.composeFiles.length > 0 ? settings.composeFiles : composeFiles;
            const now = await open({ ...settings, composeFiles: files }, this.world);
            if (now.missing !== undefined) throw now.missing;
            this.project = now.project.name;
            return (tools = this.#tools(now, saga));
          });
        },
      );
      this.#noOp = outcome !== null && 'updated' in outcome && !outcome.updated && !outcome.rehearsed;
      return outcome;
    } finally {
      await lock.release();
      await removeEmptyState(stateDirectory);
    }
  }

  /** `20261124t062317z-4f2a`: sorts by time, and fits into the tag of an image. */
  readonly run = `${this.#startedAt
    .toISOString()
    .replaceAll(/[-:]|\.\d+/g, '')
    .toLowerCase()}-${randomBytes(2).toString('hex')}`;

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
        // A throwaway that was taken away again changed nothing.
        return untouched ? 'refused' : this.#mode === 'verify' ? 'failed' : 'rolled-back';
      case 'failed':
      case undefined:
        return this.recorder.acted ? 'failed' : 'refused';
      case 'unfinished':
        return 'incomplete';
      case 'done':
        return 'failed';
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

/** Without a compose file only the project's own files can be taken away: what else a run has left needs the project. */
function withoutProject(
  { undo, forward }: { readonly undo: Actions; readonly forward: Actions },
  missing: CaretakerError,
): { readonly undo: Actions; readonly forward: Actions } {
  const refuse = (actions: Actions): Actions =>
    Object.fromEntries(
      Object.entries(actions).map(([name, action]) => [
        name,
        name === 'files-away' ? action : () => Promise.reject(missing),
      ]),
    );
  return { undo: refuse(undo), forward: refuse(forward) };
}

/** What recovery acts with: an undo or a forward action that began a step of its own would be a fault of ours. */
const noSaga: Saga = {
  step: () => Promise.reject(new TypeError('recovery begins no step')),
  commit: () => Promise.reject(new TypeError('recovery commits nothing')),
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
}

/** A refused first run must not leave a folder behind. Looks no deeper than it must: what lies below may be another user's. */
async function removeEmptyState(stateDirectory: string): Promise<void> {
  const ours = ['.gitignore', 'staging', 'backups'];
  const contents = await readdir(stateDirectory);
  if (!contents.every((name) => ours.includes(name))) return;
  for (const name of contents.filter((one) => one !== '.gitignore')) {
    if ((await readdir(path.join(stateDirectory, name))).length > 0) return;
  }
  await rm(stateDirectory, { recursive: true, force: true });
}
