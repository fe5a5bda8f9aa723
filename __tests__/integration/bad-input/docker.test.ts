import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { testHost } from '../as-user.ts';

jest.setTimeout(420_000);

const run = promisify(execFile);
const cli = path.resolve(import.meta.dirname, '../../../src/cli.ts');
const home = mkdtempSync('/var/tmp/caretaker-bad-input-');
/** Compose takes the directory's name as the project's. */
const name = `bad-input-${randomBytes(3).toString('hex')}`;
const project = path.join(home, name);
const store = path.join(home, 'backups');
const bin = path.join(home, 'bin');
const good = `
services:
  web:
    image: localhost/caretaker-test/base:1
    entrypoint: ["sleep", "1000000"]
    stop_grace_period: 0s
    volumes: ["./data:/data", "media:/media"]
volumes:
  media:
`;
let backup = '';

beforeAll(async () => {
  // Only docker is on this PATH: the machine's other engines are other tests' affair.
  mkdirSync(bin);
  for (const program of ['docker', 'git', 'tar', 'sh']) {
    const { stdout } = await run('sh', ['-c', `command -v ${program}`]);
    symlinkSync(stdout.trim(), path.join(bin, program));
  }
  mkdirSync(path.join(project, 'data'), { recursive: true });
  mkdirSync(store);
  writeFileSync(path.join(project, 'data/order.txt'), 'tea\n');
  writeFileSync(path.join(project, 'compose.yaml'), good);
  await run('docker', ['compose', 'up', '--detach', '--wait'], { cwd: project });
  const { exitCode, shown } = await caretaker(['backup', '--data', 'type=directory,path=data']);
  expect({ exitCode, shown }).toEqual({ exitCode: 0, shown: expect.any(String) });
  backup =
    readdirSync(store)
      .find((file) => file.endsWith('.manifest.json'))
      ?.replace('.manifest.json', '') ?? '';
});

afterAll(async () => {
  writeFileSync(path.join(project, 'compose.yaml'), good);
  await run('docker', ['compose', 'down', '--volumes', '--timeout', '0'], { cwd: project });
  rmSync(home, { recursive: true, force: true });
});

interface Bad {
  readonly argv: () => readonly string[];
  /** Text of compose.yaml while the run looks; null takes it away. */
  readonly composeFile?: string | null;
  readonly code: string;
  readonly message: readonly (string | RegExp)[];
  readonly hint: string | RegExp;
}

const backupOf = (line: string) => (): string[] => ['backup', '--data', line];
const restore =
  (...flags: string[]) =>
  (): string[] => ['restore', ...flags];

const table: Readonly<Record<string, Bad>> = {
  'no compose file': {
    argv: () => ['backup'],
    composeFile: null,
    code: 'compose-file-missing',
    message: ['compose'],
    hint: 'compose-files',
  },
  'a compose file that is not there': {
    argv: () => ['backup', '--compose-files', 'docker-compose-prod.yml'],
    code: 'compose-file-missing',
    message: [/\/docker-compose-prod\.yml/],
    hint: 'relative to the project directory',
  },
  'a compose file that is no YAML': {
    argv: () => ['backup'],
    composeFile: 'services:\n  web:\n    image: "nginx\n    ports: [80\n',
    code: 'compose-file-invalid',
    message: [/compose\.yaml/, /line \d+.*column \d+|:\d+:\d+/],
    hint: /\S/,
  },
  'a service that the compose file lacks': {
    argv: backupOf('type=directory,service=database,path=/data'),
    code: 'data-service-unknown',
    message: ['service database', 'type=directory,service=database,path=/data'],
    hint: 'The services are web.',
  },
  'a volume that the compose file lacks': {
    argv: backupOf('type=volume,volume=uploads'),
    code: 'data-volume-unknown',
    message: ['volume uploads'],
    hint: 'names media',
  },
  'a path out of the project': {
    argv: backupOf('type=directory,path=../elsewhere'),
    code: 'path-outside-project',
    message: ['data', '../elsewhere'],
    hint: 'absolute path',
  },
  'a path out of a volume': {
    argv: backupOf('type=directory,volume=media,path=../../elsewhere'),
    code: 'data-path-outside',
    message: ['../../elsewhere', 'volume media'],
    hint: /\S/,
  },
  'a path in the container that no mount holds': {
    argv: backupOf('type=directory,service=web,path=/etc'),
    code: 'data-path-missing',
    message: ['/etc', 'service web'],
    hint: 'mount a volume',
  },
  'a PostgreSQL server where none is': {
    argv: backupOf('type=postgres,service=web'),
    code: 'postgres-not-found',
    message: ['service web'],
    hint: 'Name the service',
  },
  'an engine that is not the one here': {
    argv: () => ['backup', '--engine', 'podman'],
    code: 'engine-missing',
    message: ['podman-compose'],
    hint: 'Install it',
  },
  'a restore that names another project': {
    argv: restore('--confirm', 'shop'),
    code: 'not-confirmed',
    message: [name, 'confirm'],
    hint: name,
  },
  'a backup that is not there': {
    argv: restore('--confirm', name, '--backup', `${name}-20200101T000000Z`),
    code: 'backup-not-found',
    message: [`${name}-20200101T000000Z`],
    hint: 'These are there',
  },
};

