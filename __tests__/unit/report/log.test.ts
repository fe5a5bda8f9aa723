import { describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { actionsLog, type Core } from '../../../src/report/actions.ts';
import type { Log } from '../../../src/report/log.ts';
import { silentLog } from '../../../src/report/silent.ts';
import { terminalLog } from '../../../src/report/terminal.ts';

/** What the toolkit would be told. */
function recordingCore(): { core: Core; said: string[] } {
  const said: string[] = [];
  const core: Core = {
    info: (text) => void said.push(text),
    debug: (text) => void said.push(`debug ${text}`),
    warning: (text) => void said.push(`warning ${String(text)}`),
    error: (text, properties) => void said.push(`error ${properties?.title}: ${String(text)}`),
    setSecret: (text) => void said.push(`mask ${text}`),
    startGroup: (title) => void said.push(`group ${title}`),
    endGroup: () => void said.push('endgroup'),
  };
  return { core, said };
}

function terminal(
  options: { tty?: boolean; env?: Record<string, string>; verbose?: boolean; now?: () => number } = {},
) {
  let text = '';
  const output = { write: (more: string) => void (text += more), isTTY: options.tty ?? false, columns: 60 };
  const log = terminalLog(output, {
    env: options.env ?? {},
    now: options.now ?? (() => 0),
    verbose: options.verbose ?? false,
  });
  return { log, text: () => text };
}

const failing = (log: Log): Promise<unknown> =>
  log.group('Build', () => Promise.reject(new Error('no'))).catch(() => {});

describe('in a workflow', () => {
  test('a group is folded, and its time stands below it', async () => {
    const { core, said } = recordingCore();
    let now = 0;
    const log = actionsLog(core, () => now);
    const value = await log.group('Back up database', () => {
      log.info('copying');
      now = 3200;
      return Promise.resolve(7);
    });
    expect(value).toBe(7);
    expect(said).toEqual(['group Back up database', 'copying', 'endgroup', '✓ Back up database: 3.2 s']);
  });

  test('a group is closed when its work throws, and one inside another opens none', async () => {
    const { core, said } = recordingCore();
    const log = actionsLog(core, () => 0);
    await log.group('outer', () => failing(log));
    expect(said).toEqual(['group outer', 'Build', '✗ Build: 0.0 s', 'endgroup', '✓ outer: 0.0 s']);
    await expect(log.group('x', () => Promise.reject(new Error('why')))).rejects.toThrow('why');
  });

  test.each([
    '::add-path::/evil',
    '  ::set-env name=PATH::/evil',
    'fine\n::stop-commands::x',
    'fine\r::add-mask::e',
    'fine ##[set-env name=PATH]/evil',
    '\u0085::stop-commands::x',
    'fine\n\u0085\u00a0::stop-commands::x',
    'fine\u0085::stop-commands::x',
    '\ufeff::add-path::/evil',
    '\u200b:\u200b:add-path::/evil',
    'fine #\u200b#[set-env name=PATH]/evil',
  ])('%j, from a container, is printed and not obeyed', (line) => {
    const { core, said } = recordingCore();
    actionsLog(core).info(line);
    expect(said).toHaveLength(3);
    const token = /^::stop-commands::([0-9a-f-]{36})$/.exec(said[0] ?? '')?.[1];
    expect(said.slice(1)).toEqual([line, `::${token}::`]);
  });

  test('two such lines never share a token, and plain lines need none', () => {
    const { core, said } = recordingCore();
    const log = actionsLog(core);
    log.info('::a::');
    log.info('::a::');
    const plain = ['a :: b', 'http://[::1]:80', '# a #b [c]', 'a:\n:b', ''];
    for (const line of plain) log.info(line);
    expect(said[0]).not.toBe(said[3]);
    expect(said.slice(6)).toEqual(plain);
  });

  test('progress comes at most every ten seconds, for each thing', () => {
    const { core, said } = recordingCore();
    let now = 0;
    const log = actionsLog(core, () => now);
    for (; now <= 25_000; now += 1000) {
      log.progress('database', now * 10_000, 300_000_000);
      log.progress('local', now);
    }
    expect(said).toEqual([
      'database: 100 MB of 300 MB (33 %)',
      'local: 10.0 kB',
      'database: 200 MB of 300 MB (66 %)',
      'local: 20.0 kB',
    ]);
  });

  test('a secret of several lines is masked line by line', () => {
    const { core, said } = recordingCore();
    const log = actionsLog(core);
    log.mask('first line\nsecond line\n');
    log.mask('');
    expect(said).toEqual(['mask first line\nsecond line', 'mask first line', 'mask second line']);
    expect(log.redactor.text('a second line b')).toBe('a *** b');
  });

  test('what is masked, and the password of an address, is printed by no kind of line', async () => {
    const { core, said } = recordingCore();
    const log = actionsLog(core, () => 0);
    log.mask('hunter22');
    const secret = 'hunter22 https://me:hunter33@h';
    log.info(secret);
    log.warn(secret);
    log.debug(secret);
    await log.group(secret, () => Promise.resolve());
    expect(said).toHaveLength(7);
    expect(said.slice(1).join('\n')).not.toMatch(/hunter/);
  });

  test('errors are annotations with their code as title, and stand in the log', () => {
    const { core, said } = recordingCore();
    actionsLog(core).errors([{ code: 'disk-full', message: '/srv is full', hint: 'Free some.', chain: ['ENOSPC'] }]);
    expect(said[0]).toBe('error disk-full: /srv is full\nBecause: ENOSPC\nFree some.');
    expect(said[1]).toContain('/srv is full [disk-full]');
  });

  test('the real toolkit prints it so', () => {
    const source = path.resolve(import.meta.dirname, '../../../src/report/actions.ts');
    const script = `const { actionsLog } = await import(${JSON.stringify(source)});
      const log = actionsLog();
      await log.group('Title', async () => { log.info('::add-path::/evil'); log.warn('50 %\\nmore'); });`;
    const text = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    expect(text).toMatch(
      /^::group::Title\n::stop-commands::(\S+)\n::add-path::\/evil\n::\1::\n::warning title=Compose Caretaker::50 %25%0Amore\n::endgroup::\n✓ Title: \d+\.\d s\n$/,
    );
  });
});

describe('in a shell', () => {
  test('groups are indented and timed, without colours where it is no terminal', async () => {
    const { log, text } = terminal();
    await log.group('outer', async () => {
      log.info('one\ntwo');
      log.warn('careful');
      await failing(log);
    });
    expect(text()).toBe('outer\n  one\n  two\n  warning: careful\n  Build\n  ✗ Build: 0.0 s\n✓ outer: 0.0 s\n');
  });

  test('in a step of a workflow, what comes from a container is not obeyed', () => {
    const { log, text } = terminal({ env: { GITHUB_ACTIONS: 'true' } });
    log.info('fine');
    log.info('\u0085::add-path::/evil');
    expect(text()).toMatch(/^fine\n::stop-commands::(\S+)\n::add-path::\/evil\n::\1::\n$/);
  });

  test('colours on a terminal, none with NO_COLOR', () => {
    const coloured = terminal({ tty: true });
    coloured.log.warn('x');
    expect(coloured.text()).toContain('\x1b[33m');
    const plain = terminal({ tty: true, env: { NO_COLOR: '1' } });
    plain.log.warn('x');
    expect(plain.text()).not.toContain('\x1b[3');
  });

  test('a progress line moves on a terminal, and gives way to the next line', () => {
    let now = 0;
    const { log, text } = terminal({ tty: true, env: { NO_COLOR: '1' }, now: () => now });
    for (; now <= 400; now += 100) log.progress('db', now * 1_000_000, 1_000_000_000);
    log.info('done');
    expect(text()).toBe('\r\x1b[Kdb: 200 MB of 1.0 GB (20 %)\r\x1b[Kdb: 400 MB of 1.0 GB (40 %)\r\x1b[Kdone\n');
  });

  test('untrusted lines can’t drive the terminal, secrets are masked, debug is quiet', () => {
    const { log, text } = terminal({ tty: true, env: { NO_COLOR: '1' } });
    log.mask('hunter22');
    log.debug('noise');
    log.info('\x1b]0;owned\x07a\x1b[2Jb\x08\rc hunter22');
    expect(text()).toBe('ab\nc ***\n');
    const verbose = terminal({ verbose: true });
    verbose.log.debug('noise');
    expect(verbose.text()).toBe('noise\n');
  });
});

test('the silent log keeps warnings and secrets, and runs the work', async () => {
  const log = silentLog();
  log.warn('x');
  log.mask('hunter22');
  expect(await log.group('t', () => Promise.resolve(1))).toBe(1);
  expect([log.warnings, log.redactor.text('hunter22')]).toEqual([['x'], '***']);
});
