import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { startGitHub } from '../../fakes/github/stand-in.ts';
import { lookUp, testHost } from '../as-user.ts';
import { SmallApp, wholeBackups, type Ended } from '../stores/small-app.ts';
import { asStranger, readableMeanwhile, STRANGER, Victim } from './second-user.ts';

/*
 * A second user of the host, who may write into the project directory, the store's folder or the folder for temporary files, puts links, pipes and directories in the way of the whole
 * program: it refuses, or does its work without following them. What they lead to stays as it was, nothing is written where they lead, and nothing of a backup can be read by him.
 */

jest.setTimeout(120_000);

let app: SmallApp;
let victim: Victim;
const owner = (): string => testHost('CARETAKER_TEST_ROOTLESS_USER');

afterEach(() => app.close());

/** `user`: who runs the program; root unless told. `mode`: of the project directory. */
function begin(settings: (root: string) => readonly string[] = () => [], user?: string, mode = 0o1777): void {
  app = new SmallApp([], user);
  chmodSync(app.root, 0o755);
  chmodSync(app.directory, mode);
  app.settle(settings(app.root));
  victim = new Victim(app.root, user);
}

const shared = (root: string): string => path.join(root, 'backups');
/** A folder of backups into which all users may write. */
function beginShared(user?: string, mode = 0o1777): string {
  begin((root) => [`store: type=folder,path=${shared(root)}`], user, 0o755);
  const folder = shared(app.root);
  mkdirSync(folder);
  chmodSync(folder, mode);
  return folder;
}

const untouched = (ended: Ended): void => {
  const [now, before] = victim.states;
  expect(now).toBe(before);
  expect(ended.shown).not.toContain(Victim.SECRET.slice(0, 8));
};
const refused = (ended: Ended, code: string): void => {
  untouched(ended);
  expect([ended.exitCode, ended.error?.code]).toEqual([1, code]);
};
const done = (ended: Ended): void => {
  untouched(ended);
  expect([ended.exitCode, ended.error]).toEqual([0, undefined]);
};
const backup = (): ReturnType<SmallApp['shell']> => app.shell('backup');

describe.each<[string, () => string | undefined]>([
  ['root runs it', () => undefined],
  ['its owner runs it', owner],
])('in a project directory that all may write to, when %s', (_, user) => {
  test('a .caretaker that leads elsewhere is not followed', async () => {
    begin(undefined, user());
    asStranger(app.directory, `ln -s '${victim.empty}' .caretaker`);
    for (const mode of ['backup', 'status', 'list', 'recover'])
      refused(await app.shell(mode), 'state-directory-unsafe');
  });

  test('a .caretaker that another user has made is not used', async () => {
    begin(undefined, user());
    asStranger(app.directory, 'umask 0; mkdir .caretaker');
    refused(await backup(), 'state-directory-unsafe');
    expect(readdirSync(app.state)).toEqual([]);
  });

  test.each([
    ['lock', `ln -s "$FILE" lock`],
    ['journal.jsonl', `ln -s "$FILE" journal.jsonl`],
    ['unstored.json', `ln -s "$FILE" unstored.json`],
    ['mounts.json', `ln -s "$FILE" mounts.json`],
    ['.gitignore', `ln -sf "$FILE" .gitignore`],
    ['staging', `rm -rf staging; ln -s "$EMPTY" staging`],
    ['safety', `rm -rf safety; ln -s "$EMPTY" safety`],
    ['backups', `rm -rf backups; ln -s "$EMPTY" backups`],
    ['a pipe for a lock', 'mkfifo lock'],
    ['a pipe for a journal', 'mkfifo journal.jsonl'],
  ])('what another user has put into .caretaker is not followed: %s', async (_name, script) => {
    begin(undefined, user());
    done(await backup());
    // As after `chmod -R 777`, and when somebody has seen it.
    for (const name of ['.', 'staging', 'backups']) chmodSync(path.join(app.state, name), 0o777);
    rmSync(path.join(app.state, 'backups'), { recursive: true });
    rmSync(path.join(app.state, 'staging'), { recursive: true });
    asStranger(app.state, `FILE='${victim.file}' EMPTY='${victim.empty}'; ${script}`);
    refused(await backup(), 'state-directory-unsafe');
    chmodSync(app.state, 0o700);
    for (const mode of ['backup', 'status', 'recover']) refused(await app.shell(mode), 'state-directory-unsafe');
  });

  test('a caretaker.yml that another user has put there runs nothing', async () => {
    begin(undefined, user());
    rmSync(path.join(app.directory, 'caretaker.yml'));
    const flags = ['--start-command', 'true', '--stop-command', 'true', '--status-command', 'true', '--data', 'type=directory,path=data']; // prettier-ignore
    asStranger(app.directory, `printf 'status-command: touch ran\\n' > caretaker.yml`);
    refused(await app.shell('backup', flags.filter((flag) => flag !== '--status-command')), 'config-unsafe'); // prettier-ignore
    asStranger(app.directory, `ln -sf '${victim.file}' caretaker.yml`);
    refused(await app.shell('backup', flags), 'config-unsafe');
    expect(existsSync(path.join(app.directory, 'ran'))).toBe(false);
  });
});

