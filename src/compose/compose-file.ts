import { LineCounter, parseDocument, visit } from 'yaml';
import type { Document, ErrorCode } from 'yaml';
import { CaretakerError } from '../errors.ts';
import { interpolate, InterpolationError } from './interpolate.ts';
import type { Lookup } from './interpolate.ts';

/** A YAML mapping as read; its fields are checked where they are used. */
export type Mapping = Readonly<Record<string, unknown>>;

export function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * One compose file as plain data: anchors and merge keys resolved, variables filled in when `lookup` is given (without one they stay as
 * written). Throws `compose-file-invalid` with line and column, in words that quote nothing of the file: it may be a password.
 */
export function parseComposeFile(path: string, text: string, lookup: Lookup | null): Mapping {
  const lines = new LineCounter();
  // Keys written twice: Compose refuses them itself, podman-compose takes the last.
  const document = parseDocument(text, {
    merge: true,
    uniqueKeys: false,
    lineCounter: lines,
    prettyErrors: false,
    logLevel: 'error',
  });
  const fail = (offset: number | undefined, why: string, cause?: unknown): never => {
    const position = offset === undefined ? undefined : lines.linePos(offset);
    const where = position === undefined ? '' : ` at line ${position.line}, column ${position.col}`;
    throw invalidComposeFile(`failed to read ${path}${where}: ${why}`, cause);
  };

  const error = document.errors[0];
  if (error !== undefined) fail(error.pos[0], FAULTS[error.code]);
  const tag = document.warnings.find((warning) => warning.code === 'TAG_RESOLVE_FAILED');
  if (lookup !== null && tag !== undefined)
    fail(tag.pos[0], 'this Compose implementation does not know the tag (a word that begins with !)');
  visit(document, {
    Alias(_key, node) {
      if (node.resolve(document) === undefined)
        fail(node.range?.[0], 'an alias (a word that begins with *) has no anchor');
    },
  });

  if (lookup !== null) fillIn(document, lookup, (offset, cause) => fail(offset, cause.message, cause));
  const content = plainOf(document, () => fail(undefined, 'its aliases and merge keys (<<) can’t be resolved'));
  if (!isMapping(content)) return fail(0, 'it is not a mapping with services in it');
  for (const key of ['services', 'volumes'] as const) {
    const value = content[key];
    const node = document.get(key, true);
    const offset = (node as { range?: readonly [number, number, number] } | undefined)?.range?.[0];
    if (value !== undefined && value !== null && !isMapping(value)) fail(offset, `${key} is not a mapping`);
    if (key === 'services' && isMapping(value)) {
      for (const [name, service] of Object.entries(value)) {
        if (!isMapping(service)) {
          const at = document.getIn(['services', name], true) as { range?: readonly number[] } | undefined;
          fail(at?.range?.[0] ?? offset, `the service ${name} is not a mapping`);
        }
      }
    }
  }
  return content;
}

/** The parser's own words quote the text. */
const FAULTS: Readonly<Record<ErrorCode, string>> = {
  ALIAS_PROPS: 'an alias can have neither anchor nor tag',
  BAD_ALIAS: 'an alias or anchor has no name, or one that ends in a colon',
  BAD_COLLECTION_TYPE: 'a tag does not fit what it stands before',
  BAD_DIRECTIVE: 'a line that begins with % is no directive',
  BAD_DQ_ESCAPE: 'an escape in double quotes is none of YAML',
  BAD_INDENT: 'the indentation does not fit what is around it',
  BAD_PROP_ORDER: 'an anchor or a tag stands before the indicator that it belongs behind',
  BAD_SCALAR_START: 'a value that begins so needs quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a list or mapping can’t begin here',
  BLOCK_IN_FLOW: 'a list or mapping by indentation can’t stand within brackets',
  DUPLICATE_KEY: 'a key is written twice',
  IMPOSSIBLE: 'it can’t be understood',
  KEY_OVER_1024_CHARS: 'a key is too long',
  MISSING_CHAR: 'a quote, bracket, comma, colon or blank is missing',
  MULTILINE_IMPLICIT_KEY: 'a key goes over several lines; is a quote, bracket or colon missing?',
  MULTIPLE_ANCHORS: 'it has two anchors',
  MULTIPLE_DOCS: 'a second document begins (---)',
  MULTIPLE_TAGS: 'it has two tags',
  NON_STRING_KEY: 'a key is no text',
  RESOURCE_EXHAUSTION: 'it is nested too deep',
  TAB_AS_INDENT: 'it is indented by a tab',
  TAG_RESOLVE_FAILED: 'a value does not fit its tag (a word that begins with !), or the tag is none',
  UNEXPECTED_TOKEN: 'something does not belong there',
};

/** `fail` where aliases multiply without bounds, or what is to be merged is no mapping. */
function plainOf(document: Document, fail: () => never): unknown {
  try {
    return document.toJS();
  } catch {
    return fail();
  }
}

/** Values only: Compose leaves keys as they are. */
function fillIn(document: Document, lookup: Lookup, fail: (offset: number | undefined, cause: Error) => never): void {
  visit(document, {
    Scalar(key, node) {
      if (key === 'key' || typeof node.value !== 'string' || !node.value.includes('$')) return;
      try {
        node.value = interpolate(node.value, lookup);
      } catch (error) {
        if (error instanceof InterpolationError) fail(node.range?.[0], error);
        throw error;
      }
    },
  });
}

