/**
 * Bundles the entries into dist/: the action (main and post), the command line, the agent that runs beside the data, and the client of the workflow's cache.
 * `--check` bundles into a temporary folder and compares: dist must be exactly what src builds.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const root = path.resolve(import.meta.dirname, '..');
const entries = {
  action: 'src/main.ts',
  cli: 'src/cli.ts',
  agent: 'src/agent.ts',
  'actions-cache': 'src/actions-cache.ts',
};

function bundle(into: string): void {
  for (const [name, source] of Object.entries(entries)) {
    // Types are checked by `npm run typecheck`; ncc would check every file of the tree once a bundle.
    const { status, stderr, stdout } = spawnSync(
      process.execPath,
      [
        path.join(root, 'node_modules/@vercel/ncc/dist/ncc/cli.js'),
        ...['build', path.join(root, source), '--out', path.join(into, name)],
        ...['--target', 'es2022', '--transpile-only', '--no-cache', '--license', 'licenses.txt', '--quiet'],
      ],
      { cwd: root, encoding: 'utf8' },
    );
    if (status !== 0) throw new Error(`ncc failed for ${source}:\n${stdout}${stderr}`);
    // ncc rewrites what it takes for the path of an asset; in a program of ours that is a path on the user's host.
    for (const [file, text] of contents(path.join(into, name))) {
      if (/_require__\.ab \+/.test(text))
        throw new Error(`ncc rewrote a path in ${name}/${file}: look for "_require__.ab +"`);
    }
    // ncc takes a dependency's own .env for an asset, in a folder named after the checkout's; nothing reads it.
    for (const entry of readdirSync(path.join(into, name), { withFileTypes: true })) {
      if (entry.isDirectory()) rmSync(path.join(into, name, entry.name), { recursive: true });
    }
  }
}

function contents(folder: string): Map<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    files.map((entry) => {
      const file = path.join(entry.parentPath, entry.name);
      return [path.relative(folder, file), readFileSync(file, 'latin1')];
    }),
  );
}

if (!process.version.startsWith('v24.')) throw new Error(`dist is built by Node 24, this is ${process.version}`);
const work = mkdtempSync(path.join(tmpdir(), 'caretaker-dist-'));
try {
  bundle(work);
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
    console.log(`Built ${Object.keys(entries).join(', ')} into dist/.`);
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
