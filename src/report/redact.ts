/** Shorter ones would black out half of what is printed, and protect nothing. */
const SHORTEST = 4;

/**
 * A text without the passwords of addresses in it: `https://***@host`, `postgres://user:***@host`. Over HTTP the user goes as well: there a token stands in its place.
 */
export function withoutCredentials(text: string): string {
  return text.replace(/:\/\/([^\s/?#]+)@/g, (address, user: string, at: number) => {
    if (/https?$/i.test(text.slice(Math.max(0, at - 5), at))) return '://***@';
    return user.includes(':') ? `://${user.slice(0, user.indexOf(':'))}:***@` : address;
  });
}

/** What of an environment must not be printed: the values of variables whose names sound secret, and the passwords in addresses. */
export function secretsOf(environment: Readonly<Record<string, string | null>>): string[] {
  return Object.entries(environment)
    .flatMap(([name, value]) => {
      if (value === null) return [];
      const password = /^[a-z][a-z0-9+.-]*:\/\/[^\s/?#:@]*:([^\s/?#]+)@/i.exec(value)?.[1];
      const sounds = /pass|secret|token|credential|private|api_?key|_key$|_pwd$/i.test(name);
      return [...(sounds ? [value] : []), ...(password === undefined ? [] : [password])];
    })
    .filter((value) => value.length >= 6);
}

/** Secrets, and texts without them and without the passwords of addresses. One for a run: the log adds to it, the report is passed through it. */
export class Redactor {
  readonly #secrets = new Set<string>();

  /** A secret of several lines is looked for line by line as well: logs are cut into lines. Answers with what is new. */
  add(secret: string): string[] {
    const found = [secret, ...secret.split(/[\r\n]+/)]
      .map((text) => text.trim())
      .filter((text) => text.length >= SHORTEST && !this.#secrets.has(text));
    for (const text of found) this.#secrets.add(text);
    return [...new Set(found)];
  }

  text(text: string): string {
    let result = withoutCredentials(text);
    // A secret may hold another one: the longest first.
    for (const secret of [...this.#secrets].sort((one, other) => other.length - one.length)) {
      result = result.replaceAll(secret, '***');
    }
    return result;
  }

  /** The same in every string of plain data. */
  deep<T>(value: T): T {
    if (typeof value === 'string') return this.text(value) as T;
    if (Array.isArray(value)) return value.map((item: unknown) => this.deep(item)) as T;
    if (value === null || typeof value !== 'object') return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, item]: [string, unknown]) => [key, this.deep(item)]),
    ) as T;
  }
}
