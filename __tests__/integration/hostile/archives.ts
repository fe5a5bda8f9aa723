import { zstdCompressSync } from 'node:zlib';
import { archive, member, octal, padded, paxHeader, rawHeader, record, END } from '../../unit/fuzz/tar-bytes.ts';
import type { Place, Reading } from './place.ts';

export interface Hostile {
  readonly title: string;
  readonly make: (place: Place) => void;
  /** Of the error in each reading; null where it is taken, and harmless. One for all, unless told. */
  readonly code: string | null | Readonly<Partial<Record<Reading, string | null>>>;
  readonly flags?: (place: Place) => readonly string[];
  /** The one part that is restored, where no other matters. */
  readonly only?: string;
}

const HOSTILE = 'part-hostile';
const DAMAGED = 'part-damaged';
const root = member({ name: './', flag: '5', mode: 0o755 });
const device = rawHeader({ name: 'hidden', flag: '3' });
const file = (name: string, content = 'x'): Buffer => member({ name }, content);
const link = (name: string, target: string): Buffer => rawHeader({ name, flag: '2', link: target });
const hard = (name: string, target: string): Buffer => rawHeader({ name, flag: '1', link: target });
const long = (name: string, flag = 'L', size?: number): Buffer =>
  member({ name: '././@LongLink', flag, ...(size === undefined ? {} : { size }) }, `${name}\0`);
const WHOLE = {
  'GNU.sparse.major': '1',
  'GNU.sparse.minor': '0',
  'GNU.sparse.name': 's',
  'GNU.sparse.realsize': '4096',
};
const base256 = (hex: string): Buffer => Buffer.from(hex, 'hex');

