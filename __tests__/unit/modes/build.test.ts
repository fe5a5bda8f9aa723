import { describe, expect, test } from '@jest/globals';
import { migrate, prepareImages, type Building } from '../../../src/modes/build.ts';
import type { Tools } from '../../../src/modes/tools.ts';
import { silentLog } from '../../../src/report/silent.ts';
import type { AuthorCommandOptions } from '../../../src/system/author-command.ts';

/** A project without an engine, whose commands end with this code. */
function toolsOf(exitCode: number): { readonly tools: Tools; readonly ran: Record<string, AuthorCommandOptions> } {
  const ran: Record<string, AuthorCommandOptions> = {};
  const tools = {
    project: { directory: '/srv/shop', engine: null },
    log: silentLog(),
    signal: new AbortController().signal,
    runAuthorCommand: (text: string, options: AuthorCommandOptions) => {
      ran[text] = options;
      return Promise.resolve({ exitCode, tail: 'the last words' });
    },
  } as unknown as Tools;
  return { tools, ran };
}

const building = {
  build: { kind: 'command', command: 'make' },
  cacheImages: false,
  buildTimeoutMs: 5000,
} as Building;

describe('the commands of an update', () => {
  test('have build-timeout; what a migration starts may run on after the job, what a build starts may not', async () => {
    const { tools, ran } = toolsOf(0);
    await prepareImages(tools, building);
    await migrate(tools, building, 'podman-compose run web migrate');
    expect(ran['make']).toMatchObject({ timeoutMs: 5000, cwd: '/srv/shop' });
    expect(ran['make']?.outlivesJob).toBeUndefined();
    expect(ran['podman-compose run web migrate']).toMatchObject({ timeoutMs: 5000, outlivesJob: true });
  });

  test('fail with how they ended and what they said last', async () => {
    const { tools } = toolsOf(137);
    await expect(prepareImages(tools, building)).rejects.toMatchObject({
      code: 'build-failed',
      message: 'the build command ended with code 137 (SIGKILL): make',
      hint: expect.stringContaining('the last words'),
    });
    await expect(migrate(tools, building, 'it')).rejects.toMatchObject({
      code: 'migration-failed',
      message: expect.stringContaining('code 137 (SIGKILL)'),
    });
  });
});
