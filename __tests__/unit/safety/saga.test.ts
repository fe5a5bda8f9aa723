import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, jest, test } from '@jest/globals';
import { CaretakerError } from '../../../src/errors.ts';
import { openJournal, type Journal, type JournalLine } from '../../../src/safety/journal.ts';
import { recover } from '../../../src/safety/recovery.ts';
import { runSaga, type Saga, type SagaOutcome, type SagaSetup } from '../../../src/safety/saga.ts';
import { systemClock } from '../../../src/system/system-clock.ts';
import { inMemory, temporaryDirectories } from '../system/temporary.ts';
import { actions, before, silent, state, update } from './saga-actions.ts';

jest.setTimeout(180_000);
const temporary = temporaryDirectories(inMemory);
const at = '2026-11-24T10:00:00.000Z';
const OLD = { code: 'old', data: 'old', running: 'old', stored: null };
const NEW = { code: 'new', data: 'new', running: 'new', stored: 'backup' };

async function stage(overrides: Partial<SagaSetup> = {}) {
  const directory = temporary();
  before(directory);
  const world: { directory: string; point: () => void } = { directory, point: () => undefined };
  const outcomes: SagaOutcome[] = [];
  const setup: SagaSetup = {
    journal: await openJournal(directory),
    undoActions: actions(world).undo,
    forwardActions: actions(world).forward,
    finishActions: actions(world).finish,
    log: silent,
    clock: systemClock,
    run: { run: 'r1', mode: 'update', caretaker: '0.9.0', settings: {} },
    onOutcome: (outcome) => outcomes.push(outcome),
    ...overrides,
  };
  return {
    directory,
    world,
    setup,
    outcomes,
    look: () => state(directory),
    run: <T>(work: (saga: Saga) => Promise<T>) => runSaga(setup, work),
  };
}

