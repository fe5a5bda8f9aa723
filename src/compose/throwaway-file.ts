import { basename, isAbsolute, join, relative, resolve } from 'node:path';
import { stringify } from 'yaml';
import { asList, asMapping, isMapping, textOf, type Mapping } from './compose-file.ts';
import { volumeOf } from './model.ts';

/** `sockets`: a directory, there or not, that may hold sockets or devices of the host. Who can see a socket can use it, also where it is mounted read-only. */
export type PathKind = 'directory' | 'file' | 'missing' | 'sockets' | 'other';

export interface ThrowawayOptions {
  /** Its project name. */
  readonly name: string;
  /** Where its own directories lie, absolute. */
  readonly directory: string;
  /** What relative paths of the compose file are relative to. */
  readonly base: string;
  /** Name in the engine of each of the project's volumes, by its key in the file. */
  readonly volumes: Readonly<Record<string, string>>;
  /** Absolute paths on this host at which the project has data that a backup holds. */
  readonly data: readonly string[];
  readonly kindOf: (path: string) => PathKind;
  /** The image of a service that is built and has no name of its own. */
  readonly imageOf: (service: string) => string;
  /** Whether its networks lead outside. */
  readonly outside: boolean;
  /** Whether the Compose program lets a service have further names in a network. */
  readonly aliases: boolean;
  /** Of its containers. */
  readonly labels: Readonly<Record<string, string>>;
}

export interface ThrowawayFile {
  /** Its compose file, complete: it needs no other file's variables. */
  readonly text: string;
  /** Directories and files of the project in the place of which it has its own. */
  readonly places: readonly { readonly live: string; readonly copy: string }[];
  /** Those of them that are directories of the project in the place of which it has its own; they must be there before it starts. */
  readonly directories: readonly { readonly live: string; readonly copy: string }[];
  /** Directories inside of those that are mounted by themselves. */
  readonly nested: readonly string[];
  /** The names in the engine of its volumes, by those of the project's. They must be there before it starts. */
  readonly volumes: ReadonlyMap<string, string>;
  /** What it does without, for the log. */
  readonly without: readonly string[];
}

/** Words of a service that a copy has as they are written would reach, or be reached by, what is not its own. */
const DROPPED = [
  ...['ports', 'container_name', 'labels', 'logging', 'external_links', 'mac_address', 'profiles', 'build', 'develop'],
  ...['devices', 'device_cgroup_rules', 'privileged', 'use_api_socket', 'cgroup', 'cgroup_parent', 'provider'],
];
/** Of those, what an application may miss. */
const MISSED = ['devices', 'privileged', 'use_api_socket', 'provider'];

/** Namespaces of the host, or of somebody else's container. */
const NAMESPACES = ['network_mode', 'pid', 'ipc', 'uts'] as const;

/**
 * The compose file of a throwaway: the same services with the same images, but with a project name, volumes, directories and networks of its own, nothing published, no name and
 * no label by which others (a reverse proxy, say) find a container, no socket of the host. Read-only files and directories that hold no data of a backup are shared.
 */
