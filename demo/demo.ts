/**
 * The main job on a bare machine, told as a story: a small SQLite web shop, run by start, stop and status commands, is backed up,
 * proven, updated, saved from a broken release, and restored. Everything happens in one temporary folder, which is removed at the end.
 */
import { Shop, type Answer } from './shop.ts';

title('A small shop goes into service');
const shop = await Shop.open();
try {
  for (const item of ['tea', 'bread', 'honey']) await shop.order(item);
  await tell('Three customers order', { version: 'v1.0.0', orders: 3, receipts: 3 });

  title('Backup: nothing is stopped');
  await caretaker(0, 'backup');

  title('Update to v1.1.0: backup, switch, health');
  shop.publish('v1.1.0');
  await caretaker(0, 'update', '--track', 'releases');
  await tell('The new version serves', { version: 'v1.1.0', orders: 3, receipts: 3 });
  await shop.order('cheese');
  await tell('A fourth customer orders', { version: 'v1.1.0', orders: 4, receipts: 4 });

  title('Night: a backup, and a drill that proves it');
  await caretaker(0, 'backup');
  await caretaker(0, 'verify', '--backup', 'latest');

  title('Update to v1.2.0, a broken release: its migration drops the table of orders, and it never starts');
  shop.publish('v1.2.0');
  await caretaker(1, 'update', '--track', 'releases');
  await tell('Code and data are back, the fourth order too', { version: 'v1.1.0', orders: 4, receipts: 4 });

  title('Somebody deletes all orders; restore brings back the last backup');
  await shop.loseOrders();
  await tell('The orders are gone', { version: 'v1.1.0', orders: 0, receipts: 4 });
  await caretaker(0, 'restore', '--backup', 'latest', '--confirm', 'shop');
  await tell('Restored', { version: 'v1.1.0', orders: 4, receipts: 4 });

  title('What there is to go back to');
  await caretaker(0, 'list');
  await caretaker(0, 'status');
  say('That was the main job: nothing lost, and never left down. Your own project: see README.md.');
} finally {
  shop.close();
}

/** Runs the command line and shows it; fails the demo when it ends otherwise than the story says. */
async function caretaker(expected: number, mode: string, ...flags: readonly string[]): Promise<void> {
  say(`$ compose-caretaker ${[mode, ...flags].join(' ')}`);
  const child = shop.caretaker(mode, flags, 'inherit');
  const code = await new Promise((resolve, reject) => child.on('error', reject).on('exit', resolve));
  if (code !== expected) throw new Error(`the command ended with code ${String(code)} instead of ${expected}`);
}

/** Says what the shop answers now, and fails the demo when that is not what it should be. */
async function tell(what: string, expected: Answer): Promise<void> {
  const seen = JSON.stringify(await shop.look());
  say(`${what}: ${seen}`);
  if (seen !== JSON.stringify(expected)) {
    throw new Error(`the shop answers ${seen} instead of ${JSON.stringify(expected)}`);
  }
}

function title(text: string): void {
  console.log(`\n=== ${text}`);
}

function say(text: string): void {
  console.log(`  ${text}`);
}
