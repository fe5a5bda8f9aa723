import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { Deployment, docker, rootless } from '../modes/harness.ts';

/* What runs start: it must not outlive a cancel, and the application must outlive the job. */

jest.setTimeout(300_000);

/** Who carries a job's tracking id, which the runner ends with the job: number and command line. */
function tracked(id: string): Map<number, string> {
  const found = new Map<number, string>();
  for (const pid of readdirSync('/proc').map(Number).filter(Number.isInteger)) {
    try {
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
      if (environment.includes(`RUNNER_TRACKING_ID=${id}`))
        found.set(pid, readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' '));
    } catch {
      continue; // It has ended.
    }
  }
  return found;
}

/** As GitHub's runner does it after a job. */
function endJob(id: string): void {
  for (const pid of tracked(id).keys()) process.kill(pid, 'SIGKILL');
}

/** One that a job has started and forgot. */
function startTracked(id: string): number {
  const child = spawn('sleep', ['100'], { env: { ...process.env, RUNNER_TRACKING_ID: id }, stdio: 'ignore' });
  child.unref();
  return child.pid ?? 0;
}

/** The process of the run that holds the lock. */
function holderOf(app: Deployment): number {
  return (JSON.parse(readFileSync(path.join(app.state, 'lock'), 'utf8')) as { holder: { pid: number } }).holder.pid;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe.each([
  ['Docker as root', () => docker('root')],
  ['rootless Podman with podman-compose 1.6.0', () => rootless('1.6.0')],
  ['rootless Podman with podman-compose 1.0.3', () => rootless('1.0.3')],
] as const)('%s', (_name, hostOf) => {
  let app: Deployment;
  let job = 0;
  let id: string;
  const compose = (): string => (app.host.engine === 'docker' ? 'docker compose' : 'podman-compose');

  beforeAll(async () => {
    app = await Deployment.create(hostOf(), 'tiny');
    await app.write(3);
  });
  afterAll(() => app?.destroy());

  const newJob = (): void => {
    id = `github_${path.basename(app.directory)}_${app.facts.project}_${++job}`;
    app.environment = [`RUNNER_TRACKING_ID=${id}`];
  };

  test('after an update, a restore and a restart nothing of the application carries the tracking id, and it serves when the job is over', async () => {
    newJob();
    const forgotten = startTracked(id);
    await app.make('release', 'v1.1.0');
    // A migration that brings up the very containers that are to stay.
    await app.succeeds('update', '--migrate-command', `${compose()} up -d`);
    expect([...tracked(id).keys()]).toEqual([forgotten]);
    endJob(id);
    await pause(1000);
    expect(existsSync(`/proc/${forgotten}/cmdline`) && tracked(id).size).toBeFalsy();
    expect((await app.get('/health')).status).toBe(200);

    newJob();
    await app.succeeds('backup', '--consistency', 'stopped');
    const dump = await app.dump();
    await app.write(1);
    await app.succeeds('restore', '--backup', 'latest');
    expect([...tracked(id).values()]).toEqual([]);
    endJob(id);
    await pause(1000);
    expect(await app.dump()).toBe(dump);
    expect((await app.get('/version')).body).toContain('v1.1.0');
  });

  test('a cancelled migration that lives on in a container writes nothing to the data that came back', async () => {
    newJob();
    await app.make('release', 'v1.2.0');
    const before = await app.dump();
    const script = [
      'import sqlite3, time',
      'while True:',
      "    with sqlite3.connect('/data/notes.db', timeout=30) as db:",
      "        db.execute('create table if not exists half_migrated (at)')",
      "        db.execute('insert into half_migrated values (1)')",
      "    open('/data/migrating', 'w').close()",
      '    time.sleep(0.05)',
    ].join('\n');
    const migrate = `${compose()} run --rm -T web python3 -c "$MIGRATION"`;
    app.environment = [...app.environment, `MIGRATION=${script}`];
    const run = app.caretaker('update', '--migrate-command', migrate);
    while (!existsSync(path.join(app.facts.instance, 'data/migrating'))) await pause(50);
    process.kill(holderOf(app), 'SIGINT');

    const { report } = await run;
    expect(report).toMatchObject({ outcome: 'rolled-back', error: { code: 'cancelled' } });
    await pause(2000);
    expect(await app.dump()).toBe(before);
    const running = await app.engine('ps', '--format', '{{.Names}}');
    expect(running.stdout.split('\n').filter((name) => name.includes(app.facts.project))).toHaveLength(1);
    expect((await app.get('/version')).body).toContain('v1.1.0');
    expect(await app.leftovers()).toEqual([]);
  });
});
