import { describe, expect, test } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { quote, renderInstructions } from '../../../src/archive/instructions.ts';
import type { Manifest, Part } from '../../../src/archive/manifest.ts';
import { NAME, sampleManifest, samplePart } from './sample-manifest.ts';

const sha256 = 'a'.repeat(64);
const file = (suffix: string): Part['files'][number] => ({
  file: `${NAME}.${suffix}.zst`,
  bytes: 1,
  rawBytes: 2,
  sha256,
});

/** The commands, as an administrator would paste them. */
function commands(text: string): string {
  const blocks: string[] = [];
  for (const [, , body] of text.matchAll(/^(`{3,})sh\n([\s\S]*?)^\1$/gm)) blocks.push(body!);
  return blocks.join('\n');
}

const allKinds: Part[] = [
  samplePart(),
  samplePart({
    name: 'dumped',
    method: 'dump',
    files: [file('dumped.globals.sql'), file('dumped.postgres.dump'), file('dumped.uso.dump')],
  }),
  samplePart({
    ...{ name: 'single', method: 'dump', files: [file('single.uso.dump')] },
    postgres: { version: '17.6', major: 17, databases: ['uso'], user: 'uso' },
  }),
  samplePart({ name: 'cold', method: 'files', consistency: 'stopped', files: [file('cold.tar')] }),
  samplePart({
    name: 'site',
    kind: 'sqlite',
    method: 'sqlite',
    files: [file('site.tar')],
    origin: { volume: 'uso_db', path: '/v/uso_db/_data/sub/db.sqlite3' },
  }),
  samplePart({
    name: 'media',
    kind: 'volume',
    method: 'files',
    files: [file('media.tar')],
    origin: { volume: 'uso_media', path: '/v/uso_media/_data', exclude: ['cache/**', '*.tmp'] },
  }),
  samplePart({
    name: 'local',
    kind: 'directory',
    method: 'files',
    files: [file('local.tar')],
    origin: { path: '/srv/uso/local', relativePath: 'local' },
  }),
  samplePart({
    name: 'conf',
    kind: 'file',
    method: 'files',
    files: [file('conf.tar')],
    origin: { path: '/etc/uso.conf' },
  }),
  samplePart({
    name: 'project-files',
    kind: 'project-files',
    method: 'files',
    files: [file('project-files.tar')],
    origin: { path: '/srv/uso', relativePath: '.' },
  }),
];

describe('RESTORE.md', () => {
  test('names every part, its files and digests, and commands that a shell can read', () => {
    const text = renderInstructions(sampleManifest({ parts: allKinds }));
    for (const part of allKinds) {
      expect(text).toContain(`## Part \`${part.name}\``);
      for (const one of part.files) expect(text).toContain(`${one.sha256}  ${one.file}`);
    }
    execFileSync('sh', ['-n'], { input: commands(text) });
  });

  test('speaks to the engine of the backup', () => {
    const podman = renderInstructions(sampleManifest());
    expect(podman).toContain('podman unshare "$@"');
    expect(podman).toContain('podman-compose -p "$PROJECT_NAME" -f docker-compose.yml');
    const docker = renderInstructions(
      sampleManifest({
        engine: { runtime: 'docker', version: '20', dialect: 'docker-compose-v2 2.40.3', rootless: false },
        ownership: 'helper-container',
      }),
    );
    expect(docker).toContain('docker compose -p "$PROJECT_NAME"');
    expect(docker).toContain('sudo "$@"');
    expect(docker).not.toContain('podman');
    const none = renderInstructions(sampleManifest({ engine: null, ownership: 'direct', parts: [allKinds[5]!] }));
    expect(commands(none)).not.toMatch(/compose|sudo|podman|docker/);
  });

  test('tells a reader which major version a physical copy needs', () => {
    expect(renderInstructions(sampleManifest())).toMatch(/same major version, \*\*17\*\*/);
  });

  test('never deletes the old data', () => {
    const lines = commands(renderInstructions(sampleManifest({ parts: allKinds }))).split('\n');
    // What is removed lies in the fresh tree, or is an empty directory.
    for (const line of lines.filter((one) => /\brm\b/.test(one))) {
      expect(line).toMatch(/rm -f "\$LIVE\.fresh\/postmaster\.pid"|rm -rf "\$LIVE"\/cache$/);
    }
  });

  const odd = [
    "it's",
    'two words',
    '$(touch pwned)',
    '`touch pwned`',
    '"; touch pwned; "',
    'a\nb',
    '*',
    '-rf',
    '\\',
    '```',
    "'\n```\ntouch pwned\n",
  ];
  test.each(odd)('a path with %j in it stays a word of the shell', (text) => {
    expect(execFileSync('sh', ['-c', `printf %s ${quote(`/x/${text}`)}`]).toString()).toBe(`/x/${text}`);
    const manifest: Manifest = sampleManifest({
      projectDirectory: `/srv/${text}`,
      parts: [
        samplePart({
          name: 'local',
          kind: 'directory',
          method: 'files',
          files: [file('local.tar')],
          origin: { path: `/data/${text}`, exclude: [text] },
        }),
        samplePart({
          name: 'd',
          method: 'dump',
          files: [file('d.globals.sql')],
          postgres: { version: '17', major: 17, databases: [text], user: text },
        }),
      ],
    });
    const script = commands(renderInstructions(manifest));
    execFileSync('sh', ['-n'], { input: script });
    const [assignment] = /^LIVE=('[^]*?'|\S+)$/m.exec(script) ?? [];
    const head = script.slice(0, script.indexOf('PROJECT_NAME'));
    expect(assignment).toBeDefined();
    expect(
      execFileSync('sh', ['-c', `${head.replace('set -euo pipefail', 'set -eu')}\nprintf %s "$PROJECT_DIRECTORY"`], {
        cwd: '/',
      }).toString(),
    ).toBe(`/srv/${text}`);
  });
});
