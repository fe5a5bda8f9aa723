import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { isTracked, Site, tracked, type JobResult, type Kind } from './harness.ts';

/** Names of the releases that a stack walks through, and what its backups consist of. */
export interface Story {
  readonly first: string;
  /** With a migration. */
  readonly good: string;
  /** A later release that works, and one whose migration destroys data and which never answers; left out where time is short. */
  readonly more?: { readonly patch: readonly [tag: string, kind: string]; readonly bad: string };
  readonly parts: readonly string[];
}

/** The shipped workflows under the real workflow engine, over one deployment, in the order in which its owner meets them. */
export function workflowsOn(kind: Kind, story: Story): void {
  jest.setTimeout(400_000);

  describe(kind.title, () => {
    let site: Site;
    let deployed = story.first;
    const backups: { run: number; name: string; dump: string; ledger: number }[] = [];

    beforeAll(async () => {
      site = await Site.create(kind);
      await site.write(3);
    });
    afterAll(() => site?.remove());

    const succeeded = (job: JobResult): void => {
      if (job.result !== 'success') throw new Error(`the job failed:\n${job.log}`);
    };
    const serves = async (): Promise<void> => {
      expect(await site.version()).toBe(deployed);
      expect(await site.whole()).toMatchObject({ ok: true });
    };
    const leavesNothingTracked = async (): Promise<void> => {
      // The action's own process may take a moment to end when the job has.
      for (let look = 0; look < 50 && (await tracked()).length > 0; look++)
        await new Promise((resolve) => setTimeout(resolve, 100));
      expect(await tracked()).toEqual([]);
    };
    const scheduledBackup = async (): Promise<JobResult> => {
      const [dump, ledger, run] = [await site.dump(), (await site.whole()).counts.ledger, site.nextRun()];
      const job = await site.job('scheduled-backup', { name: 'schedule' }, run);
      succeeded(job);
      backups.push({ run, name: job.outputs['backup'] ?? '', dump, ledger });
      return job;
    };

    test('scheduled-backup stores a whole backup as raw artifacts, and nothing is stopped', async () => {
      const before = await site.containers();
      const job = await scheduledBackup();
      expect(await site.containers()).toEqual(before);

      const { run, name } = backups[0] as (typeof backups)[0];
      const stored = (await site.github.stored()).filter(({ runId }) => runId === run);
      const end = kind.encrypted === true ? 'tar.zst.age' : 'tar.zst';
      const files = [...story.parts.map((part) => `${part}.${end}`), 'RESTORE.md', 'manifest.json'];
      expect(stored.map((artifact) => artifact.name).sort()).toEqual(files.map((file) => `${name}.${file}`).sort());
      for (const { digest, sha256, finalized, mimeType } of stored) {
        expect({ digest, finalized }).toEqual({ digest: `sha256:${sha256}`, finalized: true });
        expect(mimeType).not.toBe('application/zip');
      }
      const manifestOf = stored.find((artifact) => artifact.name.endsWith('.manifest.json'));
      const manifest = JSON.parse(await site.download(manifestOf?.id ?? 0)) as {
        parts: { files: { file: string; sha256: string; bytes: number }[] }[];
      };
      for (const { file, sha256, bytes } of manifest.parts.flatMap((part) => part.files)) {
        expect(
          stored.find((artifact) => artifact.name === file + (kind.encrypted === true ? '.age' : '')),
        ).toMatchObject({ sha256, bytes });
      }

      expect(job.outputs).toMatchObject({ manifest: `${name}.manifest.json`, 'downtime-seconds': '0' });
      expect(job.outputs['artifact-ids']?.split(',').map(Number).sort()).toEqual(stored.map(({ id }) => id).sort());
      const bytes = manifest.parts.flatMap((part) => part.files).reduce((sum, file) => sum + file.bytes, 0);
      expect(job.outputs['bytes']).toBe(String(bytes));
      for (const part of story.parts) expect(job.summary).toMatch(new RegExp(`\\| ${part} \\|.*\\d [kM]?B \\|`));
      expect(job.summary).toContain('workflow artifacts of octo-org/octo-app');
      expect(job.summary).toContain('none: nothing was stopped');
      expect(job.summary).toContain(`--backup ${name} --confirm ${site.project}`);
      expect(job.summary).toContain(`${name}.RESTORE.md`);
      await leavesNothingTracked();
    });

    test('an update whose process is killed before the switch is undone by the post step', async () => {
      await site.make(['release', story.good]);
      await site.write(2);
      const dump = await site.dump();
      const { done } = await site.start('follow-releases', { name: 'schedule' }, site.nextRun());
      const pid = await site.untilStep('stop writers', done);
      // Without this the checks for tracked processes could not fail.
      expect(await isTracked(pid)).toBe(true);
      process.kill(pid, 'SIGKILL');
      const job = await done;
      expect(job.result).toBe('failure');
      expect(job.postSummary).toContain('had been cut off: everything is as it was before it');
      await serves();
      expect(await site.dump()).toBe(dump);
      await leavesNothingTracked();
    });

    test('follow-releases updates to the newest release, and the application outlives the job', async () => {
      await site.write(1);
      const { ledger } = (await site.whole()).counts;
      const job = await site.job('follow-releases', { name: 'schedule' });
      succeeded(job);
      expect(job.outputs).toMatchObject({
        updated: 'true',
        'rolled-back': 'false',
        version: story.good,
        'previous-version': story.first,
      });
      expect(Number(job.outputs['downtime-seconds'])).toBeGreaterThan(0);
      await leavesNothingTracked();
      deployed = story.good;
      await serves();
      expect((await site.whole()).counts.ledger).toBe(ledger);
      await site.write(1);
      const artifacts = (await site.github.stored()).map(({ name }) => name);
      expect(artifacts).toContain(job.outputs['manifest']);
    });

    test('follow-releases does nothing when nothing is new', async () => {
      const before = await site.containers();
      const job = await site.job('follow-releases', { name: 'schedule' });
      succeeded(job);
      expect(job.outputs).toMatchObject({ updated: 'false', version: story.good });
      expect(job.summary).toContain(`is up to date`);
      expect(await site.containers()).toEqual(before);
    });

    const { more } = story;
    if (more !== undefined) {
      test('update-on-release updates to the ref that somebody typed', async () => {
        await site.make(['release', ...more.patch]);
        const [tag] = more.patch;
        const job = await site.job('update-on-release', {
          name: 'workflow_dispatch',
          payload: { inputs: { ref: tag } },
        });
        succeeded(job);
        expect(job.outputs).toMatchObject({ updated: 'true', version: tag, 'previous-version': story.good });
        await leavesNothingTracked();
        deployed = tag;
        await serves();
      });

      test('update-on-release, started by a pushed tag, puts the old version and its data back when the new one fails', async () => {
        await site.make(['release', more.bad]);
        await site.write(2);
        const dump = await site.dump();
        const job = await site.job('update-on-release', { name: 'push', payload: { ref: `refs/tags/${more.bad}` } });
        expect(job.result).toBe('failure');
        expect(job.outputs).toMatchObject({ updated: 'false', 'rolled-back': 'true' });
        expect(job.summary).toContain('was rolled back');
        expect(job.summary).toContain('not healthy after');
        expect(job.summary).toContain('ERROR: migration 0003 left the schema broken');
        await leavesNothingTracked();
        await serves();
        expect(await site.dump()).toBe(dump);
        await site.write(1);
      });
    }

    test('restore refuses a wrong confirmation, and touches nothing', async () => {
      await scheduledBackup();
      await site.write(2);
      const [before, dump, journal] = [await site.containers(), await site.dump(), await site.state('journal.jsonl')];
      const job = await restore(site, { backup: 'latest', confirm: 'yes' });
      expect(job.result).toBe('failure');
      expect(job.summary).toContain('refused: nothing was touched');
      expect(job.summary).toContain('not-confirmed');
      expect(await site.containers()).toEqual(before);
      expect(await site.dump()).toBe(dump);
      expect(await site.state('journal.jsonl')).toBe(journal);
    });

    test('restore brings back the latest backup, which another run made', async () => {
      const { name, dump } = backups.at(-1) as (typeof backups)[0];
      const job = await restore(site, { backup: 'latest', confirm: site.project });
      succeeded(job);
      expect(job.outputs).toMatchObject({ backup: name, 'safety-backup': expect.stringContaining(site.project) });
      await leavesNothingTracked();
      expect(await site.dump()).toBe(dump);
      await site.write(1);
    });

    test('restore brings back a backup by its name', async () => {
      const { name, dump } = backups.at(-1) as (typeof backups)[0];
      succeeded(await restore(site, { backup: name, confirm: site.project }));
      expect(await site.dump()).toBe(dump);
    });

    test('restore brings back a backup by the run that made it, and the application migrates its data', async () => {
      const { run, name, ledger } = backups[0] as (typeof backups)[0];
      const refused = await restore(site, { backup: String(run), confirm: site.project });
      expect(refused.summary).toContain('restore-version');
      const job = await restore(site, { backup: String(run), confirm: site.project, code: 'as-it-is' });
      succeeded(job);
      expect(job.outputs['backup']).toBe(name);
      expect((await site.whole()).counts.ledger).toBe(ledger);
      await serves();
      await site.write(1);
    });

    test('restore brings all of it up on a new machine, from the artifacts and the repository alone', async () => {
      await scheduledBackup();
      const { name, dump } = backups.at(-1) as (typeof backups)[0];
      const kept = await site.secretFiles();
      await site.lose();
      if (kind.encrypted !== true) {
        // Plain artifacts are without them: nothing is touched until they are there.
        const refused = await restore(site, { backup: 'latest', confirm: '' });
        expect(refused.summary).toContain('secrets-missing');
        expect(refused.summary).toContain('it does not hold .env');
        expect(await site.containers()).toEqual([]);
        for (const { file, text } of kept) await site.put(file, text);
      }
      const job = await restore(site, { backup: 'latest', confirm: '' });
      succeeded(job);
      expect(job.outputs['backup']).toBe(name);
      expect(await site.dump()).toBe(dump);
      await serves();
      await site.write(1);
    });

    test('weekly-drill proves the latest backup in a throwaway, and the application is not touched', async () => {
      const before = await site.containers();
      const job = await site.job('weekly-drill', { name: 'schedule' });
      succeeded(job);
      expect(job.outputs).toMatchObject({ backup: backups.at(-1)?.name, proof: 'application' });
      expect(job.summary).toContain('### What was proven of');
      expect(await site.containers()).toEqual(before);
      await leavesNothingTracked();
    });

    test('list finds the backups of all runs, and when the last one was proven', async () => {
      const text = LIST.replace('DIRECTORY', site.instance);
      const job = await (await site.start('list', { name: 'workflow_dispatch' }, site.nextRun(), text)).done;
      succeeded(job);
      const listed = JSON.parse(job.outputs['backups'] ?? '[]') as {
        name: string;
        proven: { level: string; ok: boolean } | null;
      }[];
      const last = listed.find(({ name }) => name === backups.at(-1)?.name);
      expect(last?.proven).toMatchObject({ level: 'application', ok: true });
      for (const { name } of backups) {
        expect(listed.map((one) => one.name)).toContain(name);
        expect(job.summary).toContain(name);
      }
    });

    test('no secret was printed, nor stored in readable form', async () => {
      const printed = site.printed.join('\n');
      expect(printed).toContain(backups[0]?.name);
      for (const { id, name } of await site.github.stored()) {
        if (name.endsWith('.manifest.json') || name.endsWith('.RESTORE.md')) site.printed.push(await site.download(id));
      }
      for (const secret of site.secrets()) {
        expect(site.printed.filter((text) => text.includes(secret))).toEqual([]);
      }
    });
  });
}

async function restore(
  site: Site,
  inputs: { readonly backup: string; readonly confirm: string; readonly code?: string },
): Promise<JobResult> {
  return site.job('restore', {
    name: 'workflow_dispatch',
    payload: { inputs: { only: '', code: 'refuse', ...inputs } },
  });
}

const LIST = `name: List
on: workflow_dispatch
jobs:
  list:
    runs-on: self-hosted
    permissions:
      actions: read
    steps:
      - uses: OWNER/compose-caretaker@${'0'.repeat(40)}
        with:
          mode: list
          project-directory: DIRECTORY
          store: type=artifact
`;
