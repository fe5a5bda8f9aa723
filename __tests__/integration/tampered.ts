import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { formatManifest, openManifest, sealManifest } from '../../src/archive/manifest.ts';

/** Changes a file of a stored backup, `FOLDER/BACKUP.SUFFIX`, as somebody would who can also write its digests. */
export function tamper(folder: string, backup: string, suffix: string, change: (raw: Buffer) => Buffer): void {
  const file = path.join(folder, `${backup}.${suffix}`);
  const raw = change(zstdDecompressSync(readFileSync(file)));
  const bytes = zstdCompressSync(raw);
  writeFileSync(file, bytes);
  const at = path.join(folder, `${backup}.manifest.json`);
  const { digest: _old, ...manifest } = openManifest(readFileSync(at, 'utf8'));
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const rewritten = { bytes: bytes.length, rawBytes: raw.length, sha256 };
  const parts = manifest.parts.map((part) => ({
    ...part,
    files: part.files.map((one) => (one.file === path.basename(file) ? { ...one, ...rewritten } : one)),
  }));
  writeFileSync(at, formatManifest(sealManifest({ ...manifest, parts })));
}

/** An archive with other contents in its files, and all else of it as it was. */
export function changeArchive(raw: Buffer, change: (directory: string) => void): Buffer {
  const parent = mkdtempSync(path.join(tmpdir(), 'caretaker-tampered-'));
  const [work, list] = [path.join(parent, 'work'), path.join(parent, 'names')];
  try {
    mkdirSync(work);
    execFileSync('tar', ['-x', '-C', work], { input: raw });
    writeFileSync(list, execFileSync('tar', ['-t'], { input: raw }));
    change(work);
    return execFileSync('tar', ['-c', '-C', work, '--no-recursion', '-T', list], { maxBuffer: 2 ** 30 });
  } finally {
    rmSync(parent, { recursive: true });
  }
}
