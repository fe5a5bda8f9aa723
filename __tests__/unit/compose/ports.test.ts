import { describe, expect, test } from '@jest/globals';
import { publishedPorts } from '../../../src/compose/ports.ts';

const of = (...ports: unknown[]): string[] =>
  publishedPorts({ services: { web: { ports } } }).map(
    ({ service, hostIp, hostPort, containerPort }) => `${service} ${hostIp}|${hostPort}|${containerPort}`,
  );

describe('the ports that a compose file publishes', () => {
  test.each<[unknown, string[]]>([
    ['8080:80', ['web |8080|80']],
    ['127.0.0.1:8080:80/tcp', ['web 127.0.0.1|8080|80']],
    ['[::1]:8080:80', ['web ::1|8080|80']],
    ['::1:8080:80', ['web ::1|8080|80']],
    ['3000-3001:4000-4001', ['web |3000|4000', 'web |3001|4001']],
    [{ target: 80, published: '8080', host_ip: '127.0.0.1', protocol: 'tcp' }, ['web 127.0.0.1|8080|80']],
    [{ target: 80, published: 8080 }, ['web |8080|80']],
    // The engine chooses, or it is no TCP.
    ['80', []],
    [80, []],
    ['0:80', []],
    ['8000-8010:80', []],
    ['53:53/udp', []],
    [{ target: 53, published: '53', protocol: 'udp' }, []],
    [{ target: 80 }, []],
    ['nonsense', []],
    [null, []],
  ])('%j', (port, found) => {
    expect(of(port)).toEqual(found);
  });

  test('of all services; none where there are none', () => {
    expect(publishedPorts({ services: { db: {}, web: { ports: ['1:2'] }, api: { ports: ['3:4'] } } })).toHaveLength(2);
    expect(publishedPorts({})).toEqual([]);
  });
});
