/** Edit distance with transpositions: `priojects` is as near to `projects` as a typing finger is. */
function distance(one: string, other: string): number {
  const rows: number[][] = [Array.from({ length: other.length + 1 }, (_, column) => column)];
  const at = (row: number, column: number): number => rows[row]?.[column] ?? Infinity;
  for (let i = 1; i <= one.length; i++) {
    const row = [i];
    rows.push(row);
    for (let j = 1; j <= other.length; j++) {
      const same = one[i - 1] === other[j - 1] ? 0 : 1;
      const swapped = i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
      row.push(
        Math.min(
          at(i - 1, j) + 1,
          (row[j - 1] ?? Infinity) + 1,
          at(i - 1, j - 1) + same,
          swapped ? at(i - 2, j - 2) + 1 : Infinity,
        ),
      );
    }
  }
  return at(one.length, other.length);
}

/** The candidate that somebody who typed `word` most likely meant; undefined where none is near enough to be worth a guess. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  // Near to none, and the distance takes the product of both lengths.
  if (word.length > 2 * Math.max(0, ...candidates.map(({ length }) => length))) return undefined;
  const normal = word.toLowerCase().replaceAll('_', '-');
  const ranked = candidates
    .map((candidate) => ({ candidate, far: distance(normal, candidate) }))
    .sort((one, other) => one.far - other.far);
  const best = ranked[0];
  return best !== undefined && best.far <= Math.max(1, Math.floor(best.candidate.length / 3))
    ? best.candidate
    : undefined;
}

/** ` Did you mean X?`-sentence, or the list of what is possible. */
export function didYouMean(word: string, candidates: readonly string[]): string {
  const guess = nearest(word, candidates);
  return guess === undefined ? `Possible are: ${candidates.join(', ')}.` : `Did you mean "${guess}"?`;
}
