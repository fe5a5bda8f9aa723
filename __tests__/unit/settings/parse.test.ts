import { describe, expect, test } from '@jest/globals';
import type { InputName } from '../../../src/settings/inputs.ts';
import type { Environment } from '../../../src/settings/parse.ts';
import type { BackupSettings, RestoreSettings, UpdateSettings } from '../../../src/settings/settings.ts';
import { inAction, inShell, parse, problemsOf } from './helpers.ts';

type Values = Partial<Record<InputName, string>>;

describe('defaults', () => {
  test('a backup in a workflow needs nothing but its mode and the directory', () => {
    expect(parse({ mode: 'backup' })).toEqual({
      mode: 'backup',
      projectDirectory: '/srv/uso',
      composeFiles: [],
      projectName: undefined,
      profiles: [],
      envFiles: [],
      engine: 'auto',
      commands: undefined,
      stores: [{ type: 'artifact', retentionDays: undefined, repository: 'uso/site' }],
      githubToken: 't0ken',
      warnings: [],
      data: 'auto',
      sourceDirectory: undefined,
      allow: [],
      health: [],
      healthTimeoutMs: 300_000,
      settleMs: 10_000,
      lockTimeoutMs: 0,
      consistency: 'online',
      onStoreFailure: 'fail',
    });
  });

  test('in a shell the project is the current directory, and backups go to a folder in it', () => {
    const settings = parse({ mode: 'list', 'project-directory': 'uso' }, inShell);
    expect(settings.projectDirectory).toBe('/srv/uso');
    expect(settings.stores).toEqual([{ type: 'folder', path: '/srv/uso/.caretaker/backups' }]);
  });

  test('status needs no token, and knows what the other modes are told of data and safety backups', () => {
    const values = { 'keep-local-days': '30', data: 'type=directory,path=./media', 'github-token': '' };
    expect(parse({ mode: 'status', ...values })).toMatchObject({
      ...{ mode: 'status', keepLocal: 3, keepLocalDays: 30, warnings: [] },
      data: [{ type: 'directory', path: './media' }],
    });
  });

  test('a backup and an update fail where a store fails, unless a warning is enough', () => {
    const { onStoreFailure: said } = parse({ mode: 'update', 'on-store-failure': 'warn' }, inShell) as UpdateSettings;
    const { onStoreFailure: standard } = parse({ mode: 'backup' }, inShell) as BackupSettings;
    expect([said, standard]).toEqual(['warn', 'fail']);
    expect(problemsOf(() => parse({ mode: 'backup', 'on-store-failure': 'ignore' }))).toMatchObject([
      { code: 'on-store-failure-unknown', input: 'on-store-failure' },
    ]);
  });

  test('in a workflow a relative project directory starts at the workspace', () => {
    const environment = { ...inAction, env: { ...inAction.env, GITHUB_WORKSPACE: '/srv' } };
    expect(parse({ mode: 'backup', 'project-directory': './uso' }, environment).projectDirectory).toBe('/srv/uso');
  });

  test('an update follows the tag of the event, and the default health timeout exceeds a minute', () => {
    const environment: Environment = {
      ...inAction,
      env: { ...inAction.env, GITHUB_REF_TYPE: 'tag', GITHUB_REF_NAME: 'v2.0.0', GITHUB_EVENT_NAME: 'release' },
    };
    const settings = parse({ mode: 'update' }, environment) as UpdateSettings;
    expect(settings).toMatchObject({
      eventTag: 'v2.0.0',
      ref: undefined,
      track: undefined,
      keepLocal: 3,
      keepLocalDays: undefined,
    });
    expect(settings).toMatchObject({ build: { kind: 'auto' }, buildTimeoutMs: 3_600_000 });
    expect(settings.healthTimeoutMs).toBeGreaterThan(60_000);
  });

  test('a tag on which a workflow is dispatched by hand is not the version to deploy', () => {
    const environment: Environment = {
      ...inAction,
      env: {
        ...inAction.env,
        GITHUB_REF_TYPE: 'tag',
        GITHUB_REF_NAME: 'v2.0.0',
        GITHUB_EVENT_NAME: 'workflow_dispatch',
      },
    };
    expect(parse({ mode: 'update' }, environment)).toMatchObject({ eventTag: undefined });
  });
});

