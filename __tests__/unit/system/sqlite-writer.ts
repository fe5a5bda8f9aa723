/**
 * Writes to a database as fast as about a hundred transactions a second, until its standard input ends: moves money between two tables, so
 * that a copy of two instants breaks the sum. Prints a line when it writes, and at the end how many transactions there were.
 */
import { setTimeout } from 'node:timers/promises';
import { DatabaseSync } from 'node:sqlite';

const [file = '', mode = 'DELETE'] = process.argv.slice(2);
const database = new DatabaseSync(file, { timeout: 60_000 });
database.exec(`PRAGMA journal_mode=${mode}; PRAGMA synchronous=OFF`);
let ended = false;
process.stdin.on('end', () => (ended = true)).resume();
let transactions = 0;
while (!ended) {
  const id = 1 + Math.floor(Math.random() * 5000);
  database.exec(`BEGIN IMMEDIATE;
    UPDATE one SET money = money - 1 WHERE id = ${id};
    UPDATE two SET money = money + 1 WHERE id = ${5001 - id};
    INSERT INTO log (text) VALUES (hex(randomblob(50)));
    UPDATE counter SET n = n + 1;
    COMMIT`);
  if (transactions++ === 0) process.stdout.write('writing\n');
  await setTimeout(8);
}
database.close();
process.stdout.write(`${transactions}\n`);
