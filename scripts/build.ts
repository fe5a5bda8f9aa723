/**
 * Bundles the entries into dist/: the action (main and post), the command line, the agent that runs beside the data, and the client of the workflow's cache.
 * `--check` bundles into a temporary folder and compares: dist must be exactly what src builds.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { bundle, contents, root } from './bundle.ts';
import { licenceProblems } from './licences.ts';

if (!process.version.startsWith('v24.')) throw new Error(`dist is built by Node 24, this is ${process.version}`);
const work = mkdtempSync(path.join(tmpdir(), 'caretaker-dist-'));
try {
  const packages = await bundle(work);
  const problems = licenceProblems(packages);
  if (problems.length > 0) throw new Error(`may not be bundled:\n${problems.join('\n')}`);
  const dist = path.join(root, 'dist');
  if (process.argv.includes('--check')) {
    const built = contents(work);
    const committed = contents(dist);
    const differing = [...new Set([...built.keys(), ...committed.keys()])].filter(
      (file) => built.get(file) !== committed.get(file),
    );
    if (differing.length > 0) {
      console.error(`dist is not what src builds: ${differing.join(', ')}. Run "npm run build".`);
      process.exitCode = 1;
    } else {
      console.log(`dist is what src builds: ${built.size} files.`);
    }
  } else {
    rmSync(dist, { recursive: true, force: true });
    cpSync(work, dist, { recursive: true });
    console.log(`Built dist/, with ${packages.length} packages in it.`);
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