describe('drills and rehearsals', () => {
  test('a drill goes as far as the project allows, and reaches nothing', () => {
    expect(parse({ mode: 'verify' })).toMatchObject({
      ...{ mode: 'verify', proof: undefined, checks: [], throwawayNetwork: 'internal', warnings: [] },
      backup: { by: 'latest' },
    });
  });

  test('checks of the user', () => {
    const check = `type=sql,part=database,database=shop,"query=select a, b from t",expect=1|2
      type=command,run=./check.sh`;
    expect(parse({ mode: 'verify', check, proof: 'application', 'throwaway-network': 'open' })).toMatchObject({
      ...{ proof: 'application', throwawayNetwork: 'open' },
      checks: [
        { type: 'sql', part: 'database', database: 'shop', query: 'select a, b from t', expect: '1|2' },
        { type: 'command', run: './check.sh' },
      ],
    });
  });

  test('a rehearsal is an update that is put back', () => {
    expect(parse({ mode: 'rehearse', ref: 'v1' })).toMatchObject({ mode: 'rehearse', rehearse: 'only', dryRun: false });
    expect(parse({ mode: 'update', rehearse: 'true' })).toMatchObject({ mode: 'update', rehearse: 'first' });
    expect(parse({ mode: 'update' })).toMatchObject({ rehearse: 'no', throwawayNetwork: 'internal' });
  });

  test.each<[Values, string]>([
    [{ proof: 'all' }, 'proof-unknown'],
    [{ 'throwaway-network': 'host' }, 'throwaway-network-unknown'],
    [{ check: 'type=sql,part=database' }, 'check-invalid'],
    [{ check: 'type=command' }, 'check-invalid'],
    [{ check: 'type=http,url=x' }, 'check-type-unknown'],
    [{ check: 'type=command,run=x,part=y' }, 'check-key-unknown'],
  ])('%j is refused', (values, code) => {
    expect(problemsOf(() => parse({ mode: 'verify', ...values })).map((problem) => problem.code)).toEqual([code]);
  });
});

describe('encryption', () => {
  const KEY = 'age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj';
  const IDENTITY = 'AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX';

  test('is by public keys, or by a passphrase, its own or a file’s; decryption by what the backup asks for', () => {
    expect(parse({ mode: 'backup' })).toMatchObject({ encryption: undefined });
    expect(parse({ mode: 'backup', 'encrypt-to': `# ours\n${KEY}` })).toMatchObject({
      encryption: { recipients: [KEY] },
    });
    expect(parse({ mode: 'update', 'passphrase-file': '.env' })).toMatchObject({
      encryption: { passphrase: { file: '/srv/uso/.env' } },
    });
    expect(parse({ mode: 'verify', identity: IDENTITY, passphrase: 'six random words' })).toMatchObject({
      decryption: { identity: { text: IDENTITY }, passphrase: { text: 'six random words' } },
    });
  });

  test.each<[Values, string]>([
    [{ mode: 'backup', 'encrypt-to': IDENTITY }, 'recipient-unreadable'],
    [{ mode: 'backup', 'encrypt-to': KEY.slice(0, -1) }, 'recipient-unreadable'],
    [{ mode: 'backup', 'encrypt-to': KEY, passphrase: 'six random words' }, 'settings-conflict'],
    [{ mode: 'backup', passphrase: 'hunter2' }, 'passphrase-weak'],
    [{ mode: 'backup', passphrase: 'aaaaaaaaaaaaaaaa' }, 'passphrase-weak'],
    [{ mode: 'backup', passphrase: 'six random words', 'passphrase-file': '.env' }, 'settings-conflict'],
    [{ mode: 'backup', 'passphrase-file': 'none' }, 'secret-file-missing'],
    [{ mode: 'restore', identity: KEY }, 'identity-unreadable'],
    [{ mode: 'restore', 'identity-file': '/srv/uso' }, 'secret-file-missing'],
    [{ mode: 'restore', identity: IDENTITY, 'identity-file': '.env' }, 'settings-conflict'],
  ])('%j is refused, and shows no secret', (values, code) => {
    const problems = problemsOf(() => parse({ confirm: 'uso', ...values }));
    expect(problems.map((problem) => problem.code)).toEqual([code]);
    expect(problems[0]?.input).toBeDefined();
    expect(JSON.stringify(problems.map(({ message, hint }) => [message, hint]))).not.toMatch(
      /SECRET-KEY-1|hunter2|six random words"/,
    );
  });
});

