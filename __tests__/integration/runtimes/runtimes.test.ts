import { chmod, mkdtemp, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, jest, test } from '@jest/globals';
import { detectRuntimes } from '../../../src/runtimes/detect.ts';
import { createDocker } from '../../../src/runtimes/docker.ts';
import { createPodman } from '../../../src/runtimes/podman.ts';
import { nodeProcesses } from '../../../src/system/node-processes.ts';
import type { Processes } from '../../../src/system/processes.ts';
import { asUser, testHost } from '../as-user.ts';
import { runtimeContract } from './runtime-contract.ts';

jest.setTimeout(120_000);

const dockerUser = asUser(nodeProcesses, testHost('CARETAKER_TEST_DOCKER_USER'));
const rootlessUser = asUser(nodeProcesses, testHost('CARETAKER_TEST_ROOTLESS_USER'));

runtimeContract('Docker as root', { processes: nodeProcesses, create: createDocker, rootless: false, pauses: true });
runtimeContract('Docker as a member of group docker', {
  processes: dockerUser,
  create: createDocker,
  rootless: false,
  pauses: true,
});
runtimeContract('Podman as root', { processes: nodeProcesses, create: createPodman, rootless: false, pauses: true });
runtimeContract('rootless Podman', { processes: rootlessUser, create: createPodman, rootless: true, pauses: false });

describe('which engines answer', () => {
  const namesFor = async (processes: Processes): Promise<string[]> =>
    (await detectRuntimes(processes)).map((runtime) => `${runtime.name}${runtime.rootless ? ' rootless' : ''}`);

  /** With this directory of programs first on PATH. */
  const withPath = (directory: string): Processes => ({
    run: (command, options) =>
      nodeProcesses.run({ ...command, env: { ...command.env, PATH: `${directory}:${process.env['PATH']}` } }, options),
    stream: (command, options) => nodeProcesses.stream(command, options),
  });

  test('both for root; none of Docker for a user without the group', async () => {
    expect(await namesFor(nodeProcesses)).toEqual(['docker', 'podman']);
    expect(await namesFor(rootlessUser)).toEqual(['podman rootless']);
  });

  test('Podman’s alias for docker is Podman; a daemon that does not answer is none', async () => {
    const directory = await mkdtemp('/var/tmp/caretaker-rt-');
    try {
      await chmod(directory, 0o755);
      await symlink('/usr/bin/podman', path.join(directory, 'docker'));
      expect(await namesFor(withPath(directory))).toEqual(['podman']);
    } finally {
      await rm(directory, { recursive: true });
    }
    const deaf: Processes = {
      ...nodeProcesses,
      run: (command, options) =>
        nodeProcesses.run({ ...command, env: { ...command.env, DOCKER_HOST: 'unix:///nonexistent.sock' } }, options),
    };
    expect(await namesFor(deaf)).toEqual(['podman']);
  });
});
