/** How much a file of exchanges keeps. */

/** The oldest that are not pinned go first. */
export interface ExchangeCaps {
  /** Of the pages of the file that are in use. */
  readonly maxBytes: number;
  readonly maxAgeMs: number;
  readonly maxExchanges: number;
}

const DAY_MS = 86_400_000;

/** What holds if nobody says anything else. */
export const FILE_CAPS: ExchangeCaps = { maxBytes: 1_000_000_000, maxAgeMs: 7 * DAY_MS, maxExchanges: 20_000 };
