/** Runs the update, or the recovery, and kills itself (SIGKILL) at point number K. Prints how far it came when it survives. */
import { openJournal } from '../../../src/safety/journal.ts';
import { recover } from '../../../src/safety/recovery.ts';
import { runSaga } from '../../../src/safety/saga.ts';
import { systemClock } from '../../../src/system/system-clock.ts';
import { actions, silent, update, type World } from './saga-actions.ts';

const [directory = '', what = '', kill = '0'] = process.argv.slice(2);
let points = 0;
const world: World = {
  directory,
  point: () => {
    if (points++ === Number(kill)) process.kill(process.pid, 'SIGKILL');
  },
};
const all = actions(world);
if (what === 'recover') {
  await recover(directory, all, silent);
} else {
  const setup = {
    journal: await openJournal(directory),
    undoActions: all.undo,
    forwardActions: all.forward,
    finishActions: all.finish,
    log: silent,
    clock: systemClock,
  };
  await runSaga({ ...setup, run: { run: 'r1', mode: 'update', settings: {} } }, (saga) =>
    update(saga, world, what === 'fail'),
  ).catch(() => undefined);
}
process.stdout.write(`survived ${points}`);