export function throwawayFile(document: Mapping, options: ThrowawayOptions): ThrowawayFile {
  const without: string[] = [];
  const services = Object.entries(asMapping(document['services'])).map(
    ([name, fields]) => [name, asMapping(fields)] as const,
  );
  const binds = services.flatMap(([name, fields]) =>
    asList(fields['volumes'])
      .map((volume) => volumeOf(volume, name, options.base))
      .filter(({ type }) => type === 'bind'),
  );
  const own = ownPlaces(binds, options);
  const volumes = new Map(
    Object.entries(options.volumes).map(([key, live]) => [live, `${options.name}_${key.replace(/[^\w.-]/g, '_')}`]),
  );

  const mount = (volume: unknown, service: string): readonly unknown[] => {
    const { type, source, target, readOnly } = volumeOf(volume, service, options.base);
    if (type !== 'bind') return [volume];
    const copy = own.find(({ live }) => isWithin(live, source));
    const kind = options.kindOf(source);
    if (copy === undefined && (kind === 'other' || kind === 'sockets')) {
      const is = kind === 'other' ? 'is a socket or a device' : 'may hold sockets or devices';
      without.push(`${service} gets no ${target}: ${source} ${is} of this host`);
      return [];
    }
    if (copy === undefined && !readOnly)
      without.push(`${service} can't write to ${target}: it is shared with ${source}`);
    const selinux = selinuxOf(volume);
    return [
      {
        ...{ type: 'bind', source: copy === undefined ? source : join(copy.copy, relative(copy.live, source)), target },
        ...(readOnly || copy === undefined ? { read_only: true } : {}),
        // Z would take a file that is shared away from the application.
        ...(selinux === undefined ? {} : { bind: { selinux: copy === undefined ? 'z' : selinux } }),
      },
    ];
  };

  const service = (name: string, fields: Mapping): Mapping => {
    const kept: Record<string, unknown> = { ...fields };
    for (const key of MISSED)
      if (fields[key] !== undefined && fields[key] !== false) without.push(`${name} gets no ${key}`);
    for (const key of DROPPED) delete kept[key];
    const others = asList(fields['volumes_from']).filter((one) => !(textOf(one) ?? '').startsWith('container:'));
    if (fields['volumes_from'] !== undefined) kept['volumes_from'] = others;
    for (const key of NAMESPACES) {
      const value = textOf(fields[key]);
      if (value === undefined || value.startsWith('service:') || ['none', 'private', 'shareable'].includes(value))
        continue;
      without.push(`${name} gets no ${key}: ${value}`);
      delete kept[key];
    }
    const deploy = { ...asMapping(fields['deploy']) };
    const none = [fields['scale'], deploy['replicas']].some((count) => Number(count ?? 1) === 0);
    for (const key of ['labels', 'restart_policy', ...(none ? [] : ['replicas'])]) delete deploy[key];
    if (!none) delete kept['scale'];
    const restart = fields['restart'] === false ? 'no' : textOf(fields['restart']);
    const envFiles = asList(fields['env_file']).map((file) =>
      isMapping(file)
        ? { ...file, path: resolve(options.base, textOf(file['path']) ?? '') }
        : resolve(options.base, textOf(file) ?? ''),
    );
    return {
      ...kept,
      image: textOf(fields['image']) ?? options.imageOf(name),
      labels: options.labels,
      // What the host has is what is tried; a newer image must not come by it.
      pull_policy: 'never',
      // Not after a reboot: then nobody waits for it any more.
      ...(restart === undefined || restart === 'no' ? {} : { restart: 'on-failure' }),
      ...(isMapping(fields['deploy']) ? { deploy } : {}),
      ...(envFiles.length === 0 ? {} : { env_file: envFiles }),
      ...(fields['volumes'] === undefined
        ? {}
        : { volumes: asList(fields['volumes']).flatMap((one) => mount(one, name)) }),
      ...(kept['network_mode'] === undefined
        ? { networks: networksOf(fields['networks'], options.aliases ? textOf(fields['container_name']) : undefined) }
        : {}),
    };
  };

  const copies = Object.fromEntries(services.map(([name, fields]) => [name, service(name, fields)]));
  // podman-compose 1.0.3 refuses a network that no service is in.
  const networks = new Set(Object.values(copies).flatMap((copy) => Object.keys(asMapping(copy['networks']))));
  const content = {
    services: copies,
    networks: Object.fromEntries([...networks].map((key) => [key, options.outside ? {} : { internal: true }])),
    volumes: Object.fromEntries(
      Object.entries(options.volumes).map(([key, live]) => [key, { external: true, name: volumes.get(live) }]),
    ),
    ...withFiles('secrets', document, options.base),
    ...withFiles('configs', document, options.base),
  };
  const directories = own.filter(({ live }) => options.kindOf(live) !== 'file');
  const text = stringify(escapeDollars(content), { version: '1.1', lineWidth: 0 });
  const nested = [
    ...new Set(
      binds.flatMap(({ source }) => {
        const home = own.find(({ live }) => live !== source && isWithin(live, source));
        const isDirectory = ['directory', 'missing', 'sockets'].includes(options.kindOf(source));
        return home === undefined || !isDirectory ? [] : [join(home.copy, relative(home.live, source))];
      }),
    ),
  ];
  return { text, places: own, directories, nested, volumes, without };
}

/** The outermost of what is written to or holds data: each has a place of its own. */
function ownPlaces(
  binds: readonly { readonly source: string; readonly readOnly: boolean }[],
  { data, directory, base, kindOf }: ThrowawayOptions,
): { live: string; copy: string }[] {
  const wanted = binds
    .filter(({ source, readOnly }) => {
      const kind = kindOf(source);
      if (kind === 'other') return false;
      if (kind === 'file') return data.includes(source);
      // What the whole host or project is shown by, read-only, may go on showing it.
      if (readOnly && isWithin(source, base)) return false;
      return !readOnly || data.some((path) => isWithin(source, path) || isWithin(path, source));
    })
    .map(({ source }) => source);
  const outermost = [...new Set(wanted)].filter(
    (path) => !wanted.some((other) => other !== path && isWithin(other, path)),
  );
  return outermost.map((live, index) => ({ live, copy: join(directory, `${index}-${basename(live)}`) }));
}

/** Of each network only its key and the names by which a service is known in it: addresses and drivers are the project's. */
function networksOf(networks: unknown, containerName: string | undefined): Mapping {
  const keys = isMapping(networks)
    ? Object.entries(networks)
    : asList(networks).map((key) => [String(key), null] as const);
  if (keys.length === 0) return networksOf({ default: null }, containerName);
  const all = keys.map(([key, value]) => {
    // By its container's name too: others may know it by that.
    const aliases = [...asList(asMapping(value)['aliases']), ...(containerName === undefined ? [] : [containerName])];
    // podman-compose 1.0.3 takes an empty mapping for a part of the name.
    return [key, aliases.length === 0 ? null : { aliases }] as const;
  });
  return Object.fromEntries(all);
}

function withFiles(kind: 'secrets' | 'configs', document: Mapping, base: string): Mapping {
  const entries = Object.entries(asMapping(document[kind])).map(([key, value]) => {
    const { name: _name, ...fields } = asMapping(value);
    const file = textOf(fields['file']);
    return [key, file === undefined ? fields : { ...fields, file: resolve(base, file) }] as const;
  });
  return entries.length === 0 ? {} : { [kind]: Object.fromEntries(entries) };
}

/** `z` or `Z`, which tell SELinux to let containers in. */
function selinuxOf(volume: unknown): string | undefined {
  if (isMapping(volume)) return textOf(asMapping(volume['bind'])['selinux']);
  return /(?:^|,)(z)(?:,|$)/i.exec((textOf(volume) ?? '').split(':')[2] ?? '')?.[1];
}

function isWithin(directory: string, path: string): boolean {
  const rest = relative(directory, path);
  return rest !== '..' && !rest.startsWith('../') && !isAbsolute(rest);
}

/** What was filled in once must not be taken for variables. */
function escapeDollars(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll('$', '$$$$');
  if (Array.isArray(value)) return value.map(escapeDollars);
  if (isMapping(value))
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, escapeDollars(item)]));
  return value;
}
