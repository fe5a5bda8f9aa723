import { sealManifest, type Manifest, type Part } from '../../../src/archive/manifest.ts';

export const NAME = 'uso-20261121T220000Z';
const sha256 = 'a'.repeat(64);

export function samplePart(overrides: Partial<Part> = {}): Part {
  return {
    name: 'database',
    kind: 'postgres',
    method: 'physical',
    files: [{ file: `${NAME}.database.tar.zst`, bytes: 1000, rawBytes: 5000, sha256 }],
    consistency: 'online',
    origin: {
      service: 'database',
      path: '/srv/uso/database',
      relativePath: 'database',
      containerPath: '/var/lib/postgresql/data',
    },
    seconds: 6.1,
    postgres: {
      version: '17.6',
      major: 17,
      databases: ['postgres', 'uso'],
      user: 'uso',
      locale: 'C.UTF-8',
      rows: { uso: { 'public.words': 12 } },
    },
    ...overrides,
  };
}

export function sampleManifest(overrides: Partial<Manifest> = {}): Manifest {
  return sealManifest({
    schema: 1,
    name: NAME,
    createdAt: '2026-11-21T22:00:00.123Z',
    reason: 'backup',
    project: 'uso',
    projectDirectory: '/srv/uso',
    host: 'server1',
    caretaker: '0.1.0',
    version: { commit: 'c'.repeat(40), tag: 'v1.2.3', describe: null },
    engine: {
      runtime: 'podman',
      version: '4.3.1',
      dialect: 'podman-compose 1.6.0',
      rootless: true,
      composeFiles: ['docker-compose.yml'],
    },
    platform: 'linux/amd64',
    images: [{ service: 'web', name: 'localhost/uso:1', id: `sha256:${sha256}`, digests: ['r.example/uso@sha256:1'] }],
    ownership: 'podman-unshare',
    encryption: null,
    parts: [
      samplePart(),
      samplePart({
        name: 'site',
        kind: 'sqlite',
        method: 'sqlite',
        files: [{ file: `${NAME}.site.tar.zst`, bytes: 10, rawBytes: 20, sha256 }],
        origin: { volume: 'uso_db', path: '/var/lib/docker/volumes/uso_db/_data/db.sqlite3', exclude: ['x'] },
        postgres: undefined,
        sqlite: { pageSize: 4096, pages: 12, rows: { words: 3 } },
      } as unknown as Partial<Part>),
    ],
    left: [{ what: '/run/podman/podman.sock', why: 'a socket' }],
    instructions: { file: `${NAME}.RESTORE.md`, bytes: 100, sha256 },
    ...overrides,
  });
}
