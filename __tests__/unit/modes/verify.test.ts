import { expect, test } from '@jest/globals';
import { sealManifest } from '../../../src/archive/manifest.ts';
import type { ProofDocument } from '../../../src/archive/proof.ts';
import { CaretakerError } from '../../../src/errors.ts';
import type { Tools } from '../../../src/modes/tools.ts';
import { verify } from '../../../src/modes/verify.ts';
import { silentLog } from '../../../src/report/silent.ts';
import type { VerifySettings } from '../../../src/settings/settings.ts';
import { sampleManifest } from '../archive/sample-manifest.ts';
import { temporaryDirectories } from '../system/temporary.ts';

const temporary = temporaryDirectories();

test('the result of a drill, which lies beside the backup, holds no secret that is known', async () => {
  const manifest = sealManifest(sampleManifest());
  const kept: ProofDocument[] = [];
  const proofs = [{ at: '2026-11-24T12:00:00.000Z', level: 'read', ok: true, file: 'p' }];
  const store = {
    check: () => Promise.resolve(),
    list: () => Promise.resolve([{ name: manifest.name, createdAt: new Date(manifest.createdAt), ids: [], proofs }]),
    readManifest: () => Promise.resolve(manifest),
    fetch: () =>
      Promise.reject(new CaretakerError('store-damaged', 'psql said: hunter22 at postgres://app:hunter33@db')),
    keepProof: (_backup: unknown, proof: ProofDocument) => Promise.resolve(void kept.push(proof)),
  };
  const log = silentLog();
  log.mask('hunter22');
  const tools = {
    ...{
      stores: [store],
      local: { ...store, list: () => Promise.resolve([]) },
      log,
      run: 'r1',
      caretaker: '1.0.0',
      clock: { now: () => new Date(0) },
    },
    keys: { encryption: undefined, identities: [], passphrase: undefined },
    project: { name: manifest.project, stateDirectory: temporary(), engine: null },
    recorder: { step: (_title: string, work: () => Promise<unknown>) => work(), warn: () => undefined },
  } as unknown as Tools;
  const settings = {
    mode: 'verify',
    backup: { by: 'latest', text: 'latest' },
    proof: 'read',
  } as unknown as VerifySettings;
  await expect(verify(tools, settings, () => store as never)).rejects.toThrow('psql said');
  // By its clock it is 1970, and the last drill was today.
  expect(kept.map(({ at, ok, lines }) => [at, ok, lines])).toEqual([
    ['2026-11-24T12:00:01.000Z', false, ['psql said: *** at postgres://app:***@db']],
  ]);
});
