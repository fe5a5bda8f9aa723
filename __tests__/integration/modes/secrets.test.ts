import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { Deployment, docker, printed } from './harness.ts';

jest.setTimeout(300_000);

/**
 * The harness fails each run of each suite that prints its fixture's secret. Here everything that could print it does its best to: the
 * log at its most talkative, a build and a health check that show their environment, a service whose last words are the secret.
 */
describe('The application’s secrets', () => {
  let app: Deployment;

  beforeAll(async () => {
    // As in a password with what a shell, a URL or JSON would write otherwise.
    app = await Deployment.create(docker('root'), 'uso', ['--secret', 'Hush-6b1f0c7d9e24']);
    await app.make('release', 'v1.1.0', 'good');
  });
  afterAll(() => app?.destroy());

  test('are in no output, whatever fails', async () => {
    const env = path.join(app.facts.instance, '.env');
    expect((await app.command('backup', '--verbose')).code).toBe(0);
    expect((await app.command('update', '--verbose', '--build', `cat ${env} && exit 3`)).code).toBe(1);
    // The old version passes, so that the way back ends.
    const ill = `type=command,run=cat ${env} >&2; curl -fs ${app.facts.url}/version | grep v1.0.0`;
    for (const how of ['--verbose', '--json']) {
      expect((await app.command('update', '--ref', 'v1.1.0', '--health', ill, how)).code).toBe(1);
    }
    await app.make('release', 'v1.2.0', 'bad');
    expect((await app.command('update', '--verbose')).code).toBe(1);
    expect((await app.command('restore', '--verbose')).code).toBe(0);
    expect((await app.command('list', '--verbose')).code).toBe(0);

    // They were there to be shown.
    expect(printed.join('\n')).toContain('POSTGRES_PASSWORD=***');
    expect(printed.join('\n')).not.toContain(app.facts.secret);
  });

  test('are in no manifest and no instructions', () => {
    const texts = readdirSync(app.backups).filter((name) => /\.(json|md)$/.test(name));
    expect(texts.length).toBeGreaterThanOrEqual(2);
    for (const name of texts) {
      expect(readFileSync(path.join(app.backups, name), 'utf8')).not.toContain(app.facts.secret);
    }
  });
});
