import { asList, asMapping, isMapping, textOf, type Mapping } from './compose-file.ts';

/** A TCP port of the host that a compose file gives to a service. */
export interface ServicePort {
  readonly service: string;
  /** Empty: all addresses of the host. */
  readonly hostIp: string;
  readonly hostPort: number;
  readonly containerPort: number;
}

/** The fixed TCP ports of the host that the services publish; not those that the engine chooses. In either form, ranges one by one. */
export function publishedPorts(document: Mapping): ServicePort[] {
  return Object.entries(asMapping(document['services'])).flatMap(([service, fields]) =>
    asList(asMapping(fields)['ports']).flatMap((port) =>
      (isMapping(port) ? longForm(port) : shortForm(textOf(port) ?? '')).map((one) => ({ service, ...one })),
    ),
  );
}

type Published = Omit<ServicePort, 'service'>;

function longForm(port: Mapping): Published[] {
  if ((textOf(port['protocol']) ?? 'tcp') !== 'tcp') return [];
  return pairs(textOf(port['host_ip']) ?? '', textOf(port['published']) ?? '', textOf(port['target']) ?? '');
}

/** `[[IP:]HOST:]CONTAINER[/PROTOCOL]`, an IPv6 address in brackets or bare. */
function shortForm(text: string): Published[] {
  const [, ip = '', host = '', container = '', protocol = 'tcp'] =
    /^(?:(?:(\[.*\]|.*?):)?([\d-]*):)?([\d-]+)(?:\/(\w+))?$/.exec(text.trim()) ?? [];
  return protocol === 'tcp' ? pairs(ip.replace(/^\[|\]$/g, ''), host, container) : [];
}

function pairs(hostIp: string, hosts: string, containers: string): Published[] {
  const [host, container] = [range(hosts), range(containers)];
  // A range of the host for one port of the container: the engine chooses.
  if (host.length !== container.length) return [];
  return host
    .map((hostPort, index) => ({ hostIp, hostPort, containerPort: container[index] ?? 0 }))
    .filter(({ hostPort }) => hostPort > 0);
}

function range(text: string): number[] {
  const [, from, to = from] = /^(\d+)(?:-(\d+))?$/.exec(text) ?? [];
  if (from === undefined) return [];
  const length = Number(to) - Number(from) + 1;
  return length < 1 || length > 65_536 ? [] : Array.from({ length }, (_, index) => Number(from) + index);
}