describe('in a project directory that a group may write to', () => {
  const group = 54321;

  test('a .caretaker that one of the group has laid elsewhere is not followed', async () => {
    begin(undefined, undefined, 0o2775);
    execFileSync('chgrp', [String(group), app.directory]);
    chmodSync(app.directory, 0o2775);
    asStranger(app.directory, `ln -s '${victim.empty}' .caretaker`, group);
    refused(await backup(), 'state-directory-unsafe');
  });

  test('a link of ours, a directory of the owner’s, and one that the same group may write to, are used', async () => {
    begin(undefined, owner(), 0o2775);
    const { uid } = lookUp(owner());
    // Root, in the project of a user.
    const asRoot = async (): Promise<Ended> => {
      const { PATH = '' } = process.env;
      const cli = path.resolve(import.meta.dirname, '../../../src/cli.ts');
      const shown = execFileSync(process.execPath, ['--disable-warning=ExperimentalWarning', cli, 'backup', '--project-directory', app.directory, '--json'], { env: { PATH }, encoding: 'utf8' }); // prettier-ignore
      return Promise.resolve({ exitCode: 0, error: undefined, warnings: [], shown });
    };
    done(await backup());
    expect(statSync(app.state).uid).toBe(uid);
    done(await asRoot());
    execFileSync('chgrp', ['-R', String(group), app.directory]);
    chmodSync(app.directory, 0o2775);
    chmodSync(app.state, 0o770);
    done(await asRoot());
    rmSync(app.state, { recursive: true });
    symlinkSync(victim.empty, app.state);
    execFileSync('chown', ['-h', 'root', app.state]);
    await asRoot();
    expect(wholeBackups(path.join(victim.empty, 'backups'))).toHaveLength(1);
  });

  test('a .caretaker that another group may write to is not used', async () => {
    begin(undefined, undefined, 0o755);
    done(await backup());
    execFileSync('chgrp', [String(group), app.state]);
    chmodSync(app.state, 0o770);
    refused(await backup(), 'state-directory-unsafe');
  });
});

test('the kernel lets nobody make a second name for a file that he may not write', () => {
  begin();
  expect(() => asStranger(app.directory, `ln '${victim.file}' journal.jsonl`)).toThrow(/not permitted/);
});

