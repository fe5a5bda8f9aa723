import { describe, expect, test } from '@jest/globals';
import { refuseMigrateCommand } from '../../../src/modes/rehearsal.ts';
import type { UpdateSettings } from '../../../src/settings/settings.ts';

const tried = (migrateCommand: string | undefined, rehearse: UpdateSettings['rehearse'] = 'first'): void =>
  refuseMigrateCommand({ migrateCommand, rehearse } as UpdateSettings);

describe('a migrate-command in a rehearsal', () => {
  test.each([
    ': "${CARETAKER_THROWAWAY:-}"; docker compose run --rm web migrate',
    'test -z "$CARETAKER_THROWAWAY" || echo trying; podman-compose run web migrate',
  ])('that knows throwaways is tried: %s', (command) => {
    expect(() => tried(command)).not.toThrow();
  });

  test.each([
    'docker compose run --rm web migrate',
    'echo CARETAKER_THROWAWAY; docker compose run --rm web migrate',
    'COMPOSE_FILE=compose.prod.yaml docker compose run web $CARETAKER_THROWAWAY',
    'COMPOSE_PROJECT_NAME=shop docker compose run web $CARETAKER_THROWAWAY',
    'docker compose -p "$CARETAKER_THROWAWAY" -f compose.yaml run web migrate',
    'docker compose --file compose.yaml run web ${CARETAKER_THROWAWAY}',
  ])('that might mean what serves is refused before anything is touched: %s', (command) => {
    expect(() => tried(command)).toThrow(expect.objectContaining({ code: 'migrate-not-rehearsable' }));
  });

  test('is not asked for where nothing is rehearsed, or nothing migrates', () => {
    expect(() => tried('docker compose run web migrate', 'no')).not.toThrow();
    expect(() => tried(undefined, 'only')).not.toThrow();
  });
});
