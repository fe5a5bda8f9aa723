import { stat } from 'node:fs/promises';
import { CaretakerError, messageOf } from '../errors.ts';
import { readSmallOrPipe } from '../system/files.ts';
import { LIMITS } from '../system/limits.ts';
import { NotAFile } from '../system/strangers.ts';

/** Of a compose file or an env file. The largest that people write have some hundred KiB. */
const MOST_BYTES = 4 * 1024 * 1024;

/**
 * The text of a compose file. Throws `compose-file-missing` where it can't be read, and at once `compose-file-invalid` (`isEndless`) for a pipe, a device, and what is too large: a version of the
 * code may bring anything by that name.
 */
export async function readComposeFile(file: string): Promise<string> {
  try {
    const found = await stat(file);
    // A directory holds nobody up.
    if (!found.isFile() && !found.isDirectory()) throw new NotAFile('it is no regular file');
    return (await readSmallOrPipe(file, MOST_BYTES, 0)).toString('utf8');
  } catch (error) {
    if (error instanceof NotAFile) {
      throw new CaretakerError('compose-file-invalid', `failed to read the compose file ${file}: ${error.message}`, {
        hint: 'It must be a regular file of at most 4 MiB.',
        input: 'compose-files',
        cause: error,
      });
    }
    throw new CaretakerError('compose-file-missing', `failed to read the compose file ${file}: ${messageOf(error)}`, {
      hint: 'Check project-directory and compose-files, and that the user who runs this may read the file.',
      input: 'compose-files',
      cause: error,
    });
  }
}

/** The text of an env file, which may be a pipe. Throws `env-file-invalid` (`isEndless`) for what is too large or a pipe that nobody writes into, and what the system says. */
export async function readEnvFile(file: string): Promise<string> {
  try {
    return (await readSmallOrPipe(file, MOST_BYTES, LIMITS.answer)).toString('utf8');
  } catch (error) {
    if (!(error instanceof NotAFile)) throw error;
    throw new CaretakerError('env-file-invalid', `failed to read the env file ${file}: ${error.message}`, {
      hint: 'It must be a file of at most 4 MiB, or a pipe into which somebody writes each time that it is read.',
      cause: error,
    });
  }
}

/** Whether a file was refused for what it is, and not for what is written in it. */
export function isEndless(error: unknown): boolean {
  return error instanceof CaretakerError && error.cause instanceof NotAFile;
}
