import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { as, Deployment, hostsInTurn, succeeded } from '../modes/harness.ts';

/* What an update refuses before it touches anything: each gate with its own code, on a deployment that goes on as if nobody had asked. */

jest.setTimeout(300_000);

/** Newer than what is deployed, and only to be had by its name: what each of the gates below stands before. */
const NEXT = 'v1.2.0-rc.1';

/** Changes a file that v1.1.0 has, and brings one that it has not. */
const CHANGED = 'usonline/VERSION';
const BROUGHT = 'deploy/nginx/limits.conf';

/** Shell lines as the application's owner, in a directory of his. */
async function shell(app: Deployment, directory: string, script: string): Promise<string> {
  const identity = ['Dev', 'dev@localhost'];
  const who = ['AUTHOR', 'COMMITTER'].flatMap((role) =>
    ['NAME', 'EMAIL'].map((what, at) => `GIT_${role}_${what}=${identity[at]}`),
  );
  return succeeded(await as(app.host, ['env', ...who, 'bash', '-euc', `cd "$0"; ${script}`, directory]));
}

const inClone = (app: Deployment, script: string): Promise<string> => shell(app, app.facts.source, script);

/** What the application's developers do, in a clone of their own. */
async function upstream(app: Deployment, script: string): Promise<void> {
  const clone = path.join(app.directory, 'developer');
  await shell(app, app.directory, `git clone -q origin.git developer; cd developer; ${script}`);
  rmSync(clone, { recursive: true });
}

/** All that a refusal must leave as it is: what serves, its data, images, code, and every name in the directories around it. */
async function everything(app: Deployment): Promise<object> {
  const ours = [app.facts.image ?? '', `/protected:${app.facts.project}`];
  return {
    containers: await app.containers(),
    images: (await imagesOf(app)).filter((line) => ours.some((name) => line.includes(name))).sort(),
    head: app.git('rev-parse', 'HEAD'),
    branch: app.git('rev-parse', '--abbrev-ref', 'HEAD'),
    heads: app.git('for-each-ref', 'refs/heads', 'refs/stash'),
    status: app.git('--no-optional-locks', 'status', '--porcelain', '--ignored'),
    diff: app.git('--no-optional-locks', 'diff', 'HEAD'),
    dump: await app.dump(),
    names: namesBelow(app.directory),
    state: contentsOf(app.state),
  };
}

/** Others who build on this engine may remove an image between two looks of the engine's own. */
async function imagesOf(app: Deployment): Promise<string[]> {
  for (let tries = 1; ; tries++) {
    const format = '{{.Repository}}:{{.Tag}} {{.ID}}';
    const listed = await app.engine('images', '--no-trunc', '--format', format);
    if (listed.code === 0 || tries === 10) return succeeded(listed).split('\n');
  }
}

/** Without what the database and git themselves come and go with. */
function namesBelow(directory: string): string[] {
  const own = ['(', '-path', '*/database', '-o', '-name', '.git', ')', '-prune'];
  const output = execFileSync('find', [directory, ...own, '-o', '-printf', '%P %y %m %U:%G\n'], { encoding: 'utf8' });
  return output.split('\n').sort();
}

/** Every file of the state directory with its digest: journals and safety backups. */
function contentsOf(directory: string): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true })
    .map(String)
    .sort()
    .map((name) => {
      const file = path.join(directory, name);
      if (!lstatSync(file).isFile()) return name;
      return `${name} ${createHash('sha256').update(readFileSync(file)).digest('hex')}`;
    });
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

