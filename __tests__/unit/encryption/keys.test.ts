import { describe, expect, test } from '@jest/globals';
import { inspect } from 'node:util';
import { generateIdentity, parseIdentities, parseRecipients, recipientsOf } from '../../../src/encryption/keys.ts';
import { CaretakerError } from '../../../src/errors.ts';

/** From the specification of the format. */
const RECIPIENT = 'age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj';
const IDENTITY = 'AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX';

const hybrid = await generateIdentity(new Date(), 'hybrid');
const hybridIdentity = hybrid.text.split('\n')[2]!;

describe('identities', () => {
  test('are read from an identity file, with its comments, whatever ends its lines', async () => {
    const text = `# created: 2026-11-29T10:00:00Z\r\n# public key: ${RECIPIENT}\r\n${IDENTITY}\r\n\n  ${hybridIdentity}  \n`;
    const identities = parseIdentities(text);
    expect(identities.map((identity) => identity.reveal())).toEqual([IDENTITY, hybridIdentity]);
    expect(await recipientsOf(identities)).toEqual([{ text: RECIPIENT }, hybrid.recipient]);
  });

  test('are shown by nothing', () => {
    const identities = parseIdentities(`${IDENTITY}\n${hybridIdentity}`);
    const shown = JSON.stringify(identities) + inspect(identities, { depth: null, showHidden: true });
    expect(shown).not.toContain('SECRET-KEY');
  });

  test.each([
    ['nothing', '', /there is none/],
    ['comments only', '# nothing yet\n', /there is none/],
    ['one letter changed', IDENTITY.replace('JZGF', 'JZGG'), /line 1 is no identity/],
    ['cut off', `# x\n${IDENTITY.slice(0, -3)}`, /line 2 is no identity/],
    ['in small letters', IDENTITY.toLowerCase(), /line 1 is no identity/],
    ['two in one line', `${IDENTITY} ${IDENTITY}`, /line 1 is no identity/],
    ['cut off, the new kind', hybridIdentity.slice(0, -1), /line 1 is no identity/],
    ['a recipient', RECIPIENT, /a public key/],
    ['a plugin', 'AGE-PLUGIN-YUBIKEY-1QYQSZQGPQYQSZQGP', /plugin/],
    ['an SSH key', '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk', /SSH/],
    ['an encrypted identity file', 'age-encryption.org/v1\n-> scrypt', /encrypted file/],
    ['an armored one', '-----BEGIN AGE ENCRYPTED FILE-----\nYWdl', /encrypted file/],
    ['a passphrase', 'correct horse battery staple', /line 1 is no identity/],
  ])('that are none: %s', (_, text, message) => {
    const error = refusal(() => parseIdentities(text));
    expect(error).toMatchObject({ code: 'identity-unreadable', message: expect.stringMatching(message) as unknown });
    expectNothingOf(text, error);
  });
});

describe('recipients', () => {
  test('are read one a line, with comments', () => {
    const text = `# Ada\n${RECIPIENT}\n\n# Grace\r\n ${RECIPIENT}\r\n`;
    expect(parseRecipients(text)).toEqual([{ text: RECIPIENT }, { text: RECIPIENT }]);
    expect(parseRecipients(hybrid.recipient.text)).toEqual([hybrid.recipient]);
  });

  test.each([',', ', ', ' ', '\t', ' ,\n', ',,'])(
    'several in one line, as a variable of GitHub is: %j',
    async (between) => {
      const other = (await recipientsOf(parseIdentities((await generateIdentity(new Date())).text)))[0]!;
      const text = `${RECIPIENT}${between}${other.text}${between}`;
      expect(parseRecipients(text)).toEqual([{ text: RECIPIENT }, other]);
    },
  );

  test('are not mixed: the weaker would open what the others are to keep from quantum computers', () => {
    const mixed = refusal(() => parseRecipients(`${RECIPIENT}\n${hybrid.recipient.text}`));
    expect(mixed).toMatchObject({ code: 'recipients-mixed' });
  });

  test.each([
    ['nothing', ' \n', /there is none/],
    ['one letter changed', RECIPIENT.replace('zvky', 'zvkz'), /line 1 is no recipient/],
    ['cut off', `${RECIPIENT}\n${RECIPIENT.slice(0, -1)}`, /line 2 is no recipient/],
    ['cut off, the new kind', hybrid.recipient.text.slice(0, -1), /line 1 is no recipient/],
    ['the second in a line cut off', `${RECIPIENT}, ${RECIPIENT.slice(0, -1)}`, /line 1 is no recipient/],
    ['the second in a line a private one', `${RECIPIENT},${IDENTITY}`, /line 1 is a private key/],
    ['parted in the middle', `${RECIPIENT.slice(0, 20)} ${RECIPIENT.slice(20)}`, /line 1 is no recipient/],
    ['nothing but commas', ' , ,', /there is none/],
    ['a private key', IDENTITY, /line 1 is a private key/],
    ['a private key of the new kind', hybridIdentity, /line 1 is a private key/],
    ['an SSH key', 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB me@host', /SSH/],
    ['a plugin', 'age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t', /plugin/],
    ['a hardware key of the new kind', 'age1tag1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t', /plugin/],
    ['a passphrase', 'correct horse battery staple', /line 1 is no recipient/],
  ])('that are none: %s', (_, text, message) => {
    const error = refusal(() => parseRecipients(text));
    expect(error).toMatchObject({ code: 'recipient-unreadable', message: expect.stringMatching(message) as unknown });
    expectNothingOf(text, error);
  });
});

describe('a new identity', () => {
  test('is the text of an identity file', async () => {
    const { text, recipient } = await generateIdentity(new Date('2026-11-29T10:20:30.456Z'));
    expect(text).toMatch(
      /^# created: 2026-11-29T10:20:30Z\n# public key: age1[a-z0-9]{58}\nAGE-SECRET-KEY-1[A-Z0-9]{58}\n$/,
    );
    expect(text).toContain(`# public key: ${recipient.text}\n`);
    expect(await recipientsOf(parseIdentities(text))).toEqual([recipient]);
  });

  test('of the kind that withstands quantum computers', async () => {
    const { text, recipient } = await generateIdentity(new Date(), 'hybrid');
    expect(text).toMatch(/\nAGE-SECRET-KEY-PQ-1[A-Z0-9]+\n$/);
    expect(parseRecipients(recipient.text)).toEqual([recipient]);
    expect(await recipientsOf(parseIdentities(text))).toEqual([recipient]);
  });

  test('is another each time', async () => {
    const texts = await Promise.all([1, 2, 3].map(async () => (await generateIdentity(new Date())).recipient.text));
    expect(new Set(texts).size).toBe(3);
  });
});

function refusal(act: () => unknown): CaretakerError {
  try {
    act();
  } catch (error) {
    if (error instanceof CaretakerError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

/** Neither its texts nor its cause quote what was given: it may be somebody's key or passphrase. */
function expectNothingOf(text: string, error: CaretakerError): void {
  const shown = inspect(error, { depth: null }).replaceAll(/\n {4}at .*/g, '');
  // What every key begins with is no secret.
  for (const word of text.split(/[^A-Za-z0-9]+|AGE-SECRET-KEY-|ENCRYPTED|PRIVATE/)) {
    for (let at = 0; at + 8 <= word.length; at += 1) expect(shown).not.toContain(word.slice(at, at + 8));
  }
}
