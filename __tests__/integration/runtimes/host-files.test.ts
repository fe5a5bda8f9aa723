import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { createDocker } from '../../../src/runtimes/docker.ts';
import { HELPER_IMAGE } from '../../../src/runtimes/helper-container.ts';
import { createHostFiles } from '../../../src/runtimes/host-files-ways.ts';
import { createPodman } from '../../../src/runtimes/podman.ts';
import type { Runtime } from '../../../src/runtimes/runtime.ts';
import { nodeProcesses } from '../../../src/system/node-processes.ts';
import { agentForAll, asUser, lookUp, subordinateUid, testHost } from '../as-user.ts';
import { hostFilesContract } from './host-files-contract.ts';

jest.setTimeout(120_000);

const node = testHost('CARETAKER_TEST_NODE24');
const dockerUser = testHost('CARETAKER_TEST_DOCKER_USER');
const rootlessUser = testHost('CARETAKER_TEST_ROOTLESS_USER');
const asDockerUser = asUser(nodeProcesses, dockerUser);
const asRootlessUser = asUser(nodeProcesses, rootlessUser);
const firstSubordinate = await subordinateUid(rootlessUser);
const there = async (runtime: Promise<Runtime | null>): Promise<Runtime> => {
  const found = await runtime;
  if (found === null) throw new Error('the engine does not answer');
  return found;
};

let agent: Awaited<ReturnType<typeof agentForAll>>;
beforeAll(async () => {
  agent = await agentForAll();
});
afterAll(() => agent.remove());

hostFilesContract('host files by root', {
  processes: nodeProcesses,
  way: 'direct',
  runtime: () => there(createPodman(nodeProcesses)),
  create: (runtime) => createHostFiles({ processes: nodeProcesses, runtime, node, agent: agent.agent, root: true }),
  user: { uid: 0, gid: 0 },
  onHost: (id) => id,
});

hostFilesContract('host files by a member of group docker', {
  processes: asDockerUser,
  way: 'helper-container',
  runtime: () => there(createDocker(asDockerUser)),
  create: (runtime) => createHostFiles({ processes: asDockerUser, runtime, node, agent: agent.agent, root: false }),
  user: lookUp(dockerUser),
  onHost: (id) => id,
});

hostFilesContract('host files by a user of rootless Podman', {
  processes: asRootlessUser,
  way: 'podman-unshare',
  runtime: () => there(createPodman(asRootlessUser)),
  create: (runtime) => createHostFiles({ processes: asRootlessUser, runtime, node, agent: agent.agent, root: false }),
  user: lookUp(rootlessUser),
  onHost: (id) => (id === 0 ? lookUp(rootlessUser).uid : firstSubordinate + id - 1),
});

describe('choosing a way', () => {
  test('the helper image is made again when a prune took it', async () => {
    const runtime = await there(createDocker(asDockerUser));
    const files = await createHostFiles({ processes: asDockerUser, runtime, node, agent: agent.agent, root: false });
    await runtime.untag(HELPER_IMAGE);
    expect(await files.exists('/var/lib/docker/volumes')).toBe(true);
    expect(await runtime.imageId(HELPER_IMAGE)).toMatch(/^sha256:/);
  });

  test('says so where no way works', async () => {
    const runtime = await there(createDocker(nodeProcesses));
    await expect(
      createHostFiles({ processes: asRootlessUser, runtime, node, agent: agent.agent, root: false }),
    ).rejects.toMatchObject({ code: 'host-files-denied', hint: expect.stringContaining('docker run') });
  });

  test('a user without an engine reaches his own files, and hears of those that he may not read', async () => {
    const files = await createHostFiles({
      processes: asDockerUser,
      runtime: null,
      node,
      agent: agent.agent,
      root: false,
    });
    expect(files.way).toBe('direct');
    const directory = await mkdtemp('/var/tmp/hf-');
    try {
      await chmod(directory, 0o755);
      await mkdir(path.join(directory, 'data'), { mode: 0o755 });
      await writeFile(path.join(directory, 'data/theirs'), 'x', { mode: 0o600 });
      for (const live of [true, false]) {
        const stream = files.tar(path.join(directory, 'data'), { live });
        stream.stdin.end();
        stream.stdout.resume();
        await expect(stream.done).rejects.toThrow(/theirs: Cannot open: Permission denied/);
      }
    } finally {
      await rm(directory, { recursive: true });
    }
  });

  test('asks for GNU tar where there is another one', async () => {
    const directory = await mkdtemp('/var/tmp/hf-');
    try {
      await symlink('/bin/true', path.join(directory, 'tar'));
      const env = { PATH: `${directory}:${process.env['PATH']}` };
      await expect(
        createHostFiles({
          processes: { ...nodeProcesses, run: (command, options) => nodeProcesses.run({ ...command, env }, options) },
          ...{ runtime: null, node, agent: agent.agent, root: true },
        }),
      ).rejects.toMatchObject({ code: 'tar-missing' });
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
