/** The ledger: one row per request, in partitions by time. */
export const LEDGER_SCHEMA = ``;
