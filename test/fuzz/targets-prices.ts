/** Fuzz targets that read price lists of others: they refuse with a reason, or give prices that are whole numbers. */
import { ok } from 'node:assert';
import { readOffer } from '../../src/pricing/aws-offer.ts';
import { parseUsageType } from '../../src/pricing/aws-usage-type.ts';
import { checkFactFile, formatFactFile, openFactFile } from '../../src/pricing/fact-file.ts';
import type { FuzzTarget } from './engine.ts';

const REFUSED = /^it (?:is|has|does)\b/;

/** What a reader gives; undefined if it refuses with a reason. */
function unlessRefused<Result>(read: () => Result): Result | undefined {
  try {
    return read();
  } catch (thrown) {
    if (thrown instanceof Error && REFUSED.test(thrown.message)) return undefined;
    throw thrown;
  }
}

const isPrice = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

/** An offer of the AWS Price List. */
export const AWS_OFFER = {
  name: 'aws-offer',
  words: [
    '{"publicationDate":"2026-11-20T21:21:39Z","products":{"S":{"attributes":{',
    '"regionCode":"us-east-1","usagetype":"USE1-NovaPro-input-tokens"}}},',
    '"terms":{"OnDemand":{"S":{"S.J":{"priceDimensions":{"S.J.6":{',
    '"unit":"1K tokens","pricePerUnit":{"USD":"0.0008000000"}}}}}}}}',
    'USE1-MP:USE1_InputTokenCount_LCtx_Global-Units',
    '"servicename":"Claude Haiku 4.5 (Amazon Bedrock Edition)"',
    'USE1-NovaCanvas-T2I-1024-Premium',
    '-cross-region-global-batch',
    '__proto__',
    'null',
  ],
  check: (input: Buffer) => {
    const text = input.toString('utf8');
    parseUsageType(text);
    const ids = ['amazon.nova-pro-v1:0', 'amazon.nova-canvas-v1:0', 'anthropic.claude-haiku-4-5-20251001-v1:0'];
    const offer = unlessRefused(() => readOffer(text, { ids, findLongContext: () => 200_000 }));
    for (const { model, place, picoUsd } of offer?.facts ?? []) {
      ok(ids.includes(model) || model === 'guardrails', `a model that nobody named: ${model}`);
      ok(/^[a-z]{2}-/.test(place), `no region: ${place}`);
      ok(isPrice(picoUsd), `a price of ${picoUsd}`);
    }
    ok((offer?.examples.length ?? 0) <= 20);
  },
} satisfies FuzzTarget;

/** A file of facts, such as `prices update` keeps. */
export const FACT_FILE = {
  name: 'fact-file',
  words: [
    '{"teller":"litellm","title":"","asOf":"2026-11-28","models":{"a.b":{"window":[1,null],"prices":{',
    '"us-east-1 * / region geo / standard":{"input":1,"input>200000":2}}}}}',
    '"image|premium|1024|":1',
    ' / global / batch',
    '__proto__',
    '-1',
    '1e300',
  ],
  check: (input: Buffer) => {
    const file = unlessRefused(() => {
      const opened = openFactFile(input.toString('utf8'));
      checkFactFile(opened);
      return opened;
    });
    if (file === undefined) return;
    for (const model of file.models) {
      for (const { picoUsd } of file.readFacts(model)) ok(isPrice(picoUsd), `a price of ${picoUsd}`);
    }
    checkFactFile(openFactFile(formatFactFile(file)));
  },
} satisfies FuzzTarget;