describe('in a folder of backups that all may write to', () => {
  /** All names that the run may get now: he knows when it comes. */
  const names = (): string[] =>
    Array.from({ length: 90 }, (_, seconds) => {
      const time = new Date(Date.now() + seconds * 1000).toISOString().replaceAll(/[-:]|\.\d+/g, '');
      return `notes-${time}`;
    });

  describe.each<[string, () => string | undefined]>([
    ['root', () => undefined],
    ['a user', owner],
  ])('of %s', (_, user) => {
    test.each([
      ['the part, which leads to a file of ours', 'notes.tar.zst', () => `ln -s '${victim.file}'`],
      ['the part, which leads to where nothing is', 'notes.tar.zst', () => `ln -s '${victim.empty}/new'`],
      ['the part, a pipe', 'notes.tar.zst', () => 'mkfifo'],
      ['RESTORE.md, which leads to a file of ours', 'RESTORE.md', () => `ln -s '${victim.file}'`],
    ])('a name that is taken in advance is not followed: %s', async (_what, suffix, make) => {
      const folder = beginShared(user());
      const planted = names().map((name) => `${name}.${suffix}`);
      asStranger(folder, planted.map((name) => `${make()} '${name}'`).join('\n'));
      const first = await backup();
      refused(first, 'backup-unstored');
      expect(first.error?.text).toContain('store-exists');
      expect(app.kept()).toEqual(app.waiting());
      // Root takes it all away, and it is stored.
      for (const name of planted) rmSync(path.join(folder, name));
      await sleep(1000);
      done(await backup());
      expect([wholeBackups(folder).length, app.waiting()]).toEqual([2, []]);
    });

    test.each([
      ['links to a file of ours', () => `ln -s '${victim.file}'`],
      ['pipes', () => 'mkfifo'],
    ])('manifests of backups to come are not followed: %s', async (_what, make) => {
      const folder = beginShared(user());
      const planted = names().map((name) => `${name}.manifest.json`);
      asStranger(folder, planted.map((name) => `${make()} '${name}'`).join('\n'));
      // They count as the newest by their names, and ours gets the second behind them.
      done(await backup());
      for (const name of planted) rmSync(path.join(folder, name));
      expect(wholeBackups(folder)).toHaveLength(1);
    });
  });

  test.each([
    ['a pipe', () => 'mkfifo'],
    ['a link to a file of ours', () => `ln -s '${victim.file}'`],
    ['a link to what has no end', () => 'ln -s /dev/zero'],
    ['a link to nowhere', () => 'ln -s /nowhere'],
    ['a directory', () => 'mkdir'],
  ])('the manifest of a backup that is none ends no listing and no restore: %s', async (_, make) => {
    const folder = beginShared(undefined, 0o777);
    done(await backup());
    const [name = ''] = wholeBackups(folder);
    asStranger(folder, `${make()} notes-20260101T000000Z.manifest.json`);
    const listed = await app.shell('list');
    done(listed);
    expect(listed.backups.map((one) => one.name)).toContain(name);
    done(await app.shell('restore', ['--backup', name, '--to', path.join(app.root, 'restored')]));
    refused(await app.shell('restore', ['--backup', 'notes-20260101T000000Z', '--to', path.join(app.root, 'other')]), 'store-damaged'); // prettier-ignore
  });

  test('a part that has become a link or a pipe is not read', async () => {
    const folder = beginShared(undefined, 0o777);
    done(await backup());
    const [name = ''] = wholeBackups(folder);
    for (const make of [`ln -s '${victim.file}'`, 'mkfifo']) {
      asStranger(folder, `rm -f ${name}.notes.tar.zst; ${make} ${name}.notes.tar.zst`);
      const ended = await app.shell('restore', ['--backup', name, '--to', path.join(app.root, 'restored')]);
      refused(ended, 'store-damaged');
      expect(existsSync(path.join(app.root, 'restored'))).toBe(false);
    }
  });

  test('names such as our temporary files have stop nothing and are not followed', async () => {
    const folder = beginShared(owner());
    asStranger(
      folder,
      `mkdir .one.caretaker-tmp; ln -s '${victim.file}' .two.caretaker-tmp; mkfifo .three.caretaker-tmp; echo x > .four.caretaker-tmp
       touch -h -d '2 hours ago' .one.caretaker-tmp .two.caretaker-tmp .three.caretaker-tmp .four.caretaker-tmp`,
    );
    done(await backup());
    expect(wholeBackups(folder)).toHaveLength(1);
  });

  test('the folder itself, which has become a link, is not followed', async () => {
    begin((root) => [`store: type=folder,path=${root}/group/backups`]);
    // Not sticky: the kernel's own guard for links does not hold here.
    mkdirSync(path.join(app.root, 'group'));
    chmodSync(path.join(app.root, 'group'), 0o777);
    asStranger(path.join(app.root, 'group'), `ln -s '${victim.empty}' backups`);
    refused(await backup(), 'store-unsafe');
  });

  test('the folder itself, which becomes a link in the middle of a run, is not followed', async () => {
    const { uid } = lookUp(STRANGER);
    begin((root) => {
      const swap = `cd ${root}/group; [ -e gone ] || { mv backups gone; ln -s ${root}/victim/empty backups; }`;
      writeFileSync(path.join(root, 'swap.sh'), swap, { mode: 0o644 });
      return [
        `store: type=folder,path=${root}/group/backups`,
        'consistency: stopped',
        `stop-command: setpriv --reuid=${uid} --clear-groups sh ${root}/swap.sh`,
      ];
    });
    mkdirSync(path.join(app.root, 'group/backups'), { recursive: true });
    chmodSync(path.join(app.root, 'group'), 0o777);
    // Renaming a directory of another's into the same parent is allowed here.
    const ended = await backup();
    refused(ended, 'backup-unstored');
    expect(ended.error?.text).toContain('store-unsafe');
    expect(app.kept()).toEqual(app.waiting());
  });
});

