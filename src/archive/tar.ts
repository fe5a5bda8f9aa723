import { CaretakerError } from '../errors.ts';

const BLOCK = 512;
/** Names, xattrs and sparse maps fit in far less; a header that asks for more is an attack on memory. */
const MAX_HEADER_BYTES = 16 * 1024 * 1024;
/** Linux takes no longer path, so that nothing with such a name could be unpacked. */
const MAX_NAME_LENGTH = 4096;
/** Headers that say more of the member behind them, or of all. */
const EXTENDED = ['x', 'g', 'L', 'K'];
const GNU_MAGIC = 'ustar  \0';

/** One entry of a tar archive, with what its pax or GNU headers say. */
export interface TarMember {
  /** As in the archive, e.g. `./media/a.png`. */
  readonly name: string;
  /** The same without `.` and empty components, e.g. `media/a.png`; '' for the root. */
  readonly path: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'hardlink' | 'fifo' | 'other';
  /** Bytes of content as stored in the archive. */
  readonly size: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since 1970. */
  readonly mtime: number;
  /** Of a hard link: the path of the member that it is another name of. */
  readonly target?: string;
}

export interface TarHandlers {
  /** Called with each member before any of its bytes is passed on. */
  readonly onMember?: (member: TarMember) => void;
  /**
   * The symbolic links that lie where this archive is unpacked, of archives before it: nothing may go through them. Those of this one come to them. Paths with a character for each
   * byte, since that is how files are told apart: as text, two names that are no UTF-8 may be one.
   */
  readonly links?: Set<string>;
  /** Called with the pieces of the last member's content. */
  readonly onContent?: (bytes: Buffer) => void;
  /** Members for which it is false are not passed on, nor their own headers; they are checked all the same. */
  readonly keep?: (member: TarMember) => boolean;
}

/**
 * Passes a tar archive through, byte for byte, while it walks over its members: ustar, pax and GNU headers, as GNU tar
 * and pg_basebackup write them. A chunk is passed on only after all headers in it were found good, so that an unpacking
 * program behind it never sees a member that is refused.
 *
 * Throws `part-damaged` (checksum of a header, sizes, no end-of-archive, data behind it) and `part-hostile` for a member
 * that could touch anything outside the directory that it is unpacked into: an absolute name, `..`, a device, a hard
 * link to outside, anything below a symbolic link of the same archive. Links to outside are data as long as nothing goes
 * through them.
 *
 * What one program reads in one way and another one otherwise is refused as well: where they disagree about how long a member is, one of them takes content for headers, and
 * unpacks members that the other has not seen.
 */
