/**
 * The code of an error of the system or of Node (`ENOENT`, `ERR_MODULE_NOT_FOUND`), which their types do not promise.
 */

/** The `code` of a thrown value as text; undefined if it has none. */
export function findCode(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'code' in thrown && thrown.code !== undefined ? String(thrown.code) : undefined;
}
