/** What rows of the ledger add up to, kept beside them. */
export const USAGE_SCHEMA = ``;
