import { createHash } from 'node:crypto';
import { mkdir, rm, symlink } from 'node:fs/promises';
import path from 'node:path';
import { CaretakerError, messageOf } from '../errors.ts';
import { writeAtomic } from '../system/files.ts';

export interface BootUnitRequest {
  /** What recovers: program and arguments, all paths absolute. */
  readonly argv: readonly string[];
  /** By the variable's name; a manager gives a unit hardly any of its own. */
  readonly environment: Readonly<Record<string, string>>;
  readonly projectDirectory: string;
  /** Directories that must be mounted before. */
  readonly places: readonly string[];
  /** `system`: of the host, run as root or `user`; `user`: of one user's own service manager. */
  readonly scope: 'system' | 'user';
  /** The user as whom a unit of the host runs, by number; undefined for root. */
  readonly user?: number | undefined;
  /** Where the manager looks for units, e.g. `/etc/systemd/system`. */
  readonly directory: string;
}

/** A unit of systemd that recovers one project when the host has started. */
export interface BootUnit {
  readonly name: string;
  readonly file: string;
  /** The link by which the unit is enabled: what `systemctl enable` makes. */
  readonly link: string;
  readonly text: string;
}

/** https://www.freedesktop.org/software/systemd/man/latest/systemd.service.html */
export function bootUnit(request: BootUnitRequest): BootUnit {
  const { argv, environment, projectDirectory, places, scope, user, directory } = request;
  const label = path.basename(projectDirectory).replaceAll(/[^A-Za-z0-9_-]/g, '-');
  // Two projects may have directories of one name.
  const hash = createHash('sha256').update(projectDirectory).digest('hex').slice(0, 8);
  const name = `compose-caretaker-recover-${label}-${hash}.service`;
  const target = scope === 'system' ? 'multi-user.target' : 'default.target';
  const journal = path.join(projectDirectory, '.caretaker', 'journal.jsonl');
  const text = [
    '[Unit]',
    `Description=Compose Caretaker puts right what was cut off in ${plain(projectDirectory)}`,
    ...(scope === 'system'
      ? ['Wants=network-online.target', 'After=network-online.target docker.service podman.service']
      : []),
    `RequiresMountsFor=${[...new Set(places)].map(quoted).join(' ')}`,
    `ConditionPathExists=${plain(journal)}`,
    'StartLimitIntervalSec=1h',
    'StartLimitBurst=10',
    '',
    '[Service]',
    'Type=oneshot',
    // A user's own containers are found by it.
    ...(user === undefined ? [] : [`User=${user}`, `Environment="XDG_RUNTIME_DIR=/run/user/${user}"`]),
    ...Object.entries(environment).map(([variable, value]) => `Environment=${quoted(`${variable}=${value}`)}`),
    `ExecStart=${argv.map((word) => quoted(word.replaceAll('$', '$$$$'))).join(' ')}`,
    'TimeoutStartSec=infinity',
    '# What it has brought up stays when it has ended.',
    'KillMode=process',
    '# The engine may not answer yet.',
    'Restart=on-failure',
    'RestartSec=60',
    '',
    '[Install]',
    `WantedBy=${target}`,
    '',
  ].join('\n');
  return { name, text, file: path.join(directory, name), link: path.join(directory, `${target}.wants`, name) };
}

/** Writes and enables it, again where it is there already. `boot-unit-failed`. */
export async function installBootUnit({ file, link, text }: BootUnit): Promise<void> {
  try {
    await mkdir(path.dirname(link), { recursive: true, mode: 0o755 });
    await writeAtomic(file, text, 0o644);
    await rm(link, { force: true });
    await symlink(file, link);
  } catch (error) {
    throw new CaretakerError('boot-unit-failed', `failed to install ${file}: ${messageOf(error)}`, {
      hint: 'The user must be able to write there: root for a unit of the host, otherwise the user whose containers they are.',
      cause: error,
    });
  }
}

/** `%` begins a specifier. A line end would begin another setting. */
function plain(text: string): string {
  return text.replaceAll('%', '%%').replaceAll(/[\n\r]/g, ' ');
}

/** https://www.freedesktop.org/software/systemd/man/latest/systemd.syntax.html, "Quoting". */
function quoted(text: string): string {
  const escaped = text
    .replaceAll('\\', '\\\\')
    .replaceAll('"', '\\"')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll('%', '%%');
  return `"${escaped}"`;
}
