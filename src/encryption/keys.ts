import {
  Decrypter,
  Encrypter,
  generateHybridIdentity,
  generateX25519Identity,
  identityToRecipient,
} from 'age-encryption';
import { CaretakerError } from '../errors.ts';

/** A public key, `age1…` or, safe from quantum computers, `age1pq1…`. */
export interface Recipient {
  readonly text: string;
}

/** A private key, `AGE-SECRET-KEY-1…` or `AGE-SECRET-KEY-PQ-1…`. Neither JSON nor `inspect` shows it. */
export class Identity {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** For whoever decrypts, and nobody else. */
  reveal(): string {
    return this.#text;
  }
}

/**
 * Recipients, one a line or several with commas or blanks between them; lines that begin with `#` are comments. Throws `recipient-unreadable`, and `recipients-mixed` where some are safe from quantum
 * computers and others are not: then none would be. What was given is in no message, since it may be a private key.
 */
export function parseRecipients(text: string): [Recipient, ...Recipient[]] {
  const recipients = linesOf(text).flatMap(({ line, number }) =>
    line
      .split(/[\s,]+/)
      .filter((key) => key !== '')
      .map((key): Recipient => {
        const why = notARecipient(key);
        if (why !== null) throw recipientUnreadable(`line ${number} ${why.is}`, why.hint);
        return { text: key };
      }),
  );
  const [first, ...others] = recipients;
  if (first === undefined) throw recipientUnreadable('there is none', GET_A_KEY);
  if (others.some((other) => isPostQuantum(other) !== isPostQuantum(first))) {
    throw new CaretakerError(
      'recipients-mixed',
      'failed to encrypt: recipients of the kinds age1pq1… and age1… are mixed',
      {
        hint: 'A file that one of them can open is as safe as the weaker one. Give recipients of one kind.',
      },
    );
  }
  return [first, ...others];
}

/** The identities of an identity file; lines that begin with `#` are comments. Throws `identity-unreadable`, with no word of what was given. */
export function parseIdentities(text: string): [Identity, ...Identity[]] {
  const [first, ...others] = linesOf(text).map(({ line, number }): Identity => {
    const why = notAnIdentity(line);
    if (why !== null) throw identityUnreadable(`line ${number} ${why.is}`, why.hint);
    return new Identity(line);
  });
  if (first === undefined) throw identityUnreadable('there is none', GET_A_KEY);
  return [first, ...others];
}

/** A passphrase that can be tried at home must be long. Throws `passphrase-weak`; what was given is in no message. */
export function checkPassphrase(text: string): string {
  if ([...text].length >= SHORTEST_PASSPHRASE && new Set(text).size > 4) return text;
  throw new CaretakerError('passphrase-weak', 'failed to read the passphrase: it is too easy to guess', {
    hint: `Give at least ${SHORTEST_PASSPHRASE} characters, better six random words: whoever has the file can try millions. Or use keys: encrypt-to.`,
  });
}

const SHORTEST_PASSPHRASE = 10;

/**
 * A new identity as the text of an identity file, the same that `age-keygen` writes (`age-keygen -pq` for the kind `hybrid`, which `age` reads from 1.3 on), and its recipient.
 */
export async function generateIdentity(
  createdAt: Date,
  kind: 'x25519' | 'hybrid' = 'x25519',
): Promise<{ readonly text: string; readonly recipient: Recipient }> {
  const identity = await (kind === 'hybrid' ? generateHybridIdentity() : generateX25519Identity());
  const recipient = await identityToRecipient(identity);
  const created = createdAt.toISOString().replace(/\.\d+Z$/, 'Z');
  return { text: `# created: ${created}\n# public key: ${recipient}\n${identity}\n`, recipient: { text: recipient } };
}

/** The public keys of identities, in their order. */
export async function recipientsOf(identities: readonly Identity[]): Promise<Recipient[]> {
  return Promise.all(identities.map(async (identity) => ({ text: await identityToRecipient(identity.reveal()) })));
}

interface Refusal {
  /** Follows "line 3". */
  readonly is: string;
  readonly hint: string;
}

const GET_A_KEY = 'Make a pair of keys by `age-keygen`.';

function notARecipient(key: string): Refusal | null {
  if (/^AGE-(SECRET-KEY|PLUGIN)-/i.test(key)) {
    return {
      is: 'is a private key',
      hint: 'Give its public key (age1…), which `age-keygen -y` prints. If others could read this setting, make a new pair.',
    };
  }
  if (key.startsWith('ssh-')) return { is: 'is an SSH key', hint: `SSH keys are not supported. ${GET_A_KEY}` };
  const hint = 'Give public keys that begin with age1 or age1pq1, whole, one a line or with commas between them.';
  if (/^age1(?!pq1)[a-z0-9]+1/.test(key))
    return { is: 'is a key of a plugin', hint: `Plugins are not supported. ${hint}` };
  return fits(() => new Encrypter().addRecipient(key)) ? null : { is: 'is no recipient of age', hint };
}

function notAnIdentity(line: string): Refusal | null {
  const hint = 'Give the line that begins with AGE-SECRET-KEY-, whole, or the text of the identity file.';
  if (/^age1/i.test(line)) return { is: 'is a recipient, a public key', hint };
  if (line.startsWith('AGE-PLUGIN-'))
    return { is: 'is the identity of a plugin', hint: `Plugins are not supported. ${hint}` };
  if (line.includes('PRIVATE KEY-----')) return { is: 'is an SSH key', hint: `SSH keys are not supported. ${hint}` };
  if (line.startsWith('age-encryption.org/') || line.includes('BEGIN AGE ENCRYPTED FILE')) {
    return { is: 'begins an encrypted file', hint: 'Decrypt the identity file first, by `age -d`.' };
  }
  return fits(() => new Decrypter().addIdentity(line)) ? null : { is: 'is no identity of age', hint };
}

/** The library's own words are dropped: they quote the key. */
function fits(add: () => void): boolean {
  try {
    add();
    return true;
  } catch {
    return false;
  }
}

function isPostQuantum(recipient: Recipient): boolean {
  return recipient.text.startsWith('age1pq1');
}

function linesOf(text: string): { readonly line: string; readonly number: number }[] {
  return text
    .split('\n')
    .map((line, at) => ({ line: line.trim(), number: at + 1 }))
    .filter(({ line }) => line !== '' && !line.startsWith('#'));
}

function recipientUnreadable(why: string, hint: string): CaretakerError {
  return new CaretakerError('recipient-unreadable', `failed to read the recipients: ${why}`, { hint });
}

function identityUnreadable(why: string, hint: string): CaretakerError {
  return new CaretakerError('identity-unreadable', `failed to read the identities: ${why}`, { hint });
}
