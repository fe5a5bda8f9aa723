import { describe, expect, test } from '@jest/globals';
import { finishComingUp, startUp } from '../../../src/modes/bring-up.ts';
import { CaretakerError } from '../../../src/errors.ts';
import { bringBack, type ServeAgain } from '../../../src/modes/serving.ts';
import { removeServices, startAfter } from '../../../src/modes/switch-over.ts';
import type { Tools } from '../../../src/modes/tools.ts';
import { silentLog } from '../../../src/report/silent.ts';
import { bootId } from '../../../src/system/identity.ts';
import { systemClock } from '../../../src/system/system-clock.ts';

const patience = { healthTimeoutMs: 0, settleMs: 0 };

/** An application without an engine; `did` has what was done to it. */
function toolsOf({ running, healthy }: { running: boolean; healthy: boolean }): {
  tools: Tools;
  did: string[];
  warnings: string[];
} {
  const [did, warnings]: [string[], string[]] = [[], []];
  const note = (what: string) => () => {
    did.push(what);
    return Promise.resolve();
  };
  const tools = {
    project: {
      engine: null,
      running: () => Promise.resolve(running),
      start: note('start'),
      stop: note('stop'),
      containers: () => Promise.resolve([]),
      lastWords: () => Promise.resolve([]),
    },
    probes: [{ name: 'page', check: () => Promise.resolve({ ok: healthy, detail: healthy ? '200' : '500' }) }],
    recorder: {
      step: (_title: string, work: () => Promise<unknown>) => work(),
      warn: (line: string) => warnings.push(line),
      serving: () => undefined,
    },
    log: silentLog(),
    clock: systemClock,
    signal: new AbortController().signal,
  };
  return { tools: tools as unknown as Tools, did, warnings };
}

const served = (more: Partial<ServeAgain> = {}): ServeAgain => ({
  ...{ services: ['shop'], by: 'up', known: [], boot: bootId() },
  ...more,
});

test('what still runs is left alone', async () => {
  const { tools, did } = toolsOf({ running: true, healthy: true });
  await bringBack(tools, patience, served());
  expect(did).toEqual([]);
});

test('what the host has started since, perhaps on other code, is started anew', async () => {
  const { tools, did } = toolsOf({ running: true, healthy: true });
  await bringBack(tools, patience, served({ boot: 'another' }));
  expect(did).toEqual(['stop', 'start']);
});

test('under an engine too: a container that runs since a reboot may have read code that is gone', async () => {
  for (const [boot, expected] of [
    [bootId(), []],
    ['another', ['stop shop', 'up shop']],
  ] as const) {
    const { tools, did } = toolsOf({ running: true, healthy: true });
    let state = 'running';
    Object.assign(tools.project, {
      engine: { runtime: { stop: () => Promise.resolve(), remove: () => Promise.resolve() } },
      containers: () => Promise.resolve([{ id: 'c1', service: 'shop', state }]),
      services: () => Promise.resolve(['shop']),
      stop: (services: readonly string[]) => {
        state = 'exited';
        did.push(`stop ${services.join(' ')}`);
        return Promise.resolve([]);
      },
      up: (services: readonly string[]) => Promise.resolve(did.push(`up ${services.join(' ')}`)),
    });
    await bringBack(tools, patience, served({ known: ['shop'], running: ['c1'], boot }));
    expect([boot, did]).toEqual([boot, expected]);
  }
});

test('what was healthy must be so again', async () => {
  const { tools } = toolsOf({ running: false, healthy: false });
  await expect(bringBack(tools, patience, served())).rejects.toEqual(expect.objectContaining({ code: 'unhealthy' }));
});

test('what was ill is started, and warned of', async () => {
  const { tools, did, warnings } = toolsOf({ running: false, healthy: false });
  await bringBack(tools, patience, served({ ill: true }));
  expect([did, warnings]).toEqual([['start'], [expect.stringContaining('not healthy before this run either')]]);
});

describe('what a killed run had prepared', () => {
  const prepared = { by: 'start', services: ['shop'], ...patience } as const;
  const noEngine = new CaretakerError('engine-failed', 'the engine does not answer');

  /** Its start fails so many times, and the engine with it so many. */
  function failing(starts: number, looks: number): { tools: Tools; did: string[] } {
    const { tools, did } = toolsOf({ running: false, healthy: true });
    let looked = 0;
    Object.assign(tools.project, {
      start: () => {
        did.push('start');
        return did.length > starts ? Promise.resolve() : Promise.reject(new CaretakerError('compose-failed', 'no'));
      },
      // First it is asked which services there are, before each start.
      containers: () => (looks > 0 && ++looked > 2 ? Promise.reject(noEngine) : Promise.resolve([])),
    });
    return { tools, did };
  }

  test('is tried once more where it does not come up', async () => {
    const { tools, did } = failing(1, 0);
    expect([await finishComingUp(tools, prepared), did]).toEqual([null, ['start', 'start']]);
  });

  test('is given up where it fails twice, and the engine answers', async () => {
    const { tools, did } = failing(9, 0);
    expect([await finishComingUp(tools, prepared), did]).toEqual(['no', ['start', 'start']]);
  });

  test('is left to the next run where the engine does not answer', async () => {
    const { tools } = failing(9, 1);
    await expect(finishComingUp(tools, prepared)).rejects.toBe(noEngine);
  });
});

