/** Whether the prices of a database are old enough to be told so. */
import { describeAge } from '../../pricing/price-age.ts';
import { loadPrices, refreshedPricesPath } from '../../pricing/price-book.ts';

/** A sentence with what to do; undefined if they are young. Fetched prices lie in its folder. */
export async function describePriceAge(folder: string, nowMs: number): Promise<string | undefined> {
  const refreshedFile = refreshedPricesPath(folder);
  const { sources } = await loadPrices({ priceFile: undefined, refreshedFile, warn: () => {} });
  const age = describeAge(sources, nowMs);
  return age === undefined ? undefined : `warning: ${age} Newer ones: \`bedrock-proxy prices update\`.`;
}
