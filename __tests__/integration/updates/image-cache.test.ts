import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import type { RunReport } from '../../../src/report/run-report.ts';
import { startGitHub, type GitHubStandIn } from '../../fakes/github/stand-in.ts';
import { lookUp } from '../as-user.ts';
import { as, docker, freePort, kit, rootless, succeeded, type Host } from '../modes/harness.ts';

/*
 * One application on two hosts, each with an engine and a clone of its own, and one cache between them: GitHub's own client, over a real blob store. The build writes
 * random bytes into the image, so that nobody can build the same twice.
 */

jest.setTimeout(300_000);

const server = `
import http.server, json
class Site(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        answer = {name: open('/srv/' + name).read().strip() for name in ('VERSION', 'built')}
        self.wfile.write(json.dumps(answer).encode())
http.server.ThreadingHTTPServer(('', 8000), Site).serve_forever()
`;
/** On its images, also those without a name: others come and go beside them. */
const label = 'caretaker-test=image-cache';
const dockerfile = `
FROM localhost/caretaker-test/base:1
LABEL ${label}
ARG FLAVOUR=none
COPY VERSION server.py /srv/
RUN head -c 8 /dev/urandom | od -An -tx1 | tr -d ' ' >/srv/built
ENTRYPOINT []
CMD ["python3", "-u", "/srv/server.py"]
`;
const compose = `
services:
  web:
    build:
      context: .
      args:
        FLAVOUR: \${FLAVOUR:-plain}
    restart: always
    stop_signal: SIGKILL
    ports: ['127.0.0.1:\${PORT}:8000']
    volumes: ['./data:/data']
`;

const work = mkdtempSync('/var/tmp/caretaker-image-cache-');
const source = path.join(work, 'source');
/** Git takes nothing from another user's repository, so that each host has one of its own to follow. */
const origins: { readonly directory: string; readonly uid: number; readonly gid: number }[] = [];
const project = `cached-${path.basename(work).slice(-6).toLowerCase()}`;
let github: GitHubStandIn;

function git(...args: string[]): void {
  const identity = ['-c', 'user.name=Dev', '-c', 'user.email=dev@localhost', '-c', 'safe.directory=*'];
  execFileSync('git', [...identity, ...args], { cwd: source, stdio: 'pipe' });
}

function release(version: string): void {
  writeFileSync(path.join(source, 'VERSION'), version);
  git('add', '--all');
  git('commit', '--quiet', '--message', version);
  git('tag', '--annotate', '--message', version, version);
  for (const origin of origins) publish(origin);
}

function publish({ directory, uid, gid }: (typeof origins)[number]): void {
  // Nor does it give anything to one.
  execFileSync('chown', ['-R', '0:0', directory]);
  git('push', '--quiet', directory, 'main', '--tags');
  execFileSync('chown', ['-R', `${uid}:${gid}`, directory]);
}

/** One of the two hosts. */
class Site {
  readonly host: Host;
  readonly directory: string;
  readonly #port: number;
  #run = 0;

  private constructor(host: Host, directory: string, port: number) {
    this.host = host;
    this.directory = directory;
    this.#port = port;
  }

  static async create(host: Host): Promise<Site> {
    const { uid, gid } = lookUp(host.user);
    // The same name: it is the project's, and part of the key.
    const directory = path.join(work, host.engine, project);
    mkdirSync(path.dirname(directory));
    chownSync(path.dirname(directory), uid, gid);
    const origin = { directory: path.join(path.dirname(directory), 'origin.git'), uid, gid };
    git('init', '--quiet', '--bare', '--initial-branch=main', origin.directory);
    origins.push(origin);
    publish(origin);
    const site = new Site(host, directory, await freePort());
    await site.shell(
      `git clone -q ${origin.directory} ${directory}; cd ${directory}; mkdir data; echo kept >data/file; echo PORT=${site.#port} >.env; $COMPOSE up -d --build >&2`,
    );
    return site;
  }

  async shell(script: string): Promise<string> {
    return succeeded(await as(this.host, ['bash', '-ec', script]));
  }

  /** An update in a job of its own, with the log of what it said. */
  update(...flags: string[]): Promise<RunReport> {
    const runId = (this.host.engine === 'docker' ? 1000 : 2000) + ++this.#run;
    return this.updateIn(github.environment({ runId }), ...flags);
  }

  async updateIn(environment: Readonly<Record<string, string>>, ...flags: string[]): Promise<RunReport> {
    const job = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
    const ended = await as(
      this.host,
      [
        'env',
        ...job,
        ...[process.env['CARETAKER_TEST_NODE24'] as string, kit().cli, 'update', '--json'],
        ...['--project-directory', this.directory, '--store', `type=folder,path=${this.directory}/../backups`],
        ...['--health', `type=http,url=http://127.0.0.1:${this.#port}/`, '--settle', '1s'],
        ...['--cache-images', 'true', ...flags],
      ],
      this.directory,
    );
    return JSON.parse(ended.stdout) as RunReport;
  }

