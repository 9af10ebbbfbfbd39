/** `await using` for scripts that Node runs as they stand: Node 22 does not know these words. */

/** What is to be closed: given to `keep`, it is, the last one first. */
export type Keep = <Kept extends AsyncDisposable>(thing: Kept) => Kept;

/** Runs, and closes everything that was kept, however it ends. */
export async function withClosing<Result>(run: (keep: Keep) => Promise<Result>): Promise<Result> {
  const kept: AsyncDisposable[] = [];
  try {
    return await run((thing) => {
      kept.push(thing);
      return thing;
    });
  } finally {
    for (const thing of kept.toReversed()) await thing[Symbol.asyncDispose]();
  }
}