/** Archives of the directory `media`, each but for its hostility well made, and with digests that fit. */
const members: readonly (readonly [title: string, code: Hostile['code'], ...members: readonly Buffer[]])[] = [
  ['an absolute name', HOSTILE, file('/etc/cron.d/caretaker')],
  ['a name that begins with ..', HOSTILE, file('../outside/secret')],
  ['a name with .. in its middle', HOSTILE, file('sub/../../outside/secret')],
  ['a name that ends in ..', HOSTILE, file('sub/..')],
  ['a name ./../', HOSTILE, member({ name: './../', flag: '5' })],
  ['an empty name', HOSTILE, file('')],
  ['a prefix that climbs', HOSTILE, member({ name: 'secret', prefix: '../outside' }, 'x')],
  ['names with backslashes, blanks and line ends', null, file('a\\..\\b'), file(' '), file('x\n::set-output name=a::b'), file('-rf'), file('$(id)')],
  ['names in look-alikes of .. and /', null, file('․․'), file('..／secret'), file('\u202egnp.exe')],
  ['a file for the root', HOSTILE, file('.')],
  ['a link for the root', HOSTILE, link('./', '../outside')],
  ['a file through a link', HOSTILE, link('l', '../outside'), file('l/secret')],
  ['a file through a link to a directory of its own', HOSTILE, link('l', 'sub'), file('l/x')],
  ['a file through a chain of links', HOSTILE, link('l', 'm'), link('m', '../outside'), file('./l//secret')],
  ['a file through a link in the middle of its name', HOSTILE, link('sub/l', '/'), file('sub/l/etc/x')],
  ['a directory in the place of a link', HOSTILE, link('l', '../outside'), member({ name: 'l', flag: '5' }), file('l/secret')],
  ['a directory that a link replaces, and a file in it', HOSTILE, member({ name: 'd', flag: '5' }), link('d', '../outside'), file('d/secret')],
  ['a file that a link replaces', null, file('l'), link('l', '../outside/secret')],
  ['links to outside that nothing goes through', null, link('l', '/etc/shadow'), link('m', '../../outside')],
  ['an absolute hard link', HOSTILE, hard('h', '/etc/passwd')],
  ['a hard link that climbs', HOSTILE, hard('h', '../outside/secret')],
  ['a hard link through a link', HOSTILE, link('l', '../outside'), hard('h', 'l/secret')],
  ['a file through another name of a link', HOSTILE, link('l', '../outside'), hard('h', 'l'), file('h/secret')],
  ['a hard link to the root', HOSTILE, hard('h', './')],
  ['a character device', HOSTILE, rawHeader({ name: 'null', flag: '3' })],
  ['a block device', HOSTILE, rawHeader({ name: 'sda', flag: '4' })],
  ['a pipe, which nobody opens', null, rawHeader({ name: 'pipe', flag: '6' })],
  ['a socket’s type', HOSTILE, rawHeader({ name: 's', flag: 's' })],
  ['a type that nobody knows', HOSTILE, rawHeader({ name: 'x', flag: 'Z' })],
  ['Solaris’ extended header', HOSTILE, member({ name: 'pax', flag: 'X' }, record('path', '../outside/secret')), file('a')],
  ['a file of GNU’s in several volumes', HOSTILE, rawHeader({ name: 'x', flag: 'M' })],
  ['a file of the contiguous type', null, member({ name: 'c', flag: '7' }, 'x')],
  ['a directory of the contiguous type that hides a device', HOSTILE, member({ name: 'd/', flag: '7' }, device)],
  ['a directory with content that hides a device', HOSTILE, member({ name: 'd', flag: '5' }, device)],
  ['a link with content that hides a device', HOSTILE, member({ name: 'l', flag: '2', link: 'x' }, device)],
  ['GNU’s long name that climbs', HOSTILE, long('../outside/secret'), file('a')],
  ['GNU’s long link that climbs', HOSTILE, long('../outside/secret', 'K'), hard('h', 'a')],
  ['GNU’s long name that goes on behind its size', HOSTILE, long('l/secret', 'L', 1), file('a')],
  ['GNU’s long name of 32 MiB', HOSTILE, rawHeader({ name: '././@LongLink', flag: 'L', size: 32 * 1024 * 1024 }), Buffer.alloc(1024, 1)],
  ['a pax path that climbs', HOSTILE, paxHeader({ path: '../outside/secret' }), file('a')],
  ['an absolute pax path', HOSTILE, paxHeader({ path: '/etc/x' }), file('a')],
  ['a pax linkpath that climbs', HOSTILE, paxHeader({ linkpath: '../outside/secret' }), hard('h', 'a')],
  ['a pax path behind two blanks', DAMAGED, paxHeader({ ' path': '../outside/secret' }), file('a')],
  ['a pax path with a NUL', HOSTILE, paxHeader({ path: 'a\0../x' }), file('a')],
  ['a pax path with a line end', null, paxHeader({ path: 'a\nb' }), file('a')],
  ['a pax path of 8 kB', HOSTILE, paxHeader({ path: 'a/'.repeat(4000) }), file('a')],
  ['a pax record of another length', DAMAGED, paxHeader('99 path=a\n'), file('a')],
  ['a pax record of negative length', DAMAGED, paxHeader('-9 path=a\n'), file('a')],
  ['a pax record of no length', DAMAGED, paxHeader('0 \n'), file('a')],
  ['a pax record without an end', DAMAGED, paxHeader('12 path=abcd'), file('a')],
  ['a pax record without a key', DAMAGED, paxHeader('5 =a\n'), file('a')],
  ['a pax header of 32 MiB', HOSTILE, rawHeader({ name: 'pax', flag: 'x', size: 32 * 1024 * 1024 }), Buffer.alloc(1024, 1)],
  ['a pax size that hides a device', HOSTILE, paxHeader({ size: '0' }), member({ name: 'a' }, device)],
  ['a pax size in hexadecimal that hides one', DAMAGED, paxHeader({ size: '0x200' }), rawHeader({ name: 'a' }), device],
  ['a pax size that hides one behind a blank size', DAMAGED, paxHeader({ size: '512' }), rawHeader({ name: 'a', size: ' '.repeat(12) }), device],
  ['a negative pax size', DAMAGED, paxHeader({ size: '-1' }), file('a')],
  ['a pax size for a long name', HOSTILE, paxHeader({ size: '1024' }), long('a'), device],
  ['two pax headers for one member', HOSTILE, paxHeader({ size: '512' }), paxHeader({ path: 'b' }), file('a')],
  ['a path for all members', HOSTILE, paxHeader({ path: '../x' }, 'g'), file('a')],
  ['a size for all members', HOSTILE, paxHeader({ size: '0' }, 'g'), member({ name: 'a' }, device)],
  ['holes for all members', HOSTILE, paxHeader({ 'GNU.sparse.realsize': '0' }, 'g'), member({ name: 'a' }, device)],
  ['a real size without holes that hides a device', HOSTILE, paxHeader({ 'GNU.sparse.realsize': '0' }), member({ name: 'a' }, device)],
  ['holes that hide a device', HOSTILE, paxHeader(WHOLE), member({ name: 's' }, '1\n0\n1024\n'), member({ name: 'b' }, Buffer.concat([Buffer.alloc(512, 1), device]))],
  ['a billion holes', HOSTILE, paxHeader(WHOLE), member({ name: 's' }, '999999999999\n0\n0\n')],
  ['a sparse name that climbs', HOSTILE, paxHeader({ ...WHOLE, 'GNU.sparse.name': '../outside/secret' }), member({ name: 's' }, '0\n')],
  ['holes in the older form', HOSTILE, paxHeader({ 'GNU.sparse.map': '0,1024', 'GNU.sparse.size': '1024' }), file('a')],
  ['GNU’s holes that hide a device', HOSTILE, rawHeader({ name: 's', flag: 'S', size: 512, magic: 'ustar  \0', change: (block) => { block.write(octal(0) + octal(1024), 386); block.write(octal(1024), 483); } }), padded('x'), member({ name: 'b' }, device)],
  ['a size of 8 EiB', DAMAGED, rawHeader({ name: 'a', size: base256('800000008000000000000000') })],
  ['a negative size', DAMAGED, rawHeader({ name: 'a', size: base256('ffffffffffffffffffffffff') })],
  ['a size that is longer than the archive', DAMAGED, rawHeader({ name: 'a', size: '77777777777\0' })],
  ['a size that is no number', DAMAGED, rawHeader({ name: 'a', size: '12x\0' })],
  ['a wrong checksum', DAMAGED, rawHeader({ name: 'a', checksum: '000001\0 ' })],
  ['a member behind its end', DAMAGED, file('a'), END, file('../outside/secret')],
  ['a member behind one block of zeros', DAMAGED, file('a'), Buffer.alloc(512), device],
  ['garbage', DAMAGED, Buffer.alloc(2048, 7)],
  ['set-user-id files, which a volume may have', null, member({ name: 'run', mode: 0o6755 }, 'x')],
  ['a hard link to itself', { elsewhere: 'command-failed', drill: null, live: 'command-failed' }, hard('h', 'h')],
  ['a hard link before what it is one to', { elsewhere: 'command-failed', drill: null, live: 'command-failed' }, hard('h', 'z'), file('z')],
]; // prettier-ignore