export async function* checkTar(
  source: AsyncIterable<Uint8Array>,
  handlers: TarHandlers = {},
): AsyncGenerator<Uint8Array> {
  const walk = new TarWalk(handlers);
  for await (const chunk of source) {
    walk.feed(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    if (handlers.keep === undefined) yield chunk;
    else yield* walk.takeKept();
  }
  walk.end();
}

/** Texts of headers have a character for each byte until they are shown or given out. */
type PaxRecords = ReadonlyMap<string, string>;
interface Header {
  readonly member: TarMember;
  readonly flag: string;
  /** A character for each byte. */
  readonly name: string;
  readonly link: string;
  /** Of a sparse file in the pax format: how large it is with its holes. */
  readonly realSize: number | undefined;
}

class TarWalk {
  private readonly handlers: TarHandlers;
  private readonly links: Set<string>;
  private partial: Buffer = Buffer.alloc(0);
  /** Bytes of content and padding still to come, and how many of them are content. */
  private skip = 0;
  private content = 0;
  private collecting: { readonly flag: string; readonly pieces: Buffer[] } | undefined;
  /** The member's content begins with a map of its holes, or more of that follows in blocks of its own. */
  private map: MapInContent | undefined;
  private mapBlocks: MapInBlocks | undefined;
  /** The kinds of extended headers that have come since the last member. */
  private extended = '';
  private pax: PaxRecords = new Map();
  private longName: string | undefined;
  private longLink: string | undefined;
  private zeros = 0;
  private finished = false;
  /** With `keep`: what is to be passed on, and the headers whose member is still to come. */
  private kept: Buffer[] = [];
  private held: Buffer[] = [];
  private keeping = true;

  constructor(handlers: TarHandlers) {
    this.handlers = handlers;
    this.links = handlers.links ?? new Set();
  }

  feed(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0) {
      if (this.skip > 0) {
        const taken = rest.subarray(0, Math.min(this.skip, rest.length));
        rest = rest.subarray(taken.length);
        this.take(taken);
        continue;
      }
      const wanted = BLOCK - this.partial.length;
      if (rest.length < wanted) {
        this.partial = Buffer.concat([this.partial, rest]);
        return;
      }
      const block =
        this.partial.length === 0 ? rest.subarray(0, BLOCK) : Buffer.concat([this.partial, rest.subarray(0, wanted)]);
      this.partial = Buffer.alloc(0);
      rest = rest.subarray(wanted);
      this.block(block);
    }
  }

  end(): void {
    if (this.skip > 0 || this.partial.length > 0 || this.mapBlocks !== undefined)
      throw damaged('it ends in the middle of a member');
    if (!this.finished) throw damaged('its end-of-archive mark is missing');
  }

  takeKept(): Buffer[] {
    const kept = this.kept;
    this.kept = [];
    return kept;
  }

  private take(bytes: Buffer): void {
    this.skip -= bytes.length;
    this.pass(bytes);
    const content = bytes.subarray(0, Math.min(this.content, bytes.length));
    this.content -= content.length;
    if (this.collecting !== undefined) {
      this.collecting.pieces.push(Buffer.from(content));
      if (this.skip === 0) this.collected();
    } else if (content.length > 0) {
      this.map?.feed(content);
      this.handlers.onContent?.(content);
    }
    if (this.skip === 0) {
      this.map?.end();
      this.map = undefined;
    }
  }

  private pass(bytes: Buffer): void {
    if (this.handlers.keep === undefined) return;
    // The source may use its buffer again before the member comes.
    if (this.collecting !== undefined) this.held.push(Buffer.from(bytes));
    else if (this.keeping) this.kept.push(bytes);
  }

  private collected(): void {
    const { flag, pieces } = this.collecting!;
    this.collecting = undefined;
    const bytes = Buffer.concat(pieces);
    // GNU tar would go on into what fills the last block.
    if (['L', 'K'].includes(flag) && !bytes.includes(0)) throw hostile('a header', 'has a name that does not end');
    if (flag === 'L') this.longName = cString(bytes);
    else if (flag === 'K') this.longLink = cString(bytes);
    else if (flag === 'x') this.pax = paxRecords(bytes);
    else {
      for (const key of paxRecords(bytes).keys()) {
        if (['path', 'linkpath', 'size'].includes(key) || key.startsWith('GNU.')) {
          throw hostile('a header for all members', `sets "${key}"`);
        }
      }
    }
  }

  private block(block: Buffer): void {
    if (this.mapBlocks !== undefined) {
      this.pass(block);
      if (!this.mapBlocks.more(block)) [this.skip, this.content] = this.endOfMap(this.mapBlocks);
      return;
    }
    if (block.every((byte) => byte === 0)) {
      this.keeping = true;
      this.pass(block);
      this.zeros += 1;
      if (this.zeros >= 2) this.finished = true;
      return;
    }
    if (this.zeros > 0) throw damaged('there is data behind its end-of-archive mark');
    const stored = readStored(block);
    const { flag } = stored;
    if (EXTENDED.includes(flag)) {
      // The size that a header before it sets is the member's, not this one's.
      if (stored.size > MAX_HEADER_BYTES) throw hostile('a header', 'is larger than any needs to be');
      if (this.extended.includes(flag)) throw hostile('a header', 'comes twice for one member');
      this.extended += flag;
      this.collecting = { flag, pieces: [] };
      this.pass(block);
      [this.skip, this.content] = [paddedSize(stored.size), stored.size];
      if (this.skip === 0) this.collected();
      return;
    }
    const header = readHeader(block, stored, this.pax, this.longName, this.longLink);
    this.refuseHostile(header);
    const pax = this.pax;
    this.pax = new Map();
    this.longName = this.longLink = undefined;
    this.extended = '';
    const { member } = header;
    this.handlers.onMember?.(member);
    this.keeping = this.handlers.keep?.(member) ?? true;
    if (this.keeping) this.kept.push(...this.held);
    this.held = [];
    this.pass(block);
    if (flag === 'S') {
      if (pax.has('size')) throw hostile(header.name, 'has two sizes');
      const map = new MapInBlocks(header, block);
      if (map.goesOn) this.mapBlocks = map;
      else [this.skip, this.content] = this.endOfMap(map);
      return;
    }
    if (header.realSize !== undefined) {
      this.map = new MapInContent(header.name, member.size, header.realSize);
      if (member.size === 0) this.map.end();
    }
    [this.skip, this.content] = [paddedSize(member.size), member.size];
  }

  private endOfMap(map: MapInBlocks): [number, number] {
    this.mapBlocks = undefined;
    map.end();
    return [paddedSize(map.size), map.size];
  }

  private refuseHostile({ name, link, member: { type, size } }: Header): void {
    for (const text of [name, link]) {
      if (text.length > MAX_NAME_LENGTH) throw hostile(name, 'has a longer name than any file can have');
    }
    const parts = safeParts(name);
    if (parts === null) throw hostile(name, 'leaves the directory that it belongs to');
    if (type === 'other') throw hostile(name, 'is a device or of an unknown type');
    // Some programs take it for content, others for the next members.
    if (type !== 'file' && size > 0) throw hostile(name, 'has content, and is no file');
    if (parts.length === 0 && type !== 'directory') throw hostile(name, 'would replace the root by something else');
    const through = this.throughLink(parts);
    if (through !== undefined) throw hostile(name, `would be written through the symbolic link "${shown(through)}"`);
    let isLink = type === 'symlink';
    if (type === 'hardlink') {
      const target = safeParts(link);
      if (target === null || target.length === 0) throw hostile(name, 'is a hard link to something outside');
      const via = this.throughLink(target);
      if (via !== undefined) throw hostile(name, `is a hard link through the symbolic link "${shown(via)}"`);
      // Another name of a symbolic link is one, too.
      isLink = this.links.has(target.join('/'));
    }
    const path = parts.join('/');
    if (isLink) this.links.add(path);
    else if (type === 'directory' && this.links.has(path)) {
      // GNU tar keeps a link to a directory that lies where a directory is to be made.
      throw hostile(name, 'would be written through the symbolic link of the same name');
    } else this.links.delete(path);
  }

  private throughLink(parts: readonly string[]): string | undefined {
    if (this.links.size === 0) return undefined;
    for (let depth = 1; depth < parts.length; depth += 1) {
      const above = parts.slice(0, depth).join('/');
      if (this.links.has(above)) return above;
    }
    return undefined;
  }
}

