import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, jest, test } from '@jest/globals';
import { CaretakerError } from '../../../src/errors.ts';
import { openJournal, type Journal } from '../../../src/safety/journal.ts';
import { recover } from '../../../src/safety/recovery.ts';
import { runSaga, type Saga, type SagaOutcome, type SagaSetup } from '../../../src/safety/saga.ts';
import { systemClock } from '../../../src/system/system-clock.ts';
import { inMemory, temporaryDirectories } from '../system/temporary.ts';
import { actions, before, silent, state, update } from './saga-actions.ts';

jest.setTimeout(180_000);
const temporary = temporaryDirectories(inMemory);
const OLD = { code: 'old', data: 'old', running: 'old', stored: null };
const NEW = { code: 'new', data: 'new', running: 'new', stored: 'backup' };

async function stage(overrides: Partial<SagaSetup> = {}) {
  const directory = temporary();
  before(directory);
  const world = { directory, point: () => undefined };
  const outcomes: SagaOutcome[] = [];
  const setup: SagaSetup = {
    journal: await openJournal(directory),
    undoActions: actions(world).undo,
    forwardActions: actions(world).forward,
    log: silent,
    clock: systemClock,
    run: { run: 'r1', mode: 'update', settings: {} },
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
    const { undo: undoActions, forward: forwardActions } = actions(stuck.world);
    await recover(stuck.directory, { undo: undoActions, forward: forwardActions }, silent);
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
    await expect(recover(directory, { undo: undoActions, forward: {} }, silent)).rejects.toMatchObject({
      code: 'rollback-failed',
    });
    broken = false;
    expect(await recover(directory, { undo: undoActions, forward: {} }, silent)).toEqual({
      run: 'r1',
      mode: 'update',
      outcome: 'rolled-back',
      undone: ['data to new', 'running to null', 'code to new'],
    });
    expect(look()).toEqual(OLD);
    expect(await recover(directory, { undo: undoActions, forward: {} }, silent)).toBeNull();
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
    expect(await recover(directory, { undo: setup.undoActions, forward: setup.forwardActions }, silent)).toMatchObject({
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
      const world = { directory, point: () => undefined };
      await recover(directory, actions(world), silent);
      const now = state(directory);
      const committed = readFileSync(path.join(directory, 'journal-r1.jsonl'), 'utf8').includes('"type":"commit"');
      expect({ kill, now }).toEqual({ kill, now: committed ? NEW : OLD });
      expect(await recover(directory, actions(world), silent)).toBeNull();
      points++;
    }
    expect(points).toBeGreaterThan(10);
  });
});