  async served(): Promise<{ VERSION: string; built: string }> {
    return (await (await fetch(`http://127.0.0.1:${this.#port}/`)).json()) as { VERSION: string; built: string };
  }

  async imageId(name: string): Promise<string> {
    const id = await this.shell(`${this.host.engine} image inspect --format '{{.Id}}' ${name}`);
    return id.trim().replace('sha256:', '');
  }

  image(): Promise<string> {
    return this.imageId(this.host.engine === 'docker' ? `${project}-web` : `${project}_web`);
  }

  /** Ids of the application's images without a name. */
  async nameless(): Promise<string> {
    return this.shell(
      `${this.host.engine} images --quiet --no-trunc --filter dangling=true --filter label=${label} | sort`,
    );
  }

  staging(): string[] {
    return readdirSync(path.join(this.directory, '.caretaker/staging'));
  }

  async destroy(): Promise<void> {
    const ours = `${this.host.engine} images --format '{{.Repository}}:{{.Tag}}' | grep ${project} | xargs -r ${this.host.engine} rmi -f >&2`;
    await this.shell(`cd ${this.directory}; $COMPOSE down >&2; ${ours}`);
  }
}

let one: Site;
let other: Site;
/** Of the newest version on the other host. */
let key: string;

beforeAll(async () => {
  mkdirSync(source);
  chmodSync(work, 0o755);
  for (const [name, text] of Object.entries({ 'server.py': server, Dockerfile: dockerfile, 'compose.yml': compose }))
    writeFileSync(path.join(source, name), text);
  writeFileSync(path.join(source, '.gitignore'), '.env\ndata/\n');
  writeFileSync(path.join(source, '.dockerignore'), 'data\n.caretaker\n.git\n.env\n');
  git('init', '--quiet', '--initial-branch=main');
  release('v1.0.0');
  github = await startGitHub();
  one = await Site.create(rootless('1.6.0'));
  other = await Site.create(docker('root'));
});
afterAll(async () => {
  await one?.destroy();
  await other?.destroy();
  await github?.stop();
  rmSync(work, { recursive: true, force: true });
});

test('what one host built, the other loads, under the name that its own Compose gives', async () => {
  release('v1.1.0');
  const first = await one.update();
  expect([first.outcome, first.warnings]).toEqual(['done', []]);
  expect(github.cached()).toHaveLength(1);
  expect(github.cached()[0]).toMatch(
    new RegExp(`^compose-caretaker-images-1-${project}-linux-amd64-[0-9a-f]{40}-[0-9a-f]{16}$`),
  );

  const before = await other.nameless();
  const second = await other.update();
  expect([second.outcome, second.warnings]).toEqual(['done', []]);
  expect(await one.served()).toMatchObject({ VERSION: 'v1.1.0' });
  expect(await other.served()).toEqual(await one.served());
  expect(await other.image()).toBe(await one.image());
  expect(github.cached()).toHaveLength(1);
  expect([one.staging(), other.staging(), await other.nameless()]).toEqual([[], [], before]);
});

test('and the other way round', async () => {
  release('v1.2.0');
  expect(await other.update()).toMatchObject({ outcome: 'done', warnings: [] });
  expect(await one.update()).toMatchObject({ outcome: 'done', warnings: [] });
  expect(await one.served()).toEqual(await other.served());
  expect(await one.image()).toBe(await other.image());
});

test('other build arguments are another image', async () => {
  release('v1.3.0');
  expect((await one.update()).outcome).toBe('done');
  writeFileSync(path.join(other.directory, '.env'), `${execFileSync('cat', [`${other.directory}/.env`]).toString()}FLAVOUR=sour\n`); // prettier-ignore
  expect(await other.update()).toMatchObject({ outcome: 'done', warnings: [] });
  expect((await other.served()).built).not.toBe((await one.served()).built);
  expect(github.cached()).toHaveLength(4);
  key = github.cached().at(-1) ?? '';
});

/** An entry of the cache, taken apart, changed by a script in its folder, and put together again as GitHub's client does it. Waited for: a connection that the store closes meanwhile must not be taken for one that is open. */
async function altered(content: Buffer, script: string): Promise<Buffer> {
  const folder = mkdtempSync(path.join(work, 'entry-'));
  const file = path.join(folder, 'cache.tzst');
  writeFileSync(file, content);
  const repack =
    'rm cache.tzst; tar --posix -cf cache.tzst -P --use-compress-program zstdmt ${members:-images.json images.tar}';
  await promisify(execFile)(
    'bash',
    ['-euc', `tar -xf cache.tzst --use-compress-program unzstd\n${script}\n${repack}`],
    { cwd: folder },
  );
  const changed = await readFile(file);
  rmSync(folder, { recursive: true });
  return changed;
}

