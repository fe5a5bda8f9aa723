/** The entries of src as bundles, and which packages are in them. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { packageFolders, type Module } from './bundled.ts';
import { licencesText, readPackage, type Package } from './licences.ts';

export const root = path.resolve(import.meta.dirname, '..');

const entries = {
  action: 'src/main.ts',
  cli: 'src/cli.ts',
  agent: 'src/agent.ts',
  'actions-cache': 'src/actions-cache.ts',
};

/** The action's post step is the same program under another name. */
const POST = `import './index.js';\n`;

/**
 * What is imported and never called, and a module of Node's in its place. GitHub's artifact client zips and unzips with these two; our artifacts
 * are single files, written with `skipArchive` and read over REST. With them come two thirds of all packages, one of them without a licence
 * (`buffers`, actions/toolkit#2392).
 */
const leftOut = { archiver: 'node:zlib', 'unzip-stream': 'node:zlib' };

interface Bundle {
  readonly code: string;
  readonly assets: Readonly<Record<string, { readonly source: string | Buffer; readonly permissions?: number }>>;
  readonly stats: { toJson(options: object): { readonly modules: readonly Module[] } };
}

const ncc = createRequire(import.meta.url)('@vercel/ncc') as (entry: string, options: object) => Promise<Bundle>;

/** Writes the bundles and the licences of all that is in them below `into`; answers with the packages. */
export async function bundle(into: string): Promise<Package[]> {
  const folders = new Set<string>();
  for (const [name, source] of Object.entries(entries)) {
    const { code, assets, stats } = await ncc(path.join(root, source), {
      // Types are checked by `npm run typecheck`; ncc would check every file of the tree once a bundle.
      transpileOnly: true,
      cache: false,
      externals: leftOut,
      quiet: true,
      target: 'es2022',
    });
    const folder = path.join(into, name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(path.join(folder, 'index.js'), code, { mode: code.startsWith('#!') ? 0o777 : 0o666 });
    for (const [file, { source, permissions }] of Object.entries(assets)) {
      // ncc takes a dependency's own .env for an asset, in a folder named after the checkout's; nothing reads it.
      if (!file.includes('/')) writeFileSync(path.join(folder, file), source, { mode: permissions });
    }
    // ncc rewrites what it takes for the path of an asset; in a program of ours that is a path on the user's host.
    for (const [file, text] of contents(folder)) {
      if (/_require__\.ab \+/.test(text)) {
        throw new Error(`ncc rewrote a path in ${name}/${file}: look for "_require__.ab +"`);
      }
    }
    const { modules } = stats.toJson({
      all: false,
      ...{ modules: true, modulesSpace: Infinity, nestedModules: true, nestedModulesSpace: Infinity },
    });
    for (const one of packageFolders(root, modules)) folders.add(one);
  }
  writeFileSync(path.join(into, 'action/post.js'), POST);
  const packages = [...folders].sort().map((folder) => readPackage(root, folder));
  writeFileSync(path.join(into, 'licenses.txt'), licencesText(packages));
  return packages;
}

/** Every file below a folder: its path relative to that → its bytes. */
export function contents(folder: string): Map<string, string> {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(
    files.map((entry) => {
      const file = path.join(entry.parentPath, entry.name);
      return [path.relative(folder, file), readFileSync(file, 'latin1')];
    }),
  );
}
