/** What a workflow must keep to so that nobody who may not push gets anything done on the runner: the rules that zizmor and actionlint don't know. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';

interface Step {
  readonly uses?: string;
  readonly run?: string;
  readonly with?: Readonly<Record<string, unknown>>;
}
interface Job {
  readonly 'runs-on': string;
  readonly 'timeout-minutes'?: number;
  readonly permissions?: Readonly<Record<string, string>>;
  readonly steps: readonly Step[];
}
interface Workflow {
  readonly on: Readonly<Record<string, unknown>>;
  readonly permissions: Readonly<Record<string, string>>;
  readonly concurrency: unknown;
  readonly jobs: Readonly<Record<string, Job>>;
}

const root = path.resolve(import.meta.dirname, '../../..');
const below = (folder: string): [name: string, workflow: Workflow, text: string][] =>
  readdirSync(path.join(root, folder))
    .filter((name) => name.endsWith('.yml'))
    .map((name) => {
      const text = readFileSync(path.join(root, folder, name), 'utf8');
      return [name, parse(text) as Workflow, text];
    });
const jobsOf = ({ jobs }: Workflow): Job[] => Object.values(jobs);
const stepsOf = (workflow: Workflow): Step[] => jobsOf(workflow).flatMap(({ steps }) => steps);

const templates = below('workflows-templates');
const ours = below('.github/workflows');

describe.each([...templates, ...ours])('%s', (_name, workflow, text) => {
  test('gives no permission by default, and each job says its own', () => {
    expect(workflow.permissions).toEqual({});
    for (const job of jobsOf(workflow)) expect(job.permissions).toBeDefined();
  });

  test('ends a job that hangs, and never runs the same thing twice at once', () => {
    for (const job of jobsOf(workflow)) expect(job['timeout-minutes']).toBeLessThanOrEqual(180);
    expect(workflow.concurrency).toBeDefined();
  });

  test('fills nothing into a shell’s text', () => {
    for (const { run = '' } of stepsOf(workflow)) expect(run).not.toContain('${{');
  });

  test('uses actions by their commit, with the version beside it', () => {
    const lines = text.split('\n').filter((line) => /^\s*(- )?uses:/.test(line));
    for (const line of lines) expect(line).toMatch(/uses: [\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+( |$)/);
  });

  test('leaves no token in a checkout', () => {
    for (const step of stepsOf(workflow)) {
      if (step.uses?.startsWith('actions/checkout@')) expect(step.with).toMatchObject({ 'persist-credentials': false });
    }
  });
});

describe.each(templates)('the template %s', (_name, workflow) => {
  test('starts by the clock, by hand or by a release: never by what a stranger can send', () => {
    const { push, ...others } = workflow.on;
    for (const event of Object.keys(others)) expect(['schedule', 'workflow_dispatch', 'release']).toContain(event);
    // A tag, which takes the right to push; no branch.
    if (push !== undefined) expect(push).toEqual({ tags: ['v*'] });
  });

  test('may write nothing on GitHub', () => {
    for (const { permissions } of jobsOf(workflow)) expect([{}, { actions: 'read' }]).toContainEqual(permissions);
  });

  test('calls the caretaker and nothing else: no shell, no checkout into the data, no secret', () => {
    const steps = stepsOf(workflow);
    expect(steps).toHaveLength(1);
    expect(steps[0]?.uses).toMatch(/^OWNER\/compose-caretaker@/);
    expect(JSON.stringify(steps)).not.toContain('secrets.');
  });

  test('waits for the other caretaker workflows, and is not cut off by them', () => {
    expect(workflow.concurrency).toEqual({ group: 'compose-caretaker', 'cancel-in-progress': false });
  });

  test('runs on the host of the application only', () => {
    for (const job of jobsOf(workflow)) expect(job['runs-on']).toBe('self-hosted');
  });
});

test('all of ours run on machines of GitHub’s, where nobody’s data are', () => {
  expect(ours.length).toBeGreaterThan(3);
  for (const [, workflow] of ours) for (const job of jobsOf(workflow)) expect(job['runs-on']).toMatch(/^ubuntu-/);
});

test('what publishes a release runs no package, and only it may write', () => {
  const release = ours.find(([name]) => name === 'release.yml')?.[1];
  const { build, publish } = release?.jobs ?? {};
  expect(build?.permissions).toEqual({ contents: 'read' });
  expect(JSON.stringify(publish?.steps)).not.toMatch(/npm|node/);
});
