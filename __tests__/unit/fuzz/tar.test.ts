import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { checkTar, type TarMember } from '../../../src/archive/tar.ts';
import { inMemory } from '../system/temporary.ts';
import { codedOr, forAll, fuzzed } from './fuzz.ts';
import { refuseCommands } from './runner.ts';
import { archive, octal, padded, paxHeader, rawHeader } from './tar-bytes.ts';
import { edits, hostileText, mutated } from './values.ts';

jest.setTimeout(600_000);
fuzzed('tar archives');

const names = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom('./', 'a', './a', 'a/b', 'b', 'b/c', 'l', 'l/x', 'dir/', 'dir/a', 'a b', 'é', 'h'),
  },
  { weight: 1, arbitrary: hostileText },
);
/** Names of files that are no UTF-8: as text they all look the same. */
const rawNames = fc.constantFrom('\xff', '\xfe', '\xe9', '\xff/a', '\xfe/a', './\xff').map((name) => Buffer.from(name, 'latin1')); // prettier-ignore
const anyNames = fc.oneof({ weight: 9, arbitrary: names }, { weight: 1, arbitrary: rawNames }); // prettier-ignore
const sizes = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom<number>(0, 1, 5, 511, 512, 513, 1024, 1536) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('', '            ', '-0000000512\0', '0x200\0', '7'.repeat(12), '512\0junk'),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      Buffer.from('800000000000000000000200', 'hex'),
      Buffer.from('ffffffffffffffffffffffff', 'hex'),
      Buffer.from('80ffffffffffffffffffffff', 'hex'),
      Buffer.from('810000000000000000000200', 'hex'),
    ),
  },
);
const flags = fc.constantFrom(...'0000000112225567\0xxgLKSVXDMN34Z');
const magics = fc.oneof({ weight: 5, arbitrary: fc.constant('ustar\x0000') }, { weight: 1, arbitrary: fc.constantFrom('ustar  \0', '\0\0\0\0\0\0\0\0', 'ustar\0 x') }); // prettier-ignore
const keys = fc.constantFrom(
  ...[
    'path',
    'linkpath',
    'size',
    'mtime',
    'uid',
    ' path',
    '\tsize',
    'comment',
    'SCHILY.xattr.user.x',
    'GNU.volume.label',
  ],
  ...['major', 'minor', 'name', 'realsize', 'size', 'map', 'numblocks', 'offset', 'numbytes'].map(
    (key) => `GNU.sparse.${key}`,
  ),
);
const values = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('0', '1', '512', '1024', '0x200', '1e3', ' 512', '512\0', '-1', '') },
  { weight: 3, arbitrary: names },
  { weight: 1, arbitrary: hostileText },
);
const WHOLE_MAP = {
  'GNU.sparse.major': '1',
  'GNU.sparse.minor': '0',
  'GNU.sparse.name': 's',
  'GNU.sparse.realsize': '4096',
};

const header = fc
  .record({ name: anyNames, flag: flags, link: anyNames, size: sizes, magic: magics })
  .map((one) => rawHeader({ ...one, flag: one.flag === '0' && String(one.name).endsWith('/') ? '5' : one.flag }));
const plain = fc
  .tuple(fc.constantFrom('a', 'a/b', 'b', 'dir/a', 'é'), fc.constantFrom(0, 5, 600))
  .map(([name, size]) => Buffer.concat([rawHeader({ name, size }), padded('x'.repeat(size))]));
const link = fc
  .tuple(
    fc.oneof({ weight: 5, arbitrary: fc.constantFrom<string | Buffer>('l', 'h', 'a', 'm/l') }, { weight: 1, arbitrary: rawNames }), // prettier-ignore
    fc.constantFrom('1', '2'),
    fc.constantFrom('l', 'a', '/etc', '..', 'h', './l', 'm/l'),
  )
  .map(([name, flag, target]) => rawHeader({ name, flag, link: target }));
const pax = fc
  .tuple(fc.constantFrom('x', 'x', 'x', 'g'), fc.array(fc.tuple(keys, values), { maxLength: 3 }), fc.nat(9))
  .map(([flag, records, whole]) =>
    paxHeader({ ...(whole < 2 ? WHOLE_MAP : {}), ...Object.fromEntries(records) }, flag),
  );
