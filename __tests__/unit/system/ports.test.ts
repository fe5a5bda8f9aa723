import { createServer, type AddressInfo } from 'node:net';
import { expect, test } from '@jest/globals';
import { whyTaken } from '../../../src/system/ports.ts';

test('a port is taken while somebody listens, on any address for all addresses', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  expect(await whyTaken('127.0.0.1', port)).toMatch(/address already in use/);
  expect(await whyTaken('', port)).toMatch(/address already in use/);
  await new Promise((resolve) => server.close(resolve));
  expect(await whyTaken('127.0.0.1', port)).toBeUndefined();
  expect(await whyTaken('', port)).toBeUndefined();
});

test('an address that this host does not have', async () => {
  expect(await whyTaken('192.0.2.1', 8080)).toMatch(/no such address/);
});
