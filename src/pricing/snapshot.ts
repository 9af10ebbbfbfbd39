/**
 * The prices that this program came with: the files of `prices/`, made by `scripts/generate-prices.ts`. Read when
 * prices are first needed.
 */
import { readFileSync } from 'node:fs';
import { indexFacts, openFactFile } from './fact-file.ts';
import type { PriceFacts } from './price-fact.ts';

/** The more trusted first. */
const FILES = ['aws.json', 'litellm.json', 'genai-prices.json'];

/** The facts of the snapshot. It is part of the package: throws if a file of it is missing or damaged. */
export function readSnapshot(): PriceFacts {
  // Beside src/ and dist/ alike.
  const folder = new URL('../../prices/', import.meta.url);
  return indexFacts(FILES.map((name) => openFactFile(readFileSync(new URL(name, folder), 'utf8'))));
}