describe('a saga', () => {
  test('runs to its end, does what follows the commit, and leaves its journal as a record', async () => {
    const { directory, world, outcomes, look, run } = await stage();
    expect(await run((saga) => update(saga, world, false))).toBe('updated');
    expect(look()).toEqual(NEW);
    expect(outcomes).toEqual([{ outcome: 'done' }]);
    expect(readdirSync(directory).filter((name) => name.startsWith('journal'))).toEqual(['journal-r1.jsonl']);
  });

  test('that fails before its commit undoes all in reverse and throws what went wrong', async () => {
    const { look, world, outcomes, run, setup } = await stage();
    await expect(run((saga) => update(saga, world, true))).rejects.toThrow('not healthy');
    expect(look()).toEqual(OLD);
    expect(outcomes).toEqual([
      { outcome: 'rolled-back', undone: ['running to new', 'data to new', 'running to null', 'code to new'] },
    ]);
    expect(await setup.journal.unfinished()).toBeNull();
  });

  test('that only tried goes back and ends well; what fails in going back is told, and done by the next run', async () => {
    const { look, world, outcomes, run, setup } = await stage();
    const { undo } = actions(world);
    const tried = run(async (saga) => {
      await saga.step('code', { undo: { action: 'code', data: 'old' } }, async () => undo['code']?.('new'));
      await saga.goBack();
      expect(look()).toEqual(OLD);
      return 'tried';
    });
    await expect(tried).resolves.toBe('tried');
    expect(outcomes).toEqual([{ outcome: 'done' }]);
    expect(await setup.journal.unfinished()).toBeNull();

    const stuck = await stage({ undoActions: { code: () => Promise.reject(new Error('read-only')) } });
    const failing = stuck.run(async (saga) => {
      await saga.step('code', { undo: { action: 'code', data: 'old' } }, async () =>
        actions(stuck.world).undo['code']?.('new'),
      );
      await saga.goBack();
    });
    await expect(failing).rejects.toMatchObject({ code: 'rollback-failed' });
    expect([stuck.outcomes, stuck.look().code]).toEqual([[{ outcome: 'unfinished' }], 'new']);
    await recover(stuck.directory, actions(stuck.world), silent);
    expect(stuck.look()).toEqual(OLD);
  });

  test('undoes the step that fails half way, too', async () => {
    const { look, world, run } = await stage();
    const failing = run(async (saga) => {
      await saga.step('data', { undo: { action: 'data', data: 'old' } }, async () => {
        await actions(world).undo['data']?.('half');
        throw new Error('disk died');
      });
    });
    await expect(failing).rejects.toThrow('disk died');
    expect(look()).toEqual(OLD);
  });

  test('the journal knows the step and its undo before the step acts', async () => {
    const { directory, run } = await stage();
    await run((saga) =>
      saga.step('data', { undo: { action: 'data', data: 'old' } }, async () => {
        const lines = readFileSync(path.join(directory, 'journal.jsonl'), 'utf8').trim().split('\n');
        expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({
          type: 'step',
          name: 'data',
          undo: { action: 'data', data: 'old' },
        });
        return Promise.resolve();
      }),
    );
  });

  test('an undo that fails for a moment is done once more', async () => {
    const { look, world, setup, outcomes } = await stage();
    let failures = 1;
    const undoActions = {
      ...setup.undoActions,
      data: (data: unknown) =>
        failures-- > 0
          ? Promise.reject(new Error('engine busy'))
          : (setup.undoActions['data']?.(data) ?? Promise.resolve()),
    };
    await expect(runSaga({ ...setup, undoActions }, (saga) => update(saga, world, true))).rejects.toThrow(
      'not healthy',
    );
    expect(look()).toEqual(OLD);
    expect(outcomes).toMatchObject([{ outcome: 'rolled-back' }]);
  });

  test('an undo that fails stops the rest, says what is left, keeps the first error, and the next run does it', async () => {
    const { directory, look, world, setup } = await stage();
    let broken = true;
    const undoActions = {
      ...setup.undoActions,
      data: (data: unknown) =>
        broken ? Promise.reject(new Error('still mounted')) : (setup.undoActions['data']?.(data) ?? Promise.resolve()),
    };
    const error = await runSaga({ ...setup, undoActions }, (saga) => update(saga, world, true)).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(CaretakerError);
    expect(error).toMatchObject({
      code: 'rollback-failed',
      message: expect.stringMatching(
        /undo "data to new": still mounted.*not healthy.*"data to new" by data "old"; "running to null" by running "old"; "code to new" by code "old"/,
      ),
      cause: { errors: [{ message: 'not healthy' }, { message: 'still mounted' }] },
    });
    expect(look()).toEqual({ ...OLD, code: 'new', data: 'new', running: null });
    await expect(recover(directory, { undo: undoActions, forward: {}, finish: {} }, silent)).rejects.toMatchObject({
      code: 'rollback-failed',
    });
    broken = false;
    expect(await recover(directory, { undo: undoActions, forward: {}, finish: {} }, silent)).toEqual({
      run: 'r1',
      mode: 'update',
      outcome: 'rolled-back',
      undone: ['data to new', 'running to null', 'code to new'],
    });
    expect(look()).toEqual(OLD);
    expect(await recover(directory, { undo: undoActions, forward: {}, finish: {} }, silent)).toBeNull();
  });

  test('what fails after the commit undoes nothing, is told, and is done by the next run', async () => {
    const { directory, look, world, setup, outcomes } = await stage();
    const forwardActions = {
      store: () => Promise.reject(new CaretakerError('store-failed', 'no network', { hint: 'Look at the network.' })),
    };
    await expect(runSaga({ ...setup, forwardActions }, (saga) => update(saga, world, false))).rejects.toMatchObject({
      code: 'cleanup-failed',
      message: expect.stringMatching(/update is in place.*"store".*no network \(store-failed\)/),
      hint: expect.stringContaining('Look at the network.'),
    });
    expect(look()).toEqual({ ...NEW, stored: null });
    expect(outcomes).toEqual([{ outcome: 'unfinished' }]);
    expect(await recover(directory, actions(world), silent)).toMatchObject({
      outcome: 'completed',
    });
    expect(look()).toEqual(NEW);
  });

  test('cancelled in a step: the step ends first, then all is undone', async () => {
    const controller = new AbortController();
    const { look, outcomes, run } = await stage({ signal: controller.signal });
    const events: string[] = [];
    const running = run(async (saga) => {
      await saga.step('data', { undo: { action: 'data', data: 'old' } }, async () => {
        controller.abort();
        await systemClock.sleep(20);
        events.push('step ended');
      });
      events.push('went on');
    });
    await expect(running).rejects.toMatchObject({ code: 'cancelled' });
    expect(events).toEqual(['step ended']);
    expect(outcomes).toEqual([{ outcome: 'rolled-back', undone: ['data'] }]);
    expect(look()).toEqual(OLD);
  });

  test('without a step leaves no journal; with none that needs an undo it just failed', async () => {
    const { directory, outcomes, run } = await stage();
    expect(await run(() => Promise.resolve('nothing new'))).toBe('nothing new');
    expect(readdirSync(directory).some((name) => name.startsWith('journal'))).toBe(false);
    await expect(
      run((saga) => saga.step('look', { undo: null }, () => Promise.reject(new Error('no')))),
    ).rejects.toThrow('no');
    expect(outcomes).toEqual([{ outcome: 'done' }, { outcome: 'failed' }]);
  });

  test.each<[string, readonly JournalLine[]]>([
    [
      'undo action',
      [
        { type: 'step', index: 0, name: 'freeze', at, undo: { action: 'thaw', data: null } },
        { type: 'step', index: 1, name: 'data', at, undo: { action: 'data', data: 'old' } },
      ],
    ],
    [
      'forward action',
      [
        {
          ...{ type: 'commit', at },
          forward: [
            { action: 'store', data: 'backup' },
            { action: 'thaw', data: null },
          ],
        },
      ],
    ],
    [
      'undo behind what it had prepared',
      [
        { type: 'step', index: 0, name: 'freeze', at, undo: { action: 'thaw', data: null } },
        {
          type: 'prepared',
          at,
          finish: { action: 'run', data: false },
          forward: [{ action: 'store', data: 'backup' }],
        },
      ],
    ],
    [
      'way of bringing up what it had prepared',
      [{ type: 'prepared', at, finish: { action: 'thaw', data: false }, forward: [] }],
    ],
    [
      'forward action behind what it had prepared',
      [{ type: 'prepared', at, finish: { action: 'run', data: false }, forward: [{ action: 'thaw', data: null }] }],
    ],
  ])('of a version that had another %s is left whole to that version', async (_, lines) => {
    const { directory, setup, world } = await stage();
    const begin = { type: 'begin', run: 'r9', mode: 'update', caretaker: '9.1.0', at, pid: 1, bootId: 'b', settings: {} } as const; // prettier-ignore
    for (const line of [begin, ...lines]) await setup.journal.append(line);
    world.point = () => {
      throw new Error('nothing is to be touched');
    };
    const text = readFileSync(setup.journal.file, 'utf8');
    await expect(recover(directory, actions(world), silent)).rejects.toMatchObject({
      code: 'journal-newer',
      message: expect.stringContaining('the action "thaw"'),
      hint: expect.stringContaining('Let version 9.1.0 or a newer one run once'),
    });
    expect(readFileSync(setup.journal.file, 'utf8')).toBe(text);
  });

  test('an undo that nobody could do later is refused before the step acts', async () => {
    const { run } = await stage();
    let acted = false;
    const work = () => Promise.resolve(void (acted = true));
    await expect(
      run((saga) => saga.step('x', { undo: { action: 'unheard-of', data: 1 } }, work)),
    ).rejects.toMatchObject({ code: 'unknown-action' });
    expect(acted).toBe(false);
  });

  test('a full disk does not stop the rollback', async () => {
    const full = (journal: Journal): Journal => ({
      ...journal,
      append: (line) =>
        line.type === 'undone'
          ? Promise.reject(new CaretakerError('disk-full', 'failed to append: no space left'))
          : journal.append(line),
    });
    const { look, world, setup, outcomes } = await stage();
    await expect(
      runSaga({ ...setup, journal: full(setup.journal) }, (saga) => update(saga, world, true)),
    ).rejects.toThrow('not healthy');
    expect(look()).toEqual(OLD);
    expect(outcomes).toMatchObject([{ outcome: 'rolled-back' }]);
  });
});

