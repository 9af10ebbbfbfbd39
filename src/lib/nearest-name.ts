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
    const mistakes = countMistakes(name.toLowerCase(), candidate.toLowerCase(), most);
    if (mistakes >= least) continue;
    least = mistakes;
    nearest = candidate;
  }
  return nearest;
}

/** The same for a name that may also be the beginning of one, or a part, if it is that of one alone. */
export function findMeant(name: string, names: readonly string[]): string | undefined {
  const lower = name.toLowerCase();
  if (lower === '') return undefined;
  const longer = names.filter((candidate) => candidate.toLowerCase().startsWith(lower));
  const holding = names.filter((candidate) => candidate.toLowerCase().includes(lower));
  const [only] = longer.length === 1 ? longer : holding.length === 1 ? holding : [];
  return only ?? findNearest(name, names);
}

/**
 * The distance of Damerau and Levenshtein (optimal string alignment), in characters; infinite if it is more than
 * `most`, which is seen as soon as it is certain.
 */
export function countMistakes(left: string, right: string, most = Number.POSITIVE_INFINITY): number {
  if (Math.abs(left.length - right.length) > most) return Number.POSITIVE_INFINITY;
  let twoAbove = new Uint32Array(right.length + 1);
  let above = Uint32Array.from(twoAbove, (_, column) => column);
  let here = new Uint32Array(right.length + 1);
  for (let row = 1; row <= left.length; row += 1) {
    let least = (here[0] = row);
    for (let column = 1; column <= right.length; column += 1) {
      const isSame = left.charCodeAt(row - 1) === right.charCodeAt(column - 1);
      let mistakes = Math.min(
        (above[column] ?? 0) + 1,
        (here[column - 1] ?? 0) + 1,
        (above[column - 1] ?? 0) + (isSame ? 0 : 1),
      );
      if (!isSame && isSwapped(left, row, right, column)) {
        mistakes = Math.min(mistakes, (twoAbove[column - 2] ?? 0) + 1);
      }
      here[column] = mistakes;
      least = Math.min(least, mistakes);
    }
    // No row below has less than this one.
    if (least > most) return Number.POSITIVE_INFINITY;
    [twoAbove, above, here] = [above, here, twoAbove];
  }
  const mistakes = above[right.length] ?? 0;
  return mistakes > most ? Number.POSITIVE_INFINITY : mistakes;
}

/** Whether the two letters that end there are those of the other name in the other order. */
function isSwapped(left: string, row: number, right: string, column: number): boolean {
  return (
    row > 1 &&
    column > 1 &&
    left.charCodeAt(row - 1) === right.charCodeAt(column - 2) &&
    left.charCodeAt(row - 2) === right.charCodeAt(column - 1)
  );
}
