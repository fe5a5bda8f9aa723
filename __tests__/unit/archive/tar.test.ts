import { describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  linkSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { checkTar, TAR_END, tarHeader, tarPadding, type TarMember } from '../../../src/archive/tar.ts';

async function walk(bytes: Uint8Array, chunk = 700): Promise<{ members: TarMember[]; content: Buffer }> {
  const members: TarMember[] = [];
  const content: Buffer[] = [];
  const source = async function* (): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += chunk) yield bytes.subarray(at, at + chunk);
    await Promise.resolve();
  };
  const passed: Uint8Array[] = [];
  for await (const piece of checkTar(source(), {
    onMember: (member) => members.push(member),
    onContent: (piece) => content.push(Buffer.from(piece)),
  })) {
    passed.push(piece);
  }
  expect(Buffer.concat(passed).equals(bytes)).toBe(true);
  return { members, content: Buffer.concat(content) };
}

/** A header with any type and link, its checksum right. `change` may write anything into it before that. */
function entry(name: string, flag = '0', link = '', content = '', change?: (block: Buffer) => void): Buffer {
  const size = Buffer.byteLength(content);
  const header = tarHeader({ name, path: name, type: 'file', size, mode: 0o644, uid: 0, gid: 0, mtime: 0 });
  const block = header.subarray(header.length - 512);
  block.write(flag, 156, 'latin1');
  block.write(link, 157, 'utf8');
  change?.(block);
  block.write('        ', 148, 'latin1');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return Buffer.concat([header, Buffer.from(content), tarPadding(size)]);
}
const archive = (...entries: Buffer[]): Buffer => Buffer.concat([...entries, TAR_END]);

/** An archive's octal number. */
const octal = (value: number): string => `${value.toString(8).padStart(11, '0')}\0`;

function pax(records: Record<string, string>, flag = 'x'): Buffer {
  const text = Object.entries(records)
    .map(([key, value]) => {
      const rest = ` ${key}=${value}\n`;
      let length = Buffer.byteLength(rest) + 1;
      while (String(length).length + Buffer.byteLength(rest) !== length) length += 1;
      return `${length}${rest}`;
    })
    .join('');
  return entry('pax', flag, '', text);
}

describe('checkTar on archives of GNU tar', () => {
  const formats = ['pax', 'gnu', 'ustar', 'posix'];
  test.each(formats)('walks over a real tree in format %s', async (format) => {
    const root = mkdtempSync(join(tmpdir(), 'caretaker-tar-'));
    try {
      const long = `${'d'.repeat(60)}/${'e'.repeat(60)}`;
      mkdirSync(join(root, long), { recursive: true });
      writeFileSync(join(root, long, 'file with spaces and "quotes" é'), 'content');
      writeFileSync(join(root, 'empty'), '');
      symlinkSync('/etc/passwd', join(root, 'link'));
      linkSync(join(root, 'empty'), join(root, 'hard'));
      if (format !== 'ustar') {
        writeFileSync(join(root, 'sparse'), 'begin');
        truncateSync(join(root, 'sparse'), 3_000_000);
      }
      const bytes = execFileSync(
        'tar',
        ['-C', root, `--format=${format}`, ...(format === 'ustar' ? [] : ['--sparse']), '-cf', '-', '.'],
        {
          maxBuffer: 1 << 26,
        },
      );
      const { members } = await walk(bytes);
      const paths = members.map(({ path }) => path).sort();
      expect(paths).toEqual(
        [
          '',
          'd'.repeat(60),
          long,
          `${long}/file with spaces and "quotes" é`,
          'empty',
          'hard',
          'link',
          ...(format === 'ustar' ? [] : ['sparse']),
        ].sort(),
      );
    } finally {
      rmSync(root, { recursive: true });
    }
  });

  test('what tarHeader writes, tar unpacks', async () => {
    const root = mkdtempSync(join(tmpdir(), 'caretaker-tar-'));
    try {
      const name = `./${'n'.repeat(90)}/${'m'.repeat(90)} é`;
      const content = Buffer.from('secret=1\n');
      const header = tarHeader({
        name,
        path: name,
        type: 'file',
        size: content.length,
        mode: 0o640,
        uid: 1000,
        gid: 9_000_000,
        mtime: 1_700_000_000.5,
      });
      const bytes = archive(Buffer.concat([header, content, tarPadding(content.length)]));
      const { members } = await walk(bytes);
      expect(members).toMatchObject([{ name, uid: 1000, gid: 9_000_000, mode: 0o640, size: 9 }]);
      execFileSync('tar', ['-C', root, '--no-same-owner', '-xf', '-'], { input: bytes });
      expect(readFileSync(join(root, name), 'utf8')).toBe('secret=1\n');
    } finally {
      rmSync(root, { recursive: true });
    }
  });
});

