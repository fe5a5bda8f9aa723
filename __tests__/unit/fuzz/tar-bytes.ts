/** Archives by hand, byte by byte: with all that no program would write. */

export interface RawHeader {
  /** Bytes for what is no UTF-8. */
  readonly name?: string | Buffer;
  readonly flag?: string;
  readonly link?: string | Buffer;
  /** What the header says; text as it stands, or 11 octal digits. */
  readonly size?: number | string | Buffer;
  readonly mode?: number;
  /** `ustar\0` and `00` unless told. */
  readonly magic?: string;
  readonly prefix?: string;
  /** Anything else, before the checksum. */
  readonly change?: (block: Buffer) => void;
  readonly checksum?: string;
}

export function rawHeader({ name = 'a', flag = '0', link = '', size = 0, mode = 0o644, ...more }: RawHeader): Buffer {
  const block = Buffer.alloc(512);
  bytesOf(name).copy(block, 0, 0, 100);
  block.write(`${mode.toString(8).padStart(7, '0')}\0`, 100);
  block.write('0000000\0', 108);
  block.write('0000000\0', 116);
  if (typeof size === 'number') block.write(octal(size), 124);
  else if (typeof size === 'string') block.write(size, 124, 12, 'latin1');
  else size.copy(block, 124, 0, 12);
  block.write('00000000000\0', 136);
  block.write(flag, 156, 1, 'latin1');
  bytesOf(link).copy(block, 157, 0, 100);
  block.write(more.magic ?? 'ustar\x0000', 257, 8, 'latin1');
  block.write(more.prefix ?? '', 345, 155);
  more.change?.(block);
  block.write('        ', 148);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(more.checksum ?? `${sum.toString(8).padStart(6, '0')}\0 `, 148, 8, 'latin1');
  return block;
}

export const octal = (value: number): string => `${value.toString(8).padStart(11, '0')}\0`;

const bytesOf = (text: string | Buffer): Buffer => (typeof text === 'string' ? Buffer.from(text) : text);

/** Content, filled up to whole blocks. */
export function padded(content: string | Buffer): Buffer {
  const bytes = bytesOf(content);
  return Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

/** A member with its content. */
export function member(header: RawHeader, content: string | Buffer = ''): Buffer {
  const size = Buffer.byteLength(content);
  return Buffer.concat([rawHeader({ size, ...header }), padded(content)]);
}

export function record(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = Buffer.byteLength(rest) + 1;
  while (String(length).length + Buffer.byteLength(rest) !== length) length += 1;
  return `${length}${rest}`;
}

/** An extended header of these records, or of a text as it stands. */
export function paxHeader(records: Readonly<Record<string, string>> | string, flag = 'x'): Buffer {
  const text = typeof records === 'string' ? records : Object.entries(records).map(([key, value]) => record(key, value)).join(''); // prettier-ignore
  return member({ name: 'pax', flag }, text);
}

export const END = Buffer.alloc(1024);

export const archive = (...members: readonly Buffer[]): Buffer => Buffer.concat([...members, END]);
