import { CaretakerError } from '../errors.ts';

const BLOCK = 512;
/** Names, xattrs and sparse maps fit in far less; a header that asks for more is an attack on memory. */
const MAX_HEADER_BYTES = 16 * 1024 * 1024;

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
  /** The symbolic links that lie where this archive is unpacked, of archives before it: nothing may go through them. Those of this one come to them. */
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

type PaxRecords = ReadonlyMap<string, string>;
interface Header extends TarMember {
  readonly flag: string;
  readonly link: string;
}

class TarWalk {
  private readonly handlers: TarHandlers;
  private readonly links: Set<string>;
  private partial: Buffer = Buffer.alloc(0);
  /** Bytes of content and padding still to come, and how many of them are content. */
  private skip = 0;
  private content = 0;
  private collecting: { readonly flag: string; readonly pieces: Buffer[]; left: number } | undefined;
  private sparseMore = false;
  private pendingSkip = 0;
  private pendingContent = 0;
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
    if (this.skip > 0 || this.partial.length > 0 || this.sparseMore) throw damaged('it ends in the middle of a member');
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
      this.handlers.onContent?.(content);
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
    if (flag === 'L') this.longName = cString(bytes);
    else if (flag === 'K') this.longLink = cString(bytes);
    else if (flag === 'x') this.pax = paxRecords(bytes);
    else {
      for (const key of paxRecords(bytes).keys()) {
        if (['path', 'linkpath', 'size', 'GNU.sparse.name'].includes(key)) {
          throw hostile('a header for all members', `sets "${key}"`);
        }
      }
    }
  }

  private block(block: Buffer): void {
    if (this.sparseMore) {
      this.pass(block);
      this.sparseMore = block[504] !== 0;
      if (!this.sparseMore) [this.skip, this.content] = [this.pendingSkip, this.pendingContent];
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
    const header = readHeader(block, this.pax, this.longName, this.longLink);
    const padded = Math.ceil(header.size / BLOCK) * BLOCK;
    if (['x', 'g', 'L', 'K'].includes(header.flag)) {
      if (header.size > MAX_HEADER_BYTES) throw hostile('a header', 'is larger than any needs to be');
      this.collecting = { flag: header.flag, pieces: [], left: header.size };
      this.pass(block);
      [this.skip, this.content] = [padded, header.size];
      if (padded === 0) this.collected();
      return;
    }
    this.refuseHostile(header);
    this.pax = new Map();
    this.longName = this.longLink = undefined;
    this.handlers.onMember?.(header);
    this.keeping = this.handlers.keep?.(header) ?? true;
    if (this.keeping) this.kept.push(...this.held);
    this.held = [];
    this.pass(block);
    // A link has no content, whatever its size says.
    const none = header.type !== 'file';
    if (header.flag === 'S' && block[482] !== 0) {
      this.sparseMore = true;
      [this.pendingSkip, this.pendingContent] = [padded, header.size];
      return;
    }
    [this.skip, this.content] = none ? [0, 0] : [padded, header.size];
  }

  private refuseHostile(member: Header): void {
    const parts = safeParts(member.name);
    if (parts === null) throw hostile(member.name, 'leaves the directory that it belongs to');
    if (member.type === 'other') throw hostile(member.name, 'is a device or of an unknown type');
    if (parts.length === 0 && member.type !== 'directory')
      throw hostile(member.name, 'would replace the root by something else');
    const through = this.throughLink(parts);
    if (through !== undefined) throw hostile(member.name, `would be written through the symbolic link "${through}"`);
    if (member.type === 'hardlink') {
      const target = safeParts(member.link);
      if (target === null || target.length === 0) throw hostile(member.name, 'is a hard link to something outside');
      const via = this.throughLink(target);
      if (via !== undefined) throw hostile(member.name, `is a hard link through the symbolic link "${via}"`);
    }
    const path = parts.join('/');
    if (member.type === 'symlink') this.links.add(path);
    else if (member.type === 'directory' && this.links.has(path)) {
      // GNU tar keeps a link to a directory that lies where a directory is to be made.
      throw hostile(member.name, 'would be written through the symbolic link of the same name');
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

function readHeader(block: Buffer, pax: PaxRecords, longName?: string, longLink?: string): Header {
  const stored = number(block, 148, 8);
  let sum = 8 * 0x20;
  for (let at = 0; at < BLOCK; at += 1) if (at < 148 || at >= 156) sum += block[at]!;
  if (sum !== stored) throw damaged("a member's header has the wrong checksum");
  const flag = block[156] === 0 ? '0' : String.fromCharCode(block[156]!);
  const ustar = block.toString('latin1', 257, 263) === 'ustar\0';
  const prefix = ustar ? cString(block.subarray(345, 500)) : '';
  const short = cString(block.subarray(0, 100));
  const name =
    pax.get('GNU.sparse.name') ?? pax.get('path') ?? longName ?? (prefix === '' ? short : `${prefix}/${short}`);
  const sizeText = pax.get('size');
  const size = sizeText === undefined ? number(block, 124, 12) : Number(sizeText);
  if (!Number.isSafeInteger(size) || size < 0) throw damaged("a member's size is not a number");
  const link = pax.get('linkpath') ?? longLink ?? cString(block.subarray(157, 257));
  const type = typeOf(flag, name);
  return {
    flag,
    link,
    name,
    path: (safeParts(name) ?? []).join('/'),
    type,
    ...(type === 'hardlink' ? { target: (safeParts(link) ?? []).join('/') } : {}),
    size,
    mode: number(block, 100, 8) & 0o7777,
    uid: Number(pax.get('uid') ?? number(block, 108, 8)),
    gid: Number(pax.get('gid') ?? number(block, 116, 8)),
    mtime: Number(pax.get('mtime') ?? number(block, 136, 12)),
  };
}

function typeOf(flag: string, name: string): TarMember['type'] {
  switch (flag) {
    case '0':
      return name.endsWith('/') ? 'directory' : 'file';
    case '7':
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

/** Octal text, or GNU's base 256 where the first bit is set. */
function number(block: Buffer, at: number, length: number): number {
  if ((block[at]! & 0x80) !== 0) {
    let value = block[at]! & 0x7f;
    for (let i = at + 1; i < at + length; i += 1) value = value * 256 + block[i]!;
    if (!Number.isSafeInteger(value)) throw damaged('a number in a header is out of range');
    return value;
  }
  const text = cString(block.subarray(at, at + length)).trim();
  if (!/^[0-7]*$/.test(text)) throw damaged('a number in a header is not one');
  return text === '' ? 0 : parseInt(text, 8);
}

function cString(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end === -1 ? bytes.length : end);
}

/** `LENGTH KEY=VALUE\n`, the length counting itself. */
function paxRecords(bytes: Buffer): Map<string, string> {
  const records = new Map<string, string>();
  let at = 0;
  while (at < bytes.length) {
    const space = bytes.indexOf(0x20, at);
    const length = space === -1 ? NaN : Number(bytes.toString('latin1', at, space));
    const end = at + length;
    if (!Number.isSafeInteger(length) || end > bytes.length || end <= space || bytes[end - 1] !== 0x0a) {
      throw damaged('a pax header is malformed');
    }
    const equals = bytes.indexOf(0x3d, space);
    if (equals === -1 || equals >= end) throw damaged('a pax header is malformed');
    records.set(bytes.toString('utf8', space + 1, equals), bytes.toString('utf8', equals + 1, end - 1));
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
    `failed to trust the tar archive: its member ${JSON.stringify(name.slice(0, 200))} ${why}`,
    {
      hint: 'Nothing was unpacked. No backup of this program holds such a member: find out where the file comes from. A device inside a directory is left out by exclude=….',
    },
  );
}
