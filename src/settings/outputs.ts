export interface Output {
  readonly name: string;
  readonly description: string;
}

/** All outputs of the action. action.yml and README's table are tested against this. */
export const outputs = [
  {
    name: 'backup',
    description: 'Name of the backup that was made (`backup`, `update`), restored (`restore`) or tried out (`verify`).',
  },
  { name: 'manifest', description: 'Name of its manifest file.' },
  { name: 'artifact-ids', description: 'Ids of the artifacts that were uploaded, separated by commas.' },
  { name: 'bytes', description: 'Size of the backup as stored, in bytes.' },
  { name: 'updated', description: '`true` when a new version serves, `false` when there was nothing to do.' },
  { name: 'previous-version', description: 'Tag or commit that served before the run.' },
  { name: 'version', description: 'Tag or commit that serves now.' },
  { name: 'rolled-back', description: '`true` when the new version failed and the old one was put back.' },
  { name: 'downtime-seconds', description: 'Seconds for which the application was away; `0` when it never was.' },
  {
    name: 'safety-backup',
    description: 'Name of the backup of the data that a restore replaced, kept on the host.',
  },
  {
    name: 'proof',
    description:
      '`verify`: how far the backup was proven: `read`, `databases` or `application`; `none` where the drill failed.',
  },
  {
    name: 'backups',
    description:
      '`list`: the backups found, newest first, as a JSON array of objects with `name`, `createdAt`, `bytes`, `store`, `proven` (the last drill’s `at`, `level` and `ok`, or null), `elsewhere` (on which host, in which directory it was made, or null for here).',
  },
  {
    name: 'status',
    description: '`status`: what lies and waits on this host, as a JSON object; the same as `status` of `--json`.',
  },
] as const satisfies readonly Output[];

export type OutputName = (typeof outputs)[number]['name'];
