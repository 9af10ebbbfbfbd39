/** Loads something with its first use: a start does not pay for what a run may never need. Pure. */

/**
 * A function that gives what `load` loads. The first call begins, those that come meanwhile wait for the same, later
 * ones get what was loaded. It rejects as `load` does; a load that failed is forgotten, so that the next call loads
 * again.
 */
export function lazy<T>(load: () => Promise<T>): () => Promise<T> {
  let loading: Promise<T> | undefined;
  return () => {
    loading ??= load().catch((thrown: unknown) => {
      loading = undefined;
      throw thrown;
    });
    return loading;
  };
}
