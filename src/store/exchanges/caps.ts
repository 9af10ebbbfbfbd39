/** How much a file of exchanges keeps. */
import type { ExchangeCaps } from '../../inspector/ring.ts';

const DAY_MS = 86_400_000;

/**
 * What holds if nobody says anything else. Bytes are those of the pages of the file that are in use. The oldest
 * exchanges that are not pinned go first.
 */
export const FILE_CAPS: ExchangeCaps = { maxBytes: 1_000_000_000, maxAgeMs: 7 * DAY_MS, maxExchanges: 20_000 };