describe('what a run makes', () => {
  test.each<[string, () => string | undefined]>([
    ['root', () => undefined],
    ['a user', owner],
  ])('can be read by nobody else from its first moment on, whatever the umask is: %s', async (_, user) => {
    const folder = beginShared(user());
    app.umask = 0;
    let to = '';
    const seen = await readableMeanwhile([app.root], async () => {
      done(await backup());
      // The parent directory is root's.
      to = path.join(user() === undefined ? app.root : app.directory, 'restored');
      done(await app.shell('restore', ['--to', to]));
    });
    expect(seen.filter((file) => /\.caretaker|backups\/|restored/.test(file))).toEqual([]);
    expect(wholeBackups(folder)).toHaveLength(1);
    expect(statSync(path.join(to, 'notes/notes.bin')).size).toBe(300_000);
    // He does see what he may: otherwise this shows nothing.
    expect(seen).toContain(path.join(app.directory, 'caretaker.yml'));
  });

  test('goes into no temporary file whose name can be known: the result of a drill', async () => {
    begin(undefined, undefined, 0o755);
    const github = await startGitHub();
    try {
      const temporary = path.join(app.root, 'tmp');
      mkdirSync(temporary);
      chmodSync(temporary, 0o1777);
      asStranger(temporary, `ln -s '${victim.empty}' caretaker-; ln -s '${victim.empty}' caretaker-aaaaaa`);
      const env = { ...github.environment({ runId: 1 }), TMPDIR: temporary };
      const given = { 'github-token': 'ghs_read' };
      done(await app.action({ ...given, mode: 'backup' }, env));
      const seen = await readableMeanwhile([temporary], async () => {
        done(await app.action({ ...given, mode: 'verify', proof: 'read' }, env));
      });
      expect(seen).toEqual([temporary]);
      expect(readdirSync(temporary)).toEqual(['caretaker-', 'caretaker-aaaaaa']);
      expect((await github.stored()).some(({ name }) => name.includes('.drill-'))).toBe(true);
    } finally {
      await github.stop();
    }
  });
});

describe('a restore', () => {
  test.each([
    ['is a link of another user’s', 'umask 0', (to: string) => asStranger(path.dirname(to), `ln -s '${victim.empty}' '${to}'`)], // prettier-ignore
    ['is a directory of another user’s', '', (to: string) => asStranger(path.dirname(to), `mkdir '${to}'`)],
    ['can be written to by all', '', (to: string) => (mkdirSync(to), chmodSync(to, 0o777))],
    ['holds a link', '', (to: string) => (mkdirSync(to), symlinkSync(victim.empty, path.join(to, 'notes')))],
  ])('into a directory that %s is refused', async (_what, _note, make) => {
    begin();
    done(await backup());
    const place = path.join(app.root, 'tmp');
    mkdirSync(place);
    chmodSync(place, 0o1777);
    make(path.join(place, 'restored'));
    refused(await app.shell('restore', ['--to', path.join(place, 'restored')]), 'to-unusable');
  });

  test('beside names such as it makes for the data itself follows none of them', async () => {
    begin();
    done(await backup());
    const run = '20260101t000000z-abcd';
    const places = ['fresh', 'aside'].map((kind) => `.caretaker-${kind}-${run}-data`);
    asStranger(app.directory, places.map((place) => `ln -s '${victim.empty}' ${place}`).join('\n'));
    writeFileSync(path.join(app.directory, 'data/notes.bin'), 'lost');
    done(await app.shell('restore', ['--confirm', 'notes']));
    expect(statSync(path.join(app.directory, 'data/notes.bin')).size).toBe(300_000);
    done(await backup());
  });
});
