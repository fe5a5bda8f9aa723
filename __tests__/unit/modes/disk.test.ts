import { tmpdir } from 'node:os';
import { describe, expect, test } from '@jest/globals';
import { checkDisk } from '../../../src/modes/capture.ts';
import { roomForImages } from '../../../src/modes/images.ts';
import type { Project } from '../../../src/project/project.ts';
import type { BuildSettings } from '../../../src/settings/settings.ts';
import type { Source } from '../../../src/sources/source.ts';
import { freeBytes } from '../../../src/system/disk.ts';

const data = (bytes: number): Source[] => [{ estimate: () => Promise.resolve(bytes) }] as unknown as Source[];
const what = 'the new images';

describe('the disk', () => {
  test('must have room for backup and images together where they share it, and the numbers are named', async () => {
    const free = await freeBytes(tmpdir());
    const half = Math.round(free * 0.6);
    await expect(checkDisk(data(half), tmpdir())).resolves.toBeUndefined();
    await expect(
      checkDisk(data(1000), tmpdir(), [{ directory: tmpdir(), bytes: half, what }]),
    ).resolves.toBeUndefined();
    const both = checkDisk(data(half), tmpdir(), [{ directory: `${tmpdir()}/not/there/yet`, bytes: half, what }]);
    await expect(both).rejects.toMatchObject({
      code: 'disk-full',
      message: expect.stringMatching(
        /has \d[\d.]* .?B free of the \d[\d.]* .?B that are needed: \d\S* .?B for the data to be copied, before compression, in \S+; \d\S* .?B for the new images, in \S+$/,
      ),
    });
  });

  test('of the engine alone is named where it is another one', async () => {
    await expect(checkDisk(data(0), tmpdir(), [{ directory: '/proc', bytes: 1, what }])).rejects.toMatchObject({
      message: expect.stringMatching(
        /the filesystem of \/proc has 0 B free of the 1 B .* 1 B for the new images, in \/proc$/,
      ),
    });
  });
});

describe('the room for new images', () => {
  const running = (service: string, imageId: string): object => ({ service, imageId, oneOff: false });
  const project = {
    containers: () => Promise.resolve([running('web', 'w'), running('worker', 'w'), running('db', 'd')]),
    engine: {
      runtime: {
        storage: () => Promise.resolve(tmpdir()),
        imageDigests: (id: string) => Promise.resolve(id === 'd' ? ['postgres@sha256:1'] : []),
        imageBytes: (id: string) => Promise.resolve(id === 'd' ? 100 : 30),
      },
      compose: {
        model: () =>
          Promise.resolve({
            services: [
              { name: 'web', build: true },
              { name: 'worker', build: true },
              { name: 'db', build: false },
            ],
          }),
      },
    },
  } as unknown as Project;

  test.each<[BuildSettings, number | undefined]>([
    [{ kind: 'auto' }, 30],
    [{ kind: 'compose' }, 30],
    [{ kind: 'command', command: 'make' }, 30],
    [{ kind: 'pull' }, 100],
    [{ kind: 'none' }, undefined],
  ])('%j: the size of today’s, each once', async (build, bytes) => {
    expect((await roomForImages(project, build))[0]?.bytes).toBe(bytes);
  });
});
