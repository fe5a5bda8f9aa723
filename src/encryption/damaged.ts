import { CaretakerError } from '../errors.ts';

export function damaged(why: string, cause?: unknown): CaretakerError {
  return new CaretakerError('decryption-failed', `failed to decrypt the data: ${why}`, {
    hint: 'The file is not what was encrypted. Fetch it again, or take another backup.',
    cause,
  });
}
