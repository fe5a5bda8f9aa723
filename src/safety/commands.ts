import path from 'node:path';
import { CaretakerError, messageOf } from '../errors.ts';
import type { Log } from '../report/log.ts';
import { endCommands, noteCommands } from '../system/live-processes.ts';

/**
 * Under the lock, before anything else: ends the commands of a run that was killed alone, which would go on acting (a migration, an `up`) while all is put back,
 * and notes from now on those of this one. The answer ends that. Throws `command-left` where one can't be ended.
 */
export async function takeOverCommands(stateDirectory: string, log: Log): Promise<() => void> {
  const file = path.join(stateDirectory, 'commands.jsonl');
  const { ended, left } = await endCommands(file);
  if (ended.length > 0) log.warn(`A run that was cut off had left commands running: ended ${ended.join(', ')}`);
  if (left.length > 0) {
    throw new CaretakerError(
      'command-left',
      `a command of a run that was cut off still runs and can't be ended: ${left.join(', ')}`,
      {
        hint: 'End it, as its own user or root, or wait until it has ended. Then run again, as the user who ran what was cut off.',
      },
    );
  }
  return noteCommands(file, (error) => {
    log.warn(`If this run is killed alone, the next one will not know what still runs of it: ${messageOf(error)}`);
  });
}
