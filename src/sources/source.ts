import type { Swap } from '../runtimes/host-files.ts';
import type { Part, PartFile } from '../archive/manifest.ts';
import type { ProcessStream } from '../system/processes.ts';
import type { FoundPaths } from './paths.ts';

/**
 * What the application does while a part is taken. `serving`: everything runs. `quiesced`: the services that write to this source are stopped, a
 * database server itself still runs where the source needs it. `stopped`: the database server is down as well.
 */
export type Situation = 'serving' | 'quiesced' | 'stopped';

/** One raw stream of a source, before compression. */
export interface RawStream {
  /** What follows the part's name in the file's name, without the compression's: `tar`, `globals.sql`, `app.dump`. */
  readonly suffix: string;
  open(): ProcessStream;
}

/** One thing with data, bound to where it lives now. */
export interface Source {
  readonly name: string;
  readonly kind: Part['kind'];
  readonly method: Part['method'];
  readonly origin: Part['origin'];
  /** Services that write to it: what `consistency=stopped`, an update and a restore stop. Includes the database's own service for a restore. */
  readonly writers: readonly string[];
  /** The database server's own service, which must keep running while a part is taken online; undefined for files. */
  readonly server: string | undefined;
  /** One line for the log: what it is and where. */
  describe(): string;
  /** Raw bytes, roughly, from sizes on disk. */
  estimate(): Promise<number>;
  /**
   * The streams of one consistent copy, opened one after the other. Everything that must be checked about the copy is checked in its stream's `done`
   * or in `finish`. Throws a coded error when the source can't be taken in this situation.
   */
  capture(situation: Situation): Promise<Capture>;
  /**
   * Begins a copy in two passes, so that the time in which writers stand still does not grow with the data: the whole of it while the
   * application serves, and what changed since when they stand still. Undefined (with a line in the log) where only `capture` will do now.
   */
  warm?(): Promise<WarmCapture | undefined>;
  /**
   * Unpacks a part beside the live data, on the same filesystem, and touches nothing live. `read` opens a file's raw bytes. Answers with the swaps that make it live (in order).
   * On failure it removes what it unpacked. `run` is unique to this attempt: everything made is named after it and this source.
   */
  stage(part: Part, read: (file: PartFile) => AsyncIterable<Uint8Array>, run: string): Promise<readonly Swap[]>;
  /** The same for paths inside the part, whose swaps exchange nothing but them. Files only. Throws `path-unfit` where they can't be exchanged alone. */
  stagePaths?(
    part: Part,
    read: (file: PartFile) => AsyncIterable<Uint8Array>,
    run: string,
    found: FoundPaths,
  ): Promise<readonly Swap[]>;
  /** Removes whatever `stage` of this attempt may have left beside the live data, in any process, before or after the swaps; nothing to do is no error. What lies aside stays. */
  unstage(run: string): Promise<void>;
  /**
   * Removes the live data, but for what the part leaves out: for a rollback on a disk that has no room for what was and what is.
   */
  discard?(): Promise<void>;
  /** After the swap: true where the database's own service has to be started alone and `load` be called before the rest starts (dumps). */
  readonly loads: boolean;
  /** What an administrator should know of the restored data, asked when they serve. */
  doubts?(): Promise<readonly string[]>;
  load?(part: Part, read: (file: PartFile) => AsyncIterable<Uint8Array>): Promise<void>;
  /** Undefined for plain files, of which nothing but the bytes is known. */
  readonly proves?: Proofs;
}

/**
 * What a database itself can tell of data that were restored, after the swap (and `load`). For a throwaway only: it may create extensions, and reads
 * everything. Each answers with what was proven and what could not be, a line each, for people. Throws `drill-failed` with what was found wrong.
 */
export interface Proofs {
  /** Of the files, while nothing runs: before a server was ever started on them. */
  resting?(part: Part): Promise<readonly string[]>;
  /** Of the server, started alone: whatever else writes to it changes what is counted. Waits until it is ready. */
  serving?(part: Part): Promise<readonly string[]>;
}

/** A copy in two passes. `streams` is the first one's: the whole, taken while the application serves. */
export interface WarmCapture extends Omit<Capture, 'consistency'> {
  /**
   * What changed since the last pass, as further streams of the same part (none where nothing did). While it serves: to catch up. `anew`:
   * what was taken is of no use, and only `capture` will do.
   */
  more(situation: Situation): Promise<readonly RawStream[] | 'anew'>;
}

export interface Capture {
  readonly streams: readonly RawStream[];
  readonly consistency: Part['consistency'];
  /** What is known of the data for the manifest; all of it only when the last stream has ended. */
  readonly facts: Pick<Part, 'postgres' | 'sqlite'>;
  /** Always called, after the last stream or a failure: removes staging copies. */
  finish(): Promise<void>;
}
