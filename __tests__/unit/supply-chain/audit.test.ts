import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

const script = path.resolve(import.meta.dirname, '../../../scripts/audit.ts');
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'audit-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** The script beside an npm that answers so. */
function audit(answer: object, ...flags: string[]): { readonly status: number | null; readonly said: string } {
  writeFileSync(path.join(folder, 'answer.json'), JSON.stringify(answer));
  writeFileSync(path.join(folder, 'npm'), `#!/bin/sh\ncat '${folder}/answer.json'\nexit 1\n`);
  chmodSync(path.join(folder, 'npm'), 0o755);
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...flags], {
    env: { ...process.env, PATH: `${folder}:${process.env['PATH']}` },
    encoding: 'utf8',
  });
  return { status, said: stdout + stderr };
}

const refused = {
  message: '405 Method Not Allowed - POST https://registry.npmjs.org/-/npm/v1/security/advisories/bulk',
};

describe('npm run audit', () => {
  test('a known vulnerability fails it, with the advisory', () => {
    const url = 'https://github.com/advisories/GHSA-xxxx';
    const { status, said } = audit({
      auditReportVersion: 2,
      vulnerabilities: {
        undici: { severity: 'moderate', via: [{ url }] },
        '@actions/github': { severity: 'high', via: ['undici'] },
        ms: { severity: 'low', via: [] },
      },
    });
    expect([status, said]).toEqual([1, `undici: moderate (${url})\n@actions/github: high (by undici)\n`]);
  });

  test('nothing from moderate on passes', () => {
    expect(audit({ auditReportVersion: 2, vulnerabilities: { ms: { severity: 'low', via: [] } } }).status).toBe(0);
  });

  test('a registry that does not answer passes, loudly, and fails where the answer is required', () => {
    const { status, said } = audit(refused);
    expect([status, said]).toEqual([0, expect.stringContaining('NOT AUDITED: the registry did not answer (405')]);
    expect(audit(refused, '--required').status).toBe(1);
    expect(audit({}, '--required').status).toBe(1);
  });
});
