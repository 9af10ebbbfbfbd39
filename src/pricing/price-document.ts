/**
 * A published document with prices, as facts: an offer of AWS's Price List, the data of genai-prices, or a file of
 * facts as `prices/` has them. Pure. A document that is not whole, or has no price, is refused whole.
 */
import { isObject } from '../lib/json.ts';
import { type OfferModels, readOffer } from './aws-offer.ts';
import { checkFactFile, type FactFile, makeFactFile, openFactFile } from './fact-file.ts';
import { readGenaiDocument } from './genai-prices.ts';
import type { PriceFact, PriceFacts } from './price-fact.ts';

/** What a reader of documents has to know. */
export interface DocumentContext {
  /** The day on which it is read, `2026-11-28`. */
  readonly asOf: string;
  readonly models: OfferModels;
}

/** A document, read. */
export interface PriceDocument {
  readonly file: FactFile;
  /** Rows of an offer that no model or unit of ours was found for. */
  readonly skipped: number;
}

/** Throws Error with the reason, a sentence about `it` without its full stop, if the text is no such document. */
export function readPriceDocument(text: string, { asOf, models }: DocumentContext): PriceDocument {
  const document = parseJson(text);
  if (Array.isArray(document)) return { file: readGenaiDocument(text, asOf), skipped: 0 };
  if (isObject(document) && isObject(document['products'])) return readOfferDocument(text, { asOf, models });
  const file = openFactFile(text);
  checkFactFile(file);
  return { file, skipped: 0 };
}

function readOfferDocument(text: string, { asOf, models }: DocumentContext): PriceDocument {
  const { publishedOn, facts, skipped } = readOffer(text, models);
  if (facts.length === 0) throw new Error('none of its prices is of a model that is known here');
  const title = `AWS Price List of ${publishedOn}`;
  return { file: makeFactFile({ teller: 'aws', title, asOf }, facts, new Map()), skipped };
}

/** What a reader of offers has to know of models, taken from what other sources say of them. */
export function offerModelsOf(known: PriceFacts): OfferModels {
  return { ids: known.models, findLongContext: (id) => longContextOf(known.find(id)) };
}

/** The one step that other sources know of a model; undefined if they know none, or several. */
export function longContextOf(facts: readonly PriceFact[]): number | undefined {
  const steps = new Set(facts.map(({ aboveTokens }) => aboveTokens).filter((tokens) => tokens > 0));
  return steps.size === 1 ? [...steps][0] : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error('it is not JSON, or not all of it');
  }
}
