import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import type { Mapping } from '../../../src/compose/compose-file.ts';
import {
  throwawayFile,
  type PathKind,
  type ThrowawayFile,
  type ThrowawayOptions,
} from '../../../src/compose/throwaway-file.ts';

interface Content {
  services: Record<string, Record<string, unknown>>;
  networks: Record<string, unknown>;
  volumes: Record<string, unknown>;
  secrets?: Record<string, unknown>;
}

/** `kinds`: what lies at paths of the host; a directory otherwise. */
function of(
  document: Mapping,
  more: Partial<ThrowawayOptions> & { readonly kinds?: Record<string, PathKind> } = {},
): ThrowawayFile & { readonly content: Content } {
  const made = throwawayFile(document, {
    ...{
      name: 'shop-throwaway-1',
      directory: '/t/data',
      base: '/srv/shop',
      volumes: {},
      data: [],
      outside: false,
      aliases: true,
    },
    labels: { 'compose-caretaker.throwaway': 'shop-throwaway-1' },
    kindOf: (path) => more.kinds?.[path] ?? 'directory',
    imageOf: (service) => `shop-${service}`,
    ...more,
  });
  return { ...made, content: parse(made.text, { version: '1.1' }) as Content };
}
const service = (fields: Mapping, more: Parameters<typeof of>[1] = {}): Record<string, unknown> =>
  of({ services: { web: fields } }, more).content.services['web'] ?? {};

