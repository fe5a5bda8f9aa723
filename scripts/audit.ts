/**
 * Asks npm's registry for known vulnerabilities of all dependencies, from moderate on. Where the registry can't be asked, it says so loudly and ends well, unless
 * `--required`: everything else must be able to run on a machine without a way there.
 */
import { spawnSync } from 'node:child_process';

interface Answer {
  /** Only where the registry has answered. */
  readonly auditReportVersion?: number;
  readonly message?: string;
  readonly vulnerabilities?: Readonly<Record<string, { readonly severity: string; readonly via: readonly unknown[] }>>;
}

const below = ['info', 'low'];

const { stdout, error } = spawnSync('npm', ['audit', '--json'], { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
if (error !== undefined) throw error;
const { auditReportVersion, message, vulnerabilities = {} } = JSON.parse(stdout || '{}') as Answer;
if (auditReportVersion === undefined) {
  console.error(`${'!'.repeat(80)}\nNOT AUDITED: the registry did not answer (${message ?? 'no reason given'}).`);
  console.error(`Nobody has looked for known vulnerabilities in this run.\n${'!'.repeat(80)}`);
  if (process.argv.includes('--required')) process.exitCode = 1;
} else {
  const found = Object.entries(vulnerabilities).filter(([, { severity }]) => !below.includes(severity));
  for (const [name, { severity, via }] of found) {
    const why = via.map((one) => (typeof one === 'string' ? `by ${one}` : (one as { url?: string }).url));
    console.error(`${name}: ${severity} (${why.join(', ')})`);
  }
  if (found.length > 0) process.exitCode = 1;
  else console.log('npm audit: no vulnerability from moderate on is known.');
}