/** A frame that says nothing, of that many bytes. */
function skippable(bytes: number, told = bytes): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(0x184d2a50, 0);
  head.writeUInt32LE(told, 4);
  return Buffer.concat([head, Buffer.alloc(bytes)]);
}

const bomb = (): Buffer => zstdCompressSync(Buffer.alloc(64 * 1024 * 1024));

const stored: readonly Hostile[] = [
  { title: 'nothing in a part’s file', code: DAMAGED, make: (place) => place.store('media', Buffer.alloc(0), 0) },
  { title: 'a part that is no zstd', code: DAMAGED, make: (place) => place.store('media', Buffer.from('hello'), 5) },
  { title: 'a tar that is not compressed', code: DAMAGED, make: (place) => place.store('media', archive(root), 1536) },
  { title: 'a part that is cut in the middle', code: DAMAGED, make: (place) => place.store('media', zstdCompressSync(place.raw('media')).subarray(0, 60), place.raw('media').length) }, // prettier-ignore
  { title: 'garbage behind the frames', code: DAMAGED, make: (place) => place.store('media', Buffer.concat([zstdCompressSync(place.raw('media')), Buffer.from('more')]), place.raw('media').length) }, // prettier-ignore
  {
    title: 'a bomb that holds more than the manifest says',
    code: DAMAGED,
    make: (place) => place.store('media', bomb(), 10_240),
  },
  { title: 'a bomb of zeros, told rightly', code: null, make: (place) => place.archive('media', Buffer.concat([root, Buffer.alloc(64 * 1024 * 1024)])) }, // prettier-ignore
  { title: 'fewer bytes than the manifest says', code: DAMAGED, make: (place) => place.store('media', zstdCompressSync(place.raw('media')), place.raw('media').length + 512) }, // prettier-ignore
  { title: 'a manifest that tells of more than any disk holds', code: 'disk-full', make: (place) => place.store('media', zstdCompressSync(place.raw('media')), 2 ** 52) }, // prettier-ignore
  { title: 'a frame with a window of terabytes', code: DAMAGED, make: (place) => place.store('media', Buffer.from('28b52ffd00ff0100000000', 'hex'), 1024) }, // prettier-ignore
  { title: 'a frame that says that it holds exabytes', code: DAMAGED, make: (place) => place.store('media', Buffer.from('28b52ffde0ffffffffffffff7f0300aa', 'hex'), 1024) }, // prettier-ignore
  { title: 'a frame with a dictionary', code: DAMAGED, make: (place) => place.store('media', Buffer.from('28b52ffd2101050100000061', 'hex'), 1) }, // prettier-ignore
  { title: 'frames one behind the other, and some that say nothing', code: null, make: (place) => { const raw = place.raw('media'); place.store('media', Buffer.concat([skippable(7), zstdCompressSync(raw.subarray(0, 700)), skippable(100_000), zstdCompressSync(raw.subarray(700))]), raw.length); } }, // prettier-ignore
  { title: 'a frame that says nothing and does not end', code: DAMAGED, make: (place) => place.store('media', Buffer.concat([zstdCompressSync(place.raw('media')), skippable(7, 2 ** 32 - 1)]), place.raw('media').length) }, // prettier-ignore
  { title: '20,000 empty frames', code: null, make: (place) => { const raw = place.raw('media'); place.store('media', Buffer.concat([...Array.from({ length: 20_000 }, () => zstdCompressSync(Buffer.alloc(0))), zstdCompressSync(raw)]), raw.length); } }, // prettier-ignore
];