test.each(Object.entries(table))('%s', async (title, { argv, composeFile, code, message, hint }) => {
  const file = path.join(project, 'compose.yaml');
  if (composeFile === null) rmSync(file);
  else writeFileSync(file, composeFile ?? good);
  try {
    const [before, filesBefore] = [await container(), look()];
    const { exitCode, problems, shown } = await caretaker(argv());
    expect({ exitCode, codes: problems.map((problem) => problem.code), shown }).toEqual({
      exitCode: 1,
      codes: [code],
      shown: expect.stringContaining('refused: nothing was touched'),
    });
    for (const part of message) expect(problems[0]?.message).toMatch(part);
    expect(problems[0]?.hint).toMatch(hint);
    if (title === 'a backup that is not there') expect(problems[0]?.hint).toContain(backup);
    expect(await container()).toBe(before);
    expect(look()).toEqual(filesBefore);
  } finally {
    writeFileSync(file, good);
  }
});

/** Its id and the moment it started: a container that was stopped, started or made anew has others. */
async function container(): Promise<string> {
  const { stdout } = await run('docker', [
    'inspect',
    '--format',
    '{{.Id}} {{.State.Status}} {{.State.StartedAt}} {{.RestartCount}}',
    `${name}-web-1`,
  ]);
  expect(stdout).toContain(' running ');
  return stdout;
}

interface Ended {
  readonly exitCode: number;
  readonly problems: readonly { readonly code: string; readonly message: string; readonly hint?: string }[];
  readonly shown: string;
}

async function caretaker(argv: readonly string[]): Promise<Ended> {
  const all = [...argv, '--project-directory', project, '--store', `type=folder,path=${store}`];
  const env = { HOME: home, PATH: bin, NODE_COMPILE_CACHE: path.join(home, 'compiled') };
  const node = testHost('CARETAKER_TEST_NODE24');
  return new Promise((resolve) => {
    execFile(node, [cli, ...all], { env }, (error, stdout) => {
      // Blocks of: the sentence with its code in brackets, then what belongs to it, indented.
      const problems = stdout.split('\n\n').flatMap((block) => {
        const [, message, code, rest] = /^(\S[^]*?) \[([a-z-]+)\]$([^]*)/m.exec(block) ?? [];
        return message === undefined || code === undefined ? [] : [{ code, message, hint: rest ?? '' }];
      });
      resolve({ exitCode: error === null ? 0 : Number(error.code), problems, shown: stdout });
    });
  });
}

/** The project's files and the store's: kind, mode, time of change and content. */
function look(): Record<string, string> {
  const seen: Record<string, string> = {};
  for (const root of [project, store]) {
    for (const entry of readdirSync(root, { recursive: true, encoding: 'utf8' }).sort()) {
      const file = path.join(root, entry);
      const stats = lstatSync(file);
      seen[file] = stats.isFile()
        ? `${stats.mode} ${stats.mtimeMs} ${createHash('sha256').update(readFileSync(file)).digest('hex')}`
        : `${stats.mode}`;
    }
  }
  return seen;
}