export function invalidComposeFile(message: string, cause?: unknown): CaretakerError {
  return new CaretakerError('compose-file-invalid', message, {
    hint: 'Mend the compose file or the variables it needs (.env, env-files); the compose program says the same with its verb config.',
    input: 'compose-files',
    cause,
  });
}

/** Compose's rules for several files: mappings merge, lists of the fields named here append, everything else is replaced. */
export function mergeComposeFiles(files: readonly Mapping[]): Mapping {
  return files.reduce<Mapping>((merged, file) => mergeMapping(merged, file, []), {});
}

function mergeMapping(base: Mapping, over: Mapping, path: readonly string[]): Mapping {
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const inService = path[0] === 'services' && path.length === 2;
    result[key] =
      inService && base[key] !== undefined && base[key] !== null
        ? mergeServiceField(key, base[key], value, [...path, key])
        : mergeValue(base[key], value, [...path, key]);
  }
  return result;
}

function mergeValue(base: unknown, over: unknown, path: readonly string[]): unknown {
  if (isMapping(base) && isMapping(over)) return mergeMapping(base, over, path);
  // `api-db:` with nothing after it, in the second file, does not take back what the first one said.
  return over === null && isMapping(base) ? base : over;
}

function mergeServiceField(key: string, base: unknown, over: unknown, path: readonly string[]): unknown {
  if (key === 'environment') return { ...asEnvironment(base), ...asEnvironment(over) };
  if (key === 'depends_on' && (Array.isArray(base) || Array.isArray(over))) {
    return [...new Set([...dependencyNames(base), ...dependencyNames(over)])];
  }
  if (key === 'volumes') {
    const targets = new Map<string, unknown>();
    for (const volume of [...asList(base), ...asList(over)]) targets.set(volumeTarget(volume), volume);
    return [...targets.values()];
  }
  if (['env_file', 'profiles', 'ports', 'expose', 'tmpfs'].includes(key)) return [...asList(base), ...asList(over)];
  // A build context may be a bare path in one file and a mapping in the other.
  return mergeValue(base, over, path);
}

/**
 * Services that extend others of the same file, or of another by `load`, as Compose merges them. Throws `compose-file-invalid` for what
 * is not there or goes in a circle.
 */
export async function resolveExtends(
  content: Mapping,
  load: (file: string) => Promise<Mapping>,
  trail: readonly string[] = [],
): Promise<Mapping> {
  const services = asMapping(content['services']);
  const resolved: Record<string, unknown> = {};
  for (const name of Object.keys(services)) resolved[name] = await extended(services, name, load, trail);
  return { ...content, services: resolved };
}

async function extended(
  services: Mapping,
  name: string,
  load: (file: string) => Promise<Mapping>,
  trail: readonly string[],
): Promise<Mapping> {
  const service = asMapping(services[name]);
  const reference = service['extends'];
  if (reference === undefined || reference === null) return service;
  const file = isMapping(reference) ? textOf(reference['file']) : undefined;
  const other = typeof reference === 'string' ? reference : textOf(asMapping(reference)['service']);
  const step = `${file ?? ''}#${other ?? ''}`;
  if (other === undefined || trail.includes(step)) {
    throw invalidComposeFile(
      `failed to resolve extends of the service ${name}: it names no service or goes in a circle`,
    );
  }
  const from = file === undefined ? services : asMapping((await load(file))['services']);
  if (!isMapping(from[other])) {
    throw invalidComposeFile(
      `failed to resolve extends of the service ${name}: there is no service ${other}${file === undefined ? '' : ` in ${file}`}`,
    );
  }
  const base = await extended(from, other, load, [...trail, step]);
  const { extends: _extends, ...own } = service;
  const merged = mergeMapping({ services: { [name]: base } }, { services: { [name]: own } }, []);
  return asMapping(asMapping(merged['services'])[name]);
}

/** The forms in which a compose file may write the same thing. */
export function asMapping(value: unknown): Mapping {
  return isMapping(value) ? value : {};
}

export function asList(value: unknown): readonly unknown[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? (value as unknown[]) : [value];
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : undefined;
}

/** `{A: b}` or `[A=b, C]` as a mapping; null for a value that comes from the process environment. */
export function asEnvironment(value: unknown): Record<string, string | null> {
  if (isMapping(value)) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, textOf(item) ?? null]));
  }
  return Object.fromEntries(
    asList(value).map((item): [string, string | null] => {
      const text = textOf(item) ?? '';
      const equals = text.indexOf('=');
      return equals < 0 ? [text, null] : [text.slice(0, equals), text.slice(equals + 1)];
    }),
  );
}

export function dependencyNames(value: unknown): string[] {
  if (isMapping(value)) return Object.keys(value);
  return asList(value)
    .map(textOf)
    .filter((name) => name !== undefined);
}

function volumeTarget(volume: unknown): string {
  if (isMapping(volume)) return textOf(volume['target']) ?? '';
  const parts = (textOf(volume) ?? '').split(':');
  return parts[1] !== undefined && parts[1].startsWith('/') ? parts[1] : (parts[0] ?? '');
}
