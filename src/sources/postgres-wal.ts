import { tarHeader, TAR_END, type TarMember } from '../archive/tar.ts';
import { CaretakerError, messageOf } from '../errors.ts';
import { lastLine, type ServerAccess } from './postgres-server.ts';
import type { RawStream } from './source.ts';
import { streamOf } from './streams.ts';

/** `TTTTTTTTXXXXXXXXYYYYYYYY`: timeline, and the position counted in segments. https://www.postgresql.org/docs/current/wal-internals.html */
const SEGMENT = /^[0-9A-F]{24}$/;
const MEMBER = /^pg_wal\/([0-9A-F]{24})$/;

/** True for what a tail may hold: WAL, nothing else of a cluster. */
export function isWalMember({ path, type }: TarMember): boolean {
  return type === 'file' && MEMBER.test(path);
}

/** What of a base backup's archive says where its WAL ends and whose its files are; fed with its members. */
export class BaseEnd {
  segment = '';
  member: TarMember | undefined;

  note(member: TarMember): void {
    const [, segment = ''] = MEMBER.exec(member.path) ?? [];
    if (segment <= this.segment) return;
    this.segment = segment;
    this.member = member;
  }
}

/**
 * A session that keeps the server from removing WAL: a temporary replication slot, which goes with the session, and the session goes with this
 * process. Throws `postgres-slot` where the server gives none.
 */
export async function holdWal(access: ServerAccess, slot: string): Promise<() => Promise<void>> {
  const session = access.stream(access.psql);
  session.done.catch(() => undefined);
  session.stdin.on('error', () => undefined); // It has ended: its output, or the missing segment, tells.
  // Should this process be gone without the server noticing: PostgreSQL 14 and newer end the session after that time.
  session.stdin.write(
    `select set_config('idle_session_timeout', '12h', false) where current_setting('server_version_num')::int >= 140000;\n` +
      `select 'slot ' || slot_name from pg_create_physical_replication_slot('${slot}', true, true);\n`,
  );
  const isHeld = await new Promise<boolean>((resolve) => {
    let said = '';
    session.stdout.on('data', (chunk: Buffer) => {
      said += String(chunk);
      if (/^slot /m.test(said)) resolve(true);
    });
    session.stdout.once('error', () => resolve(false)).once('close', () => resolve(false));
  });
  const end = async (): Promise<void> => {
    session.stdin.end();
    await session.done;
  };
  // However the session ended, with it went the slot.
  if (isHeld) return () => end().catch(() => undefined);
  const why = await end().then(
    () => 'the session ended',
    (error: unknown) => {
      const words = messageOf(error);
      return /ERROR: .*/.exec(words)?.[0] ?? lastLine(words);
    },
  );
  throw noSlot(why);
}

/** Nothing that must end the run: the copy is made while the application stands still then. */
export function noSlot(why: string): CaretakerError {
  return new CaretakerError('postgres-slot', `failed to keep the server's WAL by a replication slot: ${why}`, {
    hint: 'Raise max_replication_slots by one; the role must be allowed to call pg_switch_wal.',
  });
}

/**
 * The WAL from behind `after` up to this moment, in whole segments, as an archive that is unpacked over the base backup: a server that starts on both
 * replays all of it. Null where nothing was written. Throws `postgres-wal-gone` where a segment is missing.
 */
