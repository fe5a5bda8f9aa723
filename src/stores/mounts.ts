import { CaretakerError } from '../errors.ts';
import { mountPoint } from '../system/disk.ts';
import { readText, writeAtomic } from '../system/files.ts';

/** By the folder's path: where the filesystem was mounted that it lay on when it last got a file. Only mounts that can go: not the root. */
type Mounts = Readonly<Record<string, string>>;

/**
 * Throws `store-unreachable` where a folder lay on a filesystem that is not mounted now: its empty mount point must not be taken for it. `file` is what `noteMount` wrote; `seen`:
 * where this run has seen it mounted, before anything was noted.
 */
export async function refuseUnmounted(directory: string, file: string, seen?: string): Promise<void> {
  const known = (await read(file))[directory] ?? seen;
  if (known === undefined || (await mountPoint(known)) === known) return;
  throw new CaretakerError(
    'store-unreachable',
    `failed to write to ${directory}: it lay on a filesystem mounted at ${known}, and nothing is mounted there now`,
    {
      hint: `Mount it, and run again. If backups are to lie on another disk from now on, remove ${file}.`,
    },
  );
}

/** Notes where the filesystem is mounted that the folder lies on. */
export async function noteMount(directory: string, file: string): Promise<void> {
  const known = await read(file);
  const at = await mountPoint(directory);
  if (at === (known[directory] ?? '/')) return;
  await writeAtomic(file, `${JSON.stringify({ ...known, [directory]: at }, null, 2)}\n`);
}

async function read(file: string): Promise<Mounts> {
  const text = await readText(file);
  return text === null ? {} : (JSON.parse(text) as Mounts);
}
