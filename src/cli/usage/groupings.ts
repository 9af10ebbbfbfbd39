/** What `usage` can be asked for, in one place for the table of commands and for the command. */
import type { UsageGrouping } from '../../domain/ledger.ts';

/** What `--by` may be. */
export const GROUPINGS = [
  'key',
  'model',
  'day',
  'operation',
  'region',
  'tag',
] as const satisfies readonly UsageGrouping[];
/** How far back it looks unless told. */
export const DEFAULT_SINCE = '7d';
