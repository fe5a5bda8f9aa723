import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { bootId, ownIdentity, processStat } from '../../../src/system/identity.ts';
import { endCommands } from '../../../src/system/live-processes.ts';
import { lookUp, testHost } from '../as-user.ts';

/* Who may end the commands that a killed run has left running: needs root and another user. */

const { uid, gid } = lookUp(testHost('CARETAKER_TEST_DOCKER_USER'));
const children: ChildProcess[] = [];
let directory: string;
let file: string;
beforeEach(() => {
  directory = mkdtempSync('/var/tmp/caretaker-commands-');
  chmodSync(directory, 0o755);
  file = path.join(directory, 'commands.jsonl');
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  rmSync(directory, { recursive: true });
});

function sleeper(ids: { uid?: number; gid?: number } = {}): number {
  const child = spawn('sleep', ['60'], { detached: true, ...ids });
  children.push(child);
  return child.pid as number;
}

function note(owner: number, ...pids: readonly number[]): void {
  const where = { bootId: bootId(), pidNamespace: ownIdentity().pidNamespace };
  const lines = pids.map((pid) =>
    JSON.stringify({ pid, startTime: processStat(pid)?.startTime, program: 'sleep', scope: 'group', ...where }),
  );
  writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 });
  chownSync(file, owner, owner);
}

const lives = (pid: number): boolean => !['Z', undefined].includes(processStat(pid)?.state);

test('root ends for another user his own processes, and nobody else’s', async () => {
  const [his, ours] = [sleeper({ uid, gid }), sleeper()];
  note(uid, his, ours);
  expect(await endCommands(file)).toEqual({ ended: [`sleep (process ${his})`], left: [`sleep (process ${ours})`] });
  expect([his, ours].map(lives)).toEqual([false, true]);
  expect(existsSync(file)).toBe(true);
}, 30_000);

test('what is noted in root’s file stays, and is told, where another user comes', async () => {
  chownSync(directory, uid, gid);
  note(0, sleeper());
  process.seteuid?.(uid);
  try {
    expect(await endCommands(file)).toEqual({ ended: [], left: [`what ${file} names, which is user 0’s`] });
  } finally {
    process.seteuid?.(0);
  }
  expect(existsSync(file)).toBe(true);
});
