import { describe, expect, test } from '@jest/globals';
import { createCommandProject } from '../../../src/project/command-project.ts';
import { FakeLog } from '../compose/fakes.ts';
import { FakeFiles } from './fakes.ts';

function projectOf(codes: Record<string, number>, statusCommand: string | undefined = 'is-up') {
  const ran: string[] = [];
  const project = createCommandProject(
    { directory: '/srv/demo', startCommand: 'run-it', stopCommand: 'end-it', statusCommand },
    {
      run: (text, options) => {
        ran.push(options.outlivesJob === true ? `${text} (outlives)` : text);
        return Promise.resolve({ exitCode: codes[text] ?? 0, tail: `words of ${text}` });
      },
      files: new FakeFiles([]).asHostFiles(),
      log: new FakeLog(),
    },
  );
  return { project, ran };
}

describe('a project run by commands', () => {
  test('stops what runs and says so', async () => {
    const { project, ran } = projectOf({});
    expect(project.name).toBe('demo');
    expect(await project.stop()).toEqual(['application']);
    expect(ran).toEqual(['is-up', 'end-it']);
    expect(await project.look()).toEqual({ ok: true, detail: 'status-command: exit code 0' });
  });

  test('does not stop what is down, and is not well then', async () => {
    const { project, ran } = projectOf({ 'is-up': 3 });
    expect(await project.stop()).toEqual([]);
    expect(ran).toEqual(['is-up']);
    expect(await project.look()).toEqual({ ok: false, detail: 'status-command: exit code 3' });
    expect(await project.lastWords(5)).toEqual([{ service: 'application', state: 'stopped', text: 'words of is-up' }]);
  });

  test('starts so that it outlives the job', async () => {
    const { project, ran } = projectOf({});
    await project.start(['something-else']);
    await project.up();
    expect(ran).toEqual(['run-it (outlives)']);
  });

  test('a command that fails or is not there is an error, also for the status', async () => {
    await expect(projectOf({ 'end-it': 1 }).project.stop()).rejects.toMatchObject({
      code: 'author-command-failed',
      input: 'stop-command',
      message: expect.stringMatching(/exit code 1: words of end-it/) as unknown,
    });
    await expect(projectOf({ 'is-up': 127 }).project.running()).rejects.toMatchObject({ input: 'status-command' });
  });

  test('without a status command it counts as running', async () => {
    const ran: string[] = [];
    const project = createCommandProject(
      { directory: '/srv/demo', name: 'shop', startCommand: 'a', stopCommand: 'b' },
      {
        run: (text) => {
          ran.push(text);
          return Promise.resolve({ exitCode: 0, tail: '' });
        },
        files: new FakeFiles([]).asHostFiles(),
        log: new FakeLog(),
      },
    );
    expect(project.name).toBe('shop');
    expect(await project.stop()).toEqual(['application']);
    expect(ran).toEqual(['b']);
  });
});
