import { constants, lstatSync, statSync, type Stats } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import path from 'node:path';

/*
 * Where another user of the host may write too (a shared folder, a project directory of a group, /tmp), what lies there may be his: a link that leads to what only we may write, a
 * pipe that never ends.
 */

/** Whether it belongs to somebody else than this user, root, and the owner of the directory in which it lies: he can put there what he likes anyway. */
export function isStrangers({ uid }: Pick<Stats, 'uid'>, directory: Pick<Stats, 'uid'>): boolean {
  return uid !== 0 && uid !== process.getuid?.() && uid !== directory.uid;
}

/** Whether there is a symbolic link that a stranger made. Throws what the system says but that there is nothing. */
export function isStrangersLink(file: string): boolean {
  const stats = lstatSync(file, { throwIfNoEntry: false });
  return stats?.isSymbolicLink() === true && isStrangers(stats, statSync(path.dirname(file)));
}

/** What has the name of a file is none of ours. */
export class NotAFile extends Error {}

/** Opens a file to read it, and nothing else that has its name: throws `NotAFile` for a stranger's link, and at once for a pipe or a device. */
export async function openFile(file: string): Promise<FileHandle> {
  if (isStrangersLink(file)) throw new NotAFile(`${path.basename(file)} is a symbolic link that another user has made`);
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (!(await handle.stat()).isFile()) throw new NotAFile(`${path.basename(file)} is no regular file`);
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}
