import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { as, Deployment, docker, hostsInTurn, kit, succeeded, treeOf } from './harness.ts';

jest.setTimeout(300_000);

const dumps = ['--data', 'type=postgres,service=database,method=dump', '--data', 'type=directory,path=./local'];

/** What a path is, without what lies around it. */
function entry(file: string): string {
  const { mode, uid, gid, mtimeMs, size } = lstatSync(file);
  return `${mode} ${uid}:${gid} ${mtimeMs} ${size} ${execFileSync('sha256sum', { input: readFileSync(file), encoding: 'utf8' })}`;
}

describe.each(hostsInTurn(1))('USO on %s', (_, hostOf) => {
  let app: Deployment;
  let local: string;
  let dumped: string;
  let physical: string;
  let whole: { tree: string; dump: string };

  const inside = async (service: string, ...argv: string[]): Promise<string> =>
    succeeded(await app.engine('exec', (await app.containers())[service]?.id ?? '', ...argv)).trim();
  const sql = (database: string, statement: string): Promise<string> =>
    inside('database', 'psql', '-X', '-At', '-v', 'ON_ERROR_STOP=1', '-U', 'usonline', '-d', database, '-c', statement);
  const sh = (script: string): Promise<string> => inside('web', 'sh', '-c', `cd /opt/usonline/local && ${script}`);
  const databases = (): Promise<string> =>
    sql('usonline', 'select datname, datdba::regrole, datacl from pg_database order by 1');
  const place = (name: string): string => path.join(path.dirname(app.directory), name);

  beforeAll(async () => {
    app = await Deployment.create(hostOf(), 'uso');
    local = path.join(app.facts.instance, 'local');
    await app.write(3);
    await sql('usonline', 'create role "Shop owner"');
    await sql('usonline', 'create role reader');
    await sql('usonline', 'create database "Shop 1" owner "Shop owner" template template0');
    await sql('usonline', 'grant connect on database "Shop 1" to reader');
    await sql('usonline', `alter database "Shop 1" set search_path to 'DATABASE "Shop 1" '`);
    await sql('Shop 1', 'create table public.orders (id int primary key)');
    await sql('Shop 1', 'grant select on public.orders to reader');
    await sql('Shop 1', 'insert into public.orders values (1)');
    dumped = (await app.succeeds('backup', ...dumps)).backup?.name ?? '';
    physical = (await app.succeeds('backup')).backup?.name ?? '';
    whole = { tree: treeOf(local), dump: await app.dump() };
  });
  afterAll(() => app?.destroy());

  test('paths of a directory go back, and nothing else', async () => {
    const paths = ['media/photo.jpg', 'shared/group.txt', 'media/Größe ☃ 文.txt', 'media/one.bin'];
    const before = [paths.map((one) => entry(path.join(local, one))), treeOf(path.join(local, 'shared'))];
    await sh(
      'echo new > media/photo.jpg && rm -r shared media/Gr* && echo x > settings.py && echo one > media/one.bin',
    );
    const changed = treeOf(local);
    const running = (await app.containers())['database'];

    const only = ['local/media/photo.jpg', 'local/shared', 'local/media/Größe ☃ 文.txt', 'local/media/one.bin'];
    const { restore } = await app.succeeds('restore', '--backup', dumped, '--only', only.join('\n'));
    expect(restore?.parts).toEqual(only);
    expect([paths.map((one) => entry(path.join(local, one))), treeOf(path.join(local, 'shared'))]).toEqual(before);
    expect(readFileSync(path.join(local, 'settings.py'), 'utf8')).toBe('x\n');
    expect((await app.containers())['database']).toEqual(running);
    expect(await app.leftovers()).toEqual([]);

    // What was there comes back by the safety backup; of what was not there it holds nothing.
    await app.succeeds('restore', '--backup', restore?.safetyBackup ?? '');
    expect(readFileSync(path.join(local, 'media/photo.jpg'), 'utf8')).toBe('new\n');
    expect(readFileSync(path.join(local, 'media/one.bin'), 'utf8')).toBe('one\n');
    expect(treeOf(local)).not.toBe(changed);
    await app.succeeds('restore', '--backup', dumped, '--only', 'local/media, local/settings.py');
    expect(await app.leftovers()).toEqual([]);
  });

  test('a path that does not do is put back, with the parents that it had not', async () => {
    await sh('echo new > media/photo.jpg && rm -r shared');
    const before = treeOf(local);
    const health = ['--health', 'type=command,run=test ! -e local/shared', '--health-timeout', '3s'];
    const only = 'local/media/photo.jpg, local/shared/group.txt';
    const { report } = await app.caretaker('restore', '--backup', dumped, '--only', only, ...health);
    expect([report.outcome, report.error?.code]).toEqual(['rolled-back', 'unhealthy']);
    const times = (text: string): string => text.replaceAll(/^(\.|\.\/media)\|d\|(.*\|)[^|]*\|$/gm, '$1 $2');
    expect(times(treeOf(local))).toBe(times(before));
    expect(await app.leftovers()).toEqual([]);
  });

  test('what is not in the backup is refused with nothing stopped', async () => {
    const before = await app.containers();
    for (const [only, code, hint] of [
      ['local/media/photo.jpeg', 'path-unknown', 'media/photo.jpg'],
      ['local/media/latest', 'path-unfit', 'to'],
      ['database:shop', 'database-unknown', 'Shop 1, postgres, usonline'],
      ['database/base', 'part-indivisible', 'database:DATABASE'],
      ['locale', 'part-unknown', 'database, local'],
    ] as const) {
      const { report } = await app.caretaker('restore', '--backup', dumped, '--only', only);
      expect([only, report.outcome, report.error?.code, report.error?.hint]).toEqual([only, 'refused', code, expect.stringContaining(hint)]); // prettier-ignore
    }
    const { report } = await app.caretaker('restore', '--backup', physical, '--only', 'database:usonline');
    expect([report.error?.code, report.error?.hint]).toEqual([
      'part-indivisible',
      expect.stringContaining('method=dump'),
    ]);
    expect(await app.containers()).toEqual(before);
    expect(await app.leftovers()).toEqual([]);
  });

  test('one database of two goes back while its server runs on, and forth again', async () => {
    const properties = await databases();
    await sql('Shop 1', 'insert into public.orders values (2)');
    await sql('usonline', 'alter database "Shop 1" owner to usonline');
    await app.write(2);
    const [later, owned] = [await app.dump(), await databases()];
    const server = (await app.containers())['database'];

    const { restore } = await app.succeeds('restore', '--backup', dumped, '--only', 'database:Shop 1');
    expect((await app.containers())['database']).toEqual(server);
    expect([await sql('Shop 1', 'select id from public.orders'), await app.dump()]).toEqual(['1', later]);
    expect(await databases()).toBe(properties);
    expect(await sql('Shop 1', 'show search_path')).toContain('DATABASE');
    expect(await app.leftovers()).toEqual([]);

    await app.succeeds('restore', '--backup', restore?.safetyBackup ?? '');
    expect(await sql('Shop 1', 'select string_agg(id::text, $$ $$ order by id) from public.orders')).toBe('1 2');
    expect([await databases(), await app.dump()]).toEqual([owned, later]);
  });

  test('the RESTORE.md of such a safety backup puts the database back by hand', async () => {
    const { restore } = await app.succeeds('restore', '--backup', dumped, '--only', 'database:Shop 1');
    const safety = path.join(app.state, 'safety');
    const text = readFileSync(path.join(safety, `${restore?.safetyBackup}.RESTORE.md`), 'utf8');
    const script = [...text.matchAll(/^(`{3,})sh\n([\s\S]*?)^\1$/gm)].map(([, , body]) => body).join('\n');
    succeeded(await as(app.host, ['bash', '-e', '-c', script], safety));
    await app.make('wait');
    expect(await sql('Shop 1', 'select string_agg(id::text, $$ $$ order by id) from public.orders')).toBe('1 2');
    const [, old] = /^(Shop 1\.before-restore-\d+)\|/m.exec(await databases()) ?? [];
    expect(await sql(old ?? '', 'select id from public.orders')).toBe('1');
    await sql('usonline', `drop database "${old}"`);
  });

  test('the database of the application goes back with a path beside it; one that does not do is put back', async () => {
    await app.write(1);
    const later = await app.dump();
    const newest = Math.max(...[...later.matchAll(/^ledger: \[(\d+),/gm)].map(([, id]) => Number(id)));
    const health = [
      '--health',
      `type=http,url=${app.facts.url}/dump,contains=ledger: [${newest}`,
      '--health-timeout',
      '5s',
    ];
    const { report } = await app.caretaker('restore', '--backup', dumped, '--only', 'database:usonline', ...health);
    expect([report.outcome, report.error?.code]).toEqual(['rolled-back', 'unhealthy']);
    expect(await app.dump()).toBe(later);
    expect(await databases()).not.toContain('caretaker');

    await app.succeeds('restore', '--backup', dumped, '--only', 'database:usonline, local/media');
    expect(await app.dump()).toBe(whole.dump);
    expect(await databases()).not.toContain('caretaker');
    await app.write(1);
    expect(await app.leftovers()).toEqual([]);
  });

  test('a role that is missing is named before anything is stopped, and a database that is gone comes back', async () => {
    await sql('usonline', 'drop database "Shop 1"');
    await sql('usonline', 'drop role reader');
    const before = await app.containers();
    const { report } = await app.caretaker('restore', '--backup', dumped, '--only', 'database:Shop 1');
    expect([report.outcome, report.error?.code, report.error?.message]).toEqual(['refused', 'postgres-role-missing', expect.stringMatching(/no role reader$/)]); // prettier-ignore
    expect(await app.containers()).toEqual(before);
    await sql('usonline', 'create role reader');
    await app.succeeds('restore', '--backup', dumped, '--only', 'database:Shop 1');
    expect(await sql('Shop 1', 'select id from public.orders')).toBe('1');
    expect(await databases()).not.toContain('caretaker');
  });

  test('elsewhere: all parts, one path, one database, with nothing touched', async () => {
    const before = await app.containers();
    const all = place('all');
    const report = await app.succeeds('restore', '--backup', physical, '--to', all, '--confirm', '');
    expect(report.restore).toMatchObject({ to: all, parts: ['database', 'local', 'project-files'] });
    expect(readdirSync(all).sort()).toEqual(['database', 'local', 'project-files']);
    expect(existsSync(path.join(all, 'database/global/pg_control'))).toBe(true);
    expect(lstatSync(path.join(all, 'database')).mode & 0o777).toBe(0o700);
    const tree = treeOf(path.join(all, 'local'));
    const owners = (text: string): string =>
      text.replaceAll(/\|\d+:\d+\|/g, '||').replaceAll(/^(# owner|# group): .*/gm, '$1');
    if (app.host.user === 'root') expect(tree).toBe(whole.tree);
    else expect(owners(tree)).toBe(owners(whole.tree));

    const some = place('deep/some');
    await app.succeeds('restore', '--backup', dumped, '--to', some, '--only', 'local/media/one.bin, database:Shop 1');
    expect(readdirSync(some, { recursive: true, encoding: 'utf8' }).sort()).toEqual([
      ...['database', 'database/globals.sql', 'local', 'local/media', 'local/media/one.bin'],
    ].concat(readdirSync(path.join(some, 'database')).filter((name) => name.endsWith('.dump')).map((name) => `database/${name}`)).sort()); // prettier-ignore
    expect(readFileSync(path.join(some, 'local/media/one.bin'), 'utf8')).toBe('linked twice\n');

    for (const to of [all, path.join(local, 'new'), path.join(app.state, 'new')]) {
      const { report: refused } = await app.caretaker('restore', '--backup', dumped, '--to', to);
      expect([to, refused.outcome, refused.error?.code]).toEqual([to, 'refused', 'to-unusable']);
    }
    const { report: unknown } = await app.caretaker(
      'restore',
      '--backup',
      dumped,
      '--to',
      place('x/y'),
      '--only',
      'local/no',
    );
    expect([unknown.error?.code, existsSync(place('x'))]).toEqual(['path-unknown', false]);
    expect(await app.containers()).toEqual(before);
    expect(await app.leftovers()).toEqual([]);
  });

  test('elsewhere: without an engine and without an application', async () => {
    const bin = place('bin');
    mkdirSync(bin);
    for (const program of ['tar', 'sh', 'env', 'mkdir', 'rm', 'sync', 'stat', 'git'])
      symlinkSync(execFileSync('which', [program], { encoding: 'utf8' }).trim(), path.join(bin, program));
    const empty = place('empty');
    succeeded(await as(app.host, ['mkdir', empty]));
    const run = await as(app.host, [
      ...['env', `PATH=${bin}`, process.env['CARETAKER_TEST_NODE24'] as string, kit().cli, 'restore'],
      ...['--project-directory', empty, '--backup', app.backups + '/', '--only', 'local/media', '--to', './out'],
    ]);
    expect(succeeded(run)).toContain('restored into');
    expect(readFileSync(path.join(empty, 'out/local/media/one.bin'), 'utf8')).toBe('linked twice\n');
    expect(readdirSync(empty)).toEqual(['out']);
    rmSync(empty, { recursive: true });
  });
});

describe('MedCATtrainer on Docker as a member of its group', () => {
  let app: Deployment;
  beforeAll(async () => {
    app = await Deployment.create(docker('member-of-group-docker'), 'medcattrainer');
    await app.write(3);
  });
  afterAll(() => app?.destroy());

  test('a file and a directory of a volume go back alone, and elsewhere as far as this user can', async () => {
    const backup = (await app.succeeds('backup')).backup?.name ?? '';
    const dump = await app.dump();
    const media = await app.volume('api-media');
    const files = readdirSync(media, { recursive: true, encoding: 'utf8' }).filter((one) => lstatSync(path.join(media, one)).isFile()); // prettier-ignore
    const one = files.find((file) => !file.includes('/')) ?? files[0] ?? '';
    const was = entry(path.join(media, one));
    const solr = await app.volume('solr-data');
    const [directory = ''] = readdirSync(solr, { encoding: 'utf8' }).filter((name) =>
      lstatSync(path.join(solr, name)).isDirectory(),
    );
    const tree = treeOf(path.join(solr, directory));
    rmSync(path.join(media, one));
    rmSync(path.join(solr, directory), { recursive: true });
    await app.write(2);
    const [later, { solr: search }] = [await app.dump(), await app.containers()];

    const only = `api-media/${one}, solr-data/${directory}`;
    const { restore } = await app.succeeds('restore', '--backup', backup, '--only', only);
    expect([entry(path.join(media, one)), treeOf(path.join(solr, directory))]).toEqual([was, tree]);
    expect([await app.dump(), restore?.safetyBackup]).toEqual([later, undefined]);
    expect((await app.containers())['solr']?.startedAt).not.toBe(search?.startedAt);
    expect(await app.leftovers()).toEqual([]);

    writeFileSync(path.join(media, one), 'of now');
    const again = await app.succeeds('restore', '--backup', backup, '--only', `api-media/${one}`);
    expect(entry(path.join(media, one))).toBe(was);
    await app.succeeds('restore', '--backup', again.restore?.safetyBackup ?? '');
    expect(readFileSync(path.join(media, one), 'utf8')).toBe('of now');

    const to = path.join(path.dirname(app.directory), 'look');
    await app.succeeds('restore', '--backup', backup, '--to', to);
    const there = readdirSync(to).sort();
    expect(there).toEqual(expect.arrayContaining(['api-media', 'db', 'project-files', 'solr-data']));
    const rows = execFileSync('sqlite3', [path.join(to, 'db', readdirSync(path.join(to, 'db'))[0] ?? ''), 'pragma integrity_check; select count(*) from ledger'], { encoding: 'utf8' }); // prettier-ignore
    expect(rows).toBe('ok\n3\n');
    expect(dump).not.toBe(later);
    expect(await app.leftovers()).toEqual([]);
  });
});
