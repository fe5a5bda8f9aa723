/**
 * Writes the software bill of materials of dist/ to the file that it is given: CycloneDX JSON, as `npm sbom` makes it, of exactly the packages that are in
 * the bundles. `npm sbom --omit dev` is not it: that leaves out every package that a development dependency needs as well (`yaml`), and those of them that got into a bundle.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { bundle, root } from './bundle.ts';
import { onlyBundled, type Sbom } from './bundled.ts';

const [file] = process.argv.slice(2);
if (file === undefined) throw new Error('usage: node scripts/sbom.ts FILE');
const work = mkdtempSync(path.join(tmpdir(), 'caretaker-sbom-'));
try {
  const packages = await bundle(work);
  const npm = spawnSync('npm', ['sbom', '--sbom-format', 'cyclonedx'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (npm.status !== 0) throw new Error(`npm sbom failed: ${npm.stderr}`);
  const { name } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as { readonly name: string };
  const sbom = onlyBundled(JSON.parse(npm.stdout) as Sbom, name, packages);
  writeFileSync(file, `${JSON.stringify(sbom, null, 2)}\n`);
  console.log(`${file}: ${packages.length} packages.`);
} finally {
  rmSync(work, { recursive: true, force: true });
}
