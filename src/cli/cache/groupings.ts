/** What `cache` can be asked for, for the table of commands and for the command. */

/** What `--by` may be. */
export const CACHE_GROUPINGS = [
  'key',
  'model',
  'day',
  'region',
  'operation',
  'client',
  'session',
  'agent',
  'verdict',
] as const;
/** One of them. */
export type CacheGrouping = (typeof CACHE_GROUPINGS)[number];
/** How far back it looks unless told. */
export const DEFAULT_CACHE_SINCE = '7d';