/** What only the second archive of a part brings about, and parts of one file. */
const others: readonly Hostile[] = [
  {
    title: 'a second pass through a link of the first',
    code: { elsewhere: HOSTILE, drill: null, live: HOSTILE },
    only: 'media',
    make: (place) => {
      place.archive('media', archive(root, link('l', '../../outside')));
      place.archive('media', archive(file('l/secret')), 'changed1.tar');
    },
  },
  {
    title: 'a second pass through another name of a link of the first',
    code: { elsewhere: HOSTILE, drill: null, live: HOSTILE },
    only: 'media',
    make: (place) => {
      place.archive('media', archive(root, link('l', place.at('outside')), hard('h', 'l')));
      place.archive('media', archive(file('h/secret')), 'changed1.tar');
    },
  },
  {
    title: 'a second pass through a link that a file of no UTF-8 name made forgotten',
    code: { elsewhere: HOSTILE, drill: null, live: HOSTILE },
    only: 'media',
    make: (place) => {
      const name = (text: string): Buffer => Buffer.from(text, 'latin1');
      const first = rawHeader({ name: name('./\xff'), flag: '2', link: place.at('outside') });
      place.archive('media', archive(root, first, member({ name: name('./\xfe') })));
      place.archive('media', archive(member({ name: name('./\xff/secret') }, 'x')), 'changed1.tar');
    },
  },
  {
    title: 'a second pass through a link that a list of what went made forgotten',
    code: { elsewhere: HOSTILE, drill: null, live: HOSTILE },
    only: 'media',
    make: (place) => {
      place.archive('media', archive(root, link('./é', place.at('outside'))));
      place.archive('media', Buffer.from('./\xe9\0', 'latin1'), 'removed1');
      place.archive('media', archive(file('./é/secret')), 'changed1.tar');
    },
  },
  {
    title: 'a list of what went that climbs',
    code: { elsewhere: HOSTILE, drill: null, live: HOSTILE },
    only: 'media',
    make: (place) => place.archive('media', Buffer.from('./../../outside/secret\0'), 'removed1'),
  },
  {
    title: 'a list of what went with an absolute path',
    code: { elsewhere: DAMAGED, drill: null, live: DAMAGED },
    only: 'media',
    make: (place) => place.archive('media', Buffer.from(`${place.at('outside/secret')}\0`), 'removed1'),
  },
  {
    title: 'a list of what went that goes through a link',
    code: { elsewhere: HOSTILE, drill: null, live: HOSTILE },
    only: 'media',
    make: (place) => {
      place.archive('media', archive(root, link('l', place.at('outside'))));
      place.archive('media', Buffer.from('./l/secret\0'), 'removed1');
    },
  },
  ...(['key', 'db'] as const).flatMap((part): Hostile[] => {
    const code = { elsewhere: DAMAGED, drill: part === 'db' ? DAMAGED : null, live: DAMAGED };
    return [
      { title: `a link for the one file of ${part}`, code, only: part, make: (place) => place.archive(part, archive(link('./x', place.at('outside/secret')))) }, // prettier-ignore
      { title: `a pipe for the one file of ${part}`, code, only: part, make: (place) => place.archive(part, archive(rawHeader({ name: './x', flag: '6' }))) }, // prettier-ignore
      {
        title: `a directory for the one file of ${part}`,
        code,
        only: part,
        make: (place) => place.archive(part, archive(root)),
      },
      { title: `two files for the one of ${part}`, code, only: part, make: (place) => place.archive(part, archive(file('a'), file('b'))) }, // prettier-ignore
      { title: `no file for the one of ${part}`, code, only: part, make: (place) => place.archive(part, archive()) },
    ];
  }),
  {
    title: 'a file that is no database for the one of db',
    code: 'sqlite-damaged',
    make: (place) => place.archive('db', archive(file('./shop.db', 'x'.repeat(5000)))),
  },
  {
    title: 'a million empty files, for a part of one',
    code: { elsewhere: DAMAGED, drill: null, live: DAMAGED },
    make: (place) => {
      const thousand = Buffer.concat(Array.from({ length: 1000 }, (_, number) => rawHeader({ name: `f${number}` })));
      const raw = Buffer.concat([...Array.from({ length: 1000 }, () => thousand), END]);
      place.archive('key', raw);
    },
  },
];

export const hostileArchives: readonly Hostile[] = [
  ...members.map(([title, code, ...all]) => ({
    title: `an archive with ${title}`,
    code,
    make: (place: Place) => place.archive('media', archive(root, ...all)),
    only: 'media',
  })),
  ...stored.map((one) => ({ ...one, only: 'media' })),
  ...others,
];
