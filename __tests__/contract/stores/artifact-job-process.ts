/** The child of `artifact-job.ts`. */
import { CaretakerError, messageOf } from '../../../src/errors.ts';
import { createArtifactStore } from '../../../src/stores/artifact.ts';
import { systemClock } from '../../../src/system/system-clock.ts';
import type { Begin, Call, Reply } from './artifact-job.ts';
import { silentLog } from './silent-log.ts';

const { log, lines, masked } = silentLog();
function reply(message: Reply): void {
  process.send!(message);
}

process.once('message', (begin) => {
  const { options, patient } = begin as Begin;
  const store = createArtifactStore({
    ...options,
    log: { ...log, info: (line) => (log.info(line), reply({ line })) },
    clock: patient ? systemClock : { ...systemClock, sleep: () => Promise.resolve() },
  });
  reply({ name: store.name });
  process.on('message', (message) => {
    const { id, method, args } = message as Call;
    const call = (store[method] as (...all: readonly unknown[]) => Promise<unknown>).bind(store);
    call(...args).then(
      (value) => reply({ id, value, lines, masked }),
      (error: unknown) => {
        if (!(error instanceof CaretakerError)) throw error;
        const { code, message, hint, input, cause } = error;
        reply({
          id,
          error: { code, message, hint, input, cause: cause === undefined ? undefined : messageOf(cause) },
          lines,
          masked,
        });
      },
    );
  });
});
