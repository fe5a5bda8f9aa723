import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { parseSettings } from '../../../src/settings/parse.ts';
import { environmentOf, loadSettings } from '../../../src/settings/load.ts';
import { inputNames, modes, type InputName } from '../../../src/settings/inputs.ts';
import type { Settings } from '../../../src/settings/settings.ts';
import { fromAction, fromArguments, withFile, type RawInputs } from '../../../src/settings/sources.ts';
import { inAction, inShell } from '../settings/helpers.ts';
import { codedOr, forAll, fuzzed } from './fuzz.ts';
import { refuseCommands } from './runner.ts';
import { edits, hostileText, mutated } from './values.ts';

jest.setTimeout(600_000);
fuzzed('settings');

/** Values that some input or other takes, so that the cases get further than the first refusal. */
const good = fc.constantFrom(
  ...modes,
  '/srv/uso',
  'docker-compose.yml',
  'uso',
  'auto',
  'docker',
  'podman',
  'type=folder,path=/backups',
  'type=artifact,retention-days=30',
  'type=postgres,service=database',
  'type=directory,path=./local,exclude=logs/**',
  'type=http,url=https://uso.example/,status=200',
  'type=command,run="./check.sh a,b"',
  'type=sql,part=database,query=SELECT 1',
  'v1.2.3',
  'latest',
  '2d',
  'before=2026-11-20',
  'uso-20261121T220000Z',
  'database/a/b',
  'true',
  'false',
  '5m',
  '0',
  '30',
  'major',
  'read',
  './run.sh',
);
const value = fc.oneof(
  { weight: 5, arbitrary: good },
  { weight: 3, arbitrary: hostileText },
  {
    weight: 2,
    arbitrary: fc.tuple(good, fc.constantFrom(',', '\n', '=', '"', ''), hostileText).map((all) => all.join('')),
  },
);
const name: fc.Arbitrary<string> = fc.oneof(
  { weight: 20, arbitrary: fc.constantFrom<string>(...inputNames) },
  { weight: 1, arbitrary: hostileText },
);
const mode = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom<string>(...modes) },
  { weight: 1, arbitrary: hostileText },
);
const named = fc.array(fc.tuple(name, value), { maxLength: 6, size: 'max' });

