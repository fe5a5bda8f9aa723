/**
 * Notes the command line of every process of this host until it is told to end: `command-lines.ts FILE` appends each to FILE once. For `secrets-in-output.sh`: what stands in one, every user can read.
 *
 * Left out are makers of test stacks (`make.sh`, and CARETAKER_TEST_MAKER in their environment), who hand the secrets out; the workflow engine, to which repository secrets are typed; and what podman-compose
 * starts, which itself writes variables into the arguments of `podman` (SECURITY.md).
 */
import { appendFileSync, readdirSync, readFileSync } from 'node:fs';

const EVERY_MS = 200;
const NOT_OURS = [
  /(^|\/)act\0/,
  /\/make\.sh\0/,
  /\0--secret\0GITHUB_TOKEN=/,
  /^(\S*python\S*\0)?[^\0]*podman-compose\0/,
];

const [file] = process.argv.slice(2);
if (file === undefined) throw new Error('usage: command-lines.ts FILE');
const noted = new Set<string>();
/** Processes that have been looked at, as they were then. */
let known = new Map<number, string>();

function read(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return ''; // It has ended.
  }
}

function isOurs(pid: number, line: string): boolean {
  if (NOT_OURS.some((pattern) => pattern.test(line))) return false;
  if (read(pid, 'environ').includes('CARETAKER_TEST_MAKER=')) return false;
  const parent = Number(/^PPid:\s*(\d+)$/m.exec(read(pid, 'status'))?.[1] ?? 0);
  return !isPodman(line) || parent <= 1 || isOurs(parent, read(parent, 'cmdline'));
}

/** Rootless, it starts itself once more with the same arguments. */
const isPodman = (line: string): boolean => /^(\/\S*\/)?podman\0/.test(line);

function look(): void {
  const now = new Map<number, string>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const line = read(pid, 'cmdline');
    if (line === '') continue;
    now.set(pid, line);
    if (known.get(pid) === line || noted.has(line) || !isOurs(pid, line)) continue;
    noted.add(line);
    appendFileSync(file!, `${line.replaceAll('\0', ' ').replaceAll('\n', ' ')}\n`);
  }
  known = now;
}

setInterval(look, EVERY_MS);