const long = fc.tuple(fc.constantFrom('L', 'K'), anyNames).map(([flag, name]) => Buffer.concat([rawHeader({ name: '././@LongLink', flag, size: Buffer.byteLength(name) + 1 }), padded(Buffer.concat([Buffer.from(name as string), Buffer.from('\0')]))])); // prettier-ignore
const map = fc
  .tuple(
    fc.constantFrom(0, 1, 2),
    fc.constantFrom(0, 512, 1024, 4096),
    fc.constantFrom(0, 100, 512, 1024),
    fc.constantFrom(512, 1024, 1536),
  )
  .map(([count, offset, bytes, size]) =>
    Buffer.concat([
      paxHeader(WHOLE_MAP),
      rawHeader({ name: 's', size }),
      padded(`${count}\n${`${offset}\n${bytes}\n`.repeat(count)}`.padEnd(size, '\0')),
    ]),
  );
const gnuMap = fc
  .tuple(fc.array(fc.constantFrom(0, 100, 512, 1024), { maxLength: 4 }), fc.constantFrom(0, 512, 1024, 1536), fc.nat(9))
  .map(([pieces, size, more]) =>
    Buffer.concat([
      rawHeader({
        ...{ name: 's', flag: 'S', size, magic: 'ustar  \0' },
        change: (block) => {
          pieces.forEach((bytes, index) => block.write(octal(0) + octal(bytes), 386 + 24 * index));
          if (more === 0) block[482] = 1;
          block.write(octal(4096), 483);
        },
      }),
      padded('x'.repeat(size)),
    ]),
  );
const blocks = fc.oneof(
  { weight: 6, arbitrary: plain },
  { weight: 4, arbitrary: link },
  { weight: 3, arbitrary: header },
  { weight: 3, arbitrary: pax },
  { weight: 2, arbitrary: long },
  { weight: 1, arbitrary: map },
  { weight: 1, arbitrary: gnuMap },
  { weight: 1, arbitrary: fc.constantFrom(padded('x'.repeat(512)), padded('x'.repeat(1024)), Buffer.alloc(512)) },
);
const archives = fc.array(blocks, { maxLength: 7, size: 'max' }).map((all) => archive(...all));
const broken = fc.tuple(archives, edits(2)).map(([bytes, changes]) => mutated(bytes, changes));

async function walk(bytes: Buffer, chunk: number, links = new Set<string>()): Promise<TarMember[]> {
  const members: TarMember[] = [];
  const source = async function* (): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += chunk) yield bytes.subarray(at, at + chunk);
    await Promise.resolve();
  };
  let passed = 0;
  for await (const piece of checkTar(source(), { links, onMember: (one) => members.push(one) })) {
    if (!bytes.subarray(passed, passed + piece.length).equals(piece)) throw new Error('other bytes are passed on');
    passed += piece.length;
  }
  if (passed !== bytes.length) throw new Error('not all bytes are passed on');
  return members;
}

const climbs = (name: string): boolean => name.startsWith('/') || name.includes('\0') || name.split('/').includes('..');

/** By a model of its own: where each member would lie, and what of that is a link. */
function expectSafe(members: readonly TarMember[]): void {
  const links = new Set<string>();
  // Members tell their names as text, by which names of no UTF-8 can't be told apart: the test that unpacks has those.
  const through = (path: string): boolean =>
    !path.includes('\ufffd') && [...links].some((one) => path.startsWith(`${one}/`));
  for (const { name, path, type, target } of members) {
    if (climbs(name) || type === 'other') throw new Error(`the member ${JSON.stringify(name)}`);
    if (
      path !==
      name
        .split('/')
        .filter((part) => !['', '.'].includes(part))
        .join('/')
    )
      throw new Error(`the path ${path}`);
    if (through(path)) throw new Error(`${path} goes through a link`);
    if (type === 'hardlink' && (target === undefined || target === '' || climbs(target) || through(target)))
      throw new Error(`the link to ${JSON.stringify(target)}`);
    if (type === 'symlink' || (type === 'hardlink' && links.has(target!))) links.add(path);
    else if (type === 'directory' && links.has(path) && !path.includes('\ufffd'))
      throw new Error('a directory over a link');
    else links.delete(path);
  }
}

const judge = async (bytes: Buffer): Promise<readonly TarMember[] | null> => {
  const answer = await codedOr(() => walk(bytes, 700));
  if ('value' in answer) {
    expectSafe(answer.value);
    return answer.value;
  }
  if (answer.errors.some(({ code }) => !['part-damaged', 'part-hostile'].includes(code))) throw answer.errors[0]!;
  return null;
};

test('any archive is refused, or has no member that leads elsewhere', () =>
  forAll(archives, 25_000, async (bytes) => {
    await judge(bytes);
  }));

test('any archive that was changed, too', () =>
  forAll(broken, 25_000, async (bytes) => {
    await judge(bytes);
  }));