describe('checkTar refuses', () => {
  const good = archive(entry('./'), entry('a', '0', '', 'hello'));

  test('an archive cut at any byte', async () => {
    const whole = archive(entry('a', '0', '', 'hello'), entry('b', '0', '', 'x'.repeat(600)));
    for (let length = 0; length < whole.length; length += 1) {
      await expect(walk(whole.subarray(0, length), 512)).rejects.toMatchObject({ code: 'part-damaged' });
    }
  });

  test('a flipped bit in a header', async () => {
    for (const at of [0, 100, 124, 130, 148, 156, 257, 500]) {
      const bad = Buffer.from(archive(entry('a', '0', '', 'hello')));
      bad[at]! ^= 1;
      await expect(walk(bad)).rejects.toMatchObject({ code: 'part-damaged' });
    }
  });

  test('data behind the end of the archive', async () => {
    await expect(walk(Buffer.concat([good, entry('late')]))).rejects.toMatchObject({ code: 'part-damaged' });
    await expect(walk(Buffer.concat([good, Buffer.alloc(9216)]))).resolves.toBeDefined();
  });

  test.each<[string, Buffer]>([
    ['an absolute name', entry('/etc/cron.d/x')],
    ['a name that climbs', entry('a/../../etc/passwd')],
    ['two dots alone', entry('..', '5')],
    ['a long name that climbs, by pax', Buffer.concat([pax({ path: '../x' }), entry('harmless')])],
    ['a long name that climbs, by GNU', Buffer.concat([entry('././@LongLink', 'L', '', '../x\0'), entry('harmless')])],
    ['a sparse name that climbs', Buffer.concat([pax({ 'GNU.sparse.name': '/x' }), entry('GNUSparseFile.0/x')])],
    ['a name for all members', Buffer.concat([pax({ path: '../x' }, 'g'), entry('harmless')])],
    ['a character device', entry('null', '3')],
    ['a block device', entry('sda', '4')],
    ['an unknown type', entry('x', 'Z')],
    ['a file through a link', Buffer.concat([entry('l', '2', '/etc'), entry('l/passwd')])],
    ['a file through a link written otherwise', Buffer.concat([entry('./l', '2', '..'), entry('.//l/./passwd')])],
    ['a directory in the place of a link', Buffer.concat([entry('l', '2', '/etc'), entry('l/', '5')])],
    ['a link for the root', entry('./', '2', '/etc')],
    ['a hard link to outside', entry('h', '1', '/etc/passwd')],
    ['a hard link that climbs', entry('h', '1', '../x')],
    ['a hard link through a link', Buffer.concat([entry('l', '2', '/etc'), entry('h', '1', 'l/passwd')])],
  ])('%s', async (_name, bytes) => {
    await expect(walk(archive(bytes))).rejects.toMatchObject({ code: 'part-hostile' });
  });

  test('a bad header before any of its bytes is passed on', async () => {
    const passed: Uint8Array[] = [];
    const source = async function* (): AsyncGenerator<Uint8Array> {
      yield entry('good');
      await Promise.resolve();
      yield entry('/bad');
    };
    const reading = (async () => {
      for await (const piece of checkTar(source())) passed.push(piece);
    })();
    await expect(reading).rejects.toMatchObject({ code: 'part-hostile' });
    expect(Buffer.concat(passed).toString('latin1')).not.toContain('/bad');
  });

  test.each<[string, Buffer]>([
    [
      'links to outside that nothing goes through',
      Buffer.concat([entry('l', '2', '/etc/passwd'), entry('m', '2', '../..')]),
    ],
    ['a link that a file replaces', Buffer.concat([entry('l', '2', '/etc'), entry('l', '0', '', 'x'), entry('k')])],
    ['a hard link to a member', Buffer.concat([entry('./a', '0', '', 'x'), entry('./b', '1', './a')])],
    ['names with dots', entry('..a/b..c/...')],
    ['a comment for all members', Buffer.concat([pax({ comment: 'abc' }, 'g'), entry('x')])],
  ])('but not %s', async (_name, bytes) => {
    await expect(walk(archive(bytes))).resolves.toBeDefined();
  });
});

