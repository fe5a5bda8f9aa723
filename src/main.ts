import path from 'node:path';
import * as core from '@actions/core';
import { outputsOf } from './modes/report.ts';
import { actionsLog } from './report/actions.ts';
import { markdownSummary } from './report/summary.ts';
import { afterRun, runCaretaker } from './run.ts';
import { fromAction } from './settings/sources.ts';

/**
 * The action: `main` does the run; `post` finishes or undoes what a killed `main` left. By the name of its file, which the build makes: a state would be missing where `main` was
 * cancelled before it could save one, and `post` would begin the run that somebody has just cancelled.
 */
const log = actionsLog();
const post = path.basename(process.argv[1] ?? '') === 'post.js';

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
  // GitHub's client leaves a connection behind where an upload stands still, and that may stay open for ever.
  process.exit(error === undefined ? 0 : 1);
}
