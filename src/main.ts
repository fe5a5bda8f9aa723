import * as core from '@actions/core';
import { outputsOf } from './modes/report.ts';
import { actionsLog } from './report/actions.ts';
import { markdownSummary } from './report/summary.ts';
import { afterRun, runCaretaker } from './run.ts';
import { fromAction } from './settings/sources.ts';

/** The action: `main` does the run; `post`, which a saved state tells apart, finishes or undoes what a killed `main` left. */
const log = actionsLog();
const post = core.getState('started') !== '';
if (!post) core.saveState('started', 'yes');

const request = { raw: fromAction(process.env), env: process.env, log, inWorkflow: true };
const result = await (post ? afterRun(request) : runCaretaker(request));
if (result !== null) {
  const report = log.redactor.deep(result.report);
  const { error, otherErrors = [] } = report;
  if (error !== undefined) log.errors([error, ...otherErrors]);
  if (!post)
    for (const [name, value] of Object.entries(outputsOf(report, result.artifactIds))) core.setOutput(name, value);
  // An old runner has no summaries, and its job must not fail for that.
  if (process.env['GITHUB_STEP_SUMMARY']) await core.summary.addRaw(markdownSummary(report)).write();
  process.exitCode = error === undefined ? 0 : 1;
}