export async function walTail(
  access: ServerAccess,
  after: string,
  model: TarMember,
  suffix: string,
): Promise<{ readonly stream: RawStream; readonly last: string } | null> {
  const { exitCode, stdout, stderr } = await access.run([
    ...access.psql,
    '-c',
    // A switch writes out all that is committed, with synchronous_commit=off too.
    `select json_build_object('end', switched.lsn, 'name', pg_walfile_name(switched.lsn), 'bytes', pg_size_bytes(current_setting('wal_segment_size')), 'directory', current_setting('data_directory')) from pg_switch_wal() as switched (lsn)`,
  ]);
  if (exitCode !== 0) throw walGone(`pg_switch_wal: ${lastLine(stderr)}`);
  const { end, name, bytes, directory } = JSON.parse(stdout) as Record<'end' | 'name' | 'directory', string> & {
    readonly bytes: number;
  };
  const last = segmentBefore(end, name.slice(0, 8), bytes);
  const names = segmentsBetween(after, last, bytes);
  if (names.length === 0) return null;
  const open: RawStream['open'] = () => {
    const content = access.stream(['cat', '--', ...names.map((name) => `${directory}/pg_wal/${name}`)]);
    content.stdin.end();
    return streamOf(archive(content.stdout as AsyncIterable<Uint8Array>, names, bytes, model, () => content.done));
  };
  return { stream: { suffix, open }, last };
}

/**
 * The segment that holds the byte before `lsn` (`16/B374D848`). Not pg_walfile_name: between two segments it means the earlier one up to
 * PostgreSQL 16 and the later one, which need not be there yet, from 17 on.
 */
export function segmentBefore(lsn: string, timeline: string, bytes: number): string {
  const [high = '0', low = '0'] = lsn.split('/');
  const at = (BigInt(`0x${high}`) << 32n) + BigInt(`0x${low}`);
  return segmentName(timeline, (at - 1n) / BigInt(bytes), bytes);
}

function segmentName(timeline: string, number: bigint, bytes: number): string {
  const perFile = 0x1_0000_0000n / BigInt(bytes);
  const hex = (value: bigint): string => value.toString(16).toUpperCase().padStart(8, '0');
  return `${timeline}${hex(number / perFile)}${hex(number % perFile)}`;
}

/** Names behind `after` up to `last`, in order. Throws `postgres-wal-gone` where the two are of different timelines. */
export function segmentsBetween(after: string, last: string, bytes: number): string[] {
  if (!SEGMENT.test(after) || !SEGMENT.test(last) || after.slice(0, 8) !== last.slice(0, 8))
    throw walGone(`from ${after} to ${last} there is no way`);
  const perFile = 0x1_0000_0000n / BigInt(bytes);
  const number = (name: string): bigint =>
    BigInt(`0x${name.slice(8, 16)}`) * perFile + BigInt(`0x${name.slice(16, 24)}`);
  const names: string[] = [];
  for (let at = number(after) + 1n; at <= number(last); at++) names.push(segmentName(after.slice(0, 8), at, bytes));
  return names;
}

/** The segments, all of one size, one after the other in `content`. */
async function* archive(
  content: AsyncIterable<Uint8Array>,
  names: readonly string[],
  bytes: number,
  model: TarMember,
  done: () => Promise<void>,
): AsyncGenerator<Uint8Array> {
  const waiting = [...names];
  let left = 0;
  for await (const chunk of content) {
    for (let at = 0; at < chunk.length;) {
      if (left === 0) {
        const name = waiting.shift();
        if (name === undefined) throw walGone('the server gave more than the segments asked for');
        yield tarHeader({ ...model, name: `pg_wal/${name}`, path: `pg_wal/${name}`, type: 'file', size: bytes });
        left = bytes;
      }
      const piece = chunk.subarray(at, at + left);
      yield piece;
      at += piece.length;
      left -= piece.length;
    }
  }
  await done();
  if (left > 0 || waiting.length > 0) throw walGone(`${waiting[0] ?? names.at(-1)} is not whole`);
  yield TAR_END;
}

/** A base backup holds the WAL that was written while it was taken, at least one segment. */
export function noWal(spec: { readonly name: string }): CaretakerError {
  return walGone(`the base backup of ${spec.name} holds none`);
}

function walGone(why: string): CaretakerError {
  return new CaretakerError('postgres-wal-gone', `failed to read the server's WAL since the base backup: ${why}`, {
    hint: 'Something removed or switched it meanwhile, such as a restart of the server or a promotion. Run again.',
  });
}
