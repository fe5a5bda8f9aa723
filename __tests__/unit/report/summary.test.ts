import { describe, expect, test } from '@jest/globals';
import { CaretakerError, CaretakerErrors } from '../../../src/errors.ts';
import { errorTexts, renderErrors } from '../../../src/report/errors-text.ts';
import { Redactor } from '../../../src/report/redact.ts';
import type { RunReport } from '../../../src/report/run-report.ts';
import type { StatusReport } from '../../../src/report/status.ts';
import { markdownSummary } from '../../../src/report/summary.ts';
import { jsonSummary, terminalSummary } from '../../../src/report/texts.ts';
import { formatBytes, formatSeconds } from '../../../src/report/units.ts';

const base: RunReport = {
  mode: 'backup',
  project: 'uso',
  outcome: 'done',
  startedAt: '2026-11-21T22:00:00.000Z',
  seconds: 34.6,
  steps: [
    { name: 'Find the data', startSeconds: 0, seconds: 0.4, outcome: 'done' },
    { name: 'Back up database', startSeconds: 0.4, seconds: 12, outcome: 'done' },
  ],
  backup: {
    name: 'uso-20261121T220000Z',
    bytes: 413_000_000,
    rawBytes: 3_509_000_000,
    parts: [
      {
        name: 'database',
        kind: 'postgres',
        method: 'physical',
        bytes: 412_000_000,
        rawBytes: 3_400_000_000,
        seconds: 12,
        consistency: 'online',
      },
      {
        name: 'local',
        kind: 'directory',
        method: 'files',
        bytes: 1_000_000,
        rawBytes: 109_000_000,
        seconds: 0.3,
        consistency: 'online',
      },
    ],
    stores: [
      {
        name: 'workflow artifacts of uso/site',
        url: 'https://github.com/uso/site/actions/runs/1',
      },
    ],
  },
  left: [{ what: '/run/podman/podman.sock', why: 'a socket holds no data' }],
  warnings: [],
  restoreInstructions: {
    actionsUrl: 'https://github.com/uso/site/actions',
    command: 'compose-caretaker restore --backup uso-20261121T220000Z --confirm uso',
    file: 'uso-20261121T220000Z.RESTORE.md',
  },
};

const failed: RunReport = {
  ...base,
  mode: 'update',
  outcome: 'rolled-back',
  update: { from: 'v1.0.0', to: 'v1.1.0', changedServices: ['web'] },
  downtimeSeconds: 62,
  error: {
    code: 'unhealthy',
    message: 'the application is not healthy after 300 s: web: 502 instead of 200',
    hint: 'Read on.',
    chain: ['inner'],
  },
  lastWords: [{ service: 'web', state: 'restarting', text: 'Traceback\nKeyError: x' }],
  warnings: ['build changed no image'],
};

