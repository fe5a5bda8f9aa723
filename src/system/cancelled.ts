import { CaretakerError } from '../errors.ts';

/** What is thrown where a run is cancelled: the signal's own reason where that is a coded error, else `cancelled`. */
export function cancelled(signal: AbortSignal): CaretakerError {
  const reason: unknown = signal.reason;
  if (reason instanceof CaretakerError) return reason;
  return new CaretakerError('cancelled', 'the run was cancelled', { cause: reason });
}
