import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs/promises';
import * as os from 'node:os';
import * as path from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';

import { CaretakerError } from '../../../src/errors.ts';
import type { ProofDocument } from '../../../src/archive/proof.ts';
import type { LocalFile, Store, StoredBackup } from '../../../src/stores/store.ts';
import { localFile, makeBackup, type MadeBackup } from './backup-files.ts';

export interface StoreHarness {
  readonly store: Store;
  /** Inverts a byte of a stored file, or cuts its end off, behind the store's back. */
  damage(file: string, how?: { readonly truncateTo: number }): Promise<void>;
  /** Takes a stored file away, behind the store's back. */
  lose(file: string): Promise<void>;
  /** Puts files there in whatever way is quick. */
  seed(files: readonly LocalFile[]): Promise<void>;
  close(): Promise<void>;
}

/** The coded error that the call ends with. */
export async function failure(call: Promise<unknown>): Promise<CaretakerError> {
  try {
    await call;
  } catch (error) {
    if (error instanceof CaretakerError) return error;
    throw new Error(`not a coded error: ${String(error)}`, { cause: error });
  }
  throw new Error('it did not fail');
}

export async function putAll(store: Store, files: readonly LocalFile[]): Promise<void> {
  for (const file of files) await store.put(file);
}

/** What every store promises: store.ts in sentences that can fail. */
export function storeContract(name: string, make: () => Promise<StoreHarness>): void {
  describe(`${name} as a store`, () => {
    let harness: StoreHarness;
    let store: Store;
    let folder: string;
    let minute = 0;

    beforeAll(async () => {
      folder = await fs.mkdtemp(path.join(os.tmpdir(), 'store-contract-'));
      harness = await make();
      ({ store } = harness);
    });
    afterAll(async () => {
      await harness?.close();
      await fs.rm(folder, { recursive: true, force: true });
    });

    function later(): Date {
      minute += 1;
      return new Date(Date.UTC(2026, 10, 24, 2, minute, 7));
    }
    function made(project: string, parts?: Readonly<Record<string, Uint8Array>>): Promise<MadeBackup> {
      return makeBackup(folder, project, later(), parts);
    }
    async function stored(project: string, parts?: Readonly<Record<string, Uint8Array>>): Promise<MadeBackup> {
      const backup = await made(project, parts);
      await putAll(store, backup.files);
      return backup;
    }
    async function only(project: string): Promise<StoredBackup> {
      const found = await store.list(project);
      expect(found).toHaveLength(1);
      return found[0]!;
    }
    const names = (backups: readonly StoredBackup[]): string[] => backups.map((backup) => backup.name);

    test('can be written to and read, and says where it is', async () => {
      await store.check('write');
      await store.check('read');
      expect(store.name).toMatch(/\S/);
    });

    test('gives several files back byte for byte, with what it knows of the backup', async () => {
      const parts = { database: randomBytes(9_000_001), media: randomBytes(3), 'project-files': randomBytes(70_000) };
      const backup = await stored('round', parts);
      const found = await only('round');
      expect(found).toMatchObject({ name: backup.name, project: 'round' });
      expect(found.createdAt.toISOString()).toBe('2026-11-24T02:01:07.000Z');
      expect(found.bytes).toBe(backup.files.reduce((sum, { bytes }) => sum + bytes, 0));
      expect(await store.readManifest(found)).toEqual(backup.manifest);
      const files = [...backup.manifest.parts.flatMap((part) => part.files), backup.manifest.instructions];
      for (const file of files) {
        const to = path.join(folder, `fetched-${file.file}`);
        await store.fetch(found, file, to);
        const original = await fs.readFile(backup.files.find((local) => local.name === file.file)!.path);
        expect((await fs.readFile(to)).equals(original)).toBe(true);
      }
    });

    test('shows a backup only when its manifest is there', async () => {
      const backup = await made('commit');
      await putAll(store, backup.files.slice(0, -1));
      expect(await store.list('commit')).toEqual([]);
      await store.put(backup.files.at(-1)!);
      expect(names(await store.list('commit'))).toEqual([backup.name]);
    });

    test('does not show a backup that has lost its instructions or its only part', async () => {
      for (const suffix of ['.RESTORE.md', '.database.tar.zst']) {
        const backup = await stored('lost');
        await harness.lose(`${backup.name}${suffix}`);
      }
      expect(await store.list('lost')).toEqual([]);
    });

    test('takes the same content again and refuses another under the same name', async () => {
      const backup = await stored('twice');
      const [part] = backup.files;
      const first = await store.put(part!);
      expect(await store.put(part!)).toEqual(first);
      const other = localFile(path.join(folder, part!.name), 'others');
      await fs.writeFile(other.path, 'others');
      const error = await failure(store.put(other));
      expect(error).toMatchObject({ code: 'store-exists' });
      expect(error.message).toContain(part!.name);
      // Of the same length too: names and sizes prove nothing.
      const sameLength = localFile(path.join(folder, part!.name), 'ROWS');
      await fs.writeFile(sameLength.path, 'ROWS');
      expect(await failure(store.put(sameLength))).toMatchObject({ code: 'store-exists' });
      await store.fetch(await only('twice'), backup.manifest.parts[0]!.files[0]!, path.join(folder, 'twice-fetched'));
      expect(await fs.readFile(path.join(folder, 'twice-fetched'), 'utf8')).toBe('rows');
    });

    test('takes back what was not completed, and takes it anew', async () => {
      const { files, manifest } = await made('back');
      await store.put(files[0]!);
      await store.takeBack([files[0]!.name]);
      await putAll(store, files.slice(1));
      expect(await store.list('back')).toEqual([]);
      await store.put(files[0]!);
      await store.fetch(await only('back'), manifest.parts[0]!.files[0]!, path.join(folder, 'back'));
    });

    test('refuses a local file that is not what it was said to be', async () => {
      const backup = await made('shrunk');
      const [part] = backup.files;
      await fs.truncate(part!.path, 2);
      expect(await failure(store.put(part!))).toMatchObject({ code: 'store-damaged' });
      await fs.rm(part!.path);
      const gone = await failure(store.put(part!));
      expect(gone.message).toContain(part!.path);
    });

    test('notices bytes that are damaged, and leaves nothing of them', async () => {
      const backup = await stored('damaged', { database: randomBytes(100_000), media: randomBytes(100_000) });
      const [flipped, cut] = backup.manifest.parts.map((part) => part.files[0]!);
      const found = await only('damaged');
      await harness.damage(flipped!.file);
      await harness.damage(cut!.file, { truncateTo: 99_999 });
      for (const file of [flipped!, cut!]) {
        const to = path.join(folder, `damaged-${file.file}`);
        const error = await failure(store.fetch(found, file, to));
        expect(error).toMatchObject({ code: 'store-damaged' });
        expect(error.message).toContain(file.file);
        await expect(fs.access(to)).rejects.toThrow('ENOENT');
      }
      await harness.damage(backup.files.at(-1)!.name, { truncateTo: 30 });
      expect(await failure(store.readManifest(found))).toMatchObject({ code: 'store-damaged' });
    });

    test('says what is missing', async () => {
      const backup = await stored('missing');
      const found = await only('missing');
      const file = { ...backup.manifest.parts[0]!.files[0]!, file: `${backup.name}.other.tar.zst` };
      const to = path.join(folder, 'missing-fetched');
      expect(await failure(store.fetch(found, file, to))).toMatchObject({ code: 'store-missing' });
      await expect(fs.access(to)).rejects.toThrow('ENOENT');
      const none = { ...found, name: 'missing-20200101T000000Z' };
      expect(await failure(store.readManifest(none))).toMatchObject({ code: 'store-missing' });
      expect(await failure(store.delete(none, undefined))).toMatchObject({ code: 'store-missing' });
    });

    test('never replaces a file when it fetches', async () => {
      const backup = await stored('kept');
      const to = path.join(folder, 'kept-file');
      await fs.writeFile(to, 'mine');
      const file = backup.manifest.parts[0]!.files[0]!;
      expect((await failure(store.fetch(await only('kept'), file, to))).message).toContain(to);
      expect(await fs.readFile(to, 'utf8')).toBe('mine');
    });

    test('deletes one backup and leaves the others', async () => {
      const first = await stored('delete');
      const second = await stored('delete');
      const [newest, oldest] = await store.list('delete');
      await store.delete(newest!, second.manifest);
      expect(names(await store.list('delete'))).toEqual([first.name]);
      const file = second.manifest.parts[0]!.files[0]!;
      const to = path.join(folder, 'deleted');
      expect(await failure(store.fetch(newest!, file, to))).toMatchObject({ code: 'store-missing' });
      // Without the manifest at hand as well, as for one that can't be read.
      await store.delete(oldest!, undefined);
      expect(await store.list('delete')).toEqual([]);
    });

    function proof(backup: MadeBackup, at: string, level: ProofDocument['level'], ok = true): ProofDocument {
      const { name, manifest } = backup;
      return { at, level, ok, backup: name, manifest: manifest.digest, lines: ['database: 7 rows'], caretaker: '1' };
    }

    test('keeps the results of drills beside a backup, and shows the newest first', async () => {
      const backup = await stored('drilled');
      const other = await stored('drilled');
      const [, oldest] = await store.list('drilled');
      expect(oldest).toMatchObject({ name: backup.name, proofs: [] });
      await store.keepProof(oldest!, proof(backup, '2026-11-25T03:00:00.500Z', 'application', false));
      await store.keepProof(oldest!, proof(backup, '2026-11-26T03:00:00.000Z', 'read'));
      const [untried, tried] = await store.list('drilled');
      expect(untried).toMatchObject({ name: other.name, proofs: [] });
      expect(tried!.proofs).toEqual([
        {
          ...{ at: '2026-11-26T03:00:00.000Z', level: 'read', ok: true },
          file: `${backup.name}.drill-20261126t030000z.read.ok.json`,
        },
        {
          ...{ at: '2026-11-25T03:00:00.000Z', level: 'application', ok: false },
          file: `${backup.name}.drill-20261125t030000z.application.failed.json`,
        },
      ]);
      // The backup itself is what it was.
      expect({ ...tried, proofs: [] }).toEqual(oldest);
      expect(await store.readManifest(tried!)).toEqual(backup.manifest);
    });

    test('passes over files that only look like proofs, and those of a backup that is not there', async () => {
      const backup = await stored('foreign');
      const gone = await made('foreign');
      for (const file of [
        `${backup.name}.drill-20261125t030000z.deep.ok.json`,
        `${backup.name}.drill-20260231t030000z.read.ok.json`,
        `${backup.name}.drill-20261125t030000z.read.ok.json.txt`,
        `${gone.name}.drill-20261125t030000z.read.ok.json`,
      ]) {
        const local = localFile(path.join(folder, file), '{}');
        await fs.writeFile(local.path, '{}');
        await store.put(local);
      }
      expect((await only('foreign')).proofs).toEqual([]);
    });

    test('removes the proofs of a backup with it, and takes none for one that is gone', async () => {
      const backup = await stored('proofs-go');
      const result = proof(backup, '2026-11-25T03:00:00.000Z', 'databases');
      await store.keepProof(await only('proofs-go'), result);
      const found = await only('proofs-go');
      await store.delete(found, backup.manifest);
      expect(await failure(store.keepProof(found, result))).toMatchObject({ code: 'store-missing' });
      // The same backup again: what is left of the old one would show.
      await putAll(store, backup.files);
      expect((await only('proofs-go')).proofs).toEqual([]);
    });

    test('keeps projects apart, whatever they are called', async () => {
      const projects = ['apart', 'apart-20260101t000000z', 'apart_2', 'Größe & Co.', '-x-', 'A.b/..', 'n'.repeat(80)];
      const backups = [];
      for (const project of projects) backups.push(await stored(project));
      for (const [at, project] of projects.entries()) {
        expect(names(await store.list(project))).toEqual([backups[at]!.name]);
      }
      const all = names(await store.list());
      for (const { name: one } of backups) expect(all).toContain(one);
    });

    test('finds 120 backups, newest first', async () => {
      const backups: MadeBackup[] = [];
      for (let count = 0; count < 120; count += 1) backups.push(await made('many'));
      // Not in the order of their age.
      const shuffled = backups.map((_, at) => backups[(at * 7) % backups.length]!);
      for (const { files } of shuffled) await harness.seed(files);
      expect(names(await store.list('many'))).toEqual(backups.map((backup) => backup.name).reverse());
    });
  });
}
