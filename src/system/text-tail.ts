import { StringDecoder } from 'node:string_decoder';

/** Keeps the last `limit` bytes of what it is given, in at most twice as much memory. */
export class TextTail {
  readonly #limit: number;
  #buffer = Buffer.alloc(0);
  #used = 0;
  #cut = false;

  constructor(limit: number) {
    this.#limit = limit;
  }

  push(chunk: Uint8Array): void {
    const kept = chunk.length > this.#limit ? chunk.subarray(chunk.length - this.#limit) : chunk;
    if (kept !== chunk) this.#cut = true;
    if (this.#used + kept.length > this.#buffer.length) this.#makeRoom(kept.length);
    this.#buffer.set(kept, this.#used);
    this.#used += kept.length;
  }

  #makeRoom(bytes: number): void {
    if (this.#used > this.#limit) this.#cut = true;
    const old = this.#buffer.subarray(Math.max(0, this.#used - this.#limit), this.#used);
    const size = Math.min(2 * this.#limit, Math.max(4096, 2 * (old.length + bytes)));
    const next = Buffer.alloc(size);
    next.set(old);
    this.#buffer = next;
    this.#used = old.length;
  }

  text(): string {
    let from = Math.max(0, this.#used - this.#limit);
    // Where the beginning was cut, not in the middle of a character.
    if (from > 0 || this.#cut) while (from < this.#used && ((this.#buffer[from] ?? 0) & 0xc0) === 0x80) from++;
    return this.#buffer.toString('utf8', from, this.#used);
  }
}

/** A line that never ends comes in pieces, so that memory stays bounded. */
const LONGEST_LINE = 64 * 1024;

/** Cuts bytes into lines, without their `\n` or `\r\n`. */
export class LineCutter {
  readonly #onLine: (line: string) => void;
  readonly #decoder = new StringDecoder('utf8');
  #rest = '';

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(chunk: Buffer): void {
    const pieces = (this.#rest + this.#decoder.write(chunk)).split('\n');
    this.#rest = pieces.pop() ?? '';
    for (const piece of pieces) this.#onLine(piece.endsWith('\r') ? piece.slice(0, -1) : piece);
    if (this.#rest.length > LONGEST_LINE) this.#flush();
  }

  end(): void {
    this.#rest += this.#decoder.end();
    if (this.#rest !== '') this.#flush();
  }

  #flush(): void {
    const line = this.#rest;
    this.#rest = '';
    this.#onLine(line);
  }
}

/** The last lines of a text, for an error's message. */
export function lastLines(text: string, lines = 15, characters = 2000): string {
  return text.trimEnd().split('\n').slice(-lines).join('\n').slice(-characters);
}

/** Shorter values ("1", "no") are no secrets, and blotting them out would make every text unreadable. */
const SHORTEST_SECRET = 4;

/** Blots out the values of an environment, whole and line by line. */
export function redactor(env: Readonly<Record<string, string>> | undefined): (text: string) => string {
  const secrets = Object.values(env ?? {})
    .flatMap((value) => [value, ...value.split('\n')])
    .filter((value) => value.length >= SHORTEST_SECRET)
    .sort((one, other) => other.length - one.length);
  return (text) => secrets.reduce((clean, secret) => clean.replaceAll(secret, '***'), text);
}
