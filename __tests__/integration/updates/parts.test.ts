import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { as, Deployment, hostsInTurn, succeeded } from '../modes/harness.ts';

/* An application whose releases bring parts that are in no file of its own repository: a submodule, and a file in Git LFS. */

jest.setTimeout(300_000);

/** The submodule's repository as plain files of a web server: git takes one from a directory only where it is configured to. */
class Part {
  readonly #directory = mkdtempSync('/var/tmp/caretaker-part-');
  readonly #server: Server;

  constructor() {
    this.#git('init', '--quiet', '--initial-branch=main');
    this.release('1');
    this.#server = createServer((request, response) => {
      const { pathname } = new URL(request.url ?? '', 'http://part');
      const file = path.join(this.#directory, '.git', pathname.slice('/part.git/'.length));
      if (existsSync(file) && statSync(file).isFile()) response.end(readFileSync(file));
      else response.writeHead(404).end();
    });
  }

  async serve(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/part.git`;
  }

  release(content: string): void {
    writeFileSync(path.join(this.#directory, 'content'), content);
    this.#git('add', '--all');
    this.#git('commit', '--quiet', '--message', content);
    this.#git('update-server-info');
  }

  close(): void {
    this.#server.close();
    rmSync(this.#directory, { recursive: true });
  }

  #git(...args: string[]): void {
    const identity = ['-c', 'user.name=Dev', '-c', 'user.email=dev@localhost'];
    execFileSync('git', [...identity, ...args], { cwd: this.#directory });
  }
}

describe.each(hostsInTurn(1))('submodule and large file on %s', (_, hostOf) => {
  let app: Deployment;
  let part: Part;

  /** What the application's developers do, in a clone of their own. */
  async function release(tag: string, script: string): Promise<void> {
    const lines = [
      'export GIT_AUTHOR_NAME=Dev GIT_AUTHOR_EMAIL=dev@localhost GIT_COMMITTER_NAME=Dev GIT_COMMITTER_EMAIL=dev@localhost',
      'clone=$(mktemp -d); trap \'rm -rf "$clone"\' EXIT',
      `git clone -q ${app.facts.origin} "$clone"; cd "$clone"; git lfs install --local >&2`,
      script,
      `echo ${tag} >usonline/VERSION; git add -A; git commit -qm ${tag}; git tag -am ${tag} ${tag}; git push -q origin main ${tag}`,
    ];
    succeeded(await as(app.host, ['bash', '-euc', lines.join('\n')]));
  }

  const read = (name: string): string => readFileSync(path.join(app.facts.source, name), 'utf8').trim();
  const parts = (): string[] => [read('part/content'), read('model.bin')];

  beforeAll(async () => {
    part = new Part();
    app = await Deployment.create(hostOf(), 'uso');
    const url = await part.serve();
    await release('v1.1.0', `git lfs track '*.bin'; echo weights 1 >model.bin; git submodule --quiet add ${url} part`);
  });
  afterAll(async () => {
    await app?.destroy();
    part?.close();
  });

  test('come with the release that brings them, and a second update has nothing to do', async () => {
    expect((await app.succeeds('update')).outcome).toBe('done');
    expect(app.git('show', 'HEAD:model.bin')).toMatch(/^version https:\/\/git-lfs/);
    expect(parts()).toEqual(['1', 'weights 1']);
    expect(app.checkout().changes).toBe('');
    expect((await app.succeeds('update')).outcome).toBe('no-op');
  });

  test('go back with a release that fails, and with one that is rolled back later', async () => {
    part.release('2');
    await release(
      'v1.2.0',
      'echo weights 2 >model.bin; git submodule --quiet update --init; git -C part pull -q origin main',
    );
    const before = app.checkout();
    const seen = path.join(app.facts.source, 'part/content');
    const failed = await app.caretaker('update', '--migrate-command', `grep 2 ${seen} && exit 3`);
    expect([failed.report.outcome, failed.report.error?.message]).toEqual([
      'rolled-back',
      expect.stringContaining('ended with code 3'),
    ]);
    expect([app.checkout(), parts()]).toEqual([before, ['1', 'weights 1']]);

    await app.succeeds('update', '--ref', 'v1.2.0');
    expect(parts()).toEqual(['2', 'weights 2']);
    await app.succeeds('rollback', '--with-data', 'false');
    expect([app.checkout(), parts()]).toEqual([before, ['1', 'weights 1']]);
    expect(await app.leftovers()).toEqual([]);
  });
});