const python = (script: string): string => `python3 - <<'E'\n${script}\nE`;
const json = (file: string, name: string, expression: string): string =>
  python(
    `import hashlib, json\n${name} = json.load(open('${file}'))\n${expression}\njson.dump(${name}, open('${file}', 'w'))`,
  );
const list = (expression: string): string => json('images.json', 'l', expression);
const manifest = (expression: string): string => json('manifest.json', 'm', expression);
const archive = (commands: string): string => {
  const digest = list("l['sha256'] = hashlib.sha256(open('images.tar', 'rb').read()).hexdigest()");
  return `mkdir a; tar -xf images.tar -C a; cd a\n${commands}\ntar -cf ../images.tar *; cd ..\n${digest}`;
};

const outside = path.join(work, 'planted');
const layers = `
import hashlib, json
[image] = json.load(open('manifest.json'))
config = json.load(open(image['Config']))
config['rootfs']['diff_ids'][-1] = 'sha256:' + '0' * 64
text = json.dumps(config)
id = hashlib.sha256(text.encode()).hexdigest()
image['Config'] = id + '.json'
open(image['Config'], 'w').write(text)
json.dump([image], open('manifest.json', 'w'))
open('../id', 'w').write('sha256:' + id)`;
const poisons: readonly [string, (content: Buffer) => Promise<Buffer> | Buffer | null, RegExp | null][] = [
  ['lost bytes at its end', (content) => content.subarray(0, content.length / 2), /tar/],
  ['nothing where its bytes should be', () => null, /404|not exist|tar|size/i],
  ['no list', (content) => altered(content, 'members=images.tar'), /no file images\.json/],
  ['the list of another key', (content) => altered(content, list("l['key'] = 'x'")), /something else/],
  ['the images of other services', (content) => altered(content, list("l['images'] = {'mail': l['images']['web']}")), /other services/], // prettier-ignore
  ['a name that loading would move', (content) => altered(content, archive(manifest("m[0]['RepoTags'] = ['localhost/caretaker-test/base:1']"))), /move the name .*base:1/], // prettier-ignore
  ['other layers than its configuration says', (content) => altered(content, `${archive(python(layers))}\n${list("l['images']['web'] = open('id').read()")}`), /load/], // prettier-ignore
  ['a link in the place of the archive', (content) => altered(content, 'ln -sf /etc/passwd images.tar'), /no file images\.tar/], // prettier-ignore
  ['a member that climbs out', (content) => altered(content, `echo evil >${outside}; members="${outside} images.json images.tar"`), null], // prettier-ignore
];

test.each(poisons)('an entry with %s leads to a build, and to nothing else', async (_what, poison, words) => {
  await other.update('--ref', 'v1.2.0', '--allow', 'downgrade');
  const whole = await github.readCache(key);
  const poisoned = await poison(whole);
  rmSync(outside, { force: true });
  const before = { nameless: await other.nameless(), base: await other.imageId('localhost/caretaker-test/base:1') };
  await github.writeCache(key, poisoned);

  const report = await other.update('--ref', 'v1.3.0');
  await github.writeCache(key, whole);
  expect(report.outcome).toBe('done');
  expect(await other.served()).toMatchObject({ VERSION: 'v1.3.0' });
  if (words === null) expect(report.warnings).toEqual([]);
  else {
    expect(report.warnings.join('\n')).toMatch(words);
    expect(report.warnings.join('\n')).toContain(key);
  }
  expect(existsSync(outside)).toBe(false);
  expect(other.staging()).toEqual([]);
  expect({ nameless: await other.nameless(), base: await other.imageId('localhost/caretaker-test/base:1') }).toEqual(
    before,
  );
});

test('a service that resets connections leads to a build', async () => {
  await other.update('--ref', 'v1.2.0', '--allow', 'downgrade');
  github.fault({ on: 'GetCacheEntryDownloadURL', reset: true, times: 50 });
  const report = await other.update('--ref', 'v1.3.0');
  github.clearFaults();
  expect(report.outcome).toBe('done');
  expect(report.warnings.join('\n')).toContain('The images are built');
});

test('outside of a workflow the images are built, and it says so', async () => {
  const report = await other.updateIn({}, '--ref', 'v1.2.0', '--allow', 'downgrade');
  expect(report.outcome).toBe('done');
  expect(report.warnings).toEqual([
    'The cache of images is of no use: this is no job of a workflow that has one. The images are built',
    'The cache of images is of no use: this is no job of a workflow that has one. The next host builds the images, instead of loading them',
  ]);
});
