import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { CaretakerError } from '../errors.ts';
import { checkTar } from './tar.ts';

/** A list or a configuration is some kilobytes. */
const MAX_JSON_BYTES = 1024 * 1024;

/** Where names of images may stand, and the configurations: `<hex>.json`, since Docker 25 `blobs/sha256/<hex>`, as the OCI image layout has it. */
const READ = /^(?:manifest\.json|index\.json|repositories|[0-9a-f]{64}\.json|blobs\/sha256\/[0-9a-f]{64})$/;

/** The annotations of an `index.json` by which Docker with containerd's store, and Podman, name what they load. */
const NAMING = /"(?:io\.containerd\.image\.name|org\.opencontainers\.image\.ref\.name)"/;

/**
 * Walks over an archive in the format of `docker save`, which somebody else may have made, before an engine loads it: each image has the digest of its own configuration for an
 * id, is for that platform (`linux/amd64`), and brings no name, since loading would move it, whosever it is. Nothing in it may be read in two ways. A configuration holds the digests of its layers, which the
 * engines compare as they load. Answers with the ids (`sha256:…`) and the SHA-256 of the archive. Throws `image-archive-bad`, and `part-damaged` or `part-hostile` for
 * what is wrong with the tar itself.
 */
export async function checkImageArchive(
  file: string,
  platform: string,
): Promise<{ readonly sha256: string; readonly ids: ReadonlySet<string> }> {
  const hash = createHash('sha256');
  const texts = new Map<string, Buffer[]>();
  let current: Buffer[] | undefined;
  const walk = checkTar(createReadStream(file), {
    onMember({ path: name, type, size }) {
      current = undefined;
      if (!READ.test(name)) return;
      // An engine may take the one that was not looked at.
      if (texts.has(name) || type !== 'file') throw bad(`${name} is there twice, or is no file`);
      // A layer of the newer form.
      if (size <= MAX_JSON_BYTES) texts.set(name, (current = []));
      else if (!name.startsWith('blobs/')) throw bad(`${name} is too long`);
    },
    onContent: (content) => current?.push(Buffer.from(content)),
  });
  for await (const chunk of walk) hash.update(chunk);

  const text = (name: string): Buffer | null => {
    const pieces = texts.get(name);
    return pieces === undefined ? null : Buffer.concat(pieces);
  };
  const json = (name: string): unknown => {
    const content = text(name);
    if (content === null) return null;
    const plain = content.toString('utf8');
    let value: unknown;
    try {
      value = JSON.parse(plain);
    } catch {
      throw bad(`${name} is not JSON`);
    }
    refuseAmbiguous(plain, name);
    return value;
  };

  const manifest = json('manifest.json');
  const listed: readonly unknown[] = Array.isArray(manifest) ? (manifest as unknown[]) : [];
  if (listed.length === 0) throw bad('it lists no image');
  if (Object.keys(json('repositories') ?? {}).length > 0 || NAMING.test(JSON.stringify(json('index.json'))))
    throw bad('it would move a name');
  const ids = listed.map((image) => {
    refuseLookalikes(image, ['Config', 'RepoTags']);
    const { Config: config, RepoTags: names } = (image ?? {}) as { Config?: unknown; RepoTags?: unknown };
    const named = names === undefined || names === null ? '' : JSON.stringify(names);
    if (named !== '' && named !== '[]') throw bad(`it would move the name ${named}`);
    const content = typeof config === 'string' ? text(config) : null;
    const hex = typeof config === 'string' ? /[0-9a-f]{64}/.exec(config)?.[0] : undefined;
    if (content === null || hex === undefined) throw bad('it lacks the configuration of an image');
    if (createHash('sha256').update(content).digest('hex') !== hex)
      throw bad(`the configuration ${hex} is another one`);
    const platformOf = json(config as string);
    refuseLookalikes(platformOf, ['os', 'architecture']);
    const { os, architecture } = (platformOf ?? {}) as { os?: unknown; architecture?: unknown };
    const made = `${String(os)}/${String(architecture)}`;
    if (made !== platform) throw bad(`it is for ${made}, and this is ${platform}`);
    return `sha256:${hex}`;
  });
  return { sha256: hash.digest('hex'), ids: new Set(ids) };
}

/** The engines' parser merges what stands twice in an object, and this one takes the last. `text` is JSON. */
function refuseAmbiguous(text: string, name: string): void {
  const open: Set<string>[] = [];
  for (const [token, key] of text.matchAll(/("(?:[^"\\]|\\.)*")\s*:|"(?:[^"\\]|\\.)*"|[{}[\]]/g)) {
    if (token === '{' || token === '[') open.push(new Set());
    else if (token === '}' || token === ']') open.pop();
    else if (key !== undefined) {
      const plain = JSON.parse(key) as string;
      if (open.at(-1)?.has(plain) === true) throw bad(`${name} says ${key} twice`);
      open.at(-1)?.add(plain);
    }
    if (open.length > 100) throw bad(`${name} is nested too deeply`);
  }
}

/** The engines' parser takes a key for a field's name in whatever letters, with ſ for s as well. */
function refuseLookalikes(object: unknown, known: readonly string[]): void {
  const folded = (key: string): string => key.toUpperCase().toLowerCase();
  for (const key of Object.keys(object ?? {})) {
    if (!known.includes(key) && known.some((one) => folded(one) === folded(key)))
      throw bad(`it has a field ${JSON.stringify(key)}`);
  }
}

function bad(why: string): CaretakerError {
  return new CaretakerError('image-archive-bad', why);
}
