/** What webpack and npm know of the packages in the bundles. */
import path from 'node:path';

/** Of webpack's statistics. */
export interface Module {
  readonly nameForCondition?: string | null;
  readonly modules?: readonly Module[];
}

/** The folders of the packages that webpack's modules are of, relative to `from`: `node_modules/glob/node_modules/minimatch`. */
export function packageFolders(from: string, modules: readonly Module[]): string[] {
  return modules.flatMap(({ nameForCondition, modules: nested = [] }) => {
    const folder = /^.*node_modules\/(@[^/]+\/)?[^/]+/.exec(path.relative(from, nameForCondition ?? from));
    return [...(folder === null ? [] : [folder[0]]), ...packageFolders(from, nested)];
  });
}

/** The parts of a CycloneDX document that are looked at here; the rest stays as it is. */
export interface Sbom {
  readonly metadata: { readonly component: { readonly 'bom-ref': string; readonly name: string } };
  readonly components: readonly { readonly 'bom-ref': string; readonly name: string; readonly version: string }[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

/** The bill of the whole tree cut down to these packages, and named: npm names it after the folder. Throws where one of them is not in it. */
export function onlyBundled(
  sbom: Sbom,
  name: string,
  packages: readonly { readonly name: string; readonly version: string }[],
): Sbom {
  const id = (one: { readonly name: string; readonly version: string }): string => `${one.name}@${one.version}`;
  const wanted = new Set(packages.map(id));
  const components = sbom.components.filter((one) => wanted.has(id(one)));
  for (const one of components) wanted.delete(id(one));
  if (wanted.size > 0) throw new Error(`in a bundle, but not in npm's bill: ${[...wanted].join(', ')}`);
  const { component } = sbom.metadata;
  const refs = new Set([component['bom-ref'], ...components.map((one) => one['bom-ref'])]);
  return {
    ...sbom,
    metadata: { ...sbom.metadata, component: { ...component, name } },
    components,
    dependencies: sbom.dependencies
      .filter(({ ref }) => refs.has(ref))
      .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((one) => refs.has(one)) })),
  };
}
