/**
 * A tiny application to act on: one directory, one file a thing. Each action, and each step of `update`, may be killed at a chosen point:
 * `point` is called before and after every effect.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { RecoveryActions } from '../../../src/safety/recovery.ts';
import type { Saga } from '../../../src/safety/saga.ts';
import type { Log } from '../../../src/report/log.ts';

export const silent: Log = {
  info: () => undefined,
  warn: () => undefined,
  debug: () => undefined,
  group: (_title, work) => work(),
  progress: () => undefined,
  mask: () => undefined,
  redacted: (text) => text,
};

export interface World {
  readonly directory: string;
  readonly point: (name: string) => void;
}

export function before(directory: string): void {
  writeFileSync(path.join(directory, 'code'), 'old');
  writeFileSync(path.join(directory, 'data'), 'old');
  writeFileSync(path.join(directory, 'running'), 'old');
}

export function state(directory: string): Record<string, string | null> {
  const read = (name: string): string | null => {
    const file = path.join(directory, name);
    return existsSync(file) ? readFileSync(file, 'utf8') : null;
  };
  return { code: read('code'), data: read('data'), running: read('running'), stored: read('stored') };
}

function put({ directory, point }: World, name: string, value: string | null): void {
  point(`before ${name}=${value}`);
  if (value === null) rmSync(path.join(directory, name), { force: true });
  else writeFileSync(path.join(directory, name), value);
  point(`after ${name}=${value}`);
}

export function actions(world: World): RecoveryActions {
  const act = (name: string) => (data: unknown) => Promise.resolve(put(world, name, data as string | null));
  return {
    undo: { code: act('code'), data: act('data'), running: act('running') },
    forward: { store: act('stored') },
    finish: {
      run: (ill) => {
        put(world, 'running', 'new');
        return Promise.resolve(ill ? 'not healthy' : null);
      },
    },
  };
}

export async function update(saga: Saga, world: World, fails: boolean): Promise<string> {
  const step = (name: string, old: string | null, value: string | null) =>
    saga.step(`${name} to ${value}`, { undo: { action: name, data: old } }, () =>
      Promise.resolve(put(world, name, value)),
    );
  await step('code', 'old', 'new');
  await step('running', 'old', null);
  await saga.step('look around', { undo: null }, () => Promise.resolve());
  await step('data', 'old', 'new');
  const forward = [{ action: 'store', data: 'backup' }];
  await saga.step('running to new', { undo: { action: 'running', data: null } }, async () => {
    await saga.prepare({ action: 'run', data: fails }, forward);
    put(world, 'running', 'new');
  });
  if (fails) throw new Error('not healthy');
  await saga.commit(forward);
  return 'updated';
}
