/**
 * All of them; or, where CARETAKER_TEST_TURN says `1/2`, the second half, dealt out one by one. CI takes one sixth after another, by the commit (CONTRIBUTING.md): for long
 * lists of cases on both engines, with `shift` 0 and 1, so that what is run on one is not what is run on the other.
 */
export function inTurn<T>(all: readonly T[], shift = 0): T[] {
  const [part, parts] = (process.env['CARETAKER_TEST_TURN'] ?? '0/1').split('/').map(Number) as [number, number];
  return all.filter((_, index) => (index + shift + part) % parts === 0);
}

/** All of them; or, where CARETAKER_TEST_TURN says `1/6`, one: for suites of long stories on both engines, of which each commit takes another. */
export function oneInTurn<T>(all: readonly T[], shift = 0): T[] {
  const turn = process.env['CARETAKER_TEST_TURN'];
  return turn === undefined
    ? [...all]
    : all.filter((_, index) => (Number.parseInt(turn) + shift) % all.length === index);
}