describe('values', () => {
  test('every structured input arrives as data', () => {
    const settings = parse({
      mode: 'update',
      'compose-files': 'docker-compose.yml\n',
      'project-name': 'uso',
      profiles: 'a, b\nc',
      'env-files': '.env',
      engine: 'podman',
      data: '# comment\ntype=postgres,service=database\n\ntype=directory,path=./local,exclude=logs/**;tmp/**',
      store: 'type=artifact,retention-days=30\ntype=folder,path=/backups',
      'keep-local': '0',
      'keep-local-days': '30',
      'source-directory': '../clone',
      ref: 'v1.4.0',
      allow: 'major,dirty',
      build: './deploy/build-image.sh nginx',
      'build-timeout': '90m',
      health: 'type=http,url=http://localhost:8000/login/,status=302,contains="a, b"\ntype=command,run=./check.sh',
      'health-timeout': '1m30s',
      settle: '0',
      'lock-timeout': '10m',
    });
    expect(settings).toMatchObject({
      composeFiles: ['/srv/uso/docker-compose.yml'],
      profiles: ['a', 'b', 'c'],
      envFiles: ['/srv/uso/.env'],
      engine: 'podman-compose',
      data: [
        { type: 'postgres', service: 'database' },
        { type: 'directory', path: './local', exclude: 'logs/**;tmp/**' },
      ],
      stores: [
        { type: 'artifact', retentionDays: 30, repository: 'uso/site' },
        { type: 'folder', path: '/backups' },
      ],
      keepLocal: 0,
      keepLocalDays: 30,
      sourceDirectory: '/srv/clone',
      ref: 'v1.4.0',
      allow: ['major', 'dirty'],
      build: { kind: 'command', command: './deploy/build-image.sh nginx' },
      buildTimeoutMs: 5_400_000,
      health: [
        { type: 'http', url: 'http://localhost:8000/login/', status: 302, contains: 'a, b' },
        { type: 'command', run: './check.sh' },
      ],
      healthTimeoutMs: 90_000,
      settleMs: 0,
      lockTimeoutMs: 600_000,
      warnings: [],
    });
  });

  test('a path beside a service or a volume is the container’s or the volume’s', () => {
    const data = 'type=directory,service=web,path=/../app\ntype=volume,volume=media,path=../x';
    expect(parse({ mode: 'backup', data, store: 'type=folder,path=/app/x' })).toMatchObject({ data: [{}, {}] });
  });

  test.each([
    ['latest', { by: 'latest' }],
    ['uso-20261121T220000Z', { by: 'name', text: 'uso-20261121T220000Z' }],
    ['12345678901', { by: 'id', text: '12345678901' }],
    ['/backups/one', { by: 'path', path: '/backups/one' }],
    ['before=2026-11-20', { by: 'before', at: new Date('2026-11-20T00:00:00Z') }],
    ['before=2026-11-20 18:30', { by: 'before', at: new Date('2026-11-20T18:30:00Z') }],
    ['before=2026-11-20T18:30:15+02:00', { by: 'before', at: new Date('2026-11-20T16:30:15Z') }],
    ['2d', { by: 'age', ms: 172_800_000 }],
    ['1w', { by: 'age', ms: 604_800_000 }],
    ['1h30m', { by: 'age', ms: 5_400_000 }],
    ['v25.09', { by: 'version', version: 'v25.09' }],
    ['1.4.0-rc1', { by: 'version', version: '1.4.0-rc1' }],
    ['version=release/2025', { by: 'version', version: 'release/2025' }],
    ['version=release-2025', { by: 'version', version: 'release-2025' }],
  ])('a restore takes %s', (backup, expected) => {
    const settings = parse({ mode: 'restore', confirm: 'uso', backup, only: 'database, local' }) as RestoreSettings;
    const only = [
      { text: 'database', part: 'database', what: 'part' },
      { text: 'local', part: 'local', what: 'part' },
    ];
    expect(settings).toMatchObject({ backup: expected, only, to: undefined, confirm: 'uso' });
  });

  test('only takes parts, paths inside parts and databases of parts, and to needs no confirmation', () => {
    const only = 'sqlite\nmedia/./2026//a b.png, media/"x"*.txt/\n"local/one, two", database:Shop/1';
    expect(parse({ mode: 'restore', only, to: '/srv/look' })).toMatchObject({
      only: [
        { part: 'sqlite', what: 'part' },
        { part: 'media', what: 'path', path: '2026/a b.png', text: 'media/./2026//a b.png' },
        { part: 'media', what: 'path', path: '"x"*.txt' },
        { part: 'local', what: 'path', path: 'one, two' },
        { part: 'database', what: 'database', database: 'Shop/1' },
      ],
      to: '/srv/look',
      confirm: '',
    });
    expect(parse({ mode: 'restore', to: './look' })).toMatchObject({ only: [], to: '/srv/uso/look' });
  });

  test('all that is wrong with only is told at once', () => {
    const only = 'a/, b//etc/passwd, c/x/../../y, d:, /e, f, f/x, g/x, g/x/y, h/x, h:x';
    const problems = problemsOf(() => parse({ mode: 'restore', confirm: 'uso', only, to: '../elsewhere' }));
    expect(problems.map(({ code }) => code)).toEqual([
      ...['only-invalid', 'only-invalid', 'only-invalid', 'only-invalid', 'only-invalid', 'only-conflict'],
      'path-outside-project',
    ]);
    for (const pair of ['f, f/x', 'f, f:x', 'g/x, g/x/y', 'g/x/y, g/x', 'h/x, h:x']) {
      const [problem] = problemsOf(() => parse({ mode: 'restore', confirm: 'uso', only: pair }));
      expect([pair, problem?.code]).toEqual([pair, 'only-conflict']);
    }
    expect(problemsOf(() => parse({ mode: 'restore', confirm: 'uso', only: 'g/x, g/xy, g/x-y, d:a, d:b' }))).toEqual(
      [],
    );
  });

  test('a restore may bring compose and env files that are not there, and code and images', () => {
    const values: Values = { 'compose-files': 'gone.yml', 'env-files': 'gone.env' };
    expect(parse({ mode: 'restore', ...values })).toMatchObject({
      ...{ composeFiles: ['/srv/uso/gone.yml'], envFiles: ['/srv/uso/gone.env'], confirm: '' },
      ...{ withCode: false, build: { kind: 'auto' }, cacheImages: false },
    });
    expect(problemsOf(() => parse({ mode: 'backup', ...values })).map(({ code }) => code)).toEqual([
      'compose-file-missing',
      'env-file-missing',
    ]);
    expect(parse({ mode: 'restore', 'with-code': 'true', build: './build.sh' })).toMatchObject({
      ...{ withCode: true, build: { kind: 'command', command: './build.sh' } },
    });
  });

  test('a restore from a folder needs no token, whatever the store', () => {
    const values: Values = { mode: 'restore', confirm: 'uso', backup: '/backups/one', 'github-token': '' };
    expect(parse(values)).toMatchObject({ githubToken: undefined });
    expect(parse({ ...values, store: 'type=artifact' }, inShell)).toMatchObject({ backup: { path: '/backups/one' } });
  });

  test('an application without containers is run by three commands', () => {
    const values: Values = { mode: 'backup', 'start-command': 'a', 'stop-command': 'b', 'status-command': 'c' };
    expect(parse(values).commands).toEqual({ start: 'a', stop: 'b', status: 'c' });
  });

  test('an input that the mode does not use is a warning, and so is a short health timeout', () => {
    expect(parse({ mode: 'backup', ref: 'v1', 'health-timeout': '30s' }).warnings).toEqual([
      '"ref" has no effect in mode backup.',
      expect.stringContaining('health-timeout is 30 s') as unknown,
    ]);
  });
});