describe('checkTar refuses what GNU tar reads otherwise, and would unpack a device from', () => {
  const device = entry('hidden', '3');
  const sparse = { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.name': 'a', 'GNU.sparse.realsize': '4096' }; // prettier-ignore
  const hiding = (bytes: Buffer): Buffer => Buffer.concat([bytes, device]);
  /** A file whose content is the hidden header: only a reader who takes another size sees it as one. */
  const around = entry('a', '0', '', device.toString('latin1'));

  test.each<[string, Buffer, string?]>([
    ['a size for the name’s own header', Buffer.concat([pax({ size: '1024' }), entry('././@LongLink', 'L', '', 'a\0'), device])], // prettier-ignore
    ['a long name that goes on behind its size', Buffer.concat([entry('././@LongLink', 'L', '', 'l/passwd', (block) => block.write(octal(1), 124)), entry('a')])], // prettier-ignore
    ['a second header for one member', Buffer.concat([pax({ size: '512' }), pax({ path: 'b' }), around])],
    ['a key behind two blanks', Buffer.concat([pax({ ' size': '0' }), around]), 'part-damaged'],
    ['a key behind a tab', Buffer.concat([pax({ '\tpath': '../x' }), around]), 'part-damaged'],
    ['a key with a NUL', Buffer.concat([pax({ 'a\0b': 'c', size: '0' }), around]), 'part-damaged'],
    ['a length in another notation', Buffer.concat([entry('pax', 'x', '', '0xc path=ab\n'), around]), 'part-damaged'],
    ['a size in hexadecimal', Buffer.concat([pax({ size: '0x200' }), hiding(entry('a'))]), 'part-damaged'],
    ['a size with an exponent', Buffer.concat([pax({ size: '1e3' }), hiding(entry('a'))]), 'part-damaged'],
    ['a blank size', Buffer.concat([pax({ size: '512' }), hiding(entry('a', '0', '', '', (block) => block.fill(0x20, 124, 136)))]), 'part-damaged'], // prettier-ignore
    ['a real size without a map', Buffer.concat([pax({ 'GNU.sparse.realsize': '0' }), around])],
    ['a real size for all members', Buffer.concat([pax({ 'GNU.sparse.realsize': '0' }, 'g'), around])],
    ['a directory of the contiguous type with content', hiding(entry('a/', '7', '', 'x'.repeat(512)))],
    ['a directory with content', entry('a', '5', '', device.toString('latin1'))],
    ['a link with content', entry('a', '2', 'b', device.toString('latin1'))],
    ['a hard link with content', Buffer.concat([entry('b'), entry('a', '1', 'b', device.toString('latin1'))])],
    ['holes in a link', Buffer.concat([pax(sparse), entry('s', '2', 'b')])],
    ['holes without a map', Buffer.concat([pax(sparse), entry('s')])],
    ['holes whose map tells of more than is there', Buffer.concat([pax(sparse), entry('s', '0', '', '1\n0\n1024\n'), entry('b', '0', '', 'x'.repeat(512) + device.toString('latin1'))])], // prettier-ignore
    [
      'holes whose map tells of less',
      Buffer.concat([pax(sparse), entry('s', '0', '', '1\n0\n0\n'.padEnd(1024, '\0'))]),
    ],
    ['holes whose map is no list of numbers', Buffer.concat([pax(sparse), entry('s', '0', '', '1\n0x0\n0\n')])],
    ['holes whose map does not end', Buffer.concat([pax(sparse), entry('s', '0', '', '9'.repeat(512))])],
    ['holes in the older form of pax', Buffer.concat([pax({ 'GNU.sparse.map': '0,1024', 'GNU.sparse.size': '1024' }), around])], // prettier-ignore
    ['holes under another mark', Buffer.concat([pax(sparse), entry('s', '0', '', '0\n', (block) => block.write(`ustar  \0`, 257))])], // prettier-ignore
    ['holes in the format of star', Buffer.concat([pax(sparse), entry('s', '0', '', '0\n', (block) => block.write('00000000000 00000000000 ', 476))])], // prettier-ignore
    ['GNU’s holes under another mark', entry('s', 'S', '', 'x')],
    [
      'GNU’s holes that tell of more than is there',
      Buffer.concat([
        entry('s', 'S', '', 'x', (block) => {
          block.write('ustar  \0', 257);
          block.write(octal(0) + octal(1024), 386);
          block.write(octal(1024), 483);
        }),
        entry('b', '0', '', device.toString('latin1')),
      ]),
    ],
    [
      'GNU’s holes that end, and go on',
      entry('s', 'S', '', '', (block) => {
        block.write('ustar  \0', 257);
        block[482] = 1;
        block.write(octal(0), 483);
      }),
    ],
    [
      'a file through another name of a link',
      Buffer.concat([entry('l', '2', '/etc'), entry('h', '1', 'l'), entry('h/passwd')]),
    ],
    [
      'a directory in the place of another name of a link',
      Buffer.concat([entry('l', '2', '/etc'), entry('h', '1', './l'), entry('h', '5')]),
    ],
    ['a name that no file can have', Buffer.concat([pax({ path: 'a/'.repeat(2100) }), entry('a')])],
  ])('%s', async (_name, bytes, code = 'part-hostile') => {
    await expect(walk(archive(bytes))).rejects.toMatchObject({ code });
  });

  test('a file through another name of a link of an archive before it', async () => {
    const links = new Set<string>();
    const read = async (bytes: Buffer): Promise<void> => {
      const source = async function* (): AsyncGenerator<Uint8Array> {
        yield await Promise.resolve(bytes);
      };
      for await (const chunk of checkTar(source(), { links })) void chunk;
    };
    await read(archive(Buffer.concat([entry('l', '2', '/etc'), entry('h', '1', 'l')])));
    await expect(read(archive(entry('h/passwd')))).rejects.toMatchObject({ code: 'part-hostile' });
  });

  test('but not a file with many holes, in either format of GNU tar', async () => {
    const root = mkdtempSync(join(tmpdir(), 'caretaker-tar-'));
    try {
      const file = openSync(join(root, 'holes'), 'w');
      for (let at = 0; at < 60; at += 1) writeSync(file, 'x'.repeat(300 * at), at * 100_000);
      closeSync(file);
      for (const format of ['pax', 'gnu']) {
        const bytes = execFileSync('tar', ['-C', root, `--format=${format}`, '--sparse', '-cf', '-', '.'], {
          maxBuffer: 1 << 26,
        });
        expect(bytes.length).toBeLessThan(3_000_000);
        const { members } = await walk(bytes);
        expect(members.map(({ path }) => path)).toEqual(['', 'holes']);
      }
    } finally {
      rmSync(root, { recursive: true });
    }
  });
});

describe('keep', () => {
  test('passes on nothing but what is wanted, headers of long names, big files and sparse files with it', async () => {
    const root = mkdtempSync(join(tmpdir(), 'caretaker-tar-'));
    try {
      const long = `${'d'.repeat(90)}/${'f'.repeat(150)}`;
      mkdirSync(join(root, 'in', long, '..'), { recursive: true });
      writeFileSync(join(root, 'in', long), 'wanted');
      writeFileSync(join(root, 'in', `${long}-no`), 'not wanted');
      writeFileSync(join(root, 'in/sparse'), 'x');
      for (let at = 1; at < 60; at++) writeFileSync(join(root, 'in/sparse'), 'y', { flag: 'a' });
      truncateSync(join(root, 'in/sparse'), 20_000_000);
      for (const format of ['pax', 'gnu']) {
        const bytes = execFileSync('tar', ['-c', '--sparse', `--format=${format}`, '-C', join(root, 'in'), '.'], { maxBuffer: 2 ** 26 }); // prettier-ignore
        for (const chunk of [13, 512, 100_000]) {
          const source = async function* (): AsyncGenerator<Uint8Array> {
            // One buffer again and again, as a reader may do.
            for (let at = 0; at < bytes.length; at += chunk) yield Buffer.from(bytes.subarray(at, at + chunk));
            await Promise.resolve();
          };
          const kept: Buffer[] = [];
          const keep = ({ path }: TarMember): boolean => path === long || path === 'sparse';
          for await (const piece of checkTar(source(), { keep })) kept.push(Buffer.from(piece));
          const list = execFileSync('tar', ['-tf', '-'], { input: Buffer.concat(kept), encoding: 'utf8' });
          expect(list.split('\n').filter(Boolean).sort()).toEqual([`./${long}`, './sparse']);
          const out = join(root, `out-${format}-${chunk}`);
          mkdirSync(out);
          execFileSync('tar', ['-xf', '-', '-C', out], { input: Buffer.concat(kept) });
          expect(readFileSync(join(out, long), 'utf8')).toBe('wanted');
          expect(readFileSync(join(out, 'sparse')).equals(readFileSync(join(root, 'in/sparse')))).toBe(true);
        }
      }
    } finally {
      rmSync(root, { recursive: true });
    }
  });
});
