/** What keys do in a minute, and at the same time. */
export const RATES_SCHEMA = ``;