describe('what a run has prepared', () => {
  /** A run that was killed when it was bringing up the new version. */
  async function killed() {
    const one = await stage();
    const { journal, run } = one.setup;
    const begin = { ...run, at: '', pid: 1, bootId: '' };
    for (const [index, name, data] of [
      [0, 'code', 'old'],
      [1, 'data', 'old'],
      [2, 'running', null],
    ] as const) {
      if (index === 0) await journal.append({ type: 'begin', ...begin });
      await journal.append({ type: 'step', index, name, at: '', undo: { action: name, data } });
      await actions(one.world).undo[name]?.(name === 'running' ? null : 'new');
    }
    return one;
  }
  const prepared = (ill: boolean) =>
    ({ type: 'prepared', at: '', finish: { action: 'run', data: ill }, forward: [{ action: 'store', data: 'backup' }] }) as const; // prettier-ignore

  test('is brought up and kept where it is well: users may have written to it', async () => {
    const { directory, setup, world, look } = await killed();
    await setup.journal.append(prepared(false));
    expect(await recover(directory, actions(world), silent)).toMatchObject({ outcome: 'completed', undone: [] });
    expect(look()).toEqual(NEW);
  });

  test('is undone where it is not, and looked at no second time when that is interrupted', async () => {
    const { directory, setup, world, look } = await killed();
    await setup.journal.append(prepared(true));
    const stuck = { ...actions(world).undo, data: () => Promise.reject(new Error('read-only')) };
    await expect(recover(directory, { ...actions(world), undo: stuck }, silent)).rejects.toMatchObject({ code: 'rollback-failed' }); // prettier-ignore
    const finish = { run: () => Promise.reject(new Error('nobody asks')) };
    expect(await recover(directory, { ...actions(world), finish }, silent)).toMatchObject({ outcome: 'rolled-back' });
    expect(look()).toEqual({ ...OLD, running: null });
  });

  test('stays as it is where nobody can tell', async () => {
    const { directory, setup, world, look } = await killed();
    await setup.journal.append(prepared(false));
    const finish = { run: () => Promise.reject(new CaretakerError('cancelled', 'the run was cancelled')) };
    await expect(recover(directory, { ...actions(world), finish }, silent)).rejects.toMatchObject({
      code: 'cancelled',
    });
    expect(look()).toMatchObject({ code: 'new', data: 'new' });
    expect(await recover(directory, actions(world), silent)).toMatchObject({ outcome: 'completed' });
  });

  test('is withdrawn before anything is undone, also on a full disk', async () => {
    const { directory, setup, world, look } = await stage();
    const seen: boolean[] = [];
    const undoActions = {
      ...setup.undoActions,
      data: async (data: unknown) => {
        seen.push((await setup.journal.unfinished())?.prepared === null);
        return actions(world).undo['data']?.(data);
      },
    };
    await expect(runSaga({ ...setup, undoActions }, (saga) => update(saga, world, true))).rejects.toThrow(
      'not healthy',
    );
    expect(seen).toEqual([true]);
    expect(look()).toEqual(OLD);
    expect(readFileSync(path.join(directory, 'journal-r1.jsonl'), 'utf8')).toContain('"type":"withdrawn"');
  });
});

