// A small web shop with its orders in SQLite: what the demo takes care of. VERSION and MIGRATIONS differ by release.
import { createServer } from 'node:http';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { MIGRATIONS, VERSION } from './release.mjs';

mkdirSync('data/receipts', { recursive: true });
const database = new DatabaseSync('data/shop.sqlite3');
database.exec('CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY)');
const { done } = database.prepare('SELECT count(*) AS done FROM migrations').get();
for (let number = done; number < MIGRATIONS.length; number++) {
  console.log(`migration ${number + 1}: ${MIGRATIONS[number]}`);
  database.exec(MIGRATIONS[number]);
  database.prepare('INSERT INTO migrations VALUES (?)').run(number + 1);
}

const server = createServer((request, response) => {
  try {
    if (request.method === 'POST') {
      const { lastInsertRowid } = database.prepare('INSERT INTO orders (item) VALUES (?)').run(request.url.slice(1));
      writeFileSync(`data/receipts/${lastInsertRowid}.txt`, `Thank you for ordering ${request.url.slice(1)}\n`);
    }
    if (request.method === 'DELETE') database.exec('DELETE FROM orders');
    const { orders } = database.prepare('SELECT count(*) AS orders FROM orders').get();
    const receipts = readdirSync('data/receipts').length;
    response.end(JSON.stringify({ version: VERSION, orders, receipts }));
  } catch (error) {
    response.writeHead(500).end(String(error));
  }
});
server.listen(Number(process.argv[2]), '127.0.0.1');
process.on('SIGTERM', () => server.close(() => process.exit(0)).closeAllConnections());
