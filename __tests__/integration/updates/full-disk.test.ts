import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { lookUp, testHost } from '../as-user.ts';
import { as, Deployment, docker, rootless, succeeded, treeOf, type Run } from '../modes/harness.ts';

/*
 * A disk that is really full, at the worst moments: the run says what was missing where, the application serves while nobody has made room yet, its data are whole, nothing is left
 * behind, and with room again the same run succeeds. What can be reckoned before is refused before, so that here others fill the disk while a run goes on.
 */

jest.setTimeout(400_000);

const MB = 1024 * 1024;
const size = String.raw`\d[\d.]* [kMG]?B`;
/** Bytes needed, bytes free, and where. */
const numbers = (place: string): RegExp =>
  new RegExp(`no space left: it takes up to ${size}, and ${size} of ${size} are free on ${place}$`);

/** A filesystem of its own in the place of a directory, whose content moves there. */
class SmallDisk {
  readonly place: string;
  readonly #image: string | undefined;

  constructor(place: string, kind: 'ext4' | 'tmpfs', megabytes: number) {
    this.place = place;
    const moved = `${place}.moved`;
    execFileSync('cp', ['-a', place, moved]);
    if (kind === 'ext4') {
      this.#image = `${place}.image`;
      execFileSync('truncate', ['-s', `${megabytes}M`, this.#image]);
      execFileSync('mkfs.ext4', ['-q', '-m', '0', this.#image]);
      execFileSync('mount', ['-o', 'loop', this.#image, place]);
      rmSync(path.join(place, 'lost+found'), { recursive: true });
    } else {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'caretaker-small', place]);
    }
    execFileSync('cp', ['-a', `${moved}/.`, place]);
    const { uid, gid, mode } = statSync(moved);
    chownSync(place, uid, gid);
    chmodSync(place, mode);
    rmSync(moved, { recursive: true });
  }

  get #filler(): string {
    return path.join(this.place, '.filler');
  }

  /** Somebody else takes all that is free, but for so much. */
  fill(leave = 0): void {
    const script = `
free=$(df --output=avail -B1 . | tail -n 1)
fallocate -l $((free - $2)) "$1"
[ "$2" -gt 0 ] || cat /dev/zero >>"$1" || true`;
    execFileSync('sh', ['-c', script, 'sh', this.#filler, String(leave)], { cwd: this.place, stdio: 'ignore' });
  }

  makeRoom(): void {
    rmSync(this.#filler, { force: true });
  }

  remove(): void {
    execFileSync('umount', ['--lazy', this.place]);
    if (this.#image !== undefined) rmSync(this.#image);
  }
}

/** What a user would find: tables as text, each file with owner, mode, time and digest, code, and what serves. */
async function stateOf(app: Deployment): Promise<object> {
  const places = [path.join(app.facts.instance, 'data'), await app.volume('files')];
  return {
    health: (await app.get('/health')).status,
    invariant: JSON.parse((await app.get('/invariant')).body) as object,
    version: (await app.get('/version')).body,
    dump: await app.dump(),
    // But for the database: the dump tells of it, and whoever opens it moves its directory's time.
    files: places.map((place) =>
      treeOf(place)
        .replace(/^.*notes\.db.*\n|^(\.\|d\|.*\|)[\d.]+\|$/gm, '$1')
        .split('\n')
        .sort(),
    ),
    checkout: app.checkout(),
  };
}

/** Does something when the moment has come, while a run goes on. */
async function at(moment: () => boolean, act: () => void, run: Promise<Run>): Promise<Run> {
  let ended = false;
  void run.finally(() => (ended = true)).catch(() => undefined);
  while (!ended && !moment()) await new Promise((resolve) => setTimeout(resolve, 5));
  if (ended) throw new Error(`the moment never came: ${JSON.stringify((await run).report)}`);
  act();
  return run;
}

function journaled(app: Deployment, step: string): boolean {
  const journal = path.join(app.state, 'journal.jsonl');
  return existsSync(journal) && readFileSync(journal, 'utf8').includes(`"name":"${step}`);
}

const update = (app: Deployment, ...flags: readonly string[]): Promise<Run> =>
  app.caretaker('update', '--build', 'none', ...flags);

/** Flags by which an update to any other version than this is not healthy. */
const healthyOnlyAs = (app: Deployment, version: string): string[] => [
  ...['--health', `type=http,url=${app.facts.url}/version,contains=${version}`],
  ...['--health-timeout', '3s'],
];

describe('On a disk that others fill', () => {
  let app: Deployment;
  /** Of the application: code, database, files, and what a run works with. */
  let disk: SmallDisk;
  /** Of the folder store. */
  let stores: SmallDisk;
  let release = 0;

  beforeAll(async () => {
    app = await Deployment.create(docker('root'), 'tiny');
    await app.make('down');
    mkdirSync(app.backups);
    disk = new SmallDisk(app.facts.instance, 'ext4', 512);
    stores = new SmallDisk(app.backups, 'tmpfs', 512);
    // It does not get smaller by compression.
    execFileSync('sh', ['-c', `head -c ${48 * MB} /dev/urandom >"$1"/data/media`, 'sh', app.facts.instance]);
    await app.make('up');
    await app.write(3);
    await app.succeeds('backup');
    await app.write(2);
  });

  afterAll(async () => {
    disk?.remove();
    stores?.remove();
    await app?.destroy();
  });

  const made = (pattern: string) => (): boolean => globSync(pattern, { cwd: app.facts.instance }).length > 0;
  const step = (name: string) => (): boolean => journaled(app, name);
  const written = made('.caretaker/staging/*-backup/*.tar.zst');
  const nextRelease = (): Promise<string> => app.make('release', `v1.0.${++release}`);

  const backup = (...flags: readonly string[]): Promise<Run> => app.caretaker('backup', ...flags);
  const stopped = (): Promise<Run> => backup('--consistency', 'stopped');
  const newVersion = (): Promise<Run> => update(app);
  const restore = (): Promise<Run> => app.caretaker('restore', '--backup', 'latest', '--allow', 'version-mismatch');

  test.each<{ when: string; run: () => Promise<Run>; moment: () => boolean; store?: true }>([
    { when: 'while a backup is written', run: backup, moment: written },
    { when: 'while a backup is stored', run: backup, moment: written, store: true },
    { when: 'in the final pass of a backup, with the writers stopped', run: stopped, moment: step('stop writers') },
    { when: 'in the final pass of an update, with the writers stopped', run: newVersion, moment: step('stop writers') },
    { when: 'while a restore fetches', run: restore, moment: made('.caretaker/staging/*-fetched/*.tar.zst') },
    { when: 'while a restore unpacks beside the live data', run: restore, moment: made('.caretaker-fresh-*-data') },
    { when: 'when a restore has stopped the application', run: restore, moment: step('stop') },
  ])('$when', async ({ run, moment, store = false }) => {
    await nextRelease();
    const before = await stateOf(app);
    const [which, code] = store ? [stores, 'backup-unstored'] : [disk, 'disk-full'];
    try {
      const failed = await at(moment, () => which.fill(), run());
      expect([failed.code, failed.report.error?.code]).toEqual([1, code]);
      expect(failed.report.error?.message).toMatch(
        store
          ? new RegExp(
              `no space left: .*\\d [kMG]?B of .* are free on ${which.place} \\(store-full\\)\\. It lies whole`,
            )
          : numbers(which.place),
      );
      expect(await stateOf(app)).toEqual(before);
    } finally {
      which.makeRoom();
    }
    // What could not be stored waits on this host, and the next run stores it.
    expect(await app.leftovers()).toEqual(store ? expect.arrayContaining(['unstored.json']) : []);

    const { report } = await run();
    expect([report.outcome, report.error]).toEqual(['done', undefined]);
    expect(await app.leftovers()).toEqual([]);
  });

  test('when a new version comes up, it is kept where it is well', async () => {
    await nextRelease();
    const { dump } = (await stateOf(app)) as { dump: string };
    try {
      const { report } = await at(step('switch'), () => disk.fill(), update(app));
      expect([report.outcome, report.error]).toEqual(['done', undefined]);
      expect([(await app.get('/version')).body, await app.dump()]).toEqual([
        expect.stringContaining(`.${release}"`),
        dump,
      ]);
    } finally {
      disk.makeRoom();
    }
    expect(await app.leftovers()).toEqual([]);
  });

  test('when a new version comes up, it goes back with its data where it is not', async () => {
    const flags = healthyOnlyAs(app, `v1.0.${release}`);
    await nextRelease();
    const before = await stateOf(app);
    try {
      const { report } = await at(step('switch'), () => disk.fill(), update(app, ...flags));
      expect([report.outcome, report.error?.code]).toEqual(['rolled-back', 'unhealthy']);
      expect(await stateOf(app)).toEqual(before);
    } finally {
      disk.makeRoom();
    }
    expect(await app.leftovers()).toEqual([]);
    expect((await update(app, '--ref', `v1.0.${release}`)).report.outcome).toBe('done');
  });

  test('and of a run that is killed then with the writers stopped, the next one brings the application back while the disk is still full', async () => {
    await nextRelease();
    const before = await stateOf(app);
    const isDown = (): boolean =>
      execFileSync('docker', ['ps', '-q', '--filter', `name=${app.facts.project}`]).length === 0;
    const kill = (): void => {
      const { holder } = JSON.parse(readFileSync(path.join(app.state, 'lock'), 'utf8')) as { holder: { pid: number } };
      process.kill(holder.pid, 'SIGKILL');
      disk.fill();
    };
    try {
      await at(() => step('stop writers')() && isDown(), kill, update(app)).catch(() => undefined);
      await expect(app.get('/health')).rejects.toThrow('fetch failed');
      const { report } = await update(app);
      expect([report.recovery?.outcome, report.error?.code]).toEqual(['rolled-back', 'disk-full']);
      expect(await stateOf(app)).toEqual(before);
    } finally {
      disk.makeRoom();
    }
    expect((await update(app)).report.outcome).toBe('done');
    expect(await app.leftovers()).toEqual([]);
  });
});

describe('On one disk for the application and all of its engine', () => {
  const work = mkdtempSync('/var/tmp/caretaker-storage-');
  const host = { ...rootless('1.6.0'), programs: path.join(work, 'programs') };
  let app: Deployment;
  let disk: SmallDisk;

  beforeAll(async () => {
    chmodSync(work, 0o755);
    const { uid, gid } = lookUp(host.user);
    for (const name of ['disk', 'run', 'programs']) {
      mkdirSync(path.join(work, name));
      chownSync(path.join(work, name), uid, gid);
    }
    disk = new SmallDisk(path.join(work, 'disk'), 'ext4', 2000);
    // A Podman of its own, with its own images, containers and volumes.
    const podman = path.join(host.programs, 'podman');
    const options = `--root ${disk.place}/storage --runroot ${work}/run`;
    writeFileSync(podman, `#!/bin/sh\nexec /usr/bin/podman ${options} "$@"\n`, { mode: 0o755 });
    const base = path.join(testHost('CARETAKER_TEST_HOSTS'), 'images/base.tar');
    succeeded(await as(host, ['podman', 'load', '--quiet', '--input', base]));
    app = await Deployment.create(host, 'tiny');
    await app.make('down');
    const { instance } = app.facts;
    execFileSync('cp', ['-a', instance, `${disk.place}/instance`]);
    execFileSync('mount', ['--bind', `${disk.place}/instance`, instance]);
    await app.make('up');
    await app.write(3);
  });

  afterAll(async () => {
    if (app !== undefined) {
      execFileSync('umount', ['--lazy', app.facts.instance]);
      await app.destroy();
    }
    // The layers are other users'.
    await as(host, ['podman', 'unshare', 'rm', '-rf', path.join(work, 'run'), path.join(work, 'disk/storage')]);
    disk?.remove();
    rmSync(work, { recursive: true });
  });

  /** A release whose image is built or pulled, and has so many bytes more than the base. */
  async function release(tag: string, image: 'built' | 'pulled', bytes: number): Promise<void> {
    const registry = image === 'built' ? 'localhost' : testHost('CARETAKER_TEST_REGISTRY');
    const name = `${registry}/${app.facts.project}:${tag}`;
    succeeded(await as(host, ['sh', '-ec', RELEASE, 'sh', app.facts.origin, tag, name, image, String(bytes)]));
  }

  test.each(['pulled', 'built'] as const)('while images are %s', async (image) => {
    const tag = image === 'pulled' ? 'v1.1.0' : 'v1.2.0';
    await release(tag, image, 200 * MB);
    const [before, containers] = [await stateOf(app), await app.containers()];
    disk.fill(100 * MB);
    try {
      const { report } = await app.caretaker('update');
      expect([report.outcome, report.error?.code]).toEqual(['rolled-back', 'disk-full']);
      expect(report.error?.message).toMatch(
        new RegExp(`run now take ${size}: no space left: ${size} of ${size} are free on ${disk.place}$`),
      );
      expect(await stateOf(app)).toEqual(before);
      expect(await app.containers()).toEqual(containers);
    } finally {
      disk.makeRoom();
    }
    expect(await app.leftovers()).toEqual([]);

    await app.succeeds('update');
    expect((await app.get('/version')).body).toContain(tag);
    expect(await app.leftovers()).toEqual([]);
  });

  test.each(['check out', 'stop writers', 'switch'])(
    'when others fill it and an update has begun to "%s"',
    async (step) => {
      const tag = `v1.2.${['check out', 'stop writers', 'switch'].indexOf(step) + 1}`;
      await app.make('release', tag);
      const flags = healthyOnlyAs(app, /v[\d.]+/.exec((await app.get('/version')).body)?.[0] ?? '');
      const before = await stateOf(app);
      try {
        const { report } = await at(
          () => journaled(app, step),
          () => disk.fill(),
          update(app, ...flags),
        );
        expect([report.outcome, report.error?.code]).toEqual([
          'rolled-back',
          expect.stringMatching(/^(disk-full|unhealthy)$/),
        ]);
        if (report.error?.code === 'disk-full') expect(report.error?.message).toMatch(/are free on \//);
        expect(await stateOf(app)).toEqual(before);
      } finally {
        disk.makeRoom();
      }
      expect(await app.leftovers()).toEqual([]);

      expect((await update(app, '--ref', tag)).report.outcome).toBe('done');
      expect((await app.get('/version')).body).toContain(tag);
      expect(await app.leftovers()).toEqual([]);
    },
  );
});

/** ORIGIN TAG IMAGE built|pulled BYTES */
const RELEASE = `
work=$(mktemp -d); cd "$work"
git clone -q "$1" .
git config user.name upstream; git config user.email upstream@example.org
sed -i "s#^    image: .*#    image: $3#; /^    build: /d; s/RELEASE: .*/RELEASE: $2/" docker-compose.yml
printf 'FROM localhost/caretaker-test/plain:1\\nRUN head -c %s /dev/zero >/large-%s\\n' "$5" "$2" >Containerfile
echo "$2" >app/VERSION
if [ "$4" = built ]; then
  sed -i '/^    image: /a \\    build: .' docker-compose.yml
else
  podman build -q -t "$3" .; podman push -q "$3"; podman rmi -f "$3"
fi
git add -A; git commit -qm "Release $2"; git tag -am "Release $2" "$2"; git push -q origin main "$2"
cd /; rm -rf "$work"`;