/** What a header says by itself. Its checksum is right. */
function readStored(block: Buffer): { readonly flag: string; readonly size: number } {
  const stored = number(block, 148, 8);
  let sum = 8 * 0x20;
  for (let at = 0; at < BLOCK; at += 1) if (at < 148 || at >= 156) sum += block[at]!;
  if (sum !== stored) throw damaged("a member's header has the wrong checksum");
  const size = number(block, 124, 12, { blank: false });
  return { flag: block[156] === 0 ? '0' : String.fromCharCode(block[156]!), size };
}

function readHeader(
  block: Buffer,
  stored: { readonly flag: string; readonly size: number },
  pax: PaxRecords,
  longName?: string,
  longLink?: string,
): Header {
  const { flag } = stored;
  const ustar = block.toString('latin1', 257, 263) === 'ustar\0';
  const prefix = ustar ? cString(block.subarray(345, 500)) : '';
  const short = cString(block.subarray(0, 100));
  const name =
    pax.get('GNU.sparse.name') ?? pax.get('path') ?? longName ?? (prefix === '' ? short : `${prefix}/${short}`);
  const sizeText = pax.get('size');
  if (sizeText !== undefined && !DIGITS.test(sizeText)) throw damaged("a member's size is not a number");
  const link = pax.get('linkpath') ?? longLink ?? cString(block.subarray(157, 257));
  const type = typeOf(flag, name);
  const path = (parts: string[] | null): string => shown((parts ?? []).join('/'));
  return {
    flag,
    name,
    link,
    realSize: realSizeOf(block, flag, name, pax),
    member: {
      name: shown(name),
      path: path(safeParts(name)),
      type,
      ...(type === 'hardlink' ? { target: path(safeParts(link)) } : {}),
      size: sizeText === undefined ? stored.size : Number(sizeText),
      mode: number(block, 100, 8) & 0o7777,
      uid: Number(pax.get('uid') ?? number(block, 108, 8)),
      gid: Number(pax.get('gid') ?? number(block, 116, 8)),
      mtime: Number(pax.get('mtime') ?? number(block, 136, 12)),
    },
  };
}

