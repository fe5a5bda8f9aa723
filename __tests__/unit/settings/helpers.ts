import { CaretakerErrors, type CaretakerError } from '../../../src/errors.ts';
import { parseSettings, type Environment } from '../../../src/settings/parse.ts';
import type { Settings } from '../../../src/settings/settings.ts';
import type { InputName } from '../../../src/settings/inputs.ts';
import type { RawInputs, RawValue } from '../../../src/settings/sources.ts';

export const files = new Map<string, 'file' | 'directory'>([
  ['/srv/uso', 'directory'],
  ['/srv/uso/docker-compose.yml', 'file'],
  ['/srv/uso/.env', 'file'],
  ['/srv/clone', 'directory'],
  ['/backups', 'directory'],
  ['/backups/one', 'directory'],
]);

export const inAction: Environment = {
  env: {
    GITHUB_REPOSITORY: 'uso/site',
    GITHUB_SERVER_URL: 'https://github.com',
    ACTIONS_RUNTIME_TOKEN: 'runtime',
    ACTIONS_RESULTS_URL: 'https://results.example/',
  },
  cwd: '/runner',
  inWorkflow: true,
  kindOf: (path) => files.get(path) ?? null,
};

export const inShell: Environment = { ...inAction, env: {}, cwd: '/srv', inWorkflow: false };

export function raw(values: Partial<Record<InputName, string>>, from: RawValue['from'] = 'input'): RawInputs {
  const entries = Object.entries(values).map(([name, text]) => [name, { text, from }]);
  return { values: Object.fromEntries(entries) as RawInputs['values'], problems: [], warnings: [] };
}

/** Parses with the project in /srv/uso and a token, unless the values say otherwise. */
export function parse(values: Partial<Record<InputName, string>>, environment: Environment = inAction): Settings {
  return parseSettings(raw({ 'project-directory': '/srv/uso', 'github-token': 't0ken', ...values }), environment);
}

export function problemsOf(work: () => unknown): readonly CaretakerError[] {
  try {
    work();
  } catch (error) {
    if (error instanceof CaretakerErrors) return error.problems;
    throw error;
  }
  return [];
}