describe.each(['succeed', 'fail'])('killed by SIGKILL in an update that would %s', (how) => {
  const child = (directory: string, what: string, kill: number) => {
    const { stdout, stderr, signal } = spawnSync(
      process.execPath,
      [path.resolve('__tests__/unit/safety/saga-child.ts'), directory, what, String(kill)],
      {
        encoding: 'utf8',
      },
    );
    expect(stderr).toBe('');
    return { killed: signal === 'SIGKILL', stdout };
  };

  test('wherever it was, and wherever the recovery is killed in turn, another process brings the application back or forward', async () => {
    let points = 0;
    for (let kill = 0, killed = true; killed; kill++) {
      const directory = temporary();
      before(directory);
      ({ killed } = child(directory, how, kill));
      // A recovery that is killed as well, at another point each time.
      if (killed) child(directory, 'recover', kill % 5);
      const world: { directory: string; point: () => void } = { directory, point: () => undefined };
      await recover(directory, actions(world), silent);
      const now = state(directory);
      const journal = readFileSync(path.join(directory, 'journal-r1.jsonl'), 'utf8');
      const kept = how === 'succeed' && journal.includes('"type":"prepared"');
      expect({ kill, now }).toEqual({ kill, now: kept ? NEW : OLD });
      expect(await recover(directory, actions(world), silent)).toBeNull();
      points++;
    }
    expect(points).toBeGreaterThan(10);
  });
});
