/** Where JSON is broken, by line and column. */

/** Pure. Undefined: it is JSON. */
export function findJsonProblem(text: string): string | undefined {
  const said = complain(text);
  if (said === undefined) return undefined;
  const before = text.slice(0, findPosition(text, said)).split('\n');
  const words = said.replace(/ in JSON at position.*$|, (?:\.\.\.)?".*$/s, '');
  return `${words}: line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
}

/** Engines tell the position of some problems only: the others are where the shortest beginning that has them ends. */
function findPosition(text: string, said: string): number {
  const told = positionIn(said);
  if (told !== undefined) return told;
  let [good, bad] = [0, text.length];
  while (bad - good > 1) {
    const middle = (good + bad) >>> 1;
    if (isBeginning(text.slice(0, middle))) good = middle;
    else bad = middle;
  }
  return isBeginning(text) ? text.length : good;
}

/** Whether it is JSON, or would be if more of it came. */
function isBeginning(text: string): boolean {
  const said = complain(text);
  if (said === undefined || said.startsWith('Unexpected end')) return true;
  return (positionIn(said) ?? -1) >= text.length || said.startsWith('Unterminated string');
}

function positionIn(said: string): number | undefined {
  const found = /at position (\d+)/.exec(said)?.[1];
  return found === undefined ? undefined : Number(found);
}

function complain(text: string): string | undefined {
  try {
    JSON.parse(text);
    return undefined;
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
}
