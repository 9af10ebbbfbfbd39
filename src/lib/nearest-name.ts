/** Finds the name that somebody probably meant who mistyped one. Pure. */

/**
 * The nearest of `names`, where so few letters are wrong, missing, too many or swapped that it can be no other; else
 * undefined.
 */
export function findNearest(name: string, names: readonly string[]): string | undefined {
  const most = Math.min(2, Math.floor(name.length / 3));
  let nearest: string | undefined;
  let least = most + 1;
  for (const candidate of new Set(names)) {
    if (Math.abs(candidate.length - name.length) >= least) continue;
    const mistakes = countMistakes(name.toLowerCase(), candidate.toLowerCase());
    if (mistakes >= least) continue;
    least = mistakes;
    nearest = candidate;
  }
  return nearest;
}

/** The distance of Damerau and Levenshtein (optimal string alignment), in characters. */
export function countMistakes(left: string, right: string): number {
  let twoAbove: number[] = [];
  let above = Array.from({ length: right.length + 1 }, (_, column) => column);
  for (let row = 1; row <= left.length; row += 1) {
    const here = [row];
    for (let column = 1; column <= right.length; column += 1) {
      const isSame = left[row - 1] === right[column - 1];
      let mistakes = Math.min(
        (above[column] ?? 0) + 1,
        (here[column - 1] ?? 0) + 1,
        (above[column - 1] ?? 0) + (isSame ? 0 : 1),
      );
      const isSwapped = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
      if (row > 1 && column > 1 && isSwapped) mistakes = Math.min(mistakes, (twoAbove[column - 2] ?? 0) + 1);
      here.push(mistakes);
    }
    twoAbove = above;
    above = here;
  }
  return above[right.length] ?? 0;
}