/**
 * Of a sparse file in the pax format 1.0, which is what GNU tar writes. Undefined where nothing is sparse; the older forms, records that make a file only half sparse, and those of archives in several volumes
 * are refused: GNU tar reads as much content of those as they say, however long the member is.
 */
function realSizeOf(block: Buffer, flag: string, name: string, pax: PaxRecords): number | undefined {
  const keys = [...pax.keys()].filter((key) => key.startsWith('GNU.'));
  if (keys.length === 0) return undefined;
  const known = ['major', 'minor', 'name', 'realsize'].map((key) => `GNU.sparse.${key}`);
  const realSize = pax.get('GNU.sparse.realsize') ?? '';
  const whole =
    keys.every((key) => known.includes(key)) &&
    pax.get('GNU.sparse.major') === '1' &&
    pax.get('GNU.sparse.minor') === '0' &&
    DIGITS.test(realSize);
  const plainFile = ['0', '7'].includes(flag) && !name.endsWith('/');
  // With another mark, or with the times that the format of star has here, GNU tar looks for the map elsewhere.
  const ustar =
    block.toString('latin1', 257, 263) === 'ustar\0' && block.subarray(476, 500).every((byte) => byte === 0);
  if (!whole || !plainFile || !ustar) throw hostile(name, 'has holes or volumes of a kind that no backup has');
  return Number(realSize);
}

/** The map of a sparse file's holes. GNU tar reads as much as it says, whatever the member's size is: the two must agree. */
class HoleMap {
  private readonly name: string;
  private readonly realSize: number;
  /** Of content that the map has told of. */
  protected blocks = 0;

  constructor(name: string, realSize: number) {
    this.name = name;
    this.realSize = realSize;
  }

  protected add(offset: number, bytes: number): void {
    if (offset + bytes > this.realSize) throw this.unfit();
    this.blocks += Math.ceil(bytes / BLOCK);
  }

  protected unfit(): CaretakerError {
    return hostile(this.name, 'has a map of its holes that does not fit it');
  }
}

/** Pax 1.0: the content begins with decimal numbers, each ended by a line feed: how many pieces there are, and offset and length of each. Zeros fill the last block. */
class MapInContent extends HoleMap {
  private readonly size: number;
  private read = 0;
  private text = '';
  /** Numbers still to come; undefined before the first. */
  private left: number | undefined;
  private offset = 0;

  constructor(name: string, size: number, realSize: number) {
    super(name, realSize);
    this.size = size;
  }

