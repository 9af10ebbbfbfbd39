/** Files in the format of AWS's Price List. */

/** A product with its price. */
export interface OfferRow {
  readonly usagetype: string;
  readonly usd: unknown;
  readonly unit?: string;
  readonly description?: string;
  readonly model?: string;
  readonly servicename?: string;
  readonly regionCode?: string;
}

/** A file of an offer, as AWS makes them. */
export function offerOf(rows: readonly OfferRow[]): string {
  const products = rows.map((row, index) => [
    `SKU${index}`,
    { sku: `SKU${index}`, productFamily: 'Amazon Bedrock', attributes: { regionCode: 'us-east-1', ...row } },
  ]);
  const terms = rows.map(({ usd, unit = '1K tokens', description = '' }, index) => [
    `SKU${index}`,
    {
      [`SKU${index}.JRTCKXETXF`]: {
        offerTermCode: 'JRTCKXETXF',
        priceDimensions: {
          [`SKU${index}.JRTCKXETXF.6YS6EN2CT7`]: {
            unit,
            description,
            beginRange: '0',
            endRange: 'Inf',
            pricePerUnit: { USD: usd },
          },
        },
      },
    },
  ]);
  return JSON.stringify({
    formatVersion: 'v1.0',
    offerCode: 'AmazonBedrock',
    publicationDate: '2026-11-20T21:21:39Z',
    products: Object.fromEntries(products),
    terms: { OnDemand: Object.fromEntries(terms) },
  });
}