/** What nobody who acts on settings has to look at again. */
function expectSafe(settings: Settings): void {
  const { projectDirectory, composeFiles, envFiles, stores, projectName, warnings } = settings;
  const paths = [
    projectDirectory,
    ...composeFiles,
    ...envFiles,
    ...stores.flatMap((one) => ('path' in one ? [one.path] : [])),
  ];
  if ('sourceDirectory' in settings && settings.sourceDirectory !== undefined) paths.push(settings.sourceDirectory);
  if ('to' in settings && settings.to !== undefined) paths.push(settings.to);
  for (const one of paths) if (path.resolve(one) !== one) throw new Error(`the path ${JSON.stringify(one)}`);
  if (projectName !== undefined && !/^[a-z0-9][a-z0-9_-]*$/.test(projectName))
    throw new Error(`the name ${projectName}`);
  if ('ref' in settings && settings.ref !== undefined && /^-|\.\.|[\s\0~^:?*[\\]|@\{/.test(settings.ref))
    throw new Error(`the reference ${JSON.stringify(settings.ref)}`);
  const numbers = Object.entries(settings).filter(([, number]) => typeof number === 'number') as [string, number][];
  for (const [field, number] of numbers)
    if (!Number.isFinite(number) || number < 0) throw new Error(`${field} is ${number}`);
  if (warnings.some((line) => line === '')) throw new Error('an empty warning');
}

async function judge(read: () => Settings): Promise<void> {
  const answer = await codedOr(read);
  if ('errors' in answer) refuseCommands(answer.errors);
  else expectSafe(answer.value);
}

const inPlace = { 'project-directory': { text: '/srv/uso', from: 'input' }, 'github-token': { text: 't', from: 'input' } } as const; // prettier-ignore
const placed = (raw: RawInputs): RawInputs => ({ ...raw, values: { ...inPlace, ...raw.values } });

test('any inputs of the action are settings or refused by a code', () =>
  forAll(fc.tuple(mode, named), 12_000, ([which, values]) =>
    judge(() => {
      const inputs = [['mode', which], ...values].map(([key = '', text]) => [`INPUT_${key.toUpperCase()}`, text]);
      return parseSettings(placed(fromAction(Object.fromEntries(inputs) as Record<string, string>)), inAction);
    }),
  ));

const word = fc.oneof(
  { weight: 4, arbitrary: name.map((one) => `--${one}`) },
  { weight: 3, arbitrary: value },
  { weight: 2, arbitrary: fc.tuple(name, value).map(([key, text]) => `--${key}=${text}`) },
  { weight: 1, arbitrary: fc.constantFrom('--json', '--help', '-h', '--', '-', '--=', '--json=x', '--verbose') },
);

test('any command line is settings or refused by a code', () =>
  forAll(fc.tuple(mode, fc.array(word, { maxLength: 8, size: 'max' })), 10_000, ([which, words]) =>
    judge(() => parseSettings(placed(fromArguments([which, ...words], { GITHUB_TOKEN: 't' })), inShell)),
  ));

const YAML = [
  'project-name: uso',
  'compose-files:\n  - docker-compose.yml',
  'store: |\n  type=folder,path=/backups\n',
  'data:\n  - type=postgres,service=database\n  - "type=directory,path=./local"',
  'keep-local: 3',
  'rehearse: true',
  'a: &a [x, x]\nb: &b [*a, *a, *a]\nc: [*b, *b, *b]',
  '!!set {a, b}',
  '? [a, b]\n: c',
  'health: {type: http}',
  'settle: 2026-11-21',
  '--- \n%YAML 1.1\n---',
  '<<: {mode: backup}',
  '"\\u0000": x',
  '!!binary aGk=: x',
  'settle: !!js/function x',
].join('\n');
const texts = fc.oneof(
  { weight: 3, arbitrary: edits(5).map((changes) => mutated(Buffer.from(YAML), changes).toString()) },
  {
    weight: 3,
    arbitrary: named.map((values) =>
      values.map(([key, text]) => `${JSON.stringify(key)}: ${JSON.stringify(text)}`).join('\n'),
    ),
  },
  { weight: 1, arbitrary: named.map((values) => values.map(([key, text]) => `${key}: ${text}`).join('\n')) },
);
const nothing: RawInputs = { values: {}, problems: [], warnings: [] };

test('any caretaker.yml is settings or refused by a code', () =>
  forAll(fc.tuple(fc.constantFrom(...modes), texts), 4000, ([which, text]) =>
    judge(() => {
      const typed = placed({ ...nothing, values: { mode: { text: which, from: 'flag' } } });
      return parseSettings(withFile(typed, '/srv/uso/caretaker.yml', text), inShell);
    }),
  ));

test.each(['[', '{a: ', '- ', '&a [', '!x [', '? '])(
  'a caretaker.yml of nothing but %j, again and again, is refused',
  (piece) =>
    judge(() => {
      const typed = placed({ ...nothing, values: { mode: { text: 'backup', from: 'flag' } } });
      return parseSettings(withFile(typed, '/srv/uso/caretaker.yml', piece.repeat(4000)), inShell);
    }),
);

const root = mkdtempSync(path.join(tmpdir(), 'caretaker-fuzz-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

test('loading them from a real directory writes nothing, whatever is in the file', () => {
  const [shop, elsewhere] = [path.join(root, 'shop'), path.join(root, 'elsewhere')];
  for (const directory of [shop, elsewhere]) mkdirSync(directory);
  const file = path.join(shop, 'caretaker.yml');
  writeFileSync(file, '');
  const before = readdirSync(root, { recursive: true }).sort().join();
  return forAll(fc.tuple(mode, named, texts), 700, async ([which, values, text]) => {
    writeFileSync(file, text);
    await judge(() => {
      const typed = fromArguments(
        [
          which,
          '--project-directory',
          shop,
          ...values.flatMap(([key, one]) =>
            key === ('project-directory' satisfies InputName) ? [] : [`--${key}=${one}`],
          ),
        ],
        {},
      );
      return loadSettings(typed, environmentOf({ env: {}, cwd: elsewhere, inWorkflow: false }));
    });
    if (readdirSync(root, { recursive: true }).sort().join() !== before) throw new Error('it wrote something');
  });
});