describe('with an engine', () => {
  interface There {
    readonly id: string;
    readonly service: string;
    readonly state?: string;
    readonly volume?: string;
  }

  /** `defined`: what the compose file has. `started`: whether what it does not have can be started. */
  function stack(there: readonly There[], defined: readonly string[], started = true): ReturnType<typeof toolsOf> {
    const { tools, did, warnings } = toolsOf({ running: true, healthy: true });
    const noted =
      (what: string) =>
      (names: readonly string[] = []) => {
        if (what.startsWith('rm') || what.startsWith('halt') ? names.length > 0 : true)
          did.push(`${what} ${names.join(' ')}`.trim());
        return Promise.resolve();
      };
    Object.assign(tools.project, {
      name: 'shop',
      services: () => Promise.resolve(defined),
      containers: () =>
        Promise.resolve(
          there.map(({ id, service, state = 'running', volume }) => ({
            ...{ id, service, state, name: `shop-${id}`, oneOff: false },
            mounts: volume === undefined ? [] : [{ volume, source: `/volumes/${service}`, target: '/cache' }],
          })),
        ),
      files: { scan: (path: string) => Promise.resolve({ files: path.includes('empty') ? 0 : 1 }) },
      engine: { runtime: { stop: noted('halt'), remove: noted('rm') } },
      up: noted('up'),
      stop: noted('stop'),
      start: started
        ? noted('start')
        : () => Promise.reject(new CaretakerError('compose-failed', 'its network is gone')),
    });
    return { tools, did, warnings };
  }

  const all: readonly There[] = [
    { id: '1', service: 'web' },
    { id: '2', service: 'leftover', state: 'stopped' },
    { id: '3', service: 'postgres' },
  ];
  const before = served({ services: ['web', 'leftover'], known: ['web', 'leftover'], running: ['1', 'gone'] });

  test('what no compose file has is started as it is, and what a failed version added goes when the old one is up', async () => {
    const { tools, did, warnings } = stack(all, ['web']);
    await bringBack(tools, patience, before);
    expect([did, warnings]).toEqual([['halt 3', 'up web', 'start leftover', 'rm 3'], []]);
  });

  test('what no compose file has does not keep the application from serving again', async () => {
    const { tools, did, warnings } = stack(all, ['web'], false);
    await bringBack(tools, patience, before);
    expect([did, warnings]).toEqual([
      ['halt 3', 'up web', 'rm 3'],
      [expect.stringMatching(/^leftover, .*its network is gone/)],
    ]);
  });

  test('where all still runs, only what was added goes', async () => {
    const { tools, did } = stack(all, ['web']);
    await bringBack(tools, patience, { ...before, running: ['1'] });
    expect(did).toEqual(['halt 3', 'rm 3']);
  });

  test('where nothing ran, the containers of the version that failed go, and those from before stay', async () => {
    const down = { ...before, services: [] };
    const { tools, did } = stack(all, ['web']);
    await bringBack(tools, patience, { ...down, existing: ['2', 'gone'] });
    expect(did).toEqual(['halt 1 3', 'rm 1 3']);
    const older = stack(all, ['web']);
    await bringBack(older.tools, patience, down);
    expect(older.did).toEqual([]);
  });

  test('a version comes up when what it has no more is stopped, and that goes when it is kept', async () => {
    const { tools, did, warnings } = stack(
      [
        ...all,
        { id: '4', service: 'database' },
        { id: '5', service: 'cache', volume: 'ab'.repeat(32) },
        { id: '6', service: 'empty', volume: 'cd'.repeat(32) },
      ],
      ['web', 'postgres'],
    );
    const { start, forward } = await startAfter(tools, {
      serving: ['web', 'database', 'cache', 'leftover'],
      defined: ['web', 'database', 'cache', 'empty', 'never'],
    });
    expect([start, forward]).toEqual([
      { by: 'up', dropped: ['database', 'cache', 'empty'], others: ['leftover'] },
      [{ action: 'remove-services', data: { services: ['database', 'cache', 'empty'] } }],
    ]);
    await startUp(tools, start);
    expect(did.splice(0)).toEqual(['stop database cache empty', 'up', 'start leftover']);
    await removeServices(tools, { services: ['database', 'cache', 'empty', 'web'] });
    expect([did, warnings]).toEqual([
      ['halt 4 6', 'rm 4 6'],
      [expect.stringMatching(/^shop-5 is stopped and kept.*\/cache/)],
    ]);
  });

  test('a version with the same services comes up as its compose file says', async () => {
    const { tools } = stack(all, ['web', 'postgres']);
    expect(await startAfter(tools, { serving: ['web'], defined: ['web'] })).toEqual({
      start: { by: 'up' },
      forward: [],
    });
  });
});
