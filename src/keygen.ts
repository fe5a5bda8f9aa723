import path from 'node:path';
import { generateIdentity } from './encryption/keys.ts';
import { CaretakerError } from './errors.ts';
import { fileError, syncDirectory, writeDurable } from './system/files.ts';

const USAGE = 'Write: compose-caretaker keygen [--post-quantum] FILE';

/**
 * `compose-caretaker keygen [--post-quantum] FILE`: writes a new identity of age (mode 600) and answers with what a reader has to know and do, a line each. The private key is in
 * the file and nowhere else. Throws `argument-unknown`, `argument-missing`, `identity-exists`, `file-operation-failed`.
 */
export async function keygen(
  words: readonly string[],
  { cwd, now }: { readonly cwd: string; readonly now: Date },
): Promise<string[]> {
  const [name, ...more] = words.filter((word) => word !== '--post-quantum');
  const odd = [name, ...more].find((word, index) => index > 0 || word?.startsWith('-') === true);
  if (odd !== undefined)
    throw new CaretakerError('argument-unknown', `failed to read the command line: "${odd}" has no meaning here`, {
      hint: USAGE,
    });
  if (name === undefined || name === '')
    throw new CaretakerError('argument-missing', 'failed to read the command line: no file is named for the key', {
      hint: USAGE,
    });
  const file = path.resolve(cwd, name);
  const { text, recipient } = await generateIdentity(now, words.includes('--post-quantum') ? 'hybrid' : 'x25519');
  try {
    await writeDurable(file, text);
    await syncDirectory(path.dirname(file));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw fileError(`write ${file}`, error);
    throw new CaretakerError('identity-exists', `failed to write ${file}: it is there already`, {
      hint: 'It may be the only key to somebody’s backups. Give another name.',
      cause: error,
    });
  }
  return [
    `${file} holds the private key (identity). Whoever has it can read the backups; without it nobody can, you included.`,
    '',
    'Encrypt backups to its public key, in the workflow or in caretaker.yml:',
    `  encrypt-to: ${recipient.text}`,
    'Keep two copies of the file away from this host and from GitHub: on paper or a stick in a safe, in a password manager.',
    'Then remove it here, or leave it where only root may read it:',
    '  - for drills and restores by workflow, make its text a secret of the repository (in an environment that needs an approval):',
    '      identity: ${{ secrets.CARETAKER_IDENTITY }}',
    '  - on the command line: --identity-file FILE, or CARETAKER_IDENTITY in the environment.',
    'Try it now, and every few months: after the first encrypted backup run a drill (mode verify) with this identity. Until then backups warn.',
    'Without this program: age -d -i FILE, for each file of a backup; RESTORE.md has the commands.',
  ];
}