describe('the compose file of a throwaway', () => {
  test('has nothing by which others reach it, or it reaches them', () => {
    const web = service({
      ...{ image: 'shop:1', ports: ['80:80'], container_name: 'shop', labels: { 'traefik.enable': 'true' } },
      ...{
        logging: { driver: 'gelf' },
        external_links: ['other'],
        mac_address: '02:42:ac:11:65:43',
        pid: 'host',
        ipc: 'host',
      },
      ...{ network_mode: 'host', profiles: ['x'], build: '.', restart: 'always', environment: { A: '1' } },
      deploy: {
        replicas: 3,
        labels: { a: 'b' },
        restart_policy: { condition: 'any' },
        resources: { limits: { cpus: '1' } },
      },
    });
    expect(web).toEqual({
      ...{
        image: 'shop:1',
        environment: { A: '1' },
        restart: 'on-failure',
        networks: { default: { aliases: ['shop'] } },
      },
      pull_policy: 'never',
      deploy: { resources: { limits: { cpus: '1' } } },
      labels: { 'compose-caretaker.throwaway': 'shop-throwaway-1' },
    });
  });

  test('gets nothing of the host, and nothing of a container that is not its own', () => {
    const fields = {
      ...{ image: 'a', privileged: true, devices: ['/dev/ttyUSB0'], use_api_socket: true, cgroup: 'host' },
      volumes_from: ['db', 'container:prod-db'],
    };
    const { content, without } = of({ services: { web: fields, db: { image: 'b' } } });
    expect(content.services['web']).toEqual({
      ...{ image: 'a', pull_policy: 'never', volumes_from: ['db'], networks: { default: null } },
      labels: { 'compose-caretaker.throwaway': 'shop-throwaway-1' },
    });
    expect(without).toEqual(['web gets no devices', 'web gets no privileged', 'web gets no use_api_socket']);
  });

  test('does not start what is not started, and knows containers by name where Compose can', () => {
    expect(service({ image: 'a', scale: 0 })).toMatchObject({ scale: 0 });
    expect(service({ image: 'a', deploy: { replicas: 0 } })).toMatchObject({ deploy: { replicas: 0 } });
    expect(service({ image: 'a', container_name: 'x' }, { aliases: false })).toMatchObject({
      networks: { default: null },
    });
  });

  test('does not take the host for the application’s because somebody looks at it', () => {
    const { content, places } = of(
      {
        services: {
          monitor: { image: 'a', volumes: ['/:/host:ro', '.:/project:ro'] },
          db: { image: 'b', volumes: ['./data:/data'] },
        },
      },
      { data: ['/srv/shop/data'] },
    );
    expect(places).toEqual([{ live: '/srv/shop/data', copy: '/t/data/0-data' }]);
    expect(content.services['monitor']?.['volumes']).toEqual([
      { type: 'bind', source: '/', target: '/host', read_only: true },
      { type: 'bind', source: '/srv/shop', target: '/project', read_only: true },
    ]);
  });

  test('keeps what a service shares with another of its own', () => {
    expect(service({ image: 'a', network_mode: 'service:db', restart: 'no' })).toMatchObject({
      network_mode: 'service:db',
      restart: 'no',
    });
    expect(service({ image: 'a', network_mode: 'service:db' })).not.toHaveProperty('networks');
  });

  test('has networks of its own, that lead nowhere unless told', () => {
    const document = {
      services: {
        web: { image: 'a', networks: { proxy: { aliases: ['shop'], ipv4_address: '10.0.0.3' }, default: null } },
      },
      networks: { proxy: { external: true, name: 'traefik' }, default: { name: 'shop_net', ipam: { config: [] } } },
    };
    const { content } = of(document);
    expect(content.networks).toEqual({ proxy: { internal: true }, default: { internal: true } });
    // podman-compose 1.0.3 refuses one that no service is in.
    const unused = { services: { web: { image: 'a' } }, networks: { other: {} } };
    expect(of(unused).content.networks).toEqual({ default: { internal: true } });
    expect(content.services['web']?.['networks']).toEqual({ proxy: { aliases: ['shop'] }, default: null });
    expect(of(document, { outside: true }).content.networks).toEqual({ default: {}, proxy: {} });
  });

  test('has volumes of its own, external ones too', () => {
    const { content, volumes } = of(
      {
        services: { db: { image: 'a', volumes: ['data:/data', '/cache'] } },
        volumes: { data: { external: true, name: 'prod' } },
      },
      { volumes: { data: 'prod' } },
    );
    expect(content.volumes).toEqual({ data: { external: true, name: 'shop-throwaway-1_data' } });
    expect(content.services['db']?.['volumes']).toEqual(['data:/data', '/cache']);
    expect([...volumes]).toEqual([['prod', 'shop-throwaway-1_data']]);
  });

  test('has directories of its own for all that is written to, also where another service only reads', () => {
    const { content, directories, nested } = of({
      services: {
        web: { image: 'a', volumes: ['./media:/media', './media/thumbs:/thumbs:ro'] },
        proxy: { image: 'b', volumes: [{ type: 'bind', source: '/srv/shop/media', target: '/www', read_only: true }] },
      },
    });
    const copy = '/t/data/0-media';
    expect(directories).toEqual([{ live: '/srv/shop/media', copy }]);
    expect(nested).toEqual([`${copy}/thumbs`]);
    expect(content.services['web']?.['volumes']).toEqual([
      { type: 'bind', source: copy, target: '/media' },
      { type: 'bind', source: `${copy}/thumbs`, target: '/thumbs', read_only: true },
    ]);
    expect(content.services['proxy']?.['volumes']).toEqual([
      { type: 'bind', source: copy, target: '/www', read_only: true },
    ]);
  });

  test('shares configuration, read-only, and no socket', () => {
    const made = of(
      {
        services: {
          web: {
            image: 'a',
            volumes: [
              './site.conf:/site.conf',
              './theme:/theme:ro,Z',
              '/var/run/docker.sock:/var/run/docker.sock',
              './later:/later:ro',
            ],
          },
        },
      },
      { kinds: { '/srv/shop/site.conf': 'file', '/var/run/docker.sock': 'other', '/srv/shop/later': 'missing' } },
    );
    expect(made.content.services['web']?.['volumes']).toEqual([
      { type: 'bind', source: '/srv/shop/site.conf', target: '/site.conf', read_only: true },
      { type: 'bind', source: '/srv/shop/theme', target: '/theme', read_only: true, bind: { selinux: 'z' } },
      { type: 'bind', source: '/srv/shop/later', target: '/later', read_only: true },
    ]);
    expect(made.without).toEqual([
      "web can't write to /site.conf: it is shared with /srv/shop/site.conf",
      'web gets no /var/run/docker.sock: /var/run/docker.sock is a socket or a device of this host',
    ]);
  });

  test('shares no directory that may hold sockets of the host: one that is written to is its own, and empty', () => {
    const volumes = ['/var/run:/var/run:ro', '/:/host:ro', '/run/shop:/run/shop', '/run/shop/web:/web:ro'];
    const made = of(
      { services: { web: { image: 'a', volumes } } },
      { kinds: { '/var/run': 'sockets', '/': 'sockets', '/run/shop': 'sockets', '/run/shop/web': 'sockets' } },
    );
    const copy = '/t/data/0-shop';
    expect(made.content.services['web']?.['volumes']).toEqual([
      { type: 'bind', source: copy, target: '/run/shop' },
      { type: 'bind', source: `${copy}/web`, target: '/web', read_only: true },
    ]);
    expect(made.directories).toEqual([{ live: '/run/shop', copy }]);
    expect(made.nested).toEqual([`${copy}/web`]);
    expect(made.without).toEqual([
      'web gets no /var/run: /var/run may hold sockets or devices of this host',
      'web gets no /host: / may hold sockets or devices of this host',
    ]);
  });

  test('never shares what a backup holds, whatever is mounted of it', () => {
    const data = ['/srv/shop/db.sqlite', '/srv/shop/docs/2026'];
    const made = of(
      { services: { web: { image: 'a', volumes: ['./db.sqlite:/db.sqlite', './docs:/docs:ro'] } } },
      { data, kinds: { '/srv/shop/db.sqlite': 'file' } },
    );
    expect(made.content.services['web']?.['volumes']).toEqual([
      { type: 'bind', source: '/t/data/0-db.sqlite', target: '/db.sqlite' },
      { type: 'bind', source: '/t/data/1-docs', target: '/docs', read_only: true },
    ]);
    expect(made.places).toHaveLength(2);
    // A file comes out of the backup; only directories are made.
    expect(made.directories.map(({ live }) => live)).toEqual(['/srv/shop/docs']);
  });

  test('needs no variable and no directory that its files were relative to', () => {
    const made = of({
      services: {
        web: {
          build: '.',
          env_file: ['./web.env', { path: 'more.env', required: false }],
          environment: { PASSWORD: 'a$b$$c', NO: 'no' },
        },
      },
      secrets: { key: { file: './key.txt', name: 'prod_key' } },
    });
    expect(made.content.services['web']).toMatchObject({
      image: 'shop-web',
      env_file: ['/srv/shop/web.env', { path: '/srv/shop/more.env', required: false }],
      environment: { PASSWORD: 'a$$b$$$$c', NO: 'no' },
    });
    expect(made.content.secrets).toEqual({ key: { file: '/srv/shop/key.txt' } });
  });
});
