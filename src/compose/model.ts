import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { deviceOf } from '../runtimes/volume-options.ts';
import type { BuildOptions, ComposeModel, ComposeService, ComposeVolume } from './compose.ts';
import {
  asEnvironment,
  asList,
  asMapping,
  dependencyNames,
  invalidComposeFile,
  isMapping,
  textOf,
} from './compose-file.ts';
import type { Mapping } from './compose-file.ts';

/**
 * The model out of one merged and interpolated document: what `docker compose config --format json` prints, what podman-compose's `config`
 * prints, or what our own reading made. Relative paths are relative to `directory`, that of the first compose file. Throws
 * `compose-file-invalid`.
 */
export function modelOf(content: Mapping, name: string, directory: string): ComposeModel {
  const volumes = Object.fromEntries(
    Object.entries(asMapping(content['volumes'])).map(([key, value]) => [
      key,
      topLevelVolume(key, asMapping(value), name),
    ]),
  );
  const services = Object.entries(asMapping(content['services'])).map(([service, fields]) =>
    withDirectories(serviceOf(service, asMapping(fields), directory), asMapping(content['volumes'])),
  );
  if (services.length === 0) throw invalidComposeFile(`failed to find a service in the compose files of ${directory}`);
  return { name, services, volumes };
}

/** A volume that is a directory of this host by its `driver_opts` is that directory. */
function withDirectories(service: ComposeService, volumes: Mapping): ComposeService {
  const mounts = service.volumes.map((volume) => {
    const fields = asMapping(volume.type === 'volume' ? volumes[volume.source] : undefined);
    const device = ['local', undefined].includes(textOf(fields['driver']))
      ? deviceOf(asMapping(fields['driver_opts']))
      : null;
    return device?.bound ? { ...volume, type: 'bind' as const, source: device.source } : volume;
  });
  return { ...service, volumes: mounts };
}

function topLevelVolume(key: string, fields: Mapping, project: string): { name: string; external: boolean } {
  const external = fields['external'];
  // The form of version 2 of the format: `external: {name: …}`.
  const externalName = isMapping(external) ? textOf(external['name']) : undefined;
  const isExternal = isMapping(external) || external === true || external === 'true';
  return {
    name: textOf(fields['name']) ?? externalName ?? (isExternal ? key : `${project}_${key}`),
    external: isExternal,
  };
}

function serviceOf(name: string, fields: Mapping, directory: string): ComposeService {
  const environment = Object.entries(asEnvironment(fields['environment'])).filter(
    (entry): entry is [string, string] => entry[1] !== null,
  );
  const healthcheck = asMapping(fields['healthcheck']);
  const test = asList(healthcheck['test']);
  return {
    name,
    image: textOf(fields['image']) ?? null,
    build: fields['build'] !== undefined && fields['build'] !== null,
    buildOptions: buildOptionsOf(fields['build']),
    containerName: textOf(fields['container_name']),
    dependsOn: [...new Set([...dependencyNames(fields['depends_on']), ...linkNames(fields['links'])])],
    // Unquoted, `no` is false for a YAML 1.1 reader.
    restart: fields['restart'] === false ? 'no' : textOf(fields['restart']),
    volumes: [
      ...asList(fields['volumes']).map((volume) => volumeOf(volume, name, directory)),
      ...asList(fields['tmpfs']).map((path): ComposeVolume => ({
        type: 'tmpfs',
        source: '',
        target: (textOf(path) ?? '').split(':')[0] ?? '',
        readOnly: false,
      })),
    ],
    envFiles: envFilesOf(fields).map((path) => absolute(path, directory)),
    environment: Object.fromEntries(environment),
    hasHealthCheck: test.length > 0 && test[0] !== 'NONE' && healthcheck['disable'] !== true,
    profiles: asList(fields['profiles'])
      .map(textOf)
      .filter((profile) => profile !== undefined),
    replicas: replicasOf(fields),
    stopGraceSeconds: secondsOf(fields['stop_grace_period']),
  };
}