  feed(content: Buffer): void {
    for (let at = 0; at < content.length && this.left !== 0; at += 1) {
      this.read += 1;
      const char = String.fromCharCode(content[at]!);
      if (char !== '\n') {
        this.text += char;
        if (this.text.length > 15) throw this.unfit();
        continue;
      }
      if (!DIGITS.test(this.text)) throw this.unfit();
      this.number(Number(this.text));
      this.text = '';
      const map = Math.ceil(this.read / BLOCK);
      if (this.left === 0 && (map + this.blocks) * BLOCK !== paddedSize(this.size)) throw this.unfit();
    }
  }

  end(): void {
    if (this.left !== 0) throw this.unfit();
  }

  private number(value: number): void {
    if (this.left === undefined) {
      if (value * 4 > this.size) throw this.unfit();
      this.left = 2 * value;
      return;
    }
    if (this.left % 2 === 0) this.offset = value;
    else this.add(this.offset, value);
    this.left -= 1;
  }
}

/** GNU's own format: four pieces in the header, and 21 in each block behind it, as long as the last byte of that says so. */
class MapInBlocks extends HoleMap {
  readonly size: number;
  goesOn: boolean;

  constructor({ name, member: { size } }: Header, block: Buffer) {
    if (block.toString('latin1', 257, 265) !== GNU_MAGIC || name.endsWith('/'))
      throw hostile(name, 'has holes of a kind that no backup has');
    super(name, number(block, 483, 12, { blank: false }));
    this.size = size;
    this.goesOn = this.pieces(block, 386, 4, block[482] !== 0);
  }

  /** Whether still more follow. */
  more(block: Buffer): boolean {
    this.goesOn = this.pieces(block, 0, 21, block[504] !== 0);
    return this.goesOn;
  }

  end(): void {
    if (this.blocks * BLOCK !== paddedSize(this.size)) throw this.unfit();
  }

  private pieces(block: Buffer, start: number, count: number, goesOn: boolean): boolean {
    for (let at = start; at < start + count * 24; at += 24) {
      // The list ends here, for GNU tar even where it is said to go on.
      if (block[at + 12] === 0) {
        if (goesOn) throw this.unfit();
        return false;
      }
      this.add(number(block, at, 12, { blank: false }), number(block, at + 12, 12, { blank: false }));
    }
    return goesOn;
  }
}

function paddedSize(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}

function typeOf(flag: string, name: string): TarMember['type'] {
  switch (flag) {
    case '0':
    case '7':
      return name.endsWith('/') ? 'directory' : 'file';
    case 'S':
      return 'file';
    case '1':
      return 'hardlink';
    case '2':
      return 'symlink';
    case '5':
      return 'directory';
    case '6':
      return 'fifo';
    default:
      return 'other';
  }
}

/** The components of a relative path without `.`; null for one that is absolute, climbs, or holds a NUL. */
function safeParts(name: string): string[] | null {
  if (name === '' || name.startsWith('/') || name.includes('\0')) return null;
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  return parts.includes('..') ? null : parts;
}

/** As far as JavaScript can tell numbers apart. */
const DIGITS = /^\d{1,15}$/;

/** Octal text, or GNU's base 256 where the first bit is set. `blank`: whether nothing stands for 0. */
function number(block: Buffer, at: number, length: number, { blank = true } = {}): number {
  if ((block[at]! & 0x80) !== 0) {
    let value = block[at]! & 0x7f;
    for (let i = at + 1; i < at + length; i += 1) value = value * 256 + block[i]!;
    if (!Number.isSafeInteger(value)) throw damaged('a number in a header is out of range');
    return value;
  }
  const text = cString(block.subarray(at, at + length)).trim();
  if (!/^[0-7]*$/.test(text) || (text === '' && !blank)) throw damaged('a number in a header is not one');
  return text === '' ? 0 : parseInt(text, 8);
}

