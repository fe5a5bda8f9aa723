import type { Part, PartFile } from '../archive/manifest.ts';
import { CaretakerError } from '../errors.ts';

/** The file of a dump with this suffix. `part-missing`. */
export function fileOf(part: Part, suffix: string): PartFile {
  const file = part.files.find((one) => one.file.endsWith(`.${part.name}.${suffix}.zst`));
  if (file === undefined) {
    throw new CaretakerError('part-missing', `failed to find ${suffix} in part ${part.name}`, {
      hint: 'The backup is incomplete: choose another.',
    });
  }
  return file;
}