/** The context's place is the host's own matter, and so left out: two hosts that build the same have it elsewhere. */
function buildOptionsOf(build: unknown): BuildOptions {
  if (build === undefined || build === null) return {};
  const { args, target, dockerfile, dockerfile_inline: inline, platforms } = asMapping(build);
  const given = {
    args: Object.entries(asEnvironment(args)).sort(([one], [other]) => (one < other ? -1 : 1)),
    target: textOf(target),
    // Docker's Compose fills the default in, podman-compose does not.
    dockerfile: textOf(dockerfile) ?? 'Dockerfile',
    inline: textOf(inline),
    platforms: asList(platforms).map(String),
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/** A service's `env_file` as written, in any of its forms: one path, a list, a list of `{path, required}`. */
export function envFilesOf(service: Mapping): string[] {
  return asList(service['env_file'])
    .map((entry) => textOf(isMapping(entry) ? entry['path'] : entry) ?? '')
    .filter((path) => path !== '');
}

function linkNames(links: unknown): string[] {
  return asList(links).map((link) => (textOf(link) ?? '').split(':')[0] ?? '');
}

function replicasOf(fields: Mapping): number {
  const value = fields['scale'] ?? asMapping(fields['deploy'])['replicas'];
  const count = value === undefined || value === null ? 1 : Number(value);
  return Number.isInteger(count) && count >= 0 ? count : 1;
}

/** `90`, `90s`, `1m30s`, `1h`. */
function secondsOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value !== 'string' || value === '') return undefined;
  if (/^\d+$/.test(value)) return Number(value);
  const units: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1, ms: 0.001, us: 0.000001 };
  let seconds = 0;
  for (const [, count, unit] of value.matchAll(/([\d.]+)(ms|us|h|m|s)/g))
    seconds += Number(count) * (units[unit ?? ''] ?? 0);
  return seconds;
}

/** One entry of a service's `volumes`, in either form; paths absolute. */
export function volumeOf(volume: unknown, service: string, directory: string): ComposeVolume {
  if (isMapping(volume)) {
    const type = textOf(volume['type']) ?? 'volume';
    const source = textOf(volume['source']) ?? textOf(volume['src']) ?? '';
    return {
      type: type === 'bind' || type === 'volume' || type === 'tmpfs' ? type : 'other',
      source: type === 'bind' ? absolute(source, directory) : source,
      target: textOf(volume['target']) ?? textOf(volume['destination']) ?? textOf(volume['dst']) ?? '',
      readOnly: [volume['read_only'], volume['readonly']].some((value) => value === true || value === 'true'),
    };
  }
  const parts = (textOf(volume) ?? '').split(':');
  const [first = '', second, third, fourth] = parts;
  if (first === '' && second === undefined)
    throw invalidComposeFile(`failed to read a volume of the service ${service}: it is empty`);
  if (fourth !== undefined)
    throw invalidComposeFile(`failed to read the volume ${parts.join(':')} of the service ${service}: too many colons`);
  // `/var/lib/mysql` and `/var/lib/mysql:ro`: an anonymous volume.
  if (second === undefined || !second.startsWith('/')) {
    return { type: 'volume', source: '', target: first, readOnly: hasReadOnly(second) };
  }
  const bind = /^[./~]/.test(first);
  return {
    type: bind ? 'bind' : 'volume',
    source: bind ? absolute(first, directory) : first,
    target: second,
    readOnly: hasReadOnly(third),
  };
}

function hasReadOnly(options: string | undefined): boolean {
  return (options ?? '').split(',').includes('ro');
}

function absolute(path: string, directory: string): string {
  if (path === '~' || path.startsWith('~/')) return join(homedir(), path.slice(1));
  return isAbsolute(path) ? path : resolve(directory, path);
}