describe('the job summary', () => {
  test('of a backup says what, how big, where, how long users were without, and how to restore', () => {
    const text = markdownSummary(base);
    expect(text).toMatch(/^## ✅ Backup of uso: 413 MB in 35 s\n/);
    expect(text).toContain('| Backup | <code>uso-20261121T220000Z</code>, 413 MB of 3.5 GB |');
    expect(text).toContain('[workflow artifacts of uso/site](https://github.com/uso/site/actions/runs/1)');
    expect(text).toContain('| Downtime | none: nothing was stopped |');
    expect(text).toContain('| database | postgres, physical | 3.4 GB | 412 MB | 12 s | online |');
    expect(text).toContain('restore workflow from [Actions](https://github.com/uso/site/actions)');
    expect(text).toContain('compose-caretaker restore --backup uso-20261121T220000Z --confirm uso');
    expect(text).toContain('uso-20261121T220000Z.RESTORE.md');
    expect(text).toContain('- /run/podman/podman.sock: a socket holds no data');
  });

  test('of an update that was rolled back says so first, then why, with the last words', () => {
    const text = markdownSummary(failed);
    expect(text).toMatch(/^## ↩️ Update of uso failed and was rolled back: v1.0.0 serves again\n/);
    expect(text).toContain('not healthy after 300 s');
    expect(text).toContain('because: inner');
    expect(text).toContain('<code>unhealthy</code>');
    expect(text).toContain('| Downtime | 1 min 2 s |');
    expect(text).toContain('```text\nTraceback\nKeyError: x\n```');
    expect(text).toContain('> - build changed no image');
    expect(text.indexOf('not healthy')).toBeLessThan(text.indexOf('Traceback'));
  });

  test.each<[Partial<RunReport>, string]>([
    [{ mode: 'update', update: { from: 'v1', to: 'v2', changedServices: [] } }, '✅ uso updated from v1 to v2'],
    [
      { mode: 'update', outcome: 'no-op', update: { from: 'v1', to: 'v1', changedServices: [] } },
      '✅ uso is up to date: v1',
    ],
    [{ mode: 'update', outcome: 'refused' }, '🛑 Update of uso refused: nothing was touched'],
    [{ mode: 'restore', restore: { backup: 'b-1', parts: ['db'] } }, '✅ uso restored from b-1'],
    [
      { mode: 'restore', outcome: 'rolled-back' },
      '↩️ Restore of uso failed and was rolled back: the data from before serve again',
    ],
    [
      { mode: 'restore', outcome: 'rollback-failed' },
      '🚨 Restore of uso failed, and so did the way back: uso needs you now',
    ],
    [{ outcome: 'failed' }, '❌ Backup of uso failed'],
    [
      { mode: 'recover', recovery: { mode: 'update', run: 'r', outcome: 'rolled-back' } },
      '✅ uso is as it was before the update that was cut off',
    ],
    [
      { mode: 'recover', recovery: { mode: 'restore', run: 'r', outcome: 'completed' } },
      '✅ The restore of uso that was cut off is in place',
    ],
    [{ mode: 'recover', outcome: 'no-op' }, '✅ Recovery of uso: nothing to do'],
    [{ mode: 'list', backups: [] }, '✅ 0 backups of uso'],
    [{ mode: 'status', warnings: [] }, '✅ Status of uso: nothing needs a hand'],
    [{ mode: 'status', warnings: ['a', 'b'] }, '✅ Status of uso: 2 warnings'],
  ])('%j', (report, headline) => {
    expect(markdownSummary({ ...base, ...report }).split('\n')[0]).toBe(`## ${headline}`);
  });

  test('what the health check saw, and what it did not prove, stands beside its verdict', () => {
    const results = [{ probe: 'http://127.0.0.1:8000/', ok: true, detail: 'answers 200' }];
    const health = { healthy: true, shallow: true, results, firstHealthySeconds: 1, seconds: 2 };
    const text = markdownSummary({ ...base, health });
    expect(text).toContain(
      '| Health | healthy<br>http&#58;//127.0.0.1:8000/: answers 200<br>Not proven: that it can read its data.',
    );
    expect(markdownSummary({ ...base, health: { ...health, shallow: false } })).not.toContain('Not proven');
    expect(markdownSummary({ ...base, health: { ...health, healthy: false } })).not.toContain('Not proven');
  });

  test('when users waited, and for what, is a chart', () => {
    const steps = [
      { name: 'Stop: the services, that #write', startSeconds: 1, seconds: 0.5, outcome: 'done' },
      { name: 'Switch', startSeconds: 1.5, seconds: 0, outcome: 'failed' },
    ] as const;
    const text = markdownSummary({ ...failed, steps, outages: [{ startSeconds: 1, seconds: 2.25 }] });
    expect(text).toContain(
      [
        '```mermaid',
        'gantt',
        '    dateFormat x',
        '    axisFormat %M:%S',
        '    section Users',
        '    away 2.3 s :crit, 1000, 3250',
        '    section Steps',
        '    Stop  the services  that  write :1000, 1500',
        '    Switch :crit, 1500, 1501',
        '```',
      ].join('\n'),
    );
    expect(markdownSummary({ ...base, outages: [] })).not.toContain('mermaid');
  });

  test('a log can’t break out of its fence', () => {
    const text = markdownSummary({
      ...failed,
      lastWords: [{ service: 'web', state: 'dead', text: 'a\n```\n# owned\n`````\n<img src=x>' }],
    });
    const fence = '``````';
    const inside = text.slice(text.indexOf(`${fence}text`), text.lastIndexOf(fence));
    expect(inside).toContain('# owned');
    expect(text.split('\n').filter((line) => line.startsWith(fence))).toHaveLength(2);
  });

  test('names and messages can’t become markup, links, mentions or table cells', () => {
    const evil = '](https://evil.example) | <script> @team `x` **b**\n## h';
    const text = markdownSummary({
      ...failed,
      project: evil,
      warnings: [evil],
      error: { code: 'x', message: evil, hint: evil, chain: [evil] },
      lastWords: [{ service: evil, state: evil, text: '' }],
      left: [{ what: evil, why: evil }],
      steps: [{ name: evil, startSeconds: 0, seconds: 1, outcome: 'failed' }],
      outages: [{ startSeconds: 0, seconds: 1 }],
      backup: {
        ...base.backup!,
        stores: [
          { name: evil, url: 'javascript:alert(1)' },
          { name: 'x', url: 'https://x)(' },
        ],
      },
      restoreInstructions: { actionsUrl: 'javascript:alert(1)' },
    });
    for (const bad of [
      '<script>',
      '@team',
      '](https',
      'https://evil',
      'javascript:alert(1))',
      '**b**',
      '\n## h',
      'evil.example) |',
    ]) {
      expect(text).not.toContain(bad);
    }
  });

  test('only the end of a long log is shown, and the whole stays below 1 MiB', () => {
    const long = Array.from({ length: 60_000 }, (_, line) => `line ${line} ${'x'.repeat(40)}`).join('\n');
    const lastWords = Array.from({ length: 100 }, (_, at) => ({ service: `s${at}`, state: 'dead', text: long }));
    const text = markdownSummary({ ...failed, lastWords, warnings: Array<string>(50_000).fill('ä'.repeat(500)) });
    expect(Buffer.byteLength(text)).toBeLessThan(1024 * 1024);
    expect(text).toContain('line 59999');
    expect(text).not.toContain('line 59000 ');
    expect(text).toContain('and 49970 more');
  });

  test('what does not fit is cut between sections, with a note', () => {
    const whole = markdownSummary(failed);
    const limit = Buffer.byteLength(whole) - 10;
    const text = markdownSummary(failed, limit);
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(limit);
    expect(text).toMatch(/Cut here: the log of the run has the rest\._\n$/);
    expect(text.match(/<details>/g)?.length).toBe(text.match(/<\/details>/g)?.length);
  });

  test('a list is a table, damaged backups among it', () => {
    const backups = [
      {
        name: 'uso-1',
        createdAt: '2026-11-21T22:00:00.000Z',
        bytes: 5_000_000,
        store: 'folder /b',
        version: 'v1',
        problem: 'manifest-invalid: x',
        proven: null,
      },
      {
        name: 'uso-0',
        createdAt: '2026-11-20T22:00:00.000Z',
        store: 'artifacts',
        parts: ['database', 'local'],
        encrypted: true,
        elsewhere: 'on server|2, in /srv/uso',
        reason: 'backup',
        expiresAt: '2027-02-18T22:00:00.000Z',
        url: 'https://github.com/uso/site/actions/runs/1/artifacts/2',
        proven: { at: '2026-11-21T03:00:00.000Z', level: 'application', ok: true },
      },
    ] as const;
    const { backup: _, ...rest } = base;
    const text = markdownSummary({ ...rest, mode: 'list', backups });
    expect(text).toContain(
      '| <code>uso-1</code> | 2026-11-21 22:00 | 5.0 MB | v1 |  | manifest-invalid: x | never | folder /b |  |',
    );
    expect(text).toContain('| 2026-11-20 22:00<br>on server&#124;2, in /srv/uso |');
    expect(text).toContain(
      '| database, local 🔒 | backup | 2026-11-21, application | [artifacts](https://github.com/uso/site/actions/runs/1/artifacts/2) | 2027-02-18 |',
    );
  });
});

describe('other texts', () => {
  test('the terminal tells the same', () => {
    const text = terminalSummary({ ...failed, outcome: 'failed', downtimeSeconds: undefined });
    expect(text).toContain('Update of uso failed\n');
    expect(text).toContain('downtime    none');
    expect(text).toContain('database (postgres, physical, online): 412 MB of 3.4 GB in 12 s');
    expect(text).toContain('restore by  compose-caretaker restore');
    expect(text).toContain('Last words of web, restarting:\n  | Traceback\n  | KeyError: x');
    expect(text).toContain('[unhealthy]\n  because: inner\n  Read on.');
    expect(terminalSummary({ ...failed, lastWords: [{ service: 'w', state: 's', text: '\x1b[2Jx' }] })).not.toContain(
      '\x1b',
    );
  });

  test('the terminal lists backups in columns', () => {
    const backups = [
      {
        name: 'uso-1',
        createdAt: '',
        bytes: 5_000_000,
        store: 'folder /b',
        version: 'v1',
        parts: ['a', 'b'],
        reason: 'backup',
        elsewhere: null,
        proven: { at: '2026-11-21T03:00:00.000Z', level: 'databases', ok: false },
      },
      {
        name: 'longer-2',
        createdAt: '',
        store: 'artifacts',
        version: null,
        elsewhere: 'on server2, in /srv/uso',
        reason: 'before-update',
        expiresAt: '2027-02-18T22:00:00.000Z',
        proven: null,
      },
    ] as const;
    const { backup: _, restoreInstructions: __, ...rest } = base;
    expect(terminalSummary({ ...rest, mode: 'list', backups })).toBe(
      '\n2 backups of uso\n  uso-1     5.0 MB  v1  a, b  backup         proven: FAILED 2026-11-21, databases  folder /b\n  longer-2                    before-update  proven: never                         artifacts, until 2027-02-18; made on server2, in /srv/uso\n',
    );
  });

  test('a status is rows on the terminal and in the summary, ages among them', () => {
    const status: StatusReport = {
      lock: { mode: 'update', since: '2026-11-21T21:59:00.000Z', pid: 7, host: 'vm', state: 'alive' },
      unfinished: {
        run: 'r1',
        mode: 'update',
        at: '2026-11-21T21:59:01.000Z',
        committed: false,
        left: ['swap', 'stop'],
      },
      lastUpdate: { at: '2026-11-20T06:00:00.000Z', from: 'v1', to: null, backup: 'uso-9' },
      avoided: { label: 'v3', commit: 'abcdef0123456789', at: '2026-11-20T07:00:00.000Z', why: 'unhealthy' },
      safety: [
        {
          ...{ name: 'uso-9', createdAt: '2026-11-20T06:00:00.000Z', bytes: 5_000_000, reason: 'before-update' },
          kept: 'for a rollback of the last update',
        },
      ],
      unstored: [{ backup: 'uso-8', stores: ['folder /b', 'artifacts'] }],
      aside: [{ path: '/srv/.caretaker-aside-r1-db|x', kind: 'aside', run: 'r1', bytes: 0 }],
      ...{ staging: [], images: ['localhost/p:a', 'localhost/p:b'] },
      throwaways: [{ name: 't1', containers: ['t1-web'], volumes: [], directory: '/srv/t1', bytes: 1000 }],
      stores: [
        {
          ...{ store: 'folder /b', backups: 4, problem: undefined },
          newest: { name: 'uso-10', createdAt: '2026-11-14T22:00:00.000Z', bytes: 2_000_000, proven: null },
        },
        { store: 'artifacts', backups: 0, newest: null, problem: 'offline [store-unreachable]' },
      ],
    };
    const { backup: _, restoreInstructions: __, ...rest } = base;
    const report: RunReport = { ...rest, mode: 'status', startedAt: '2026-11-21T22:00:00.000Z', warnings: [], status };
    expect(terminalSummary(report)).toBe(
      [
        '',
        'Status of uso: nothing needs a hand',
        '  lock        held by update, process 7 on vm, since 2026-11-21 21:59',
        '  journal     update r1 of 2026-11-21 21:59, not in place',
        '              to be undone: swap, stop',
        '  last update v1 → unknown, 2026-11-20 06:00',
        '              rollback brings back uso-9',
        '  avoided     v3 (abcdef012345) since 2026-11-20 07:00: unhealthy',
        '  safety      uso-9, 5.0 MB, before-update, 40 h old; kept for a rollback of the last update',
        '  unstored    uso-8, for folder /b, artifacts',
        '  aside       /srv/.caretaker-aside-r1-db|x, 0 B',
        '  staging     none',
        '  images      localhost/p:a',
        '              localhost/p:b',
        '  throwaways  t1; containers t1-web; /srv/t1, 1.0 kB',
        '  backups     folder /b: 4, newest uso-10, 2.0 MB, 7 days old; proven: never',
        '              artifacts: offline [store-unreachable]',
        '',
      ].join('\n'),
    );
    const text = markdownSummary(report);
    expect(text).toContain('| images | localhost/p:a<br>localhost/p:b |');
    expect(text).toContain('db&#124;x, 0 B |');
  });

  test('JSON is the report', () => expect(JSON.parse(jsonSummary(base))).toEqual(base));

  test('secrets are taken out of every string, whatever JSON makes of them', () => {
    const redactor = new Redactor();
    redactor.add('pa"ss\\word');
    redactor.add('pa"ss\\word-longer');
    redactor.add('ab');
    const report = redactor.deep({
      ...failed,
      warnings: ['is pa"ss\\word-longer, pa"ss\\word'],
      lastWords: [{ service: 'a', state: 'b', text: 'pa"ss\\word' }],
    });
    expect(report.warnings).toEqual(['is ***, ***']);
    expect(report.lastWords?.[0]?.text).toBe('***');
    expect(report.seconds).toBe(34.6);
    expect(redactor.text('abc')).toBe('abc');
  });
});

describe('errors', () => {
  test('a coded error with its causes', () => {
    const cause = new Error('fetch failed', { cause: new Error('connect ECONNREFUSED') });
    const error = new CaretakerError('store-unreachable', 'failed to list x: fetch failed', {
      hint: 'Try again.',
      cause,
    });
    expect(errorTexts(error)).toEqual([
      {
        code: 'store-unreachable',
        message: 'failed to list x: fetch failed',
        hint: 'Try again.',
        chain: ['connect ECONNREFUSED'],
      },
    ]);
    expect(renderErrors(errorTexts(error))).toBe(
      'failed to list x: fetch failed [store-unreachable]\n  because: connect ECONNREFUSED\n  Try again.',
    );
  });

  test('several problems, each its text', () => {
    const errors = new CaretakerErrors([new CaretakerError('a', 'first'), new CaretakerError('b', 'second')]);
    expect(renderErrors(errorTexts(errors))).toBe('first [a]\n\nsecond [b]');
  });

  test.each([
    [new TypeError('x is undefined'), 'x is undefined'],
    ['a text', 'a text'],
    [undefined, 'failed without saying why'],
    [{ odd: 1 }, '{"odd":1}'],
    [new AggregateError([new Error('one'), new Error('two')], 'both'), 'both'],
  ])('%p is unexpected, and says so', (thrown, message) => {
    const [text] = errorTexts(thrown);
    expect(text).toMatchObject({ code: 'unexpected', message });
    expect(text?.hint).toContain('report it');
  });

  test('causes in a circle end', () => {
    const one = new Error('one');
    one.cause = new Error('two', { cause: one });
    expect(errorTexts(one)[0]?.chain[0]).toBe('two');
  });
});

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.0 kB'],
  [999_960, '1.0 MB'],
  [835_000_000, '835 MB'],
  [1_340_000_000, '1.3 GB'],
  [5e15, '5000 TB'],
])('%d bytes are %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));

test.each([
  [0.04, '0.0 s'],
  [9.96, '10 s'],
  [59.6, '1 min'],
  [62, '1 min 2 s'],
  [3599.7, '1 h'],
  [3720, '1 h 2 min'],
])('%d seconds are %s', (seconds, text) => expect(formatSeconds(seconds)).toBe(text));
