import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { bootUnit, installBootUnit } from './safety/boot-unit.ts';
import { inputOf, type InputName } from './settings/inputs.ts';
import { environmentOf, loadSettings } from './settings/load.ts';
import { fromArguments } from './settings/sources.ts';

export interface InstallWorld {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly uid: number;
  readonly userName: string;
  readonly home: string;
  /** Node, and the file of this program. */
  readonly program: readonly [string, string];
}

/**
 * `compose-caretaker install-recovery`, with the flags of mode `recover`: writes and enables a unit of systemd that runs it when the host has started. Answers with
 * what a reader has to know and do, a line each. Throws what is wrong with the flags, and `boot-unit-failed`.
 */
export async function installRecovery(words: readonly string[], world: InstallWorld): Promise<string[]> {
  const { env, cwd, uid, userName, home, program } = world;
  const { options: _options, ...raw } = fromArguments(['recover', ...words], env);
  const settings = loadSettings(raw, environmentOf({ env, cwd, inWorkflow: false }));
  if (settings.mode !== 'recover') throw new TypeError('the settings are not those of the mode that was given');
  const { projectDirectory, sourceDirectory, warnings } = settings;
  const scope = uid === 0 ? 'system' : 'user';
  const units =
    scope === 'system'
      ? '/etc/systemd/system'
      : path.join(env['XDG_CONFIG_HOME'] ?? path.join(home, '.config'), 'systemd/user');
  const user = scope === 'system' ? keeperOf(projectDirectory) : undefined;
  const unit = bootUnit({
    environment: Object.fromEntries(
      ['PATH', 'DOCKER_HOST', 'DOCKER_CONTEXT', 'CONTAINER_HOST'].flatMap((name) => {
        const value = env[name];
        return value === undefined || value === '' ? [] : [[name, value]];
      }),
    ),
    argv: [...program, 'recover', ...flagsOf(raw.values, projectDirectory)],
    projectDirectory,
    places: [projectDirectory, sourceDirectory ?? projectDirectory, ...program.map((file) => path.dirname(file))],
    ...{ scope, user, directory: units },
  });
  await installBootUnit(unit);
  const manager = scope === 'system' ? 'systemctl' : 'systemctl --user';
  return [
    ...warnings,
    `${unit.file} is written and enabled: mode recover runs when the host has started, where something was cut off.`,
    ...(user === undefined
      ? []
      : [`It runs as user ${user}, whose runs keep .caretaker/ there: what root wrote into it, they could not read.`]),
    `Let systemd know of it now: ${manager} daemon-reload`,
    `Try it: ${manager} start ${unit.name}`,
    `Take it away: ${manager} disable ${unit.name} && rm ${unit.file}`,
    ...(scope === 'user' && !existsSync(`/var/lib/systemd/linger/${userName}`)
      ? [`Until this is done it waits for ${userName} to log in: loginctl enable-linger ${userName}`]
      : []),
    ...(program.some((file) => /\/(_work|_actions|externals)\//.test(file))
      ? [
          'This program, or its Node, lies where a runner keeps what it may remove. Install again from a clone and a Node of your own.',
        ]
      : []),
  ];
}

/** Whose runs keep the state of this project; undefined for root's, and where there was none yet. */
function keeperOf(projectDirectory: string): number | undefined {
  const uid = statSync(path.join(projectDirectory, '.caretaker'), { throwIfNoEntry: false })?.uid;
  return uid === 0 ? undefined : uid;
}

/** What was typed, for another current directory, and without what has no effect there. A secret is never among it. */
function flagsOf(values: ReturnType<typeof fromArguments>['values'], projectDirectory: string): string[] {
  const flags = [`--project-directory=${projectDirectory}`];
  for (const [name, { text }] of Object.entries(values) as [InputName, { text: string }][]) {
    const { modes, secret, list } = inputOf(name);
    if (['mode', 'project-directory'].includes(name) || secret || !modes.includes('recover')) continue;
    for (const value of list === undefined ? [text] : text.split('\n')) flags.push(`--${name}=${value}`);
  }
  return flags;
}
