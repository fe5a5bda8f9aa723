/** Whether a volume has the name that both engines make up where none is given. */
export function isAnonymousName(volume: string | undefined): boolean {
  return volume !== undefined && /^[0-9a-f]{64}$/.test(volume);
}

/** What the local driver of both engines mounts over a volume, only while a container uses it: the options of `docker volume create --opt`, `driver_opts` in a compose file. */
export interface VolumeDevice {
  /** A directory of this host, a device, an export of another host, or the word `tmpfs`. */
  readonly source: string;
  /** Whether it is a directory of this host. */
  readonly bound: boolean;
}

/** Null for a plain volume, whose files lie at its mount point whether it is used or not. */
export function deviceOf(options: Readonly<Record<string, unknown>> | null | undefined): VolumeDevice | null {
  const { device, type, o } = options ?? {};
  const source = typeof device === 'string' && device !== '' ? device : type === 'tmpfs' ? 'tmpfs' : undefined;
  if (source === undefined) return null;
  const words = typeof o === 'string' ? o.split(',') : [];
  return { source, bound: source.startsWith('/') && words.some((word) => word === 'bind' || word === 'rbind') };
}
