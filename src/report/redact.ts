/** Shorter ones would black out half of what is printed, and protect nothing. */
const SHORTEST = 4;

/** Secrets, and texts without them. One for a run: the log adds to it, the report is passed through it. */
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
    let result = text;
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
