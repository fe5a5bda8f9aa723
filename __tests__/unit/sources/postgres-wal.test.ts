import { describe, expect, test } from '@jest/globals';
import { checkTar, type TarMember } from '../../../src/archive/tar.ts';
import { BaseEnd, isWalMember, segmentBefore, segmentsBetween, walTail } from '../../../src/sources/postgres-wal.ts';
import type { ServerAccess } from '../../../src/sources/postgres-server.ts';
import { streamOf } from '../../../src/sources/streams.ts';

const MIB = 1024 * 1024;
const member = (path: string, more: Partial<TarMember> = {}): TarMember => ({
  ...{ name: path, path, type: 'file', size: 16 * MIB, mode: 0o600, uid: 70, gid: 71, mtime: 5 },
  ...more,
});

describe('the names of segments', () => {
  test.each([
    ['inside a segment', '0/7000150', 16, '000000010000000000000007'],
    ['at a boundary, where nothing was written since the last switch', '0/7000000', 16, '000000010000000000000006'],
    ['at the boundary of a log', '2/0', 16, '0000000100000001000000FF'],
    ['with segments of 1 MiB', '0/B374D848', 1, '000000010000000000000B37'],
    ['with segments of 1 GiB', '1/40000001', 1024, '000000010000000100000001'],
  ])('%s', (_what, lsn, mib, name) => {
    expect(segmentBefore(lsn, '00000001', mib * MIB)).toBe(name);
  });

  test('are counted across the end of a log, in order', () => {
    expect(segmentsBetween('0000000300000001000000FE', '000000030000000200000001', 16 * MIB)).toEqual([
      '0000000300000001000000FF',
      '000000030000000200000000',
      '000000030000000200000001',
    ]);
    expect(segmentsBetween('000000010000000000000006', '000000010000000000000006', 16 * MIB)).toEqual([]);
  });

  test('of two timelines lead nowhere', () => {
    expect(() => segmentsBetween('000000010000000000000006', '000000020000000000000008', 16 * MIB)).toThrow(
      expect.objectContaining({ code: 'postgres-wal-gone' }),
    );
  });
});

test('a base backup ends with its last segment, whatever the order, and only WAL is WAL', () => {
  const end = new BaseEnd();
  for (const name of [
    'base/1/1',
    'pg_wal/000000010000000000000004',
    'pg_wal/000000010000000000000003',
    'pg_wal/archive_status',
  ])
    end.note(member(name));
  expect(end.segment).toBe('000000010000000000000004');
  expect(end.member).toMatchObject({ uid: 70 });

  expect(isWalMember(member('pg_wal/000000010000000000000004'))).toBe(true);
  for (const path of [
    'pg_wal',
    'pg_wal/x',
    'global/pg_control',
    'pg_wal/000000010000000000000004/x',
    'recovery.signal',
  ])
    expect(isWalMember(member(path))).toBe(false);
  expect(isWalMember(member('pg_wal/000000010000000000000004', { type: 'symlink' }))).toBe(false);
});

describe('the tail', () => {
  const SIZE = 1024;
  const model = member('pg_wal/000000010000000000000004');

  /** A server whose position is `end`, and whose files have these contents. */
  function server(end: string, content: Buffer, exitCode = 0): ServerAccess & { readonly asked: string[] } {
    const asked: string[] = [];
    return {
      asked,
      psql: ['psql'],
      run: () =>
        Promise.resolve({
          exitCode,
          stdout: JSON.stringify({ end, name: '000000010000000000000009', bytes: SIZE, directory: '/data' }),
          stderr: 'ERROR:  permission denied for function pg_switch_wal',
        }),
      stream: (argv: readonly string[]) => {
        asked.push(argv.join(' '));
        // In pieces that end nowhere in particular.
        const pieces = async function* (): AsyncGenerator<Buffer> {
          for (let at = 0; at < content.length; at += 700) yield await Promise.resolve(content.subarray(at, at + 700));
        };
        return streamOf(pieces());
      },
    } as unknown as ServerAccess & { asked: string[] };
  }
  const take = (access: ServerAccess) => walTail(access, '000000010000000000000004', model, 'wal1.tar');

  test('is an archive of the segments since, of the base backup’s owner', async () => {
    const content = Buffer.concat([Buffer.alloc(SIZE, 'a'), Buffer.alloc(SIZE, 'b')]);
    // 1 KiB is no size of a segment in the world; the arithmetic does not mind.
    const access = server(`0/${(6 * SIZE + 100).toString(16).toUpperCase()}`, content);
    const tail = (await take(access))!;
    expect(tail.last).toBe('000000010000000000000006');
    const members: string[] = [];
    const contents: Buffer[] = [];
    const stream = tail.stream.open();
    for await (const chunk of checkTar(stream.stdout as AsyncIterable<Uint8Array>, {
      onMember: ({ path, size, uid, gid, mode }) => members.push(`${path} ${size} ${uid}:${gid} ${mode.toString(8)}`),
      onContent: (bytes) => contents.push(Buffer.from(bytes)),
    }))
      void chunk;
    await stream.done;
    expect(access.asked).toEqual([
      'cat -- /data/pg_wal/000000010000000000000005 /data/pg_wal/000000010000000000000006',
    ]);
    expect(members).toEqual([
      'pg_wal/000000010000000000000005 1024 70:71 600',
      'pg_wal/000000010000000000000006 1024 70:71 600',
    ]);
    expect(Buffer.concat(contents).equals(content)).toBe(true);
  });

  test('is none where nothing was written', async () => {
    const access = server(`0/${(5 * SIZE).toString(16)}`, Buffer.alloc(0));
    expect(await take(access)).toBeNull();
    expect(access.asked).toEqual([]);
  });

  test.each([
    ['half a segment', 1536],
    ['no segment', 0],
    ['more than was asked for', 4000],
  ])('that is %s fails in its stream', async (_what, length) => {
    const tail = (await take(server(`0/${(6 * SIZE + 1).toString(16)}`, Buffer.alloc(length))))!;
    const read = async (): Promise<void> => {
      for await (const chunk of tail.stream.open().stdout) void chunk;
    };
    await expect(read()).rejects.toMatchObject({ code: 'postgres-wal-gone' });
  });

  test('that the server refuses is told in its words', async () => {
    await expect(take(server('0/0', Buffer.alloc(0), 1))).rejects.toMatchObject({
      code: 'postgres-wal-gone',
      message: expect.stringContaining('permission denied for function pg_switch_wal'),
    });
  });
});
