import type { Part, PartFile } from '../archive/manifest.ts';
import type { TarHandlers, TarMember } from '../archive/tar.ts';
import { CaretakerError } from '../errors.ts';
import type { HostFiles } from '../runtimes/host-files.ts';
import { unpack } from './streams.ts';

/** Whether a file of a part of files lists what went between two passes. */
export function isRemovals({ file }: PartFile): boolean {
  return /\.removed\d+\.zst$/.test(file);
}

/**
 * Unpacks the files of a part into the new directory `root`, in their order: `tar`; then, where it was taken in several passes, for each of those `removed1`, whose members go, and
 * `changed1.tar`, which is unpacked over what is there.
 */
export async function unpackPasses(
  files: HostFiles,
  root: string,
  part: Part,
  read: (file: PartFile) => AsyncIterable<Uint8Array>,
  handlers: Pick<TarHandlers, 'onMember' | 'keep'> = {},
): Promise<void> {
  const links = new Set<string>();
  for (const [index, file] of part.files.entries()) {
    const over = index > 0;
    if (over && isRemovals(file)) {
      const removed = await removalsIn(read(file), part);
      await files.removeMembers(root, removed);
      for (const link of links)
        if (removed.some((name) => link === name || link.startsWith(`${name}/`))) links.delete(link);
    } else {
      await unpack(files, root, read(file), { over, rawBytes: file.rawBytes }, { ...handlers, links });
    }
  }
}

/** More than any list that was written here. */
const MAX_LIST_BYTES = 4 * 1024 * 1024;

/** The names of a list of members, as `membersOf` made it. */
export async function removalsIn(bytes: AsyncIterable<Uint8Array>, part: Part): Promise<string[]> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of bytes) {
    size += piece.length;
    if (size > MAX_LIST_BYTES) break;
    pieces.push(piece);
  }
  const names = Buffer.concat(pieces).toString('latin1').split('\0');
  if (size > MAX_LIST_BYTES || names.pop() !== '' || names.some((name) => !name.startsWith('./'))) {
    throw new CaretakerError('part-damaged', `failed to unpack ${part.name}: its list of what went is none`, {
      hint: 'Choose another backup.',
    });
  }
  return names.map((name) => name.slice(2));
}

/**
 * For an archive that holds one file: anything else in it is refused before it is unpacked (`part-damaged`). A link or a pipe would be put where the file belongs. `name` tells
 * the file's own, after all was read.
 */
export function oneFile(part: Part, what: string): { onMember(member: TarMember): void; name(): string } {
  let found: string | undefined;
  const refused = (): CaretakerError =>
    new CaretakerError('part-damaged', `failed to unpack ${part.name}: it is not the archive of one ${what}`, {
      hint: 'Choose another backup.',
    });
  return {
    onMember({ path, type }) {
      if (found !== undefined || type !== 'file' || path.includes('/')) throw refused();
      found = path;
    },
    name() {
      if (found === undefined) throw refused();
      return found;
    },
  };
}