function cString(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('latin1', 0, end === -1 ? bytes.length : end);
}

/** The text of a name that has a character for each byte. */
function shown(name: string): string {
  return Buffer.from(name, 'latin1').toString('utf8');
}

/** `LENGTH KEY=VALUE\n`, the length counting itself: digits, and one blank. GNU tar skips more blanks, and would find another key than this. */
function paxRecords(bytes: Buffer): Map<string, string> {
  const records = new Map<string, string>();
  let at = 0;
  while (at < bytes.length) {
    const space = bytes.indexOf(0x20, at);
    const digits = space === -1 ? '' : bytes.toString('latin1', at, Math.min(space, at + 16));
    const end = at + Number(digits);
    if (!DIGITS.test(digits) || end > bytes.length || end <= space || bytes[end - 1] !== 0x0a) {
      throw damaged('a pax header is malformed');
    }
    const equals = bytes.indexOf(0x3d, space);
    const key = equals === -1 || equals >= end ? '' : bytes.toString('latin1', space + 1, equals);
    if (key === '' || /^[ \t]|\0/.test(key)) throw damaged('a pax header is malformed');
    records.set(key, bytes.toString('latin1', equals + 1, end - 1));
    at = end;
  }
  return records;
}

/** A member's header in pax format, with a header of its own before it where the name does not fit. Content must be padded to 512 bytes by the caller. */
export function tarHeader(member: TarMember): Buffer {
  const name = Buffer.from(member.name);
  const records: string[] = [];
  if (name.length > 100) records.push(paxRecord('path', member.name));
  if (member.size > 0o77777777777) records.push(paxRecord('size', String(member.size)));
  for (const [key, value] of [
    ['uid', member.uid],
    ['gid', member.gid],
  ] as const) {
    if (value > 0o7777777) records.push(paxRecord(key, String(value)));
  }
  const main = header(name, member, '0');
  if (records.length === 0) return main;
  const body = Buffer.from(records.join(''));
  const extra = { ...member, size: body.length, uid: 0, gid: 0, mode: 0o644 };
  return Buffer.concat([header(Buffer.from('./PaxHeaders/member'), extra, 'x'), body, tarPadding(body.length), main]);
}

/** The zeros that fill a member's last block. */
export function tarPadding(size: number): Buffer {
  return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
}

export const TAR_END = Buffer.alloc(2 * BLOCK);

function paxRecord(key: string, value: string): string {
  const body = Buffer.byteLength(` ${key}=${value}\n`);
  let length = body + String(body).length;
  if (String(length).length !== String(body).length) length = body + String(length).length;
  return `${length} ${key}=${value}\n`;
}

function header(name: Buffer, member: TarMember, flag: string): Buffer {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, length: number): void => {
    const fits = value < 8 ** (length - 1) ? value : 0; // Where it does not fit a pax record says it.
    block.write(`${fits.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1');
  };
  name.copy(block, 0, 0, 100);
  octal(member.mode, 100, 8);
  octal(member.uid, 108, 8);
  octal(member.gid, 116, 8);
  octal(member.size, 124, 12);
  octal(Math.max(0, Math.floor(member.mtime)), 136, 12);
  block.write('        ', 148, 'latin1');
  block.write(flag, 156, 'latin1');
  block.write('ustar\0' + '00', 257, 'latin1');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}

function damaged(why: string): CaretakerError {
  return new CaretakerError('part-damaged', `failed to read the tar archive: ${why}`, {
    hint: 'The file is not what was written. Fetch it again, or take another backup.',
  });
}

function hostile(name: string, why: string): CaretakerError {
  return new CaretakerError(
    'part-hostile',
    `failed to trust the tar archive: its member ${JSON.stringify(shown(name).slice(0, 200))} ${why}`,
    {
      hint: 'Nothing was unpacked. No backup of this program holds such a member: find out where the file comes from. A device inside a directory is left out by exclude=….',
    },
  );
}
