import { expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import {
  formatManifest,
  openManifest,
  parseManifest,
  sealManifest,
  type Manifest,
} from '../../../src/archive/manifest.ts';
import { sampleManifest, samplePart } from '../archive/sample-manifest.ts';
import { codedOr, forAll, fuzzed } from './fuzz.ts';
import { refuseCommands } from './runner.ts';
import { changedAt, edits, hostileText, hostileValue, mutated } from './values.ts';

jest.setTimeout(600_000);
fuzzed('manifests');

const samples: readonly Manifest[] = [
  sampleManifest(),
  sampleManifest({
    engine: null,
    encryption: { format: 'age-encryption.org/v1', recipients: ['age1x'], seal: 'QQ==' },
  }),
  sampleManifest({
    parts: [samplePart({ kind: 'directory', method: 'files', postgres: undefined } as never)],
    version: { commit: null, tag: null, describe: null },
  }),
];

/** What nobody who acts on a manifest has to look at again. */
function expectSafe(manifest: Manifest): void {
  const files = manifest.parts.flatMap((part) => part.files.map(({ file }) => [part.name, file] as const));
  for (const [part, file] of files) {
    if (
      !/^[a-z0-9][a-zA-Z0-9_.-]*\.zst$/.test(file) ||
      file.includes('..') ||
      !file.startsWith(`${manifest.name}.${part}.`)
    )
      throw new Error(`the file ${JSON.stringify(file)}`);
  }
  if (new Set(files.map(([, file]) => file)).size !== files.length) throw new Error('a file twice');
  if (!/^[a-z0-9][a-z0-9_-]*-\d{8}T\d{6}Z$/.test(manifest.name)) throw new Error(`the name ${manifest.name}`);
  if (manifest.instructions.file !== `${manifest.name}.RESTORE.md`) throw new Error('instructions elsewhere');
  for (const { name, origin, files, seconds } of manifest.parts) {
    if (!/^[a-z0-9][a-z0-9-]*$/.test(name)) throw new Error(`the part ${name}`);
    const paths = [origin.path, origin.relativePath ?? '.', origin.containerPath ?? '/'];
    if (paths.some((path) => path.split('/').includes('..') || path.includes('\0')))
      throw new Error('a path that climbs');
    if (!origin.path.startsWith('/') || origin.relativePath?.startsWith('/') === true)
      throw new Error('a path elsewhere');
    const numbers = [seconds, ...files.flatMap(({ bytes, rawBytes }) => [bytes, rawBytes])];
    if (numbers.some((number) => !Number.isFinite(number) || number < 0)) throw new Error('a number that is none');
  }
  if (Object.getPrototypeOf(manifest) !== Object.prototype) throw new Error('a prototype of its own');
}

async function judge(read: () => Manifest): Promise<void> {
  const answer = await codedOr(read);
  if ('errors' in answer) {
    refuseCommands(answer.errors);
    return;
  }
  expectSafe(answer.value);
  // Written again it is the same.
  const again = parseManifest(formatManifest(answer.value));
  if (JSON.stringify(again) !== JSON.stringify(answer.value)) throw new Error('it is read otherwise the second time');
}

test('any text is a safe manifest or refused by a code', () =>
  forAll(fc.tuple(fc.nat(samples.length - 1), edits(4)), 25_000, ([index, changes]) =>
    judge(() => parseManifest(mutated(Buffer.from(formatManifest(samples[index]!)), changes).toString())),
  ));

test('any value in any place of one leaves it safe, or is refused by a code, its digest made to fit', () =>
  forAll(
    fc.tuple(
      fc.nat(samples.length - 1),
      fc.array(fc.tuple(fc.nat(), fc.nat(8), hostileValue, hostileText), { minLength: 1, maxLength: 3 }),
    ),
    35_000,
    ([index, changes]) =>
      judge(() => {
        let value: unknown = samples[index];
        for (const [place, kind, by, name] of changes) value = changedAt(value, place, kind, by, name);
        return openManifest(typeof value === 'object' && value !== null ? sealManifest(value as Manifest) : value);
      }),
  ));

test('a manifest that was changed behind its digest is never opened', () =>
  forAll(fc.tuple(fc.nat(samples.length - 1), edits(2)), 10_000, async ([index, changes]) => {
    const text = formatManifest(samples[index]!);
    const changed = mutated(Buffer.from(text), changes).toString();
    const answer = await codedOr(() => openManifest(changed));
    if ('errors' in answer) return;
    // The seal is of the digest, and not in it: whoever has a key compares the two.
    const { encryption } = answer.value;
    const seal = encryption === null ? {} : { encryption: { ...samples[index]!.encryption, seal: encryption.seal } };
    expect(formatManifest(answer.value)).toBe(formatManifest({ ...samples[index]!, ...seal } as Manifest));
  }));
