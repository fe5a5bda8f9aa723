import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { changed, mayChange } from './harness.ts';

const folder = path.resolve(import.meta.dirname, '../../workflows-templates');
const names = (await readdir(folder)).filter((name) => name.endsWith('.yml'));
const site = {
  kind: { fixture: 'uso' },
  instance: '/home/app/stack',
  source: '/home/app/source',
  port: 8080,
} as Parameters<typeof changed>[1];

describe('the shipped workflow templates', () => {
  test.each(names)('%s: whatever names this host or this release says CHANGE', async (name) => {
    const lines = (await readFile(path.join(folder, name), 'utf8')).split('\n');
    const after = changed(lines.join('\n'), site).split('\n');
    const touched = lines.filter((line, at) => line !== after[at]);
    expect(touched.length).toBeGreaterThan(0);
    expect(after.join('\n')).not.toContain('/srv/application');
    // What the runs of the other suites leave as shipped, since the workflow engine is told about it: the host's label and the release.
    const specific = lines.flatMap((line, at) => (/uses: OWNER\/|runs-on:|cron:/.test(line) ? [at] : []));
    expect(specific.length).toBeGreaterThan(1);
    for (const at of specific) expect([lines[at], mayChange(lines, at)]).toEqual([lines[at], true]);
  });
});
