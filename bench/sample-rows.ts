/**
 * Rows such as a web application stores: ids, times, names, hashes, and text of words that are as unequal in frequency as real ones.
 * Neither all equal nor all random, so that compressors have their usual work. The same on every machine and in every run.
 */
export const createDocuments = (table: string): string =>
  `CREATE TABLE ${table} (id bigint, created timestamptz, author text, digest text, title text, body text) WITH (autovacuum_enabled = off);`;

const TEXT_CHARACTERS = 8 * 1024 * 1024;
const BATCH_CHARACTERS = 256 * 1024;

/** Random numbers from 0 to below 1 (mulberry32). */
function randomNumbers(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

function vocabulary(random: () => number): string[] {
  const consonants = 'bcdfghjklmnprstvwz';
  const vowels = 'aeiou';
  const pick = (letters: string): string => letters[Math.floor(random() * letters.length)]!;
  return Array.from({ length: 12_000 }, (_, rank) => {
    const syllables = 1 + Math.floor(random() * (rank < 200 ? 2 : 4));
    let word = '';
    for (let i = 0; i < syllables; i += 1) word += pick(consonants) + pick(vowels);
    return random() < 0.3 ? word + pick(consonants) : word;
  });
}

/** Longer than any compressor's window here: rows cut out of it do not repeat one another within reach. */
function longText(random: () => number): string {
  const words = vocabulary(random);
  const pieces: string[] = [];
  let length = 0;
  while (length < TEXT_CHARACTERS) {
    const word = words[Math.floor(words.length ** random()) - 1]!;
    pieces.push(word);
    length += word.length + 1;
  }
  return pieces.join(' ');
}

const text = longText(randomNumbers(1));

/** Lines of PostgreSQL's COPY text format, in batches, until about `characters` are reached. */
export function* copyLines(table: number, characters: number): Generator<string> {
  const random = randomNumbers(1000 + table);
  const cut = (length: number): string => {
    const at = Math.floor(random() * (text.length - length));
    return text.slice(at, at + length);
  };
  const hex = (): string =>
    Math.floor(random() * 0x100000000)
      .toString(16)
      .padStart(8, '0');
  let time = Date.UTC(2020, 0, 1) + table * 1e9;
  let written = 0;
  let batch = '';
  for (let id = 1; written < characters; id += 1) {
    time += Math.floor(random() * 10_000);
    const author = `user${Math.floor(random() ** 2 * 5000)}@example.org`;
    const digest = hex() + hex() + hex() + hex();
    batch += `${id}\t${new Date(time).toISOString()}\t${author}\t${digest}\t${cut(20 + Math.floor(random() * 40))}\t${cut(150 + Math.floor(random() * 700))}\n`;
    if (batch.length >= BATCH_CHARACTERS) {
      written += batch.length;
      yield batch;
      batch = '';
    }
  }
  yield batch;
}
