import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { onlyBundled, packageFolders } from '../../../scripts/bundled.ts';
import { licenceProblems, licencesText, readPackage } from '../../../scripts/licences.ts';

describe('the packages in a bundle', () => {
  test('are the folders of its modules, nested and concatenated ones too', () => {
    const modules = [
      { nameForCondition: '/work/src/main.ts' },
      { nameForCondition: null, modules: [{ nameForCondition: '/work/node_modules/yaml/dist/index.js' }] },
      { nameForCondition: '/work/node_modules/@azure/storage-common/node_modules/@azure/core-rest-pipeline/a.js' },
    ];
    expect(packageFolders('/work', modules)).toEqual([
      'node_modules/yaml',
      'node_modules/@azure/storage-common/node_modules/@azure/core-rest-pipeline',
    ]);
  });
});

describe('licences', () => {
  const licensed = (licence: string | undefined) => ({ name: 'one', version: '1.0.0', licence, text: '' });

  test.each([['MIT'], ['(Apache-2.0 AND BSD-3-Clause)'], ['BlueOak-1.0.0']])('%s may be bundled', (licence) => {
    expect(licenceProblems([licensed(licence)])).toEqual([]);
  });

  test.each([
    [undefined, 'one 1.0.0 has no licence'],
    ['GPL-3.0-only', 'one 1.0.0 is under GPL-3.0-only'],
    ['MIT AND GPL-3.0-only', 'one 1.0.0 is under MIT AND GPL-3.0-only'],
    ['UNLICENSED', 'one 1.0.0 is under UNLICENSED'],
    ['', 'one 1.0.0 is under '],
  ])('%s may not', (licence, problem) => {
    expect(licenceProblems([licensed(licence)])).toEqual([problem]);
  });

  test('a package is listed with the text of its licence and of its notice', () => {
    const root = mkdtempSync(path.join(tmpdir(), 'licences-'));
    try {
      mkdirSync(path.join(root, 'one'));
      const write = (file: string, text: string): void => writeFileSync(path.join(root, 'one', file), text);
      write('package.json', JSON.stringify({ name: 'one', version: '1.2.3', license: 'MIT' }));
      write('LICENCE.md', 'Permission is granted\r\n');
      write('NOTICE', 'By somebody\n');
      write('licenser.js', 'no text');
      const text = licencesText([readPackage(root, 'one')]);
      expect(text).toContain('one 1.2.3: MIT\n\nPermission is granted\n\nBy somebody\n');
      expect(text).not.toContain('no text');
    } finally {
      rmSync(root, { recursive: true });
    }
  });
});

describe('the bill of materials', () => {
  const component = (name: string, version: string) => ({ 'bom-ref': `${name}@${version}`, name, version });
  const tree = {
    metadata: { component: { 'bom-ref': 'app@1.0.0', name: 'folder' } },
    components: [component('yaml', '2.9.1'), component('yaml', '1.0.0'), component('jest', '30.0.0')],
    dependencies: [
      { ref: 'app@1.0.0', dependsOn: ['yaml@2.9.1', 'jest@30.0.0'] },
      { ref: 'jest@30.0.0', dependsOn: ['yaml@1.0.0'] },
      { ref: 'yaml@2.9.1', dependsOn: [] },
    ],
  };

  test('lists what is in the bundles, in that version, and nothing else', () => {
    expect(onlyBundled(tree, 'app', [{ name: 'yaml', version: '2.9.1' }])).toEqual({
      metadata: { component: { 'bom-ref': 'app@1.0.0', name: 'app' } },
      components: [component('yaml', '2.9.1')],
      dependencies: [
        { ref: 'app@1.0.0', dependsOn: ['yaml@2.9.1'] },
        { ref: 'yaml@2.9.1', dependsOn: [] },
      ],
    });
  });

  test('a bundled package that npm does not know is an error', () => {
    expect(() => onlyBundled(tree, 'app', [{ name: 'yaml', version: '3.0.0' }])).toThrow('yaml@3.0.0');
  });
});
