/** Every model that a source knows has a price where it is called: asked of the book that a server asks. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { bookOf } from '../../src/pricing/price-book.ts';
import { readSnapshot } from '../../src/pricing/snapshot.ts';

const NAMES = JSON.parse(
  readFileSync(fileURLToPath(new URL('../../prices/names.json', import.meta.url)), 'utf8'),
) as string[];

/** A region from which a profile of the geography is called. */
const REGIONS: Readonly<Record<string, string>> = {
  us: 'us-east-1',
  eu: 'eu-central-1',
  apac: 'ap-southeast-1',
  jp: 'ap-northeast-1',
  au: 'ap-southeast-2',
  ca: 'ca-central-1',
  'us-gov': 'us-gov-west-1',
  global: 'us-east-1',
};
/** Names of which no source says what they cost in the region that stands above for their geography. */
const OF_OTHER_REGIONS = 5;

it('has a price for every name that a source knows, of its own region nearly always', () => {
  const book = bookOf([{ kind: 'built-in', facts: readSnapshot() }]);
  const calls = NAMES.map((name) => {
    const [, region, id = name] = /^([a-z]{2}(?:-gov)?-[a-z]+-\d)\/(.*)/.exec(name) ?? [];
    const geography = Object.keys(REGIONS).find((prefix) => id.startsWith(`${prefix}.`));
    return { name, id, region: region ?? REGIONS[geography ?? 'us'] ?? '' };
  });
  const found = calls.map(({ name, id, region }) => {
    const moment = { atMs: Date.UTC(2026, 10, 28), region, serviceTier: undefined, latency: undefined };
    return { name, price: book.find(id, moment) };
  });
  expect(found.filter(({ price }) => price === undefined).map(({ name }) => name)).toEqual([]);
  const assumed = found.filter(({ price }) => price?.origin?.assumedRegion !== undefined);
  expect(assumed.length).toBeLessThanOrEqual(OF_OTHER_REGIONS);
});
