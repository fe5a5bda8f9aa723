import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { BadInput } from './bad-input.ts';

const update = (inputs: Readonly<Record<string, string>>): Pick<BadInput, 'mode' | 'inputs'> => ({
  mode: 'update',
  inputs: () => inputs,
});
const restore = (inputs: (backup: string) => Readonly<Record<string, string>>): Pick<BadInput, 'mode' | 'inputs'> => ({
  mode: 'restore',
  inputs: (_, backup) => ({ confirm: 'shop', ...inputs(backup) }),
});
const data = (line: string): Pick<BadInput, 'inputs'> => ({ inputs: () => ({ data: line }) });
const containers = { 'start-command': undefined, 'stop-command': undefined, 'status-command': undefined };
const composeFile = ({ shop }: { shop: string }): void =>
  writeFileSync(path.join(shop, 'compose.yaml'), 'services: {web: {image: nginx}}\n');

/** What is seen only by looking at the project, its data and its stores, some of it under the lock. */
export const badLookings: readonly BadInput[] = [
  // --- The application ---
  {
    title: 'a Compose project where no engine is',
    config: { ...containers, data: 'auto' },
    prepare: composeFile,
    code: 'no-engine',
    names: ['neither docker compose nor podman-compose answers'],
    hint: 'Install Docker Compose or podman-compose',
  },
  {
    title: 'an engine that is not there',
    config: { ...containers, engine: 'podman' },
    prepare: composeFile,
    code: 'engine-missing',
    names: ['engine podman-compose'],
    hint: 'Install it',
  },
  {
    title: 'a status command that does not exist',
    mode: 'update',
    config: { 'status-command': 'no-such-program --is-active' },
    inputs: () => ({ ref: 'v1.1.0' }),
    code: 'author-command-failed',
    names: ['status-command', 'no-such-program'],
    hint: 'by hand',
  },
  {
    title: 'an application that fails its own check before an update',
    ...update({ ref: 'v1.1.0', health: 'type=command,run=exit 3', 'health-timeout': '100ms' }),
    code: 'unhealthy-before',
    names: ['not healthy', /exit code 3|code 3/],
    hint: 'unhealthy',
  },
  {
    title: 'a file where the caretaker keeps its state',
    prepare: ({ shop }) => {
      rmSync(path.join(shop, '.caretaker'), { recursive: true, force: true });
      writeFileSync(path.join(shop, '.caretaker'), '');
    },
    code: 'state-directory-unwritable',
    names: [/\/shop\/\.caretaker/],
    hint: 'must be able to write',
  },
  {
    title: 'a project directory that this user may not write',
    unprivileged: true,
    prepare: ({ shop }) => {
      rmSync(path.join(shop, '.caretaker'), { recursive: true, force: true });
      chmodSync(shop, 0o555);
    },
    inputs: ({ shop }) => ({ 'project-directory': shop }),
    code: 'state-directory-unwritable',
    names: [/\/shop\/\.caretaker/, 'permission denied'],
    hint: 'must be able to write',
  },

  // --- data ---
  {
    title: 'data to be found where there are no mounts',
    ...data('auto'),
    code: 'data-required',
    names: ['shop', 'run by commands'],
    hint: 'type=sqlite',
  },
  {
    title: 'a directory that is not there',
    ...data('type=directory,path=./media'),
    code: 'data-path-missing',
    names: [/\/shop\/media/, 'path=./media'],
    hint: 'relative ones',
  },
  {
    title: 'a directory that is a file',
    ...data('type=directory,path=release.txt'),
    code: 'data-line-invalid',
    names: ['path=release.txt', 'is a file'],
    hint: 'README',
  },
  {
    title: 'a database that is none',
    ...data('type=sqlite,path=release.txt'),
    code: 'data-not-sqlite',
    names: [/\/shop\/release\.txt/],
    hint: 'type=directory',
  },
  {
    title: 'a server without containers',
    ...data('type=postgres,service=database'),
    code: 'data-line-invalid',
    names: ['type=postgres,service=database', 'run by commands'],
    hint: 'README',
  },
  {
    title: 'a service without containers',
    ...data('type=directory,service=web,path=/data'),
    code: 'data-service-unknown',
    names: ['service web'],
    hint: 'no services',
  },
  {
    title: 'a volume without containers',
    ...data('type=volume,volume=media'),
    code: 'data-volume-unknown',
    names: ['volume media'],
    hint: 'names no volumes',
  },

  // --- Stores ---
  {
    title: 'a folder whose disk is not mounted',
    inputs: ({ root }) => ({ store: `type=folder,path=${root}/mnt/backups` }),
    code: 'store-unreachable',
    names: [/\/mnt does not exist/],
    hint: 'mounted',
  },
  {
    title: 'a folder below a file',
    inputs: ({ shop }) => ({ store: `type=folder,path=${shop}/release.txt/backups` }),
    code: 'store-unreachable',
    names: ['release.txt'],
    hint: 'directory',
  },
  {
    title: 'a folder that this user may not write',
    unprivileged: true,
    prepare: ({ store }) => chmodSync(store, 0o555),
    inputs: ({ shop }) => ({ 'project-directory': shop }),
    code: 'store-denied',
    names: [/\/stores\/backups/, 'permission denied'],
    hint: 'must be able to read and write',
  },

  // --- update ---
  {
    title: 'a ref that is not there',
    ...update({ ref: 'v9.9.9' }),
    code: 'ref-unknown',
    names: ['v9.9.9'],
    hint: /\S/,
  },
  {
    title: 'an older version',
    ...update({ ref: 'v0.9.0' }),
    code: 'version-downgrade',
    names: ['v0.9.0'],
    hint: 'downgrade',
  },
  { title: 'a major step', ...update({ ref: 'v2.0.0' }), code: 'version-major', names: ['v2.0.0'], hint: 'major' },
  {
    title: 'local changes in a file that the update changes',
    ...update({ ref: 'v1.1.0' }),
    prepare: ({ shop }) => writeFileSync(path.join(shop, 'release.txt'), 'mine\n'),
    code: 'dirty-tree',
    names: ['release.txt'],
    hint: 'dirty',
  },
  {
    title: 'a ref where there is no clone',
    ...update({ ref: 'v1.1.0' }),
    prepare: ({ shop }) => rmSync(path.join(shop, '.git'), { recursive: true }),
    code: 'not-a-clone',
    names: [/no git clone in \/.*\/shop/],
    hint: 'source-directory',
  },

  // --- restore ---
  {
    title: 'a backup that is not there',
    ...restore(() => ({ backup: 'shop-20200101T000000Z' })),
    code: 'backup-not-found',
    names: ['shop-20200101T000000Z'],
    hint: /These are there:\n\s+shop-\d{8}T\d{6}Z \(folder /,
  },
  {
    title: 'a run that stored none',
    ...restore(() => ({ backup: '4712' })),
    code: 'backup-not-found',
    names: ['4712'],
    hint: 'These are there',
  },
  {
    title: 'the latest of none',
    ...restore(() => ({})),
    prepare: ({ store }) => {
      rmSync(store, { recursive: true });
      mkdirSync(store);
    },
    code: 'backup-not-found',
    names: ['no backup of shop'],
    hint: 'Check store',
  },
  {
    title: 'a folder that holds no backup',
    mode: 'restore',
    inputs: ({ elsewhere }) => ({ backup: elsewhere, confirm: 'shop' }),
    code: 'backup-not-found',
    names: [/\/elsewhere/],
    hint: 'Check',
  },
  {
    title: 'a part that the backup lacks',
    ...restore(() => ({ only: 'uploads' })),
    code: 'part-unknown',
    names: ['uploads', /shop-\d{8}T/],
    hint: 'orders, receipts',
  },
  {
    title: 'a restore without its confirmation',
    ...restore((backup) => ({ backup, confirm: '' })),
    code: 'confirm-missing',
    names: ['data of shop', 'confirm'],
    hint: 'shop',
  },
  {
    title: 'a confirmation that says something else',
    ...restore((backup) => ({ backup, confirm: 'yes' })),
    code: 'not-confirmed',
    names: ['data of shop', 'confirm'],
    hint: 'shop',
  },
  {
    title: 'a manifest that is torn',
    ...restore((backup) => ({ backup })),
    prepare: ({ store }, backup) => writeFileSync(path.join(store, `${backup}.manifest.json`), '{"format":'),
    code: 'store-damaged',
    names: [/shop-\d{8}T/],
    hint: /\S/,
  },
  {
    title: 'a part of which one byte has flipped',
    ...restore((backup) => ({ backup, only: 'receipts' })),
    prepare: ({ store }, backup) => flipByte(store, `${backup}.receipts`),
    code: 'store-damaged',
    names: [/receipts/, 'SHA-256'],
    hint: 'Take another backup',
  },
];

function flipByte(store: string, prefix: string): void {
  const file = readdirSync(store).find((name) => name.startsWith(prefix));
  if (file === undefined) throw new Error(`${store} holds no ${prefix}…`);
  const bytes = readFileSync(path.join(store, file));
  const middle = Math.floor(bytes.length / 2);
  bytes.writeUInt8(bytes.readUInt8(middle) ^ 1, middle);
  writeFileSync(path.join(store, file), bytes);
}
