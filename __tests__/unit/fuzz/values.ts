import fc from 'fast-check';

/** Texts that somebody may have written to be taken for something else. */
const texts: readonly string[] = [
  '',
  ' ',
  '.',
  '..',
  '/',
  '../../../etc/passwd',
  '/etc/shadow',
  './../x',
  'a/../../b',
  'a//b/./c/',
  '-rf',
  '--upload-pack=touch /tmp/x',
  '$(touch /tmp/x)',
  '`id`',
  "'; rm -rf / #",
  'a b\tc',
  'a\nb',
  'a\r\nb',
  '::set-output name=x::y',
  'x\n::add-mask::y',
  'x\r::error::y',
  'x\n  ::stop-commands::z',
  '##[command]x',
  'x\n##[set-output name=a]b',
  '%0A::add-path::/x',
  'a\0b',
  '\u202egnp.exe',
  '\u2066x\u2069',
  'раssword', // Cyrillic
  'ａ／．．／ｂ', // full width
  '\u2028x',
  '\ufeffx',
  '\ud800',
  'é',
  'e\u0301',
  '\u001b[2J\u001b]0;x\u0007',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'true',
  'null',
  'NaN',
  '-1',
  '1e999',
  '0x10',
  '9007199254740993',
  'n'.repeat(10_000),
  'a/'.repeat(3000),
];

export const hostileText: fc.Arbitrary<string> = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...texts) },
  { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 12 }) },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.constantFrom(...texts), fc.constantFrom(...texts)).map(([one, other]) => one + other),
  },
);

/** Any value that JSON can say. */
export const hostileValue: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 4, arbitrary: hostileText },
  {
    weight: 3,
    arbitrary: fc.constantFrom<unknown>(null, true, 0, -0, -1, 0.5, 1e308, 2 ** 53, -(2 ** 53), [], {}, [[]], [null], {
      length: 3,
    }),
  },
  { weight: 1, arbitrary: fc.json({ maxDepth: 2 }).map((text) => JSON.parse(text) as unknown) },
);

type Edit = readonly [kind: number, at: number, other: number, text: string];

export const edits = (maxLength: number): fc.Arbitrary<readonly Edit[]> =>
  fc.array(fc.tuple(fc.nat(6), fc.nat(), fc.nat(), hostileText), { minLength: 1, maxLength, size: 'max' });

/** The bytes with bits flipped, cut off, pieces repeated, taken out, moved or put in. */
export function mutated(bytes: Buffer, changes: readonly Edit[]): Buffer {
  let now = Buffer.from(bytes);
  for (const [kind, first, second, text] of changes) {
    const at = now.length === 0 ? 0 : first % now.length;
    const length = second % 64;
    switch (kind) {
      case 0:
        if (now.length > 0) now[at]! ^= 1 << (second % 8);
        break;
      case 1:
        now = now.subarray(0, at);
        break;
      case 2:
        now = Buffer.concat([now.subarray(0, at), Buffer.from(text), now.subarray(at)]);
        break;
      case 3:
        now = Buffer.concat([now.subarray(0, at), now.subarray(at + length)]);
        break;
      case 4:
        now = Buffer.concat([now.subarray(0, at + length), now.subarray(at)]);
        break;
      case 5:
        if (now.length > 0) now[at] = second % 256;
        break;
      default:
        now = Buffer.concat([now.subarray(at), now.subarray(0, at)]);
    }
  }
  return now;
}

/** A value of JSON with one place in it, wherever that is, replaced, taken away, or given another name. */
export function changedAt(value: unknown, place: number, kind: number, by: unknown, name: string): unknown {
  const copy: unknown = structuredClone(value);
  const holders: [Record<string, unknown>, string][] = [];
  const visit = (one: unknown): void => {
    if (typeof one !== 'object' || one === null) return;
    for (const key of Object.keys(one)) {
      holders.push([one as Record<string, unknown>, key]);
      visit((one as Record<string, unknown>)[key]);
    }
  };
  visit(copy);
  const holder = holders[place % holders.length];
  if (holder === undefined) return by;
  const [of, key] = holder;
  const put = (field: string, content: unknown): void => {
    Object.defineProperty(of, field, { value: content, enumerable: true, configurable: true, writable: true });
  };
  if (kind === 0 && Array.isArray(of)) of.splice(Number(key), 1);
  else if (kind === 0) delete of[key];
  else if (kind === 1 && !Array.isArray(of)) {
    const moved = of[key];
    delete of[key];
    put(name, moved);
  } else if (kind === 2 && Array.isArray(of)) of.push(structuredClone(of[Number(key)]));
  else if (kind === 3 && typeof of[key] === 'string') put(key, `${of[key]}${name}`);
  else if (kind === 4 && typeof of[key] === 'string') put(key, `${name}${of[key]}`);
  else put(key, by);
  return copy;
}