/** What is wrong, the values, the code, the input at fault; some with an environment of their own. */
const bad: readonly (readonly [string, Values, string, InputName, Environment?])[] = [
  ['no mode', {}, 'mode-missing', 'mode'],
  ['a misspelt mode', { mode: 'bakcup' }, 'mode-unknown', 'mode'],
  ['a mode of another time', { mode: 'prune' }, 'mode-unknown', 'mode'],
  [
    'no such directory',
    { mode: 'backup', 'project-directory': '/nowhere' },
    'project-directory-missing',
    'project-directory',
  ],
  [
    'a file as directory',
    { mode: 'backup', 'project-directory': '/srv/uso/.env' },
    'project-directory-missing',
    'project-directory',
  ],
  [
    'no such compose file',
    { mode: 'backup', 'compose-files': 'compose-prod.yml' },
    'compose-file-missing',
    'compose-files',
  ],
  [
    'a compose file outside',
    { mode: 'backup', 'compose-files': '../clone/x.yml' },
    'path-outside-project',
    'compose-files',
  ],
  [
    'a neighbour that begins alike',
    { mode: 'backup', 'compose-files': '../uso-other/x.yml' },
    'path-outside-project',
    'compose-files',
  ],
  ['no such env file', { mode: 'backup', 'env-files': 'envs/env' }, 'env-file-missing', 'env-files'],
  ['an env file outside', { mode: 'backup', 'env-files': '../../etc/passwd' }, 'path-outside-project', 'env-files'],
  [
    'capitals in the project name',
    { mode: 'backup', 'project-name': 'USO Site' },
    'project-name-invalid',
    'project-name',
  ],
  ['a path as project name', { mode: 'backup', 'project-name': '../x' }, 'project-name-invalid', 'project-name'],
  ['an unknown engine', { mode: 'backup', engine: 'dokcer' }, 'engine-unknown', 'engine'],
  ['data without a type', { mode: 'backup', data: 'service=database' }, 'data-type-unknown', 'data'],
  ['data of an unknown type', { mode: 'backup', data: 'type=postgresql,service=db' }, 'data-type-unknown', 'data'],
  ['data with an unknown key', { mode: 'backup', data: 'type=postgres,servcie=db' }, 'data-key-unknown', 'data'],
  ['data without =', { mode: 'backup', data: 'postgres' }, 'key-values-invalid', 'data'],
  ['auto beside lines', { mode: 'backup', data: 'auto\ntype=postgres,service=db' }, 'data-invalid', 'data'],
  ['data with an empty path', { mode: 'backup', data: 'type=directory,path=' }, 'data-invalid', 'data'],
  ['data outside', { mode: 'backup', data: 'type=directory,path=../clone' }, 'path-outside-project', 'data'],
  [
    'a part name that is a path',
    { mode: 'backup', data: 'type=directory,path=a,name=../a' },
    'data-name-invalid',
    'data',
  ],
  [
    'two parts of one name',
    { mode: 'backup', data: 'type=directory,path=a,name=a\ntype=directory,path=b,name=a' },
    'data-duplicate',
    'data',
  ],
  [
    'one place twice',
    { mode: 'backup', data: 'type=directory,path=./a\ntype=directory,path=a,exclude=x' },
    'data-duplicate',
    'data',
  ],
  ['a key twice', { mode: 'backup', data: 'type=volume,volume=a,volume=b' }, 'key-values-invalid', 'data'],
  ['an open quote', { mode: 'backup', data: 'type=directory,path="a' }, 'key-values-invalid', 'data'],
  ['an unknown consistency', { mode: 'backup', consistency: 'hot' }, 'consistency-unknown', 'consistency'],
  ['a store of an unknown type', { mode: 'backup', store: 'type=s3,bucket=x' }, 'store-type-unknown', 'store'],
  ['a store without a type', { mode: 'backup', store: 'path=/backups' }, 'store-type-unknown', 'store'],
  [
    'a store with an unknown key',
    { mode: 'backup', store: 'type=artifact,retention=30' },
    'store-key-unknown',
    'store',
  ],
  ['a folder without a path', { mode: 'backup', store: 'type=folder' }, 'store-invalid', 'store'],
  ['a file as folder', { mode: 'backup', store: 'type=folder,path=.env' }, 'store-invalid', 'store'],
  ['a folder outside', { mode: 'backup', store: 'type=folder,path=../backups' }, 'path-outside-project', 'store'],
  ['no day at all', { mode: 'backup', store: 'type=artifact,retention-days=0' }, 'retention-invalid', 'store'],
  ['too many days', { mode: 'backup', store: 'type=artifact,retention-days=401' }, 'retention-invalid', 'store'],
  ['half a day', { mode: 'backup', store: 'type=artifact,retention-days=1.5' }, 'retention-invalid', 'store'],
  [
    'one store twice',
    { mode: 'backup', store: 'type=folder,path=/backups\ntype=folder,path=/backups/' },
    'store-duplicate',
    'store',
  ],
  [
    'artifacts twice',
    { mode: 'backup', store: 'type=artifact\ntype=artifact,retention-days=3' },
    'store-duplicate',
    'store',
  ],
  [
    'a store where backups wait for it',
    { mode: 'backup', store: 'type=folder,path=.caretaker/safety' },
    'store-inside-state',
    'store',
  ],
  [
    'a store inside the data',
    { mode: 'backup', data: 'type=directory,path=.', store: 'type=folder,path=old' },
    'store-inside-data',
    'store',
  ],
  [
    'artifacts written in a shell',
    { mode: 'backup', store: 'type=artifact' },
    'artifact-outside-workflow',
    'store',
    inShell,
  ],
  ['artifacts read without a token', { mode: 'list', 'github-token': '' }, 'token-missing', 'github-token'],
  [
    'artifacts restored without a token',
    { mode: 'restore', confirm: 'uso', 'github-token': ' ' },
    'token-missing',
    'github-token',
  ],
  ['artifacts of no repository', { mode: 'list', store: 'type=artifact' }, 'repository-missing', 'store', inShell],
  [
    'artifacts on an enterprise server',
    { mode: 'backup' },
    'artifact-ghes',
    'store',
    { ...inAction, env: { ...inAction.env, GITHUB_SERVER_URL: 'https://git.example.org' } },
  ],
  ['days that are none', { mode: 'update', 'keep-local-days': '0' }, 'number-invalid', 'keep-local-days'],
  ['half a day', { mode: 'backup', 'keep-local-days': '0.5' }, 'number-invalid', 'keep-local-days'],
  ['a negative count', { mode: 'update', 'keep-local': '-1' }, 'number-invalid', 'keep-local'],
  ['no such clone', { mode: 'update', 'source-directory': '/nowhere' }, 'source-directory-missing', 'source-directory'],
  ['an option as ref', { mode: 'update', ref: '--upload-pack=x' }, 'ref-invalid', 'ref'],
  ['a revision expression', { mode: 'update', ref: 'main~3' }, 'ref-invalid', 'ref'],
  ['a ref with a blank', { mode: 'update', ref: 'v1; rm' }, 'ref-invalid', 'ref'],
  ['ref and track', { mode: 'update', ref: 'v1', track: 'releases' }, 'settings-conflict', 'ref'],
  ['an unknown track', { mode: 'update', track: 'release' }, 'track-unknown', 'track'],
  ['an unknown allowance', { mode: 'update', allow: 'mayor' }, 'allow-unknown', 'allow'],
  ['a time without a unit', { mode: 'update', 'build-timeout': '300' }, 'duration-invalid', 'build-timeout'],
  ['a time in words', { mode: 'backup', 'health-timeout': 'five minutes' }, 'duration-invalid', 'health-timeout'],
  ['no time at all', { mode: 'backup', 'health-timeout': '0s' }, 'duration-invalid', 'health-timeout'],
  ['a time to wait without a unit', { mode: 'backup', 'lock-timeout': '10' }, 'duration-invalid', 'lock-timeout'],
  ['a negative settling', { mode: 'backup', settle: '-10s' }, 'duration-invalid', 'settle'],
  ['a file address', { mode: 'backup', health: 'type=http,url=file:///etc/passwd' }, 'url-invalid', 'health'],
  ['an address without scheme', { mode: 'backup', health: 'type=http,url=localhost:8000' }, 'url-invalid', 'health'],
  ['no address', { mode: 'backup', health: 'type=http' }, 'url-invalid', 'health'],
  [
    'a password in the address',
    { mode: 'backup', health: 'type=http,url=http://me:pw@host/' },
    'url-credentials',
    'health',
  ],
  [
    'no HTTP status',
    { mode: 'backup', health: 'type=http,url=http://h/,status=ok' },
    'health-status-invalid',
    'health',
  ],
  ['nothing to run', { mode: 'backup', health: 'type=command' }, 'health-invalid', 'health'],
  ['an unknown check', { mode: 'backup', health: 'type=tcp,port=1' }, 'health-type-unknown', 'health'],
  [
    'an unknown key of a check',
    { mode: 'backup', health: 'type=http,url=http://h/,code=200' },
    'health-key-unknown',
    'health',
  ],
  ['a backup that is none', { mode: 'restore', confirm: 'uso', backup: 'yesterday' }, 'backup-invalid', 'backup'],
  ['a day that is none', { mode: 'restore', confirm: 'uso', backup: 'before=2026-02-30' }, 'backup-invalid', 'backup'],
  ['a time in words', { mode: 'restore', confirm: 'uso', backup: 'before=monday' }, 'backup-invalid', 'backup'],
  ['an age of nothing', { mode: 'restore', confirm: 'uso', backup: '0' }, 'backup-invalid', 'backup'],
  ['a backup in no folder', { mode: 'restore', confirm: 'uso', backup: './gone' }, 'backup-path-missing', 'backup'],
  ['a rollback that nobody confirmed', { mode: 'rollback', 'with-data': 'true' }, 'confirm-missing', 'confirm'],
  [
    'a restore confirmed for another',
    { mode: 'restore', 'project-name': 'uso', confirm: 'yes' },
    'not-confirmed',
    'confirm',
  ],
  [
    'a start command alone',
    { mode: 'backup', 'start-command': 'x', 'status-command': 'y' },
    'commands-incomplete',
    'stop-command',
  ],
  [
    'commands and an engine',
    { mode: 'backup', 'start-command': 'x', 'stop-command': 'y', 'status-command': 'z', engine: 'docker' },
    'settings-conflict',
    'engine',
  ],
];