test('what is said of it is never taken for a command of a workflow', () =>
  forAll(archives, 2000, async (bytes) => {
    const answer = await codedOr(() => walk(bytes, 4096));
    if ('errors' in answer) refuseCommands(answer.errors);
  }));

test('how it comes in pieces does not matter', () =>
  forAll(fc.tuple(archives, fc.constantFrom(1, 13, 511, 513, 100_000)), 1000, async ([bytes, chunk]) => {
    const whole = await codedOr(() => walk(bytes, 512));
    const pieces = await codedOr(() => walk(bytes, chunk));
    expect('errors' in pieces ? pieces.errors[0]!.code : pieces.value).toEqual(
      'errors' in whole ? whole.errors[0]!.code : whole.value,
    );
  }));

/** The members that GNU tar sees, a letter for the type and the name. */
function listed(bytes: Buffer): string[] {
  const { stdout } = spawnSync('tar', ['-tvf', '-', '--quoting-style=c', '--numeric-owner'], {
    ...{ input: bytes, encoding: 'latin1', env: { ...process.env, LC_ALL: 'C', TZ: 'UTC', TAR_OPTIONS: '' } },
  });
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => {
      const name = /"((?:[^"\\]|\\.)*)"/.exec(line)?.[1] ?? '';
      // A file whose name ends so is unpacked as a directory, whatever the list calls it.
      const type = !/^[-C]/.test(line) ? line[0] : name.endsWith('/') ? 'd' : '-';
      return `${type} ${name.replaceAll(/\\(\d{3}|.)/g, (_, code: string) => unquoted(code))}`;
    });
}
function unquoted(code: string): string {
  if (code.length === 3) return String.fromCharCode(parseInt(code, 8));
  return { a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' }[code] ?? code;
}
const LETTERS: Readonly<Record<TarMember['type'], string>> = { file: '-', directory: 'd', symlink: 'l', hardlink: 'h', fifo: 'p', other: '?' }; // prettier-ignore

test('GNU tar sees the very members in it that were looked at', async () => {
  let compared = 0;
  await forAll(archives, 1500, async (bytes) => {
    const members = await judge(bytes);
    if (members === null || members.length === 0 || compared >= 700) return;
    compared += 1;
    const seen = members.map(({ name, type }) => {
      // GNU tar writes a slash behind a directory's name, and none behind another's.
      return `${LETTERS[type]} ${name.replace(/\/+$/, '')}`;
    });
    const theirs = listed(bytes).map((line) => Buffer.from(line.replace(/\/+$/, ''), 'latin1').toString());
    expect(theirs).toEqual(seen);
  });
  expect(compared).toBeGreaterThan(50);
});

/** Members below and beside links, under short and long names. */
const knotted = fc
  .record({
    name: fc.constantFrom('\xff', '\xfe', '\xe9', '\xc3\xa9', 'l'),
    below: fc.boolean(),
    flag: fc.constantFrom('0', '2', '2', '5'),
    isLong: fc.boolean(),
  })
  .map(({ name, below, flag, isLong }) => {
    const whole = Buffer.from(`./${name}${below ? '/a' : ''}`, 'latin1');
    const header = { flag, link: flag === '2' ? '../outside' : '' };
    if (!isLong) return rawHeader({ ...header, name: whole });
    const size = whole.length + 1;
    return Buffer.concat([rawHeader({ name: '././@LongLink', flag: 'L', size }), padded(whole), rawHeader(header)]);
  });

test('what is taken, GNU tar unpacks in two passes without going through a link', async () => {
  const passes = fc.tuple(fc.array(knotted, { maxLength: 4 }), fc.array(knotted, { minLength: 1, maxLength: 3 }));
  const directory = mkdtempSync(path.join(inMemory, 'caretaker-fuzz-'));
  const [outside, inside] = [path.join(directory, 'outside'), path.join(directory, 'inside')];
  let unpacked = 0;
  try {
    await forAll(passes, 3000, async (both) => {
      const archives = both.map((members) => archive(...members));
      const links = new Set<string>();
      const taken = await codedOr(async () => {
        for (const bytes of archives) await walk(bytes, 700, links);
      });
      if ('errors' in taken || unpacked >= 300) return;
      unpacked += 1;
      for (const place of [outside, inside]) {
        rmSync(place, { recursive: true, force: true });
        mkdirSync(place);
      }
      for (const input of archives) spawnSync('tar', ['-xf', '-', '-C', inside], { input });
      expect(readdirSync(outside)).toEqual([]);
    });
  } finally {
    rmSync(directory, { recursive: true });
  }
  expect(unpacked).toBeGreaterThan(100);
});
