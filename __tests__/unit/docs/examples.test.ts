import { describe, expect, test } from '@jest/globals';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { parseSettings, type Environment } from '../../../src/settings/parse.ts';
import { fromAction, fromArguments, withFile, type RawInputs } from '../../../src/settings/sources.ts';

const root = path.resolve(import.meta.dirname, '../../..');
const read = (file: string): string => readFileSync(path.join(root, file), 'utf8');
const below = (folder: string, ending: string): string[] =>
  readdirSync(path.join(root, folder))
    .filter((name) => name.endsWith(ending))
    .map((name) => `${folder}/${name}`);
const pages = ['README.md', 'CHANGELOG.md', 'CONTRIBUTING.md', ...below('docs', '.md')];
const blocks = (file: string, language: string): string[] =>
  [...read(file).matchAll(new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\``, 'gm'))].map(([, text]) => text ?? '');

/** A reader's machine, on which everything that an example names is there. */
const machine = (inWorkflow: boolean): Environment => ({
  env: {
    GITHUB_REPOSITORY: 'lab/site',
    ...(inWorkflow ? { ACTIONS_RUNTIME_TOKEN: 'x', ACTIONS_RESULTS_URL: 'https://results.invalid/' } : {}),
  },
  cwd: '/srv',
  inWorkflow,
  kindOf: (place) => (place.endsWith('.yml') ? 'file' : 'directory'),
});

/** What the settings say of an example: problems and warnings. */
function complaints(raw: RawInputs, inWorkflow: boolean): string[] {
  try {
    return [...parseSettings(raw, machine(inWorkflow)).warnings];
  } catch (error) {
    return (error as Error).message.split('\n');
  }
}

function ofAction(inputs: Readonly<Record<string, unknown>>): RawInputs {
  const given = Object.entries(inputs).map(([name, value]): [string, string] => [
    `INPUT_${name.toUpperCase()}`,
    // What a dispatch would fill in.
    String(value)
      .replace(/\$\{\{ inputs\.backup \}\}/, 'latest')
      .replace(/\$\{\{ inputs\.code == \S+ && '([^']+)'.*?\}\}/, '$1')
      .replace(/\$\{\{ inputs\.code == \S+ \}\}/, 'true')
      .replace(/\$\{\{ inputs\.with-data \}\}/, 'true')
      .replace(/\$\{\{ [^}]*ref[^}]* \}\}/, 'v1.0.0')
      .replace(/\$\{\{.*?\}\}/, 'site'),
  ]);
  return fromAction({ ...Object.fromEntries(given), 'INPUT_GITHUB-TOKEN': 'x' });
}

interface Step {
  readonly uses?: string;
  readonly with?: Readonly<Record<string, unknown>>;
}

describe('examples', () => {
  const inReadme = blocks('README.md', 'yaml');
  const steps = inReadme.flatMap((text) => {
    const value = parse(text) as unknown;
    return Array.isArray(value) ? (value as Step[]) : [];
  });
  const files = inReadme.filter((text) => !Array.isArray(parse(text)));

  test('README shows both seeds as steps', () => {
    expect(steps.map((step) => step.with?.['project-directory'])).toEqual(['/srv/uso/uso-nginx', '/srv/MedCATtrainer']);
  });

  test.each(steps.map((step) => ({ name: String(step.with?.['project-directory']), step })))(
    'README, $name',
    ({ step }) => {
      expect(complaints(ofAction(step.with ?? {}), true)).toEqual([]);
    },
  );

  test.each(below('workflows-templates', '.yml'))('%s', (file) => {
    const { jobs } = parse(read(file)) as { jobs: Record<string, { steps: Step[] }> };
    const own = Object.values(jobs).flatMap((job) =>
      job.steps.filter(({ uses }) => uses?.includes('/compose-caretaker@')),
    );
    expect(own).toHaveLength(1);
    expect(complaints(ofAction(own[0]?.with ?? {}), true)).toEqual([]);
  });

  test.each(files)('README, caretaker.yml: %s', (text) => {
    const typed = ofAction({ mode: 'update' });
    expect(complaints(withFile(typed, 'caretaker.yml', text), true)).toEqual([]);
  });

  const commands = blocks('README.md', 'sh').flatMap(
    (text) => text.match(/(?<=^node dist\/cli\/index\.js ).+/gm) ?? [],
  );

  test.each(commands)('README, compose-caretaker %s', (line) => {
    expect(complaints(fromArguments(line.split(' '), {}), false)).toEqual([]);
  });

  test('README shows the command line', () => {
    expect(commands.length).toBeGreaterThan(2);
  });
});

describe('links', () => {
  const anchorOf = (title: string): string =>
    title
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-');

  test.each(pages)('%s leads to what is there', (page) => {
    const links = [...read(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link ?? '');
    const broken = links
      .filter((link) => !/^https?:/.test(link))
      .filter((link) => {
        const [file = '', anchor] = link.split('#');
        const target = file === '' ? page : path.join(path.dirname(page), file);
        if (!existsSync(path.join(root, target))) return true;
        if (anchor === undefined) return false;
        const titles = [...read(target).matchAll(/^#+ (.+)$/gm)].map(([, title]) => anchorOf(title ?? ''));
        return !titles.includes(anchor);
      });
    expect(broken).toEqual([]);
  });
});

test('recovery by hand tells of every action that a journal can hold', () => {
  const source = read('src/modes/undo.ts');
  const keysOf = (name: string): string[] => {
    const body = new RegExp(`export function ${name}\\([^]*?\\n}`).exec(source)?.[0] ?? '';
    return [...body.matchAll(/^ {4}'?([a-z-]+)'?: (?:async )?\(/gm)].map(([, key]) => key ?? '');
  };
  const actions = [...keysOf('undoActions'), ...keysOf('forwardActions')];
  expect(actions).toEqual(expect.arrayContaining(['data-back', 'unswap', 'keep-aside', 'tidy']));
  const page = read('docs/recovery-by-hand.md');
  expect(actions.filter((action) => !page.includes(`| \`${action}\``))).toEqual([]);
});