describe('bad input', () => {
  // Jest hands a callback to a function with more parameters than the row has members.
  test.each(bad.map(([what, ...row]) => [what, row] as const))('%s', (_what, [values, code, input, environment]) => {
    const problems = problemsOf(() => parse(values, environment));
    expect(problems.map((problem) => [problem.code, problem.input])).toEqual([[code, input]]);
    expect(problems[0]?.message).toContain(input);
    expect(problems[0]?.hint).toMatch(/\w{3}/);
  });

  test('there are enough of them', () => expect(bad.length).toBeGreaterThanOrEqual(40));

  test('all problems are told at once', () => {
    const problems = problemsOf(() => parse({ mode: 'restor', engine: 'x', settle: 'x', store: 'type=x', data: 'x' }));
    expect(problems.map(({ code }) => code).sort()).toEqual([
      'duration-invalid',
      'engine-unknown',
      'key-values-invalid',
      'mode-unknown',
      'store-type-unknown',
    ]);
  });

  test('a near miss is guessed, and a restore is told what to type', () => {
    expect(problemsOf(() => parse({ mode: 'bakcup' }))[0]?.hint).toContain('"backup"');
    expect(problemsOf(() => parse({ mode: 'update', allow: 'mayor' }))[0]?.hint).toContain('"major"');
    expect(problemsOf(() => parse({ mode: 'rollback', 'with-data': 'true' }))[0]?.hint).toContain('confirm: uso');
    expect(problemsOf(() => parse({ mode: 'update', settle: '30' }))[0]?.hint).toContain('30s');
  });

  test('no message holds the token', () => {
    const problems = problemsOf(() => parse({ mode: 'x', 'github-token': 'ghs_secret', engine: 'x' }));
    expect(JSON.stringify(problems.map(({ message, hint }) => [message, hint]))).not.toContain('ghs_secret');
  });
});