async function appears(file: string, run: Promise<unknown>): Promise<void> {
  let ended = false;
  void run.finally(() => (ended = true));
  while (!existsSync(file)) {
    if (ended) throw new Error(`the run has ended without ${file}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe.each(hostsInTurn())('an update on %s', (_, hostOf) => {
  let app: Deployment;

  beforeAll(async () => {
    app = await Deployment.create(hostOf(), 'uso');
    await app.make('release', 'v1.1.0');
    await upstream(
      app,
      `
      echo ${NEXT} > ${CHANGED}; echo 'limit = 5' > ${BROUGHT}
      git add -A; git commit -qm 'Release ${NEXT}'; git tag -am '${NEXT}' ${NEXT}
      git push -q origin main ${NEXT}
      git checkout -q -b fixes-1.0 v1.0.0; echo fixed > FIXES; git add -A; git commit -qm 'Mend 1.0'
      git push -q origin fixes-1.0 v1.0.0^0:refs/heads/stable-1.0`,
    );
    await app.make('release', 'v2.0.0');
    // An origin without a version, and a clone that has nobody to follow.
    await shell(
      app,
      app.directory,
      `
      git clone -q --bare origin.git tagless.git; git -C tagless.git tag -l | xargs git -C tagless.git tag -d
      git -C tagless.git tag nightly main; git clone -q tagless.git tagless
      git clone -q tagless.git lonely; git -C lonely remote remove origin

      git init -q part; cd part; echo 1 > code; git add -A; git commit -qm 1
      git clone -q ../tagless.git ../parted; cd ../parted
      git -c protocol.file.allow=always submodule --quiet add ../part part; git commit -qam 'A part'; git tag v1.1.0
      echo 2 > part/code; git -C part commit -qam 2; git commit -qam 'Its next version'; git tag v1.1.1
      git remote remove origin; git checkout -q v1.1.0; git submodule --quiet update`,
    );
  });
  afterAll(() => app?.destroy());

  /** Runs between two looks; the error as a reader has it. */
  async function refused(...flags: readonly string[]): Promise<{ code: string; text: string }> {
    const before = await everything(app);
    const { code, report } = await app.caretaker('update', ...flags);
    expect(await everything(app)).toEqual(before);
    expect([code, report.outcome, report.downtimeSeconds ?? 0]).toEqual([1, 'refused', 0]);
    return { code: report.error?.code ?? '', text: report.error?.message ?? '' };
  }

  async function nothingNew(...flags: readonly string[]): Promise<void> {
    const before = await everything(app);
    const { code, report } = await app.caretaker('update', ...flags);
    expect([code, report.outcome, report.error]).toEqual([0, 'no-op', undefined]);
    expect(await everything(app)).toEqual(before);
  }

  test('refused the first time leaves not even its own directory', async () => {
    expect((await refused('--ref', 'v9.9.9')).code).toBe('ref-unknown');
    expect(existsSync(app.state)).toBe(false);
    // From here on the application is one that has been updated before: safety backups and a journal are there to be lost.
    expect((await app.succeeds('update')).update?.to).toBe('v1.1.0');
  });

  test.each([
    ['a lower version', ['--ref', 'v1.0.0'], 'version-downgrade', ['v1.0.0', 'v1.1.0']],
    ['a branch of a lower version', ['--ref', 'fixes-1.0'], 'version-downgrade', ['v1.0.0', 'v1.1.0']],
    ['a major step', ['--ref', 'v2.0.0'], 'version-major', ['v1.1.0 → v2.0.0']],
    ['a major step on the branch it follows', ['--track', 'branch'], 'version-major', ['v1.1.0 → v2.0.0']],
    ['a ref that is nowhere', ['--ref', 'v9.9.9'], 'ref-unknown', ['"v9.9.9"']],
    ['a commit that is nowhere', ['--ref', '0123456789abcdef'], 'ref-unknown', ['"0123456789abcdef"']],
    ['a ref that git can’t have', ['--ref', 'v1..2'], 'ref-invalid', ['"v1..2"']],
  ])('refuses %s', async (_what, flags, code, named) => {
    const error = await refused(...flags);
    expect(error.code).toBe(code);
    for (const name of named) expect(error.text).toContain(name);
  });

  test.each([
    ['takes neither a pre-release nor a major step by following releases', ['--track', 'releases']],
    ['has nothing to do for a branch that is contained already', ['--ref', 'stable-1.0']],
    ['has nothing to do for what is deployed', ['--ref', 'v1.1.0']],
  ])('%s', async (_what, flags) => nothingNew(...flags));

  test('refuses to overwrite a changed file, and names that one only', async () => {
    await inClone(app, `echo mine >> ${CHANGED}; echo mine >> README.rst`);
    try {
      const error = await refused('--ref', NEXT);
      expect(error.code).toBe('dirty-tree');
      expect(error.text).toContain(CHANGED);
      expect(error.text).not.toContain('README');
    } finally {
      await inClone(app, `git checkout -q -- ${CHANGED} README.rst`);
    }
  });

  test('refuses to overwrite what was changed inside a submodule, and names its files', async () => {
    const parted = path.join(app.directory, 'parted');
    await shell(app, parted, 'echo mine >> part/code');
    for (const allowed of [[], ['--allow', 'dirty']]) {
      const error = await refused('--ref', 'v1.1.1', '--source-directory', parted, ...allowed);
      expect(error).toEqual({ code: 'dirty-tree', text: expect.stringContaining(`in ${parted}: part/code`) });
    }
  });

  test.each([
    ['does not know', ''],
    ['ignores', `echo ${BROUGHT} >> .git/info/exclude`],
  ])('refuses to overwrite a file that git %s', async (_how, ignore) => {
    await inClone(app, `echo mine > ${BROUGHT}; ${ignore}`);
    try {
      for (const allowed of [[], ['--allow', 'dirty']]) {
        const error = await refused('--ref', NEXT, ...allowed);
        expect(error).toEqual({ code: 'dirty-tree', text: expect.stringContaining(BROUGHT) });
      }
    } finally {
      await inClone(app, `rm ${BROUGHT}; : > .git/info/exclude`);
    }
  });

  test('refuses to follow a branch that lacks a commit made here', async () => {
    await inClone(app, 'echo mine >> README.rst; git commit -qam mine');
    try {
      const error = await refused('--track', 'branch', '--allow', 'major');
      expect(error.code).toBe('code-diverged');
      expect(error.text).toContain(`main in ${app.facts.source} has commits that origin/main`);
    } finally {
      await inClone(app, 'git reset -q --hard HEAD~1');
    }
  });

  test('refuses an application that is ill already, and shows what was seen', async () => {
    const ill = createServer((_request, response) => response.writeHead(503).end('no database'));
    const port = await listening(ill);
    const shut = createServer();
    const closed = await listening(shut);
    await new Promise((resolve) => shut.close(resolve));
    try {
      const urls = [port, closed].map((one) => `http://127.0.0.1:${one}/health`);
      const health = urls.flatMap((url) => ['--health', `type=http,url=${url}`]);
      const error = await refused('--ref', NEXT, ...health, '--health-timeout', '3s');
      expect(error.code).toBe('unhealthy-before');
      for (const word of [...urls, '503', 'ECONNREFUSED']) expect(error.text).toContain(word);
      expect(error.text).not.toContain(app.healthUrl);
    } finally {
      ill.close();
    }
  });

  test('refuses another major version of PostgreSQL that a compose file outside of the clone names', async () => {
    const stack = path.join(app.facts.instance, 'docker-compose.yml');
    const before = readFileSync(stack, 'utf8');
    writeFileSync(stack, before.replace('postgres:17-alpine', 'postgres:18-alpine'));
    try {
      for (const flags of [[], ['--dry-run', 'true']]) {
        const error = await refused('--ref', NEXT, ...flags);
        expect(error.code).toBe('postgres-major-change');
        for (const word of ['PostgreSQL 18', 'postgres:18-alpine', 'database', 'PostgreSQL 17']) {
          expect(error.text).toContain(word);
        }
      }
    } finally {
      writeFileSync(stack, before);
    }
  });

  test('refuses a disk that is too small, with the numbers', async () => {
    // A disk of its own, so that a full one hurts nobody else; owned as what it covers.
    const { uid, gid } = statSync(app.state);
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=2m,mode=700,uid=${uid},gid=${gid}`, 'tmpfs', app.state]);
    try {
      await shell(app, app.state, "mkdir backups staging; echo '*' > .gitignore; touch journal-of-earlier.jsonl");
      const error = await refused('--ref', NEXT);
      expect(error.code).toBe('disk-full');
      expect(error.text).toMatch(
        /has 2\.\d MB free of the \d[\d.]* MB that are needed: \d\S* MB for the data to be copied/,
      );
      expect(error.text).toContain(`in ${app.state}`);
    } finally {
      execFileSync('umount', [app.state]);
    }
  });

  test('refuses when a store can’t be written', async () => {
    // Not even root can make anything there.
    const error = await refused('--ref', NEXT, '--store', 'type=folder,path=/sys/caretaker');
    expect(error).toEqual({ code: 'store-denied', text: expect.stringContaining('write to /sys:') });
  });

  test('refuses a folder store whose disk is not there', async () => {
    const store = path.join(app.directory, 'unmounted/disk/backups');
    const error = await refused('--ref', NEXT, '--store', `type=folder,path=${store}`);
    expect(error).toEqual({ code: 'store-unreachable', text: expect.stringContaining(path.dirname(store)) });
  });

  test('refuses while another run is going on, which it does not disturb', async () => {
    const before = app.checkout();
    const [begun, go] = ['begun', 'go'].map((name) => path.join(app.directory, name)) as [string, string];
    const wait = `touch ${begun}; until [ -e ${go} ]; do sleep 0.1; done; exit 1`;
    const first = app.caretaker('update', '--ref', NEXT, '--build', wait);
    try {
      await appears(begun, first);
      const error = await refused('--ref', NEXT);
      expect(error.code).toBe('locked');
      expect(error.text).toMatch(/update, process \d+ on /);
    } finally {
      await shell(app, app.directory, `touch ${go}`);
      await first;
    }
    const { code, report } = await first;
    expect([code, report.outcome, report.error?.code]).toEqual([1, 'rolled-back', 'build-failed']);
    expect(app.checkout()).toEqual(before);
    for (const file of [begun, go]) rmSync(file);
  });

  test('refuses when the remote is gone', async () => {
    renameSync(app.facts.origin, `${app.facts.origin}.moved`);
    try {
      const error = await refused('--ref', NEXT);
      expect(error.code).toBe('fetch-failed');
      expect(error.text).toContain(`failed to fetch origin in ${app.facts.source}`);
      expect(error.text).toContain(app.facts.origin);
    } finally {
      renameSync(`${app.facts.origin}.moved`, app.facts.origin);
    }
  });

  test.each([
    ['a ref where there is no clone', ['--ref', NEXT], 'not-a-clone', (): string => app.facts.instance],
    ['to follow releases where there are none', ['--track', 'releases'], 'no-release', () => beside('tagless')],
    ['to follow a branch that follows none', ['--track', 'branch'], 'upstream-missing', () => beside('lonely')],
    ['a source directory that is not there', ['--ref', NEXT], 'source-directory-missing', () => beside('nowhere')],
  ])('refuses %s', async (_what, flags, code, source) => {
    const error = await refused(...flags, '--source-directory', source());
    expect(error).toEqual({ code, text: expect.stringContaining(source()) });
  });
  const beside = (name: string): string => path.join(app.directory, name);

  test('goes through after all that, asked for the same', async () => {
    const { update } = await app.succeeds('update', '--ref', NEXT);
    expect([update?.from, update?.to]).toEqual(['v1.1.0', NEXT]);
    expect((await app.get('/version')).body).toContain(NEXT);
    expect(await app.leftovers()).toEqual([]);
  });
});
